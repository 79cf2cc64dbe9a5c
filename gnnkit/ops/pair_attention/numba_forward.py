"""The compiled loop of `pair_attention`'s forward pass; see `numba_backward` for the equations."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import carray  # pyright: ignore[reportPrivateImportUsage]

from gnnkit.ops.attention.numba_kernels import edge_key, keep_factor
from gnnkit.ops.kernels.arithmetic import prefetch_row, stack_array_of
from gnnkit.ops.kernels.cache import compiled
from gnnkit.ops.kernels.llvm import float32s, float64s, int32s, int64s
from gnnkit.ops.kernels.rows import channel_rows, head_rows
from gnnkit.ops.pair_attention.numba_rows import leaky_rows, mapped_row

__all__ = ["AHEAD", "forward_kernel"]

AHEAD = 8
"""Ask for the rows that are needed so many edges later."""

# Edges whose logits are found before their values are added up: rows are in the nearest cache when they are read again.
_BLOCK = 16


@cache
def forward_kernel(
    double: bool, wide: bool, dot: bool, constant_heads: int, constant_channels: int
) -> Callable[..., None]:
    """The loop for float64 or float32, int64 or int32; heads and channels are constants, 0 stands for any number.

    It is called with (start, stop, sizes, addresses, ...): sizes are heads, channels, features of an edge, edges,
    targets and sources; an address is 0 where nothing is given.
    """
    real, reals = (np.float64, float64s) if double else (np.float32, float32s)
    ints = int64s if wide else int32s
    rows = head_rows(double, constant_heads)
    take_larger, exp_minus = rows.take_larger, rows.exp_minus
    channel = channel_rows(double, constant_channels)
    add_scaled, dot_product = channel.add_scaled, channel.dot
    leaky_dot = leaky_rows(double, constant_channels).leaky_dot
    mapped = mapped_row(double, constant_heads * constant_channels)
    per_head, per_row = (stack_array_of(double, constant_heads * n) for n in (1, constant_channels))
    per_block = stack_array_of(double, constant_heads * _BLOCK)
    product = channel_rows(double, 0).dot

    @compiled(double, wide, dot, constant_heads, constant_channels)
    def forward(start, stop, sizes, graph, inputs, numbers, out_at, stats_at):
        heads = constant_heads if constant_heads > 0 else sizes[0]
        channels = constant_channels if constant_channels > 0 else sizes[1]
        features, edges, num_dst, num_src = sizes[2], sizes[3], sizes[4], sizes[5]
        width, has_edge, permuted = heads * channels, inputs[4] != 0, graph[2] != 0
        part = channels + features if dot else channels
        row = heads * part
        rowptr, col = carray(ints(graph[0]), (num_dst + 1,)), carray(ints(graph[1]), (edges,))
        perm = carray(ints(graph[2]), (edges,))
        query, key = carray(reals(inputs[0]), (num_dst * row,)), carray(reals(inputs[1]), (num_src * width,))
        value, att = carray(reals(inputs[2]), (num_src * width,)), carray(reals(inputs[3]), (width,))
        edge_attr = carray(reals(inputs[4]), (edges * features,))
        edge_map = carray(reals(inputs[5]), (features * width,))
        out, stats = carray(reals(out_at), (num_dst * row,)), carray(reals(stats_at), (num_dst * 2 * heads,))
        slope, factor = real(numbers[0]), real(numbers[1])
        dropout = (np.uint32(numbers[2]), np.uint32(numbers[3]), np.uint32(numbers[4]), real(numbers[5]), real(0))
        drops = dropout[2] > 0
        largest, top, total, weight = per_head(heads), per_head(heads), per_head(heads), per_head(heads)
        shrink, logits, mixed = per_head(heads), per_block(heads * _BLOCK), per_row(width)
        sums = np.empty(row, real) if dot else per_row(width)
        for i in range(start, stop):
            begin, end = np.intp(rowptr[i]), np.intp(rowptr[i + 1])
            for k in range(heads):
                largest[k] = real(-np.inf)
                total[k] = real(0)
            for c in range(row):
                sums[c] = real(0)
            for first in range(begin, end, _BLOCK):
                last = min(first + _BLOCK, end)
                for k in range(heads):
                    top[k] = largest[k]
                for p in range(first, last):
                    if p + AHEAD < edges:
                        prefetch_row(key, np.intp(col[p + AHEAD]) * width, width)
                        if dot:
                            prefetch_row(value, np.intp(col[p + AHEAD]) * width, width)
                    at = np.intp(col[p]) * width
                    e = np.intp(perm[p]) if permuted else p
                    if not dot and has_edge:
                        mapped(mixed, query, i * row, edge_attr, e, edge_map, features, width)
                    for k in range(heads):
                        own, other = i * row + k * part, at + k * channels
                        if dot:
                            weight[k] = dot_product(query, own, key, other, channels)
                            if has_edge:
                                weight[k] += product(query, own + channels, edge_attr, e * features, features)
                            weight[k] *= factor
                        elif has_edge:
                            weight[k] = leaky_dot(att, k * channels, mixed, k * channels, key, other, slope, channels)
                        else:
                            weight[k] = leaky_dot(att, k * channels, query, own, key, other, slope, channels)
                        logits[(p - first) * heads + k] = weight[k]
                    take_larger(top, weight, heads)
                # Where nothing but -inf has been seen these count from zero, and weigh nothing.
                for k in range(heads):
                    shrink[k] = largest[k]
                    largest[k] = top[k]
                    top[k] = top[k] if top[k] > real(-np.inf) else real(0)
                if first > begin:
                    exp_minus(shrink, top, 0, heads)
                    for k in range(heads):
                        total[k] *= shrink[k]
                        for c in range(part):
                            sums[k * part + c] *= shrink[k]
                for p in range(first, last):
                    at = np.intp(col[p]) * width
                    for k in range(heads):
                        weight[k] = logits[(p - first) * heads + k]
                    exp_minus(weight, top, 0, heads)
                    for k in range(heads):
                        total[k] += weight[k]
                    if drops:
                        edge = edge_key(p, dropout)
                        for k in range(heads):
                            weight[k] *= keep_factor(edge, k, dropout)
                    for k in range(heads):
                        if dot:
                            add_scaled(sums, k * part, weight[k], value, at + k * channels, channels)
                        else:
                            add_scaled(sums, k * part, weight[k], key, at + k * channels, channels)
                    if dot and has_edge:
                        e = np.intp(perm[p]) if permuted else p
                        for k in range(heads):
                            for d in range(features):
                                sums[k * part + channels + d] += weight[k] * edge_attr[e * features + d]
            for k in range(heads):
                # A row without edges stays zero.
                inverse = real(1) / total[k] if end > begin else real(0)
                stats[i * 2 * heads + k] = top[k] if end > begin else real(0)
                stats[(i * 2 + 1) * heads + k] = inverse
                for c in range(part):
                    out[i * row + k * part + c] = sums[k * part + c] * inverse

    return forward
