"""The compiled loops of `pair_attention`'s backward pass; `numba` calls them with addresses: a call costs little.

For an edge e from j to i, with p = softmax of the logits l over the incoming edges of i, and m dropout's factor:

    GATv2          z_e = q_i + k_j + W x_e,  l_e = <a, leaky(z_e)>,  v_e = k_j
    dot product    l_e = f <q_i, (k_j, x_e)>,                        v_e = (v_j, x_e)
    out_i = Σ_e p_e m_e v_e        dl_e = p_e (m_e <g_i, v_e> − <g_i, out_i>)

    dv_j = Σ_e p_e m_e g_i         dz_e = dl_e a leaky'(z_e), whose sums are dq_i, dk_j and (with x_e) dW
                                   dq_i = f Σ_e dl_e (k_j, x_e),     dk_j = f Σ_e dl_e q_i

The backward pass goes over the outgoing edges, where it finds dl and what belongs to sources, then over the incoming
ones for what belongs to targets. Of each edge it keeps the K numbers dl, and nothing of size E × K × C exists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numba import carray  # pyright: ignore[reportPrivateImportUsage]

from gnnkit.ops.attention.numba_kernels import edge_key, keep_factor
from gnnkit.ops.kernels.arithmetic import prefetch_row, stack_array_of
from gnnkit.ops.kernels.cache import compiled
from gnnkit.ops.kernels.llvm import float32s, float64s, int32s, int64s
from gnnkit.ops.kernels.rows import channel_rows, head_rows
from gnnkit.ops.pair_attention.numba_forward import AHEAD
from gnnkit.ops.pair_attention.numba_rows import leaky_rows, mapped_row

__all__ = ["BackwardKernels", "backward_kernels"]


@dataclass(frozen=True)
class BackwardKernels:
    """The loops, each called as that of `numba_forward`; `incoming` with its chunk's number after (start, stop)."""

    prepare: Callable[..., None]
    outgoing: Callable[..., None]
    incoming: Callable[..., None]


@cache
def backward_kernels(
    double: bool, wide: bool, dot: bool, constant_heads: int, constant_channels: int
) -> BackwardKernels:
    """The loops for one type, logit and (or any) size: see `numba_forward.forward_kernel`."""
    real, reals = (np.float64, float64s) if double else (np.float32, float32s)
    ints = int64s if wide else int32s
    exp_minus = head_rows(double, constant_heads).exp_minus
    channel = channel_rows(double, constant_channels)
    add_scaled, dot_product, dot_and_add = channel.add_scaled, channel.dot, channel.dot_and_add
    leaky, width_of_all = leaky_rows(double, constant_channels), constant_heads * constant_channels
    leaky_dot, add_steps, add_steps_and_values = leaky.leaky_dot, leaky.add_steps, leaky.add_steps_and_values
    add_exactly, mapped = leaky_rows(double, width_of_all).add_exactly, mapped_row(double, width_of_all)
    per_head, per_row = stack_array_of(double, constant_heads), stack_array_of(double, width_of_all)
    product = channel_rows(double, 0).dot

    @compiled(double, wide, dot, constant_heads, constant_channels)
    def prepare(start, stop, sizes, grad_at, out_at, stats_at, target_at):
        heads = constant_heads if constant_heads > 0 else sizes[0]
        channels = constant_channels if constant_channels > 0 else sizes[1]
        features, num_dst = sizes[2], sizes[4]
        part = channels + features if dot else channels
        count = num_dst * heads * part
        grad, out = carray(reals(grad_at), (count,)), carray(reals(out_at), (count,))
        stats, target = (
            carray(reals(stats_at), (num_dst * 2 * heads,)),
            carray(reals(target_at), (num_dst * 3 * heads,)),
        )
        for i in range(start, stop):
            for k in range(heads):
                here = (i * heads + k) * part
                target[i * 3 * heads + k] = stats[i * 2 * heads + k]
                target[(i * 3 + 1) * heads + k] = stats[(i * 2 + 1) * heads + k]
                # Where all that a row averages is equal the products of its edges are this very number.
                found = dot_product(out, here, grad, here, channels)
                if dot and features > 0:
                    found += product(out, here + channels, grad, here + channels, features)
                target[(i * 3 + 2) * heads + k] = found

    @compiled(double, wide, dot, constant_heads, constant_channels)
    def outgoing(start, stop, sizes, graph, inputs, numbers, grad_at, target_at, grads, change_at):
        heads = constant_heads if constant_heads > 0 else sizes[0]
        channels = constant_channels if constant_channels > 0 else sizes[1]
        features, edges, num_dst, num_src = sizes[2], sizes[3], sizes[4], sizes[5]
        width, has_edge, wants_edge = heads * channels, inputs[4] != 0, grads[2] != 0
        part = channels + features if dot else channels
        row = heads * part
        colptr, rows_of = carray(ints(graph[3]), (num_src + 1,)), carray(ints(graph[4]), (edges,))
        perm_t, perm, permuted = carray(ints(graph[5]), (edges,)), carray(ints(graph[2]), (edges,)), graph[2] != 0
        query, key = carray(reals(inputs[0]), (num_dst * row,)), carray(reals(inputs[1]), (num_src * width,))
        value, att = carray(reals(inputs[2]), (num_src * width,)), carray(reals(inputs[3]), (width,))
        edge_attr = carray(reals(inputs[4]), (edges * features,))
        edge_map = carray(reals(inputs[5]), (features * width,))
        grad, target = carray(reals(grad_at), (num_dst * row,)), carray(reals(target_at), (num_dst * 3 * heads,))
        grad_key, grad_value = carray(reals(grads[0]), (num_src * width,)), carray(reals(grads[1]), (num_src * width,))
        grad_edge = carray(reals(grads[2]), (edges * features,))
        change = carray(reals(change_at), (edges * heads,))
        slope, factor = real(numbers[0]), real(numbers[1])
        dropout = (np.uint32(numbers[2]), np.uint32(numbers[3]), np.uint32(numbers[4]), real(numbers[5]), real(0))
        drops = dropout[2] > 0
        weight, keep, dots = per_head(heads), per_head(heads), per_head(heads)
        own, mine, mixed, sums, steps = per_row(width), per_row(width), per_row(width), per_row(width), per_row(width)
        for k in range(heads):
            keep[k] = real(1)
        for j in range(start, stop):
            for c in range(width):
                own[c] = key[j * width + c]
                mine[c] = value[j * width + c] if dot else own[c]
                sums[c] = real(0)
                steps[c] = real(0)
            for p in range(np.intp(colptr[j]), np.intp(colptr[j + 1])):
                if p + AHEAD < edges:
                    ahead = np.intp(rows_of[p + AHEAD])
                    prefetch_row(query, ahead * row, row)
                    prefetch_row(grad, ahead * row, row)
                    prefetch_row(target, ahead * 3 * heads, 3 * heads)
                    prefetch_row(change, np.intp(perm_t[p + AHEAD]) * heads, heads)
                i, position = np.intp(rows_of[p]), np.intp(perm_t[p])
                e = np.intp(perm[position]) if permuted else position
                if not dot and has_edge:
                    mapped(mixed, query, i * row, edge_attr, e, edge_map, features, width)
                if drops:
                    edge = edge_key(position, dropout)
                    for k in range(heads):
                        keep[k] = keep_factor(edge, k, dropout)
                for k in range(heads):
                    at, here = i * row + k * part, k * channels
                    if dot:
                        weight[k] = dot_product(query, at, own, here, channels)
                        if has_edge:
                            weight[k] += product(query, at + channels, edge_attr, e * features, features)
                        weight[k] *= factor
                    elif has_edge:
                        weight[k] = leaky_dot(att, here, mixed, here, own, here, slope, channels)
                    else:
                        weight[k] = leaky_dot(att, here, query, at, own, here, slope, channels)
                exp_minus(weight, target, i * 3 * heads, heads)
                for k in range(heads):
                    at, here = i * row + k * part, k * channels
                    weight[k] *= target[(i * 3 + 1) * heads + k]
                    dots[k] = dot_and_add(sums, mine, here, weight[k] * keep[k], grad, at, channels)
                    if dot and has_edge:
                        dots[k] += product(edge_attr, e * features, grad, at + channels, features)
                    # An edge that has all the weight keeps it: the difference would be rounding error times x.
                    slip = real(0) if weight[k] == real(1) else weight[k]
                    dots[k] = slip * (keep[k] * dots[k] - target[(i * 3 + 2) * heads + k])
                    change[position * heads + k] = dots[k]
                    if dot:
                        add_scaled(steps, here, factor * dots[k], query, at, channels)
                    elif has_edge:
                        add_steps(steps, here, dots[k], mixed, here, own, here, slope, channels)
                    else:
                        add_steps(steps, here, dots[k], query, at, own, here, slope, channels)
                if dot and wants_edge:
                    for d in range(features):
                        found = real(0)
                        for k in range(heads):
                            at = i * row + k * part + channels + d
                            found += factor * dots[k] * query[at] + weight[k] * keep[k] * grad[at]
                        grad_edge[e * features + d] = found
            for c in range(width):
                if dot:
                    grad_key[j * width + c] = steps[c]
                    grad_value[j * width + c] = sums[c]
                else:
                    grad_key[j * width + c] = sums[c] + att[c] * steps[c]

    @compiled(double, wide, dot, constant_heads, constant_channels)
    def incoming(start, stop, number, sizes, graph, inputs, numbers, change_at, grads, shares_at):
        heads = constant_heads if constant_heads > 0 else sizes[0]
        channels = constant_channels if constant_channels > 0 else sizes[1]
        features, edges, num_dst, num_src = sizes[2], sizes[3], sizes[4], sizes[5]
        width, has_edge, wants_edge, permuted = heads * channels, inputs[4] != 0, grads[1] != 0, graph[2] != 0
        part = channels + features if dot else channels
        row, share = heads * part, 0 if dot else number * (1 + features) * width
        rowptr, col = carray(ints(graph[0]), (num_dst + 1,)), carray(ints(graph[1]), (edges,))
        perm = carray(ints(graph[2]), (edges,))
        query, key = carray(reals(inputs[0]), (num_dst * row,)), carray(reals(inputs[1]), (num_src * width,))
        att, edge_attr = carray(reals(inputs[3]), (width,)), carray(reals(inputs[4]), (edges * features,))
        edge_map = carray(reals(inputs[5]), (features * width,))
        change, grad_query = carray(reals(change_at), (edges * heads,)), carray(reals(grads[0]), (num_dst * row,))
        grad_edge = carray(reals(grads[1]), (edges * features,))
        # What this chunk of rows adds to the gradients of att and edge_map.
        shares = carray(reals(shares_at), (share + (1 + features) * width,))
        slope, factor = real(numbers[0]), real(numbers[1])
        sums, mixed, steps = np.empty(row, real) if dot else per_row(width), per_row(width), per_row(width)
        for i in range(start, stop):
            for c in range(row):
                sums[c] = real(0)
            for p in range(np.intp(rowptr[i]), np.intp(rowptr[i + 1])):
                if p + AHEAD < edges:
                    prefetch_row(key, np.intp(col[p + AHEAD]) * width, width)
                at = np.intp(col[p]) * width
                e = np.intp(perm[p]) if permuted else p
                if dot:
                    for k in range(heads):
                        scaled = factor * change[p * heads + k]
                        add_scaled(sums, k * part, scaled, key, at + k * channels, channels)
                        for d in range(features):
                            sums[k * part + channels + d] += scaled * edge_attr[e * features + d]
                elif has_edge:
                    mapped(mixed, query, i * row, edge_attr, e, edge_map, features, width)
                    for k in range(heads):
                        here = k * channels
                        for c in range(channels):
                            steps[here + c] = real(0)
                        add_steps_and_values(
                            steps, here, shares, share + here, change[p * heads + k],
                            mixed, here, key, at + here, slope, channels,
                        )  # fmt: skip
                    for c in range(width):
                        sums[c] += steps[c]
                    for d in range(features):
                        add_exactly(shares, share + (1 + d) * width, edge_attr[e * features + d], steps, 0, width)
                    if wants_edge:
                        for c in range(width):
                            steps[c] *= att[c]
                        for d in range(features):
                            grad_edge[e * features + d] = product(edge_map, d * width, steps, 0, width)
                else:
                    for k in range(heads):
                        here = k * channels
                        add_steps_and_values(
                            sums, here, shares, share + here, change[p * heads + k],
                            query, i * row + here, key, at + here, slope, channels,
                        )  # fmt: skip
            for c in range(row):
                grad_query[i * row + c] = sums[c] if dot else sums[c] * att[c]

    return BackwardKernels(prepare, outgoing, incoming)
