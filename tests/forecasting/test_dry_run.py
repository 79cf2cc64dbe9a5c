"""What could never learn is refused before anything is trained."""

import pytest
import torch
from torch import nn

from gnnkit.data import simulate_traffic
from gnnkit.forecasting import FitSettings, fit_windows, settle
from gnnkit.forecasting.dry_run import dry_run
from gnnkit.temporal import MODELS, model_name

SETTINGS, SERIES, _ = settle(FitSettings(horizons=[2], device="cpu"), simulate_traffic(num_nodes=4, days=1))
WINDOWS = fit_windows(SETTINGS, SERIES)


def module(forecast):
    class Net(nn.Module):
        def __init__(self, horizon):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(horizon))

        def forward(self, x, edge_index, *, mask, target, progress):
            assert not torch.is_grad_enabled() or len(x) == 2
            return forecast(self.weight[None, :, None] * x[:, -1:, :, 0])

    return Net


@pytest.fixture
def check():
    before = MODELS.names()
    yield lambda forecast: dry_run(SETTINGS, SERIES, WINDOWS, model_name(module(forecast)))
    for name in set(MODELS.names()) - set(before):
        del MODELS[name]


def test_what_learns_passes_and_an_error_is_left_to_the_fit(check):
    state = torch.get_rng_state()
    check(lambda out: out)
    check(lambda out: out / None)
    dry_run(SETTINGS, SERIES, WINDOWS, "gru")
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("forecast", "message"),
    [
        (
            lambda out: out[:, :1],
            r"^model 'Net': forward gives \[2, 1, 4\], and should give \[B, P, N\], which is \[2, 2",
        ),
        (
            lambda out: out.detach(),
            r"^model 'Net': its forecast depends on no weight that can be trained; one that needs",
        ),
    ],
)
def test_what_cannot_learn_is_refused(check, forecast, message):
    with pytest.raises(ValueError, match=message):
        check(forecast)
