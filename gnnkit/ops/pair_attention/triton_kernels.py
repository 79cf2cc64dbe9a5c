"""The Triton kernels of `pair_attention`; `triton` launches them.

In the notation of `numba_backward`, whose formulas these are. A program holds a tile of edges × heads × channels, as in
`attention.triton_kernels`; what edges' features add to a dot product lies in a tile of its own.
"""

# A kernel is Triton's language in Python's clothes: its indexing and constants are not what Python's types say.
# pyright: reportCallIssue=false, reportArgumentType=false, reportOperatorIssue=false, reportAssignmentType=false

from __future__ import annotations

import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]

from gnnkit.ops.attention.triton_kernels import exp_from, keep_factor

__all__ = ["attend", "incoming", "outgoing"]


@triton.jit
def _rows(array, row, h, c, there, HEADS: tl.constexpr, PART: tl.constexpr, FIRST: tl.constexpr, COUNT: tl.constexpr):
    """Of some rows `[HEADS, PART]` the numbers FIRST to FIRST + COUNT of each head: `[rows, heads, numbers]`."""
    address = (row[:, None] * HEADS + h[None, :])[:, :, None] * PART + FIRST + c[None, None, :]
    return tl.load(array + address, mask=there[:, :, None] & (c < COUNT)[None, None, :], other=0.0).to(tl.float32)


@triton.jit
def _mapped(
    z, e, edge_attr, edge_map, h, c, alive, is_value,
    HEADS: tl.constexpr, CHANNELS: tl.constexpr, FEATURES: tl.constexpr,
):  # fmt: skip
    """z + W x_e, added up in one order everywhere."""
    for d in range(FEATURES):
        feature = tl.load(edge_attr + e * FEATURES + d, mask=alive, other=0.0).to(tl.float32)
        place = (d * HEADS + h)[:, None] * CHANNELS + c[None, :]
        z += feature[:, None, None] * tl.load(edge_map + place, mask=is_value, other=0.0).to(tl.float32)[None, :, :]
    return z


@triton.jit
def _leaky_dot(z, a, slope):
    return tl.sum(tl.where(z > 0, z, slope * z) * a[None, :, :], 2)


@triton.jit(do_not_specialize=["threshold"])
def attend(
    table, col, perm, query, key, value, att, edge_attr, edge_map, seed, out, stats, parts, part_stats,
    slope, factor, threshold, scale, pieces,
    HEADS: tl.constexpr, CHANNELS: tl.constexpr, FEATURES: tl.constexpr, PART: tl.constexpr,
    BLOCK_E: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
    DOT: tl.constexpr, EDGES: tl.constexpr, PERMUTED: tl.constexpr, DROPS: tl.constexpr,
):  # fmt: skip
    """One piece of a target's incoming edges, some heads: online softmax and weighted sum."""
    piece, h = tl.program_id(0) % pieces, tl.program_id(0) // pieces * BLOCK_H + tl.arange(0, BLOCK_H)
    c, d, is_head = tl.arange(0, BLOCK_C), tl.arange(0, BLOCK_D), h < HEADS
    row, begin = tl.load(table + 4 * piece).to(tl.int64), tl.load(table + 4 * piece + 1)
    end, number = tl.load(table + 4 * piece + 2), tl.load(table + 4 * piece + 3)
    is_value, is_feature = is_head[:, None] & (c < CHANNELS)[None, :], is_head[:, None] & (d < FEATURES)[None, :]
    place = (row * HEADS + h)[:, None] * PART
    own = tl.load(query + place + c[None, :], mask=is_value, other=0.0).to(tl.float32)
    own_d = tl.zeros((BLOCK_H, BLOCK_D), tl.float32)
    a = tl.zeros((BLOCK_H, BLOCK_C), tl.float32)
    if DOT:
        if EDGES:
            own_d += tl.load(query + place + CHANNELS + d[None, :], mask=is_feature, other=0.0).to(tl.float32)
    else:
        a += tl.load(att + h[:, None] * CHANNELS + c[None, :], mask=is_value, other=0.0).to(tl.float32)
    largest = tl.full((BLOCK_E, BLOCK_H), -float("inf"), tl.float32)
    total = tl.zeros((BLOCK_E, BLOCK_H), tl.float32)
    sums = tl.zeros((BLOCK_E, BLOCK_H, BLOCK_C), tl.float32)
    sums_d = tl.zeros((BLOCK_E, BLOCK_H, BLOCK_D), tl.float32)
    for first in range(begin, end, BLOCK_E):
        p = first + tl.arange(0, BLOCK_E)
        alive = p < end
        there = alive[:, None] & is_head[None, :]
        j = tl.load(col + p, mask=alive, other=0).to(tl.int64)
        e = (tl.load(perm + p, mask=alive, other=0) if PERMUTED else p).to(tl.int64)
        values = _rows(key, j, h, c, there, HEADS, CHANNELS, 0, CHANNELS)
        features = tl.zeros((BLOCK_E, BLOCK_D), tl.float32)
        if DOT:
            z = tl.sum(own[None, :, :] * values, 2)
            values = _rows(value, j, h, c, there, HEADS, CHANNELS, 0, CHANNELS)
            if EDGES:
                known = alive[:, None] & (d < FEATURES)[None, :]
                given = tl.load(edge_attr + e[:, None] * FEATURES + d[None, :], mask=known, other=0.0)
                features += given.to(tl.float32)
                z += tl.sum(own_d[None, :, :] * features[:, None, :], 2)
            z *= factor
        else:
            sum_of_both = own[None, :, :] + values
            if EDGES:
                sum_of_both = _mapped(
                    sum_of_both, e, edge_attr, edge_map, h, c, alive, is_value, HEADS, CHANNELS, FEATURES
                )
            z = _leaky_dot(sum_of_both, a, slope)
        logit = tl.where(there, z, -float("inf"))
        before, largest = largest, tl.maximum(largest, logit)
        shrink, weight = exp_from(before, largest), exp_from(logit, largest)
        total = total * shrink + weight
        if DROPS:
            weight *= keep_factor(p, h, seed, threshold, scale)
        sums = sums * shrink[:, :, None] + weight[:, :, None] * values
        if DOT and EDGES:
            sums_d = sums_d * shrink[:, :, None] + weight[:, :, None] * features[:, None, :]
    top = tl.max(largest, 0)
    grown = exp_from(largest, top[None, :])
    whole, mean = tl.sum(total * grown, 0), tl.sum(sums * grown[:, :, None], 0)
    mean_d = tl.sum(sums_d * grown[:, :, None], 0)
    if number < 0:
        # A row without edges stays zero, and says nothing of a largest logit.
        inverse = tl.where(begin < end, 1.0 / whole, 0.0)
        tl.store(stats + row * 2 * HEADS + h, tl.where(begin < end, top, 0.0), mask=is_head)
        tl.store(stats + (row * 2 + 1) * HEADS + h, inverse, mask=is_head)
        tl.store(out + place + c[None, :], mean * inverse[:, None], mask=is_value)
        if DOT and EDGES:
            tl.store(out + place + CHANNELS + d[None, :], mean_d * inverse[:, None], mask=is_feature)
    else:
        slot = number.to(tl.int64)
        here = (slot * HEADS + h)[:, None] * PART
        tl.store(part_stats + slot * 2 * HEADS + h, top, mask=is_head)
        tl.store(part_stats + (slot * 2 + 1) * HEADS + h, whole, mask=is_head)
        tl.store(parts + here + c[None, :], mean, mask=is_value)
        if DOT and EDGES:
            tl.store(parts + here + CHANNELS + d[None, :], mean_d, mask=is_feature)


@triton.jit(do_not_specialize=["threshold"])
def outgoing(
    table, row, perm_t, perm, query, key, value, att, edge_attr, edge_map, target, seed, grad,
    grad_key, grad_value, parts, part_values, change, grad_edge, slope, factor, threshold, scale, pieces, edges,
    HEADS: tl.constexpr, CHANNELS: tl.constexpr, FEATURES: tl.constexpr, PART: tl.constexpr,
    BLOCK_E: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
    DOT: tl.constexpr, EDGES: tl.constexpr, PERMUTED: tl.constexpr, DROPS: tl.constexpr, KEEPS: tl.constexpr,
):  # fmt: skip
    """One piece of a source's outgoing edges, some heads: its gradients, and dl of its edges in CSR order.

    With KEEPS also what these heads add to the gradient of the edges' features, in the user's order.
    """
    piece, lane = tl.program_id(0) % pieces, tl.program_id(0) // pieces
    h, c, d = lane * BLOCK_H + tl.arange(0, BLOCK_H), tl.arange(0, BLOCK_C), tl.arange(0, BLOCK_D)
    is_head = h < HEADS
    source, begin = tl.load(table + 4 * piece).to(tl.int64), tl.load(table + 4 * piece + 1)
    end, number = tl.load(table + 4 * piece + 2), tl.load(table + 4 * piece + 3)
    is_value = is_head[:, None] & (c < CHANNELS)[None, :]
    here = (source * HEADS + h)[:, None] * CHANNELS + c[None, :]
    own = tl.load(key + here, mask=is_value, other=0.0).to(tl.float32)
    a = tl.zeros((BLOCK_H, BLOCK_C), tl.float32)
    mine = own
    if DOT:
        mine = tl.load(value + here, mask=is_value, other=0.0).to(tl.float32)
    else:
        a += tl.load(att + h[:, None] * CHANNELS + c[None, :], mask=is_value, other=0.0).to(tl.float32)
    sums = tl.zeros((BLOCK_E, BLOCK_H, BLOCK_C), tl.float32)
    steps = tl.zeros((BLOCK_E, BLOCK_H, BLOCK_C), tl.float32)
    for first in range(begin, end, BLOCK_E):
        p = first + tl.arange(0, BLOCK_E)
        alive = p < end
        there = alive[:, None] & is_head[None, :]
        i = tl.load(row + p, mask=alive, other=0).to(tl.int64)
        position = tl.load(perm_t + p, mask=alive, other=0)
        e = (tl.load(perm + position, mask=alive, other=0) if PERMUTED else position).to(tl.int64)
        asked = _rows(query, i, h, c, there, HEADS, PART, 0, CHANNELS)
        above = _rows(grad, i, h, c, there, HEADS, PART, 0, CHANNELS)
        dots = tl.sum(above * mine[None, :, :], 2)
        asked_d = tl.zeros((BLOCK_E, BLOCK_H, BLOCK_D), tl.float32)
        above_d = tl.zeros((BLOCK_E, BLOCK_H, BLOCK_D), tl.float32)
        z = asked
        if DOT:
            logit = tl.sum(asked * own[None, :, :], 2)
            if EDGES:
                known_d = alive[:, None] & (d < FEATURES)[None, :]
                given = tl.load(edge_attr + e[:, None] * FEATURES + d[None, :], mask=known_d, other=0.0)
                features = given.to(tl.float32)
                asked_d += _rows(query, i, h, d, there, HEADS, PART, CHANNELS, FEATURES)
                above_d += _rows(grad, i, h, d, there, HEADS, PART, CHANNELS, FEATURES)
                logit += tl.sum(asked_d * features[:, None, :], 2)
                dots += tl.sum(above_d * features[:, None, :], 2)
            logit *= factor
        else:
            z = asked + own[None, :, :]
            if EDGES:
                z = _mapped(z, e, edge_attr, edge_map, h, c, alive, is_value, HEADS, CHANNELS, FEATURES)
            logit = _leaky_dot(z, a, slope)
        known = target + i[:, None] * 4 * HEADS + h[None, :]
        largest = tl.load(known + HEADS, mask=there, other=0.0)
        weight = tl.exp(logit - largest) * tl.load(known + 2 * HEADS, mask=there, other=0.0)
        weight = tl.where(there, weight, 0.0)
        kept = weight
        if DROPS:
            share = keep_factor(position, h, seed, threshold, scale)
            kept, dots = weight * share, dots * share
        sums += kept[:, :, None] * above
        # An edge that has all the weight keeps it: the difference would be rounding error times x.
        slip = tl.where(weight == 1.0, 0.0, weight)
        moved = slip * (dots - tl.load(known + 3 * HEADS, mask=there, other=0.0))
        tl.store(change + position.to(tl.int64)[:, None] * HEADS + h[None, :], moved, mask=there)
        if DOT:
            steps += (factor * moved)[:, :, None] * asked
        else:
            steps += tl.where(z > 0, moved[:, :, None], slope * moved[:, :, None])
        if KEEPS:
            of_edge = tl.sum((factor * moved)[:, :, None] * asked_d + kept[:, :, None] * above_d, 1)
            address = (lane.to(tl.int64) * edges + e)[:, None] * FEATURES + d[None, :]
            tl.store(grad_edge + address, of_edge, mask=alive[:, None] & (d < FEATURES)[None, :])
    found, found_value = tl.sum(steps, 0), tl.sum(sums, 0)
    if not DOT:
        found = found_value + a * found
    if number < 0:
        tl.store(grad_key + here, found, mask=is_value)
        if DOT:
            tl.store(grad_value + here, found_value, mask=is_value)
    else:
        slot = (number.to(tl.int64) * HEADS + h)[:, None] * CHANNELS + c[None, :]
        tl.store(parts + slot, found, mask=is_value)
        if DOT:
            tl.store(part_values + slot, found_value, mask=is_value)


@triton.jit
def incoming(
    table, col, perm, query, key, att, edge_attr, edge_map, change, grad_query, parts, shares, slope, factor, pieces,
    HEADS: tl.constexpr, CHANNELS: tl.constexpr, FEATURES: tl.constexpr, PART: tl.constexpr,
    BLOCK_E: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
    DOT: tl.constexpr, EDGES: tl.constexpr, PERMUTED: tl.constexpr,
):  # fmt: skip
    """One piece of a target's incoming edges, some heads: its gradient, and what the piece adds to that of `att`."""
    piece, h = tl.program_id(0) % pieces, tl.program_id(0) // pieces * BLOCK_H + tl.arange(0, BLOCK_H)
    c, d, is_head = tl.arange(0, BLOCK_C), tl.arange(0, BLOCK_D), h < HEADS
    row, begin = tl.load(table + 4 * piece).to(tl.int64), tl.load(table + 4 * piece + 1)
    end, number = tl.load(table + 4 * piece + 2), tl.load(table + 4 * piece + 3)
    is_value, is_feature = is_head[:, None] & (c < CHANNELS)[None, :], is_head[:, None] & (d < FEATURES)[None, :]
    place = (row * HEADS + h)[:, None] * PART
    own = tl.load(query + place + c[None, :], mask=is_value, other=0.0).to(tl.float32)
    sums = tl.zeros((BLOCK_E, BLOCK_H, BLOCK_C), tl.float32)
    leaky = tl.zeros((BLOCK_E, BLOCK_H, BLOCK_C), tl.float32)
    sums_d = tl.zeros((BLOCK_E, BLOCK_H, BLOCK_D), tl.float32)
    for first in range(begin, end, BLOCK_E):
        p = first + tl.arange(0, BLOCK_E)
        alive = p < end
        there = alive[:, None] & is_head[None, :]
        j = tl.load(col + p, mask=alive, other=0).to(tl.int64)
        e = (tl.load(perm + p, mask=alive, other=0) if PERMUTED else p).to(tl.int64)
        moved = tl.load(change + p.to(tl.int64)[:, None] * HEADS + h[None, :], mask=there, other=0.0)
        other = _rows(key, j, h, c, there, HEADS, CHANNELS, 0, CHANNELS)
        if DOT:
            moved *= factor
            sums += moved[:, :, None] * other
            if EDGES:
                known = alive[:, None] & (d < FEATURES)[None, :]
                features = tl.load(edge_attr + e[:, None] * FEATURES + d[None, :], mask=known, other=0.0).to(tl.float32)
                sums_d += moved[:, :, None] * features[:, None, :]
        else:
            z = own[None, :, :] + other
            if EDGES:
                z = _mapped(z, e, edge_attr, edge_map, h, c, alive, is_value, HEADS, CHANNELS, FEATURES)
            step = tl.where(z > 0, moved[:, :, None], slope * moved[:, :, None])
            sums += step
            leaky += tl.where(there[:, :, None], step * z, 0.0)
    found = tl.sum(sums, 0)
    if not DOT:
        found *= tl.load(att + h[:, None] * CHANNELS + c[None, :], mask=is_value, other=0.0).to(tl.float32)
        share = (piece.to(tl.int64) * HEADS + h)[:, None] * CHANNELS + c[None, :]
        tl.store(shares + share, tl.sum(leaky, 0), mask=is_value)
    if number < 0:
        tl.store(grad_query + place + c[None, :], found, mask=is_value)
        if DOT and EDGES:
            tl.store(grad_query + place + CHANNELS + d[None, :], tl.sum(sums_d, 0), mask=is_feature)
    else:
        here = (number.to(tl.int64) * HEADS + h)[:, None] * PART
        tl.store(parts + here + c[None, :], found, mask=is_value)
        if DOT and EDGES:
            tl.store(parts + here + CHANNELS + d[None, :], tl.sum(sums_d, 0), mask=is_feature)
