"""Windows as arrays: the data's own unit, gaps as NaN, and nothing of what is to be forecast."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from gnnkit.data import make_windows, simulate_traffic
from gnnkit.forecasting.rival_windows import RivalWindows

SERIES = simulate_traffic(num_nodes=4, days=1)
VALUES = SERIES.values.clone()
VALUES[210:215, 1] = np.nan
GAPPY = dataclasses.replace(SERIES, values=VALUES)


def of(part, series=GAPPY, targets=True, **options):
    windows = make_windows(series, history=6, horizon=3, min_horizon=1, **options)
    return RivalWindows(series, getattr(windows, part), targets=targets), getattr(windows, part)


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_they_hold_what_the_batches_hold(part):
    arrays, windows = of(part)
    batch = windows.batch(torch.arange(len(windows)))
    assert arrays.x.shape == (len(windows), 6, 4, 1)
    assert np.array_equal(arrays.mask, np.ones(arrays.x.shape) if batch.mask is None else batch.mask.numpy())
    assert np.array_equal(np.isnan(arrays.x), ~arrays.mask)
    filled = windows.scaler.center + batch.x * windows.scaler.scale
    np.testing.assert_allclose(arrays.filled, filled.numpy(), rtol=1e-4)
    np.testing.assert_allclose(arrays.x[arrays.mask], arrays.filled[arrays.mask])
    y = torch.where(batch.y_mask, batch.y, torch.nan).numpy()
    assert np.array_equal(arrays.y, y, equal_nan=True)
    assert np.isnan(arrays.y[-1, 1:]).all()  # they lie in the part after it
    assert arrays.rows[0] == windows.target_rows(torch.tensor([0]))[0, 0] - 1
    assert arrays.times[0] == SERIES.start + pd.Timedelta(minutes=5 * int(arrays.rows[0]))


def test_windows_to_forecast_hold_no_target_and_no_row_after_the_last_history():
    arrays, windows = of("test", targets=False)
    with pytest.raises(AttributeError, match="windows have no y where they are to be predicted; only fit gets targets"):
        arrays.y  # noqa: B018 - that it is there
    assert len(arrays._filled) == len(windows) + 5
    assert "target_1" not in arrays.frame()
    with pytest.raises(ValueError, match="read-only"):
        arrays.x[0, 0, 0, 0] = 1.0
    few = RivalWindows(GAPPY, windows, targets=False, count=2)
    assert (len(few), len(few._filled)) == (2, 7)
    assert repr(few) == "RivalWindows(2 windows to predict: 6 rows of 4 nodes, 3 steps ahead)"


def test_a_frame_has_a_row_for_each_origin_and_node():
    arrays, _ = of("val", time_features=True)
    table = arrays.frame(lags=2)
    columns = ["lag_0", "lag_1", "feature_1", "feature_2", "target_1", "target_2", "target_3"]
    assert list(table) == ["node", "time", *columns]
    assert list(table["node"][:5]) == [*SERIES.node_names, SERIES.node_names[0]]
    assert np.array_equal(table["lag_1"], arrays.x[:, -2, :, 0].reshape(-1), equal_nan=True)
    assert np.array_equal(table["target_2"], arrays.y[:, 1].reshape(-1), equal_nan=True)
    assert table["lag_0"].isna().any()
    assert not arrays.frame(lags=2, fill=True)["lag_0"].isna().any()
    with pytest.raises(ValueError, match=r"^lags is 7; give 1 to 6, the rows of the history, or a longer history$"):
        arrays.frame(lags=7)


def test_neighbours_are_the_observed_ones_by_weight():
    edges = torch.tensor([[0, 1, 2, 3], [3, 3, 3, 3]])  # a loop among them
    series = dataclasses.replace(GAPPY, edge_index=edges, edge_weight=torch.tensor([1.0, 3.0, 0.0, 9.0]))
    near = of("val", series)[0].frame(lags=1, neighbours=True)["near_0"].to_numpy().reshape(-1, 4)
    arrays, _ = of("val", series)
    last = arrays.x[:, -1, :, 0]
    gap = np.isnan(last[:, 1])
    assert gap.any()
    np.testing.assert_allclose(near[~gap, 3], (last[~gap, 0] + 3 * last[~gap, 1]) / 4, rtol=1e-5)
    np.testing.assert_allclose(near[gap, 3], last[gap, 0], rtol=1e-5)
    assert np.isnan(near[:, :3]).all()


def test_hidden_inputs_are_gaps_and_their_targets_stay():
    hidden = torch.zeros(SERIES.num_rows, 4, dtype=torch.bool)
    hidden[:, 2] = torch.arange(SERIES.num_rows) > 150
    arrays, _ = of("val", hidden=hidden)
    assert np.isnan(arrays.x[:, :, 2]).all()
    assert not np.isnan(arrays.y[:, 0, 2]).any()
