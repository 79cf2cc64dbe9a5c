import math

import pytest
import torch
from torch import nn

from gnnkit.sequence import GRUForecaster
from gnnkit.temporal import MODELS, MTGNN, QuantileForecaster, ResidualForecaster, build_forecaster

FORECASTERS = [name for name, entry in MODELS.items() if not entry.fits_itself]

LEVELS = (0.05, 0.25, 0.5, 0.9)
SIZES = {"in_channels": 2, "horizon": 3, "history": 6, "num_nodes": 4, "hidden_channels": 5}
EDGES = torch.tensor([[0, 1, 2], [1, 2, 3]])


class Known(nn.Module):
    """A forecaster whose forecast is given, and which keeps what it is asked."""

    uses_graph = False

    def __init__(self, forecast):
        super().__init__()
        self.forecast = nn.Parameter(forecast)

    def forward(self, x, edge_index, edge_weight, *, mask=None, target=None, progress=None):
        self.asked = (edge_index, edge_weight, mask, target, progress)
        return self.forecast


def known(forecast, quantiles=LEVELS, **options):
    torch.manual_seed(0)
    shape = {"in_channels": 2, "horizon": 3, "history": 6}
    return QuantileForecaster(Known(forecast), quantiles=quantiles, **shape, **options)


def test_a_hand_computed_case():
    """With no weights but biases, the steps are softplus of the biases, whatever is read."""
    model = known(torch.full((1, 3, 1), 10.0))
    with torch.no_grad():
        model.outer.weight.zero_()
        model.outer.bias.copy_(torch.tensor([1.0, 2.0, 4.0]).expm1().log().repeat(3))
    out = model(torch.randn(1, 6, 1, 2))
    torch.testing.assert_close(out, torch.tensor([7.0, 8.0, 10.0, 14.0]).expand(1, 3, 1, 4))


def test_an_untrained_head_is_near_a_normal_distribution_around_the_forecast():
    model = known(torch.zeros(2, 3, 4))
    out = model(torch.zeros(2, 6, 4, 2))
    normal = 0.3 * torch.special.ndtri(torch.tensor(LEVELS))
    assert (out - normal).abs().max() < 0.05
    assert torch.equal(out[..., 2], torch.zeros(2, 3, 4))


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4])
def test_quantiles_never_cross_whatever_the_weights(size):
    levels = tuple(k / 20 for k in range(1, 20))
    model = known(1e3 * torch.randn(64, 3, 4), quantiles=levels)
    with torch.no_grad():
        for parameter in (model.inner.weight, model.outer.weight, model.outer.bias):
            parameter.normal_(std=size)
    out = ResidualForecaster(model)(torch.randn(64, 6, 4, 2))
    assert (out.diff(dim=-1) >= 0).all()


def test_the_arguments_reach_the_forecaster_and_the_mask_the_head():
    model = known(torch.zeros(2, 3, 4))
    x, mask = torch.randn(2, 6, 4, 2), torch.ones(2, 6, 4, 2, dtype=torch.bool)
    target, weight = torch.randn(2, 3, 4), torch.ones(3)
    whole = model(x, EDGES, weight, mask=mask, target=target, progress=0.7)
    *asked, progress = model.forecaster.asked
    assert all(found is given for found, given in zip(asked, (EDGES, weight, mask, target), strict=True))
    assert progress == 0.7
    assert torch.equal(whole, model(x))
    mask[0, 2, 1, 0] = False
    changed = (model(x, mask=mask) != whole).any(dim=-1).any(dim=1)  # [B, N]
    assert changed.nonzero().tolist() == [[0, 1]]


def test_the_spread_sees_changes_of_its_own_node_alone():
    model = known(torch.zeros(2, 3, 4))
    x = torch.randn(2, 6, 4, 2)
    whole = model(x)
    x[1, 0, 2, 0] += 1.0
    changed = (model(x) != whole).any(dim=-1).any(dim=1)
    assert changed.nonzero().tolist() == [[1, 2]]


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("name", FORECASTERS)
def test_every_model_gives_quantiles_around_its_own_forecast(name, residual):
    torch.manual_seed(0)
    model = build_forecaster(name, **SIZES, residual=residual, quantiles=LEVELS).double().eval()
    head = model.forecaster if residual else model
    x, weight = torch.randn(3, 6, 4, 2, dtype=torch.float64), torch.rand(3, dtype=torch.float64)
    mask = torch.rand(3, 6, 4, 2) > 0.2
    out = model(x, EDGES, weight, mask=mask)
    assert out.shape == (3, 3, 4, 4)
    assert out.dtype == torch.float64
    assert (out.diff(dim=-1) > 0).all()
    plain = ResidualForecaster(head.forecaster) if residual else head.forecaster
    torch.testing.assert_close(out[..., 2], plain.eval()(x, EDGES, weight, mask=mask), rtol=0, atol=1e-12)
    model.train()
    target = torch.zeros(3, 3, 4, dtype=torch.float64)
    error = target.unsqueeze(-1) - model(x, EDGES, weight, mask=mask, target=target, progress=1.0)
    level = torch.tensor(LEVELS, dtype=torch.float64)
    torch.maximum(level * error, (level - 1) * error).mean().backward()
    assert [key for key, p in model.named_parameters() if p.grad is None] == []
    assert head.outer.weight.grad.abs().max() > 0
    again = build_forecaster(name, **SIZES, residual=residual, quantiles=LEVELS).double().eval()
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(x, EDGES, weight), model.eval()(x, EDGES, weight))
    before = head.inner.weight.clone()
    model.reset_parameters()
    assert not torch.equal(head.inner.weight, before)


def test_what_is_asked_of_the_forecaster_is_answered_by_it():
    model = build_forecaster("mtgnn", **SIZES, quantiles=LEVELS)
    assert isinstance(model.forecaster, MTGNN)
    assert (model.uses_graph, model.learns_graph, model.quantiles) == (False, True, LEVELS)
    assert torch.equal(model.eval().learned_adjacency(), model.forecaster.learned_adjacency())
    gru = build_forecaster("gru", **SIZES, quantiles=LEVELS)
    assert not gru.learns_graph
    x = torch.randn(2, 6, 4, 2)
    assert torch.equal(gru.unroll(x)[-1], gru.forecaster.unroll(x)[-1])
    assert type(build_forecaster("gru", **SIZES)) is GRUForecaster


def test_what_mtgnn_leaves_out_teaches_the_spread_nothing():
    torch.manual_seed(0)
    model = build_forecaster("mtgnn", **SIZES, quantiles=LEVELS, node_groups=2, dropout=0.0).double().train()
    x, target = torch.randn(3, 6, 4, 2).double(), torch.randn(3, 3, 4).double()
    target[0, 0] = math.nan
    out = model(x, target=target, progress=1.0)
    given = target.nan_to_num()
    left_out = (out[..., 2] == given).flatten(0, 1).all(dim=0)  # [N]
    assert left_out.sum() == 2
    # Observed entries only: the others have no loss.
    seen = out[1:][:, :, left_out]
    assert torch.equal(seen, given[1:][:, :, left_out].unsqueeze(-1).expand_as(seen))
    (nothing,) = torch.autograd.grad(seen.sum(), model.outer.weight, retain_graph=True)
    assert nothing.abs().max() == 0
    (taught,) = torch.autograd.grad(out[:, :, ~left_out, 0].sum(), model.outer.weight)
    assert taught.abs().max() > 0


@pytest.mark.parametrize("levels", [(0.5,), (0.1, 0.9), (0.5, 0.1), (0.0, 0.5), (0.5, 1.0), (0.5, 0.5, 0.9)])
def test_levels_that_are_none(levels):
    with pytest.raises(
        ValueError, match=r"^quantiles are \(.*\); give at least two rising levels inside \(0, 1\), 0.5 among them"
    ):
        build_forecaster("gru", **SIZES, quantiles=levels)


def test_another_history_is_told():
    model = build_forecaster("gru", **SIZES, quantiles=LEVELS)
    with pytest.raises(ValueError, match=r"^x has shape \[2, 5, 4, 2\], but the quantile head .* with T = 6; build it"):
        model(torch.randn(2, 5, 4, 2))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_same_on_a_gpu():
    torch.manual_seed(0)
    model = build_forecaster("tgcn", **SIZES, residual=True, quantiles=LEVELS).eval()
    x, weight = torch.randn(3, 6, 4, 2), torch.rand(3)
    expected = model(x, EDGES, weight)
    found = model.cuda()(x.cuda(), EDGES.cuda(), weight.cuda()).cpu()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert (found.diff(dim=-1) >= 0).all()
