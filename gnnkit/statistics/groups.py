"""Tests of the difference between two models in groups of targets that lie in some of the windows."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from gnnkit.statistics.paired import paired_test
from gnnkit.statistics.spans import Compared

__all__ = ["LEAST_SPANS", "effective_spans", "group_tests"]

LEAST_SPANS = 3
"""A group whose targets amount to fewer spans has no test: nothing tells how it would differ another time."""


def group_tests(
    totals: Float[np.ndarray, "S W K"],
    targets: Float[np.ndarray, "W K"],
    seeds: tuple[int, int],
    spans: Int[np.ndarray, " W"],
) -> list[Compared | None]:
    """A test of the difference in each group; None where its targets amount to fewer than `LEAST_SPANS` spans.

    The difference is a ratio of sums, D = Σ_w (a_w − b_w) / Σ_w c_w, averaged over seeds. With c_k the group's targets
    in span k, and m the spans that they amount to (`effective_spans`),

        d_k = Σ_{w in k} (a_w − b_w − D c_w) / Σ_w c_w,     variance of D = m / (m − 1) Σ_k d_k²

    by the delta method, and p is from t with m − 1 degrees; noise between seeds is added as everywhere (`paired_test`).
    Groups of the same windows are judged together by `gnnkit.statistics.step_down.judge_family`.

    Args:
        totals: summed errors, the seeds of the one model first.
        targets: observed targets, c.
        seeds: how many rows of `totals` are of the one model, and how many of the other.
        spans: the span of each window (`gnnkit.statistics.spans.span_numbers`).

    Source:
        Ibragimov and Müller, "t-statistic based correlation and heterogeneity robust inference", 2010. Not from them:
        ratios, and spans that a group fills by different shares.

    Example:
        >>> ours, theirs = np.ones((1, 8, 1)), np.full((1, 8, 1), 2.0)
        >>> (found,) = group_tests(np.concatenate([ours, theirs]), np.ones((8, 1)), (1, 1), np.arange(8) // 2)
        >>> found.test.difference, found.parts
        (-1.0, array([0., 0., 0., 0.]))
    """
    ours, theirs = seeds
    signs = np.array([1 / ours] * ours + [-1 / theirs] * theirs)
    scores = totals.sum(axis=1) / targets.sum(axis=0)  # [S, K]
    places = np.unique(spans, return_inverse=True)[1]
    inside = np.eye(places.max() + 1)[places].T  # [q, W]
    drawn = inside @ np.tensordot(signs, totals, axes=1)  # [q, K]
    counts = inside @ targets
    parts = (drawn - (signs @ scores) * counts) / targets.sum(axis=0)
    found: list[Compared | None] = []
    for group, amount in enumerate(effective_spans(counts).tolist()):
        if amount < LEAST_SPANS - 1e-9:
            found.append(None)
            continue
        variance = amount / (amount - 1) * float(np.square(parts[:, group]).sum())
        test = paired_test((scores[:ours, group], scores[ours:, group]), variance, amount - 1)
        found.append(Compared(test, parts[:, group]))
    return found


def effective_spans(counts: Float[np.ndarray, "q K"]) -> Float[np.ndarray, " K"]:
    """How many spans the targets of each group amount to: (Σ_k c_k)² / Σ_k c_k², which is q where all hold as many.

    Source:
        Kish, "Survey Sampling", 1965.

    Example:
        >>> effective_spans(np.array([[5.0, 5.0], [5.0, 0.0], [5.0, 0.0]])).round(6)
        array([3., 1.])
    """
    return counts.sum(axis=0) ** 2 / np.maximum(np.square(counts).sum(axis=0), 1e-12)
