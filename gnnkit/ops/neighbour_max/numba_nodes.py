"""`neighbour_max` of a small graph without weights, in one compiled call each way; see `attention.numba_nodes`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from numba import carray  # pyright: ignore[reportPrivateImportUsage]
from torch import Tensor

from gnnkit.ops.autograd import Kernels
from gnnkit.ops.kernels.cache import compiled
from gnnkit.ops.kernels.llvm import float32s, float64s, int32s
from gnnkit.ops.neighbour_max.numba import max_kernels
from gnnkit.ops.neighbour_max.options import MaxInputs, MaxOptions
from gnnkit.ops.neighbour_max.torch import again
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["backward_kernel", "node_max"]


@cache
def _forward_kernel(double: bool, options: MaxOptions) -> Callable[..., None]:
    gather, _ = max_kernels(double, False, *options, 0)
    reals = float64s if double else float32s

    @compiled(double, *options, fastmath=False)
    def forward(sources, targets, edges, channels, pointers, neighbours, x, out, places):
        gather(
            0, targets, carray(int32s(pointers), (targets + 1,)), carray(int32s(neighbours), (edges,)),
            carray(reals(x), (0,)), carray(reals(x), (1, sources, channels)),
            carray(reals(out), (1, targets, channels)),
            carray(int32s(places), (1, targets, channels)),
        )  # fmt: skip

    return forward


@cache
def backward_kernel(double: bool, options: MaxOptions) -> Callable[..., None]:
    """The loop back for a type and the settings; it takes sizes and addresses."""
    _, scatter = max_kernels(double, False, *options, 0)
    reals = float64s if double else float32s

    @compiled(double, *options, fastmath=False)
    def backward(sources, targets, edges, channels, pointers, neighbours, x, out, places, grad, grad_x):
        scatter(
            0, channels, carray(int32s(pointers), (targets + 1,)), carray(int32s(neighbours), (edges,)),
            carray(reals(x), (0,)), carray(reals(x), (1, sources, channels)),
            carray(reals(out), (1, targets, channels)),
            carray(int32s(places), (1, targets, channels)), carray(reals(grad), (1, targets, channels)),
            carray(reals(grad_x), (1, sources, channels)), carray(int32s(places), (0,)), carray(reals(x), (0, 0)), 1,
        )  # fmt: skip

    return backward


def node_max(graph: CompressedGraph, x: Tensor, options: MaxOptions) -> Tensor:
    """`neighbour_max` `[M, C]` of features `[N, C]`, float32 or float64.

    The graph is a small one, with int32 indices in main memory.
    """
    if x.requires_grad and torch.is_grad_enabled():
        return _node_max(MaxInputs(x, None), graph, options)
    return _forward(MaxInputs(x, None), graph, options._replace(keep=False))[0]


def _forward(inputs: MaxInputs, graph: CompressedGraph, options: MaxOptions) -> tuple[Tensor, Tensor]:
    x = inputs.x.contiguous()
    sources, channels = x.shape
    out = x.new_empty(graph.num_dst, channels)
    places = torch.empty(graph.num_dst if options.keep else 0, channels, dtype=torch.int32)
    _forward_kernel(x.dtype == torch.float64, options)(
        sources, graph.num_dst, graph.col.numel(), channels, graph.rowptr.data_ptr(), graph.col.data_ptr(),
        x.data_ptr(), out.data_ptr(), places.data_ptr(),
    )  # fmt: skip
    return out, places


def _backward(
    grad: Tensor,
    inputs: MaxInputs,
    kept: tuple[Tensor, Tensor],
    needed: tuple[bool, ...],
    graph: CompressedGraph,
    options: MaxOptions,
) -> tuple[Tensor, None]:
    (out, places), x, grad = kept, inputs.x.contiguous(), grad.contiguous()
    grad_x = torch.empty_like(x)
    backward_kernel(x.dtype == torch.float64, options)(
        *x.shape[:1], graph.num_dst, graph.col.numel(), x.size(1), graph.rowptr.data_ptr(), graph.col.data_ptr(),
        x.data_ptr(), out.data_ptr(), places.data_ptr(), grad.data_ptr(), grad_x.data_ptr(),
    )  # fmt: skip
    return grad_x, None


_node_max = Kernels(_forward, _backward, again)
