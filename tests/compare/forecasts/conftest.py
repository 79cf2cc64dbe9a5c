"""A tiny series whose forecasts are known by hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from gnnkit.data import GraphSeries, Split


@pytest.fixture
def tiny():
    """Three nodes, 60 hourly rows; row r of node n is 100 + 10 n + r. Validation rows are 30 to 39, test rows 40 on."""
    values = 100 + 10 * np.arange(3) + np.arange(60)[:, None]
    return GraphSeries(
        name="tiny",
        values=torch.tensor(values, dtype=torch.float32).unsqueeze(-1),
        edge_index=torch.tensor([[0], [1]]),
        edge_weight=torch.ones(1),
        node_names=("a", "b", "c"),
        split=Split(range(30), range(30, 40), range(40, 60)),
        step_minutes=60,
        start=pd.Timestamp("2024-01-01"),
    )


@pytest.fixture
def test_forecasts():
    """`forecasts(error, first=42, windows=17)`: of the origins 42, 43, …, two steps, each too high by `error`."""

    def forecasts(error=1.0, first=42, windows=17):
        rows = first + np.arange(windows)[:, None] + np.arange(1, 3)  # [W, P]
        return (100 + 10 * np.arange(3) + rows[..., None] + error).astype(np.float32)

    return forecasts
