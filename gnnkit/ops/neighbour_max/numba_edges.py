"""`neighbour_max` of a short edge list that is sorted for it alone: see `spmm.numba_edges`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from numba import carray  # pyright: ignore[reportPrivateImportUsage]
from torch import Tensor

from gnnkit.ops.kernels.cache import compiled
from gnnkit.ops.kernels.llvm import float32s, float64s, int32s
from gnnkit.ops.neighbour_max.numba import max_kernels
from gnnkit.ops.neighbour_max.numba_nodes import backward_kernel
from gnnkit.ops.neighbour_max.options import MaxInputs, MaxOptions
from gnnkit.ops.neighbour_max.torch import neighbour_max as native_max
from gnnkit.ops.structure.graph import CompressedGraph
from gnnkit.ops.structure.numba_build import ends, graph_pass

__all__ = ["SortedMax", "edge_max"]


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


class SortedMax(NamedTuple):
    """The graph as the kernel sorted it, the places that were taken, and what goes back."""

    room: Tensor
    edges: int
    nodes: int
    num_dst: int
    options: MaxOptions

    def back(self, grad: Tensor, x: Tensor, out: Tensor) -> Tensor:
        """The gradient of the features."""
        x, grad, start = x.detach().contiguous(), grad.contiguous(), self.room.data_ptr()
        grad_x = torch.empty_like(x)
        backward_kernel(x.dtype == torch.float64, self.options)(
            self.nodes, self.num_dst, self.edges, x.size(1), start, start + 4 * (self.num_dst + 1), x.data_ptr(),
            out.data_ptr(), start + 4 * (self.num_dst + 1 + self.edges), grad.data_ptr(), grad_x.data_ptr(),
        )  # fmt: skip
        return grad_x

    def again(self, x: Tensor) -> Tensor:
        """The values once more, to be differentiated to any order."""
        first, edges = self.num_dst + 1, self.edges
        rowptr, col = self.room[:first], self.room[first : first + edges]
        return native_max(MaxInputs(x, None), CompressedGraph(self.nodes, self.num_dst, rowptr, col), self.options)


def edge_max(edges: Tensor, x: Tensor, num_dst: int, flow: str, options: MaxOptions) -> tuple[Tensor, SortedMax] | None:
    """The largest values of the senders `[M, C]`; no derivative is recorded.

    Args:
        edges: `[2, E]`, int64 or int32, in main memory.
        x: `[N, C]`, float32 or float64.
        num_dst: M.
        flow: As in PyG: which row of `edges` sends.
        options: See the front.

    Returns:
        The values, and what goes back (only where `options` keep it); None where an id is out of range.
    """
    x = x.contiguous()
    (nodes, channels), count = x.shape, edges.size(1)
    room = torch.empty(num_dst + 1 + count + num_dst * channels * options.keep, dtype=torch.int32)
    out, start = x.new_empty(num_dst, channels), room.data_ptr()
    if not _kernel(edges.dtype == torch.int64, x.dtype == torch.float64, options)(
        *ends(edges, flow), count, nodes, num_dst, channels, start, x.data_ptr(), out.data_ptr(),
        start + 4 * (num_dst + 1 + count),
    ):  # fmt: skip
        return None
    return out, SortedMax(room, count, nodes, num_dst, options)
