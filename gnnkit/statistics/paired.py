"""A test of two models' errors, and what is said of several such tests together: mark, interval and p agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import special

from gnnkit.statistics.bootstrap import seed_scores

_LARGEST = 1e150
__all__ = ["Judged", "PairedTest", "detectable", "holm", "influence", "judge_together", "paired_test", "spans_needed"]

P_PLACES = 3
"""Decimals of a p value that is printed; below the smallest of them it is printed as "< .001"."""


@dataclass(frozen=True)
class PairedTest:
    """A test of two models' errors.

    Args:
        statistic: difference / deviation; infinite where a difference has no variance at all.
        p_value: two-sided, from Student's t.
        degrees: of freedom.
        difference: score of a minus score of b.
        deviation: standard error of the difference.
        between_seeds: share of the variance that is noise between seeds, and the degrees of freedom that it has.
    """

    statistic: float
    p_value: float
    degrees: float
    difference: float
    deviation: float
    between_seeds: tuple[float, float] = (0.0, 1.0)


def paired_test(scores: Sequence[Float[np.ndarray, " S"]], variance: float, degrees: float) -> PairedTest:
    """Student's t of the difference of two mean scores, from its variance over windows and that between seeds.

    With the variance v of the mean over windows (ν degrees), and s² / S of the S scores of each model,

        deviation² = v + Σ s² / S,     degrees = deviation⁴ / (v² / ν + Σ (s² / S)² / (S − 1))

    One seed says nothing of the noise between seeds, and nothing is added for it. A variance over few seeds is known
    badly, and its degrees say so. It is not pooled with that of other models: some are a hundred times less steady than
    others, and one of them would blur all, and be told apart from its like by luck.

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
    several = [found for found in scores if len(found) > 1]
    noise = [(float(found.var(ddof=1)) / len(found), len(found) - 1.0) for found in several]
    seeds = sum(part for part, _ in noise)
    total = variance + seeds
    if total >= _LARGEST:
        raise ValueError(f"scores have a variance of {total:.3g}, whose square is no number; give them in another unit")
    rounding = 1e-12 * max(abs(float(found.mean())) for found in scores)
    if total <= rounding**2:  # what rounding leaves of a constant
        equal = abs(difference) <= rounding
        statistic = 0.0 if equal else float(np.copysign(np.inf, difference))
        return PairedTest(statistic, float(equal), degrees, difference, 0.0)
    free = total**2 / sum(part**2 / each for part, each in [(variance, degrees), *noise])
    between = seeds**2 / sum(part**2 / each for part, each in noise) if seeds else 1.0
    statistic = difference / total**0.5
    p_value = float(2 * special.stdtr(free, -abs(statistic)))
    return PairedTest(statistic, p_value, free, difference, total**0.5, (seeds / total, between))


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


def detectable(test: PairedTest, *, level: float = 0.05, power: float = 0.8) -> float:
    """The smallest true difference that a test like this one finds with a chance of `power`.

        (t_{1 − level / 2} + t_{power}) · deviation

    Args:
        test: has a deviation and degrees of freedom.
        level: two-sided, after any correction; inside (0, 1). Default 0.05.
        power: chance to find it; inside (0, 1). Default 0.8.

    Source:
        Bloom, "Minimum detectable effects", 1995.

    Example:
        >>> round(detectable(PairedTest(1.0, 0.33, 20.0, 0.1, 0.1)), 3)
        0.295
    """
    reach = special.stdtrit(test.degrees, 1 - level / 2) + special.stdtrit(test.degrees, power)
    return float(reach) * test.deviation


def spans_needed(test: PairedTest, spans: int, *, level: float = 0.05, power: float = 0.8) -> int | None:
    """Spans of the same length with which a true difference as large as the one seen is found with a chance of `power`.

    The variance over spans falls with their number, and that between seeds stays.

    Args:
        test: from `span_test`.
        spans: that it was made on.
        level, power: as for `detectable`.

    Returns:
        None where a million spans are not enough: there is no difference, or seeds differ too much.

    Example:
        >>> spans_needed(PairedTest(1.0, 0.36, 5.0, 0.1, 0.1), 6)
        50
    """
    share, free = test.between_seeds
    over_spans, seeds = test.deviation**2 * (1 - share) * spans, test.deviation**2 * share

    def found(count: int) -> bool:
        part = over_spans / count
        total = part + seeds
        degrees = total**2 / (part**2 / (count - 1) + seeds**2 / free) if total else count - 1
        return detectable(PairedTest(0.0, 1.0, degrees, 0.0, total**0.5), level=level, power=power) <= seen

    low, high, seen = 1, 1_000_000, abs(test.difference)  # found(low) is not so, found(high) is
    if not seen or not found(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def holm(p_values: Sequence[float] | Float[np.ndarray, " M"]) -> Float[np.ndarray, " M"]:
    """p-values that hold for all M tests together: p̃_(i) = max over k ≤ i of (M − k + 1) p_(k), at most 1.

    Source:
        Holm, "A simple sequentially rejective multiple test procedure", 1979.

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    own = np.asarray(p_values, dtype=np.float64)
    if own.ndim != 1:
        raise ValueError(f"p_values must be one p-value a test, got shape {list(own.shape)}")
    order = np.argsort(own, kind="stable")
    found = np.empty_like(own)
    found[order] = np.minimum(np.maximum.accumulate(own[order] * np.arange(len(own), 0, -1)), 1.0)
    return found


@dataclass(frozen=True)
class Judged:
    """A difference, and what one test says of it: `clear`, `p_value` and interval always agree.

    Args:
        difference: score of a minus score of b.
        low, high: the interval of the test at the level that the correction leaves it.
        p_value: after the correction, with the decimals that are printed.
        level: of the interval, two-sided: what the correction leaves of 1 − confidence.
        clear: p is below 1 − confidence, and the interval excludes 0.
    """

    difference: float
    low: float
    high: float
    p_value: float
    clear: bool
    level: float


def judge_together(
    tests: Sequence[PairedTest], confidence: float, p_values: Sequence[float] | Float[np.ndarray, " M"]
) -> list[Judged]:
    """Judge tests by their corrected p values: mark, interval and p of each always agree.

    With f the factor by which the correction raised a test's own p, and α = 1 − confidence,

        interval = difference ± t_{1 − α / (2 f)} · deviation,     clear = (p · f < α)

    so that an interval excludes 0 just where the corrected p is below α. The p that is kept is the one that is printed,
    with three decimals, and that one decides: where .0498 is printed as .050, the difference is not clear at α = .05,
    and its interval reaches to 0.

    Args:
        tests: all that the question looks at, shown or not.
        confidence: of the intervals.
        p_values: of the tests, corrected (`gnnkit.statistics.step_down`); none below the test's own.

    Returns:
        What is said of each, in their order.

    Example:
        >>> weak = PairedTest(2.2, 0.04, 20.0, 0.22, 0.1)
        >>> [judge_together([weak], 0.95, [p_value])[0].clear for p_value in (0.04, 0.08)]
        [True, False]
    """
    alpha, own = round(1 - confidence, 9), np.array([test.p_value for test in tests])
    factors = np.divide(p_values, own, out=np.ones(len(own)), where=own > 0)
    found = []
    for test, factor in zip(tests, factors.tolist(), strict=True):
        level = alpha / factor
        reach = float(-special.stdtrit(test.degrees, level / 2)) * test.deviation if test.deviation else 0.0
        p_value = _printed(min(1.0, test.p_value * factor), alpha)
        clear = p_value < alpha
        reach = reach if clear else max(reach, abs(test.difference))
        low, high = test.difference - reach, test.difference + reach
        found.append(Judged(test.difference, low, high, p_value, clear, level))
    return found


def _printed(p_value: float, alpha: float) -> float:
    """p with the decimals that are printed; one that is not below α is not printed as one that is."""
    if p_value < 10**-P_PLACES:  # printed as "< .001"
        return p_value
    near = round(p_value, P_PLACES)
    return math.ceil(p_value * 10**P_PLACES) / 10**P_PLACES if near < alpha <= p_value else near
