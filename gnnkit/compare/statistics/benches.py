"""Errors of several models at one horizon, side by side, and how their differences are put in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from gnnkit.compare.scores import Outcome, window_errors
from gnnkit.compare.statistics.bootstrap import seed_scores
from gnnkit.compare.statistics.significance import DieboldMariano, Judged, diebold_mariano

__all__ = ["UNJUDGED", "Bench", "Name", "Words", "by_name", "judged_columns", "make_benches"]

Name = tuple[str, str]
"""Of what is compared: a model, and the graph it was trained on or the family it is of."""


UNJUDGED: Mapping[str, Any] = MappingProxyType({"low": None, "high": None, "clear": False, "p": None})
"""What a row has where no test was made."""


def judged_columns(judged: Judged) -> dict[str, Any]:
    """What a row has of a test."""
    return {
        "difference": judged.difference,
        "low": judged.low,
        "high": judged.high,
        "clear": judged.clear,
        "p": judged.p_value,
    }


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

    def scores(self, name: Name) -> np.ndarray:
        """The MAE of each seed, [S]."""
        return seed_scores(self.errors[name], self.counts, squared=False)

    def mae(self, name: Name) -> float:
        """The mean over seeds of the MAE."""
        return float(self.scores(name).mean())

    def test(self, a: Float[np.ndarray, "S W"], b: Float[np.ndarray, "Z W"]) -> DieboldMariano:
        """The test of two errors on these windows."""
        return diebold_mariano(a, b, self.counts, lag=self.horizon - 1)

    @property
    def windows(self) -> int:
        """Windows with an observed target."""
        return int((self.counts > 0).sum())


def make_benches(
    found: Mapping[Name, Sequence[Outcome]],
    true: Tensor,
    mask: Tensor,
    windows: Mapping[int, int],
) -> list[Bench]:
    """A bench for each horizon, ascending.

    Args:
        found: what was predicted, a list of seeds under each name.
        true: targets in the data's unit.
        mask: observed targets.
        windows: horizon P → number of leading windows that are scored.
    """
    tables = {name: window_errors(group, true, mask, windows) for name, group in found.items()}
    seeds = {name: [outcome.seed for outcome in group] for name, group in found.items()}
    benches = []
    for horizon in sorted(windows):
        errors, counts = {}, np.zeros(0)
        for name, (absolute, _, observed) in tables.items():
            errors[name] = np.array(absolute[name[0]][str(horizon)], dtype=np.float64)
            counts = np.array(observed[str(horizon)], dtype=np.float64)
        benches.append(Bench(horizon, errors, seeds, counts))
    return benches


@dataclass(frozen=True)
class Words:
    """How figures and horizons are put in words.

    Args:
        unit: the data's unit; empty where it is unknown.
        step_minutes: minutes in a step; None where they are unknown.
        confidence: of the intervals.
    """

    unit: str
    step_minutes: float | None
    confidence: float

    def ahead(self, horizon: int) -> str:
        """up to 15 minutes (3 steps) ahead"""
        steps = f"{horizon} step{'s' if horizon > 1 else ''}"
        if self.step_minutes is None:
            return f"up to {steps} ahead"
        return f"up to {horizon * self.step_minutes:g} minutes ({steps}) ahead"

    def value(self, number: float) -> str:
        """3.21 mph"""
        return f"{number:.4g}{self._unit()}"

    def difference(self, test: Mapping[str, Any]) -> str:
        """-0.12 mph, 95% interval -0.2 to -0.04; the number alone where it was not judged"""
        text = f"{test['difference']:+.3g}{self._unit()}"
        if test["p"] is None:
            return text
        return f"{text}, {100 * self.confidence:g}% interval {test['low']:+.3g} to {test['high']:+.3g}"

    def size(self, bench: Bench, seeds: int) -> str:
        """n = 380 test windows, 3 seeds"""
        return f"n = {bench.windows} test windows, {'one seed' if seeds == 1 else f'{seeds} seeds'}"

    def _unit(self) -> str:
        return f" {self.unit}" if self.unit else ""
