"""The neighbour sum of a small graph with fixed weights, in one compiled call each way; see `attention.numba_nodes`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from numba import carray  # pyright: ignore[reportPrivateImportUsage]
from torch import Tensor

from gnnkit.ops.kernels.cache import compiled
from gnnkit.ops.kernels.llvm import float32s, float64s, int32s
from gnnkit.ops.spmm.numba import gather_kernels
from gnnkit.ops.spmm.torch import spmm as native_spmm
from gnnkit.ops.structure.edges import EdgeList
from gnnkit.ops.structure.graph import CompressedGraph
from gnnkit.ops.tracing import is_batched

__all__ = ["node_sum"]


@cache
def _kernel(double: bool) -> Callable[..., None]:
    gather, _ = gather_kernels(double, True, 0)
    reals = float64s if double else float32s

    @compiled(double)
    def add_up(sources, targets, edges, channels, pointers, neighbours, weight, x, out):
        gather(
            0,
            targets,
            carray(int32s(pointers), (targets + 1,)),
            carray(int32s(neighbours), (edges,)),
            carray(reals(weight), (edges,)),
            carray(reals(x), (1, sources, channels)),
            carray(reals(out), (1, targets, channels)),
        )

    return add_up


def _add_up(graph: CompressedGraph, x: Tensor, outgoing: bool) -> Tensor:
    x = x.contiguous()
    sources, channels = x.shape
    if outgoing:
        targets, pointers, neighbours, weight = graph.num_src, graph.colptr, graph.row, graph.weight_t
    else:
        targets, pointers, neighbours, weight = graph.num_dst, graph.rowptr, graph.col, graph.weight
    out = x.new_empty(targets, channels)
    _kernel(x.dtype == torch.float64)(
        sources, targets, neighbours.numel(), channels, pointers.data_ptr(), neighbours.data_ptr(),
        weight.data_ptr(), x.data_ptr(), out.data_ptr(),  # pyright: ignore[reportOptionalMemberAccess]
    )  # fmt: skip
    return out


def node_sum(graph: CompressedGraph, x: Tensor) -> Tensor:
    """`spmm` `[N, C]` with `graph.weight`, float32 or float64 as the features are.

    The graph is a small one, with int32 indices in main memory.
    """
    if x.requires_grad and torch.is_grad_enabled():
        return _NodeSum.apply(graph, x, False)  # pyright: ignore[reportReturnType]
    return _add_up(graph, x, False)


class _NodeSum(torch.autograd.Function):
    """Linear in x: its gradient is the sum over outgoing edges, and the gradient of that is this sum again."""

    @staticmethod
    def forward(ctx: Any, graph: CompressedGraph, x: Tensor, outgoing: bool) -> Tensor:
        ctx.graph, ctx.outgoing = graph, outgoing
        return _add_up(graph, x, outgoing)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if torch.is_grad_enabled() or is_batched(grad):
            return None, _sum_back(ctx.graph, grad, not ctx.outgoing), None
        return None, _add_up(ctx.graph, grad, not ctx.outgoing), None


def _sum_back(graph: CompressedGraph, grad: Tensor, outgoing: bool) -> Tensor:
    """The sum over outgoing (or incoming) edges where its derivative is asked for, or many are summed at once."""
    if is_batched(grad):
        edges = graph.edge_index.flip(0) if outgoing else graph.edge_index
        sizes = (graph.num_src, graph.num_dst) if outgoing else (graph.num_dst, graph.num_src)
        return native_spmm(EdgeList(edges, *sizes), grad, graph.weight)
    return _NodeSum.apply(graph, grad, outgoing)  # pyright: ignore[reportReturnType]
