"""`spmm` compiled for the CPU: one gather pass over incoming edges, one over outgoing ones for both gradients.

Half precision is added up in single precision, and rounded once at the end.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from numba import njit
from torch import Tensor

from gnnkit.ops.kernels.arithmetic import FAST
from gnnkit.ops.kernels.cache import compiled
from gnnkit.ops.kernels.llvm import vector_lanes
from gnnkit.ops.kernels.threads import empty, real_type, run_chunks
from gnnkit.ops.kernels.vectors import row_sum
from gnnkit.ops.spmm.autograd import SpmmKernels
from gnnkit.ops.structure.chunks import graph_chunks
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["backward", "forward", "gather_kernels", "spmm"]

# A row that is not in a cache takes about as long as eight others take to be added.
_AHEAD = 8

# Features of one batch that are larger than this do not stay in the cache of a core.
_CACHE_BYTES = 1 << 20


@cache
def gather_kernels(double: bool, weighted: bool, ahead: int):
    """Kernels for a type, with or without weights, that ask for rows so far ahead."""
    real = np.float64 if double else np.float32
    lanes = vector_lanes(double)
    sum_8, sum_4, sum_2, sum_1 = (row_sum(vectors, weighted, ahead) for vectors in (8, 4, 2, 1))

    @njit(nogil=True, fastmath=FAST)
    def add_up(x, start, channels, neighbours, weight, first, last, out, place):
        """One row of the product, as few vectors wide as it takes; the last one may lie over the one before."""
        c = 0
        while c + 8 * lanes <= channels:
            sum_8(x, start + c, channels, neighbours, weight, first, last, out, place + c)
            c += 8 * lanes
        if c + 4 * lanes <= channels:
            sum_4(x, start + c, channels, neighbours, weight, first, last, out, place + c)
            c += 4 * lanes
        if c + 2 * lanes <= channels:
            sum_2(x, start + c, channels, neighbours, weight, first, last, out, place + c)
            c += 2 * lanes
        if c + lanes <= channels:
            sum_1(x, start + c, channels, neighbours, weight, first, last, out, place + c)
            c += lanes
        if c < channels and channels >= lanes:
            c = channels - lanes
            sum_1(x, start + c, channels, neighbours, weight, first, last, out, place + c)
        elif c < channels:
            for c in range(channels):
                total = real(0)
                for p in range(first, last):
                    value = x[start + np.intp(neighbours[p]) * channels + c]
                    total += weight[p] * value if weighted else value
                out[place + c] = total

    # No slice of an array is taken inside a loop: each would count references, atomically, on shared memory.
    @compiled(double, weighted, ahead)
    def gather(start, stop, pointers, neighbours, weight, x, out):
        channels, nodes, targets = x.shape[2], x.shape[1], out.shape[1]
        values, sums = x.reshape(-1), out.reshape(-1)
        for batch in range(x.shape[0]):
            for i in range(start, stop):
                first, last, place = pointers[i], pointers[i + 1], (batch * targets + i) * channels
                add_up(values, batch * nodes * channels, channels, neighbours, weight, first, last, sums, place)

    @compiled(double, weighted, ahead)
    def gather_and_dot(start, stop, pointers, neighbours, slots, weight, x, grad, grad_x, grad_weight):
        channels, nodes, sources = x.shape[2], grad.shape[1], x.shape[1]
        grads, sums = grad.reshape(-1), grad_x.reshape(-1)
        for batch in range(x.shape[0]):
            for j in range(start, stop):
                first, last, place = pointers[j], pointers[j + 1], (batch * sources + j) * channels
                add_up(grads, batch * nodes * channels, channels, neighbours, weight, first, last, sums, place)
                for p in range(first, last):
                    i, dot = neighbours[p], real(0)
                    for c in range(channels):
                        dot += x[batch, j, c] * grad[batch, i, c]
                    grad_weight[slots[p]] += dot

    return gather, gather_and_dot


def _choose_kernels(x: Tensor, weighted: bool):
    _, nodes, channels = x.shape
    large = nodes * channels * x.element_size() > _CACHE_BYTES
    return gather_kernels(x.dtype == torch.float64, weighted, _AHEAD if large else 0)


def _ordered(graph: CompressedGraph, weight: Tensor | None, x: Tensor, *, outgoing: bool) -> Tensor:
    """Weights in the order of the incoming or outgoing edges; empty where there are none."""
    if weight is None:
        return torch.empty(0, dtype=real_type(x))
    ordered = graph.ordered(weight.detach() if weight.requires_grad else weight, outgoing=outgoing)
    return ordered.to(real_type(weight))


def _as_batch(x: Tensor) -> Tensor:
    # Not reshape(-1, ...): of a tensor without entries that leaves the number of batches open.
    return x.detach().to(real_type(x)).reshape(math.prod(x.shape[:-2]), *x.shape[-2:]).contiguous()


def forward(graph: CompressedGraph, x: Tensor, weight: Tensor | None) -> Tensor:
    """The product; see `gnnkit.ops.spmm`."""
    values = _as_batch(x)
    batch, _, channels = values.shape
    out = empty(batch, graph.num_dst, channels, dtype=values.dtype)
    gather, _ = _choose_kernels(values, weight is not None)
    pointers, sources = graph.rowptr.numpy(), graph.col.numpy()
    ordered = _ordered(graph, weight, x, outgoing=False).numpy()
    run_chunks(gather, graph_chunks(graph, batch * channels), pointers, sources, ordered, values.numpy(), out.numpy())
    return out.view(*x.shape[:-2], graph.num_dst, channels).to(x.dtype)


def backward(
    graph: CompressedGraph, grad: Tensor, x: Tensor, weight: Tensor | None, need_weight: bool
) -> tuple[Tensor, Tensor | None]:
    """Gradients with respect to `x` and, where it is needed, to `weight`."""
    grads = _as_batch(grad)
    batch, _, channels = grads.shape
    grad_x = empty(batch, graph.num_src, channels, dtype=grads.dtype)
    gather, gather_and_dot = _choose_kernels(grads, weight is not None)
    chunks = graph_chunks(graph, batch * channels, outgoing=True)
    pointers, targets = graph.colptr.numpy(), graph.row.numpy()
    ordered = _ordered(graph, weight, x, outgoing=True).numpy()
    grad_weight = None
    if need_weight:
        values = _as_batch(x)
        grad_weight = torch.zeros(graph.num_edges, dtype=grads.dtype)
        slots = graph.user_edge.numpy()
        arrays = (slots, ordered, values.numpy(), grads.numpy(), grad_x.numpy(), grad_weight.numpy())
        run_chunks(gather_and_dot, chunks, pointers, targets, *arrays)
    else:
        run_chunks(gather, chunks, pointers, targets, ordered, grads.numpy(), grad_x.numpy())
    grad_x = grad_x.view(*grad.shape[:-2], graph.num_src, channels).to(grad.dtype)
    return grad_x, None if grad_weight is None else grad_weight.to(grad.dtype)


spmm = SpmmKernels(forward, backward)
