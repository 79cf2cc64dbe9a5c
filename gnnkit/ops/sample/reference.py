"""The sampling ops in plain Python: the truth that the compiled ones are held to, draw by draw."""

from __future__ import annotations

import math
from bisect import bisect_right

import torch
from torch import Tensor

__all__ = ["FLOYD", "draw_neighbors", "number_nodes"]

FLOYD = 64
"""Up to so many are drawn by Floyd's algorithm, which looks through what it has; more by selection sampling."""

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15


def _mix(state: int) -> int:
    """SplitMix64's finisher (Steele, Lea and Flood, 2014): 64 bits that look random, of any number."""
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return state ^ (state >> 31)


class _Draws:
    """The random numbers of one node of one call: SplitMix64 that starts where seed and place say."""

    def __init__(self, seed: int, place: int) -> None:
        self.state = _mix((seed + _STEP * (place + 1)) & _MASK)

    def bits(self) -> int:
        self.state = (self.state + _STEP) & _MASK
        return _mix(self.state)

    def below(self, number: int) -> int:
        """A whole number from 0 to `number` - 1."""
        return ((self.bits() >> 32) * number) >> 32

    def share(self) -> float:
        """A number between 0 and 1."""
        return ((self.bits() >> 11) + 0.5) * 2.0**-53


def _distinct(draws: _Draws, size: int, count: int) -> list[int]:
    """`count` of `size`: every set is equally likely."""
    chosen: list[int] = []
    if count <= FLOYD:
        for top in range(size - count, size):
            one = draws.below(top + 1)
            chosen.append(top if one in chosen else one)
        return chosen
    for number in range(size):
        if draws.below(size - number) < count - len(chosen):
            chosen.append(number)
    return chosen


def _weighted(draws: _Draws, weights: list[float], count: int, replace: bool) -> list[int]:
    some = [number for number, weight in enumerate(weights) if weight > 0]
    if not replace:
        if len(some) <= count:
            return some
        # The first arrivals of clocks that tick at these rates.
        arrivals = [(-math.log(draws.share()) / weights[number], number) for number in some]
        return [number for _, number in sorted(arrivals)[:count]]
    sums, total = [], 0.0
    for number in some:
        total += weights[number]
        sums.append(total)
    return [some[min(bisect_right(sums, draws.share() * total), len(some) - 1)] for _ in range(count * bool(some))]


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
    begins = pointers.tolist()
    positions, numbers = [], []
    for place, node in enumerate(nodes.tolist()):
        begin, end = begins[node], begins[node + 1]
        if time is not None and until is not None:
            end = begin + bisect_right(time[begin:end].tolist(), until[place].item())
        size, draws = end - begin, _Draws(seed, place)
        if last and 0 <= count < size:
            drawn = list(range(size - count, size))
        elif weight is not None:
            drawn = _weighted(draws, weight[begin:end].tolist(), size if count < 0 else count, replace and count >= 0)
        elif count < 0 or (size <= count and not replace):
            drawn = list(range(size))
        elif replace:
            drawn = [draws.below(size) for _ in range(count * bool(size))]
        else:
            drawn = _distinct(draws, size, count)
        positions += [begin + number for number in drawn]
        numbers.append(len(drawn))
    return torch.tensor(positions, dtype=torch.int64), torch.tensor(numbers, dtype=torch.int64)


def number_nodes(known: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """See `gnnkit.ops.sample.number_nodes`."""
    places: dict[int, int] = {}
    for place, one in enumerate(known.tolist()):
        places.setdefault(one, place)
    new: list[int] = []
    for one in ids.tolist():
        if one not in places:
            places[one] = known.numel() + len(new)
            new.append(one)
    found = [places[one] for one in ids.tolist()]
    return torch.tensor(found, dtype=torch.int64), torch.tensor(new, dtype=torch.int64)
