"""Mean ranks of the models over blocks of windows, and which of them are not told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import special

from gnnkit.statistics.bootstrap import seed_scores

__all__ = ["MeanRanks", "block_scores", "mean_ranks", "separate_blocks"]


@dataclass(frozen=True)
class MeanRanks:
    """Mean ranks of k models over m blocks, and what two tests say of them.

    Args:
        order: the models by their number, best first.
        mean: mean rank of each in that order.
        groups: runs of two or more places in that order within the critical difference, as `(first, stop)`; one group
            of all where Friedman's test does not reject.
        blocks: m.
        critical_difference: by which two mean ranks must differ.
        friedman_p: of Friedman's test that all are equal.
    """

    order: tuple[int, ...]
    mean: tuple[float, ...]
    groups: tuple[tuple[int, int], ...]
    blocks: int
    critical_difference: float
    friedman_p: float


def mean_ranks(scores: Float[np.ndarray, "M K"], *, alpha: float = 0.05) -> MeanRanks:
    """Mean ranks of k models over m blocks, and which ranks are not told apart: Friedman, then Nemenyi.

        CD = q_α / √2 · √(k (k + 1) / (6 m)),  q_α of the studentised range

    Args:
        scores: the lower the better, a row a block.
        alpha: level of both tests.

    Raises:
        ValueError: there is no block.

    Source:
        Demšar, "Statistical comparisons of classifiers over multiple data sets", 2006.

    Example:
        >>> mean_ranks(np.array([[2.0, 1.0, 3.0]] * 10)).order
        (1, 0, 2)
    """
    if len(scores) == 0:
        raise ValueError("scores: there is no block, so there are no ranks")
    ranks = pd.DataFrame(scores).rank(axis=1).to_numpy()  # [blocks, models]
    m, k = ranks.shape
    mean = ranks.mean(axis=0)
    spread = (ranks**2).sum() - m * k * (k + 1) ** 2 / 4  # 0 where every model ties with every other
    statistic = (k - 1) * ((m * (mean - (k + 1) / 2)) ** 2).sum() / spread if spread > 0 else 0.0
    p_value = float(special.chdtrc(k - 1, statistic)) if k > 1 else 1.0
    critical = _studentised(alpha, k) * np.sqrt(k * (k + 1) / (6 * m)) if k > 1 else 0.0
    order = np.argsort(mean, kind="stable")
    groups = _groups(mean[order], critical) if p_value <= alpha else [(0, k)]
    return MeanRanks(tuple(order.tolist()), tuple(mean[order].tolist()), tuple(groups), m, float(critical), p_value)


def separate_blocks(counts: np.ndarray, horizon: int, history: int) -> list[slice]:
    """Blocks of T + P windows less the last P − 1, so that no target row is in two; those without a target left out.

    Overlapping windows are not independent: what is ranked or averaged over blocks is taken from these.
    """
    length = history + horizon
    starts = range(0, len(counts) - (history + 1) + 1, length)
    blocks = [slice(start, start + history + 1) for start in starts]
    return [block for block in blocks if counts[block].sum() > 0]


def block_scores(errors: np.ndarray, counts: np.ndarray, blocks: Sequence[slice], squared: bool) -> np.ndarray:
    """[blocks]: the score in each block, averaged over seeds."""
    return np.array([seed_scores(errors[:, part], counts[part], squared=squared).mean() for part in blocks])


def _groups(ranks: np.ndarray, critical: float) -> list[tuple[int, int]]:
    groups, reached = [], 0
    for first, rank in enumerate(ranks):
        last = int(np.searchsorted(ranks, rank + critical, side="right"))
        if last > reached and last - first > 1:
            groups.append((first, last))
        reached = max(reached, last)
    return groups


@lru_cache(maxsize=64)
def _studentised(alpha: float, models: int) -> float:
    """q_α / √2 for k models and infinitely many degrees of freedom.

        P(range ≤ q) = k ∫ φ(z) (Φ(z) − Φ(z − q))ᵏ⁻¹ dz,  z the largest of k normal numbers

    The sum over even steps is exact to the last digits, as φ and its derivatives vanish at the ends. SciPy has it in
    `scipy.stats`, whose import takes longer than all ranks of a report.
    """
    z = np.linspace(-12, 12, 1201)
    weight = models * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    low, high = 0.0, 24.0
    for _ in range(60):
        middle = (low + high) / 2
        below = weight @ (special.ndtr(z) - special.ndtr(z - middle)) ** (models - 1)
        low, high = (low, middle) if below >= 1 - alpha else (middle, high)
    return high / np.sqrt(2)
