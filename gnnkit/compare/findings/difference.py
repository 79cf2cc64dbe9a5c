"""A difference between two models, what a test says of it, and how it is put in words and tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gnnkit.compare.evidence import Evidence
from gnnkit.data.spans import Step, steps_in_words
from gnnkit.report.numbers import DASH, in_digits, signed
from gnnkit.report.sections import Entry
from gnnkit.statistics.enough import fewest_spans, windows_needed
from gnnkit.statistics.paired import Judged

__all__ = ["MARGIN", "AnyDifference", "Difference", "Powered", "Words", "interval_entries", "judged_columns"]

MARGIN = 0.01
"""Share of the MAE below which what a graph does is too small to matter."""
_MOST_TIMES = 100
"""Of the test windows there are: how many would be needed is counted out up to this."""


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


class Powered(Protocol):
    """A test that may have found nothing, and what it could have found."""

    @property
    def difference(self) -> float: ...
    @property
    def detectable(self) -> float | None: ...
    @property
    def spans(self) -> int | None: ...
    @property
    def spans_needed(self) -> int | None: ...
    @property
    def scores(self) -> list[float] | None: ...
    @property
    def seeds(self) -> int | None: ...


def judged_columns(judged: Judged) -> dict[str, Any]:
    """What a row has of a test."""
    low, high = judged.low, judged.high
    return {"difference": judged.difference, "low": low, "high": high, "clear": judged.clear, "p": judged.p_value}


def interval_entries(row: AnyDifference | None, places: int) -> list[Entry]:
    """Difference and interval; where it is clear, good below zero and bad above. Dashes where nothing was compared.

    A clear difference has decimals enough that neither it nor a bound of its interval is printed as zero.
    """
    if row is None:
        return [Entry(DASH), Entry(DASH)]
    mark = "" if not row.clear else "good" if row.difference < 0 else "bad"
    interval = DASH
    if row.low is not None and row.high is not None:
        if row.clear:
            places = max(places, _places(min(abs(row.low), abs(row.high), abs(row.difference))))
        interval = f"{signed(row.low, places)} to {signed(row.high, places)}"
    return [Entry(signed(row.difference, places), row.difference, mark), Entry(interval, row.low)]


def _places(size: float) -> int:
    """Decimals with which a number is not printed as zero."""
    return max(0, math.ceil(-math.log10(2 * size))) if size > 0 else 0


@dataclass(frozen=True)
class Words:
    """How figures and horizons are put in words.

    Args:
        unit: the data's unit; empty where it is unknown.
        step_minutes: minutes in a step, or its unit; None where they are unknown.
        confidence: of the intervals.
        test_share: share of all rows that are test rows, to say how many are missing where windows are too few; None:
            that is left out.
        folds: rolling origins; 1 (default): one split.
    """

    unit: str = ""
    step_minutes: Step = None
    confidence: float = 0.95
    test_share: float | None = None
    folds: int = 1

    @classmethod
    def of(cls, evidence: Evidence) -> Words:
        """The words for the data of a comparison."""
        series = evidence.series
        step = series.step_minutes or series.step_unit or None
        share = sum(len(fold.series.split.test) for fold in evidence.folds) / series.num_rows
        return cls(series.unit, step, evidence.spec.confidence, share, evidence.spec.folds)

    def ahead(self, horizon: int) -> str:
        """up to 15 minutes (3 steps) ahead"""
        steps = f"{horizon} step{'s' if horizon > 1 else ''}"
        if self.step_minutes is None:
            return f"up to {steps} ahead"
        return f"up to {steps_in_words(horizon, self.step_minutes)} ({steps}) ahead"

    def value(self, number: float) -> str:
        """3.21 mph"""
        return f"{in_digits(number, 4)}{self._unit()}"

    def difference(self, row: Difference) -> str:
        """-0.12 mph, 95% interval -0.2 to -0.04; the number alone where it was not judged"""
        text = f"{in_digits(row.difference, 3, plus=True)}{self._unit()}"
        return text if row.p is None else f"{text}, {self.interval(row)}"

    def interval(self, row: Difference) -> str:
        """95% interval -0.2 to -0.04"""
        assert row.low is not None  # it stands on a test
        assert row.high is not None
        low, high = (in_digits(bound, 3, plus=True) for bound in (row.low, row.high))
        return f"{100 * self.confidence:g}% interval {low} to {high}"

    def difference_with_p(self, row: Difference) -> str:
        """difference -0.12 mph (95% interval -0.2 to -0.04, p = 0.01)"""
        if row.difference == row.low == row.high == 0:
            return "no difference at all"
        return (
            f"difference {in_digits(row.difference, 3, plus=True)}{self._unit()} ({self.interval(row)}, {self.p(row)})"
        )

    def p(self, row: Difference) -> str:
        """p = 0.010"""
        assert row.p is not None  # a verdict stands on a test
        return "p < 0.001" if row.p < 0.001 else f"p = {row.p:.3f}"

    def power(self, test: Powered, *, windows: int) -> str:
        """What a test that found nothing could have found, and what it would take to find what was seen.

        Args:
            test: has the smallest true difference that it finds with a chance of 80%.
            windows: that it was made on.

        Example:
            >>> from types import SimpleNamespace as Test
            >>> seen = Test(difference=0.04, detectable=0.12, spans=6, spans_needed=54, scores=[2.04, 2.0], seeds=1)
            >>> found, needed = Words("mph", test_share=0.2).power(seen, windows=360).split("; ")
            >>> found
            'A true difference of 0.12 mph (6%) would be found with a chance of 80%'
            >>> needed
            'one as small as this with 54 spans of 60 test windows in place of 6 (about 14,400 more rows).'
        """
        if not test.detectable or test.spans is None:
            return ""
        score = (test.scores or [0.0])[-1]
        share = f" ({in_digits(100 * test.detectable / score, 2)}%)" if score > 0 else ""
        least = f"{in_digits(test.detectable, 2)}{self._unit()}{share}"
        sentence = f"A true difference of {least} would be found with a chance of 80%"
        if test.spans_needed is None:
            seeds = test.difference and (test.seeds or 1) > 1
            return (
                f"{sentence}; one as small as this by no number of rows, but with more seeds."
                if seeds
                else f"{sentence}."
            )
        if test.spans_needed <= test.spans:
            return f"{sentence}."
        if test.spans_needed > _MOST_TIMES * test.spans:
            return f"{sentence}; one as small as this only with more than {_MOST_TIMES} times the test windows."
        length = windows / test.spans
        more = (test.spans_needed - test.spans) * length / (self.test_share or 1.0)
        room = [f"about {float(f'{more:.3g}'):,.0f} more rows"] if self.test_share else []
        folds = math.ceil((test.spans_needed / test.spans - 1) * self.folds)
        room += [f"{folds:,} more fold{'' if folds == 1 else 's'} as long"] if self.folds > 1 else []
        needed = f"{test.spans_needed:,} spans of {length:.0f} test windows in place of {test.spans}"
        inside = f" ({': '.join(room)})" if room else ""
        return f"{sentence}; one as small as this with {needed}{inside}."

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
