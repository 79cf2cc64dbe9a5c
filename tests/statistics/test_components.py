"""Components of variance, against worlds whose components are known."""

import numpy as np
import pytest

from gnnkit.statistics.components import variance_components


def test_what_was_put_in_comes_out():
    """2000 worlds: seeds of both sides, folds and spans; each estimate is unbiased but for what is cut at 0."""
    rng, folds = np.random.default_rng(0), np.repeat([0, 1, 2], [4, 4, 2])
    found = []
    for _ in range(2000):
        common = 2.0 * rng.standard_normal(3)[folds] + 1.0 * rng.standard_normal(10)
        sides = [
            3.0 * rng.standard_normal((seeds, 1)) + part + 0.1 * rng.standard_normal((seeds, 10))
            for seeds, part in ((3, common), (5, 0.0))
        ]
        one = variance_components(sides, folds)
        found.append((one.seed, one.fold, one.window))
    expected = 9 / 3 + 9 / 5, 4 * (16 + 16 + 4) / 100, 1 / 10
    assert np.mean(found, axis=0) == pytest.approx(expected, rel=0.1)


def test_one_of_a_kind_tells_nothing_of_it():
    table = np.array([[1.0, 3.0, 2.0]])
    found = variance_components([table, 0 * table], np.array([0, 0, 0]))
    assert (found.seed, found.fold, found.window) == (None, None, pytest.approx(1 / 3))
    assert found.shares == {"window": 1.0}
    found = variance_components([table], np.array([0, 1, 2]))
    assert (found.seed, found.fold, found.window) == (None, pytest.approx(1 / 3), None)


def test_no_variance_has_no_shares():
    assert variance_components([np.ones((2, 4))], np.array([0, 0, 1, 1])).shares == {}


def test_other_spans_are_refused():
    with pytest.raises(ValueError, match=r"tables have shapes \(2, 4\), folds \(3,\); give the same spans"):
        variance_components([np.ones((2, 4))], np.zeros(3))
    with pytest.raises(ValueError, match="tables have shapes none"):
        variance_components([], np.zeros(3))
