"""The neighbour sum or mean of a short edge list that is sorted for it alone, in one compiled call each way."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from numba import carray  # pyright: ignore[reportPrivateImportUsage]
from torch import Tensor

from gnnkit.ops.kernels.cache import compiled
from gnnkit.ops.kernels.llvm import float32s, float64s, int32s
from gnnkit.ops.spmm.numba import gather_kernels
from gnnkit.ops.spmm.numba_nodes import node_sum
from gnnkit.ops.structure.graph import CompressedGraph
from gnnkit.ops.structure.numba_build import ends, graph_pass

__all__ = ["SortedSum", "edge_sum"]


@cache
def _kernels(wide: bool, double: bool) -> tuple[Callable[..., bool], Callable[..., None]]:
    build, (gather, _) = graph_pass(wide, double), gather_kernels(double, True, 0)
    reals, size = (float64s, 8) if double else (float32s, 4)

    # The weights lie at `room`, those of the outgoing edges behind them, and behind these the graph.
    @compiled(wide, double)
    def forward(sources, targets, step, edges, nodes, num_dst, channels, both, mean, root, room, x_at, out_at):
        graph = room + (1 + both) * edges * size
        count, _ = build(
            sources, targets, step, edges, nodes, num_dst, -1, graph, both, False, 0, 0, 0.0, True, False, mean, room
        )
        if count < 0:
            return False
        x, out = carray(reals(x_at), (1, nodes, channels)), carray(reals(out_at), (1, num_dst, channels))
        pointers, col = carray(int32s(graph), (num_dst + 1,)), carray(int32s(graph + 4 * (num_dst + 1)), (edges,))
        gather(0, num_dst, pointers, col, carray(reals(room), (edges,)), x, out)
        if root != 0:
            for i in range(num_dst):
                for c in range(channels):
                    out[0, i, c] += root * x[0, i, c]
        return True

    @compiled(wide, double)
    def backward(edges, nodes, num_dst, channels, root, room, grad_at, grad_x_at):
        colptr = room + 2 * edges * size + 4 * (num_dst + 1 + edges)
        grad, grad_x = carray(reals(grad_at), (1, num_dst, channels)), carray(reals(grad_x_at), (1, nodes, channels))
        pointers, row = carray(int32s(colptr), (nodes + 1,)), carray(int32s(colptr + 4 * (nodes + 1)), (edges,))
        gather(0, nodes, pointers, row, carray(reals(room + edges * size), (edges,)), grad, grad_x)
        if root != 0:
            for i in range(nodes):
                for c in range(channels):
                    grad_x[0, i, c] += root * grad[0, i, c]

    return forward, backward


class SortedSum(NamedTuple):
    """The sorted graph as the kernel wrote it, and what goes back over it."""

    room: Tensor
    kernel: Callable[..., None]
    edges: int
    nodes: int
    num_dst: int
    root: float

    def back(self, grad: Tensor, x: Tensor, out: Tensor) -> Tensor:
        """The gradient of the features."""
        grad = grad.contiguous()
        grad_x = grad.new_empty(self.nodes, grad.size(1))
        self.kernel(
            self.edges, self.nodes, self.num_dst, grad.size(1), self.root, self.room.data_ptr(), grad.data_ptr(),
            grad_x.data_ptr(),
        )  # fmt: skip
        return grad_x

    def again(self, x: Tensor) -> Tensor:
        """The sums once more, to be differentiated to any order."""
        edges, words = self.edges, x.element_size() // 4
        sizes = [words * edges, words * edges, self.num_dst + 1, edges, self.nodes + 1, edges]
        weight, weight_t, rowptr, col, colptr, row = self.room.split_with_sizes(sizes)
        graph = CompressedGraph(self.nodes, self.num_dst, rowptr, col, None, weight.view(x.dtype))
        graph.__dict__["_outgoing"] = (colptr, row, None)
        graph.__dict__["weight_t"] = weight_t.view(x.dtype)
        out = node_sum(graph, x)
        return out + self.root * x if self.root else out


def edge_sum(
    edges: Tensor, x: Tensor, num_dst: int, flow: str, *, back: bool, mean: bool = False, root: float = 0.0
) -> tuple[Tensor, SortedSum] | None:
    """The sums (or means) over senders `[M, C]`, plus `root` times a node's own features; no derivative is recorded.

    Args:
        edges: `[2, E]`, int64 or int32, in main memory.
        x: `[N, C]`, float32 or float64.
        num_dst: M; with a `root` it is N.
        flow: As in PyG: which row of `edges` sends.
        back: Whether x has a gradient.
        mean: Whether to divide by the number of the target's edges.
        root: The weight of the node itself.

    Returns:
        The sums, and what goes back (only where it is asked for); None where an id is out of range.
    """
    x = x.contiguous()
    (nodes, channels), count, double = x.shape, edges.size(1), x.dtype == torch.float64
    words = num_dst + 1 + count + (1 + back) * count * (1 + double) + back * (nodes + 1 + count)
    room, out = torch.empty(words, dtype=torch.int32), x.new_empty(num_dst, channels)
    forward, backward = _kernels(edges.dtype == torch.int64, double)
    if not forward(
        *ends(edges, flow), count, nodes, num_dst, channels, back, mean, root, room.data_ptr(), x.data_ptr(),
        out.data_ptr(),
    ):  # fmt: skip
        return None
    return out, SortedSum(room, backward, count, nodes, num_dst, root)
