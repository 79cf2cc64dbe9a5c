"""A ridge VAR: the coefficients of a library, nodes that speak of each other, low rank, gaps, files."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Peer

from gnnkit.temporal import MODELS
from gnnkit.temporal.var import FACTORS, MOST_COLUMNS, VAR
from tests.temporal.rivals import made, odd_series, parts

ROWS, NODES = 300, 5


def vector_walk(seed=0) -> np.ndarray:
    """A stable VAR(1) in which each node follows the next one."""
    rng = np.random.default_rng(seed)
    matrix = 0.5 * np.eye(NODES) + 0.4 * np.roll(np.eye(NODES), 1, axis=1)
    values = np.zeros((ROWS, NODES))
    for row in range(1, ROWS):
        values[row] = matrix @ values[row - 1] + rng.standard_normal(NODES)
    return values + 10 * np.arange(NODES)


def fitted(series, **settings) -> tuple[VAR, list]:
    train, val, test = parts(series)
    found = VAR(**settings)
    found.fit(train, val)
    return found, [train, val, test]


def test_coefficients_are_those_of_a_library_at_the_chosen_penalty():
    found, (train, _, test) = fitted(made(vector_walk()))
    x, last = train.x[..., 0].astype(np.float64), train.x[:, -1:, :, 0]
    level = last[:, 0].astype(np.float64).mean(axis=0)
    rows = np.concatenate([x[:, 0], x[-1, 1:]]) - level
    spread = rows.std(axis=0)
    inputs = np.concatenate(
        [((x - level) / spread).transpose(0, 2, 1).reshape(len(x), -1), np.ones((len(x), 1))], axis=1
    )
    scale = np.sqrt(np.square(inputs).mean(axis=0))
    y = ((train.y - last) / spread).reshape(len(x), -1)
    peer = Peer(alpha=found.penalty * len(x), fit_intercept=False, solver="cholesky").fit(inputs / scale, y)
    np.testing.assert_allclose(found.weights, (peer.coef_ / scale).T, rtol=1e-4, atol=1e-6)
    asked = ((test.x[..., 0] - level) / spread).transpose(0, 2, 1).reshape(len(test), -1)
    change = peer.predict(np.concatenate([asked, np.ones((len(asked), 1))], axis=1) / scale)
    expected = test.x[:, -1:, :, 0] + change.reshape(len(test), 2, NODES) * spread
    np.testing.assert_allclose(found.predict(test), expected, rtol=1e-4, atol=1e-4)
    assert found.num_parameters == (4 * NODES + 1) * 2 * NODES + NODES**2 + 2 * NODES


def test_nodes_that_speak_of_each_other_are_heard():
    series = made(vector_walk(), edges=())
    found, (train, val, test) = fitted(series)
    alone = MODELS["ridge"].make({}, {})
    alone.fit(train, val)
    true = series.values[test.rows[:, None] + np.arange(1, 3), :, 0].numpy()
    assert np.abs(found.predict(test) - true).mean() < 0.95 * np.abs(alone.predict(test) - true).mean()


def test_many_nodes_are_heard_by_their_components():
    rng = np.random.default_rng(2)
    factors = rng.standard_normal((ROWS, 2)).cumsum(axis=0)
    values = factors @ rng.standard_normal((2, 250)) + 0.1 * rng.standard_normal((ROWS, 250))
    series = made(values, edges=())
    found, (_, _, test) = fitted(series)
    assert MOST_COLUMNS < 250 * 4
    assert found.components.shape == (250, FACTORS)
    np.testing.assert_allclose(found.components.T @ found.components, np.eye(FACTORS), atol=1e-8)
    assert found.weights.shape == (4 * FACTORS + 1, 2 * 250)
    assert fitted(series, rank=2)[0].components.shape == (250, 2)
    long = VAR()._components(rng.standard_normal((500, 30)), history=200, nodes=30)
    assert long.shape == (30, MOST_COLUMNS // 200)
    true = series.values[test.rows[:, None] + np.arange(1, 3), :, 0].numpy()
    assert np.abs(found.predict(test) - true).mean() < 1.1 * np.abs(test.filled[:, -1:, :, 0] - true).mean()


def test_missing_targets_are_no_zeros():
    values = vector_walk()
    gaps = np.random.default_rng(3).random(values.shape) < 0.2
    found, (_, _, test) = fitted(made(np.where(gaps, np.nan, values)))
    whole, (_, _, all_of_it) = fitted(made(values))
    predicted = found.predict(test)
    assert np.isfinite(predicted).all()
    assert np.abs(predicted - whole.predict(all_of_it)).mean() < 0.8  # a deviation of the series is 1.5


def test_it_comes_back_from_its_files(tmp_path):
    found, (_, _, test) = fitted(made(vector_walk()), rank=3)
    found.save(tmp_path)
    again = VAR.load(tmp_path)
    np.testing.assert_array_equal(again.predict(test), found.predict(test))
    assert (again.rank, again.penalty) == (3, found.penalty)


def test_a_negative_rank_is_refused():
    with pytest.raises(ValueError, match=r"rank=-1: must be 0 \(by the number of nodes\) or more"):
        VAR(rank=-1)


@pytest.mark.parametrize("name", ["ridge", "seasonal-ridge", "var", "ridge-graph"])
@pytest.mark.parametrize("kind", odd_series())
def test_odd_series_have_finite_forecasts_that_are_not_far_from_the_data(name, kind):
    series = odd_series()[kind]
    train, val, test = parts(series)
    rival = MODELS[name].make({}, {})
    rival.fit(train, val)
    predicted = rival.predict(test)
    assert predicted.shape == (len(test), 2, series.num_nodes)
    assert np.isfinite(predicted).all()
    values = series.values[..., 0].nan_to_num(0.0).abs().max().item()
    assert np.abs(predicted).max() <= 5 * max(values, 1e-30)
    if kind == "all constant":
        np.testing.assert_allclose(predicted, 2.0, rtol=1e-6)
