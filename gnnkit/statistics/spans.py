"""A test over spans of windows, such as whole days: few means, and no model of how neighbours depend on each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from gnnkit.statistics.bootstrap import seed_scores
from gnnkit.statistics.diebold_mariano import PairedTest, influence, paired_test

__all__ = ["FEWEST_SEASONS", "MOST_SPANS", "SPANS", "span_numbers", "span_test"]

FEWEST_SEASONS = 4
"""Whole seasons from which on they are the spans; t with 3 degrees still finds a large difference."""
SPANS = 6
"""Spans of equal length where there are fewer seasons, or none is known."""
MOST_SPANS = 12
"""More seasons are joined to so many spans: long ones hold what depends on each other over days."""


def span_test(
    loss_a: Float[np.ndarray, "S W"],
    loss_b: Float[np.ndarray, "Z W"],
    counts: Float[np.ndarray, " W"],
    spans: Int[np.ndarray, " W"],
    *,
    squared: bool = False,
) -> PairedTest:
    """Are two forecasts equally good? Student's t of the mean differences of q spans of windows.

    With x_w what window w adds to the difference of the scores (`influence`; its mean is 0), and X_k its sum over span
    k,

        variance of the difference = q / (q − 1) Σ_k (X_k / W)²,     p from t with q − 1 degrees

    which is s² / q of the spans' means where spans are equally long. Nothing is assumed about windows inside a span:
    neighbours may be nearly copies. Where a span is a whole season, what depends on the hour is the same in each span,
    and is not taken for noise. Spans are taken for independent and normal; they may differ in variance, up to levels of
    8.3% of the test, or fewer degrees than they have (Bakirov and Székely, 2006).

    The noise between seeds is added (`paired_test`).

    Args:
        loss_a: mean error in each window, a row a seed; where n_w = 0 it is not read.
        loss_b: the same for the other model.
        counts: n_w, observed targets in each window.
        spans: the span of each window, from `span_numbers`; spans without a target do not count.
        squared: losses are mean squared errors, and scores are RMSE.

    Raises:
        ValueError: shapes do not fit, or fewer than two spans have an observed target.

    Source:
        Ibragimov and Müller, "t-statistic based correlation and heterogeneity robust inference", 2010. Not from them:
        counts, seeds, spans of unequal length, RMSE.

    Example:
        >>> errors = np.array([[1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]])
        >>> found = span_test(errors + [0.1, 0.1, 0.3, 0.3, 0.1, 0.1, 0.3, 0.3], errors, np.ones(8), np.arange(8) // 2)
        >>> round(found.difference, 3), found.degrees, round(found.deviation, 4)
        (0.2, 3.0, 0.0577)
    """
    if loss_a.shape[1:] != counts.shape or loss_b.shape[1:] != counts.shape or spans.shape != counts.shape:
        shapes = f"{loss_a.shape} and {loss_b.shape}, counts {counts.shape}, spans {spans.shape}"
        raise ValueError(f"losses have shapes {shapes}; give the same W windows")
    seen = np.unique(spans[counts > 0])
    if len(seen) < 2:
        raise ValueError(f"spans: {len(seen)} of them have an observed target; a test needs at least 2")
    scores = [seed_scores(loss, counts, squared=squared) for loss in (loss_a, loss_b)]
    differential = influence(loss_a, counts, squared=squared) - influence(loss_b, counts, squared=squared)
    sums = np.bincount(np.searchsorted(seen, spans), np.where(counts > 0, differential, 0.0), minlength=len(seen))
    q = len(seen)
    variance = q / (q - 1) * float(np.square(sums / len(counts)).sum())
    return paired_test(scores, variance, q - 1.0)


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
