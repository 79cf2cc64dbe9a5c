"""Small forecasters that are exported, shared by the tests of this folder."""

import functools

import pytest

from gnnkit.data import simulate_traffic
from gnnkit.forecasting import FitSettings, train_forecaster


@pytest.fixture(scope="session")
def fit():
    """A forecaster of a model, by its name."""

    @functools.cache
    def made(model, **more):
        settings = FitSettings(epochs=1, horizons=[2], history=4, hidden_channels=4, device="cpu", **more)
        return train_forecaster(model, settings, series=simulate_traffic(num_nodes=5, days=2))

    return made
