"""Tests over folds and over the examples of one test set: by hand, and how often they are wrong."""

import numpy as np
import pytest
from scipy import stats

from gnnkit.statistics.folds import fold_test, jackknife_test


def test_the_variance_over_folds_is_raised_for_shared_training_sets():
    a, b = np.array([0.9, 0.8, 0.7, 0.8]), np.array([0.5, 0.6, 0.5, 0.4])
    found = fold_test(a, b)
    assert found.difference == pytest.approx(0.3)
    assert found.deviation**2 == pytest.approx(np.var(a - b, ddof=1) * (1 / 4 + 1 / 3))
    assert found.degrees == pytest.approx(3)
    assert found.p_value == pytest.approx(2 * stats.t.sf(found.statistic, 3))


def test_folds_that_do_not_fit_are_refused():
    for a, b in ((np.ones(1), np.ones(1)), (np.ones(3), np.ones(2))):
        with pytest.raises(ValueError, match="at least two"):
            fold_test(a, b)
    with pytest.raises(ValueError, match="examples=1"):
        jackknife_test([lambda rows: 0.0], [lambda rows: 0.0], 1)


def test_the_jackknife_of_a_mean_has_its_variance():
    draw = np.random.default_rng(0)
    a, b = draw.random(60), draw.random(60)
    found = jackknife_test([lambda rows: a[rows].mean()], [lambda rows: b[rows].mean()], 60, groups=60)
    assert found.difference == pytest.approx((a - b).mean())
    assert found.deviation == pytest.approx(np.std(a - b, ddof=1) / 60**0.5)


def test_seeds_add_their_noise():
    right = np.arange(40) % 4 > 0
    scores = [lambda rows, shift=shift: right[rows].mean() + shift for shift in (0.0, 0.2)]
    several = jackknife_test(scores, [lambda rows: 0.5], 40)
    alone = jackknife_test(scores[:1], [lambda rows: 0.5], 40)
    assert several.deviation**2 == pytest.approx(alone.deviation**2 + 0.02 / 2)
    assert several.degrees < alone.degrees


def test_of_equal_models_few_are_told_apart():
    draw = np.random.default_rng(1)
    wrong = 0
    for _ in range(200):
        a, b = (draw.random(100) < 0.7 for _ in range(2))
        test = jackknife_test([lambda rows, a=a: a[rows].mean()], [lambda rows, b=b: b[rows].mean()], 100)
        wrong += test.p_value < 0.05
    assert wrong <= 20  # ten are expected
