"""The difference between two models' errors, and the interval that a moving-block bootstrap gives for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

__all__ = ["Interval", "block_weights", "paired_interval", "seed_scores"]


@dataclass(frozen=True)
class Interval:
    """A difference of two errors, a − b, and the interval that holds it with the confidence asked for."""

    difference: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """True where the interval excludes 0: the difference is more than noise."""
        return self.low > 0 or self.high < 0


def block_weights(windows: int, *, block: int, resamples: int, seed: int = 0) -> Float[np.ndarray, "R W"]:
    """How often each window is drawn in each resample of a moving-block bootstrap.

    Blocks of `block` neighbouring windows are drawn with replacement until W are together; the last block is cut.

    Args:
        windows: W.
        block: neighbouring windows that stay together, 1 … W.
        resamples: R.
        seed: of the draws.

    Returns:
        Counts; every row sums to W.

    Raises:
        ValueError: `block` is not among 1 … W.

    Source:
        Künsch, "The jackknife and the bootstrap for general stationary observations", 1989.

    Example:
        >>> block_weights(5, block=2, resamples=3).sum(axis=1)
        array([5., 5., 5.])
    """
    if not 1 <= block <= windows:
        raise ValueError(f"block={block}: must be 1 to the number of windows, {windows}")
    draws = -(-windows // block)
    starts = np.random.default_rng(seed).integers(0, windows - block + 1, size=(resamples, draws))
    lengths = np.full(draws, block)
    lengths[-1] = windows - block * (draws - 1)
    steps = np.zeros((resamples, windows + 1))
    rows = np.arange(resamples)[:, None]
    np.add.at(steps, (rows, starts), 1.0)
    np.add.at(steps, (rows, starts + lengths), -1.0)
    return steps.cumsum(axis=1)[:, :windows]


def paired_interval(
    a: Float[np.ndarray, "S W"],
    b: Float[np.ndarray, "Z W"],
    counts: Float[np.ndarray, " W"],
    *,
    block: int,
    squared: bool = False,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval of the difference between two models' errors, over the windows and the seeds at once.

    The score of a seed is Σ_w n_w e_w / Σ_w n_w, or its root for squared errors; a model's is the mean over its seeds;
    the difference is a − b. Two sources of noise are added up, draw by draw:

    * windows: both models are scored on the same resampled blocks of windows, so that what is hard for both cancels. A
      series has few independent blocks (m = W / block), so deviations are widened by √(m / (m − 1)) and by the ratio
      of Student's t with m − 1 degrees to the normal quantile.
    * seeds: for each model s / √S · t with S − 1 degrees of freedom, s the deviation of its scores over S seeds. One
      seed says nothing about this noise, so nothing is added for it.

    Args:
        a: mean error in each window, a row a seed; where n_w = 0 it is not read.
        b: the same for the other model; it may have another number of seeds.
        counts: n_w, observed targets in each window.
        block: neighbouring windows that stay together; at least the overlap of windows. At most W / 3 are used.
        squared: the errors are mean squared errors, and scores are RMSE.
        resamples: draws (default 2000).
        confidence: of the interval (default 0.95).
        seed: of the draws; the same seed gives the same interval.

    Raises:
        ValueError: the shapes do not fit, or nothing was observed.

    Example:
        >>> errors = np.random.default_rng(0).random((1, 100))
        >>> paired_interval(errors - 0.5, errors, np.ones(100), block=5).clear
        True
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or counts.shape != (a.shape[1],):
        raise ValueError(
            f"errors have shapes {a.shape} and {b.shape}, counts {counts.shape}; give [seeds, W], [seeds, W] and [W]"
        )
    if not counts.sum() > 0:
        raise ValueError("counts: no window has an observed target, so there is nothing to compare")
    windows = len(counts)
    block = max(1, min(block, windows // 3))
    weights = block_weights(windows, block=block, resamples=resamples, seed=seed) * counts
    rng = np.random.default_rng([seed, 1])
    point, deviations = 0.0, np.zeros(resamples)
    seed_noise = np.zeros(resamples)
    for sign, errors in ((1.0, a), (-1.0, b)):
        known = np.where(counts > 0, errors, 0.0)
        scores = seed_scores(known @ counts / counts.sum(), squared)  # [S]
        # A resample of windows without any target has no score; the guard gives it the weight of one.
        drawn = seed_scores(weights @ known.T / np.maximum(weights.sum(axis=1, keepdims=True), 1.0), squared).mean(
            axis=1
        )
        point += sign * float(scores.mean())
        deviations += sign * (drawn - drawn.mean())
        if len(scores) > 1:
            noise = rng.standard_t(len(scores) - 1, size=resamples)
            seed_noise += scores.std(ddof=1) / np.sqrt(len(scores)) * noise
    tail = (1 - confidence) / 2
    blocks = windows / block
    if blocks > 1:
        ratio = stats.t.ppf(1 - tail, blocks - 1) / stats.norm.ppf(1 - tail)
        deviations *= ratio * np.sqrt(blocks / (blocks - 1))
    low, high = np.quantile(deviations + seed_noise, [tail, 1 - tail])
    return Interval(point, point + float(low), point + float(high))


def seed_scores(mean_errors: np.ndarray, squared: bool) -> np.ndarray:
    """Scores from the mean errors of seeds: themselves, or their roots where they are mean squared errors (RMSE)."""
    return np.sqrt(np.maximum(mean_errors, 0.0)) if squared else mean_errors
