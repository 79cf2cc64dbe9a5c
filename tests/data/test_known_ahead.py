"""What is known ahead stands at later rows: every target row is seen, and no row after the series."""

import pytest
import torch

from gnnkit.data import GraphSeries, Scaler, chronological_split, hide_values, make_windows
from gnnkit.data.known_ahead import known_channels


def with_known(num_rows=60):
    """The target, a past covariate and two that are known ahead: row numbers, and these with 100 and 200 added."""
    rows = torch.arange(num_rows, dtype=torch.float32)[:, None, None] + torch.tensor([0.0, 50.0, 100.0, 200.0])
    return GraphSeries(
        name="known", values=rows.expand(-1, 2, -1).clone(), edge_index=torch.zeros(2, 0, dtype=torch.int64),
        edge_weight=torch.zeros(0), node_names=("a", "b"), split=chronological_split(num_rows), known_ahead=(2, 3),
        feature_names=("y", "rain", "holiday", "forecast"),
    )  # fmt: skip


PLAIN = Scaler(torch.zeros(1, 4), torch.full((1, 4), 1e3))
"""Divides by a thousand: far from where covariates are cut off."""


@pytest.mark.parametrize(("history", "horizon"), [(4, 2), (3, 3), (2, 5)])
def test_what_is_known_ahead_is_there_for_every_target_row(history, horizon):
    windows = make_windows(with_known(), history=history, horizon=horizon, scaler=PLAIN, min_horizon=1)
    part = windows.train
    batch = part.batch(torch.tensor([0, 3]))
    blocks = -(-horizon // history)
    assert batch.x.shape == (2, history, 2, 4 + 2 * blocks)
    assert part.num_features == 4 + known_channels(2, history, horizon) == batch.x.size(3)
    seen = (batch.x * 1000).round()
    for window, origin in enumerate((history - 1, history + 2)):
        assert seen[window, :, 0, :4].tolist() == [
            [row, row + 50, row + 100, row + 200] for row in range(origin - history + 1, origin + 1)
        ]
        known = seen[window, :, 1, 4:].view(history, blocks, 2)  # [T, M, K]
        for feature, added in enumerate((100, 200)):
            rows = {int(value) - added for value in known[..., feature].flatten()}
            assert set(range(origin + 1, origin + horizon + 1)) <= rows
            assert rows <= set(range(origin - history + 1, origin + horizon + 1))


def test_what_is_known_ahead_ends_with_the_series_and_is_masked_there():
    windows = make_windows(with_known(), history=4, horizon=3, scaler=PLAIN, min_horizon=1)
    batch = windows.test.batch(torch.tensor([len(windows.test) - 1]))  # origin is row 58: rows 60 and 61 are not there
    assert batch.mask is not None
    assert batch.mask[0, :, 0, 4].tolist() == [True, True, False, False]
    assert (batch.x[0, :, 0, 4] * 1000).round().tolist() == [158, 159, 159, 159]
    assert batch.mask[..., :4].all()
    gap = with_known()
    gap.values[20, 0, 2] = torch.nan
    batch = make_windows(gap, history=4, horizon=3, scaler=PLAIN, min_horizon=1).train.batch(
        torch.tensor([13])
    )  # rows 13 to 16
    assert batch.mask is not None
    assert batch.mask[0, :, 0, 4].tolist() == [True, True, True, True]
    batch = make_windows(gap, history=4, horizon=3, scaler=PLAIN, min_horizon=1).train.batch(torch.tensor([14]))
    assert batch.mask is not None
    assert batch.mask[0, :, 0, 4].tolist() == [True, True, True, False]
    assert (batch.x[0, 3, 0, 4] * 1000).round().item() == 119  # the last value before it
    assert batch.mask[0, :, 0, 5].all()


def test_outages_hide_what_is_measured_and_not_what_is_known_ahead():
    hidden = torch.zeros(60, 2, dtype=torch.bool)
    hidden[5, 1] = True
    shown = hide_values(with_known(), hidden)
    assert shown.values[5, 1].isnan().tolist() == [True, True, False, False]
