"""`hop_levels` on the CPU, compiled: 64 sources in each machine word, up to eight words a node.

A group of sources is one search: `frontier`, `visited` hold a bit for each node and source. While the frontier has few
edges its nodes push their bits along them; then every unfinished node pulls from its incoming edges. The level at which
a bit was set is kept as bit planes, one word for each binary digit, and turned into numbers at the end, 64 nodes × 64
sources at a time: so the levels, which are far larger than the bits, are written once and in order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from gnnkit.ops.kernels.arithmetic import prefetch_row
from gnnkit.ops.kernels.cache import compiled
from gnnkit.ops.kernels.llvm import address, fill, splat, store
from gnnkit.ops.kernels.threads import empty, even_chunks, num_threads, run_chunks
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["hop_levels"]

# A pushed edge costs as much as several pulled ones, and only a pull can pass over nodes that are finished.
_PUSH_SHARE = 8

# How many edges of a node are pulled before it is looked whether it is finished.
_PULL_AT_ONCE = 32

# Edges between the request for a frontier row and its use.
_AHEAD = 16

# Nodes whose levels are written together.
_STRETCH = 256

_WORD = 64


def _write_64(typingctx: Any, planes: Any, first: Any, stride: Any, digits: Any, out: Any, start: Any) -> Any:
    """Write 64 numbers: digit b of number i is bit i of planes[first + (1 + b)·stride]; -1 where plane 0 has no bit."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        planes, first, stride, digits, out, start = arguments
        word = address(context, builder, signature.args[0], planes)
        target = address(context, builder, signature.args[4], out, start)
        element = ir.IntType(signature.args[4].dtype.bitwidth)
        numbers, bits = ir.VectorType(element, _WORD), ir.VectorType(ir.IntType(1), _WORD)
        zero = ir.Constant(numbers, None)
        reached = builder.bitcast(builder.load(builder.gep(word, [first])), bits)
        total = cgutils.alloca_once_value(builder, builder.select(reached, zero, fill(numbers, -1)))
        with cgutils.for_range(builder, digits) as loop:
            place = builder.add(first, builder.mul(stride, builder.add(loop.index, ir.Constant(stride.type, 1))))
            mask = builder.bitcast(builder.load(builder.gep(word, [place])), bits)
            digit = builder.shl(ir.Constant(element, 1), builder.trunc(loop.index, element))
            builder.store(
                builder.or_(builder.load(total), builder.select(mask, splat(builder, digit, numbers), zero)), total
            )
        store(builder, builder.load(total), target)
        return context.get_dummy_value()

    i = types.intp
    return types.void(planes, i, i, i, out, i), codegen


_spread: Any = intrinsic(_write_64)


@compiled(fastmath=False)
def _transpose(block, start):
    """Swap bit j of word i and bit i of word j, for 64 words."""
    width = 32
    mask = np.uint64(0x00000000FFFFFFFF)
    while width:
        shift = np.uint64(width)
        for base in range(0, 64, 2 * width):
            for i in range(start + base, start + base + width):
                low, high = block[i], block[i + width]
                swapped = ((low >> shift) ^ high) & mask
                block[i + width] = high ^ swapped
                block[i] = low ^ (swapped << shift)
        width >>= 1
        mask ^= mask << np.uint64(width)


@compiled(fastmath=False)
def _write_levels(bits, nodes, words, count, digits, out, first_row):
    """Turn planes into rows of levels: bits[0] is visited, bits[1 + b] is binary digit b."""
    block = np.empty(65 * 64, np.uint64)
    edge = np.empty(64, out.dtype)
    # A stretch of nodes stays in the cache while all its words are taken, and each row gets several lines at once.
    for stretch in range(0, nodes, _STRETCH):
        for word in range((count + 63) // 64):
            for start in range(stretch, min(stretch + _STRETCH, nodes), 64):
                width = min(64, nodes - start)
                for plane in range(digits + 1):
                    row = bits[plane]
                    for i in range(width):
                        block[plane * 64 + i] = row[(start + i) * words + word]
                    for i in range(width, 64):
                        block[plane * 64 + i] = 0
                    _transpose(block, plane * 64)
                for s in range(min(64, count - word * 64)):
                    target = (first_row + word * 64 + s) * nodes + start
                    if width == 64:
                        _spread(block, s, 64, digits, out, target)
                    else:
                        _spread(block, s, 64, digits, edge, 0)
                        out[target : target + width] = edge[:width]


@compiled(fastmath=False)
def _pull(node, words, rowptr, col, frontier, visited, full, fresh):
    at = node * words
    stop, edges = rowptr[node + 1], len(col)
    any_new = np.uint64(0)
    begin = np.intp(rowptr[node])
    while begin < stop:
        end = min(begin + _PULL_AT_ONCE, stop)
        if words == 8:
            a, b, c, d = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
            e, f, g, h = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
            for p in range(begin, end):
                if p + _AHEAD < edges:
                    prefetch_row(frontier, np.intp(col[p + _AHEAD]) * 8, 8)
                u = np.intp(col[p]) * 8
                a |= frontier[u]
                b |= frontier[u + 1]
                c |= frontier[u + 2]
                d |= frontier[u + 3]
                e |= frontier[u + 4]
                f |= frontier[u + 5]
                g |= frontier[u + 6]
                h |= frontier[u + 7]
            fresh[at] |= a
            fresh[at + 1] |= b
            fresh[at + 2] |= c
            fresh[at + 3] |= d
            fresh[at + 4] |= e
            fresh[at + 5] |= f
            fresh[at + 6] |= g
            fresh[at + 7] |= h
        else:
            for w in range(words):
                one = np.uint64(0)
                for p in range(begin, end):
                    one |= frontier[np.intp(col[p]) * words + w]
                fresh[at + w] |= one
        begin = end
        missing = np.uint64(0)
        for w in range(words):
            missing |= full[w] & ~(visited[at + w] | fresh[at + w])
        if missing == 0:
            break
    for w in range(words):
        fresh[at + w] &= ~visited[at + w]
        any_new |= fresh[at + w]
    return any_new != 0


@compiled(fastmath=False)
def _search(
    start, stop, words, rowptr, col, colptr, row, sources, max_hops, out, deepest,
    bits, frontier, fresh, active, waiting,
):  # fmt: skip
    nodes, edges = len(rowptr) - 1, len(col)
    full = np.empty(words, np.uint64)
    visited = bits[0]
    fresh[:] = 0
    for group in range(start, stop):
        first = group * words * 64
        count = min(words * 64, len(sources) - first)
        digits = 0
        visited[:] = 0
        frontier[:] = 0
        full[:] = 0
        num_active, outgoing = 0, 0
        for s in range(count):
            node = sources[first + s]
            mine = np.uint64(1) << np.uint64(s % 64)
            full[s // 64] |= mine
            seen = np.uint64(0)
            for w in range(words):
                seen |= frontier[node * words + w]
            if seen == 0:
                active[num_active] = node
                num_active += 1
                outgoing += colptr[node + 1] - colptr[node]
            frontier[node * words + s // 64] |= mine
            visited[node * words + s // 64] |= mine
        level = 0
        while num_active > 0 and level < max_hops:
            level += 1
            if level >> digits:
                digits += 1
                bits[digits] = 0
            found = 0
            if outgoing < edges // _PUSH_SHARE:
                for k in range(num_active):
                    node = np.intp(active[k])
                    for p in range(colptr[node], colptr[node + 1]):
                        target = np.intp(row[p]) * words
                        before, new = np.uint64(0), np.uint64(0)
                        for w in range(words):
                            before |= fresh[target + w]
                            more = frontier[node * words + w] & ~visited[target + w]
                            fresh[target + w] |= more
                            new |= more
                        if before == 0 and new != 0:
                            waiting[found] = row[p]
                            found += 1
            else:
                for node in range(nodes):
                    missing = np.uint64(0)
                    for w in range(words):
                        missing |= full[w] & ~visited[node * words + w]
                    if missing != 0 and _pull(node, words, rowptr, col, frontier, visited, full, fresh):
                        waiting[found] = node
                        found += 1
            for k in range(num_active):
                node = np.intp(active[k])
                for w in range(words):
                    frontier[node * words + w] = 0
            outgoing = 0
            for k in range(found):
                node = np.intp(waiting[k])
                for digit in range(1 + digits):
                    if digit == 0 or (level >> (digit - 1)) & 1:
                        for w in range(words):
                            bits[digit, node * words + w] |= fresh[node * words + w]
                outgoing += colptr[node + 1] - colptr[node]
            frontier, fresh = fresh, frontier
            active, waiting = waiting, active
            num_active = found
        if num_active == 0:
            level -= 1
        deepest[group] = level
        _write_levels(bits, nodes, words, count, digits, out, first)


def hop_levels(graph: CompressedGraph, sources: Tensor, max_hops: int, dtype: torch.dtype) -> tuple[Tensor, int]:
    """See `gnnkit.ops.hop_levels`; beside the levels comes the greatest of them."""
    nodes, count = graph.num_dst, sources.numel()
    out = empty(count, nodes, dtype=dtype)
    if count == 0:
        return out, 0
    # Few sources: narrow groups, so that every thread has one.
    words = 8 if count > 256 * num_threads() else 1
    groups = -(-count // (_WORD * words))
    limit = torch.iinfo(dtype).max
    # One level more than can be written is looked for: if there is one, the result is not used.
    hops = min(max_hops, limit + 1)
    planes = 1 + hops.bit_length()
    deepest = np.zeros(groups, np.int64)
    structure = [tensor.numpy() for tensor in (graph.rowptr, graph.col, graph.colptr, graph.row)]
    arguments = (*structure, sources.numpy(), hops, out.numpy().reshape(-1), deepest)

    def search(start: int, stop: int) -> None:
        # Planes that no level needs are never touched, and so take no memory.
        bits, frontier, fresh = (
            empty(rows, nodes * words, dtype=torch.int64).numpy().view(np.uint64) for rows in (planes, 1, 1)
        )
        active, waiting = np.empty(nodes, np.int32), np.empty(nodes, np.int32)
        workspace = (bits, frontier[0], fresh[0], active, waiting)
        kernel: Any = _search
        kernel(start, stop, words, *arguments, *workspace)

    run_chunks(search, even_chunks(groups, num_threads()))
    return out, int(deepest.max())
