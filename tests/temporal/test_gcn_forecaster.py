import pytest
import torch
from torch_geometric.nn import GCNConv

from gnnkit.temporal import GCNForecaster

EDGES = torch.tensor([[0, 0, 1, 2, 3, 3], [1, 2, 2, 1, 3, 2]])
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 3.0, 4.0, 1.5], dtype=torch.float64)
B, T, N, F, C, P = 3, 5, 4, 2, 6, 2


def build(**settings):
    torch.manual_seed(0)
    model = GCNForecaster(F, C, P, history=T, **settings).double()
    with torch.no_grad():
        model.convolution_1.bias.normal_()
        model.convolution_2.bias.normal_()
    return model


def history():
    return torch.randn(B, T, N, F, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_it_is_two_of_pygs_layers_and_a_linear_map():
    model, x = build(), history().requires_grad_()
    first, second = GCNConv(T * F, C).double(), GCNConv(C, C).double()
    for mine, conv in ((model.convolution_1, first), (model.convolution_2, second)):
        conv.load_state_dict({"bias": mine.bias, "lin.weight": mine.weight})
    outputs = []
    for sample in x:
        h = sample.transpose(0, 1).reshape(N, T * F)
        h = second(first(h, EDGES, WEIGHT).relu(), EDGES, WEIGHT).relu()
        outputs.append((h @ model.head.weight.t() + model.head.bias).t())
    expected, found = torch.stack(outputs), model(x, EDGES, WEIGHT)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    gradients = [torch.autograd.grad(out.square().sum(), x)[0] for out in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-11)


def test_news_travels_two_hops():
    model, x = build(), history()
    changed = x.clone()
    changed[:, :, 0] += 1.0
    path = torch.tensor([[0, 1, 2], [1, 2, 3]])
    difference = (model(changed, path) - model(x, path)).abs().amax(dim=(0, 1))
    assert (difference[:3] > 0).all()
    assert difference[3] == 0


def test_without_edges_nodes_are_on_their_own():
    model, x = build(), history()
    empty = torch.empty(2, 0, dtype=torch.long)
    alone = torch.cat([model(x[:, :, i : i + 1], empty) for i in range(N)], dim=2)
    torch.testing.assert_close(model(x, empty), alone)


def test_parameters():
    assert sum(p.numel() for p in build().parameters()) == (T * F * C + C) + (C * C + C) + (C * P + P)


def test_dropout_acts_in_training_only_and_a_mask_is_read_if_asked_for():
    x, hidden = history(), torch.zeros(B, T, N, F, dtype=torch.bool)
    dropping = build(dropout=0.5)
    assert not torch.equal(dropping(x, EDGES), dropping(x, EDGES))
    torch.testing.assert_close(dropping.eval()(x, EDGES), build()(x, EDGES))
    assert torch.equal(build()(x, EDGES, mask=hidden), build()(x, EDGES))
    reading = build(mask_input=True)
    assert (reading(x, EDGES, mask=hidden) - reading(x, EDGES)).abs().max() > 1e-3


def test_bad_arguments():
    for name in ("in_channels", "hidden_channels", "horizon", "history"):
        sizes = {"in_channels": 1, "hidden_channels": 4, "horizon": 3, "history": 12, name: 0}
        with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1, got 0"):
            GCNForecaster(**sizes)
    with pytest.raises(ValueError, match="dropout must be a share"):
        build(dropout=2)
    with pytest.raises(ValueError, match="add_self_loops must be one of 'missing', True, False, got 1"):
        build(add_self_loops=1)
    with pytest.raises(ValueError, match=r"x has T = 4 .*built for history=5"):
        build()(history()[:, :4], EDGES)


def test_it_says_what_it_is():
    assert f"{F}, {C}, horizon={P}, history={T}, dropout=0.0, add_self_loops='missing'" in repr(build())
