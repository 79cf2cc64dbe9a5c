"""A forecaster in the data's unit: gaps, scaling and what is known ahead, against a model that is known by heart."""

import torch
from torch import nn

from gnnkit.data import simulate_traffic
from gnnkit.forecasting import FitSettings, train_forecaster
from gnnkit.forecasting.unit import UnitForecast, fill_gaps

NAN = float("nan")


def test_gaps_are_filled_from_the_past_and_else_with_what_stands_for_them():
    history = torch.tensor([[NAN, 1.0], [2.0, NAN], [NAN, NAN]]).view(1, 3, 2, 1)
    filled = fill_gaps(history, torch.tensor([[7.0], [8.0]]))
    assert filled.view(3, 2).tolist() == [[7.0, 1.0], [2.0, 1.0], [2.0, 1.0]]


class Seen(nn.Module):
    """Predicts the last value, and keeps what it saw."""

    uses_graph = False

    def forward(self, x, edge_index, edge_weight, *, mask):
        self.x, self.mask = x, mask
        return x[:, -1:, :, 0].expand(-1, 2, -1)


def test_a_model_sees_scaled_values_and_gives_them_back_in_the_datas_unit():
    settings = FitSettings(epochs=1, horizons=[2], history=3, device="cpu")
    fitted = train_forecaster("dlinear", settings, series=simulate_traffic(num_nodes=2, days=2))
    fitted.forecaster = Seen()
    unit = UnitForecast(fitted)
    unit.center, unit.scale = torch.tensor([[50.0], [60.0]]), torch.tensor([[10.0], [5.0]])
    history = torch.tensor([[40.0, 60.0], [55.0, NAN], [70.0, 65.0]]).view(1, 3, 2, 1)
    assert unit(history).tolist() == [[[70.0, 65.0]] * 2]
    assert unit.forecaster.x.view(3, 2).tolist() == [[-1.0, 0.0], [0.5, 0.0], [2.0, 1.0]]
    assert unit.forecaster.mask.view(3, 2).tolist() == [[True, True], [True, False], [True, True]]


def test_the_clock_and_what_is_known_ahead_stand_behind_the_features():
    settings = FitSettings(epochs=1, horizons=[2], history=3, device="cpu")
    fitted = train_forecaster("dlinear", settings, series=simulate_traffic(num_nodes=1, days=2))
    fitted.forecaster = Seen()
    fitted.config |= {"known_ahead": [1], "time_features": True, "weekdays": [0, 1, 2, 3, 4, 4, 4]}
    unit = UnitForecast(fitted)
    unit.center, unit.scale = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 2.0]])
    history = torch.tensor([[1.0, 3.0], [2.0, 5.0], [3.0, 7.0]]).view(1, 3, 1, 2)
    unit(
        history, torch.tensor([9.0, 99.0]).view(1, 2, 1, 1), torch.tensor([[0.0, 0.25, 0.5]]), torch.tensor([[6, 0, 1]])
    )
    expected = torch.tensor([
        [1.0, 1.0, 3.0, 0.0, 4 / 7],
        [2.0, 2.0, 4.0, 0.25, 0.0],
        [3.0, 3.0, 10.0, 0.5, 1 / 7],
    ])  # fmt: skip
    torch.testing.assert_close(unit.forecaster.x.view(3, 5), expected)
    assert unit.forecaster.mask.all()
