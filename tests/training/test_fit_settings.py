"""What the fit loop refuses before it trains."""

import pytest
import torch

from gnnkit.training import TrainingSettings, resolve_device


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"epochs": 0}, "^epochs: 0 is not allowed: give at least 1$"),
        ({"learning_rate": -1.0}, "^learning_rate: -1.0 is not allowed: give more than 0$"),
        ({"clip": float("nan")}, "^clip: nan is not allowed: give a finite number$"),
        ({"weight_decay": -0.1}, "^weight_decay: -0.1 is not allowed: give at least 0$"),
        ({"max_seconds": 0.0}, "^max_seconds: 0.0 is not allowed: give more than 0$"),
        ({"loss": "rmse"}, "^loss: 'rmse' is not allowed: give 'mae', 'mse', 'huber' or 'pinball'$"),
        ({"loss": "pinball"}, r"loss is 'pinball' with quantiles \(\); give levels with 0.5 among them with 'pinball'"),
        ({"loss": "pinball", "quantiles": (0.1, 0.9)}, r"loss is 'pinball' with quantiles \(0.1, 0.9\)"),
        ({"quantiles": (0.1, 0.5)}, r"loss is 'mae' with quantiles \(0.1, 0.5\); .* and none with another loss"),
        ({"schedule": "step"}, "^schedule: 'step' is not allowed: give 'cosine' or 'constant'$"),
        ({"precision": "8"}, "^precision: '8' is not allowed: give '32-true', 'bf16-mixed' or '16-mixed'$"),
    ],
)
def test_settings_are_checked(setting, message):
    with pytest.raises(ValueError, match=message):
        TrainingSettings(**setting)


def test_devices():
    assert resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="device is 'gpu'; choose auto, cpu, cuda"):
        resolve_device("gpu")
    with pytest.raises(ValueError, match=r"device is 'cuda:99', but this machine has \d+ CUDA devices"):
        resolve_device("cuda:99")
    with pytest.raises(ValueError, match="device is 'meta'"):
        resolve_device("meta")
