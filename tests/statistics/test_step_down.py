"""Corrections that know how much tests depend on each other."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from gnnkit.statistics.paired import holm
from gnnkit.statistics.spans import SpanScore, span_test
from gnnkit.statistics.step_down import confidence_set, step_down

RNG = np.random.default_rng


def made(parts, means, seeds=1, noise=0.0, rng=None):
    """Tests of M differences on q spans, and their parts."""
    tests = []
    for own, mean in zip(parts, means, strict=True):
        scores = np.full(seeds, 10.0 + mean) + (noise * rng.standard_normal(seeds) if rng is not None else 0.0)
        tests.append(span_test(SpanScore(scores, own), SpanScore(np.array([10.0]), np.zeros_like(own))))
    return tests, parts


def worlds(rng, tests, spans, correlation):
    """Differences of spans that correlate between tests, and their means."""
    common = rng.standard_normal((1, spans))
    found = correlation**0.5 * common + (1 - correlation) ** 0.5 * rng.standard_normal((tests, spans))
    means = found.mean(axis=1)
    return (found - means[:, None]) / spans, means


def test_tests_that_do_not_depend_on_each_other_cost_what_holm_asks():
    parts, _ = worlds(RNG(0), 4, 60, 0.0)
    tests, parts = made(parts, [0.36, 0.30, 0.22, 0.09])
    found, of_holm = step_down(tests, parts, draws=6000), holm([test.p_value for test in tests])
    sidak = 1 - (1 - np.array([test.p_value for test in tests])) ** np.array([4, 3, 2, 1])
    assert found == pytest.approx(np.maximum.accumulate(sidak), rel=0.2, abs=0.004)
    assert (found <= of_holm).all()


@pytest.mark.parametrize("copies", [2, 5])
def test_copies_of_one_test_cost_nothing(copies):
    parts, _ = worlds(RNG(1), 1, 8, 0.0)
    tests, parts = made(np.repeat(parts, copies, axis=0), [0.7] * copies)
    assert step_down(tests, parts) == pytest.approx([tests[0].p_value] * copies)


def test_no_p_falls_below_its_own_nor_rises_above_that_of_holm():
    for case in range(60):
        rng = RNG(case)
        tests, spans = int(rng.integers(1, 7)), int(rng.integers(2, 13))
        parts, means = worlds(rng, tests, spans, rng.random())
        found, parts = made(parts, means, seeds=int(rng.integers(1, 4)), noise=0.3, rng=rng)
        own = np.array([test.p_value for test in found])
        corrected = step_down(found, parts, draws=500)
        assert (corrected >= own).all()
        assert (corrected <= holm(own) + 1e-12).all()
        order = np.argsort(own, kind="stable")
        assert (np.diff(corrected[order]) >= -1e-12).all()


@pytest.mark.parametrize(("spans", "correlation"), [(4, 0.9), (6, 0.5), (12, 0.0)])
def test_a_family_of_true_nulls_is_rejected_in_about_five_of_a_hundred(spans, correlation):
    """200 families of five; 5% are 10, with a deviation of 3.1."""
    rejected = 0
    for case in range(200):
        tests, parts = made(*worlds(RNG([spans, case]), 5, spans, correlation))
        rejected += step_down(tests, parts, draws=1000, seed=case).min() < 0.05
    assert 1 <= rejected <= 20


def test_tests_that_correlate_cost_less_than_holm():
    gains = []
    for case in range(50):
        parts, _ = worlds(RNG([1, case]), 6, 6, 0.97)
        tests, parts = made(parts, [0.9] * 6)
        gains.append(step_down(tests, parts).min() / holm([test.p_value for test in tests]).min())
    assert np.median(gains) < 0.5


def scored(errors):
    """Scores of models from their errors, [K, q]."""
    means = errors.mean(axis=1)
    return [SpanScore(np.array([10 + m]), (e - m) / len(e)) for e, m in zip(errors, means, strict=True)]


def test_equal_models_are_all_among_the_best():
    """Six equal models, 200 times: one of them is thrown out in 5%, that is 10, with a deviation of 3.1."""
    thrown = 0
    for case in range(200):
        scores = scored(RNG([2, case]).standard_normal((6, 6)))
        thrown += confidence_set(scores, draws=1000, seed=case).min() < 0.05
    assert 1 <= thrown <= 20


def test_a_clear_winner_among_many_is_seen_where_all_pairs_would_hide_it():
    """Nine models, the first better than the others by three standard errors of a difference."""
    crowned = hidden = 0
    for case in range(60):
        errors = RNG([3, case]).standard_normal((9, 12))
        errors[0] -= 3 * np.sqrt(2 / 12)
        scores = scored(errors)
        p_values = confidence_set(scores, draws=1000)
        crowned += p_values[0] == 1 and p_values[1:].max() < 0.05
        tests = {pair: span_test(scores[pair[0]], scores[pair[1]]).p_value for pair in combinations(range(9), 2)}
        corrected = dict(zip(tests, holm(list(tests.values())), strict=True))
        hidden += max(p for pair, p in corrected.items() if 0 in pair) >= 0.05
    assert crowned >= 2 * (60 - hidden)
    assert crowned >= 10


def test_the_set_shrinks_from_the_worst_model_on():
    levels = np.array([0.0, 0.1, 3.0, 6.0])
    p_values = confidence_set(scored(levels[:, None] + 0.3 * RNG(5).standard_normal((4, 8))))
    assert (p_values[:2] > 0.05).all()
    assert (p_values[2:] < 0.01).all()
    assert p_values.max() == 1
    assert p_values[3] <= p_values[2]


def test_one_rival_alone_is_its_own_test():
    parts, means = worlds(RNG(4), 1, 6, 0.0)
    tests, parts = made(parts, means)
    assert step_down(tests, parts).tolist() == [tests[0].p_value]
    two = scored(RNG(6).standard_normal((2, 6)))
    assert sorted(confidence_set(two)) == [span_test(*two).p_value, 1.0]
    peer = stats.ttest_1samp(parts[0] * 6 + means[0], 0.0)
    assert tests[0].p_value == pytest.approx(peer.pvalue)
