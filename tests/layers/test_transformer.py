"""TransformerLayer: equality with PyG's TransformerConv, attention by hand, properties, what it says to wrong input."""

import math

import pytest
import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.nn import TransformerConv

from gnnkit.graph import to_csr
from gnnkit.layers import TransformerLayer
from gnnkit.ops import use_backend

EDGES = torch.tensor([[0, 1, 2, 3, 0, 0, 2, 2], [1, 2, 3, 0, 2, 2, 2, 1]])  # an edge twice, a loop


def twins(*args, dtype=torch.float64, **kwargs):
    """A layer and PyG's, with the same weights."""
    conv = TransformerConv(*args, **kwargs).to(dtype)
    layer = TransformerLayer(*args, **kwargs).to(dtype)
    layer.load_state_dict(conv.state_dict())
    return layer, conv


@pytest.fixture
def only_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps must not run: PyG's twin is a class of its own."""
    monkeypatch.setattr(TransformerLayer, "propagate", lambda *_, **__: pytest.fail("the steps were run"))


@pytest.mark.usefixtures("only_fused")
@pytest.mark.parametrize(
    "settings_",
    [
        {"heads": 2},
        {"heads": 2, "concat": False, "beta": True},
        {"heads": 2, "beta": True, "flow": "target_to_source"},
        {"heads": 2, "root_weight": False, "bias": False},
        {"heads": 2, "root_weight": False, "concat": False},
    ],
    ids=str,
)
def test_equals_pyg_on_edge_lists(graph, settings_, assert_same):
    edge_index, num_nodes = graph
    assert_same(*twins(5, 3, **settings_), torch.randn(num_nodes, 5).double(), edge_index)


@pytest.mark.usefixtures("only_fused")
@pytest.mark.parametrize("settings_", [{}, {"beta": True}, {"concat": False, "flow": "target_to_source"}], ids=str)
def test_equals_pyg_with_edge_features_on_odd_graphs(graph, settings_, assert_same):
    edge_index, num_nodes = graph
    x, edge_attr = torch.randn(num_nodes, 5).double(), torch.randn(edge_index.size(1), 2).double()
    assert_same(*twins(5, 3, heads=2, edge_dim=2, **settings_), x, edge_index, edge_attr)


# All other tests are in float64, with two heads: each type and number of heads has kernels of its own.
@pytest.mark.parametrize("heads", [1, 2])
def test_equals_pyg_in_single_precision_with_one_head_and_more(heads, assert_same):
    dtype = torch.float32
    x, edge_attr = torch.randn(4, 5, dtype=dtype), torch.randn(8, 3, dtype=dtype)
    assert_same(*twins(5, 16, heads=heads, edge_dim=3, dtype=dtype), x, EDGES, edge_attr)
    assert_same(*twins(5, 16, heads=heads, dtype=dtype), x, EDGES)


@pytest.mark.parametrize("aggr", ["mean", "max"])
def test_other_aggregations_take_the_steps(aggr, assert_same):
    assert_same(*twins(5, 3, heads=2, aggr=aggr), torch.randn(4, 5).double(), EDGES)


def test_without_edge_dim_edges_have_values_of_their_own_as_in_pyg(assert_same):
    assert_same(*twins(5, 3, heads=2), torch.randn(4, 5).double(), EDGES, torch.randn(8, 2, 3).double())


@pytest.mark.parametrize("form", ["row", "col", "csr", "coo", "csc"])
def test_equals_pyg_on_every_form_of_the_graph(graph, form, assert_same, assert_near):
    edge_index, num_nodes = graph
    if form in ("row", "col"):
        order = edge_index[0 if form == "row" else 1].argsort(stable=True)
        given = theirs = EdgeIndex(edge_index[:, order], sparse_size=(num_nodes, num_nodes), sort_order=form)
    else:
        theirs = to_csr(edge_index, torch.rand(edge_index.size(1)).double() + 0.1, num_nodes)
        given = {"csr": theirs, "coo": theirs.to_sparse_coo(), "csc": theirs.to_sparse_csc()}[form]
    layer, conv = twins(5, 3, heads=2)
    layer.register_forward_pre_hook(lambda _, args: (args[0], given, *args[1:]))
    conv.register_forward_pre_hook(lambda _, args: (args[0], theirs, *args[1:]))
    x = torch.randn(num_nodes, 5).double()
    assert_same(layer, conv, x)
    (out, (edges, alpha)), (_, (_, expected)) = (m(x, return_attention_weights=True) for m in (layer, conv))
    assert_near(alpha, expected, "attention")
    assert_near(out, layer(x), "with weights and without")
    assert edges.layout == (torch.sparse_csr if form == "csc" else given.layout)


def test_features_of_edges_beside_sparse_graphs_are_in_their_order(assert_near):
    layer, conv = twins(5, 3, edge_dim=2)
    csr = to_csr(torch.tensor([[0, 1, 2, 2], [1, 0, 0, 1]]), None, 3).double()
    x, edge_attr = torch.randn(3, 5).double(), torch.randn(4, 2).double()
    expected = conv(x, csr, edge_attr)
    assert_near(layer(x, csr, edge_attr), expected, "CSR")
    assert_near(layer(x, csr.to_sparse_coo(), edge_attr), expected, "COO")
    assert_near(layer(x, csr.to_sparse_csc(), edge_attr[[2, 0, 1, 3]]), expected, "CSC")
    held = torch.sparse_csr_tensor(csr.crow_indices(), csr.col_indices(), edge_attr, (3, 3, 2))
    assert_near(layer(x, held), expected, "as its values")


@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
@pytest.mark.parametrize("channels", [(5, 4), 5], ids=str)
def test_equals_pyg_on_bipartite_graphs(channels, flow, assert_same):
    layer, conv = twins(channels, 3, heads=2, flow=flow, edge_dim=2, beta=True)
    edge_index, edge_attr = torch.tensor([[0, 1, 2, 3, 3, 3], [0, 1, 1, 0, 1, 1]]), torch.randn(6, 2).double()
    x = (torch.randn(4, 5).double(), torch.randn(2, 4 if isinstance(channels, tuple) else 5).double())
    edge_index = edge_index if flow == "source_to_target" else edge_index.flip(0)
    assert_same(layer, conv, x, edge_index, edge_attr)
    assert_same(layer, conv, x, edge_index, edge_attr, return_attention_weights=False)


def test_attention_weights_come_before_dropout_and_sum_to_one(graph, assert_near):
    edge_index, num_nodes = graph
    layer = TransformerLayer(5, 3, heads=2, dropout=0.5).double()
    _, (edges, alpha) = layer(torch.randn(num_nodes, 5).double(), edge_index, return_attention_weights=True)
    assert torch.equal(edges, edge_index)
    total = torch.zeros(num_nodes, 2, dtype=torch.float64).index_add(0, edges[1], alpha)
    heard = torch.zeros(num_nodes, dtype=torch.bool).index_fill(0, edge_index[1], True)
    assert_near(total, heard.double().unsqueeze(1).expand(-1, 2), "sum of attention")
    assert layer._alpha is None


def test_dropout_drops_weights_and_rests_in_evaluation():
    layer, x = TransformerLayer(3, 4, heads=2, dropout=0.5), torch.randn(4, 3)
    torch.manual_seed(1)
    first = layer(x, EDGES)
    assert not torch.equal(first, layer(x, EDGES))
    torch.manual_seed(1)
    assert torch.equal(first, layer(x, EDGES))
    mean = torch.stack([layer(x, EDGES) for _ in range(1000)]).mean(0)
    torch.testing.assert_close(mean, layer.eval()(x, EDGES), atol=0.2, rtol=0)


@pytest.mark.parametrize("settings_", [{}, {"edge_dim": 2, "beta": True}, {"concat": False}], ids=str)
@pytest.mark.parametrize("channels", [4, (4, 3)], ids=str)
def test_state_dict_goes_both_ways_and_a_seed_draws_the_same_weights(channels, settings_):
    torch.manual_seed(7)
    conv = TransformerConv(channels, 3, heads=2, **settings_)
    torch.manual_seed(7)
    layer = TransformerLayer(channels, 3, heads=2, **settings_)
    assert set(layer.state_dict()) == set(conv.state_dict())
    for name, value in conv.state_dict().items():
        assert torch.equal(layer.state_dict()[name], value), name
    torch.nn.init.normal_(layer.lin_key.bias)
    conv.load_state_dict(layer.state_dict())
    assert torch.equal(conv.lin_key.bias, layer.lin_key.bias)


def test_lazy_widths_are_taken_from_the_first_input():
    layer = TransformerLayer((-1, -1), 3, heads=2, edge_dim=-1)
    out = layer((torch.randn(2, 5), torch.randn(2, 4)), torch.tensor([[0, 1], [1, 0]]), torch.randn(2, 7))
    assert out.shape == (2, 6)
    widths = [lin.weight.size(1) for lin in (layer.lin_key, layer.lin_value, layer.lin_query, layer.lin_edge)]
    assert widths == [5, 5, 4, 7]


def test_values_by_hand():
    layer = TransformerLayer(2, 2, bias=False, edge_dim=1).double()
    with torch.no_grad():
        for lin in (layer.lin_key, layer.lin_query, layer.lin_value):
            lin.weight.copy_(torch.eye(2))
        layer.lin_skip.weight.zero_()
        layer.lin_edge.weight.fill_(1.0)
    x = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]], dtype=torch.float64)
    out = layer(x, torch.tensor([[0, 1], [2, 2]]), torch.tensor([[0.0], [0.5]]).double())
    keys = torch.tensor([[1.0, 0.0], [0.5, 2.5]], dtype=torch.float64)  # of node 1 with its edge's feature
    scores = torch.tensor([3.0, 4.0], dtype=torch.float64) / math.sqrt(2)
    torch.testing.assert_close(out[2], scores.softmax(0) @ keys, rtol=1e-12, atol=0)
    assert out[:2].abs().max() == 0


@pytest.mark.parametrize("backend", ["numba", "torch", "reference"])
def test_gradients_by_differences(backend):
    if backend == "numba":
        pytest.importorskip("numba")
    layer = TransformerLayer(3, 2, heads=2, edge_dim=2, beta=True).double()
    x, edge_attr = torch.randn(4, 3).double().requires_grad_(), torch.randn(8, 2).double().requires_grad_()
    with use_backend(backend, "pair_attention"):
        assert torch.autograd.gradcheck(lambda x, e: layer(x, EDGES, e), (x, edge_attr))


def test_permutation_equivariance_and_one_hop_locality():
    torch.manual_seed(0)
    layer, x = TransformerLayer(3, 2, heads=2).double(), torch.randn(4, 3).double()
    out, order = layer(x, EDGES), torch.tensor([2, 0, 3, 1])  # new number of each node
    torch.testing.assert_close(layer(x[order.argsort()], order[EDGES])[order], out, rtol=1e-10, atol=1e-12)
    # A missing value at node 1 reaches the nodes that hear of it, and no other.
    missing = x.clone()
    missing[1] = torch.nan
    found = layer(missing, EDGES)
    assert found.isnan().any(1).tolist() == [False, True, True, False]
    torch.testing.assert_close(found[[0, 3]], out[[0, 3]], rtol=1e-12, atol=0)


def test_the_result_may_be_written_into():
    layer, x = TransformerLayer(3, 2, root_weight=False), torch.randn(4, 3, requires_grad=True)
    expected = torch.autograd.grad(layer(x, EDGES).relu().sum(), x)[0]
    torch.testing.assert_close(torch.autograd.grad(layer(x, EDGES).relu_().sum(), x)[0], expected)


def test_propagate_is_generated_and_hooks_are_called():
    layer, x = TransformerLayer(3, 2, heads=2), torch.randn(4, 3)
    assert layer.propagate.__module__.endswith("_propagate")
    expected, seen = layer(x, EDGES), []
    layer.register_message_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]["key_j"].shape))
    torch.testing.assert_close(layer(x, EDGES), expected)
    assert seen == [(8, 2, 2)]
    assert repr(layer) == "TransformerLayer(3, 2, heads=2)"


def test_compiles_and_exports():
    layer, x = TransformerLayer(3, 2, heads=2, edge_dim=2, beta=True).double(), torch.randn(4, 3).double()
    edge_attr = torch.randn(8, 2).double()
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, EDGES, edge_attr), layer(x, EDGES, edge_attr))
    edges = torch.export.Dim("edges", min=2)
    shapes = {"x": None, "edge_index": {1: edges}, "edge_attr": {0: edges}}
    program = torch.export.export(layer, (x, EDGES, edge_attr), dynamic_shapes=shapes)
    torch.testing.assert_close(program.module()(x, EDGES[:, :5], edge_attr[:5]), layer(x, EDGES[:, :5], edge_attr[:5]))


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = TransformerLayer(3, 2, heads=2)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.layer(x, edge_index)


def test_torchscript_compiles_pygs_layer_on_the_same_weights(assert_near):
    net, x = Net(), torch.randn(4, 3)
    assert_near(torch.jit.script(net)(x, EDGES), net(x, EDGES), "output")


def test_half_precision_autocast_and_transforms():
    layer, x = TransformerLayer(3, 4, heads=2, beta=True), torch.randn(4, 3)
    expected = layer(x, EDGES)
    half = TransformerLayer(3, 4, heads=2, beta=True).bfloat16()
    half.load_state_dict(layer.state_dict())
    found = half(x.bfloat16(), EDGES)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, atol=0.05, rtol=0.05)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(layer(x, EDGES).float(), expected, atol=0.05, rtol=0.05)
        for settings_ in ({}, {"edge_dim": 2}, {"edge_dim": 2, "root_weight": False}, {"edge_dim": 2, "beta": True}):
            mine, pygs = twins(3, 4, dtype=torch.float32, **settings_)
            edge_attr = torch.randn(8, 2) if settings_ else None
            pair = mine(x, EDGES, edge_attr), pygs(x, EDGES, edge_attr)
            torch.testing.assert_close(*pair, atol=0.05, rtol=0.05)
    batch = torch.randn(3, 4, 3)
    batched = torch.func.vmap(lambda x: layer(x, EDGES))(batch)
    torch.testing.assert_close(batched, torch.stack([layer(x, EDGES) for x in batch]))


X, PATH = torch.randn(3, 4), torch.tensor([[0, 1], [1, 2]])


@pytest.mark.parametrize(
    ("settings_", "arguments", "message"),
    [
        ({}, (torch.randn(3, 5), PATH), r"x has 5 features per node, the layer was made for 4 \(in_channels\)"),
        ({}, (None, PATH), r"x must be a tensor \[N, F\] or a pair of tensors .*got NoneType"),
        ({}, ((X, None), PATH), r"x\[1\] must be a tensor of node features \[N, F\], got NoneType: the targets'"),
        ({}, (X, PATH.float()), r"edge_index must hold integer node ids, got torch.float32"),
        ({}, (X[:2], PATH), r"edge_index\[1\] holds node id 2, allowed: 0 .. 1 \(2 target nodes\)"),
        ({"aggr": "max"}, (X[:2], PATH), r"edge_index\[1\] holds node id 2, allowed: 0 .. 1 \(2 target nodes\)"),
        ({}, (X, to_csr(PATH, None, 4)), r"adj_t must have shape .*\[3, 3\].*got \[4, 4\]"),
        ({"edge_dim": 3}, (X, PATH), "edge_attr is missing: the layer was made for edges of 3 features"),
        ({"edge_dim": 3}, (X, PATH, torch.randn(5, 3)), r"edge_attr must have one entry for each of the 2 edges"),
        ({"edge_dim": 3}, (X, PATH, torch.randn(2, 2)), r"edge_attr must have shape \[2, 3\] .*got \[2, 2\]"),
    ],
)
def test_mistakes_are_named(settings_, arguments, message):
    with pytest.raises(ValueError, match=message):
        TransformerLayer(4, 2, **settings_)(*arguments)


def test_settings_out_of_range_are_named():
    with pytest.raises(ValueError, match="heads must be 1 or more, got 0"):
        TransformerLayer(4, 2, heads=0)
    with pytest.raises(ValueError, match=r"dropout must be a probability from 0 to 1, got 1.5"):
        TransformerLayer(4, 2, dropout=1.5)
