"""Tests of models against each other: hand-computed values, a dense reference, and their size by simulation."""

import numpy as np
import pytest
from scipy import stats

from benchmarks.referee_size import CASES, Cell, cells, rejections, window_losses
from gnnkit.statistics.diebold_mariano import diebold_mariano

RNG = np.random.default_rng


@pytest.mark.parametrize("loss", ["absolute", "squared"])
def test_equal_forecasters_are_called_different_in_3_to_7_percent_of_2000_cases(loss):
    """Overlapping windows of AR(1) errors, horizon 12, 380 windows: the case that the referee is judged by."""
    found = rejections(Cell(loss=loss), CASES)
    assert 0.03 <= found["diebold_mariano"] <= 0.07
    assert 0.03 <= found["bootstrap"] <= 0.07


def test_a_fifth_more_error_is_nearly_always_found():
    found = rejections(Cell(windows=1000, horizon=3, errors="shared", ratio=1.2), 100)
    assert min(found["diebold_mariano"], found["bootstrap"]) > 0.95


def test_the_simulated_losses_are_means_over_overlapping_steps():
    steps = window_losses(Cell(horizon=1, windows=30), 2)
    means = window_losses(Cell(horizon=3, windows=28), 2)
    assert means == pytest.approx((steps[..., :-2] + steps[..., 1:-1] + steps[..., 2:]) / 3)
    shared = window_losses(Cell(horizon=1, windows=4000, ar=0.0, errors="shared", loss="squared"), 1)
    assert np.corrcoef(shared[0, 0], shared[1, 0])[0, 1] == pytest.approx(0.7**2, abs=0.08)
    scaled = window_losses(Cell(horizon=1, windows=30, ratio=1.05), 2)
    assert scaled[1] == pytest.approx(1.05 * steps[1])
    assert len(cells()) == len(set(cells()))


def dense_diebold_mariano(d, counts, lag):
    """The statistic with every matrix written out: cosines, and the covariance of moving averages for κ."""
    windows = len(d)
    mean = (counts * d).sum() / counts.sum()
    u = counts * (d - mean) / counts.mean()
    nu = max(1, int(min(0.41 * windows ** (2 / 3), windows / (lag + 1))))
    basis = np.array(
        [
            [np.sqrt(2 / windows) * np.cos(np.pi * j * (w + 0.5) / windows) for w in range(windows)]
            for j in range(1, nu + 1)
        ]
    )
    gap = np.abs(np.subtract.outer(np.arange(windows), np.arange(windows)))
    covariance = np.maximum(0, 1 - gap / (lag + 1))
    kappa = np.mean([c @ covariance @ c for c in basis]) / (covariance.sum() / windows)
    variance = np.mean((basis @ u) ** 2) / kappa / windows
    return mean / np.sqrt(variance), nu


@pytest.mark.parametrize(("windows", "lag"), [(40, 0), (40, 2), (120, 11), (9, 11), (2, 0)])
def test_diebold_mariano_equals_the_dense_reference(windows, lag):
    rng = RNG(windows + lag)
    a, b = rng.gamma(2.0, size=windows), rng.gamma(2.0, size=windows)
    counts = rng.integers(1, 5, size=windows).astype(float)
    statistic, degrees = dense_diebold_mariano(a - b, counts, lag)
    found = diebold_mariano(a, b, counts, lag=lag)
    assert (found.statistic, found.degrees) == pytest.approx((statistic, degrees))
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(statistic), degrees))
    assert found.difference == pytest.approx(found.statistic * found.deviation)
    mirrored = diebold_mariano(b, a, counts, lag=lag)
    assert (mirrored.statistic, mirrored.p_value) == pytest.approx((-statistic, found.p_value))


def test_diebold_mariano_of_independent_windows_is_near_the_ordinary_t_test():
    rng = RNG(0)
    a, b = rng.standard_normal(3000) + 10.05, rng.standard_normal(3000) + 10.0
    found = diebold_mariano(a, b, np.ones(3000), lag=0)
    ordinary = (a - b).mean() / ((a - b).std(ddof=1) / np.sqrt(3000))
    assert found.statistic == pytest.approx(ordinary, rel=0.15)


def test_rmse_is_compared_by_the_delta_method():
    rng = RNG(1)
    a, b = rng.gamma(2.0, size=200), rng.gamma(2.5, size=200)
    root_a, root_b = np.sqrt(a.mean()), np.sqrt(b.mean())
    linear = (a - a.mean()) / (2 * root_a) - (b - b.mean()) / (2 * root_b) + root_a - root_b
    statistic, _ = dense_diebold_mariano(linear, np.ones(200), 2)
    found = diebold_mariano(a, b, np.ones(200), lag=2, squared=True)
    assert found.difference == pytest.approx(root_a - root_b)
    assert found.statistic == pytest.approx(statistic)


def test_noise_between_seeds_joins_the_variance_with_the_degrees_of_welch():
    a = np.ones((3, 50)) + np.array([[-0.1], [0.0], [0.1]])
    found = diebold_mariano(a, np.full((1, 50), 0.9), np.ones(50), lag=2)
    # No noise from windows: s² / 3 = 0.01 / 3 and two degrees.
    assert found.statistic == pytest.approx(0.1 / np.sqrt(0.01 / 3))
    assert found.degrees == pytest.approx(2.0)
    noisy = a + RNG(0).standard_normal(50)
    both = diebold_mariano(noisy, np.full((1, 50), 0.9), np.ones(50), lag=2)
    alone = diebold_mariano(noisy.mean(axis=0), np.full(50, 0.9), np.ones(50), lag=2)
    assert both.deviation**2 == pytest.approx(alone.deviation**2 + 0.01 / 3)


def test_windows_without_targets_are_not_read():
    a, b, counts = RNG(0).random(60), RNG(1).random(60), np.ones(60)
    counts[20:30] = 0
    hidden = np.where(counts > 0, a, np.nan)
    assert diebold_mariano(hidden, b, counts, lag=2) == diebold_mariano(a, b, counts, lag=2)


def test_a_difference_without_variance_is_certain_and_no_difference_is_none():
    hard = RNG(0).gamma(2.0, size=100)
    gap = diebold_mariano(hard - 0.1, hard, np.ones(100), lag=2)
    assert (gap.p_value, np.sign(gap.statistic)) == (pytest.approx(0, abs=1e-30), -1)
    same = diebold_mariano(hard, hard, np.ones(100), lag=2)
    assert (same.statistic, same.p_value) == (0.0, 1.0)


def test_what_cannot_be_tested_is_refused():
    with pytest.raises(ValueError, match=r"losses have shapes \(1, 3\) and \(1, 4\)"):
        diebold_mariano(np.ones(3), np.ones(4), np.ones(3), lag=0)
    with pytest.raises(ValueError, match="lag=-1: windows that share a target row are horizon − 1 apart"):
        diebold_mariano(np.ones(3), np.ones(3), np.ones(3), lag=-1)
    with pytest.raises(ValueError, match="counts: 1 windows have an observed target; a test needs at least 2"):
        diebold_mariano(np.ones(3), np.ones(3), np.array([0.0, 1.0, 0.0]), lag=0)
