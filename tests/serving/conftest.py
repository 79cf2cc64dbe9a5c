"""A small forecaster that is served, shared by the tests of this folder."""

import pytest

from gnnkit.data import simulate_traffic
from gnnkit.forecasting import FitSettings, train_forecaster


@pytest.fixture(scope="session")
def fitted():
    series = simulate_traffic(num_nodes=4, days=2)
    settings = FitSettings(epochs=1, horizons=[2], history=6, hidden_channels=4, device="cpu")
    return train_forecaster("stid-graph", settings, series=series)


@pytest.fixture(scope="session")
def names(fitted):
    return list(fitted.config["node_names"])
