"""A difference between two models, what a test says of it, and how it is put in words and tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gnnkit.compare.evidence import Evidence
from gnnkit.data.spans import Step, steps_in_words
from gnnkit.report.numbers import DASH, signed
from gnnkit.report.sections import Entry
from gnnkit.statistics.enough import fewest_spans, windows_needed
from gnnkit.statistics.paired import Judged

__all__ = ["AnyDifference", "Difference", "Words", "interval_entries", "judged_columns"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A difference of errors; mark, interval and p always agree.

    Args:
        difference: error of the one less that of the other; negative: the one is better.
        low, high: interval of the difference; None where no test was made.
        clear: the interval excludes 0.
        p: of the test, after the correction for what its question looks at; None where no test was made.
    """

    difference: float
    low: float | None = None
    high: float | None = None
    clear: bool = False
    p: float | None = None


class AnyDifference(Protocol):
    """What is shown of a difference."""

    @property
    def difference(self) -> float: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def clear(self) -> bool: ...


def judged_columns(judged: Judged) -> dict[str, Any]:
    """What a row has of a test."""
    low, high = judged.low, judged.high
    return {"difference": judged.difference, "low": low, "high": high, "clear": judged.clear, "p": judged.p_value}


def interval_entries(row: AnyDifference | None, places: int) -> list[Entry]:
    """Difference and interval; where it is clear, good below zero and bad above. Dashes where nothing was compared."""
    if row is None:
        return [Entry(DASH), Entry(DASH)]
    mark = "" if not row.clear else "good" if row.difference < 0 else "bad"
    interval = DASH
    if row.low is not None and row.high is not None:
        interval = f"{signed(row.low, places)} to {signed(row.high, places)}"
    return [Entry(signed(row.difference, places), row.difference, mark), Entry(interval, row.low)]


@dataclass(frozen=True)
class Words:
    """How figures and horizons are put in words.

    Args:
        unit: the data's unit; empty where it is unknown.
        step_minutes: minutes in a step, or its unit; None where they are unknown.
        confidence: of the intervals.
        test_share: share of all rows that are test rows, to say how many are missing where windows are too few; None:
            that is left out.
    """

    unit: str = ""
    step_minutes: Step = None
    confidence: float = 0.95
    test_share: float | None = None

    @classmethod
    def of(cls, evidence: Evidence) -> Words:
        """The words for the data of a comparison."""
        series = evidence.series
        step = series.step_minutes or series.step_unit or None
        share = sum(len(fold.series.split.test) for fold in evidence.folds) / series.num_rows
        return cls(series.unit, step, evidence.spec.confidence, share)

    def ahead(self, horizon: int) -> str:
        """up to 15 minutes (3 steps) ahead"""
        steps = f"{horizon} step{'s' if horizon > 1 else ''}"
        if self.step_minutes is None:
            return f"up to {steps} ahead"
        return f"up to {steps_in_words(horizon, self.step_minutes)} ({steps}) ahead"

    def value(self, number: float) -> str:
        """3.21 mph"""
        return f"{number:.4g}{self._unit()}"

    def difference(self, row: Difference) -> str:
        """-0.12 mph, 95% interval -0.2 to -0.04; the number alone where it was not judged"""
        text = f"{row.difference:+.3g}{self._unit()}"
        return text if row.p is None else f"{text}, {self.interval(row)}"

    def interval(self, row: Difference) -> str:
        """95% interval -0.2 to -0.04"""
        return f"{100 * self.confidence:g}% interval {row.low:+.3g} to {row.high:+.3g}"

    def difference_with_p(self, row: Difference) -> str:
        """difference -0.12 mph (95% interval -0.2 to -0.04, p = 0.01)"""
        return f"difference {row.difference:+.3g}{self._unit()} ({self.interval(row)}, {self.p(row)})"

    def p(self, row: Difference) -> str:
        """p = 0.01"""
        assert row.p is not None  # a verdict stands on a test
        return f"p = {row.p:.2g}" if row.p >= 0.001 else "p < 0.001"

    def power(self, detectable: float | None, score: float, seen: float, *, seeds: int = 1) -> str:
        """What a test that found nothing could have found.

        Args:
            detectable: smallest true difference that it finds with a chance of 80%.
            score: of the other model.
            seen: the difference that was seen.
            seeds: of the models; the noise between several is in the test, and more rows alone do not lower it.

        Example:
            >>> Words("mph").power(0.12, 2.0, 0.04)
            'A true difference of 0.12 mph (6%) would be found with a chance of 80%; this one, in 9 times the rows.'
        """
        if not detectable:
            return ""
        share = f" ({100 * detectable / score:.2g}%)" if score > 0 else ""
        sentence = f"A true difference of {detectable:.2g}{self._unit()}{share} would be found with a chance of 80%"
        times = (detectable / seen) ** 2 if seen else math.inf
        what = "rows" if seeds == 1 else "rows and seeds"
        more = f"; this one, in {float(f'{times:.2g}'):g} times the {what}" if 1 < times < 1000 else ""
        return f"{sentence}{more}."

    def size(self, counts: np.ndarray, seeds: int) -> str:
        """n = 380 test windows, 3 seeds"""
        return f"n = {int((counts > 0).sum())} test windows, {'one seed' if seeds == 1 else f'{seeds} seeds'}"

    def shortage(self, counts: Sequence[float] | np.ndarray, horizon: int) -> str:
        """What is missing for a verdict, in words that follow a horizon and a colon.

        Args:
            counts: observed targets of each window.
            horizon: P.

        Example:
            >>> Words(test_share=0.2).shortage([1] * 4, 3)[:75]
            '4 test windows are too few to judge: at least 16 are needed (about 60 more '
        """
        windows, needed = sum(count > 0 for count in counts), windows_needed(horizon, self.confidence)
        share = self.test_share
        more = f" (about {math.ceil((needed - windows) / share - 1e-9):,} more rows)" if share else ""
        number = f"{windows} test window{' is' if windows == 1 else 's are'}"
        spans = f"{fewest_spans(self.confidence)} spans of {horizon} step{'' if horizon == 1 else 's'}"
        return (
            f"{number} too few to judge: at least {needed} are needed{more}, which hold {spans} without a common row."
        )

    def _unit(self) -> str:
        return f" {self.unit}" if self.unit else ""
