"""What is said of several tests together: mark, interval and p are one rule."""

import math

import numpy as np
import pytest
from scipy import stats

from gnnkit.statistics.paired import PairedTest, detectable, holm, judge_together, paired_test, spans_needed

RNG = np.random.default_rng


def test_holm_steps_down_and_never_falls_again():
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]
    assert holm([0.04]).tolist() == [0.04]


def made(p_value, degrees=20.0, deviation=0.1):
    """A test with that p of its own."""
    statistic = float(stats.t.isf(p_value / 2, degrees))
    return PairedTest(statistic, p_value, degrees, statistic * deviation, deviation)


def test_interval_p_and_mark_are_one_rule():
    """Whatever the p values: the interval excludes 0 just where the corrected p is below 5%."""
    for case in range(200):
        rng = RNG(case)
        tests = [made(float(p), float(rng.integers(1, 60))) for p in rng.beta(0.3, 2.0, size=rng.integers(1, 12))]
        corrected = holm([test.p_value for test in tests])
        judged = judge_together(tests, 0.95, corrected)
        assert [one.p_value for one in judged] == pytest.approx(corrected, abs=0.0006)
        for one in judged:
            assert one.clear == (one.p_value < 0.05) == (one.low > 0 or one.high < 0)
            assert one.low <= one.difference <= one.high


@pytest.mark.parametrize("confidence", [0.95, 0.9, 0.99, 0.999, 0.9333, 0.9338])
def test_the_p_that_is_printed_decides(confidence):
    alpha = round(1 - confidence, 9)
    for p_value in (alpha + step * 1e-4 for step in range(-12, 13)):
        if p_value <= 0:
            continue
        one = judge_together([made(p_value)], confidence, [p_value])[0]
        printed = float(f"{one.p_value:.3f}") if one.p_value >= 0.001 else 0.0
        assert one.clear == (printed < alpha) == (one.low > 0 or one.high < 0)
        assert one.low <= one.difference <= one.high
        assert abs(one.p_value - p_value) <= 0.001


def test_the_interval_is_that_of_the_test_at_the_level_that_holm_leaves_it():
    alone = judge_together([made(0.03)], 0.95, [0.03])[0]
    reach = stats.t.isf(0.025, 20) * 0.1
    assert (alone.difference - alone.low, alone.high - alone.difference) == pytest.approx((reach, reach))
    first, second = judge_together([made(0.03), made(0.001)], 0.95, [0.03, 0.002])
    assert (first.p_value, second.p_value) == pytest.approx((0.03, 0.002))
    assert second.high - second.difference == pytest.approx(stats.t.isf(0.05 / 2 / 2, 20) * 0.1)
    assert first.high - first.difference == pytest.approx(reach)  # what the step-down leaves it is its own level


def test_what_has_no_variance_has_an_interval_without_width():
    sure = judge_together([PairedTest(-math.inf, 0.0, 3.0, -0.5, 0.0)], 0.95, [0.0])[0]
    assert (sure.low, sure.high, sure.p_value, sure.clear) == (-0.5, -0.5, 0.0, True)
    same = judge_together([PairedTest(0.0, 1.0, 3.0, 0.0, 0.0)], 0.95, [1.0])[0]
    assert (same.low, same.high, same.p_value, same.clear) == (0.0, 0.0, 1.0, False)


def test_what_a_test_could_find_it_finds_in_eighty_of_a_hundred():
    """20 000 worlds in which the true difference is the detectable one."""
    rng, q, level = RNG(7), 9, 0.02
    test = PairedTest(0.0, 1.0, q - 1.0, 0.0, 1 / q**0.5)  # q spans of deviation 1
    draws = detectable(test, level=level) + rng.standard_normal((20_000, q))
    found = stats.ttest_1samp(draws, 0, axis=1).pvalue < level
    # The deviation of a test varies from draw to draw, so that the share is 80% but for a point or two.
    assert found.mean() == pytest.approx(0.8, abs=0.02)


def test_the_noise_between_seeds_is_each_models_own():
    steady, wild = np.array([1.0, 1.001, 1.002]), np.array([1.0, 2.0, 3.0])
    assert paired_test((steady, np.array([1.2])), 1e-6, 5.0).p_value < 0.001
    found = paired_test((wild, steady), 0.01, 5.0)
    parts = [(0.01, 5.0), (1 / 3, 2.0), (1e-6 / 3, 2.0)]
    assert found.deviation**2 == pytest.approx(sum(part for part, _ in parts))
    assert found.degrees == pytest.approx(found.deviation**4 / sum(part**2 / free for part, free in parts))
    assert found.between_seeds == pytest.approx((1 - 0.01 / found.deviation**2, 2.0), rel=1e-5)


@pytest.mark.parametrize("spread", [1.0, 10.0])
def test_equal_models_of_three_seeds_are_seldom_told_apart_whatever_their_noise(spread):
    rng = RNG(0)
    luck = rng.normal(10, [[[0.1]], [[0.1 * spread]]], (2, 1000, 3))
    pairs = [(luck[first, draw], luck[1, draw - 1]) for first in (0, 1) for draw in range(1000)]
    called = [paired_test(pair, 1e-6, 5.0).p_value < 0.05 for pair in pairs]
    assert 0.01 < np.mean(called) < 0.06


def test_one_seed_alone_gives_no_noise_between_seeds():
    alone = (np.array([1.0]), np.array([2.0]))
    assert paired_test(alone, 0.01, 5.0).deviation == pytest.approx(0.1)


def test_with_the_spans_needed_the_difference_seen_is_found_in_eighty_of_a_hundred():
    rng, q = RNG(8), 6
    test = PairedTest(1.2, 0.3, q - 1.0, 1.2 / q**0.5, 1 / q**0.5)  # q spans of deviation 1
    needed = spans_needed(test, q)
    draws = test.difference + rng.standard_normal((20_000, needed))
    assert stats.ttest_1samp(draws, 0, axis=1).pvalue.__lt__(0.05).mean() == pytest.approx(0.8, abs=0.03)
    assert stats.ttest_1samp(draws[:, :-2], 0, axis=1).pvalue.__lt__(0.05).mean() < 0.8


def test_no_number_of_spans_finds_no_difference_nor_one_within_the_noise_of_seeds():
    assert spans_needed(PairedTest(0.0, 1.0, 5.0, 0.0, 0.1), 6) is None
    assert spans_needed(PairedTest(1.0, 0.3, 3.0, 0.1, 0.1, (0.9, 2.0)), 6) is None
    assert spans_needed(PairedTest(1.0, 0.3, 3.0, 0.1, 0.1, (0.01, 20.0)), 6) > 50
