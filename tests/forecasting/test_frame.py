"""Forecasts as a long frame, and what their intervals hold."""

import numpy as np
import pytest

from gnnkit.data import make_windows, simulate_traffic
from gnnkit.forecasting import FitSettings, forecast_frame, forecast_next, train_forecaster
from gnnkit.training import predict


@pytest.fixture(scope="module")
def series():
    return simulate_traffic(num_nodes=4, days=2)


@pytest.fixture(scope="module")
def fitted(series):
    settings = FitSettings(epochs=1, hidden_channels=4, horizons=[3], history=6, device="cpu", time_features=True)
    return train_forecaster("tgcn", settings, series=series)


def test_a_frame_has_a_row_for_each_node_and_step(series, fitted):
    wide, found = forecast_next(fitted, series), forecast_frame(fitted, series, coverage=0.8)
    assert found.index.name == "time"
    assert found["node"].tolist() == [name for name in series.node_names for _ in range(3)]
    assert found["step"].tolist() == [1, 2, 3] * 4
    assert (
        found.pivot(columns="node", values="forecast")[list(wide.columns)].to_numpy().tolist()
        == wide.to_numpy().tolist()
    )
    below, above = fitted.interval(0.8)
    np.testing.assert_allclose(found["low"] - found["forecast"], below.T.flatten(), atol=1e-4)
    np.testing.assert_allclose(found["high"] - found["forecast"], above.T.flatten(), atol=1e-4)


def test_intervals_hold_their_share_of_the_rows_that_they_are_made_of(series, fitted):
    windows = make_windows(series, history=6, horizon=3, time_features=True).val
    predicted = predict(fitted.forecaster, windows, fitted.edge_index, fitted.edge_weight, device="cpu")
    true, mask = windows.targets()
    below, above = fitted.interval(0.8)
    inside = ((true >= predicted + below - 1e-4) & (true <= predicted + above + 1e-4))[mask]
    assert inside.float().mean().item() == pytest.approx(0.8, abs=0.03)
