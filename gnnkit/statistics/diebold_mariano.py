"""The test of Diebold and Mariano over windows, with fixed smoothing."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float

from gnnkit.statistics.bootstrap import seed_scores
from gnnkit.statistics.paired import PairedTest, influence, paired_test

__all__ = ["diebold_mariano"]


def diebold_mariano(
    loss_a: Float[np.ndarray, "S W"] | Float[np.ndarray, " W"],
    loss_b: Float[np.ndarray, "Z W"] | Float[np.ndarray, " W"],
    counts: Float[np.ndarray, " W"],
    *,
    lag: int,
    squared: bool = False,
) -> PairedTest:
    """Are two forecasts equally good? Student's t of the mean loss differential with a variance that knows of overlap.

    With d_w = n_w (a_w − b_w − mean) / mean(n), and c_j(w) = √(2 / W) cos(πj (w + ½) / W):

        variance of the mean = 1 / (ν κ W) Σ_{j=1…ν} (Σ_w c_j(w) d_w)²,    p from t with ν degrees,
        ν = the lesser of 0.41 W^⅔ and W / (lag + 1), rounded down, at least 1.

    κ carries the correction of Harvey, Leybourne and Newbold over to this estimator: the expected estimated variance
    over the true one, for errors whose only autocorrelation is that of windows which share target rows
    (moving averages of lag + 1 terms). Their own factor, (W + 1 − 2h + h(h − 1) / W) / W with h = lag + 1, is that
    ratio for the truncated kernel of Diebold and Mariano, with which equal forecasts are called different too often
    where windows are few (`benchmarks/referee_size.py` measures both).

    Several seeds of a model are averaged, and the noise between them, s² / S, is added to the variance; degrees are
    then Welch's and Satterthwaite's. Losses that are mean squared errors are compared as RMSE, by the delta method:
    d_w is divided by twice the RMSE of its model and seed.

    Args:
        loss_a: mean error in each window, a row a seed; where n_w = 0 it is not read.
        loss_b: the same for the other model.
        counts: n_w, observed targets in each window.
        lag: windows up to this many apart share a target row: horizon − 1.
        squared: losses are mean squared errors, and scores are RMSE.

    Raises:
        ValueError: shapes do not fit, `lag` is negative, or fewer than two windows were observed.

    Source:
        Diebold and Mariano, "Comparing predictive accuracy", 1995; Harvey, Leybourne and Newbold, "Testing the equality
        of prediction mean squared errors", 1997; the variance, ν and the t are from Lazarus, Lewis, Stock and Watson,
        "HAR inference: recommendations for practice", 2018; fixed smoothing in this test: Coroneo and Iacone,
        "Comparing predictive accuracy in small samples using fixed-smoothing asymptotics", 2020. Not from them: κ
        for this estimator, counts, seeds.

    Example:
        >>> hard = np.random.default_rng(0).gamma(2.0, size=200)
        >>> diebold_mariano(hard, 1.2 * hard, np.ones(200), lag=2).p_value < 0.01
        True
    """
    a, b = np.atleast_2d(loss_a), np.atleast_2d(loss_b)
    if a.shape[1] != b.shape[1] or counts.shape != (a.shape[1],):
        raise ValueError(f"losses have shapes {a.shape} and {b.shape}, counts {counts.shape}; give the same W windows")
    if lag < 0:
        raise ValueError(f"lag={lag}: windows that share a target row are horizon − 1 apart; give 0 or more")
    if (counts > 0).sum() < 2:
        raise ValueError(f"counts: {(counts > 0).sum()} windows have an observed target; a test needs at least 2")
    windows = len(counts)
    scores = [seed_scores(loss, counts, squared=squared) for loss in (a, b)]
    differential = influence(a, counts, squared=squared) - influence(b, counts, squared=squared)
    cosines = _cosines(windows, lag)
    waves = cosines @ differential
    variance = float((waves**2).mean() / _kept_variance(windows, lag)) / windows
    return paired_test(scores, variance, float(len(cosines)))


@lru_cache(maxsize=8)
def _cosines(windows: int, lag: int) -> np.ndarray:
    count = max(1, int(min(0.41 * windows ** (2 / 3), windows / (lag + 1))))
    waves = np.arange(1, count + 1)[:, None] * (np.arange(windows) + 0.5)
    return np.sqrt(2 / windows) * np.cos(np.pi / windows * waves)


@lru_cache(maxsize=8)
def _kept_variance(windows: int, lag: int) -> float:
    """κ: the cosines' mean square over the constant's, for moving averages of lag + 1 independent terms."""

    def power(weights: np.ndarray) -> np.ndarray:
        """[…, W] → […]: the variance, but for a factor, of a weighted sum of such moving averages."""
        padded = np.concatenate([np.zeros((len(weights), 1)), weights.cumsum(axis=1)], axis=1)
        places = np.arange(windows + lag)
        upper, lower = np.minimum(places + 1, windows), np.maximum(places - lag, 0)
        return ((padded[:, upper] - padded[:, lower]) ** 2).sum(axis=1)

    return float(power(_cosines(windows, lag)).mean() / power(np.full((1, windows), windows**-0.5))[0])
