"""Intervals of differences: hand-computed points, properties and coverage."""

import math

import numpy as np
import pytest

from gnnkit.statistics.bootstrap import Interval, block_weights, paired_interval

RNG = np.random.default_rng


def test_block_weights_are_whole_blocks_of_neighbours():
    weights = block_weights(10, block=5, resamples=50, seed=3)
    assert weights.shape == (50, 10)
    assert (weights.sum(axis=1) == 10).all()
    starts = {tuple(w) for w in block_weights(10, block=10, resamples=20)}
    assert starts == {(1.0,) * 10}  # one block can only be everything
    for row in block_weights(7, block=4, resamples=20):
        assert row.sum() == 7
        # A block of 4 and a cut one of 3: undoing the best pair of starts leaves nothing.
        pairs = [np.array([(a <= i < a + 4) + (b <= i < b + 3) for i in range(7)]) for a in range(4) for b in range(4)]
        assert any((row == pair).all() for pair in pairs)


def test_block_weights_refuse_blocks_that_do_not_fit():
    with pytest.raises(ValueError, match="block=6: must be 1 to the number of windows, 5"):
        block_weights(5, block=6, resamples=1)


def test_difference_is_that_of_the_seed_means_with_every_target_weighing_the_same():
    a, b = np.array([[1.0, 4.0], [3.0, 4.0]]), np.array([[2.0, 2.0]])
    counts = np.array([3.0, 1.0])
    found = paired_interval(a, b, counts, block=1)
    assert found.difference == pytest.approx((7 / 4 + 13 / 4) / 2 - 2.0)
    squared = paired_interval(a, b, counts, block=1, squared=True)
    assert squared.difference == pytest.approx((math.sqrt(7 / 4) + math.sqrt(13 / 4)) / 2 - math.sqrt(2))


def test_windows_without_targets_do_not_count():
    a, b = np.array([[1.0, np.nan, 3.0]]), np.array([[2.0, np.nan, 3.0]])
    assert paired_interval(a, b, np.array([1.0, 0.0, 1.0]), block=1).difference == pytest.approx(-0.5)


def test_a_constant_gap_is_clear_whatever_the_noise_both_share():
    hard = RNG(0).gamma(1.0, 5.0, size=(1, 300))
    found = paired_interval(hard - 0.1, hard, np.ones(300), block=20)
    assert found.clear
    assert (found.low, found.high) == pytest.approx((-0.1, -0.1))
    mirrored = paired_interval(hard, hard - 0.1, np.ones(300), block=20)
    assert (mirrored.low, mirrored.high) == pytest.approx((0.1, 0.1))


def test_noise_between_seeds_widens_the_interval():
    base = np.ones((1, 200))
    calm = base + np.array([[-0.1], [0.0], [0.1]]) * 0.01
    wild = base + np.array([[-0.1], [0.0], [0.1]])
    reference = base + 0.05
    assert paired_interval(calm, reference, np.ones(200), block=10).clear
    found = paired_interval(wild, reference, np.ones(200), block=10, resamples=20000)
    assert not found.clear
    # s / √3 · t with two degrees of freedom, and no noise from windows at all.
    assert found.high - found.difference == pytest.approx(0.1 / math.sqrt(3) * 4.303, rel=0.1)


def test_the_same_seed_gives_the_same_interval():
    a, b = RNG(0).random((2, 60)), RNG(1).random((2, 60))
    first = paired_interval(a, b, np.ones(60), block=5, seed=4)
    assert paired_interval(a, b, np.ones(60), block=5, seed=4) == first
    assert paired_interval(a, b, np.ones(60), block=5, seed=5) != first


def test_a_single_window_gives_an_interval_without_width_and_no_crash():
    found = paired_interval(np.array([[1.0]]), np.array([[2.0]]), np.ones(1), block=24)
    assert found == Interval(-1.0, -1.0, -1.0)


def test_shapes_and_empty_counts_are_refused():
    with pytest.raises(ValueError, match=r"shapes \(1, 3\) and \(1, 4\)"):
        paired_interval(np.ones((1, 3)), np.ones((1, 4)), np.ones(3), block=1)
    with pytest.raises(ValueError, match="no window has an observed target"):
        paired_interval(np.ones((1, 3)), np.ones((1, 3)), np.zeros(3), block=1)


def test_deviations_of_independent_windows_are_widened_by_the_factor_worked_out_by_hand():
    # Ten windows one by one, block=1: V̂ falls short by 9 / 10, and t has 9 degrees: 2.262 in place of 1.960.
    a = RNG(0).standard_normal((1, 10))
    found = paired_interval(a, np.zeros((1, 10)), np.ones(10), block=1, resamples=400)
    drawn = block_weights(10, block=1, resamples=400) @ a[0] / 10
    low, high = np.quantile(drawn - drawn.mean(), [0.025, 0.975]) * np.sqrt(10 / 9) * 2.262157 / 1.959964
    assert (found.low, found.high) == pytest.approx((a.mean() + low, a.mean() + high))


def test_windows_that_overlap_over_half_a_block_are_widened_by_what_blocks_lose_of_their_variance():
    # 12 windows, block 4, neighbours correlated at 1/2: Var of a block's mean (4 + 2·3/2) / 16 = 7/16, of the whole
    # (12 + 2·11/2) / 144 = 23/144; three blocks keep (7/16 − 23/144) / (3 · 23/144) = 40/69.
    a = RNG(0).standard_normal((1, 12))
    found = paired_interval(a, np.zeros((1, 12)), np.ones(12), block=4, resamples=400)
    drawn = block_weights(12, block=4, resamples=400) @ a[0] / 12
    low, high = np.quantile(drawn - drawn.mean(), [0.025, 0.975]) * np.sqrt(69 / 40) * 4.302653 / 1.959964
    assert (found.low, found.high) == pytest.approx((a.mean() + low, a.mean() + high))


def overlapping_noise(rng, windows, horizon):
    """Errors of overlapping windows: an AR(1) with 0.5, averaged over the horizon."""
    shocks = rng.standard_normal(windows + horizon + 50)
    series = np.zeros_like(shocks)
    for t in range(1, len(series)):
        series[t] = 0.5 * series[t - 1] + shocks[t]
    return np.convolve(series, np.ones(horizon) / horizon, "valid")[-windows:]


def test_coverage_is_about_right_for_overlapping_windows():
    rng, horizon, windows, cases = RNG(0), 12, 380, 300
    covered = 0
    for case in range(cases):
        noise = overlapping_noise(rng, windows, horizon)
        found = paired_interval(
            10 + noise[None], np.full((1, windows), 10.0), np.ones(windows), block=24, resamples=400, seed=case
        )
        covered += found.low <= 0 <= found.high
    assert 0.90 <= covered / cases <= 0.98


def test_coverage_is_about_right_when_seeds_differ():
    rng, windows, cases = RNG(1), 200, 300
    covered = 0
    for case in range(cases):
        a = 5 + 0.2 * rng.standard_normal((3, 1)) + 0.3 * rng.standard_normal(windows)
        b = np.full((1, windows), 5.0)
        found = paired_interval(a, b, np.ones(windows), block=5, resamples=400, seed=case)
        covered += found.low <= 0 <= found.high
    assert 0.90 <= covered / cases <= 0.99


def test_power_finds_a_difference_of_two_deviations():
    rng = RNG(2)
    noise = [overlapping_noise(rng, 380, 12) for _ in range(50)]
    gap = 5 * np.std([n.mean() for n in noise])
    found = [
        paired_interval(10 + n[None] - gap, np.full((1, 380), 10.0), np.ones(380), block=24, resamples=400)
        for n in noise
    ]
    assert np.mean([f.high < 0 for f in found]) > 0.9
