"""Mean ranks of the models over blocks of windows, and which of them are not told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import stats

from gnnkit.compare.statistics.bootstrap import seed_scores

__all__ = ["block_scores", "critical_difference", "separate_blocks"]


def critical_difference(
    table: Mapping[str, Mapping[str, Sequence]],
    counts: Mapping[str, Sequence[int]],
    families: Mapping[str, str],
    *,
    horizon: int,
    history: int,
    metric: str = "mae",
    alpha: float = 0.05,
) -> dict[str, Any] | None:
    """Mean ranks of the models over blocks of windows, and which ranks are not told apart: Friedman, then Nemenyi.

        CD = q_α / √2 · √(k (k + 1) / (6 m)),  k models, m blocks, q_α of the studentised range

    Overlapping windows are not independent, so models are ranked on blocks of T + P windows, the last P − 1 of which
    are left out: no target row is in two blocks.

    Args:
        table: mean absolute errors for "mae", mean squared errors for "rmse", as in `significance`.
        counts, families, history: as in `significance`.
        horizon: P.
        metric: "mae" or "rmse".
        alpha: level of both tests.

    Returns:
        `horizon`, `metric`, `models` (best first), `mean_ranks`, `groups` (runs of two or more models within CD; one
        group of all where Friedman's test does not reject), `blocks`, `critical_difference` and `friedman_p`; None for
        fewer than two blocks, which rank nothing.

    Source:
        Demšar, "Statistical comparisons of classifiers over multiple data sets", 2006.

    Example:
        >>> errors = {name: {"1": [[level] * 40]} for name, level in (("a", 1.0), ("b", 2.0), ("c", 3.0))}
        >>> families = dict.fromkeys(errors, "graph")
        >>> critical_difference(errors, {"1": [1] * 40}, families, horizon=1, history=3)["models"]
        ['a', 'b', 'c']
    """
    observed = np.array(counts[str(horizon)], dtype=np.float64)
    errors = {name: np.array(table[name][str(horizon)], dtype=np.float64) for name in families}
    blocks = separate_blocks(observed, horizon, history)
    if len(blocks) < 2:
        return None
    scores = np.stack([block_scores(found, observed, blocks, metric == "rmse") for found in errors.values()], axis=1)
    ranks = stats.rankdata(scores, axis=1)  # [blocks, models]
    m, k = ranks.shape
    mean = ranks.mean(axis=0)
    spread = (ranks**2).sum() - m * k * (k + 1) ** 2 / 4  # 0 where every model ties with every other
    statistic = (k - 1) * ((m * (mean - (k + 1) / 2)) ** 2).sum() / spread if spread > 0 else 0.0
    p_value = float(stats.chi2.sf(statistic, k - 1)) if k > 1 else 1.0
    critical = _studentised(alpha, k) * np.sqrt(k * (k + 1) / (6 * m)) if k > 1 else 0.0
    order = np.argsort(mean, kind="stable")
    names = [list(errors)[i] for i in order]
    groups = _groups(names, mean[order], critical) if p_value <= alpha else [names]
    figures = {"blocks": m, "critical_difference": float(critical), "friedman_p": p_value}
    base = {"horizon": horizon, "metric": metric, "models": names, "mean_ranks": mean[order].tolist()}
    return base | {"groups": groups} | figures


def separate_blocks(counts: np.ndarray, horizon: int, history: int) -> list[slice]:
    """Blocks of T + P windows less the last P − 1, so that no target row is in two; those without a target left out."""
    length = history + horizon
    starts = range(0, len(counts) - (history + 1) + 1, length)
    blocks = [slice(start, start + history + 1) for start in starts]
    return [block for block in blocks if counts[block].sum() > 0]


def block_scores(errors: np.ndarray, counts: np.ndarray, blocks: Sequence[slice], squared: bool) -> np.ndarray:
    """[blocks]: the score in each block, averaged over seeds."""
    return np.array([seed_scores(errors[:, part], counts[part], squared=squared).mean() for part in blocks])


def _groups(names: Sequence[str], ranks: np.ndarray, critical: float) -> list[list[str]]:
    groups, reached = [], 0
    for first, rank in enumerate(ranks):
        last = int(np.searchsorted(ranks, rank + critical, side="right"))
        if last > reached and last - first > 1:
            groups.append(list(names[first:last]))
        reached = max(reached, last)
    return groups


@lru_cache(maxsize=64)
def _studentised(alpha: float, models: int) -> float:
    return float(stats.studentized_range.ppf(1 - alpha, models, np.inf)) / np.sqrt(2)
