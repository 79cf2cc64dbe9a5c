"""`neighbour_max` compiled for the CPU: one gather pass that keeps what was taken, and a backward pass that follows it.

The backward pass goes over the results and not over the edges. Threads share the columns, so that no two write to one
number: what one target sends back goes to few rows, which stay in a cache. Half precision is compared in single
precision.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from numba import njit
from torch import Tensor

from gnnkit.ops.autograd import Kernels
from gnnkit.ops.kernels.cache import compiled
from gnnkit.ops.kernels.llvm import vector_lanes
from gnnkit.ops.kernels.threads import empty, even_chunks, num_threads, real_type, run_chunks
from gnnkit.ops.neighbour_max.numba_rows import row_max, row_shares
from gnnkit.ops.neighbour_max.options import MaxInputs, MaxOptions
from gnnkit.ops.neighbour_max.torch import again
from gnnkit.ops.structure.chunks import graph_chunks
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["backward", "forward", "max_kernels", "neighbour_max"]

# A row that is not in a cache takes about as long as eight others take to be compared.
_AHEAD = 8

# Features of one batch that are larger than this do not stay in the cache of a core.
_CACHE_BYTES = 1 << 20

# Threads share the columns backward, in whole lines of the cache.
_LINE_BYTES = 64

# The weights' gradients are added up in so many parts, whatever the number of threads.
_WEIGHT_PARTS = 4


@cache
def max_kernels(double: bool, weighted: bool, largest: bool, shared: bool, keep: bool, ahead: int):
    """Kernels for a type and the settings, that ask for rows so far ahead."""
    real = np.float64 if double else np.float32
    lanes = vector_lanes(double)
    add_shares = row_shares(weighted)
    max_8, max_4, max_2, max_1 = (
        row_max(vectors, weighted, largest, shared and keep, keep, ahead) for vectors in (8, 4, 2, 1)
    )

    # Comparisons must mean what they say: no freedom in how products and NaN are treated.
    @njit(nogil=True)
    def entry(x, start, channels, neighbours, weight, first, last, c):
        """One entry of the result, and its place."""
        found, place = real(0), neighbours.dtype.type(0)
        for p in range(first, last):
            value = x[start + np.intp(neighbours[p]) * channels + c]
            if weighted:
                value = weight[p] * value
            better = value > found if largest else value < found
            if p == first or better or (value != value and found == found):
                found, place = value, neighbours.dtype.type(p)
            elif shared and value == found:
                place = neighbours.dtype.type(-3 if place >= 0 else place - 1)
        if shared and last > first:
            if found == 0:
                place = neighbours.dtype.type(-3 if place >= 0 else place - 1)
            elif found != found:
                place = neighbours.dtype.type(-1 - (last - first))
        return found, place

    @njit(nogil=True)
    def take(x, start, channels, neighbours, weight, first, last, out, places, to):
        """One row of the result, as few vectors wide as it takes; the last one may lie over the one before."""
        c = 0
        while c + 8 * lanes <= channels:
            max_8(x, start + c, channels, neighbours, weight, first, last, out, places, to + c)
            c += 8 * lanes
        if c + 4 * lanes <= channels:
            max_4(x, start + c, channels, neighbours, weight, first, last, out, places, to + c)
            c += 4 * lanes
        if c + 2 * lanes <= channels:
            max_2(x, start + c, channels, neighbours, weight, first, last, out, places, to + c)
            c += 2 * lanes
        if c + lanes <= channels:
            max_1(x, start + c, channels, neighbours, weight, first, last, out, places, to + c)
            c += lanes
        if c < channels and channels >= lanes:
            c = channels - lanes
            max_1(x, start + c, channels, neighbours, weight, first, last, out, places, to + c)
        elif c < channels:
            for c in range(channels):
                found, place = entry(x, start, channels, neighbours, weight, first, last, c)
                out[to + c] = found
                if keep:
                    places[to + c] = place

    @compiled(double, weighted, largest, shared, keep, ahead, fastmath=False)
    def gather(start, stop, pointers, neighbours, weight, x, out, places):
        channels, nodes, targets = x.shape[2], x.shape[1], out.shape[1]
        values, results, kept = x.reshape(-1), out.reshape(-1), places.reshape(-1)
        for batch in range(x.shape[0]):
            for i in range(start, stop):
                first, last, to = pointers[i], pointers[i + 1], (batch * targets + i) * channels
                take(values, batch * nodes * channels, channels, neighbours, weight, first, last, results, kept, to)

    @compiled(double, weighted, largest, shared, keep, ahead, fastmath=False)
    def scatter(
        start, stop, pointers, neighbours, weight, x, out, places, grad, grad_x, slots, grad_weight, weight_chunk
    ):
        part = start // weight_chunk if grad_weight.shape[0] else 0
        nodes, targets, channels = grad_x.shape[1], out.shape[1], out.shape[2]
        values, taken_values, sums = x.reshape(-1), out.reshape(-1), grad_x.reshape(-1)
        kept, above_all = places.reshape(-1), grad.reshape(-1)
        whole = start if grad_weight.shape[0] else stop - (stop - start) % lanes
        for batch in range(grad_x.shape[0]):
            base = batch * nodes * channels
            for j in range(nodes):
                for c in range(start, stop):
                    sums[base + j * channels + c] = 0
            for i in range(targets):
                first, last = np.intp(pointers[i]), np.intp(pointers[i + 1])
                if first == last:
                    continue
                at, done = (batch * targets + i) * channels, start
                if shared and whole > start:
                    ties = kept[at + start]
                    for column in range(start, whole):
                        ties |= kept[at + column]  # negative where one of them is
                    # Of a row in which some values tie whole vectors are added.
                    while ties < 0 and done < whole:
                        add_shares(
                            values, base + done, channels, neighbours, weight, first, last, taken_values, kept,
                            above_all, at + done, sums,
                        )  # fmt: skip
                        done += lanes
                for c in range(done, stop):
                    place, above = kept[at + c], above_all[at + c]
                    if place >= 0:
                        j = base + np.intp(neighbours[place]) * channels + c
                        sums[j] += weight[place] * above if weighted else above
                        if grad_weight.shape[0]:
                            grad_weight[part, slots[place]] += above * values[j]
                        continue
                    taken = taken_values[at + c]
                    above = above / real(-1 - place)
                    for p in range(first, last):
                        j = base + np.intp(neighbours[p]) * channels + c
                        value = weight[p] * values[j] if weighted else values[j]
                        if value == taken or taken != taken:
                            sums[j] += weight[p] * above if weighted else above
                            if grad_weight.shape[0]:
                                grad_weight[part, slots[p]] += above * values[j]

    return gather, scatter


def _choose(x: Tensor, weighted: bool, options: MaxOptions):
    _, nodes, channels = x.shape
    large = nodes * channels * x.element_size() > _CACHE_BYTES
    return max_kernels(x.dtype == torch.float64, weighted, *options, _AHEAD if large else 0)


def _weights(graph: CompressedGraph, inputs: MaxInputs) -> Tensor:
    """Weights in the order of the incoming edges; empty where there are none."""
    if inputs.weight is None:
        return torch.empty(0, dtype=real_type(inputs.x))
    return graph.ordered(inputs.weight.detach(), outgoing=False).to(real_type(inputs.weight))


def _as_batch(x: Tensor) -> Tensor:
    # Not reshape(-1, ...): of a tensor without entries that leaves the number of batches open.
    return x.detach().to(real_type(x)).reshape(math.prod(x.shape[:-2]), *x.shape[-2:]).contiguous()


def forward(inputs: MaxInputs, graph: CompressedGraph, options: MaxOptions) -> tuple[Tensor, Tensor]:
    """The values taken, in the features' type, and the places of `options.shares`."""
    x, values = inputs.x, _as_batch(inputs.x)
    batch, _, channels = values.shape
    out = empty(batch, graph.num_dst, channels, dtype=values.dtype)
    places = empty(batch * options.keep, graph.num_dst, channels, dtype=graph.col.dtype)
    gather, _ = _choose(values, inputs.weight is not None, options)
    run_chunks(
        gather, graph_chunks(graph, batch * channels), graph.rowptr.numpy(), graph.col.numpy(),
        _weights(graph, inputs).numpy(), values.numpy(), out.numpy(), places.numpy(),
    )  # fmt: skip
    shape = (*x.shape[:-2], graph.num_dst, channels)
    return out.view(shape).to(x.dtype), places.view(shape) if options.keep else places


def backward(
    grad: Tensor,
    inputs: MaxInputs,
    kept: tuple[Tensor, Tensor],
    needed: tuple[bool, ...],
    graph: CompressedGraph,
    options: MaxOptions,
) -> tuple[Tensor, Tensor | None]:
    """Gradients of x and, where it is needed, of the weights."""
    out, places = kept
    x, values, above = inputs.x, _as_batch(inputs.x), _as_batch(grad)
    batch, nodes, channels = values.shape
    if inputs.weight is not None and x.dtype != values.dtype:
        # The result was rounded: which product it is of is seen before that alone.
        out = forward(MaxInputs(values.view(x.shape), inputs.weight.to(values.dtype)), graph, options)[0]
    grad_x = empty(batch, nodes, channels, dtype=values.dtype)
    _, scatter = _choose(values, inputs.weight is not None, options)
    need_weight = needed[1]
    chunks = even_chunks(channels, _WEIGHT_PARTS) if need_weight else _columns(channels, values.element_size())
    chunk = max((stop - start for start, stop in chunks), default=1)
    parts = len(chunks) if need_weight else 0
    if need_weight:
        chunks = [(start, min(start + chunk, channels)) for start in range(0, channels, chunk)]
    grad_weight = torch.zeros(parts, graph.num_edges, dtype=values.dtype)
    slots = torch.arange(graph.num_edges) if graph.perm is None else graph.perm.long()
    run_chunks(
        scatter, chunks, graph.rowptr.numpy(), graph.col.numpy(), _weights(graph, inputs).numpy(),
        values.numpy(), _as_batch(out).numpy(), places.reshape(batch, graph.num_dst, channels).contiguous().numpy(),
        above.numpy(), grad_x.numpy(), slots.numpy() if need_weight else np.empty(0, np.int64), grad_weight.numpy(),
        chunk,
    )  # fmt: skip
    grad_x = grad_x.view(x.shape).to(x.dtype)
    return grad_x, grad_weight.sum(0).to(x.dtype) if need_weight else None


def _columns(channels: int, itemsize: int) -> list[tuple[int, int]]:
    """Columns for each thread."""
    line = _LINE_BYTES // itemsize
    wide = -(-channels // (line * num_threads())) * line
    return [(start, min(start + wide, channels)) for start in range(0, channels, max(wide, 1))]


neighbour_max = Kernels(forward, backward, again)
