"""`spmm` compiled for the CPU: one gather pass over incoming edges, one over outgoing ones for both gradients."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from numba import njit
from torch import Tensor

from gnnkit.ops._function import SpmmKernels
from gnnkit.ops._numba_math import FAST, prefetch_row, stack_array_of
from gnnkit.ops._numba_structure import graph_chunks, user_edge
from gnnkit.ops._parallel import empty, run_chunks
from gnnkit.ops.structure import CompressedGraph, remember

__all__ = ["backward", "forward", "spmm"]

# A row that is not in a cache takes about as long as eight others take to be added.
_AHEAD = 8

# Loops over so few channels are worth a kernel of their own, where their length is a constant.
_CONSTANT_CHANNELS = (8, 16, 32, 64, 128)
_MIN_WORK_FOR_CONSTANT = 500_000


@cache
def _kernels(double: bool, constant: int):
    """Kernels for a type and a constant number of channels, or any number where `constant` is 0."""
    real = np.float64 if double else np.float32

    per_row = stack_array_of(double, constant)

    # No slice of an array is taken inside a loop: each would count references, atomically, on shared memory.
    @njit(nogil=True, cache=True, fastmath=FAST)
    def gather(start, stop, pointers, neighbours, weight, x, out):
        channels = constant if constant > 0 else x.shape[2]
        edges, nodes = len(neighbours), x.shape[1]
        flat = x.reshape(-1)
        weighted = len(weight) > 0
        sums = per_row(channels)
        for batch in range(x.shape[0]):
            for i in range(start, stop):
                for c in range(channels):
                    sums[c] = real(0)
                for p in range(pointers[i], pointers[i + 1]):
                    if p + _AHEAD < edges:
                        prefetch_row(flat, (batch * nodes + np.intp(neighbours[p + _AHEAD])) * channels, channels)
                    j = neighbours[p]
                    w = weight[p] if weighted else real(1)
                    for c in range(channels):
                        sums[c] += w * x[batch, j, c]
                for c in range(channels):
                    out[batch, i, c] = sums[c]

    @njit(nogil=True, cache=True, fastmath=FAST)
    def gather_and_dot(start, stop, pointers, neighbours, slots, weight, x, grad, grad_x, grad_weight):
        channels = constant if constant > 0 else x.shape[2]
        edges, nodes = len(neighbours), grad.shape[1]
        flat = grad.reshape(-1)
        own, sums = per_row(channels), per_row(channels)
        for batch in range(x.shape[0]):
            for j in range(start, stop):
                for c in range(channels):
                    own[c] = x[batch, j, c]
                    sums[c] = real(0)
                for p in range(pointers[j], pointers[j + 1]):
                    if p + _AHEAD < edges:
                        prefetch_row(flat, (batch * nodes + np.intp(neighbours[p + _AHEAD])) * channels, channels)
                    i = neighbours[p]
                    w = weight[p]
                    dot = real(0)
                    for c in range(channels):
                        g = grad[batch, i, c]
                        dot += own[c] * g
                        sums[c] += w * g
                    grad_weight[slots[p]] += dot
                for c in range(channels):
                    grad_x[batch, j, c] = sums[c]

    return gather, gather_and_dot


def _choose_kernels(graph: CompressedGraph, channels: int, batch: int, dtype: torch.dtype):
    large = graph.num_edges * channels * batch >= _MIN_WORK_FOR_CONSTANT
    return _kernels(dtype == torch.float64, channels if large and channels in _CONSTANT_CHANNELS else 0)


def _ordered(graph: CompressedGraph, weight: Tensor | None, x: Tensor, *, outgoing: bool) -> Tensor:
    """Weights in the order of the incoming or outgoing edges; empty where there are none."""
    if weight is None:
        return x.new_empty(0)
    order = user_edge(graph) if outgoing else graph.perm
    if order is None:
        return weight.detach().contiguous()
    # index_select gives a tensor of its own, which does not keep `weight` alive.
    return remember(("ordered", outgoing), (graph.col, weight), lambda: weight.detach().index_select(0, order))


def _as_batch(x: Tensor) -> Tensor:
    # Not reshape(-1, ...): of a tensor without entries that leaves the number of batches open.
    return x.detach().reshape(math.prod(x.shape[:-2]), *x.shape[-2:]).contiguous()


def forward(graph: CompressedGraph, x: Tensor, weight: Tensor | None) -> Tensor:
    """The product; see `gnnkit.ops.spmm`."""
    values = _as_batch(x)
    batch, _, channels = values.shape
    out = empty(batch, graph.num_dst, channels, dtype=x.dtype)
    gather, _ = _choose_kernels(graph, channels, batch, x.dtype)
    run_chunks(
        gather,
        graph_chunks(graph, batch * channels),
        graph.rowptr.numpy(),
        graph.col.numpy(),
        _ordered(graph, weight, x, outgoing=False).numpy(),
        values.numpy(),
        out.numpy(),
    )
    return out.view(*x.shape[:-2], graph.num_dst, channels)


def backward(
    graph: CompressedGraph, grad: Tensor, x: Tensor, weight: Tensor | None, need_weight: bool
) -> tuple[Tensor, Tensor | None]:
    """Gradients with respect to `x` and, where it is needed, to `weight`."""
    grads = _as_batch(grad)
    batch, _, channels = grads.shape
    grad_x = empty(batch, graph.num_src, channels, dtype=x.dtype)
    gather, gather_and_dot = _choose_kernels(graph, channels, batch, x.dtype)
    chunks = graph_chunks(graph, batch * channels, outgoing=True)
    pointers, targets = graph.colptr.numpy(), graph.row.numpy()
    ordered = _ordered(graph, weight, x, outgoing=True).numpy()
    grad_weight = None
    if need_weight:
        values = _as_batch(x)
        grad_weight = torch.zeros(graph.num_edges, dtype=x.dtype)
        slots = user_edge(graph).numpy()
        run_chunks(
            gather_and_dot,
            chunks,
            pointers,
            targets,
            slots,
            ordered,
            values.numpy(),
            grads.numpy(),
            grad_x.numpy(),
            grad_weight.numpy(),
        )
    else:
        run_chunks(gather, chunks, pointers, targets, ordered, grads.numpy(), grad_x.numpy())
    return grad_x.view(*grad.shape[:-2], graph.num_src, channels), grad_weight


spmm = SpmmKernels(forward, backward)
