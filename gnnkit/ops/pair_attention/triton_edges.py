"""The Triton kernels of `pair_attention` that find the gradients of GATv2's edge features and of their map."""

# pyright: reportCallIssue=false, reportArgumentType=false, reportOperatorIssue=false, reportAssignmentType=false

from __future__ import annotations

import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]

__all__ = ["feature_gradient", "map_gradient"]


@triton.jit
def _change_of_sum(
    p, alive, h, c, col, row, perm, query, key, att, edge_attr, edge_map, change, slope,
    HEADS: tl.constexpr, CHANNELS: tl.constexpr, FEATURES: tl.constexpr, PERMUTED: tl.constexpr,
):  # fmt: skip
    """dz of some edges, `[edges, channels]`, in one head; and which edges of the user these are."""
    j = tl.load(col + p, mask=alive, other=0).to(tl.int64)
    i = tl.load(row + p, mask=alive, other=0).to(tl.int64)
    e = (tl.load(perm + p, mask=alive, other=0) if PERMUTED else p).to(tl.int64)
    is_value = alive[:, None] & (c < CHANNELS)[None, :]
    z = tl.load(query + (i * HEADS + h)[:, None] * CHANNELS + c[None, :], mask=is_value, other=0.0).to(tl.float32)
    z += tl.load(key + (j * HEADS + h)[:, None] * CHANNELS + c[None, :], mask=is_value, other=0.0).to(tl.float32)
    for d in range(FEATURES):
        feature = tl.load(edge_attr + e * FEATURES + d, mask=alive, other=0.0).to(tl.float32)
        mapped = tl.load(edge_map + (d * HEADS + h) * CHANNELS + c, mask=c < CHANNELS, other=0.0).to(tl.float32)
        z += feature[:, None] * mapped[None, :]
    moved = tl.load(change + p.to(tl.int64) * HEADS + h, mask=alive, other=0.0)[:, None]
    a = tl.load(att + h * CHANNELS + c, mask=c < CHANNELS, other=0.0).to(tl.float32)
    return tl.where(z > 0, moved, slope * moved) * a[None, :], e


@triton.jit
def map_gradient(
    col, row, perm, query, key, att, edge_attr, edge_map, change, shares, slope, edges, per_share, blocks_d, blocks_c,
    HEADS: tl.constexpr, CHANNELS: tl.constexpr, FEATURES: tl.constexpr,
    BLOCK_E: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr, PERMUTED: tl.constexpr,
):  # fmt: skip
    """What a stretch of edges adds to the gradient of the map, in one head: `shares[stretch, d, head, c]`."""
    number = tl.program_id(0)
    c, number = number % blocks_c * BLOCK_C + tl.arange(0, BLOCK_C), number // blocks_c
    d, number = number % blocks_d * BLOCK_D + tl.arange(0, BLOCK_D), number // blocks_d
    h, share = number % HEADS, number // HEADS
    total = tl.zeros((BLOCK_D, BLOCK_C), tl.float32)
    begin = share * per_share
    end = tl.minimum(begin + per_share, edges)
    for first in range(begin, end, BLOCK_E):
        p = first + tl.arange(0, BLOCK_E)
        alive = p < end
        moved, e = _change_of_sum(
            p, alive, h, c, col, row, perm, query, key, att, edge_attr, edge_map, change, slope,
            HEADS, CHANNELS, FEATURES, PERMUTED,
        )  # fmt: skip
        known = alive[:, None] & (d < FEATURES)[None, :]
        features = tl.load(edge_attr + e[:, None] * FEATURES + d[None, :], mask=known, other=0.0).to(tl.float32)
        total += tl.dot(tl.trans(features), moved, input_precision="ieee")
    place = ((share.to(tl.int64) * FEATURES + d) * HEADS + h)[:, None] * CHANNELS + c[None, :]
    tl.store(shares + place, total, mask=(d < FEATURES)[:, None] & (c < CHANNELS)[None, :])


@triton.jit
def feature_gradient(
    col, row, perm, query, key, att, edge_attr, edge_map, change, grad_edge, slope, edges, blocks_d,
    HEADS: tl.constexpr, CHANNELS: tl.constexpr, FEATURES: tl.constexpr,
    BLOCK_E: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr, PERMUTED: tl.constexpr,
):  # fmt: skip
    """The gradient of some edges' features, over all heads and channels, in the user's order."""
    d = tl.program_id(0) % blocks_d * BLOCK_D + tl.arange(0, BLOCK_D)
    p = tl.program_id(0) // blocks_d * BLOCK_E + tl.arange(0, BLOCK_E)
    alive = p < edges
    total = tl.zeros((BLOCK_E, BLOCK_D), tl.float32)
    for h in range(HEADS):
        for first in range(0, CHANNELS, BLOCK_C):
            c = first + tl.arange(0, BLOCK_C)
            moved, _ = _change_of_sum(
                p, alive, h, c, col, row, perm, query, key, att, edge_attr, edge_map, change, slope,
                HEADS, CHANNELS, FEATURES, PERMUTED,
            )  # fmt: skip
            place = (d[None, :] * HEADS + h) * CHANNELS + c[:, None]
            known = (d < FEATURES)[None, :] & (c < CHANNELS)[:, None]
            mapped = tl.load(edge_map + place, mask=known, other=0.0).to(tl.float32)
            total += tl.dot(moved, mapped, input_precision="ieee")
    e = (tl.load(perm + p, mask=alive, other=0) if PERMUTED else p).to(tl.int64)
    address = e[:, None] * FEATURES + d[None, :]
    tl.store(grad_edge + address, total, mask=alive[:, None] & (d < FEATURES)[None, :])
