"""Errors of several models at one horizon, side by side, and how their differences are put in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from gnnkit.compare.scores import Outcome, window_errors
from gnnkit.compare.statistics.bootstrap import Interval, PairedBootstrap, seed_scores
from gnnkit.data.spans import Step, steps_in_words

__all__ = ["Bench", "Name", "Words", "by_name", "make_benches"]

Name = tuple[str, str]
"""Of what is compared: a model, and the graph it was trained on or the family it is of."""


def by_name(outcomes: Iterable[Outcome], second: Callable[[Outcome], str]) -> dict[Name, list[Outcome]]:
    """Outcomes of all seeds under (model, `second` of the outcome), in the order in which they come."""
    found: dict[Name, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault((outcome.model, second(outcome)), []).append(outcome)
    return found


@dataclass(frozen=True)
class Bench:
    """Errors at one horizon, `[name]` → [S, W], the seed of each row, and the observed targets of each window [W]."""

    horizon: int
    errors: Mapping[Name, np.ndarray]
    seeds: Mapping[Name, Sequence[int]]
    counts: np.ndarray
    block: int
    resamples: int

    def scores(self, name: Name) -> np.ndarray:
        """The MAE of each seed, [S]."""
        return seed_scores(self.errors[name], self.counts, squared=False)

    def mae(self, name: Name) -> float:
        """The mean over seeds of the MAE."""
        return float(self.scores(name).mean())

    def bootstrap(self, errors: Mapping[str, np.ndarray]) -> PairedBootstrap:
        """Errors on these windows, [S, W] each, in blocks of history + horizon windows."""
        return PairedBootstrap(errors, self.counts, block=self.block, resamples=self.resamples)

    @property
    def windows(self) -> int:
        """Windows with an observed target."""
        return int((self.counts > 0).sum())


def make_benches(
    found: Mapping[Name, Sequence[Outcome]],
    true: Tensor,
    mask: Tensor,
    windows: Mapping[int, int],
    *,
    history: int,
    resamples: int,
) -> list[Bench]:
    """A bench for each horizon, ascending.

    Args:
        found: what was predicted, a list of seeds under each name.
        true: targets in the data's unit.
        mask: observed targets.
        windows: horizon P → number of leading windows that are scored.
        history: T.
        resamples: bootstrap draws.
    """
    tables = {name: window_errors(group, true, mask, windows) for name, group in found.items()}
    seeds = {name: [outcome.seed for outcome in group] for name, group in found.items()}
    benches = []
    for horizon in sorted(windows):
        errors, counts = {}, np.zeros(0)
        for name, (absolute, _, observed) in tables.items():
            errors[name] = np.array(absolute[name[0]][str(horizon)], dtype=np.float64)
            counts = np.array(observed[str(horizon)], dtype=np.float64)
        benches.append(Bench(horizon, errors, seeds, counts, history + horizon, resamples))
    return benches


@dataclass(frozen=True)
class Words:
    """How figures and horizons are put in words.

    Args:
        unit: the data's unit; empty where it is unknown.
        step_minutes: minutes in a step, or its unit; None where they are unknown.
        confidence: of the intervals.
    """

    unit: str
    step_minutes: Step
    confidence: float

    def ahead(self, horizon: int) -> str:
        """up to 15 minutes (3 steps) ahead"""
        steps = f"{horizon} step{'s' if horizon > 1 else ''}"
        if self.step_minutes is None:
            return f"up to {steps} ahead"
        return f"up to {steps_in_words(horizon, self.step_minutes)} ({steps}) ahead"

    def value(self, number: float) -> str:
        """3.21 mph"""
        return f"{number:.4g}{self._unit()}"

    def difference(self, interval: Interval | Mapping[str, float]) -> str:
        """-0.12 mph, 95% interval -0.2 to -0.04"""
        found = dataclasses.asdict(interval) if isinstance(interval, Interval) else interval
        bounds = f"{100 * self.confidence:g}% interval {found['low']:+.3g} to {found['high']:+.3g}"
        return f"{found['difference']:+.3g}{self._unit()}, {bounds}"

    def size(self, bench: Bench, seeds: int) -> str:
        """n = 380 test windows, 3 seeds"""
        return f"n = {bench.windows} test windows, {'one seed' if seeds == 1 else f'{seeds} seeds'}"

    def _unit(self) -> str:
        return f" {self.unit}" if self.unit else ""
