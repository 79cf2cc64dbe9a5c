"""The difference between two models' errors, and the interval that a moving-block bootstrap gives for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy import special

__all__ = ["Interval", "block_weights", "kept_variance", "paired_interval", "seed_scores"]


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


def seed_scores(
    errors: Float[np.ndarray, "S W"], counts: Float[np.ndarray, " W"], *, squared: bool
) -> Float[np.ndarray, " S"]:
    """The score of each seed: Σ_w n_w e_w / Σ_w n_w, or its root (RMSE) where the errors are mean squared errors."""
    return _rooted(np.where(counts > 0, errors, 0.0) @ counts / counts.sum(), squared)


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

    * windows: both models are scored on the same resampled blocks of windows, so that what is hard for both cancels.
      With m = W / block blocks the deviations are widened twice. By the ratio of Student's t with m − 1 degrees to the
      normal quantile, as few blocks know their own spread badly. And by √(V / E V̂): blocks drawn apart lose the
      autocorrelation across their ends, so that the bootstrap's variance V̂ falls short of the variance V of the mean;
      by how much follows from autocorrelations that fall off linearly over half a block, as they do where windows that
      share target rows are half a block long. For windows that are independent it is √(m / (m − 1)).
    * seeds: for each model s / √S · t with S − 1 degrees of freedom, s the deviation of its scores over S seeds. One
      seed says nothing about this noise, so nothing is added for it.

    `benchmarks/referee_size.py` measures how often an interval of two equal forecasters excludes 0.

    Args:
        a: mean error in each window, a row a seed; where n_w = 0 it is not read.
        b: the same for the other model; it may have another number of seeds.
        counts: n_w, observed targets in each window.
        block: neighbouring windows that stay together; at least twice the overlap of windows. At most W / 3 are used.
        squared: the errors are mean squared errors, and scores are RMSE.
        resamples: draws (default 2000).
        confidence: of the interval (default 0.95).
        seed: of the draws; the same seed gives the same interval.

    Raises:
        ValueError: the shapes do not fit, or nothing was observed.

    Source:
        Künsch, "The jackknife and the bootstrap for general stationary observations", 1989; for the bias of V̂,
        Lahiri, "Resampling Methods for Dependent Data", 2003.

    Example:
        >>> errors = np.random.default_rng(0).random((1, 100))
        >>> paired_interval(errors - 0.5, errors, np.ones(100), block=5).clear
        True
    """
    if any(found.ndim != 2 or (found.shape[1],) != counts.shape for found in (a, b)):
        shapes = f"{a.shape} and {b.shape}"
        raise ValueError(f"errors have shapes {shapes}, counts {counts.shape}; give [seeds, W], [seeds, W] and [W]")
    if not counts.sum() > 0:
        raise ValueError("counts: no window has an observed target, so there is nothing to compare")
    windows, used, tail = len(counts), max(1, min(block, len(counts) // 3)), (1 - confidence) / 2
    weights = _shared_weights(windows, used, resamples, seed)
    # A resample of windows without any target has no score; the guard gives it the weight of one.
    totals = np.maximum(weights @ counts, 1.0)[:, None]
    stacked = np.where(counts > 0, np.concatenate([a, b]), 0.0) * counts
    drawn = _rooted(weights @ stacked.T / totals, squared)  # [R, all seeds]
    ours, theirs = (part.mean(axis=1) for part in np.split(drawn, [len(a)], axis=1))
    deviations = (ours - ours.mean()) - (theirs - theirs.mean())
    if windows > used:
        ratio = special.stdtrit(windows / used - 1, 1 - tail) / special.ndtri(1 - tail)
        deviations = deviations * (ratio / np.sqrt(kept_variance(windows, used, block // 2)))
    rng = np.random.default_rng([seed, 1])
    scores = [seed_scores(found, counts, squared=squared) for found in (a, b)]
    for found in scores:
        if len(found) > 1:
            noise = rng.standard_t(len(found) - 1, size=resamples)
            deviations = deviations + found.std(ddof=1) / np.sqrt(len(found)) * noise
    point = float(scores[0].mean()) - float(scores[1].mean())
    low, high = np.quantile(deviations, [tail, 1 - tail])
    return Interval(point, point + float(low), point + float(high))


@lru_cache(maxsize=2)
def _shared_weights(windows: int, block: int, resamples: int, seed: int) -> np.ndarray:
    weights = block_weights(windows, block=block, resamples=resamples, seed=seed)
    weights.flags.writeable = False
    return weights


@lru_cache(maxsize=64)
def kept_variance(windows: int, block: int, overlap: int) -> float:
    """E V̂ / V: the share of the variance V of a mean over W windows that the bootstrap's variance V̂ shows.

    V̂ is that of the block means around their mean, over W / block, where windows k apart have the correlation
    max(0, 1 − k / overlap).

    Args:
        windows: W.
        block: neighbouring windows that stay together.
        overlap: windows this far apart are uncorrelated; 1: all are independent.

    Example:
        >>> round(kept_variance(10, 1, 1), 6)  # one by one: (W − 1) / W
        0.9
    """

    def of_mean(length: int) -> float:
        lags = np.arange(1, min(length, max(overlap, 1)))
        return (length + 2 * ((length - lags) * (1 - lags / max(overlap, 1))).sum()) / length**2

    return float((of_mean(block) - of_mean(windows)) / (windows / block * of_mean(windows)))


def _rooted(mean_errors: np.ndarray, squared: bool) -> np.ndarray:
    return np.sqrt(np.maximum(mean_errors, 0.0)) if squared else mean_errors
