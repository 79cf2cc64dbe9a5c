"""p values that hold for several tests on the same spans together, from how much the tests depend on each other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy import special

from gnnkit.statistics.paired import Judged, PairedTest, holm, judge_together
from gnnkit.statistics.spans import Compared, SpanScore, span_test

__all__ = ["confidence_set", "judge_family", "step_down"]

DRAWS = 4000


def step_down(
    tests: Sequence[PairedTest], parts: Float[np.ndarray, "M q"], *, draws: int = DRAWS, seed: int = 0
) -> Float[np.ndarray, " M"]:
    """p values that hold for all M tests together; tests that say nearly the same cost little.

    All tests are drawn together as they would come out if no two models differed: each draw has q spans of normal
    values that correlate between tests as the spans' parts do, noise between seeds, and a t of each test with a
    variance of its own, made as `span_test` makes it. With p_(1) ≤ p_(2) ≤ … and p* the smallest p of a draw among the
    tests from the k-th on,

        p̃_(i) = max over k ≤ i of P(p* ≤ p_(k)),

    and never above Holm's p, which knows of no dependence.

    Args:
        tests: from `span_test`.
        parts: what each span adds to each test's difference: those of one model less those of the other.
        draws: default 4000.
        seed: of the draws; the same seed gives the same p values.

    Source:
        Romano and Wolf, "Exact and approximate stepdown methods for multiple hypothesis testing", 2005; Westfall and
        Young, "Resampling-based multiple testing", 1993. Draws are normal, as Ibragimov and Müller's t takes spans to
        be: 4 spans have 16 signs, and the bootstrap of so few no p below 1/8.

    Example:
        >>> test, parts = PairedTest(3.0, 0.03, 5.0, 0.3, 0.1), np.array([0.1, -0.2, 0.1, 0.1, -0.1, 0.0])
        >>> step_down([test, test], np.stack([parts, parts]))  # twice the same test: no correction
        array([0.03, 0.03])
    """
    own = np.array([test.p_value for test in tests])
    order = np.argsort(own, kind="stable")
    drawn, free = _drawn(tests, parts, draws, seed)[:, order], _degrees(tests)[order]
    joint = np.array([_share_beyond(drawn[:, k:], free[k:], p_value) for k, p_value in enumerate(own[order])])
    # A test that all others copy has its own p, which draws know but roughly.
    copies = np.array([_alike(parts[order[place:]]) for place in range(len(order))])
    joint = np.maximum.accumulate(np.where(copies, own[order], np.maximum(joint, own[order])))
    found = np.empty_like(own)
    found[order] = joint
    return np.minimum(found, holm(own))


def judge_family(asked: Sequence[Compared], confidence: float, *, draws: int = DRAWS) -> list[Judged]:
    """Judge tests that belong together: whichever of them stand out, the chance that one does so by noise is held.

    Their p values are those of `step_down`. Where tests have not the same spans (the last windows of one split have no
    target at a far horizon), nothing tells how they depend on each other, and the p values are Holm's.

    Args:
        asked: the tests; none: nothing is said.
        confidence: of the intervals, which hold together.
        draws: as for `step_down`.

    Returns:
        What is said of each, in their order; mark, interval and p agree (`judge_together`).

    Example:
        >>> one = Compared(PairedTest(3.0, 0.03, 5.0, 0.3, 0.1), np.array([0.1, -0.2, 0.1, 0.1, -0.1, 0.0]))
        >>> [(found.p_value, found.clear) for found in judge_family([one, one], 0.95)]
        [(0.03, True), (0.03, True)]
    """
    tests = [each.test for each in asked]
    corrected: Float[np.ndarray, " M"] = np.array([test.p_value for test in tests])
    if len(asked) > 1:
        alike = len({len(each.parts) for each in asked}) == 1
        parts = np.stack([each.parts for each in asked]) if alike else None
        corrected = holm(corrected) if parts is None else step_down(tests, parts, draws=draws)
    return judge_together(tests, confidence, corrected)


def confidence_set(scores: Sequence[SpanScore], *, draws: int = DRAWS, seed: int = 0) -> Float[np.ndarray, " K"]:
    """p of "this model is among the best", for each of K models: those with p ≥ α are the model confidence set.

    While more than one model is left, all of them are asked together whether they are equal: the smallest p of all
    pairs is compared with that of draws in which no two differ (as in `step_down`). Then the model that is worse than
    another by the largest t leaves; its p is the largest that was met so far. Every model that is truly best stays
    with a chance of 1 − α, all of them together, however many there are.

    Args:
        scores: of each model on the same windows and spans.
        draws, seed: as for `step_down`.

    Returns:
        p of each model; 1 for the one that is left.

    Source:
        Hansen, Lunde and Nason, "The model confidence set", 2011, with their range statistic; the draws are those of
        `step_down`.

    Example:
        >>> parts = np.array([[0.1, -0.2, 0.1], [-0.1, 0.2, -0.1], [0.1, 0.0, -0.1]])
        >>> scores = [SpanScore(np.array([s]), part) for s, part in zip((1.0, 1.05, 9.0), parts, strict=True)]
        >>> (confidence_set(scores) > 0.05).tolist()
        [True, True, False]
    """
    left, found, reached = list(range(len(scores))), np.ones(len(scores)), 0.0
    pairs = list(itertools.combinations(left, 2))
    tests = [span_test(scores[i], scores[j]) for i, j in pairs]
    if not tests:
        return found
    drawn = _drawn(tests, np.stack([scores[i].parts - scores[j].parts for i, j in pairs]), draws, seed)
    statistics, own = (np.array([getattr(test, name) for test in tests]) for name in ("statistic", "p_value"))
    free, ends = _degrees(tests), np.array(pairs)
    while len(left) > 1:
        inside = np.isin(ends, left).all(axis=1)
        least = float(own[inside].min())
        # Of two models the draws know no more than the test itself.
        joint = least if len(left) == 2 else max(_share_beyond(drawn[:, inside], free[inside], least), least)
        reached = max(reached, joint)
        worst = {model: max(_signed(ends[inside], statistics[inside], model)) for model in left}
        gone = max(left, key=lambda model: worst[model])
        found[gone] = reached
        left.remove(gone)
    return found


def _signed(ends: np.ndarray, statistics: np.ndarray, model: int) -> np.ndarray:
    """t of a model against each other one: above 0 where it is worse."""
    return np.concatenate([statistics[ends[:, 0] == model], -statistics[ends[:, 1] == model]])


def _alike(parts: np.ndarray) -> bool:
    """Whether all tests are one: their parts are multiples of each other."""
    sizes = np.sqrt(np.square(parts).sum(axis=1))
    one = parts[0] / sizes[0] if sizes[0] else parts[0]
    return bool(np.all(np.abs(np.abs(parts @ one) - sizes) <= 1e-9 * sizes))


def _degrees(tests: Sequence[PairedTest]) -> np.ndarray:
    return np.array([test.degrees for test in tests])


def _share_beyond(drawn: np.ndarray, degrees: np.ndarray, p_value: float) -> float:
    """Share of the draws in which one of the tests has a p of at most `p_value`; the tests themselves count as one."""
    if p_value == 0:  # a difference without variance: no draw is beyond it
        return 1 / (1 + len(drawn))
    reach = -special.stdtrit(degrees, p_value / 2) * (1 - 1e-9)
    return float(1 + (drawn >= reach).any(axis=1).sum()) / (1 + len(drawn))


@lru_cache(maxsize=4)
def _shocks(draws: int, spans: int, seed: int) -> np.ndarray:
    shocks = np.random.default_rng(seed).standard_normal((draws, spans, spans))
    shocks.flags.writeable = False
    return shocks


def _drawn(tests: Sequence[PairedTest], parts: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """[draws, M]: |t| of each test, all drawn together where no two models differ."""
    q = parts.shape[1]
    sizes = np.sqrt(np.square(parts).sum(axis=1))
    directions = np.divide(parts, sizes[:, None], out=np.zeros_like(parts), where=sizes[:, None] > 0)  # [M, q]
    shocks = _shocks(draws, q, seed) @ directions.T  # [draws, span, M]
    top, bottom = shocks.mean(axis=1) * q**0.5, shocks.var(axis=1, ddof=1)
    share, free = np.array([test.between_seeds for test in tests]).T
    if share.any():
        rng = np.random.default_rng([seed, 1])
        luck, known = rng.standard_normal(top.shape), rng.chisquare(free, size=top.shape) / free
        top = np.sqrt(1 - share) * top + np.sqrt(share) * luck
        bottom = (1 - share) * bottom + share * known
    return np.divide(np.abs(top), np.sqrt(bottom), out=np.zeros_like(top), where=bottom > 0)
