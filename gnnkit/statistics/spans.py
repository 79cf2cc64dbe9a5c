"""A test over spans of windows, such as whole days: few means, and no model of how neighbours depend on each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gnnkit.statistics.bootstrap import seed_scores
from gnnkit.statistics.paired import PairedTest, influence, paired_test

__all__ = [
    "FEWEST_SEASONS",
    "MOST_SPANS",
    "SPANS",
    "Compared",
    "SpanScore",
    "compare_scores",
    "span_numbers",
    "span_score",
    "span_test",
]

FEWEST_SEASONS = 4
"""Whole seasons from which on they are the spans; t with 3 degrees still finds a large difference."""
SPANS = 6
"""Spans of equal length where there are fewer seasons, or none is known."""
MOST_SPANS = 12
"""More seasons are joined to so many spans: long ones hold what depends on each other over days."""


@dataclass(frozen=True)
class SpanScore:
    """The score of a model, and what each span adds to it.

    Args:
        scores: of each seed.
        parts: what each of q spans adds to the deviation of the mean score from itself; their sum is 0.
    """

    scores: Float[np.ndarray, " S"]
    parts: Float[np.ndarray, " q"]


class Compared(NamedTuple):
    """A test of two models over spans, and what each of the q spans adds to their difference, for tests together."""

    test: PairedTest
    parts: Float[np.ndarray, " q"]


def span_score(
    loss: Float[np.ndarray, "S W"],
    counts: Float[np.ndarray, " W"],
    spans: Int[np.ndarray, " W"],
    *,
    squared: bool = False,
) -> SpanScore:
    """The score of a model span by span, as `span_test` compares it.

    Args:
        loss: mean error in each window, a row a seed; where n_w = 0 it is not read.
        counts: n_w, observed targets in each window.
        spans: the span of each window, from `span_numbers`; spans without a target do not count.
        squared: losses are mean squared errors, and the score is RMSE.

    Raises:
        ValueError: shapes do not fit, or fewer than two spans have an observed target.

    Example:
        >>> found = span_score(np.array([[1.0, 2.0, 4.0, 5.0]]), np.ones(4), np.array([0, 0, 1, 1]))
        >>> found.scores, found.parts
        (array([3.]), array([-0.75,  0.75]))
    """
    if loss.shape[1:] != counts.shape or spans.shape != counts.shape:
        shapes = f"loss has shape {loss.shape}, counts {counts.shape}, spans {spans.shape}"
        raise ValueError(f"{shapes}; give the same W windows")
    seen = np.unique(spans[counts > 0])
    if len(seen) < 2:
        raise ValueError(f"spans: {len(seen)} of them have an observed target; a test needs at least 2")
    added = np.where(counts > 0, influence(loss, counts, squared=squared), 0.0)
    place = np.searchsorted(seen, np.where(counts > 0, spans, seen[0]))
    return SpanScore(seed_scores(loss, counts, squared=squared), np.bincount(place, added) / len(counts))


def span_test(a: SpanScore, b: SpanScore) -> PairedTest:
    """Are two forecasts equally good? Student's t of the mean differences of q spans of windows.

    With d_k what span k adds to the difference of the scores, which is s² / q of the spans' means where they are
    equally long,

        variance of the difference = q / (q − 1) Σ_k d_k²,     p from t with q − 1 degrees.

    Nothing is assumed about windows inside a span: neighbours may be nearly copies. Where a span is a whole season,
    what depends on the hour is the same in each span, and is not taken for noise. Spans are taken for independent and
    normal; they may differ in variance, for levels of the test up to 8.3% (Bakirov and Székely, 2006).

    Args:
        a, b: scores on the same windows and spans.

    Source:
        Ibragimov and Müller, "t-statistic based correlation and heterogeneity robust inference", 2010. Not from them:
        counts, seeds, spans of unequal length, RMSE.

    Example:
        >>> errors, spans = np.array([[1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]]), np.arange(8) // 2
        >>> worse = errors + [0.1, 0.1, 0.3, 0.3, 0.1, 0.1, 0.3, 0.3]
        >>> found = span_test(*(span_score(each, np.ones(8), spans) for each in (worse, errors)))
        >>> round(found.difference, 3), found.degrees, round(found.deviation, 4)
        (0.2, 3.0, 0.0577)
    """
    q = len(a.parts)
    variance = q / (q - 1) * float(np.square(a.parts - b.parts).sum())
    return paired_test((a.scores, b.scores), variance, q - 1.0)


def compare_scores(a: SpanScore, b: SpanScore) -> Compared:
    """`span_test` of two scores, and what each span adds to their difference.

    Example:
        >>> one, two = (SpanScore(np.array([s]), np.array(parts)) for s, parts in ((1.0, [0.1, -0.1]), (2.0, [0, 0])))
        >>> compare_scores(one, two).parts
        array([ 0.1, -0.1])
    """
    return Compared(span_test(a, b), a.parts - b.parts)


def span_numbers(rows: Sequence[Int[np.ndarray, " W"]], *, season: int | None = None) -> Int[np.ndarray, " W"]:
    """The span of each window: whole seasons where there are enough of them, else parts of equal length.

    A season is counted from the first row of its part, so that parts that begin at any hour hold whole ones. What is
    left behind the last whole season belongs to it. From more than `MOST_SPANS` seasons neighbours are joined. No span
    reaches from one part into another.

    Args:
        rows: the first target row of each window, rising; one array for each part of the series that is tested.
        season: rows in a season; None: unknown.

    Returns:
        Numbers from 0 on, all parts in one row; each span is a run.

    Example:
        >>> span_numbers([np.arange(10)], season=2)
        array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
        >>> span_numbers([np.arange(6), np.arange(6, 12)])
        array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
    """
    lengths = [int(part[-1] - part[0]) + 1 for part in rows]
    # Windows of a horizon P begin at all rows but the last P − 1 of their part: most of a season is a season.
    seasons = [round(length / season) if season else 0 for length in lengths]
    known = all(seasons) and sum(seasons) >= FEWEST_SEASONS
    wanted = min(sum(seasons), MOST_SPANS) if known else SPANS
    share = [count / sum(seasons) for count in seasons] if known else [len(part) / sum(map(len, rows)) for part in rows]
    found, first = [], 0
    for part, count, weight in zip(rows, seasons, share, strict=True):
        own = max(1, round(wanted * weight))
        if known:
            assert season is not None  # for the type checker
            place = np.minimum((part - part[0]) // season, count - 1)
            own = min(own, count)
            number = place * own // count
        else:
            own = min(own, len(part))
            number = np.arange(len(part)) * own // len(part)
        found.append(first + number)
        first += own
    return np.concatenate(found)
