"""Which way a layer goes: as one op wherever nobody looks on, step by step elsewhere, with the same numbers."""

import copy
import pickle

import pytest
import torch
from torch_geometric import EdgeIndex
from torch_geometric.nn import GATConv, GCNConv, Linear
from torch_geometric.nn.aggr import MaxAggregation, MeanAggregation, SoftmaxAggregation, SumAggregation

from gnnkit.graph import to_csr
from gnnkit.layers import GATLayer, GCNLayer, _attend, _fused

EDGES = torch.tensor([[0, 1, 2, 3, 0, 2], [1, 2, 3, 0, 2, 2]])
LAYERS = pytest.mark.parametrize(
    "make",
    [lambda **kw: GCNLayer(4, 3, **kw), lambda **kw: GATLayer(4, 3, heads=2, **kw)],
    ids=["GCN", "GAT"],
)


@pytest.fixture
def calls(monkeypatch):
    """The ops that are called: a list that fills."""
    seen = []
    for module, name in ((_fused, "add_up"), (_attend, "average")):
        op = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, op=op, name=name: seen.append(name) or op(*args))
    return seen


def features(num_nodes=4):
    return torch.randn(num_nodes, 4)


@LAYERS
@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
def test_edge_lists_run_as_one_op(make, flow, calls):
    layer = make(flow=flow)
    layer(features(), EDGES).sum().backward()
    layer(features(), EdgeIndex(EDGES, sparse_size=(4, 4)))
    assert len(calls) == 2


@LAYERS
@pytest.mark.parametrize("layout", [torch.sparse_csr, torch.sparse_coo], ids=["csr", "coo"])
def test_sparse_graphs_run_as_one_op(make, layout, calls):
    adj_t = to_csr(EDGES, None, 4)
    make()(features(), adj_t if layout == torch.sparse_csr else adj_t.to_sparse_coo())
    assert len(calls) == 1


def test_settings_of_the_layers_run_as_one_op(calls):
    x, weight = features(), torch.rand(6).requires_grad_()
    GCNLayer(4, 3, normalize=False)(x, EDGES, weight)
    GCNLayer(4, 3, improved=True, aggr="sum")(x[None], EDGES, weight)
    GCNLayer(4, 3, cached=True)(x, EDGES)
    GATLayer(4, 3, dropout=0.5, edge_dim=1, add_self_loops=False, aggr="sum")(x, EDGES, weight)
    GATLayer((4, 4), 3, residual=True)((x, features(5)), EDGES, size=(4, 5))
    GATLayer((4, 4), 3)((x, None), EDGES)
    assert calls == ["add_up"] * 3 + ["average"] * 3


class Louder(GCNLayer):
    def message(self, x_j, edge_weight):
        return 2 * super().message(x_j, edge_weight)


class Renamed(GCNLayer):
    """Nothing is changed."""


@LAYERS
@pytest.mark.parametrize("what", ["propagate", "message", "aggregate"])
def test_hooks_run_the_steps(make, what, calls):
    layer, x = make(), features()
    expected = layer(x, EDGES)
    assert len(calls) == 1
    seen = []
    for moment in ("forward_pre", "forward"):
        handle = getattr(layer, f"register_{what}_{moment}_hook")(lambda *_: seen.append(what))
        torch.testing.assert_close(layer(x, EDGES), expected)
        handle.remove()
    assert seen == [what, what]
    assert len(calls) == 1
    layer(x, EDGES)
    assert len(calls) == 2


@LAYERS
def test_explanations_run_the_steps(make, calls):
    layer, x = make(), features()
    layer.explain = True
    layer._edge_mask, layer._loop_mask, layer._apply_sigmoid = torch.ones(6), EDGES[0] != EDGES[1], False
    layer(x, EDGES)
    assert not calls
    layer.explain = False
    layer(x, EDGES)
    assert len(calls) == 1


def test_decomposed_layers_run_the_steps(calls):
    whole, parts, x = GCNLayer(4, 3), GCNLayer(4, 3, decomposed_layers=3), features()
    parts.load_state_dict(whole.state_dict())
    out = parts(x, EDGES)
    assert not calls
    torch.testing.assert_close(out, whole(x, EDGES))


def test_subclasses_and_replaced_hooks_run_the_steps(calls):
    x = features()
    plain, louder, renamed = GCNLayer(4, 3, bias=False), Louder(4, 3, bias=False), Renamed(4, 3, bias=False)
    for layer in (louder, renamed):
        layer.load_state_dict(plain.state_dict())
    expected = plain(x, EDGES)
    torch.testing.assert_close(renamed(x, EDGES), expected)
    assert len(calls) == 2
    torch.testing.assert_close(louder(x, EDGES), 2 * expected)
    plain.message = lambda x_j, edge_weight: 0 * x_j
    assert plain(x, EDGES).abs().sum() == 0
    assert len(calls) == 2


def test_other_aggregations_and_dropped_attention_weights_run_the_steps(calls):
    x = features()
    GCNLayer(4, 3, aggr="mean")(x, EDGES)
    GCNLayer(4, 3, aggr=["sum", "max"], aggr_kwargs={"mode": "sum"})(x, EDGES)
    GATLayer(4, 3, dropout=0.5)(x, EDGES, return_attention_weights=True)
    adj_t = to_csr(EDGES, None, 4).requires_grad_()
    GCNLayer(4, 3)(x, adj_t)
    assert not calls


def test_who_asks_for_attention_weights_gets_the_same_sums(calls):
    layer, x = GATLayer(4, 3, heads=2, dropout=0.5).eval(), features()
    out, (edges, alpha) = layer(x, EDGES, return_attention_weights=True)
    assert len(calls) == 1
    assert torch.equal(out, layer(x, EDGES))
    by_hand = torch.zeros(4, 2, 3).index_add(0, edges[1], alpha.unsqueeze(-1) * layer.lin(x).view(-1, 2, 3)[edges[0]])
    torch.testing.assert_close(out, by_hand.flatten(1) + layer.bias)


class Twice(SumAggregation):
    def forward(self, *args, **kwargs):
        return 2 * super().forward(*args, **kwargs)


def with_hook():
    aggregation = SumAggregation()
    aggregation.register_forward_hook(lambda module, inputs, out: 3 * out)
    return aggregation


@pytest.mark.parametrize("make", [MaxAggregation, SoftmaxAggregation, Twice, with_hook, MeanAggregation])
@pytest.mark.parametrize(("ours", "theirs"), [(GCNLayer, GCNConv), (GATLayer, GATConv)], ids=["GCN", "GAT"])
def test_another_aggregation_in_the_place_of_the_layers_own(make, ours, theirs, calls, assert_same):
    layer, conv = ours(4, 3).double(), theirs(4, 3).double()
    layer.load_state_dict(conv.state_dict())
    for module in (layer, conv):
        module.aggr_module = make()
    assert_same(layer, conv, features().double(), EDGES)
    assert not calls
    layer.aggr_module = conv.aggr_module = SumAggregation()
    assert_same(layer, conv, features().double(), EDGES)
    assert len(calls) == 1


@pytest.mark.parametrize("channels", [(9, 3), (3, 9), (4, 4)], ids=str)
def test_the_order_of_sum_and_map_does_not_show(channels, assert_same):
    conv = GCNConv(*channels).double()
    layer = GCNLayer(*channels).double()
    layer.load_state_dict(conv.state_dict())
    x = torch.randn(4, channels[0], dtype=torch.float64)
    assert_same(layer, conv, x, EDGES, torch.rand(6, dtype=torch.float64))
    with torch.no_grad():
        torch.testing.assert_close(layer(x, EDGES), conv(x, EDGES), rtol=1e-10, atol=1e-12)


class Rectified(Linear):
    def forward(self, x):
        return super().forward(x).relu()


def test_a_map_that_is_not_linear_comes_first():
    layer, x = GCNLayer(3, 9, bias=False), torch.randn(4, 3)
    layer.lin = Rectified(3, 9, bias=False)
    out = layer(x, EDGES)
    layer.register_message_forward_hook(lambda *_: None)
    torch.testing.assert_close(out, layer(x, EDGES))


@LAYERS
def test_an_in_place_change_of_the_edges_is_seen(make):
    layer, x, edges = make(), features(), EDGES.clone()
    before = layer(x, edges)
    edges[1, 0] = 3
    assert not torch.equal(layer(x, edges), before)
    torch.testing.assert_close(layer(x, edges), layer(x, edges.clone()))


def test_an_in_place_change_of_the_weights_is_seen():
    layer, x, weight = GCNLayer(4, 3), features(), torch.rand(6) + 0.1
    for module in (layer, GCNLayer(4, 3, normalize=False)):
        before = module(x, EDGES, weight)
        weight[2] += 7.0
        after = module(x, EDGES, weight)
        assert not torch.equal(after, before)
        torch.testing.assert_close(after, module(x, EDGES, weight.clone()))
    attention, attr = GATLayer(4, 3, edge_dim=1), torch.rand(6)
    before = attention(x, EDGES, attr)
    attr.mul_(5)
    torch.testing.assert_close(attention(x, EDGES, attr), attention(x, EDGES, attr.clone()))
    assert not torch.equal(attention(x, EDGES, attr), before)


def test_a_cached_graph_serves_both_ways_and_survives_copies():
    x, weight, hook = features(), torch.rand(6), lambda *_: None
    for flow in ("source_to_target", "target_to_source"):
        for first in ("op", "steps"):
            layer = GCNLayer(4, 3, cached=True, flow=flow)
            handle = layer.register_message_forward_hook(hook) if first == "steps" else None
            out = layer(x, EDGES, weight)
            handle = handle.remove() if handle else layer.register_message_forward_hook(hook)
            torch.testing.assert_close(layer(x, EDGES.flip(1), weight), out)
            torch.testing.assert_close(copy.deepcopy(layer)(x, EDGES), out)
    layer = GCNLayer(4, 3, cached=True)
    out = layer(x, EDGES, weight)
    torch.testing.assert_close(pickle.loads(pickle.dumps(layer))(x, EDGES), out)


@LAYERS
def test_inference_mode(make):
    layer, x = make(), features()
    expected = layer(x, EDGES)
    with torch.inference_mode():
        torch.testing.assert_close(layer(x, EDGES), expected)
        torch.testing.assert_close(layer(x.clone(), EDGES.clone()), expected)


@LAYERS
def test_function_transforms(make, calls):
    layer, x = make().double(), features().double()
    parameters = dict(layer.named_parameters())

    def loss(parameters, x):
        return torch.func.functional_call(layer, parameters, (x, EDGES)).square().sum()

    got = torch.func.grad(loss)(parameters, x)
    loss(parameters, x).backward()
    for name, parameter in parameters.items():
        torch.testing.assert_close(got[name], parameter.grad)
    jacobian = torch.func.jacrev(lambda x: layer(x, EDGES))(x)
    torch.testing.assert_close(jacobian, torch.autograd.functional.jacobian(lambda x: layer(x, EDGES), x))
    batch = torch.randn(3, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(
        torch.func.vmap(lambda x: layer(x, EDGES))(batch), torch.stack([layer(x, EDGES) for x in batch])
    )
    stacked = {name: torch.stack([p.detach(), 2 * p.detach()]) for name, p in parameters.items()}
    both = torch.func.vmap(lambda p: torch.func.functional_call(layer, p, (x, EDGES)))(stacked)
    torch.testing.assert_close(both[0], layer(x, EDGES))


@LAYERS
def test_gradients_of_gradients(make):
    layer, x = make().double(), features().double().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: layer(x, EDGES), x)


class Net(torch.nn.Module):
    def __init__(self, first, second):
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x, edge_index, edge_values=None):
        return self.second(self.first(x, edge_index, edge_values).relu(), edge_index)


NETS = pytest.mark.parametrize(
    ("make", "has_values"),
    [
        (lambda: Net(GCNLayer(4, 8), GCNLayer(8, 3)), False),
        (lambda: Net(GCNLayer(4, 8, cached=True, improved=True), GCNLayer(8, 3, normalize=False)), True),
        (lambda: Net(GCNLayer(4, 8, flow="target_to_source"), GCNLayer(8, 3)), True),
        (lambda: Net(GATLayer(4, 8, heads=2), GATLayer(16, 3, heads=3, concat=False)), False),
        (lambda: Net(GATLayer(4, 8, heads=2, edge_dim=1), GATLayer(16, 3, add_self_loops=False)), True),
        (lambda: Net(GATLayer(4, 8, edge_dim=1, fill_value="max", flow="target_to_source"), GATLayer(8, 3)), True),
    ],
    ids=["GCN", "GCN cached", "GCN reversed", "GAT", "GAT with edge features", "GAT reversed"],
)


@NETS
def test_compiled_without_graph_breaks(make, has_values):
    torch._dynamo.reset()
    torch.manual_seed(0)
    net, x, values = make(), features(), torch.rand(6) if has_values else None
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    out, expected = compiled(x, EDGES, values), net(x, EDGES, values)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)
    parameters = list(net.parameters())
    for got, want in zip(
        torch.autograd.grad(out.square().sum(), parameters),
        torch.autograd.grad(expected.square().sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


@NETS
def test_exported_with_any_number_of_nodes_and_edges(make, has_values):
    torch.manual_seed(0)
    net, values = make(), torch.rand(6) if has_values else None
    nodes, edges = torch.export.Dim("nodes", min=2, max=4096), torch.export.Dim("edges", min=2, max=4096)
    shapes = ({0: nodes}, {1: edges}, {0: edges} if has_values else None)
    program = torch.export.export(net, (features(), EDGES, values), dynamic_shapes=shapes)
    assert "gnnkit" in str(program.graph)
    x, edge_index = features(9), torch.randint(9, (2, 30))
    values = torch.rand(30) if has_values else None
    torch.testing.assert_close(
        program.module()(x, edge_index, values), net(x, edge_index, values), rtol=1e-4, atol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_two_runs_are_equal_to_the_bit(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        x, edges = torch.randn(300, 4), torch.randint(300, (2, 2000))
        for layer in (GCNLayer(4, 16), GATLayer(4, 8, heads=2)):
            runs = []
            for _ in range(2):
                out = layer(x, edges)
                runs.append((out, *torch.autograd.grad(out.square().sum(), list(layer.parameters()))))
            assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))
    finally:
        torch.set_num_threads(before)


def test_a_propagate_in_the_place_of_the_layers_own_runs(calls):
    layer = GCNLayer(4, 3, bias=False)
    layer.propagate = lambda edge_index, x, edge_weight: 0 * x
    assert layer(features(), EDGES).abs().sum() == 0
    assert not calls


def test_a_hook_in_the_place_of_the_layers_own_is_compiled():
    torch._dynamo.reset()
    layer = GCNLayer(4, 3, bias=False)
    layer.message = lambda x_j, edge_weight: 0 * x_j
    assert torch.compile(layer, backend="eager")(features(), EDGES).abs().sum() == 0
