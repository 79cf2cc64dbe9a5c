"""Boosted trees: steps that no line makes, neighbours, gaps, seconds, files, and the line where LightGBM is missing."""

import sys

import numpy as np
import pytest

from gnnkit.compare import make_spec, run
from gnnkit.data import simulate_traffic
from gnnkit.temporal import MODELS
from gnnkit.temporal.trees import BoostedTrees
from tests.temporal.rivals import made, odd_series, parts

pytest.importorskip("lightgbm")
ROWS, NODES = 300, 5


def fitted(series, horizon=1, **settings):
    train, val, test = parts(series, horizon=horizon)
    found = BoostedTrees(**{"trees": 60, "least": 5} | settings)
    found.fit(train, val)
    return found, test


def error(series, found, test) -> float:
    true = series.values[test.rows[:, None] + np.arange(1, test.horizon + 1), :, 0].numpy()
    return float(np.abs(found.predict(test) - true)[:, :, 1:].mean())


def test_a_neighbour_that_leads_is_heard_and_only_with_the_graph():
    """A node is 1 where its one in-neighbour was above 0 a step before, else -1: no line says that."""
    rng = np.random.default_rng(1)
    values = rng.standard_normal((ROWS, NODES))
    for node in range(1, NODES):
        values[1:, node] = np.where(values[:-1, node - 1] > 0, 1.0, -1.0) + 0.01 * rng.standard_normal(ROWS - 1)
    series = made(values)
    errors = {hops: error(series, *fitted(series, hops=hops)) for hops in (0, 1)}
    assert errors[1] < 0.3 * errors[0]


@pytest.mark.parametrize("kind", odd_series())
def test_odd_series_have_finite_forecasts(kind):
    series = odd_series()[kind]
    found, test = fitted(series, horizon=2, trees=5)
    predicted = found.predict(test)
    assert predicted.shape == (len(test), 2, series.num_nodes)
    assert np.isfinite(predicted).all()
    assert np.abs(predicted).max() <= 5 * max(series.values[..., 0].nan_to_num(0.0).abs().max().item(), 1e-30)


def test_it_comes_back_from_its_files_and_is_the_same_twice(tmp_path):
    series = made(np.random.default_rng(0).standard_normal((ROWS, NODES)).cumsum(axis=0))
    found, test = fitted(series, horizon=2, trees=10)
    found.save(tmp_path)
    again = BoostedTrees.load(tmp_path)
    np.testing.assert_array_equal(again.predict(test), found.predict(test))
    np.testing.assert_array_equal(fitted(series, horizon=2, trees=10)[0].predict(test), found.predict(test))
    assert found.num_parameters > 0
    assert again.hops == 1


def test_seconds_end_the_growth():
    series = made(np.random.default_rng(0).standard_normal((ROWS, NODES)).cumsum(axis=0))
    found, _ = fitted(series, max_seconds=0.0, trees=50)
    assert [each.num_trees() for each in found.boosters] == [1]


def test_the_registry_has_them_as_a_pair_and_trials_have_ranges():
    assert MODELS["lightgbm-graph"].graphless_twin == "lightgbm"
    assert [MODELS[name].make({}, {}).uses_graph for name in ("lightgbm", "lightgbm-graph")] == [False, True]
    assert set(MODELS["lightgbm"].search_space) == {"leaves", "learning_rate", "least"}
    assert "max_seconds" not in MODELS["lightgbm"].settings
    with pytest.raises(ValueError, match=r"hops=-1: must be 0 \(no graph\) or more"):
        BoostedTrees(hops=-1)


def test_without_lightgbm_a_line_names_the_extra_before_anything_is_trained(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    spec = make_spec(models=["gru", "lightgbm"], seeds=[0], epochs=1, horizons=[2], rivals=False)
    wanted = "model 'lightgbm' needs lightgbm, which cannot be imported here: pip install \"gnnkit.trees.\""
    with pytest.raises(ImportError, match=wanted):
        run(spec, series=simulate_traffic(num_nodes=4, days=1), directory=tmp_path)
    assert not list(tmp_path.glob("jobs/*.safetensors"))
