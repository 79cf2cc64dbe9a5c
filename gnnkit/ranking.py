"""Scores of link prediction: AUROC, AUPRC and AP@k of every relation at once; filtered ranks, MRR and Hits@k.

The scores of one relation are compared with one another alone. All sums are over sorted arrays in float64, with no loop
over relations. A relation for which a score is not defined gets NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

__all__ = ["auprc", "auroc", "bootstrap_interval", "filtered_ranks", "hits_at", "mean_reciprocal_rank", "precision_at"]

Scores = Float[np.ndarray, " E"]
Labels = Bool[np.ndarray, " E"]
Relations = Int[np.ndarray, " E"]


def auroc(scores: Scores, labels: Labels, relation: Relations, num_relations: int) -> Float[np.ndarray, " R"]:
    """Area under the receiver operating characteristic of each relation; ties count half.

        AUROC_r = (Σ over positives of rank − P (P + 1) / 2) / (P Q)     P positives, Q negatives, ranks from 1

    Args:
        scores: Higher means more likely.
        labels: True for a positive.
        relation: Relation of each, from 0.
        num_relations: R.

    Returns:
        As `sklearn.metrics.roc_auc_score` of each relation's entries; NaN where one of the two kinds is missing.

    Raises:
        ValueError: Lengths differ, a relation is out of range, or a score is NaN.

    Example:
        >>> auroc([0.9, 0.1, 0.5, 0.2], [True, False, True, True], [0, 0, 0, 1], 2).tolist()
        [1.0, nan]
    """
    s, y, r = _checked("auroc", scores, labels, relation, num_relations)
    order = np.lexsort((s, r))
    s, y, r = s[order], y[order], r[order]
    first = _first_of_runs(s, r)
    group = np.cumsum(first) - 1
    place = np.arange(1, len(s) + 1, dtype=np.float64)
    # Mean place of a run of ties: that of its first and its last.
    starts = np.flatnonzero(first)
    ends = np.append(starts[1:], len(s))
    mean_place = ((place[starts] + ends) / 2)[group] if len(s) else place
    counts = np.bincount(r, minlength=num_relations)
    before = np.cumsum(counts) - counts
    positives = np.bincount(r, weights=y, minlength=num_relations)
    rank_sum = np.bincount(r, weights=(mean_place - before[r]) * y, minlength=num_relations)
    pairs = positives * (counts - positives)
    return _ratio(rank_sum - positives * (positives + 1) / 2, pairs)


def auprc(scores: Scores, labels: Labels, relation: Relations, num_relations: int) -> Float[np.ndarray, " R"]:
    """Average precision of each relation, the step-wise area under precision and recall.

        AUPRC_r = Σ over thresholds n of (recall_n − recall_{n−1}) precision_n

    Args, Raises: as `auroc`.

    Returns:
        As `sklearn.metrics.average_precision_score` of each relation's entries; NaN where there is no positive.

    Example:
        >>> auprc([0.9, 0.8, 0.7], [True, False, True], [0, 0, 0], 1).round(4).tolist()
        [0.8333]
    """
    s, y, r = _checked("auprc", scores, labels, relation, num_relations)
    order = np.lexsort((-s, r))
    s, y, r = s[order], y[order], r[order]
    starts = np.flatnonzero(_first_of_runs(s, r))
    hits = np.add.reduceat(y, starts) if len(s) else y
    of_run = r[starts]
    counts = np.bincount(r, minlength=num_relations)
    positives = np.bincount(r, weights=y, minlength=num_relations)
    before, hits_before = np.cumsum(counts) - counts, np.cumsum(positives) - positives
    seen = np.append(starts[1:], len(s)) - before[of_run]
    found = np.cumsum(hits) - hits_before[of_run]
    return _ratio(np.bincount(of_run, weights=hits * found / seen, minlength=num_relations), positives)


def precision_at(
    scores: Scores, labels: Labels, relation: Relations, num_relations: int, k: int = 50
) -> Float[np.ndarray, " R"]:
    """AP@k of each relation as in Decagon: precision at each hit among the first k, over the hits that there could be.

        AP@k_r = Σ over hits at place n ≤ k of (hits up to n) / n / min(k, positives)

    Among equal scores negatives come first, so that a constant score gains nothing.

    Args:
        scores, labels, relation, num_relations: As for `auroc`.
        k: How many of the first count. Default 50.

    Returns:
        One a relation; NaN where there is no positive.

    Raises:
        ValueError: As for `auroc`, or k is below 1.

    Source:
        Zitnik, Agrawal & Leskovec, "Modeling polypharmacy side effects with graph convolutional networks" (2018).

    Example:
        >>> precision_at([0.9, 0.8, 0.7, 0.6], [True, False, True, True], [0, 0, 0, 0], 1, k=3).round(4).tolist()
        [0.5556]
    """
    if k < 1:
        raise ValueError(f"precision_at: k is {k}; give a whole number of at least 1")
    s, y, r = _checked("precision_at", scores, labels, relation, num_relations)
    order = np.lexsort((y, -s, r))
    y, r = y[order], r[order]
    counts = np.bincount(r, minlength=num_relations)
    positives = np.bincount(r, weights=y, minlength=num_relations)
    place = np.arange(len(y)) - (np.cumsum(counts) - counts)[r] + 1
    found = np.cumsum(y) - (np.cumsum(positives) - positives)[r]
    gain = np.where((place <= k) & (y > 0), found / np.maximum(place, 1), 0.0)
    return _ratio(np.bincount(r, weights=gain, minlength=num_relations), np.minimum(positives, k))


def filtered_ranks(
    scores: Float[np.ndarray, "B N"], target: Int[np.ndarray, " B"], known: Bool[np.ndarray, "B N"] | None = None
) -> Float[np.ndarray, " B"]:
    """Rank of the right entity among all, from 1, other known answers left out; ties get the mean rank.

        rank_b = 1 + #{n: score_n > score_target} + ½ #{n ≠ target: score_n = score_target}

    Args:
        scores: A row a question, a column an entity.
        target: The right entity of each row.
        known: True for entities that are known to be right too; the target itself may be marked.

    Returns:
        The ranks; a model that scores all alike gets (N + 1) / 2.

    Raises:
        ValueError: Shapes do not fit, a target is out of range, or a score is NaN.

    Example:
        >>> filtered_ranks([[0.5, 0.9, 0.5]], [0]).tolist()
        [2.5]
    """
    s, t = np.asarray(scores, dtype=np.float64), np.asarray(target, dtype=np.int64)
    if s.ndim != 2 or t.shape != s.shape[:1]:
        raise ValueError(f"filtered_ranks: scores {s.shape} and target {t.shape} do not fit; give [B, N] and [B]")
    if t.size and not (t.min() >= 0 and t.max() < s.shape[1]):
        raise ValueError(
            f"filtered_ranks: target holds {t.min()} to {t.max()}, there are entities 0 to {s.shape[1] - 1}"
        )
    if np.isnan(s).any():
        raise ValueError("filtered_ranks: scores hold NaN; a model that has diverged cannot be ranked")
    rows = np.arange(len(t))
    own = s[rows, t][:, None]
    counted = np.ones(s.shape, dtype=bool) if known is None else ~np.asarray(known, dtype=bool)
    if counted.shape != s.shape:
        raise ValueError(f"filtered_ranks: known {counted.shape} does not fit scores {s.shape}; give one entry a score")
    counted[rows, t] = False
    return 1.0 + ((s > own) & counted).sum(1) + 0.5 * ((s == own) & counted).sum(1)


def mean_reciprocal_rank(ranks: Float[np.ndarray, " B"]) -> float:
    """Mean of 1 / rank; NaN over nothing.

    Example:
        >>> mean_reciprocal_rank([1.0, 2.0, 4.0]).__round__(4)
        0.5833
    """
    r = np.asarray(ranks, dtype=np.float64)
    return float((1.0 / r).mean()) if r.size else float("nan")


def hits_at(ranks: Float[np.ndarray, " B"], k: int) -> float:
    """Share of ranks of at most k; NaN over nothing.

    Example:
        >>> hits_at([1.0, 2.0, 12.0, 3.0], 3)
        0.75
    """
    r = np.asarray(ranks, dtype=np.float64)
    return float((r <= k).mean()) if r.size else float("nan")


def bootstrap_interval(
    values: Float[np.ndarray, " R"],
    statistic: Callable[..., Any] = np.mean,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of a statistic over relations, which are drawn anew with replacement.

    Args:
        values: One a relation; NaN is left out.
        statistic: `np.mean` (default), `np.median` or another that takes `axis`.
        confidence: Default 0.95.
        resamples: Default 2000.
        seed: Default 0.

    Returns:
        Lower and upper end; NaN twice where there is nothing.

    Raises:
        ValueError: `confidence` is not between 0 and 1, or `resamples` is below 1.

    Example:
        >>> bootstrap_interval([0.5, 0.5, 0.5])
        (0.5, 0.5)
    """
    if not 0 < confidence < 1 or resamples < 1:
        raise ValueError(
            f"bootstrap_interval: confidence is {confidence}, resamples {resamples}; "
            f"give a share between 0 and 1, and at least 1 resample"
        )
    v = np.asarray(values, dtype=np.float64)
    v = v[~np.isnan(v)]
    if not v.size:
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed).integers(0, v.size, size=(resamples, v.size))
    tail = 50 * (1 - confidence)
    low, high = np.percentile(statistic(v[drawn], axis=1), [tail, 100 - tail])
    return float(low), float(high)


def _checked(
    name: str, scores: Any, labels: Any, relation: Any, num_relations: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    s, y, r = np.asarray(scores, dtype=np.float64), np.asarray(labels), np.asarray(relation)
    if s.ndim != 1 or y.shape != s.shape or r.shape != s.shape:
        raise ValueError(
            f"{name}: scores {s.shape}, labels {y.shape} and relation {r.shape} differ; give one of each an edge"
        )
    if r.size and not (r.min() >= 0 and r.max() < num_relations):
        raise ValueError(f"{name}: relation holds {r.min()} to {r.max()}, there are relations 0 to {num_relations - 1}")
    if np.isnan(s).any():
        raise ValueError(f"{name}: {int(np.isnan(s).sum())} scores are NaN; a model that has diverged cannot be ranked")
    return s, y.astype(bool).astype(np.float64), r.astype(np.int64)


def _first_of_runs(s: NDArray[np.float64], r: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True where a new relation or another score begins, in sorted arrays."""
    first = np.ones(len(s), dtype=bool)
    first[1:] = (s[1:] != s[:-1]) | (r[1:] != r[:-1])
    return first


def _ratio(above: NDArray[Any], below: NDArray[Any]) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0)
