"""What the Triton kernels share: rows cut into pieces of bounded length, the sum of the pieces, and the launch.

One program takes one piece. A row of few edges is one piece, which its program writes to its place; of a row of many
edges (a hub, which one program would still be at work on when all others have ended) every piece leaves a partial
result, and a second kernel puts these together in their order. So nothing is atomic, and two runs give the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["PIECE", "Pieces", "cut", "launch", "power_of_two", "sum_parts"]

PIECE = 1024
"""Most edges of one piece: a few dozen turns of a program's loop."""


@dataclass(frozen=True)
class Pieces:
    """The rows of a graph, cut.

    Args:
        table: Row, first edge, end and number among the parts (-1 for a whole row) of each piece.
        split: Row, first part and end of each row that is in several parts.
        parts: Number of parts.

    Shape:
        table `[P, 4]`, split `[R, 3]`, in the type of the graph's indices.
    """

    table: Tensor
    split: Tensor
    parts: int


def cut(graph: CompressedGraph, *, outgoing: bool = False) -> Pieces:
    """Cut the incoming (or outgoing) edges of each node, once per graph."""
    name = f"triton_pieces_{'outgoing' if outgoing else 'incoming'}"
    if name not in graph.scratch:
        graph.scratch[name] = _cut(graph.colptr if outgoing else graph.rowptr)
    return graph.scratch[name]  # pyright: ignore[reportReturnType]


def _cut(pointers: Tensor) -> Pieces:
    begin, degree = pointers[:-1].long(), pointers.diff().long()
    count = (degree.add(PIECE - 1) // PIECE).clamp(min=1)
    before = count.cumsum(0) - count
    row = torch.repeat_interleave(count)
    first = begin[row] + (torch.arange(row.numel(), device=row.device) - before[row]) * PIECE
    end = torch.minimum(first + PIECE, (begin + degree)[row])
    is_part = count[row] > 1
    number = torch.where(is_part, is_part.cumsum(0) - 1, -1)
    split = (count > 1).nonzero().flatten()
    stop = count[split].cumsum(0)
    return Pieces(
        torch.stack([row, first, end, number], dim=1).to(pointers.dtype),
        torch.stack([split, stop - count[split], stop], dim=1).to(pointers.dtype),
        int(stop[-1]) if split.numel() else 0,
    )


def power_of_two(number: int, at_most: int) -> int:
    """The power of two that is not below `number`, 1 at least and `at_most` at most."""
    return min(1 << max(number - 1, 0).bit_length(), at_most)


def launch(kernel: Any, programs: int, *arguments: Any, warps: int = 1, **constants: Any) -> None:
    """Run a kernel on the device of its first argument; nothing is launched for no programs."""
    if programs:
        with torch.cuda.device_of(arguments[0]):
            kernel[(programs,)](*arguments, num_warps=warps, **constants)


@triton.jit
def _sum_parts(
    split, parts, out, split_rows, num_parts, num_rows,
    WIDTH: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr,
):  # fmt: skip
    BLOCKS: tl.constexpr = (WIDTH + BLOCK_C - 1) // BLOCK_C
    number, lane = tl.program_id(0) % split_rows, tl.program_id(0) // split_rows
    batch = (lane // BLOCKS).to(tl.int64)
    c = lane % BLOCKS * BLOCK_C + tl.arange(0, BLOCK_C)
    row = tl.load(split + 3 * number)
    first, end = tl.load(split + 3 * number + 1), tl.load(split + 3 * number + 2)
    sums = tl.zeros((BLOCK_P, BLOCK_C), tl.float32)
    for start in range(first, end, BLOCK_P):
        p = start + tl.arange(0, BLOCK_P)
        there = (p < end)[:, None] & (c < WIDTH)[None, :]
        sums += tl.load(parts + (batch * num_parts + p[:, None]) * WIDTH + c[None, :], mask=there, other=0.0)
    tl.store(out + (batch * num_rows + row) * WIDTH + c, tl.sum(sums, 0), mask=c < WIDTH)


def sum_parts(pieces: Pieces, parts: Tensor, out: Tensor) -> None:
    """Add up the parts `[B, P, C]` of each split row and write it to its place in out `[B, N, C]`."""
    batch, _, width = parts.shape
    block = power_of_two(width, 128)
    split_rows = pieces.split.size(0)
    programs = split_rows * batch * triton.cdiv(width, block)
    constants = {"WIDTH": width, "BLOCK_C": block, "BLOCK_P": 8}
    launch(_sum_parts, programs, pieces.split, parts, out, split_rows, pieces.parts, out.size(1), **constants)
