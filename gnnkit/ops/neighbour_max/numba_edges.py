"""`neighbour_max` of a short edge list that is sorted for it alone: see `spmm.numba_edges`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from numba import carray  # pyright: ignore[reportPrivateImportUsage]
from torch import Tensor

from gnnkit.ops.kernels.cache import compiled
from gnnkit.ops.kernels.llvm import float32s, float64s, int32s
from gnnkit.ops.neighbour_max.numba import max_kernels
from gnnkit.ops.neighbour_max.numba_nodes import backward_kernel
from gnnkit.ops.neighbour_max.options import MaxInputs, MaxOptions
from gnnkit.ops.neighbour_max.torch import again
from gnnkit.ops.structure.graph import CompressedGraph
from gnnkit.ops.structure.numba_build import ends, graph_pass
from gnnkit.ops.tracing import is_batched

__all__ = ["edge_max"]


@cache
def _kernel(wide: bool, double: bool, options: MaxOptions) -> Callable[..., bool]:
    build, (gather, _) = graph_pass(wide, double), max_kernels(double, False, *options, 0)
    reals = float64s if double else float32s

    @compiled(wide, double, *options, fastmath=False)
    def forward(sources, targets, step, edges, nodes, num_dst, channels, room, x_at, out_at, places_at):
        count, _ = build(
            sources, targets, step, edges, nodes, num_dst, -1, room, False, False, 0, 0, 0.0, False, False, False, 0
        )
        if count < 0:
            return False
        gather(
            0, num_dst, carray(int32s(room), (num_dst + 1,)), carray(int32s(room + 4 * (num_dst + 1)), (edges,)),
            carray(reals(x_at), (0,)), carray(reals(x_at), (1, nodes, channels)),
            carray(reals(out_at), (1, num_dst, channels)), carray(int32s(places_at), (1, num_dst, channels)),
        )  # fmt: skip
        return True

    return forward


class _Sorted(NamedTuple):
    """The graph as the kernel sorted it, its sizes and the options."""

    room: Tensor
    edges: int
    nodes: int
    num_dst: int
    options: MaxOptions


def edge_max(edges: Tensor, x: Tensor, num_dst: int, flow: str, options: MaxOptions) -> Tensor | None:
    """The largest values of the senders `[M, C]`.

    Args:
        edges: `[2, E]`, int64 or int32, in main memory.
        x: `[N, C]`, float32 or float64.
        num_dst: M.
        flow: As in PyG: which row of `edges` sends.
        options: See the front.

    Returns:
        The values, None where an id is out of range.
    """
    values, keep = x.contiguous(), x.requires_grad and torch.is_grad_enabled()
    (nodes, channels), count = values.shape, edges.size(1)
    room = torch.empty(num_dst + 1 + count + num_dst * channels * keep, dtype=torch.int32)
    out = values.new_empty(num_dst, channels)
    options = options._replace(keep=keep)
    start = room.data_ptr()
    if not _kernel(edges.dtype == torch.int64, x.dtype == torch.float64, options)(
        *ends(edges, flow), count, nodes, num_dst, channels, start, values.data_ptr(), out.data_ptr(),
        start + 4 * (num_dst + 1 + count),
    ):  # fmt: skip
        return None
    if not keep:
        return out
    return _EdgeMax.apply(x, [out], _Sorted(room, count, nodes, num_dst, options))  # pyright: ignore


class _EdgeMax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, found: list[Tensor], made: _Sorted) -> Tensor:
        ctx.made = made
        ctx.save_for_backward(x, *found)
        return found.pop()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (x, out), (room, edges, nodes, num_dst, options) = ctx.saved_tensors, ctx.made
        if torch.is_grad_enabled() or is_batched(grad, x):
            rowptr, col, _ = room.split_with_sizes([num_dst + 1, edges, room.numel() - num_dst - 1 - edges])
            graph = CompressedGraph(nodes, num_dst, rowptr, col)
            return again(grad, MaxInputs(x, None), (True, False), graph, options)[0], None, None
        values, grad = x.detach().contiguous(), grad.contiguous()
        grad_x, start = torch.empty_like(values), room.data_ptr()
        backward_kernel(x.dtype == torch.float64, options)(
            nodes, num_dst, edges, values.size(1), start, start + 4 * (num_dst + 1), values.data_ptr(), out.data_ptr(),
            start + 4 * (num_dst + 1 + edges), grad.data_ptr(), grad_x.data_ptr(),
        )  # fmt: skip
        return grad_x, None, None
