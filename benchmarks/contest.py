"""How everything is timed: the sides' numbers are compared first, then they take turns in one process; medians count.

A case has sides that take the same step on the same input. The first side is the one that the others are set against.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

__all__ = ["Case", "Side", "Step", "compete", "largest_difference", "seconds"]

Step = Callable[[], Sequence[Tensor]]


@dataclass(frozen=True)
class Side:
    """One of the contestants.

    `check` stands in for the step at the gate, where the step itself draws random numbers. `scale` multiplies the
    seconds of a side that is asked for a part of the work only, which its name then says. `within` is entered around
    each step, and not timed.
    """

    name: str
    version: str
    step: Step
    check: Step | None = None
    rounds: int = 7
    scale: float = 1.0
    within: Callable[[], AbstractContextManager[Any]] = nullcontext


@dataclass(frozen=True)
class Case:
    """A row of the table. `at_least` and `aim` are what a later side's median over the first's is to be; `at_most` too.

    `gate` is how much the sides' numbers may differ, relative to the largest; None: they are not compared. `moved` are
    the bytes that no step can help moving, for the share of a GPU's bandwidth that is made use of.
    """

    name: str
    title: str
    build: Callable[[torch.device], list[Side]]
    at_least: float | None = None
    aim: float | None = None
    at_most: float | None = None
    timed: bool = True
    memory: bool = False
    kept: bool = False
    first_call: bool = False
    warm_up: str | None = None
    gate: float | None = 1e-4
    devices: tuple[str, ...] = ("cpu", "cuda")
    moved: int | None = None
    facts: dict[str, int] = field(default_factory=dict)


def largest_difference(ours: Sequence[Tensor], theirs: Sequence[Tensor], floor: float = 0.0) -> float:
    """The largest difference over all tensors, each relative to its peer's largest magnitude.

    A gradient that is zero but for rounding has no scale of its own: none is less than `floor` times the largest.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} tensors stand against {len(theirs)}")
    sizes = [float(tensor.abs().max()) if tensor.numel() else 0.0 for tensor in theirs]
    gaps = [float((a - b).abs().max()) if b.numel() else 0.0 for a, b in zip(ours, theirs, strict=True)]
    least = max(1e-30, floor * max(sizes, default=0.0))
    return max((gap / max(size, least) for gap, size in zip(gaps, sizes, strict=True)), default=0.0)


def seconds(step: Callable[[], object], device: torch.device) -> float:
    """One call, timed by CUDA events on a GPU and by the clock elsewhere."""
    if device.type == "cuda":
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        step()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1e3
    start_time = time.perf_counter()
    step()
    return time.perf_counter() - start_time


def compete(
    name: str, sides: Sequence[Side], device: torch.device, *, gate: float | None = 1e-4, floor: float = 0.0
) -> list[dict[str, Any]]:
    """Compare the sides' numbers, warm each up, and time them in turns; who goes first changes from round to round.

    Returns:
        A row a side: the median of its rounds, their quartiles, and `ratio`, the median over that of the first side.

    Raises:
        SystemExit: The sides differ by more than `gate`.
    """
    difference = None
    if gate is not None:
        found = []
        for side in sides:
            with side.within():
                found.append([tensor.detach().clone() for tensor in (side.check or side.step)()])
        difference = max((largest_difference(found[0], other, floor) for other in found[1:]), default=0.0)
        if not difference <= gate:
            raise SystemExit(f"{name}: sides differ by {difference:.2e}, more than {gate:.0e}; nothing was timed")
        del found
    for side in sides:
        with side.within():
            side.step()
    times: dict[str, list[float]] = {side.name: [] for side in sides}
    for number in range(max(side.rounds for side in sides)):
        for side in sides if number % 2 == 0 else reversed(sides):
            if number < side.rounds:
                with side.within():
                    times[side.name].append(seconds(side.step, device) * side.scale)
    rows = []
    for side in sides:
        low, _, high = statistics.quantiles(times[side.name], n=4)
        median = statistics.median(times[side.name])
        figures = {"seconds": median, "quartile_low": low, "quartile_high": high, "rounds": side.rounds}
        figures |= {"ratio": median / statistics.median(times[sides[0].name]), "largest_difference": difference}
        rows.append({"side": side.name, "version": side.version, **figures})
    return rows
