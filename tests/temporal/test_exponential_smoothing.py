"""Exponential smoothing and theta: a library's forecasts, seasons, gaps, odd series, seconds, files, the extra."""

import sys

import numpy as np
import pytest

from gnnkit.compare import make_spec, run
from gnnkit.data import simulate_traffic
from gnnkit.temporal import MODELS
from gnnkit.temporal.exponential_smoothing import AutoETS, AutoTheta
from tests.temporal.rivals import made, odd_series, parts

pytest.importorskip("statsmodels")
ROWS = 300
BOTH = pytest.mark.parametrize("model", [AutoETS, AutoTheta])


def fitted(model, series, history=4, horizon=2, **settings):
    train, val, test = parts(series, history=history, horizon=horizon)
    found = model(**settings)
    found.fit(train, val)
    return found, test


def true(series, test) -> np.ndarray:
    return series.values[test.rows[:, None] + np.arange(1, test.horizon + 1), :, 0].numpy()


def noisy_level(seed=0, nodes=2) -> np.ndarray:
    """A level that walks, seen through noise: one value of a history says little."""
    rng = np.random.default_rng(seed)
    return 20 + 0.3 * rng.standard_normal((ROWS, nodes)).cumsum(axis=0) + rng.standard_normal((ROWS, nodes))


def test_after_long_histories_forecasts_are_those_of_a_library_with_its_weights():
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    series = made(noisy_level(), edges=((0, 1),))
    found, test = fitted(AutoETS, series, history=55)
    for node in range(2):
        y = test.x[7, :, node, 0].astype(np.float64)
        peer = ETSModel(
            y, error="add", trend="add", initialization_method="known", initial_level=y[0], initial_trend=0.0
        )
        weights = [found.states.alpha[node], found.states.beta[node]]
        expected = peer.smooth(np.maximum(weights, 1e-12)).forecast(2)
        np.testing.assert_allclose(found.predict(test)[7, :, node], expected, atol=2e-3)
    assert found.forms == {"no slope": 2}


def test_theta_after_long_histories_is_that_of_a_library_with_the_slope_of_the_training_rows():
    rng = np.random.default_rng(0)
    values = noisy_level(nodes=1) + 0.2 * np.arange(ROWS)[:, None] + rng.standard_normal((ROWS, 1))
    series = made(values, edges=())
    found, test = fitted(AutoTheta, series, history=60)
    alpha, drift = found.states.alpha[0], found.states.drift[0]
    level = test.x[3, 0, 0, 0]
    for value in test.x[3, 1:, 0, 0]:
        level += alpha * (value - level)
    # Hyndman and Billah (2003): smoothing without a drift lags by as much as the constant makes up for.
    expected = level + drift * (np.arange(2) + 1 / alpha)
    np.testing.assert_allclose(found.predict(test)[3, :, 0], expected, rtol=1e-3)
    assert 0 < drift < 0.25


@BOTH
def test_noise_is_smoothed_away(model):
    series = made(noisy_level(), edges=((0, 1),))
    found, test = fitted(model, series, history=12)
    last = np.abs(test.filled[:, -1:, :, 0] - true(series, test)).mean()
    assert np.abs(found.predict(test) - true(series, test)).mean() < 0.85 * last


def test_a_slope_goes_on():
    rng = np.random.default_rng(3)
    values = 5.0 * np.arange(ROWS)[:, None] + rng.standard_normal((ROWS, 1))
    series = made(values, edges=())
    found, test = fitted(AutoETS, series, history=6, horizon=3)
    assert np.abs(found.predict(test) - true(series, test)).max() < 5
    assert set(found.forms) <= {"slope", "damped"}


@BOTH
def test_a_season_longer_than_the_history_is_known_and_is_left_out_where_it_is_none(model):
    rng = np.random.default_rng(2)
    noise = 0.1 * rng.standard_normal((ROWS, 2))
    wave = 10 * np.sin(2 * np.pi * np.arange(ROWS)[:, None] / 24) + noise
    series = made(wave, edges=((0, 1),), season=24)
    found, test = fitted(model, series)
    assert len(found.profile.table) == 24
    assert np.abs(found.predict(test) - true(series, test)).mean() < 0.3
    assert len(fitted(model, series, seasonal=False)[0].profile.table) == 1
    assert len(fitted(model, made(rng.standard_normal((ROWS, 2)), edges=((0, 1),), season=97))[0].profile.table) == 1


@BOTH
@pytest.mark.parametrize("kind", odd_series())
def test_odd_series_have_finite_forecasts(model, kind):
    series = odd_series()[kind]
    found, test = fitted(model, series, **({"max_seconds": 0.2} if series.num_nodes > 100 else {}))
    predicted = found.predict(test)
    assert predicted.shape == (len(test), 2, series.num_nodes)
    assert np.isfinite(predicted).all()
    assert np.abs(predicted).max() <= 5 * max(series.values[..., 0].nan_to_num(0.0).abs().max().item(), 1e-30)


@BOTH
def test_a_constant_node_stays_what_it_is(model):
    series = odd_series()["a constant node"]
    found, test = fitted(model, series)
    np.testing.assert_allclose(found.predict(test)[:, :, 0], 7.0, rtol=1e-6)
    assert found.forms["last value"] == 1


@BOTH
def test_what_stands_in_a_gap_is_not_read_and_a_window_is_alone(model):
    series = odd_series()["gaps"]
    found, test = fitted(model, series, seasonal=False)
    predicted = found.predict(test)
    alone = found.states.forecast(
        np.where(test.mask[5:6, ..., 0], test.filled[5:6, ..., 0] - found.level, 1e6), test.mask[5:6, ..., 0], [1, 2]
    )
    np.testing.assert_allclose(predicted[5], found.level + alone[0], rtol=1e-6)


@BOTH
def test_it_comes_back_from_its_files(model, tmp_path):
    series = made(noisy_level(), edges=((0, 1),), season=24)
    found, test = fitted(model, series)
    found.save(tmp_path)
    again = model.load(tmp_path)
    np.testing.assert_array_equal(again.predict(test), found.predict(test))
    assert (again.num_parameters, again.forms, again.seasonal) == (found.num_parameters, found.forms, True)
    assert found.num_parameters > 0


@BOTH
def test_nodes_that_had_no_seconds_get_the_weights_of_the_others(model):
    series = made(noisy_level(nodes=5))
    found, _ = fitted(model, series, max_seconds=0.0)
    assert found.forms["no time"] == 4
    assert np.ptp(found.states.alpha) == 0
    assert 0 < found.states.alpha[0] < 1


@BOTH
def test_without_statsmodels_a_line_names_the_extra_before_anything_is_trained(model, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "statsmodels", None)
    name = model.__name__.lower()
    spec = make_spec(models=["gru", name], seeds=[0], epochs=1, horizons=[2], rivals=False)
    wanted = f"model '{name}' needs statsmodels, which cannot be imported here: pip install \"gnnkit.smoothing.\""
    with pytest.raises(ImportError, match=wanted):
        run(spec, series=simulate_traffic(num_nodes=4, days=1), directory=tmp_path)
    assert not list(tmp_path.glob("jobs/*.safetensors"))


def test_the_registry_has_them_without_a_graph():
    for name in ("autoets", "autotheta"):
        entry = MODELS[name]
        assert (entry.family, entry.fits_itself, entry.is_deterministic) == ("sequence", True, True)
        assert entry.settings == {"seasonal": True}
