"""The sampling ops on the CPU, compiled; draw by draw the same as the reference."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from gnnkit.ops.kernels.cache import compiled
from gnnkit.ops.sample.reference import FLOYD

__all__ = ["draw_neighbors", "number_nodes"]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_11, _27, _30, _31, _32 = (np.uint64(bits) for bits in (11, 27, 30, 31, 32))
_ONE = np.uint64(1)
_GRAIN = 2.0**-53
_FREE = -1


@compiled(fastmath=False)
def _mix(state):
    state = (state ^ (state >> _30)) * _FIRST
    state = (state ^ (state >> _27)) * _SECOND
    return state ^ (state >> _31)


@compiled(fastmath=False)
def _below(bits, number):
    return np.int64(((bits >> _32) * np.uint64(number)) >> _32)


@compiled(fastmath=False)
def _share(bits):
    return (np.float64(bits >> _11) + 0.5) * _GRAIN


@compiled(fastmath=False)
def _candidates(begin, end, time, until, place):
    """How many edges from `begin` on are not later than `until`; all, where there are no times."""
    if len(until) == 0:
        return end - begin
    low, high = begin, end
    while low < high:
        middle = (low + high) // 2
        if time[middle] <= until[place]:
            low = middle + 1
        else:
            high = middle
    return low - begin


@compiled(fastmath=False)
def _count(pointers, nodes, count, replace, time, until, weight, sizes, numbers):
    """Sizes and numbers of draws; the sum of these."""
    total = 0
    for place in range(len(nodes)):
        begin = pointers[nodes[place]]
        size = _candidates(begin, pointers[nodes[place] + 1], time, until, place)
        some = size
        if len(weight):
            some = 0
            for position in range(begin, begin + size):
                some += weight[position] > 0
        sizes[place] = size
        if count < 0:
            numbers[place] = some
        elif replace:
            numbers[place] = count if some > 0 else 0
        else:
            numbers[place] = min(some, count)
        total += numbers[place]
    return total


@compiled(fastmath=False)
def _by_weight(begin, size, number, count, replace, weight, state, out, at):
    some, total = 0, 0.0
    for position in range(begin, begin + size):
        if weight[position] > 0:
            some += 1
            total += weight[position]
    if number == some and not (replace and count >= 0):
        for position in range(begin, begin + size):
            if weight[position] > 0:
                out[at] = position
                at += 1
        return
    if replace:
        sums, places = np.empty(some, np.float64), np.empty(some, np.int64)
        fill, total = 0, 0.0
        for position in range(begin, begin + size):
            if weight[position] > 0:
                total += weight[position]
                sums[fill], places[fill] = total, position
                fill += 1
        for draw in range(number):
            state += _STEP
            found = np.searchsorted(sums, _share(_mix(state)) * total, side="right")
            out[at + draw] = places[min(found, some - 1)]
        return
    # The first arrivals of clocks that tick at these rates, kept in order.
    arrivals = np.empty(number, np.float64)
    filled = 0
    for position in range(begin, begin + size):
        if weight[position] > 0:
            state += _STEP
            arrival = -math.log(_share(_mix(state))) / weight[position]
            if filled < number or arrival < arrivals[number - 1]:
                filled = min(filled + 1, number)
                hole = filled - 1
                while hole > 0 and arrivals[hole - 1] > arrival:
                    arrivals[hole], out[at + hole] = arrivals[hole - 1], out[at + hole - 1]
                    hole -= 1
                arrivals[hole], out[at + hole] = arrival, position


@compiled(fastmath=False)
def _draw(pointers, nodes, count, seed, replace, last, weight, sizes, numbers, out):
    at = 0
    for place in range(len(nodes)):
        begin, size, number = pointers[nodes[place]], sizes[place], numbers[place]
        state = _mix(seed + _STEP * (np.uint64(place) + _ONE))
        if last and 0 <= count < size:
            for draw in range(number):
                out[at + draw] = begin + size - number + draw
        elif len(weight):
            _by_weight(begin, size, number, count, replace, weight, state, out, at)
        elif count < 0 or (size <= count and not replace):
            for draw in range(number):
                out[at + draw] = begin + draw
        elif replace:
            for draw in range(number):
                state += _STEP
                out[at + draw] = begin + _below(_mix(state), size)
        elif number <= FLOYD:
            for draw in range(number):
                top = size - number + draw
                state += _STEP
                one = begin + _below(_mix(state), top + 1)
                for former in range(at, at + draw):
                    if out[former] == one:
                        one = begin + top
                        break
                out[at + draw] = one
        else:
            taken = 0
            for candidate in range(size):
                state += _STEP
                if _below(_mix(state), size - candidate) < number - taken:
                    out[at + taken] = begin + candidate
                    taken += 1
        at += number


def draw_neighbors(
    pointers: Tensor,
    nodes: Tensor,
    count: int,
    seed: int,
    replace: bool,
    time: Tensor | None,
    until: Tensor | None,
    last: bool,
    weight: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """See `gnnkit.ops.sample.draw_neighbors`."""
    none = torch.empty(0, dtype=torch.float64)
    times, limits = none.numpy(), none.numpy()
    if time is not None and until is not None:
        kind = torch.promote_types(time.dtype, until.dtype)
        times, limits = time.to(kind).contiguous().numpy(), until.to(kind).contiguous().numpy()
    weights = (none if weight is None else weight).numpy()
    numbers, sizes = torch.empty_like(nodes), np.empty(nodes.numel(), np.int64)
    begins, at = pointers.numpy(), nodes.numpy()
    total = _count(begins, at, count, replace, times, limits, weights, sizes, numbers.numpy())
    positions = torch.empty(total, dtype=torch.int64)
    start = np.uint64(seed & ((1 << 64) - 1))
    _draw(begins, at, count, start, replace, last, weights, sizes, numbers.numpy(), positions.numpy())
    return positions, numbers


@compiled(fastmath=False)
def _number(known, ids, keys, values, places, new):
    """An open table: a free slot's key is -1."""
    mask = np.uint64(len(keys) - 1)
    fresh = 0
    for number in range(len(known) + len(ids)):
        one = known[number] if number < len(known) else ids[number - len(known)]
        slot = _mix(np.uint64(one)) & mask
        while keys[slot] != one and keys[slot] != _FREE:
            slot = (slot + _ONE) & mask
        if keys[slot] == _FREE:
            keys[slot] = one
            values[slot] = number if number < len(known) else len(known) + fresh
            if number >= len(known):
                new[fresh] = one
                fresh += 1
        if number >= len(known):
            places[number - len(known)] = values[slot]
    return fresh


def number_nodes(known: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """See `gnnkit.ops.sample.number_nodes`."""
    room = 1 << max(2 * (known.numel() + ids.numel()), 2).bit_length()
    keys, values = np.full(room, _FREE, np.int64), np.empty(room, np.int64)
    places, new = torch.empty_like(ids), torch.empty_like(ids)
    fresh = _number(known.numpy(), ids.numpy(), keys, values, places.numpy(), new.numpy())
    return places, new[:fresh].clone()
