"""`hop_levels` in Triton: one bit for each source, 32 of them in a word, and one launch a level."""

from __future__ import annotations

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

from gnnkit.ops.kernels.pieces import launch, power_of_two
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["hop_levels"]

_BITS = 32
_EDGES = 32


@triton.jit
def _or(a, b):
    return a | b


@triton.jit
def _pull(
    rowptr, col, frontier, following, seen, levels, found, nodes, words, count, level,
    BLOCK_E: tl.constexpr, BLOCK_W: tl.constexpr, BITS: tl.constexpr,
):  # fmt: skip
    """A node joins the searches that are at one of its neighbours and have not been here."""
    node = (tl.program_id(0) % nodes).to(tl.int64)
    w = tl.program_id(0) // nodes * BLOCK_W + tl.arange(0, BLOCK_W)
    mine = node * words + w
    before = tl.load(seen + mine, mask=w < words, other=-1)
    reached = before
    p, end = tl.load(rowptr + node), tl.load(rowptr + node + 1)
    # A node that all searches have seen is done: so hubs, which they see first, cost next to nothing.
    while (p < end) & (tl.min(tl.where(reached == -1, 1, 0), 0) == 0):
        at = p + tl.arange(0, BLOCK_E)
        j = tl.load(col + at, mask=at < end, other=0).to(tl.int64)
        there = (at < end)[:, None] & (w < words)[None, :]
        bits = tl.load(frontier + j[:, None] * words + w[None, :], mask=there, other=0)
        reached |= tl.reduce(bits, 0, _or)
        p += BLOCK_E
    fresh = reached & ~before
    tl.store(following + mine, fresh, mask=w < words)
    tl.store(seen + mine, reached, mask=w < words)
    if tl.max(tl.where(fresh != 0, 1, 0), 0) == 1:
        tl.store(found, 1)
        bit = tl.arange(0, BITS)
        source = w[:, None] * BITS + bit[None, :]
        is_fresh = ((fresh[:, None] >> bit[None, :]) & 1) == 1
        tl.store(levels + node * count + source, level, mask=is_fresh & (source < count))


def hop_levels(graph: CompressedGraph, sources: Tensor, max_hops: int, dtype: torch.dtype) -> tuple[Tensor, int]:
    """See `gnnkit.ops.hop_levels`; beside the levels comes the greatest of them."""
    nodes, count, device = graph.num_dst, sources.numel(), graph.device
    words = triton.cdiv(count, _BITS)
    order = torch.arange(count, device=device)
    bit = torch.ones_like(order) << order % _BITS
    # Two sources never share a bit, so adding is as good as or-ing. Bits past the last source count as seen.
    frontier = torch.zeros(nodes, words, dtype=torch.int64, device=device)
    frontier.index_put_((sources, order // _BITS), bit, accumulate=True)
    seen = frontier.clone()
    seen[:, words - 1 :] |= -1 << (count - 1) % _BITS + 1
    frontier, seen = frontier.to(torch.int32), seen.to(torch.int32)
    levels = torch.full((nodes, count), -1, dtype=dtype, device=device)
    levels[sources, order] = 0
    following, found = torch.empty_like(frontier), torch.zeros(1, dtype=torch.int32, device=device)
    block = power_of_two(words, 32)
    level = 0
    while level < max_hops:
        found.zero_()
        launch(
            _pull, nodes * triton.cdiv(words, block),
            graph.rowptr, graph.col, frontier, following, seen, levels, found, nodes, words, count, level + 1,
            BLOCK_E=_EDGES, BLOCK_W=block, BITS=_BITS,
        )  # fmt: skip
        if not found.item():
            break
        level += 1
        frontier, following = following, frontier
    return levels.t().contiguous(), level
