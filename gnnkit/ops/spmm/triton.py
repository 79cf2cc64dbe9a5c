"""`spmm` in Triton: each piece of a row gathers its neighbours, a block of channels at a time.

Backward is the same gather over outgoing edges; where the weights need a gradient it takes the product of each edge's
two ends with it, as it has both of them at hand.
"""

from __future__ import annotations

import math

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

from gnnkit.ops.kernels.pieces import Pieces, cut, launch, power_of_two, sum_parts
from gnnkit.ops.spmm.autograd import SpmmKernels
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["backward", "forward", "gather", "spmm"]

# Numbers that one warp has in flight: 32 for each thread, in its registers.
_TILE = 1024


@triton.jit
def _gather(
    table, neighbours, weight, x, out, parts, own, csr_position, user_edge, dots,
    pieces, nodes, num_rows, num_parts, edges,
    CHANNELS: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_E: tl.constexpr,
    INDIRECT: tl.constexpr, WEIGHTED: tl.constexpr, DOT: tl.constexpr, PERMUTED: tl.constexpr,
):  # fmt: skip
    BLOCKS: tl.constexpr = (CHANNELS + BLOCK_C - 1) // BLOCK_C
    # All rows of a batch come before the next batch: what they share is then in the cache.
    piece, lane = tl.program_id(0) % pieces, (tl.program_id(0) // pieces).to(tl.int64)
    batch = lane // BLOCKS
    c = lane % BLOCKS * BLOCK_C + tl.arange(0, BLOCK_C)
    row, begin = tl.load(table + 4 * piece).to(tl.int64), tl.load(table + 4 * piece + 1)
    end, number = tl.load(table + 4 * piece + 2), tl.load(table + 4 * piece + 3)
    mine = tl.zeros((BLOCK_C,), tl.float32)
    if DOT:
        mine += tl.load(own + (batch * num_rows + row) * CHANNELS + c, mask=c < CHANNELS, other=0.0).to(tl.float32)
    # One sum for each place in the block of edges: no thread waits for another before the end.
    sums = tl.zeros((BLOCK_E, BLOCK_C), tl.float32)
    for first in range(begin, end, BLOCK_E):
        p = first + tl.arange(0, BLOCK_E)
        there = p < end
        j = tl.load(neighbours + p, mask=there, other=0).to(tl.int64) if INDIRECT else p.to(tl.int64)
        address = (batch * nodes + j)[:, None] * CHANNELS + c[None, :]
        values = tl.load(x + address, mask=there[:, None] & (c < CHANNELS)[None, :], other=0.0).to(tl.float32)
        if DOT:
            position = tl.load(csr_position + p, mask=there, other=0)
            if PERMUTED:
                position = tl.load(user_edge + position, mask=there, other=0)
            tl.store(dots + lane * edges + position, tl.sum(values * mine[None, :], 1), mask=there)
        if WEIGHTED:
            values *= tl.load(weight + p, mask=there, other=0.0).to(tl.float32)[:, None]
        sums += values
    total = tl.sum(sums, 0)
    if number < 0:
        tl.store(out + (batch * num_rows + row) * CHANNELS + c, total, mask=c < CHANNELS)
    else:
        tl.store(parts + (batch * num_parts + number) * CHANNELS + c, total, mask=c < CHANNELS)


def gather(
    pieces: Pieces,
    neighbours: Tensor | None,
    weight: Tensor | None,
    x: Tensor,
    num_rows: int,
    dot: tuple[CompressedGraph, Tensor] | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Add up, for each row, `weight[p] * x[:, neighbours[p]]` over its positions p.

    Args:
        pieces: The rows.
        neighbours: Which row of `x` stands at each position. Default: the position's own.
        weight: One for each position. Default: 1.
        x: Contiguous, `[B, N, C]`.
        num_rows: M.
        dot: A graph and values `[B, M, C]` of the rows, for outgoing edges alone: also find the product of the two ends
            of each edge. Default: not.

    Returns:
        The sums `[B, M, C]`, and the products `[E]` in the user's order.
    """
    batch, nodes, channels = x.shape
    out = torch.empty(batch, num_rows, channels, dtype=x.dtype, device=x.device)
    parts = torch.empty(batch, pieces.parts, channels, dtype=torch.float32, device=x.device)
    block_c = power_of_two(channels, 128)
    lanes = batch * triton.cdiv(channels, block_c)
    unused = pieces.table
    own, position, perm, products, edges = unused, unused, None, None, 0
    if dot is not None:
        graph, own = dot
        position, perm, edges = graph.perm_t, graph.perm, graph.num_edges
        # Of more than one block of channels or sample each leaves its share: [1, E] in nearly all cases.
        products = torch.empty(lanes, edges, dtype=torch.float32, device=x.device)
    launch(
        _gather, pieces.table.size(0) * lanes,
        pieces.table, unused if neighbours is None else neighbours, unused if weight is None else weight, x, out, parts,
        own, position, unused if perm is None else perm, unused if products is None else products,
        pieces.table.size(0), nodes, num_rows, pieces.parts, edges,
        CHANNELS=channels, BLOCK_C=block_c, BLOCK_E=min(_TILE // block_c, 32),
        INDIRECT=neighbours is not None, WEIGHTED=weight is not None, DOT=dot is not None, PERMUTED=perm is not None,
    )  # fmt: skip
    sum_parts(pieces, parts, out)
    if products is None:
        return out, None
    return out, (products[0] if lanes == 1 else products.sum(0)).to(x.dtype)


def _ordered(graph: CompressedGraph, weight: Tensor | None, *, outgoing: bool) -> Tensor | None:
    """Weights in the order of the incoming or outgoing edges."""
    return None if weight is None else graph.ordered(weight, outgoing=outgoing).detach()


def _as_batch(x: Tensor) -> Tensor:
    # Not reshape(-1, ...): of a tensor without entries that leaves the number of batches open.
    return x.detach().reshape(math.prod(x.shape[:-2]), *x.shape[-2:]).contiguous()


def forward(graph: CompressedGraph, x: Tensor, weight: Tensor | None) -> Tensor:
    """The product; see `gnnkit.ops.spmm`."""
    out, _ = gather(cut(graph), graph.col, _ordered(graph, weight, outgoing=False), _as_batch(x), graph.num_dst)
    return out.view(*x.shape[:-2], graph.num_dst, x.size(-1))


def backward(
    graph: CompressedGraph, grad: Tensor, x: Tensor, weight: Tensor | None, need_weight: bool
) -> tuple[Tensor, Tensor | None]:
    """Gradients with respect to `x` and, where it is needed, to `weight`."""
    grad_x, grad_weight = gather(
        cut(graph, outgoing=True),
        graph.row,
        _ordered(graph, weight, outgoing=True),
        _as_batch(grad),
        graph.num_src,
        (graph, _as_batch(x)) if need_weight else None,
    )
    return grad_x.view(*grad.shape[:-2], graph.num_src, grad.size(-1)), grad_weight


spmm = SpmmKernels(forward, backward)
