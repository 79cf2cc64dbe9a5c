"""`edge_relu_sum` compiled for the CPU: one pass over incoming edges, one over outgoing ones for both gradients.

Half precision is added up in single precision, and rounded once at the end.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from gnnkit.ops.autograd import Kernels
from gnnkit.ops.edge_relu_sum.torch import again
from gnnkit.ops.kernels.cache import compiled
from gnnkit.ops.kernels.threads import empty, real_type, run_chunks
from gnnkit.ops.structure.chunks import graph_chunks
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["backward", "edge_relu_sum", "forward"]


@cache
def _kernels(double: bool):
    real = np.float64 if double else np.float32

    @compiled(double)
    def gather(start, stop, pointers, neighbours, slots, x, edges, out):
        channels = x.shape[1]
        for i in range(start, stop):
            for c in range(channels):
                out[i, c] = real(0)
            for p in range(pointers[i], pointers[i + 1]):
                j, e = neighbours[p], slots[p]
                for c in range(channels):
                    value = x[j, c] + edges[e, c]
                    out[i, c] += real(0) if value <= 0 else value  # NaN stays NaN

    @compiled(double)
    def share_out(start, stop, pointers, neighbours, slots, x, edges, grad, grad_x, grad_edges):
        channels, write = x.shape[1], grad_edges.shape[0] > 0
        for j in range(start, stop):
            for c in range(channels):
                grad_x[j, c] = real(0)
            for p in range(pointers[j], pointers[j + 1]):
                i, e = neighbours[p], slots[p]
                for c in range(channels):
                    share = real(0) if x[j, c] + edges[e, c] <= 0 else grad[i, c]
                    grad_x[j, c] += share
                    if write:
                        grad_edges[e, c] = share

    return gather, share_out


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().to(real_type(tensor)).contiguous().numpy()


def forward(inputs: tuple[Tensor, Tensor], graph: CompressedGraph) -> tuple[Tensor]:
    """The sums; see `gnnkit.ops.edge_relu_sum`."""
    x, edges = inputs
    out = empty(graph.num_dst, x.size(1), dtype=real_type(x))
    slots = torch.arange(graph.num_edges) if graph.perm is None else graph.perm
    run_chunks(
        _kernels(x.dtype == torch.float64)[0], graph_chunks(graph, 2 * x.size(1)),
        graph.rowptr.numpy(), graph.col.numpy(), slots.to(graph.col.dtype).numpy(), _array(x), _array(edges),
        out.numpy(),
    )  # fmt: skip
    return (out.to(x.dtype),)


def backward(
    grad: Tensor,
    inputs: tuple[Tensor, Tensor],
    kept: tuple[Tensor, ...],
    needed: tuple[bool, ...],
    graph: CompressedGraph,
) -> tuple[Tensor, Tensor | None]:
    """Gradients of x and, where it is needed, of the edges' features."""
    x, edges = inputs
    grad_x = empty(*x.shape, dtype=real_type(x))
    grad_edges = empty(graph.num_edges if needed[1] else 0, x.size(1), dtype=real_type(x))
    run_chunks(
        _kernels(x.dtype == torch.float64)[1], graph_chunks(graph, 3 * x.size(1), outgoing=True),
        graph.colptr.numpy(), graph.row.numpy(), graph.user_edge.to(graph.col.dtype).numpy(), _array(x), _array(edges),
        _array(grad), grad_x.numpy(), grad_edges.numpy(),
    )  # fmt: skip
    return grad_x.to(x.dtype), grad_edges.to(x.dtype) if needed[1] else None


edge_relu_sum = Kernels(forward, backward, again)
