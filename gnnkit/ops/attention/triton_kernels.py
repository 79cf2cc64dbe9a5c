"""The Triton kernels of `edge_attention`; `triton` launches them.

In the notation of `numba_kernels`, whose formulas these are:

    out_i = Σ_e p_e m_e x_j
    dx_j = Σ_e p_e m_e g_i        dz_e = p_e (m_e <g_i, x_j> − <g_i, out_i>) leaky_relu'(z_e)

A program holds a tile of edges × heads × channels. Each edge's place in the tile keeps a softmax of its own, with its
own largest logit, and these are put together at the end of the row: inside the loop no thread waits for another.
"""

# A kernel is Triton's language in Python's clothes: its indexing and constants are not what Python's types say.
# pyright: reportCallIssue=false, reportArgumentType=false, reportOperatorIssue=false, reportAssignmentType=false

from __future__ import annotations

import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]

__all__ = ["attend", "exp_from", "keep_factor", "merge", "outgoing", "prepare"]


@triton.jit
def _mix(bits):
    bits = (bits ^ (bits >> 16)) * 0x7FEB352D
    bits = (bits ^ (bits >> 15)) * 0x846CA68B
    return bits ^ (bits >> 16)


@triton.jit
def keep_factor(position, head, seed, threshold, scale):
    """Dropout's factors [edges, heads]: the numbers of `torch.dropout_factor`."""
    drawn = tl.load(seed)
    low, high = drawn.to(tl.uint32), (drawn >> 32).to(tl.uint32)
    key = _mix(position.to(tl.uint32) + low) ^ high ^ (position.to(tl.int64) >> 32).to(tl.uint32)
    bits = _mix(key[:, None] + head.to(tl.uint32)[None, :] * 0x9E3779B9)
    return tl.where(bits >= threshold.to(tl.uint32), scale, 0.0)


@triton.jit
def exp_from(values, largest):
    """exp(values - largest), 0 where nothing but -inf has been seen."""
    return tl.exp(values - tl.where(largest == -float("inf"), 0.0, largest))


@triton.jit(do_not_specialize=["threshold"])
def attend(
    table, col, perm, x, alpha_src, alpha_dst, edge_logits, seed, out, stats, parts, part_stats,
    slope, threshold, scale, pieces,
    HEADS: tl.constexpr, CHANNELS: tl.constexpr,
    BLOCK_E: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_C: tl.constexpr,
    TARGETS: tl.constexpr, LOGITS: tl.constexpr, PERMUTED: tl.constexpr, DROPS: tl.constexpr,
):  # fmt: skip
    """One piece of a target's incoming edges, some heads: online softmax and weighted sum."""
    piece, h = tl.program_id(0) % pieces, tl.program_id(0) // pieces * BLOCK_H + tl.arange(0, BLOCK_H)
    c, is_head = tl.arange(0, BLOCK_C), h < HEADS
    row, begin = tl.load(table + 4 * piece).to(tl.int64), tl.load(table + 4 * piece + 1)
    end, number = tl.load(table + 4 * piece + 2), tl.load(table + 4 * piece + 3)
    own = tl.zeros((BLOCK_H,), tl.float32)
    if TARGETS:
        own += tl.load(alpha_dst + row * HEADS + h, mask=is_head, other=0.0).to(tl.float32)
    largest = tl.full((BLOCK_E, BLOCK_H), -float("inf"), tl.float32)
    total = tl.zeros((BLOCK_E, BLOCK_H), tl.float32)
    sums = tl.zeros((BLOCK_E, BLOCK_H, BLOCK_C), tl.float32)
    for first in range(begin, end, BLOCK_E):
        p = first + tl.arange(0, BLOCK_E)
        there = (p < end)[:, None] & is_head[None, :]
        j = tl.load(col + p, mask=p < end, other=0).to(tl.int64)
        place = j[:, None] * HEADS + h[None, :]
        address = place[:, :, None] * CHANNELS + c[None, None, :]
        values = tl.load(x + address, mask=there[:, :, None] & (c < CHANNELS)[None, None, :], other=0.0).to(tl.float32)
        z = tl.load(alpha_src + place, mask=there, other=0.0).to(tl.float32) + own[None, :]
        if LOGITS:
            e = (tl.load(perm + p, mask=p < end, other=0) if PERMUTED else p).to(tl.int64)
            z += tl.load(edge_logits + e[:, None] * HEADS + h[None, :], mask=there, other=0.0).to(tl.float32)
        logit = tl.where(there, tl.where(z > 0, z, slope * z), -float("inf"))
        before, largest = largest, tl.maximum(largest, logit)
        shrink, weight = exp_from(before, largest), exp_from(logit, largest)
        total = total * shrink + weight
        if DROPS:
            weight *= keep_factor(p, h, seed, threshold, scale)
        sums = sums * shrink[:, :, None] + weight[:, :, None] * values
    top = tl.max(largest, 0)
    factor = exp_from(largest, top[None, :])
    whole, mean = tl.sum(total * factor, 0), tl.sum(sums * factor[:, :, None], 0)
    is_value = is_head[:, None] & (c < CHANNELS)[None, :]
    if number < 0:
        # A row without edges stays zero, and says nothing of a largest logit.
        inverse = tl.where(begin < end, 1.0 / whole, 0.0)
        tl.store(stats + row * 2 * HEADS + h, tl.where(begin < end, top, 0.0), mask=is_head)
        tl.store(stats + (row * 2 + 1) * HEADS + h, inverse, mask=is_head)
        tl.store(out + (row * HEADS + h)[:, None] * CHANNELS + c[None, :], mean * inverse[:, None], mask=is_value)
    else:
        slot = number.to(tl.int64)
        tl.store(part_stats + slot * 2 * HEADS + h, top, mask=is_head)
        tl.store(part_stats + (slot * 2 + 1) * HEADS + h, whole, mask=is_head)
        tl.store(parts + (slot * HEADS + h)[:, None] * CHANNELS + c[None, :], mean, mask=is_value)


@triton.jit
def merge(
    split, parts, part_stats, out, stats, split_rows,
    HEADS: tl.constexpr, CHANNELS: tl.constexpr,
    BLOCK_E: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """One row that was in several parts, some heads: what `attend` left of them, put together."""
    entry, h = tl.program_id(0) % split_rows, tl.program_id(0) // split_rows * BLOCK_H + tl.arange(0, BLOCK_H)
    c, is_head = tl.arange(0, BLOCK_C), h < HEADS
    row = tl.load(split + 3 * entry).to(tl.int64)
    begin, end = tl.load(split + 3 * entry + 1), tl.load(split + 3 * entry + 2)
    largest = tl.full((BLOCK_E, BLOCK_H), -float("inf"), tl.float32)
    for first in range(begin, end, BLOCK_E):
        p = first + tl.arange(0, BLOCK_E)
        there = (p < end)[:, None] & is_head[None, :]
        place = part_stats + p.to(tl.int64)[:, None] * 2 * HEADS + h[None, :]
        largest = tl.maximum(largest, tl.load(place, mask=there, other=-float("inf")))
    top = tl.max(largest, 0)
    total = tl.zeros((BLOCK_E, BLOCK_H), tl.float32)
    sums = tl.zeros((BLOCK_E, BLOCK_H, BLOCK_C), tl.float32)
    for first in range(begin, end, BLOCK_E):
        p = first + tl.arange(0, BLOCK_E)
        q, there = p.to(tl.int64)[:, None], (p < end)[:, None] & is_head[None, :]
        found = tl.load(part_stats + q * 2 * HEADS + h[None, :], mask=there, other=-float("inf"))
        factor = exp_from(found, top[None, :])
        total += factor * tl.load(part_stats + (q * 2 + 1) * HEADS + h[None, :], mask=there, other=0.0)
        address = (q * HEADS + h[None, :])[:, :, None] * CHANNELS + c[None, None, :]
        values = tl.load(parts + address, mask=there[:, :, None] & (c < CHANNELS)[None, None, :], other=0.0)
        sums += factor[:, :, None] * values
    inverse = 1.0 / tl.sum(total, 0)
    tl.store(stats + row * 2 * HEADS + h, top, mask=is_head)
    tl.store(stats + (row * 2 + 1) * HEADS + h, inverse, mask=is_head)
    is_value = is_head[:, None] & (c < CHANNELS)[None, :]
    mean = tl.sum(sums, 0) * inverse[:, None]
    tl.store(out + (row * HEADS + h)[:, None] * CHANNELS + c[None, :], mean, mask=is_value)


@triton.jit
def prepare(
    grad, out, stats, alpha_dst, target, rows,
    HEADS: tl.constexpr, CHANNELS: tl.constexpr, BLOCK_R: tl.constexpr, BLOCK_C: tl.constexpr, TARGETS: tl.constexpr,
):  # fmt: skip
    """Put together all that an outgoing edge has to know of its target, `[num_dst, 4, K]`: one or two cache lines."""
    at, c = tl.program_id(0).to(tl.int64) * BLOCK_R + tl.arange(0, BLOCK_R), tl.arange(0, BLOCK_C)
    there = at < rows * HEADS
    row, head = at // HEADS, at % HEADS
    address = at[:, None] * CHANNELS + c[None, :]
    is_value = there[:, None] & (c < CHANNELS)[None, :]
    above = tl.load(grad + address, mask=is_value, other=0.0).to(tl.float32)
    dot = tl.sum(above * tl.load(out + address, mask=is_value, other=0.0).to(tl.float32), 1)
    own = tl.zeros((BLOCK_R,), tl.float32)
    if TARGETS:
        own += tl.load(alpha_dst + at, mask=there, other=0.0).to(tl.float32)
    known = stats + row * 2 * HEADS + head
    slot = target + row * 4 * HEADS + head
    tl.store(slot, own, mask=there)
    tl.store(slot + HEADS, tl.load(known, mask=there), mask=there)
    tl.store(slot + 2 * HEADS, tl.load(known + HEADS, mask=there), mask=there)
    tl.store(slot + 3 * HEADS, dot, mask=there)


@triton.jit(do_not_specialize=["threshold"])
def outgoing(
    table, row, perm_t, perm, x, alpha_src, target, edge_logits, seed, grad, grad_x, grad_src, parts, part_src,
    grad_edge, slope, threshold, scale, pieces,
    HEADS: tl.constexpr, CHANNELS: tl.constexpr,
    BLOCK_E: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_C: tl.constexpr,
    LOGITS: tl.constexpr, PERMUTED: tl.constexpr, DROPS: tl.constexpr, KEEPS: tl.constexpr,
):  # fmt: skip
    """One piece of a source's outgoing edges, some heads: its gradients, and with KEEPS those of its edges' logits.

    With PERMUTED these, and the logits, are in the user's order, else in CSR order.
    """
    piece, h = tl.program_id(0) % pieces, tl.program_id(0) // pieces * BLOCK_H + tl.arange(0, BLOCK_H)
    c, is_head = tl.arange(0, BLOCK_C), h < HEADS
    source, begin = tl.load(table + 4 * piece).to(tl.int64), tl.load(table + 4 * piece + 1)
    end, number = tl.load(table + 4 * piece + 2), tl.load(table + 4 * piece + 3)
    is_value = is_head[:, None] & (c < CHANNELS)[None, :]
    here = source * HEADS + h
    mine = tl.load(x + here[:, None] * CHANNELS + c[None, :], mask=is_value, other=0.0).to(tl.float32)
    own = tl.load(alpha_src + here, mask=is_head, other=0.0).to(tl.float32)
    total = tl.zeros((BLOCK_E, BLOCK_H), tl.float32)
    sums = tl.zeros((BLOCK_E, BLOCK_H, BLOCK_C), tl.float32)
    for first in range(begin, end, BLOCK_E):
        p = first + tl.arange(0, BLOCK_E)
        there = (p < end)[:, None] & is_head[None, :]
        i = tl.load(row + p, mask=p < end, other=0).to(tl.int64)
        address = (i[:, None] * HEADS + h[None, :])[:, :, None] * CHANNELS + c[None, None, :]
        above = tl.load(grad + address, mask=there[:, :, None] & is_value[None, :, :], other=0.0).to(tl.float32)
        known = target + i[:, None] * 4 * HEADS + h[None, :]
        z = own[None, :] + tl.load(known, mask=there, other=0.0)
        position = tl.load(perm_t + p, mask=p < end, other=0)
        e = (tl.load(perm + position, mask=p < end, other=0) if PERMUTED else position).to(tl.int64)
        place = e[:, None] * HEADS + h[None, :]
        if LOGITS:
            z += tl.load(edge_logits + place, mask=there, other=0.0).to(tl.float32)
        logit = tl.where(z > 0, z, slope * z)
        largest = tl.load(known + HEADS, mask=there, other=0.0)
        weight = tl.exp(logit - largest) * tl.load(known + 2 * HEADS, mask=there, other=0.0)
        weight = tl.where(there, weight, 0.0)
        dots = tl.sum(above * mine[None, :, :], 2)
        kept = weight
        if DROPS:
            factor = keep_factor(position, h, seed, threshold, scale)
            kept, dots = weight * factor, dots * factor
        sums += kept[:, :, None] * above
        # An edge that has all the weight keeps it: the difference would be rounding error times x.
        slip = tl.where(weight == 1.0, 0.0, weight)
        change = slip * (dots - tl.load(known + 3 * HEADS, mask=there, other=0.0)) * tl.where(z > 0, 1.0, slope)
        total += change
        if KEEPS:
            tl.store(grad_edge + place, change, mask=there)
    if number < 0:
        tl.store(grad_src + here, tl.sum(total, 0), mask=is_head)
        tl.store(grad_x + here[:, None] * CHANNELS + c[None, :], tl.sum(sums, 0), mask=is_value)
    else:
        slot = number.to(tl.int64) * HEADS + h
        tl.store(part_src + slot, tl.sum(total, 0), mask=is_head)
        tl.store(parts + slot[:, None] * CHANNELS + c[None, :], tl.sum(sums, 0), mask=is_value)
