"""The compiled loops of `edge_attention`; `numba` and `numba_nodes` call them.

With z_e = alpha_src[j] + alpha_dst[i] + edge_logits[e], l_e = leaky_relu(z_e), p_e = softmax(l)_e over the
incoming edges of i, and m_e dropout's factor (0, or one over the share that is kept):

    out_i = Σ_e p_e m_e x_j
    dx_j = Σ_e p_e m_e g_i        dz_e = p_e (m_e <g_i, x_j> − <g_i, out_i>) leaky_relu'(z_e)

Nothing of size E × K × C exists, and p is computed again in the backward pass rather than kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numba import njit

from gnnkit.ops.kernels.arithmetic import exact_sum, mix, prefetch_row, stack_array_of
from gnnkit.ops.kernels.cache import compiled
from gnnkit.ops.kernels.rows import channel_rows, head_rows

__all__ = ["CompiledAttention", "attention_kernels", "constants", "edge_key", "keep_factor"]

# Sizes that are constants of their own kernel where the graph is large enough to be worth the compilation.
_CONSTANT_HEADS = (1, 2, 4, 8)
_CONSTANT_CHANNELS = (1, 2, 4, 8, 16, 32, 64, 128)
_MIN_WORK_FOR_CONSTANT = 20_000

_AHEAD = 8
_GOLDEN = np.uint32(0x9E3779B9)


@dataclass(frozen=True)
class CompiledAttention:
    """The loops for one type and one (or any) number of heads and channels; each is called with (start, stop, ...)."""

    forward: Callable[..., None]
    prepare: Callable[..., None]
    outgoing: Callable[..., None]
    row_sums: Callable[..., None]


@njit(inline="always")
def edge_key(position, dropout):
    """What the random numbers of one edge (its CSR position) start from."""
    low = np.uint32(np.int64(position) & 0xFFFFFFFF)
    high = np.uint32(np.int64(position) >> 32)
    return np.uint32(mix(low + dropout[0]) ^ dropout[1] ^ high)


@njit(inline="always")
def keep_factor(key, head, dropout):
    """Dropout's factor for a head of an edge: the same number wherever and in whatever order it is asked for."""
    bits = mix(np.uint32(key + np.uint32(np.uint32(head) * _GOLDEN)))
    return dropout[3] if bits >= dropout[2] else dropout[4]


def constants(num_edges: int, heads: int, channels: int, fewest_channels: int = 1) -> tuple[int, int]:
    """The heads and channels that are constants of a call's kernels, 0 for those that are not."""
    large = num_edges * heads * channels >= _MIN_WORK_FOR_CONSTANT
    # A single head is worth it on any graph: all loops over heads are gone.
    constant_heads = heads if heads == 1 or (large and heads in _CONSTANT_HEADS) else 0
    is_constant = large and channels >= fewest_channels and channels in _CONSTANT_CHANNELS
    return constant_heads, channels if is_constant else 0


@cache
def attention_kernels(double: bool, constant_heads: int, constant_channels: int) -> CompiledAttention:
    """The loops for float64 or float32, with heads and channels as constants of the code; 0 stands for any number."""
    real = np.float64 if double else np.float32

    rows = head_rows(double, constant_heads)
    leaky_sum, take_larger, exp_minus = rows.leaky_sum, rows.take_larger, rows.exp_minus
    channel = channel_rows(double, constant_channels)
    add_scaled, dot, dot_and_add = channel.add_scaled, channel.dot, channel.dot_and_add
    per_head = stack_array_of(double, constant_heads)
    per_row = stack_array_of(double, constant_heads * constant_channels)

    # No slice of an array is taken inside a loop: each would count references, atomically, on shared memory.
    @compiled(double, constant_heads, constant_channels)
    def forward(start, stop, rowptr, col, perm, x, alpha_src, alpha_dst, edge_logits, slope, dropout, out, stats):
        heads = constant_heads if constant_heads > 0 else x.shape[1]
        channels = constant_channels if constant_channels > 0 else x.shape[2]
        edges, width = len(col), heads * channels
        flat, source_flat = x.reshape(-1), alpha_src.reshape(-1)
        has_edge, ordered, drops = len(edge_logits) > 0, len(perm) == 0, dropout[2] > 0
        own, largest, total, weight = per_head(heads), per_head(heads), per_head(heads), per_head(heads)
        sums = per_row(width)
        for i in range(start, stop):
            begin, end = rowptr[i], rowptr[i + 1]
            for k in range(heads):
                own[k] = alpha_dst[i, k]
                largest[k] = real(-np.inf)
                total[k] = real(0)
            for c in range(width):
                sums[c] = real(0)
            # The rows' logits are gathered twice: they are a hundredth of the values, and then lie in a cache.
            for p in range(begin, end):
                j = np.intp(col[p])
                if has_edge:
                    e = p if ordered else perm[p]
                    for k in range(heads):
                        weight[k] = exact_sum(own[k], edge_logits[e, k])
                    leaky_sum(weight, source_flat, j * heads, weight, slope, heads)
                else:
                    leaky_sum(weight, source_flat, j * heads, own, slope, heads)
                take_larger(largest, weight, heads)
            for p in range(begin, end):
                if p + _AHEAD < edges:
                    prefetch_row(flat, np.intp(col[p + _AHEAD]) * width, width)
                j = np.intp(col[p])
                if has_edge:
                    e = p if ordered else perm[p]
                    for k in range(heads):
                        weight[k] = exact_sum(own[k], edge_logits[e, k])
                    leaky_sum(weight, source_flat, j * heads, weight, slope, heads)
                else:
                    leaky_sum(weight, source_flat, j * heads, own, slope, heads)
                exp_minus(weight, largest, 0, heads)
                for k in range(heads):
                    total[k] += weight[k]
                if drops:
                    key = edge_key(p, dropout)
                    for k in range(heads):
                        weight[k] *= keep_factor(key, k, dropout)
                for k in range(heads):
                    add_scaled(sums, k * channels, weight[k], flat, j * width + k * channels, channels)
            for k in range(heads):
                # A row without edges stays zero, and says nothing of a largest logit.
                inverse = real(1) / total[k] if end > begin else real(0)
                stats[i, 0, k] = largest[k] if end > begin else real(0)
                stats[i, 1, k] = inverse
                for c in range(channels):
                    out[i, k, c] = sums[k * channels + c] * inverse

    @compiled(double, constant_heads, constant_channels)
    def prepare(start, stop, grad, out, stats, alpha_dst, target):
        heads = constant_heads if constant_heads > 0 else grad.shape[1]
        channels = constant_channels if constant_channels > 0 else grad.shape[2]
        grads, outs = grad.reshape(-1), out.reshape(-1)
        for i in range(start, stop):
            for k in range(heads):
                place = (i * heads + k) * channels
                target[i, 0, k] = alpha_dst[i, k]
                target[i, 1, k] = stats[i, 0, k]
                target[i, 2, k] = stats[i, 1, k]
                # Where all that a row averages is equal the products of its edges are this very number.
                target[i, 3, k] = dot(outs, place, grads, place, channels)

    @compiled(double, constant_heads, constant_channels)
    def outgoing(
        start, stop, colptr, row, perm_t, user_edge, by_user,
        x, alpha_src, target, edge_logits, slope, dropout, grad, grad_x, grad_src, grad_edge,
    ):  # fmt: skip
        heads = constant_heads if constant_heads > 0 else x.shape[1]
        channels = constant_channels if constant_channels > 0 else x.shape[2]
        edges, width = len(row), heads * channels
        flat, target_flat = grad.reshape(-1), target.reshape(-1)
        has_edge, keeps, drops = len(edge_logits) > 0, len(grad_edge) > 0, dropout[2] > 0
        source, total, steep = per_head(heads), per_head(heads), per_head(heads)
        dots, weight, keep = per_head(heads), per_head(heads), per_head(heads)
        own, sums = per_row(width), per_row(width)
        for k in range(heads):
            keep[k] = real(1)
        for j in range(start, stop):
            for k in range(heads):
                source[k] = alpha_src[j, k]
                total[k] = real(0)
                for c in range(channels):
                    own[k * channels + c] = x[j, k, c]
                    sums[k * channels + c] = real(0)
            for p in range(colptr[j], colptr[j + 1]):
                if p + _AHEAD < edges:
                    ahead = np.intp(row[p + _AHEAD])
                    prefetch_row(flat, ahead * width, width)
                    prefetch_row(target_flat, ahead * 4 * heads, 4 * heads)
                i = np.intp(row[p])
                position = perm_t[p]
                if drops:
                    key = edge_key(position, dropout)
                    for k in range(heads):
                        keep[k] = keep_factor(key, k, dropout)
                known = i * 4 * heads
                if has_edge:  # added up in the order of the forward pass: of large logits another order is another sum
                    for k in range(heads):
                        weight[k] = exact_sum(target[i, 0, k], edge_logits[user_edge[p], k])
                    leaky_sum(weight, source, 0, weight, slope, heads)
                else:
                    leaky_sum(weight, target_flat, known, source, slope, heads)
                for k in range(heads):
                    z = target[i, 0, k]
                    if has_edge:
                        z = exact_sum(z, edge_logits[user_edge[p], k])
                    steep[k] = real(1) if exact_sum(z, source[k]) > 0 else slope
                exp_minus(weight, target_flat, known + heads, heads)
                for k in range(heads):
                    weight[k] *= target[i, 2, k]
                    dots[k] = dot_and_add(
                        sums, own, k * channels, weight[k] * keep[k], flat, i * width + k * channels, channels
                    )
                for k in range(heads):
                    # An edge that has all the weight keeps it: the difference would be rounding error times x.
                    slip = real(0) if weight[k] == real(1) else weight[k]
                    dots[k] = slip * (keep[k] * dots[k] - target[i, 3, k]) * steep[k]
                    total[k] += dots[k]
                if keeps:
                    slot = user_edge[p] if by_user else position
                    for k in range(heads):
                        grad_edge[slot, k] = dots[k]
            for k in range(heads):
                grad_src[j, k] = total[k]
                for c in range(channels):
                    grad_x[j, k, c] = sums[k * channels + c]

    @compiled(double, constant_heads, constant_channels)
    def row_sums(start, stop, rowptr, order, grad_edge, grad_dst):
        heads = constant_heads if constant_heads > 0 else grad_edge.shape[1]
        in_order = len(order) == 0
        for i in range(start, stop):
            for k in range(heads):
                grad_dst[i, k] = 0
            for p in range(rowptr[i], rowptr[i + 1]):
                e = p if in_order else order[p]
                for k in range(heads):
                    grad_dst[i, k] += grad_edge[e, k]

    return CompiledAttention(forward, prepare, outgoing, row_sums)
