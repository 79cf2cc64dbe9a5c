"""Many seeds in one model: the same numbers as one by one."""

import pytest
import torch
from torch_geometric.nn import SAGEConv

from gnnkit.layers import FeatureDropout, GATLayer, NodeClassifier, SeedStack
from gnnkit.layers._stacked import SeedStreams, SparseFeatures, apply_linear, block_diagonal
from gnnkit.ops import compress

EDGES = torch.tensor([[0, 1, 2, 3, 4, 1, 0], [1, 2, 0, 0, 3, 0, 0]])  # directed, with a loop and an isolated node, 5
MODELS = {
    "gcn": {},
    "gcn, three layers": {"num_layers": 3, "residual": "previous", "normalization": "layer", "jumping": "concat"},
    "gat": {"layer": "gat", "heads": 3, "out_heads": 2, "activation": "elu"},
    "gat, pair norm": {"layer": "gat", "heads": 2, "num_layers": 3, "normalization": "pair", "residual": "initial"},
    "gcn2": {"layer": "gcn2", "num_layers": 4},
    "dagnn": {"layer": "dagnn", "num_layers": 5},
    "any layer": {"layer": SAGEConv, "jumping": "max"},
}


def models(count=3, **options):
    torch.manual_seed(0)
    return [NodeClassifier(7, 4, 3, **options).double() for _ in range(count)]


@pytest.fixture(params=list(MODELS))
def options(request):
    return MODELS[request.param]


@pytest.mark.parametrize("layout", ["dense", "csr", "coo"])
def test_output_and_gradients_are_those_of_the_models_one_by_one(options, layout):
    if layout != "dense" and "layer" in options and not isinstance(options["layer"], str):
        pytest.skip("PyG's SAGEConv takes dense features alone")
    x = torch.randn(6, 7, dtype=torch.float64) * (torch.rand(6, 7) < 0.5)
    x = {"dense": x, "csr": x.to_sparse_csr(), "coo": x.to_sparse_coo()}[layout]
    singles = models(**options)
    stack = SeedStack(singles).eval()
    out = stack(x, EDGES)
    weight = torch.randn_like(out)
    (out * weight).sum().backward()
    stacked = dict(stack.model.named_parameters())
    for place, single in enumerate(singles):
        expected = single.eval()(x, EDGES)
        torch.testing.assert_close(out[place], expected, rtol=1e-10, atol=1e-12)
        (expected * weight[place]).sum().backward()
        for name, parameter in single.named_parameters():
            gradient = stacked[name].grad[place]
            expected_gradient = torch.zeros_like(gradient) if parameter.grad is None else parameter.grad
            torch.testing.assert_close(gradient, expected_gradient, rtol=1e-9, atol=1e-11)


def test_a_seed_can_be_taken_out(options):
    singles = models(**options)
    stack = SeedStack(singles)
    state = stack.state_of(1)
    assert list(state) == list(singles[1].state_dict())
    for name, value in singles[1].state_dict().items():
        assert torch.equal(state[name], value)


def test_some_seeds_go_on_alone():
    singles = models(4)
    stack = SeedStack(singles, seeds=[5, 6, 7, 8])
    parameter = next(stack.parameters())
    stack.keep([1, 3])
    assert stack.seeds == [6, 8]
    assert next(stack.parameters()) is parameter
    x = torch.randn(6, 7, dtype=torch.float64)
    out = stack.eval()(x, EDGES)
    torch.testing.assert_close(out[1], singles[3].eval()(x, EDGES))


@pytest.mark.parametrize("sparse", [False, True])
def test_dropout_of_a_seed_does_not_depend_on_the_others(sparse):
    x = torch.rand(6, 7, dtype=torch.float64)
    x = x.to_sparse_csr() if sparse else x
    singles = models(3)
    together = SeedStack(singles, [3, 4, 5])(x, EDGES)
    alone = SeedStack(singles[1:2], [4])(x, EDGES)
    torch.testing.assert_close(together[1], alone[0])
    assert not torch.allclose(together[1], SeedStack(singles[1:2], [9])(x, EDGES)[0])


def test_dropout_keeps_the_share_and_the_mean():
    streams = SeedStreams([0, 1])
    factor = streams.dropout_factor((400, 250), 0.6, torch.zeros(1, dtype=torch.float64))
    kept = factor != 0
    assert kept.double().mean().item() == pytest.approx(0.4, abs=0.005)
    assert torch.allclose(factor[kept], torch.tensor(2.5, dtype=torch.float64), rtol=1e-4)
    assert not torch.equal(factor[0], factor[1])
    assert streams.dropout_factor((3,), 1.0, torch.zeros(1)).tolist() == [[0.0] * 3] * 2


def test_dropout_acts_on_the_nonzeros_of_sparse_features_and_twice():
    stack = SeedStack(models(2))
    drop = stack.model.drop
    x = torch.eye(6, 7).double().to_sparse_csr()
    once = drop(x)
    assert isinstance(once, SparseFeatures)
    assert once.values.shape == (2, 6)
    assert set(drop(once).values.unique().tolist()) <= {0.0, 4.0}
    assert drop.eval()(x) is x


def test_sparse_features_of_each_seed_times_its_own_weights():
    dense = torch.tensor([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]])
    values = torch.tensor([[1.0, 2.0, 3.0], [0.0, 2.0, 5.0]])
    weight = torch.arange(12.0).view(2, 2, 3)
    linear = torch.nn.Module()
    linear.weight, linear.bias = weight, torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    out = apply_linear(linear, SparseFeatures(dense.to_sparse_csr(), values))
    rows = torch.tensor([[[1.0, 0, 2], [0, 3, 0]], [[0.0, 0, 2], [0, 5, 0]]])
    expected = rows @ weight.transpose(1, 2) + linear.bias.unsqueeze(1)
    assert torch.equal(out, expected)


def test_block_diagonal_graph_is_made_once():
    graph = compress(torch.tensor([[0, 1], [1, 1]]), 2, 2)
    twice = block_diagonal(graph, 2)
    assert sorted(zip(*twice.edge_index.tolist(), strict=True)) == [(0, 1), (1, 1), (2, 3), (3, 3)]
    assert block_diagonal(graph, 2) is twice


def test_what_cannot_be_stacked_is_named():
    with pytest.raises(ValueError, match="at least one model"):
        SeedStack([])
    with pytest.raises(ValueError, match="one number for each of the 2 models, got 1"):
        SeedStack(models(2), [0])
    with pytest.raises(ValueError, match="differ in their weights alone"):
        SeedStack([*models(1), *models(1, num_layers=3)])
    with pytest.raises(ValueError, match="buffers, such as running means"):
        SeedStack([torch.nn.BatchNorm1d(3)])
    edged = [NodeClassifier(7, 4, 3, layer=lambda i, o: GATLayer(i, o, edge_dim=2)) for _ in range(2)]
    with pytest.raises(ValueError, match=r"edge_dim.*cannot be stacked"):
        SeedStack(edged)


def test_the_template_is_left_as_it_is():
    single = models(1)[0]
    before = {name: value.clone() for name, value in single.state_dict().items()}
    stack = SeedStack([single, single])
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter.add_(1.0)
    assert all(torch.equal(value, before[name]) for name, value in single.state_dict().items())
    assert isinstance(single.drop, FeatureDropout)


def test_hops_share_one_graph(monkeypatch):
    from gnnkit.layers import _stacked

    made, prepare = [], _stacked.prepare
    monkeypatch.setattr(_stacked, "prepare", lambda *arguments: made.append(1) or prepare(*arguments))
    stack = SeedStack([NodeClassifier(4, 8, 3, layer="dagnn", num_layers=6) for _ in range(2)])
    stack(torch.randn(3, 4), torch.tensor([[0, 1, 2], [1, 2, 0]])).sum().backward()
    assert made == [1]
