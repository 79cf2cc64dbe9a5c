"""Ridge regression in closed form: the coefficients of a library, a graph that it recovers, gaps, files."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge as Peer

from gnnkit.data import GraphSeries, chronological_split, make_windows
from gnnkit.forecasting.rival_windows import RivalWindows
from gnnkit.temporal import MODELS
from gnnkit.temporal.ridge import Ridge

ROWS, NODES = 300, 5


def made(values, edges=((0, 1), (1, 2), (2, 3), (3, 4)), **more) -> GraphSeries:
    return GraphSeries(
        name="made",
        values=torch.as_tensor(values, dtype=torch.float32).reshape(len(values), -1, 1),
        edge_index=torch.tensor(edges).T,
        edge_weight=torch.ones(len(edges)),
        node_names=tuple(f"n{k}" for k in range(np.asarray(values).shape[1])),
        split=chronological_split(len(values)),
        **more,
    )


def parts(series, history=4, horizon=2):
    windows = make_windows(series, history=history, horizon=horizon)
    return [RivalWindows(series, each, targets=targets) for each, targets in
            ((windows.train, True), (windows.val, True), (windows.test, False))]  # fmt: skip


def walk(rng=None) -> np.ndarray:
    """Autoregressions with means of their own."""
    rng = rng or np.random.default_rng(0)
    values = np.zeros((ROWS, NODES))
    for row in range(1, ROWS):
        values[row] = 0.8 * values[row - 1] + rng.standard_normal(NODES)
    return values + 10 * np.arange(NODES)


def test_coefficients_are_those_of_a_library_at_the_chosen_penalty():
    train, val, test = parts(made(walk()))
    found = Ridge(hops=0, loss="mse")
    found.fit(train, val)
    mean = train.x[:, -1, :, 0].mean(axis=0)
    x = (train.x[..., 0] - mean).transpose(0, 2, 1).reshape(-1, 4)
    y = (train.y - train.x[:, -1:, :, 0]).transpose(0, 2, 1).reshape(-1, 2)
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    scale = np.sqrt(np.square(x).mean(axis=0))
    peer = Peer(alpha=found.penalty * len(x), fit_intercept=False).fit(x / scale, y)
    np.testing.assert_allclose(found.weights, (peer.coef_ / scale).T, rtol=1e-5, atol=1e-5)
    own = (test.x[..., 0] - mean).transpose(0, 2, 1).reshape(-1, 4)
    expected = peer.predict(np.concatenate([own, np.ones((len(own), 1))], axis=1) / scale)
    np.testing.assert_allclose(
        found.predict(test),
        expected.reshape(len(test), NODES, 2).transpose(0, 2, 1) + test.x[:, -1:, :, 0],
        rtol=1e-5,
        atol=1e-5,
    )
    assert found.num_parameters == 5 * 2 + NODES
    assert not found.uses_graph


def test_a_neighbour_that_leads_is_heard_and_only_with_the_graph():
    """Each node is what its one in-neighbour was a step before."""
    rng = np.random.default_rng(1)
    values = rng.standard_normal((ROWS, NODES))
    for node in range(1, NODES):
        values[1:, node] = values[:-1, node - 1]
    series = made(values)
    train, val, test = parts(series, horizon=1)
    rows = test.rows + 1
    errors = {}
    for hops in (0, 1):
        found = Ridge(hops=hops)
        found.fit(train, val)
        errors[hops] = np.abs(found.predict(test)[:, 0] - series.values[rows, :, 0].numpy())[:, 1:].mean()
    assert errors[1] < 0.25 * errors[0]
    other = dataclasses.replace(series, edge_index=torch.tensor([[1, 3, 0, 2], [0, 1, 3, 4]]))
    train, val, test = parts(other, horizon=1)
    found = Ridge(hops=1)
    found.fit(train, val)
    assert np.abs(found.predict(test)[:, 0] - series.values[rows, :, 0].numpy())[:, 1:].mean() > 0.5 * errors[0]


@pytest.mark.parametrize(("edges", "columns"), [(((0, 1), (1, 0)), 4 + 4 + 1), (((0, 1), (1, 2)), 4 + 8 + 1)])
def test_a_directed_graph_is_heard_both_ways(edges, columns):
    train, val, _ = parts(made(walk(), edges))
    found = Ridge(hops=1)
    found.fit(train, val)
    assert found.weights.shape == (columns, 2)


def test_a_season_is_forecast_by_its_own_mean():
    rows = np.arange(ROWS)
    season = np.sin(2 * np.pi * rows / 12)[:, None] * np.arange(1, NODES + 1)
    noise = 0.01 * np.random.default_rng(2).standard_normal((ROWS, NODES))
    series = made(season + noise, season=12)
    train, val, test = parts(series)
    found = Ridge(hops=0, seasonal=True)
    found.fit(train, val)
    true = series.values[test.rows[:, None] + np.arange(1, 3), :, 0].numpy()
    assert np.abs(found.predict(test) - true).mean() < 0.02
    assert found.profile.table.shape == (12, NODES)


def test_gaps_are_no_targets_and_no_means():
    values = walk()
    gaps = np.random.default_rng(3).random(values.shape) < 0.2
    broken = np.where(gaps, np.nan, values)
    broken[:, 0] = values[:, 0]
    train, val, test = parts(made(broken))
    found = Ridge(hops=1)
    found.fit(train, val)
    predicted = found.predict(test)
    assert np.isfinite(predicted).all()
    whole = Ridge(hops=1)
    whole.fit(*parts(made(values))[:2])
    close = np.abs(predicted - whole.predict(parts(made(values))[2]))
    assert close.mean() < 0.6  # a deviation of the series is 1.7


def test_it_comes_back_from_its_files(tmp_path):
    train, val, test = parts(made(walk()))
    found = Ridge(hops=2, seasonal=False)
    found.fit(train, val)
    found.save(tmp_path)
    again = Ridge.load(tmp_path)
    np.testing.assert_array_equal(again.predict(test), found.predict(test))
    assert (again.hops, again.penalty) == (2, found.penalty)


def test_another_feature_that_training_hardly_knew_moves_no_forecast_far():
    """Rain that falls after training alone, and a covariate that is a hundred times larger then."""
    values = np.repeat(walk()[..., None], 3, axis=2)
    values[..., 1] = 0
    values[260:, :, 1] = 5
    values[..., 2] = np.random.default_rng(4).standard_normal((ROWS, NODES))
    values[260:, :, 2] *= 100
    series = dataclasses.replace(made(walk()), values=torch.as_tensor(values, dtype=torch.float32))
    train, val, test = parts(series)
    found = Ridge(hops=1)
    found.fit(train, val)
    true = series.values[test.rows[:, None] + np.arange(1, 3), :, 0].numpy()
    assert np.abs(found.predict(test) - true).max() < 10


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"hops=-1: must be 0 \(no graph\) or more"):
        Ridge(hops=-1)
    with pytest.raises(ValueError, match=r"lags=-2: must be 0 \(the whole history\) or more"):
        Ridge(lags=-2)
    with pytest.raises(ValueError, match="loss='huber': give 'mae' or 'mse'"):
        Ridge(loss="huber")


def test_absolute_errors_are_lowered_as_a_library_lowers_them():
    """Noise that falls far now and then: the median is what is wanted, and the mean is what squares give."""
    from sklearn.linear_model import QuantileRegressor

    rng = np.random.default_rng(6)
    shape = (5 * ROWS, NODES)
    noise = np.where(rng.random(shape) < 0.15, -10.0, 0.3) * rng.random(shape)
    values = 0.05 * rng.standard_normal(shape).cumsum(axis=0) + noise
    train, val, _ = parts(made(values), horizon=1)
    losses = {}
    for loss in ("mse", "mae"):
        found = Ridge(hops=0, loss=loss)
        found.fit(train, val)
        losses[loss] = np.abs(found.predict(train) - train.y).mean()
    mean = train.x[:, -1, :, 0].mean(axis=0)
    x = (train.x[..., 0] - mean).transpose(0, 2, 1).reshape(-1, 4)
    y = (train.y - train.x[:, -1:, :, 0]).transpose(0, 2, 1).reshape(-1)
    least = np.abs(QuantileRegressor(alpha=0).fit(x, y).predict(x) - y).mean()
    assert losses["mse"] > 1.2 * least
    assert losses["mae"] - least < 0.5 * (losses["mse"] - least)


def test_the_registry_has_it_with_and_without_neighbours():
    assert MODELS["ridge"].settings == {"seasonal": False, "lags": 0, "loss": "mae"}
    assert MODELS["ridge-graph"].settings == {"hops": 1, "seasonal": False, "lags": 0, "loss": "mae"}
    assert MODELS["ridge-graph"].graphless_twin == "ridge"
    assert [MODELS[name].make({}, {}).uses_graph for name in ("ridge", "ridge-graph")] == [False, True]
    assert MODELS["ridge"].search_space == {"seasonal": ("choice", False, True), "lags": ("choice", 0, 1, 3, 6)}
