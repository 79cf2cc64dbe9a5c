import torch
from torch import nn

from gnnkit.temporal import MODELS, build_forecaster
from gnnkit.temporal.target_only import TargetOnlyForecaster


class LastOf(nn.Module):
    """Repeats the last value of the only feature that it expects."""

    def __init__(self, horizon: int) -> None:
        super().__init__()
        self.horizon = horizon

    def forward(self, x, edge_index=None, edge_weight=None, *, mask=None, target=None, progress=None):
        assert x.size(3) == 1
        assert mask is None or mask.shape == x.shape
        return x[:, -1:, :, 0].expand(-1, self.horizon, -1)


def test_a_model_that_does_not_ask_for_features_sees_the_target_alone():
    MODELS["last-of"] = LastOf
    sizes = {"horizon": 2, "history": 4, "num_nodes": 3}
    try:
        model = build_forecaster("last-of", in_channels=5, **sizes)
        plain = build_forecaster("last-of", in_channels=1, **sizes)
    finally:
        del MODELS["last-of"]
    x = torch.randn(2, 4, 3, 5)
    assert isinstance(model, TargetOnlyForecaster)
    assert model(x, mask=torch.ones_like(x, dtype=torch.bool)).tolist() == plain(x[..., :1]).tolist()
    assert not isinstance(plain, TargetOnlyForecaster)
    assert not isinstance(build_forecaster("gru", in_channels=5, **sizes), TargetOnlyForecaster)
