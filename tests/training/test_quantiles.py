"""The pinball loss: forecasts of quantiles, in training and in prediction."""

import math

import pytest
import torch
from torch import nn

from gnnkit.data import Split, make_windows
from gnnkit.training import TrainingSettings, fit, predict
from tests.training.toys import EDGES, WEIGHTS, Constant, make_series


class Levels(nn.Module):
    """One number for each quantile, the same everywhere, in scaled units."""

    def __init__(self, start):
        super().__init__()
        self.levels = nn.Parameter(torch.tensor(start))

    def forward(self, x, edge_index, edge_weight, *, mask=None, target=None, progress=None):
        return self.levels.expand(x.size(0), 1, x.size(2), -1)


def normal_windows():
    """Two nodes of noise, N(0, 1) and N(100, 10²); a fifth of the values is missing."""
    draw = torch.Generator().manual_seed(0)
    values = torch.randn(2400, 2, generator=draw) * torch.tensor([1.0, 10.0]) + torch.tensor([0.0, 100.0])
    values[torch.rand(2400, 2, generator=draw) < 0.2] = math.nan
    split = Split(range(2000), range(2000, 2200), range(2200, 2400))
    return make_windows(make_series(values, split), history=1, horizon=1)


def test_the_pinball_loss_of_the_first_step_by_hand():
    windows, quantiles = normal_windows(), (0.2, 0.5, 0.9)
    settings = {"epochs": 1, "batch_size": 10_000, "device": "cpu"}
    model = Levels([-0.5, 0.0, 1.5])
    result = fit(model, windows, EDGES, WEIGHTS, TrainingSettings(loss="pinball", quantiles=quantiles, **settings))
    batch = windows.train.batch(torch.arange(len(windows.train)))
    scaler = windows.scaler
    parts = []
    for level, start in zip(quantiles, (-0.5, 0.0, 1.5), strict=True):
        above = (batch.y - (start * scaler.scale[:, 0] + scaler.center[:, 0]))[batch.y_mask]
        parts.append(torch.where(above > 0, level * above, (level - 1) * above).mean().item())
    assert result.epochs[0].train_loss == pytest.approx(2 * sum(parts) / 3 / scaler.target_deviation, rel=1e-5)
    plain = fit(Constant(horizon=1), windows, EDGES, WEIGHTS, TrainingSettings(**settings))
    assert plain.epochs[0].train_loss == pytest.approx(2 * parts[1] / scaler.target_deviation, rel=1e-5)


def test_pinball_finds_the_quantiles_and_predict_gives_them_in_the_unit_of_each_node():
    windows, quantiles = normal_windows(), (0.1, 0.5, 0.8)
    options = {"epochs": 30, "batch_size": 250, "learning_rate": 0.03, "patience": 30, "device": "cpu"}
    settings = TrainingSettings(loss="pinball", quantiles=quantiles, **options)
    model = Levels([-1.0, 2.5, 0.6])  # the best epoch is the median's: it has the longest way
    result = fit(model, windows, EDGES, WEIGHTS, settings)
    normal = torch.special.ndtri(torch.tensor(quantiles))
    assert (model.levels.detach() - normal).abs().max() < 0.1
    found = predict(model, windows.val, EDGES, WEIGHTS, device="cpu")
    assert found.shape == (len(windows.val), 1, 2, 3)
    expected = model.levels.detach() * windows.scaler.scale + windows.scaler.center  # [N, 3]
    torch.testing.assert_close(found[0, 0], expected)
    batch = windows.val.batch(torch.arange(len(windows.val)))
    error = (found[..., 1] - batch.y)[batch.y_mask].abs().mean().item()
    assert result.best_val_mae == pytest.approx(error, rel=1e-5)


def test_a_forecaster_without_the_quantiles_of_the_settings_is_refused():
    windows, pinball = normal_windows(), {"loss": "pinball", "quantiles": (0.1, 0.5)}
    for model, chosen in ((Constant(1), pinball), (Levels([0.0]), pinball), (Levels([0.0, 0.1]), {})):
        with pytest.raises(
            ValueError, match=r"^the forecaster gives \[.*\], but loss '(pinball|mae)' needs \[32, 1, 2"
        ):
            fit(model, windows, EDGES, WEIGHTS, TrainingSettings(device="cpu", **chosen))
