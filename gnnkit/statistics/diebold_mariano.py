"""Paired tests over windows and seeds: is a difference of errors more than noise, and how large is it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy import special

from gnnkit.statistics.bootstrap import seed_scores

__all__ = ["Judged", "PairedTest", "diebold_mariano", "holm", "influence", "judge_together", "paired_test"]


@dataclass(frozen=True)
class PairedTest:
    """A test of two forecasts' errors.

    Args:
        statistic: difference / deviation; infinite where a difference has no variance at all.
        p_value: two-sided, from Student's t.
        degrees: of freedom.
        difference: score of a minus score of b.
        deviation: standard error of the difference.
    """

    statistic: float
    p_value: float
    degrees: float
    difference: float
    deviation: float


def paired_test(scores: Sequence[Float[np.ndarray, " S"]], variance: float, degrees: float) -> PairedTest:
    """Student's t of the difference of two mean scores, from its variance over windows and that between seeds.

    With the variance v of the mean over windows (ν degrees), and s² / S of the S scores of each model,

        deviation² = v + Σ s² / S,     degrees = deviation⁴ / (v² / ν + Σ (s² / S)² / (S − 1))

    One seed says nothing of the noise between seeds, and nothing is added for it.

    Args:
        scores: those of each model's seeds, first minus second.
        variance: of the difference, over windows.
        degrees: of freedom that it has.

    Source:
        Welch, "The generalization of 'Student's' problem", 1947; Satterthwaite, 1946.

    Example:
        >>> round(paired_test((np.array([2.0]), np.array([1.0])), 0.25, 9).p_value, 3)
        0.077
    """
    difference = float(scores[0].mean() - scores[1].mean())
    parts = [(variance, degrees)]
    parts += [(float(s.var(ddof=1)) / len(s), len(s) - 1.0) for s in scores if len(s) > 1]
    total = sum(part for part, _ in parts)
    rounding = 1e-12 * max(float(s.mean()) for s in scores)
    if total <= rounding**2:  # what rounding leaves of a constant
        equal = abs(difference) <= rounding
        statistic = 0.0 if equal else float(np.copysign(np.inf, difference))
        return PairedTest(statistic, float(equal), degrees, difference, 0.0)
    free = total**2 / sum(part**2 / each for part, each in parts)
    statistic = difference / total**0.5
    return PairedTest(statistic, float(2 * special.stdtr(free, -abs(statistic))), free, difference, total**0.5)


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


def holm(p_values: Sequence[float]) -> Float[np.ndarray, " M"]:
    """p-values that hold for all M tests together: p̃_(i) = max over k ≤ i of (M − k + 1) p_(k), at most 1.

    Source:
        Holm, "A simple sequentially rejective multiple test procedure", 1979.

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    return np.minimum(np.asarray(p_values, dtype=np.float64) * _holm_factors(p_values), 1.0)


def _holm_factors(p_values: Sequence[float]) -> Float[np.ndarray, " M"]:
    """What Holm's correction multiplies each p with, before it is cut at 1."""
    found = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(found, kind="stable")
    places = np.arange(len(found), 0, -1, dtype=np.float64)
    raised = np.maximum.accumulate(found[order] * places)
    factors = np.empty_like(found)
    factors[order] = np.divide(raised, found[order], out=places, where=found[order] > 0)
    return factors


@dataclass(frozen=True)
class Judged:
    """A difference, and what one test says of it: `clear`, `p_value` and interval always agree.

    Args:
        difference: score of a minus score of b.
        low, high: the interval of the test at the level that the correction leaves it.
        p_value: after the correction.
        clear: p is below 1 − confidence, and the interval excludes 0.
    """

    difference: float
    low: float
    high: float
    p_value: float
    clear: bool


def judge_together(tests: Sequence[PairedTest], confidence: float) -> list[Judged]:
    """Judge tests that answer one question: whichever of them stand out, the chance that one does so by noise is held.

    p is Holm's. With f the factor by which Holm's correction raised a test's own p, and α = 1 − confidence,

        interval = difference ± t_{1 − α / (2 f)} · deviation,     clear = (p · f < α)

    so that an interval excludes 0 just where the corrected p is below α, and one number decides.

    Args:
        tests: all that the question looks at, shown or not.
        confidence: of the intervals.

    Returns:
        What is said of each, in their order.

    Example:
        >>> weak = PairedTest(2.2, 0.04, 20.0, 0.22, 0.1)
        >>> [judge_together([weak] * number, 0.95)[0].clear for number in (1, 2)]
        [True, False]
    """
    alpha = 1 - confidence
    factors = _holm_factors([test.p_value for test in tests])
    found = []
    for test, factor in zip(tests, factors.tolist(), strict=True):
        reach = float(-special.stdtrit(test.degrees, alpha / (2 * factor))) * test.deviation if test.deviation else 0.0
        p_value = min(1.0, test.p_value * factor)
        low, high = test.difference - reach, test.difference + reach
        found.append(Judged(test.difference, low, high, p_value, p_value < alpha))
    return found


def influence(
    loss: Float[np.ndarray, "S W"], counts: Float[np.ndarray, " W"], *, squared: bool
) -> Float[np.ndarray, " W"]:
    """What each window adds to the score's deviation from its mean, times W; averaged over seeds. Its mean is 0.

    The score of mean squared errors is their root, by the delta method: a window adds its part over twice the root.

    Args:
        loss: mean error in each window; where n_w = 0 it is not read.
        counts: n_w, observed targets in each window.
        squared: losses are mean squared errors.

    Example:
        >>> influence(np.array([[1.0, 3.0]]), np.ones(2), squared=False)
        array([-1.,  1.])
    """
    scores = seed_scores(loss, counts, squared=squared)
    centred = np.where(counts > 0, loss, 0.0) - (scores**2 if squared else scores)[:, None]
    if squared:
        centred = np.divide(centred, 2 * scores[:, None], out=np.zeros_like(centred), where=scores[:, None] > 0)
    return (centred * counts / counts.mean()).mean(axis=0)


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
