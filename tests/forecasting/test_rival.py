"""Rivals with fit and predict: what they are given, how they are scored, and what is no forecast."""

import math
import random

import numpy as np
import pytest
import torch

from gnnkit.data import simulate_traffic
from gnnkit.forecasting import (
    FitSettings,
    evaluate_forecaster,
    fit_windows,
    forecast_next,
    load_fitted,
    save_fitted,
    settle,
    train_forecaster,
    train_one,
)
from gnnkit.temporal import MODELS, WrongForecast

SETTINGS, SERIES, _ = settle(FitSettings(horizons=[3], history=6, device="cpu"), simulate_traffic(num_nodes=4, days=2))
WINDOWS = fit_windows(SETTINGS, SERIES)


class Last:
    """The last value, and a drift."""

    num_parameters = 2

    def __init__(self, num_nodes, edge_weight, seed, *, drift=0.0):
        self.sizes, self.drift = (num_nodes, len(edge_weight), seed), drift

    def fit(self, train, validation, edge_index):
        self.seen = (len(train), len(validation), edge_index.shape)
        self.drawn = (np.random.rand(), random.random(), float(torch.rand(1)))  # noqa: NPY002 - as libraries do

    def predict(self, windows):
        return np.repeat(windows.filled[:, -1:, :, 0], windows.horizon, axis=1) + self.drift

    def save(self, folder):
        (folder / "drift.txt").write_text(str(self.drift))

    @classmethod
    def load(cls, folder):
        return cls(4, [], 0, drift=float((folder / "drift.txt").read_text()))


def fitted(model, own=None, seed=3):
    trained = train_one(SETTINGS, SERIES, model, SETTINGS.training_settings(seed), own=own, windows=WINDOWS)
    return trained, trained.forecaster.rival


def test_it_gets_what_it_names_and_is_scored_as_all_are():
    state = (np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # noqa: NPY002
    trained, rival = fitted(Last, {"drift": 0.5})
    edges = SERIES.edge_index.size(1)
    assert rival.sizes == (4, edges, 3)
    assert rival.seen == (len(WINDOWS.train), len(WINDOWS.val), (2, edges))
    y, observed = WINDOWS.val.targets()
    error = (trained.predicted["val"] - y)[observed].abs().double().mean()
    result = trained.result
    assert result.best_val_mae == pytest.approx(float(error), rel=1e-6)
    assert (result.epochs, result.parameters, math.isnan(result.epoch_seconds)) == ([], 2, True)
    assert trained.predicted["test"].shape == (len(WINDOWS.test), 3, 4)
    # One seed, one draw; the caller's own random states stay.
    assert fitted(Last)[1].drawn == rival.drawn
    assert (np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == state  # noqa: NPY002


def rival_of(predict):
    """A class that forecasts by a function of the windows."""
    fit = lambda self, train: None  # noqa: E731
    return type("Mine", (), {"fit": fit, "predict": lambda self, windows: predict(windows), "__module__": "nowhere"})


def rows_of(windows):
    return np.repeat(windows.frame(fill=True)[["lag_0"]].to_numpy(), 3, axis=1)


def later(windows):
    last = windows.filled[:, -1, :, 0]
    return np.repeat(np.concatenate([last[1:], last[-1:]])[:, None], 3, axis=1)


def shape(windows):
    return len(windows), 3, 4


@pytest.fixture(autouse=True)
def clean():
    before = MODELS.names()
    yield
    for name in MODELS.names():
        if name not in before:
            del MODELS[name]


def test_forecasts_may_be_rows_of_the_frame_tensors_or_drawn():
    expected = fitted(Last)[0].predicted["test"]
    assert torch.equal(fitted(rival_of(rows_of))[0].predicted["test"], expected)
    whole = fitted(rival_of(lambda windows: torch.ones(shape(windows), dtype=torch.float64)))[0].predicted["val"]
    assert torch.equal(whole, torch.ones(shape(WINDOWS.val)))
    fitted(rival_of(lambda windows: np.random.rand(*shape(windows))))  # noqa: NPY002 - nothing can be said of those


@pytest.mark.parametrize(
    ("predict", "error", "message"),
    [
        (
            lambda windows: np.zeros((2, 3)),
            WrongForecast,
            r"predict gives \[2, 3\] of float64, and should give numbers",
        ),
        (lambda windows: "none", WrongForecast, r"predict gives \[\] of <U4, and"),
        (
            lambda windows: np.full(shape(windows), np.nan),
            FloatingPointError,
            "^100% of the numbers that predict gives",
        ),
        (later, WrongForecast, "predict gives other forecasts of the same windows when those after them are left out"),
        (lambda windows: windows.y, AttributeError, "windows have no y"),
    ],
)
def test_what_is_no_forecast_is_refused(predict, error, message):
    with pytest.raises(error, match=message):
        fitted(rival_of(predict))


def test_it_is_kept_scored_and_forecasts(tmp_path):
    settings = FitSettings(horizons=[3], history=6, device="cpu", data_options={"num_nodes": 4, "days": 2})
    kept = train_forecaster(Last, settings, {"drift": 0.5})
    again = load_fitted(save_fitted(kept, tmp_path))
    assert again.rival.drift == 0.5
    first, second = evaluate_forecaster(kept), evaluate_forecaster(again)
    assert first["value"].tolist() == second["value"].tolist()
    last = SERIES.values[-1, :, 0]
    assert forecast_next(again, SERIES).to_numpy().tolist() == [(last + 0.5).tolist()] * 3
    with pytest.raises(
        ValueError, match=r"^Mine is not kept: .* give its class save\(self, folder\) and a classmethod l"
    ):
        save_fitted(train_forecaster(rival_of(rows_of), settings), tmp_path / "other")
