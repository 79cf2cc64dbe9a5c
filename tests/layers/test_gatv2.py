"""GATv2Layer: equality with PyG's GATv2Conv, attention by hand, properties, and what it says to wrong input."""

import pytest
import torch
from torch_geometric import EdgeIndex
from torch_geometric.nn import GATv2Conv

from gnnkit.graph import to_csr
from gnnkit.layers import GATv2Layer
from gnnkit.ops import use_backend

EDGES = torch.tensor([[0, 1, 2, 3, 0, 0, 2, 2], [1, 2, 3, 0, 2, 2, 2, 1]])  # an edge twice, a loop


def twins(*args, dtype=torch.float64, **kwargs):
    """A layer and PyG's, with the same weights; the biases are not left at zero."""
    conv = GATv2Conv(*args, **kwargs).to(dtype)
    for name, parameter in conv.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    layer = GATv2Layer(*args, **kwargs).to(dtype)
    layer.load_state_dict(conv.state_dict())
    return layer, conv


@pytest.fixture
def only_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps must not run: PyG's twin is a class of its own."""
    monkeypatch.setattr(GATv2Layer, "_prepare_graph", lambda *_: pytest.fail("the steps were run"))


@pytest.mark.usefixtures("only_fused")
@pytest.mark.parametrize(
    "settings_",
    [
        {"heads": 2},
        {"heads": 2, "concat": False, "residual": True, "bias": False},
        {"heads": 2, "share_weights": True, "add_self_loops": False},
        {"heads": 2, "negative_slope": -0.5, "bias": False},
        {"heads": 2, "flow": "target_to_source"},
    ],
    ids=str,
)
def test_equals_pyg_on_edge_lists(graph, settings_, assert_same):
    edge_index, num_nodes = graph
    layer, conv = twins(5, 3, **settings_)
    assert_same(layer, conv, torch.randn(num_nodes, 5).double(), edge_index)


# All other tests are in float64, with two heads: each type and number of heads has kernels of its own.
@pytest.mark.parametrize("heads", [1, 2])
def test_equals_pyg_in_single_precision_with_one_head_and_more(heads, assert_same):
    dtype = torch.float32
    layer, conv = twins(5, 16, heads=heads, edge_dim=3, dtype=dtype)
    x, edge_attr = torch.randn(4, 5, dtype=dtype), torch.randn(8, 3, dtype=dtype)
    assert_same(layer, conv, x, EDGES, edge_attr)
    assert_same(layer, conv, x, EDGES)


@pytest.mark.parametrize("aggr", ["mean", "max"])
def test_other_aggregations_take_the_steps(aggr, assert_same):
    assert_same(*twins(5, 3, heads=2, aggr=aggr), torch.randn(4, 5).double(), EDGES)


@pytest.mark.usefixtures("only_fused")
@pytest.mark.parametrize(
    "fill_value", ["mean", "add", "sum", "min", "max", "mul", 0.5, torch.tensor([1.0, 2.0])], ids=str
)
@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
def test_equals_pyg_with_edge_features(fill_value, flow, assert_same):
    layer, conv = twins(5, 3, heads=2, edge_dim=2, fill_value=fill_value, flow=flow)
    assert_same(layer, conv, torch.randn(5, 5).double(), EDGES, torch.randn(8, 2).double())


@pytest.mark.usefixtures("only_fused")
def test_equals_pyg_with_one_edge_feature_and_on_odd_graphs(graph, assert_same):
    edge_index, num_nodes = graph
    x, edge_attr = torch.randn(num_nodes, 5).double(), torch.randn(edge_index.size(1)).double()
    assert_same(*twins(5, 3, heads=2, edge_dim=1, residual=True), x, edge_index, edge_attr)
    assert_same(*twins(5, 3, heads=2, edge_dim=1, add_self_loops=False), x, edge_index, edge_attr)


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("form", ["row", "col", "csr", "coo", "csc"])
def test_equals_pyg_on_every_form_of_the_graph(graph, form, loops, assert_same, assert_near):
    edge_index, num_nodes = graph
    if form in ("row", "col"):
        order = edge_index[0 if form == "row" else 1].argsort(stable=True)
        given = theirs = EdgeIndex(edge_index[:, order], sparse_size=(num_nodes, num_nodes), sort_order=form)
    else:
        theirs = to_csr(edge_index, torch.rand(edge_index.size(1)).double() + 0.1, num_nodes)
        given = {"csr": theirs, "coo": theirs.to_sparse_coo(), "csc": theirs.to_sparse_csc()}[form]
    layer, conv = twins(5, 3, heads=2, add_self_loops=loops)
    layer.register_forward_pre_hook(lambda _, args: (args[0], given, *args[1:]))
    conv.register_forward_pre_hook(lambda _, args: (args[0], theirs, *args[1:]))
    x = torch.randn(num_nodes, 5).double()
    assert_same(layer, conv, x)
    (out, (edges, alpha)), (_, (_, expected)) = (m(x, return_attention_weights=True) for m in (layer, conv))
    assert_near(alpha, expected, "attention")
    assert_near(out, layer(x), "step by step and as one op")
    if form in ("csr", "coo"):
        assert edges.layout == given.layout


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("channels", [(5, 4), 5], ids=str)
def test_equals_pyg_on_bipartite_graphs(loops, channels, assert_same):
    layer, conv = twins(channels, 3, heads=2, add_self_loops=loops, edge_dim=2, residual=not loops)
    edge_index, edge_attr = torch.tensor([[0, 1, 2, 3, 3, 3], [0, 1, 1, 0, 1, 1]]), torch.randn(6, 2).double()
    x = (torch.randn(4, 5).double(), torch.randn(2, 4 if isinstance(channels, tuple) else 5).double())
    assert_same(layer, conv, x, edge_index, edge_attr)
    if not loops:
        adj_t = torch.sparse_coo_tensor(edge_index.flip(0), torch.ones(6).double(), (2, 4)).coalesce()
        assert torch.equal(layer(x, adj_t), layer(x, adj_t.indices().flip(0)))
        assert torch.equal(layer(x, adj_t.to_sparse_csr()), layer(x, adj_t.indices().flip(0)))


def test_bipartite_flow_reversed_equals_pyg(assert_same):
    edge_index = torch.tensor([[0, 1, 1, 0], [0, 1, 2, 3]])  # x[0] sends, to be found by edge_index[1] now
    layer, conv = twins((5, 4), 3, flow="target_to_source", add_self_loops=False)
    assert_same(layer, conv, (torch.randn(4, 5).double(), torch.randn(2, 4).double()), edge_index)
    assert_same(layer, conv, (torch.randn(4, 5).double(), torch.randn(4, 4).double()), edge_index)


def test_features_of_edges_of_a_csc_graph_are_in_its_order(assert_near):
    layer = GATv2Layer(5, 3, edge_dim=2, add_self_loops=False).double()
    csr = to_csr(torch.tensor([[0, 1, 2, 2], [1, 0, 0, 1]]), None, 3)  # rows: (1, 2), (0, 2); columns: 1, 0, (0, 1)
    x, edge_attr = torch.randn(3, 5).double(), torch.randn(4, 2).double()
    assert_near(layer(x, csr.to_sparse_csc(), edge_attr[[2, 0, 1, 3]]), layer(x, csr, edge_attr), "output")


def test_attention_weights_equal_pyg_and_sum_to_one(graph, assert_same, assert_near):
    edge_index, num_nodes = graph
    layer, conv = twins(5, 3, heads=2)
    x = torch.randn(num_nodes, 5).double()
    assert_same(layer, conv, x, edge_index, return_attention_weights=True)
    _, (edges, alpha) = layer(x, edge_index, return_attention_weights=True)
    assert torch.equal(edges, conv(x, edge_index, return_attention_weights=True)[1][0])
    total = torch.zeros(num_nodes, 2, dtype=torch.float64).index_add(0, edges[1], alpha)
    assert_near(total, torch.ones(num_nodes, 2, dtype=torch.float64), "sum of attention")


def test_dropout_drops_weights_and_rests_in_evaluation():
    layer, x = GATv2Layer(3, 4, heads=2, dropout=0.5, bias=False), torch.randn(4, 3)
    out = layer(x, EDGES)
    assert not torch.equal(out, layer(x, EDGES))
    torch.manual_seed(1)
    first = layer(x, EDGES)
    torch.manual_seed(1)
    assert torch.equal(first, layer(x, EDGES))
    mean = torch.stack([layer(x, EDGES) for _ in range(1000)]).mean(0)
    torch.testing.assert_close(mean, layer.eval()(x, EDGES), atol=0.2, rtol=0)
    assert torch.equal(layer(x, EDGES), layer(x, EDGES))


@pytest.mark.parametrize("settings_", [{}, {"edge_dim": 2, "residual": True, "share_weights": True}], ids=str)
@pytest.mark.parametrize("channels", [4, (4, 4)], ids=str)
def test_state_dict_goes_both_ways_and_a_seed_draws_the_same_weights(channels, settings_):
    torch.manual_seed(7)
    conv = GATv2Conv(channels, 3, heads=2, **settings_)
    torch.manual_seed(7)
    layer = GATv2Layer(channels, 3, heads=2, **settings_)
    assert set(layer.state_dict()) == set(conv.state_dict())
    for name, value in conv.state_dict().items():
        assert torch.equal(layer.state_dict()[name], value), name
    torch.nn.init.normal_(layer.bias)
    conv.load_state_dict(layer.state_dict())
    assert torch.equal(conv.bias, layer.bias)


def test_lazy_widths_are_taken_from_the_first_input():
    layer = GATv2Layer((-1, -1), 3, heads=2, edge_dim=-1, residual=True)
    out = layer((torch.randn(2, 5), torch.randn(2, 4)), torch.tensor([[0, 1], [1, 0]]), torch.randn(2, 7))
    assert out.shape == (2, 6)
    widths = [lin.weight.size(1) for lin in (layer.lin_l, layer.lin_r, layer.res, layer.lin_edge)]
    assert widths == [5, 4, 4, 7]


def test_values_by_hand_and_the_order_of_neighbours_depends_on_who_asks():
    # e_ij = |x_j + x_i|, by a leaky ReLU of slope -1: whoever is alike counts most, another order for each node.
    layer = GATv2Layer(1, 1, bias=False, negative_slope=-1.0, add_self_loops=False).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(1.0)
    x = torch.tensor([[2.0], [-3.0], [1.0], [-1.0]], dtype=torch.float64)
    out = layer(x, torch.tensor([[0, 1, 0, 1], [2, 2, 3, 3]])).flatten()
    scores = torch.tensor([[3.0, 2.0], [1.0, 4.0]], dtype=torch.float64).softmax(1)
    torch.testing.assert_close(out[2:], scores @ torch.tensor([2.0, -3.0], dtype=torch.float64), rtol=1e-12, atol=0)
    assert out[:2].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("backend", ["numba", "torch", "reference"])
def test_gradients_by_differences(backend):
    if backend == "numba":
        pytest.importorskip("numba")
    layer = GATv2Layer(3, 2, heads=2, edge_dim=2).double()
    x, edge_attr = torch.randn(4, 3).double().requires_grad_(), torch.randn(8, 2).double().requires_grad_()
    with use_backend(backend, "pair_attention"):
        assert torch.autograd.gradcheck(lambda x, e: layer(x, EDGES, e), (x, edge_attr))


def test_permutation_equivariance_and_one_hop_locality():
    torch.manual_seed(0)
    layer, x = GATv2Layer(3, 2, heads=2).double(), torch.randn(4, 3).double()
    out, order = layer(x, EDGES), torch.tensor([2, 0, 3, 1])  # new number of each node
    torch.testing.assert_close(layer(x[order.argsort()], order[EDGES])[order], out, rtol=1e-10, atol=1e-12)
    # A missing value at node 1 reaches the nodes that hear of it, and no other; so does its gradient.
    missing = x.clone()
    missing[1] = torch.nan
    found = layer(missing, EDGES)
    assert found.isnan().any(1).tolist() == [False, True, True, False]
    torch.testing.assert_close(found[[0, 3]], out[[0, 3]], rtol=1e-12, atol=0)
    conv = GATv2Conv(3, 2, heads=2).double()
    conv.load_state_dict(layer.state_dict())
    missing.requires_grad_()
    mine, theirs = (torch.autograd.grad(m(missing, EDGES[:, :4])[[0, 3]].sum(), missing)[0] for m in (layer, conv))
    torch.testing.assert_close(mine, theirs, equal_nan=True)
    assert mine[3].isfinite().all()


def test_the_result_may_be_written_into():
    layer, x = GATv2Layer(3, 2, bias=False), torch.randn(4, 3, requires_grad=True)
    expected = torch.autograd.grad(layer(x, EDGES).relu().sum(), x)[0]
    torch.testing.assert_close(torch.autograd.grad(layer(x, EDGES).relu_().sum(), x)[0], expected)


def test_propagate_is_generated_and_hooks_are_called():
    layer, x = GATv2Layer(3, 2, heads=2), torch.randn(4, 3)
    assert layer.propagate.__module__.endswith("_propagate")
    assert layer.edge_updater.__module__.endswith("_edge_updater")
    expected, seen = layer(x, EDGES), []
    layer.register_message_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]["x_j"].shape))
    torch.testing.assert_close(layer(x, EDGES), expected)
    assert seen == [(11, 2, 2)]  # seven edges and four loops
    assert repr(layer) == "GATv2Layer(3, 2, heads=2)"


def test_compiles_and_exports_with_self_loops_in_the_graph():
    layer, x = GATv2Layer(3, 2, heads=2, edge_dim=2).double(), torch.randn(4, 3).double()
    edge_attr = torch.randn(8, 2).double()
    expected = layer(x, EDGES, edge_attr)
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, EDGES, edge_attr), expected)
    edges = torch.export.Dim("edges", min=2)
    shapes = {"x": None, "edge_index": {1: edges}, "edge_attr": {0: edges}}
    program = torch.export.export(layer, (x, EDGES, edge_attr), dynamic_shapes=shapes)
    torch.testing.assert_close(program.module()(x, EDGES[:, :5], edge_attr[:5]), layer(x, EDGES[:, :5], edge_attr[:5]))


def test_half_precision_autocast_and_transforms():
    layer, x = GATv2Layer(3, 4, heads=2), torch.randn(4, 3)
    expected = layer(x, EDGES)
    half = GATv2Layer(3, 4, heads=2).bfloat16()
    half.load_state_dict(layer.state_dict())
    found = half(x.bfloat16(), EDGES)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, atol=0.05, rtol=0.05)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(layer(x, EDGES).float(), expected, atol=0.05, rtol=0.05)
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
        ({}, (X, PATH, torch.randn(2, 3)), "edge_attr cannot be given: the layer was made without edge_dim"),
        ({"edge_dim": 3}, (X, PATH, torch.randn(5, 3)), r"edge_attr must have one entry for each of the 2 edges"),
        ({"edge_dim": 3}, (X, PATH, torch.randn(2, 2)), r"edge_attr must have shape \[2, 3\] .*got \[2, 2\]"),
        ({"edge_dim": 3}, (X, to_csr(PATH, None, 3), torch.randn(2, 3)), r"edge_attr cannot be given beside a sparse"),
    ],
)
def test_mistakes_are_named(settings_, arguments, message):
    with pytest.raises(ValueError, match=message):
        GATv2Layer(4, 2, **settings_)(*arguments)


def test_settings_out_of_range_and_torchscript_are_named():
    with pytest.raises(ValueError, match="heads must be 1 or more, got 0"):
        GATv2Layer(4, 2, heads=0)
    with pytest.raises(ValueError, match=r"fill_value must be a number, a tensor or one of add, .*got 'median'"):
        GATv2Layer(4, 2, fill_value="median")
    with pytest.raises(NotImplementedError, match="TorchScript cannot compile GATv2Layer"):
        torch.jit.script(GATv2Layer(4, 2))
