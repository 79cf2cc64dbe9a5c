import pytest
import torch

from gnnkit.temporal import DLinear, ResidualForecaster
from tests.temporal.four_nodes import EDGES, B, F, N, P, T, history, ready


@pytest.mark.parametrize("window", [1, 3, 25])
def test_it_is_a_map_of_the_moving_average_and_one_of_the_rest(window):
    model, x = ready(DLinear(F, P, history=T, window=window)), history()
    found = model(x, EDGES)
    for b in range(B):
        for n in range(N):
            trend = torch.zeros(F, T, dtype=torch.float64)
            for t in range(T):
                around = range(t - window // 2, t + window // 2 + 1)
                trend[:, t] = sum(x[b, min(max(s, 0), T - 1), n] for s in around) / window
            rest = x[b, :, n].t() - trend
            expected = model.trend.weight @ trend.flatten() + model.trend.bias + model.rest.weight @ rest.flatten()
            torch.testing.assert_close(found[b, :, n], expected, rtol=0, atol=1e-12)


def test_an_untrained_model_in_the_residual_form_predicts_the_last_value():
    model, x = ResidualForecaster(DLinear(F, P, history=T)).double(), history()
    last = x[:, -1:, :, 0].expand(B, P, N)
    assert torch.equal(model(x), last)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    assert not torch.equal(model(x), last)
    model.reset_parameters()
    assert torch.equal(model(x), last)


def test_bad_arguments():
    with pytest.raises(ValueError, match="window must be odd, so that as many steps lie before as after, got 24"):
        DLinear(1, 3, history=12, window=24)
    with pytest.raises(ValueError, match="history must be a whole number of at least 1, got 0"):
        DLinear(1, 3, history=0)
