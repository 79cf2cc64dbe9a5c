"""Ridge regressions from sums: those of a library, target by target where some are missing."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Peer

from gnnkit.temporal.ridge_sums import PENALTIES, RidgeSums


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_each_target_has_the_regression_of_the_rows_that_it_has(missing):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((90, 4)) * [1, 10, 0.1, 1], rng.standard_normal((90, 3))
    y[rng.random(y.shape) < missing] = np.nan
    sums = RidgeSums(4, 3)
    for first in range(0, 90, 40):
        sums.add(x[first : first + 40], y[first : first + 40])
    found = list(sums.solve())
    assert len(found) == len(PENALTIES)
    for penalty, weights in zip(PENALTIES, found, strict=True):
        for target in range(3):
            seen = np.isfinite(y[:, target])
            scale = np.sqrt(np.square(x[seen]).mean(axis=0))
            peer = Peer(alpha=penalty * seen.sum(), fit_intercept=False).fit(x[seen] / scale, y[seen, target])
            np.testing.assert_allclose(weights[:, target], peer.coef_ / scale, rtol=1e-6, atol=1e-9)


def test_a_target_that_was_never_there_has_zeros_and_so_has_a_column_of_zeros():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((20, 3)), rng.standard_normal((20, 2))
    x[:, 1], y[:, 0] = 0, np.nan
    sums = RidgeSums(3, 2)
    sums.add(x, y)
    (weights,) = sums.solve([1e-6])
    assert (weights[:, 0] == 0).all()
    assert weights[1, 1] == 0
    assert np.abs(weights[[0, 2], 1]).min() > 0


def test_weighted_rows_count_as_often_as_their_weight():
    """Whole weights are repeated rows; there are more of them than are added at a time."""
    rng = np.random.default_rng(2)
    x, y, times = rng.standard_normal((2500, 3)), rng.standard_normal((2500, 1)), rng.integers(0, 4, 2500)
    weighted, repeated = RidgeSums(3, 1), RidgeSums(3, 1)
    weighted.add_weighted(x, y, times.astype(float))
    repeated.add(np.repeat(x, times, axis=0), np.repeat(y, times, axis=0))
    np.testing.assert_allclose(weighted.gram, repeated.gram, rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(weighted.moment, repeated.moment, rtol=1e-10, atol=1e-9)
    assert weighted.rows == len(x)
