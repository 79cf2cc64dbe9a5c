"""`neighbour_max` in Triton: each piece of a row compares its neighbours, a block of channels at a time.

Backward is a gather over outgoing edges: a source takes the share of each result that it is equal to, or whose place
its edge has. So nothing is atomic.
"""

from __future__ import annotations

import math

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

from gnnkit.ops.autograd import Kernels
from gnnkit.ops.kernels.pieces import cut, launch, power_of_two, sum_parts
from gnnkit.ops.neighbour_max.options import MaxInputs, MaxOptions, shares
from gnnkit.ops.neighbour_max.torch import again
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["backward", "forward", "neighbour_max"]

# Numbers that one warp has in flight: 32 for each thread, in its registers.
_TILE = 1024


@triton.jit
def _join(best, place, count, is_nan, b, p, n, nan):
    """Two lots of values, the second after the first: the better value, its first place, how many have it."""
    # A lot without values has no place.
    takes = (p >= 0) & ((place < 0) | (nan & ~is_nan) | (~nan & ~is_nan & (b > best)))
    ties = (p >= 0) & (place >= 0) & ~takes & (nan == is_nan) & (is_nan | (b == best))
    count = tl.where(takes, n, tl.where(ties, count + n, count))
    return tl.where(takes, b, best), tl.where(takes, p, place), count, tl.where(takes, nan, is_nan)


@triton.jit
def _finish(best, place, count, is_nan, degree, LARGEST: tl.constexpr, SHARED: tl.constexpr):
    """The value and what stands in its place: see `options.shares`."""
    value = tl.where(place < 0, 0.0, tl.where(is_nan, float("nan"), best if LARGEST else -best))
    if SHARED:
        divisor = tl.where(is_nan, degree, count + tl.where(value == 0.0, 1, 0))
        place = tl.where((place >= 0) & (divisor > 1), -1 - divisor, place)
    return value, place


@triton.jit
def _compare(
    table, pointers, neighbours, weight, x, out, places, part_values, part_places, part_counts,
    pieces, nodes, num_rows, num_parts,
    CHANNELS: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_E: tl.constexpr,
    WEIGHTED: tl.constexpr, LARGEST: tl.constexpr, SHARED: tl.constexpr,
):  # fmt: skip
    BLOCKS: tl.constexpr = (CHANNELS + BLOCK_C - 1) // BLOCK_C
    piece, lane = tl.program_id(0) % pieces, (tl.program_id(0) // pieces).to(tl.int64)
    batch = lane // BLOCKS
    c = lane % BLOCKS * BLOCK_C + tl.arange(0, BLOCK_C)
    row, begin = tl.load(table + 4 * piece).to(tl.int64), tl.load(table + 4 * piece + 1)
    end, number = tl.load(table + 4 * piece + 2), tl.load(table + 4 * piece + 3)
    best = tl.full((BLOCK_C,), float("-inf"), tl.float32)
    place = tl.full((BLOCK_C,), -1, tl.int64)
    count = tl.zeros((BLOCK_C,), tl.int64)
    is_nan = tl.zeros((BLOCK_C,), tl.int1)
    for first in range(begin, end, BLOCK_E):
        p = first + tl.arange(0, BLOCK_E)
        there = p < end
        j = tl.load(neighbours + p, mask=there, other=0).to(tl.int64)
        address = (batch * nodes + j)[:, None] * CHANNELS + c[None, :]
        values = tl.load(x + address, mask=there[:, None] & (c < CHANNELS)[None, :], other=0.0).to(tl.float32)
        if WEIGHTED:
            values *= tl.load(weight + p, mask=there, other=0.0).to(tl.float32)[:, None]
        values = values if LARGEST else -values
        nans = (values != values) & there[:, None]
        nan = tl.max(nans.to(tl.int32), 0) > 0  # pyright: ignore[reportOperatorIssue]
        b = tl.max(tl.where(there[:, None] & ~nans, values, float("-inf")), 0)
        hits = there[:, None] & tl.where(nan[None, :], nans, values == b[None, :])  # pyright: ignore
        n = tl.sum(hits.to(tl.int64), 0)
        where = tl.min(tl.where(hits, p.to(tl.int64)[:, None], 0x7FFFFFFFFFFFFFF), 0)
        best, place, count, is_nan = _join(best, place, count, is_nan, b, where, n, nan)
    if number < 0:
        degree = (end - begin).to(tl.int64)
        value, place = _finish(best, place, count, is_nan, degree, LARGEST, SHARED)
        address = (batch * num_rows + row) * CHANNELS + c
        tl.store(out + address, value, mask=c < CHANNELS)
        tl.store(places + address, place, mask=c < CHANNELS)
    else:
        address = (batch * num_parts + number) * CHANNELS + c
        tl.store(part_values + address, tl.where(is_nan, float("nan"), best), mask=c < CHANNELS)
        tl.store(part_places + address, place, mask=c < CHANNELS)
        tl.store(part_counts + address, count, mask=c < CHANNELS)


@triton.jit
def _join_parts(
    split, pointers, part_values, part_places, part_counts, out, places, split_rows, num_parts, num_rows,
    CHANNELS: tl.constexpr, BLOCK_C: tl.constexpr, LARGEST: tl.constexpr, SHARED: tl.constexpr,
):  # fmt: skip
    BLOCKS: tl.constexpr = (CHANNELS + BLOCK_C - 1) // BLOCK_C
    number, lane = tl.program_id(0) % split_rows, tl.program_id(0) // split_rows
    batch = (lane // BLOCKS).to(tl.int64)
    c = lane % BLOCKS * BLOCK_C + tl.arange(0, BLOCK_C)
    row = tl.load(split + 3 * number).to(tl.int64)
    first, end = tl.load(split + 3 * number + 1), tl.load(split + 3 * number + 2)
    best = tl.full((BLOCK_C,), float("-inf"), tl.float32)
    place = tl.full((BLOCK_C,), -1, tl.int64)
    count = tl.zeros((BLOCK_C,), tl.int64)
    is_nan = tl.zeros((BLOCK_C,), tl.int1)
    for part in range(first, end):
        address = (batch * num_parts + part) * CHANNELS + c
        b = tl.load(part_values + address, mask=c < CHANNELS, other=0.0)
        p = tl.load(part_places + address, mask=c < CHANNELS, other=-1)
        n = tl.load(part_counts + address, mask=c < CHANNELS, other=0)
        best, place, count, is_nan = _join(best, place, count, is_nan, b, p, n, b != b)
    degree = (tl.load(pointers + row + 1) - tl.load(pointers + row)).to(tl.int64)
    value, place = _finish(best, place, count, is_nan, degree, LARGEST, SHARED)
    address = (batch * num_rows + row) * CHANNELS + c
    tl.store(out + address, value, mask=c < CHANNELS)
    tl.store(places + address, place, mask=c < CHANNELS)


@triton.jit
def _share_out(
    table, neighbours, csr_position, user_edge, weight, x, taken, places, shared, grad_x, dots,
    pieces, nodes, num_rows, edges, parts, num_parts,
    CHANNELS: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_E: tl.constexpr,
    WEIGHTED: tl.constexpr, PERMUTED: tl.constexpr, DOT: tl.constexpr,
):  # fmt: skip
    BLOCKS: tl.constexpr = (CHANNELS + BLOCK_C - 1) // BLOCK_C
    piece, lane = tl.program_id(0) % pieces, (tl.program_id(0) // pieces).to(tl.int64)
    batch = lane // BLOCKS
    c = lane % BLOCKS * BLOCK_C + tl.arange(0, BLOCK_C)
    row, begin = tl.load(table + 4 * piece).to(tl.int64), tl.load(table + 4 * piece + 1)
    end, number = tl.load(table + 4 * piece + 2), tl.load(table + 4 * piece + 3)
    own = tl.load(x + (batch * num_rows + row) * CHANNELS + c, mask=c < CHANNELS, other=0.0).to(tl.float32)
    sums = tl.zeros((BLOCK_E, BLOCK_C), tl.float32)
    for first in range(begin, end, BLOCK_E):
        p = first + tl.arange(0, BLOCK_E)
        there = p < end
        mask = there[:, None] & (c < CHANNELS)[None, :]
        i = tl.load(neighbours + p, mask=there, other=0).to(tl.int64)
        position = tl.load(csr_position + p, mask=there, other=0).to(tl.int64)
        address = (batch * nodes + i)[:, None] * CHANNELS + c[None, :]
        place = tl.load(places + address, mask=mask, other=0)
        value = tl.load(taken + address, mask=mask, other=0.0)
        w = tl.load(weight + position, mask=there, other=0.0).to(tl.float32)[:, None] if WEIGHTED else 1.0
        message = own[None, :] * w
        alike = (message == value) | (value != value)
        hits = mask & tl.where(place >= 0, place == position[:, None], alike)
        share = tl.where(hits, tl.load(shared + address, mask=mask, other=0.0), 0.0)
        if DOT:
            edge = tl.load(user_edge + position, mask=there, other=0).to(tl.int64) if PERMUTED else position
            product = tl.where(hits, share * own[None, :], 0.0)
            tl.store(dots + lane * edges + edge, tl.sum(product, 1), mask=there)
        sums += tl.where(hits, share * w, 0.0)
    total = tl.sum(sums, 0)
    if number < 0:
        tl.store(grad_x + (batch * num_rows + row) * CHANNELS + c, total, mask=c < CHANNELS)
    else:
        tl.store(parts + (batch * num_parts + number) * CHANNELS + c, total, mask=c < CHANNELS)


def _weights(graph: CompressedGraph, weight: Tensor | None) -> Tensor | None:
    """Weights in the order of the incoming edges."""
    return None if weight is None else graph.ordered(weight, outgoing=False).detach()


def _as_batch(x: Tensor) -> Tensor:
    # Not reshape(-1, ...): of a tensor without entries that leaves the number of batches open.
    return x.detach().reshape(math.prod(x.shape[:-2]), *x.shape[-2:]).contiguous()


def _compared(inputs: MaxInputs, graph: CompressedGraph, options: MaxOptions) -> tuple[Tensor, Tensor]:
    """The values taken, in single precision, and their places: `[B, M, C]`."""
    x, weight = _as_batch(inputs.x), _weights(graph, inputs.weight)
    batch, nodes, channels = x.shape
    rows, pieces = graph.num_dst, cut(graph)
    out = torch.empty(batch, rows, channels, dtype=torch.float32, device=x.device)
    places = torch.empty(batch, rows, channels, dtype=torch.int64, device=x.device)
    lots = [
        torch.empty(batch, pieces.parts, channels, dtype=dtype, device=x.device)
        for dtype in (torch.float32, torch.int64, torch.int64)
    ]
    block_c = power_of_two(channels, 128)
    lanes, unused = batch * triton.cdiv(channels, block_c), pieces.table
    constants = {"CHANNELS": channels, "BLOCK_C": block_c, "LARGEST": options.largest, "SHARED": options.shared}
    launch(
        _compare, pieces.table.size(0) * lanes,
        pieces.table, graph.rowptr, graph.col, unused if weight is None else weight, x, out, places, *lots,
        pieces.table.size(0), nodes, rows, pieces.parts,
        BLOCK_E=min(_TILE // block_c, 32), WEIGHTED=weight is not None, **constants,
    )  # fmt: skip
    launch(
        _join_parts, pieces.split.size(0) * lanes,
        pieces.split, graph.rowptr, *lots, out, places, pieces.split.size(0), pieces.parts, rows, **constants,
    )  # fmt: skip
    return out, places


def forward(inputs: MaxInputs, graph: CompressedGraph, options: MaxOptions) -> tuple[Tensor, Tensor]:
    """The values taken, in the features' type, and the places of `options.shares`."""
    out, places = _compared(inputs, graph, options)
    shape = (*inputs.x.shape[:-2], graph.num_dst, inputs.x.size(-1))
    return out.view(shape).to(inputs.x.dtype), places.view(shape)


def backward(
    grad: Tensor,
    inputs: MaxInputs,
    kept: tuple[Tensor, Tensor],
    needed: tuple[bool, ...],
    graph: CompressedGraph,
    options: MaxOptions,
) -> tuple[Tensor, Tensor | None]:
    """Gradients of x and, where it is needed, of the weights."""
    x, weight = _as_batch(inputs.x), _weights(graph, inputs.weight)
    batch, rows, channels = x.shape
    places = _as_batch(kept[1]).long()
    # The result may be rounded: which product it is of is seen before that alone.
    rounded = weight is not None and x.dtype != torch.float32
    taken = _compared(inputs, graph, options)[0] if rounded else _as_batch(kept[0]).float()
    shared = _as_batch(grad).float() * shares(places, torch.float32)
    pieces, perm = cut(graph, outgoing=True), graph.perm
    grad_x = torch.empty(batch, rows, channels, dtype=x.dtype, device=x.device)
    parts = torch.empty(batch, pieces.parts, channels, dtype=torch.float32, device=x.device)
    block_c = power_of_two(channels, 128)
    lanes, unused = batch * triton.cdiv(channels, block_c), pieces.table
    dots = torch.empty(lanes, graph.num_edges, dtype=torch.float32, device=x.device) if needed[1] else None
    launch(
        _share_out, pieces.table.size(0) * lanes,
        pieces.table, graph.row, graph.perm_t, unused if perm is None else perm, unused if weight is None else weight,
        x, taken, places, shared, grad_x, unused if dots is None else dots,
        pieces.table.size(0), graph.num_dst, rows, graph.num_edges, parts, pieces.parts,
        CHANNELS=channels, BLOCK_C=block_c, BLOCK_E=min(_TILE // block_c, 32),
        WEIGHTED=weight is not None, PERMUTED=perm is not None, DOT=dots is not None,
    )  # fmt: skip
    sum_parts(pieces, parts, grad_x)
    return grad_x.view(inputs.x.shape), None if dots is None else dots.sum(0).to(inputs.x.dtype)


neighbour_max = Kernels(forward, backward, again)
