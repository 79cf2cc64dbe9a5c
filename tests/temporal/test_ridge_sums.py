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
