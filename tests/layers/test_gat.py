"""GATLayer: equality with PyG's GATConv, hand-computed attention, properties, and what it says to wrong input."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric import EdgeIndex
from torch_geometric.nn import GATConv

from gnnkit.graph import to_csr
from gnnkit.layers import GATLayer


def twins(*args, dtype=torch.float64, **kwargs):
    """A layer and PyG's, with the same weights; the bias is not left at zero."""
    conv = GATConv(*args, **kwargs).to(dtype)
    if conv.bias is not None:
        torch.nn.init.normal_(conv.bias)
    layer = GATLayer(*args, **kwargs).to(dtype)
    layer.load_state_dict(conv.state_dict())
    return layer, conv


@pytest.mark.parametrize(
    "settings_",
    [
        {},
        {"heads": 3},
        {"heads": 3, "concat": False},
        {"heads": 2, "residual": True},
        {"heads": 2, "concat": False, "residual": True, "bias": False},
        {"add_self_loops": False},
        {"negative_slope": 0.5},
        {"flow": "target_to_source"},
        {"aggr": "mean"},
        {"aggr": "max", "heads": 2},
    ],
    ids=str,
)
def test_equals_pyg_on_edge_lists(graph, dtype, settings_, assert_same):
    edge_index, num_nodes = graph
    layer, conv = twins(5, 3, dtype=dtype, **settings_)
    assert_same(layer, conv, torch.randn(num_nodes, 5, dtype=dtype), edge_index)


@pytest.mark.parametrize(
    "fill_value", ["mean", "add", "sum", "min", "max", "mul", 0.5, torch.tensor([1.0, 2.0])], ids=str
)
def test_equals_pyg_with_edge_features(graph, dtype, fill_value, assert_same):
    edge_index, num_nodes = graph
    layer, conv = twins(5, 3, dtype=dtype, heads=2, edge_dim=2, fill_value=fill_value)
    edge_attr = torch.randn(edge_index.size(1), 2, dtype=dtype)
    assert_same(layer, conv, torch.randn(num_nodes, 5, dtype=dtype), edge_index, edge_attr)


def test_equals_pyg_with_one_edge_feature_and_without_self_loops(graph, assert_same):
    edge_index, num_nodes = graph
    x, edge_attr = torch.randn(num_nodes, 5).double(), torch.randn(edge_index.size(1)).double()
    assert_same(*twins(5, 3, heads=2, edge_dim=1), x, edge_index, edge_attr)
    assert_same(*twins(5, 3, heads=2, edge_dim=1, add_self_loops=False), x, edge_index, edge_attr)
    assert_same(*twins(5, 3, heads=2, edge_dim=1), x, edge_index)


@pytest.mark.parametrize("settings_", [{}, {"add_self_loops": False}, {"heads": 2, "residual": True}], ids=str)
@pytest.mark.parametrize("sort_order", ["row", "col"])
def test_equals_pyg_on_edge_index(graph, dtype, sort_order, settings_, assert_same):
    edge_index, num_nodes = graph
    order = edge_index[0 if sort_order == "row" else 1].argsort(stable=True)
    indexed = EdgeIndex(edge_index[:, order], sparse_size=(num_nodes, num_nodes), sort_order=sort_order)
    layer, conv = twins(5, 3, dtype=dtype, **settings_)
    assert_same(layer, conv, torch.randn(num_nodes, 5, dtype=dtype), indexed)


@pytest.mark.parametrize("layout", [torch.sparse_csr, torch.sparse_coo], ids=["csr", "coo"])
@pytest.mark.parametrize("settings_", [{}, {"add_self_loops": False}, {"heads": 2, "residual": True}], ids=str)
def test_equals_pyg_on_sparse_adj_t(graph, dtype, layout, settings_, assert_same, assert_near):
    edge_index, num_nodes = graph
    adj_t = to_csr(edge_index, torch.rand(edge_index.size(1), dtype=dtype) + 0.1, num_nodes)
    adj_t = adj_t if layout == torch.sparse_csr else adj_t.to_sparse_coo()
    layer, conv = twins(5, 3, dtype=dtype, **settings_)
    for module in (layer, conv):  # the sparse tensor is not a leaf here: GAT does not look at its values
        module.register_forward_pre_hook(lambda _, args: (args[0], adj_t))
    x = torch.randn(num_nodes, 5, dtype=dtype)
    assert_same(layer, conv, x)
    (out, (adj, alpha)), (_, (expected_adj, expected_alpha)) = (
        module(x, return_attention_weights=True) for module in (layer, conv)
    )
    assert_near(alpha, expected_alpha, "attention")
    assert adj.layout == expected_adj.layout == layout
    assert_near(out, layer(x), "step by step and as one op")


@pytest.mark.parametrize("with_target", [True, False])
@pytest.mark.parametrize("add_self_loops", [True, False])
@pytest.mark.parametrize("channels", [(5, 4), 5], ids=["two maps", "one map"])
def test_equals_pyg_on_bipartite_graphs(dtype, with_target, add_self_loops, channels, assert_same):
    edge_index = torch.tensor([[0, 1, 2, 3, 3, 3], [0, 1, 1, 0, 1, 1]])
    layer, conv = twins(channels, 3, dtype=dtype, heads=2, add_self_loops=add_self_loops, residual=with_target)
    source = torch.randn(4, 5, dtype=dtype)
    target = torch.randn(2, 4 if isinstance(channels, tuple) else 5, dtype=dtype) if with_target else None
    assert_same(layer, conv, (source, target), edge_index)
    assert_same(layer, conv, (source, target), edge_index, size=(4, 2))
    assert layer((source, target), edge_index, size=(4, 2)).shape == (2, 6)


@pytest.mark.parametrize("sizes", [(4, 2), (4, 6)])
def test_an_edge_index_says_how_many_targets_there_are(sizes, assert_near):
    edges = torch.tensor([[0, 2, 3], [0, 1, 1]])
    layer, conv = twins((5, 4), 3, add_self_loops=False)
    x = torch.randn(4, 5, dtype=torch.float64)
    found = layer((x, None), EdgeIndex(edges, sparse_size=sizes))
    assert_near(found, conv((x, None), EdgeIndex(edges, sparse_size=sizes)), "as PyG")
    assert_near(found, layer((x, None), edges, size=sizes), "as with size")


@pytest.mark.parametrize("layout", [torch.sparse_csr, torch.sparse_coo], ids=["csr", "coo"])
def test_equals_pyg_on_bipartite_sparse_adj_t(layout, assert_near):
    edge_index = torch.tensor([[0, 2, 3], [0, 1, 1]])
    adj_t = torch.sparse_coo_tensor(edge_index.flip(0), torch.ones(3).double(), (2, 4)).coalesce()
    adj_t = adj_t if layout == torch.sparse_coo else adj_t.to_sparse_csr()
    layer, conv = twins((5, 4), 3, heads=2)
    x = (torch.randn(4, 5).double(), torch.randn(2, 4).double())
    assert_near(layer(x, adj_t), conv(x, adj_t), "output")
    assert_near(layer(x, adj_t), layer(x, edge_index), "edge list")


def test_bipartite_flow_reversed_equals_pyg(assert_same):
    edge_index = torch.tensor([[0, 1, 1, 0], [0, 1, 2, 3]])  # x[0] sends, to be found by edge_index[1] now
    layer, conv = twins((5, 4), 3, flow="target_to_source", add_self_loops=False)
    assert_same(layer, conv, (torch.randn(4, 5).double(), torch.randn(2, 4).double()), edge_index)
    assert_same(layer, conv, (torch.randn(4, 5).double(), None), edge_index)


def test_attention_weights_equal_pyg_and_sum_to_one(graph, assert_same, assert_near):
    edge_index, num_nodes = graph
    layer, conv = twins(5, 3, heads=2)
    x = torch.randn(num_nodes, 5).double()
    assert_same(layer, conv, x, edge_index, return_attention_weights=True)
    _, (edges, alpha) = layer(x, edge_index, return_attention_weights=True)
    _, (expected_edges, _) = conv(x, edge_index, return_attention_weights=True)
    assert torch.equal(edges, expected_edges)
    total = torch.zeros(num_nodes, 2, dtype=torch.float64).index_add(0, edges[1], alpha)
    assert_near(total, torch.ones(num_nodes, 2, dtype=torch.float64), "sum of attention")


def test_dropout_draws_the_same_weights_as_pyg_and_rests_in_evaluation(assert_near):
    layer, conv = twins(5, 3, heads=2, dropout=0.5)
    x, edge_index = torch.randn(4, 5).double(), torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]])
    torch.manual_seed(3)
    out, _ = layer(x, edge_index, return_attention_weights=True)  # step by step, as PyG does it
    torch.manual_seed(3)
    assert_near(out, conv(x, edge_index), "with dropout")
    assert not torch.equal(out, layer.eval()(x, edge_index))
    assert torch.equal(layer(x, edge_index), layer(x, edge_index))


@pytest.mark.parametrize("settings_", [{}, {"edge_dim": 2, "residual": True, "heads": 2}], ids=str)
@pytest.mark.parametrize("channels", [4, (4, 3)], ids=str)
def test_state_dict_goes_both_ways_and_a_seed_draws_the_same_weights(channels, settings_):
    torch.manual_seed(7)
    conv = GATConv(channels, 3, **settings_)
    torch.manual_seed(7)
    layer = GATLayer(channels, 3, **settings_)
    assert set(layer.state_dict()) == set(conv.state_dict())
    for name, value in conv.state_dict().items():
        assert torch.equal(layer.state_dict()[name], value), name
    torch.nn.init.normal_(layer.bias)
    conv.load_state_dict(layer.state_dict())
    assert torch.equal(conv.bias, layer.bias)


def test_lazy_widths_are_taken_from_the_first_input():
    layer = GATLayer((-1, -1), 3, heads=2, edge_dim=-1, residual=True)
    edge_index = torch.tensor([[0, 1], [1, 0]])
    out = layer((torch.randn(2, 5), torch.randn(2, 4)), edge_index, torch.randn(2, 7))
    assert out.shape == (2, 6)
    assert layer.lin_src.weight.shape == (6, 5)
    assert layer.res.weight.shape == (6, 4)
    assert layer.lin_edge.weight.shape == (6, 7)
    with pytest.raises(ValueError, match=r"x\[1\] has 5 features per node, the layer was made for 4"):
        layer((torch.randn(2, 5), torch.randn(2, 5)), edge_index)


def by_hand() -> GATLayer:
    """One feature, identity map, a_src = 1, a_dst = 2: e_ij = LeakyReLU(x_j + 2 x_i)."""
    layer = GATLayer(1, 1, bias=False).double()
    with torch.no_grad():
        layer.lin.weight.fill_(1.0)
        layer.att_src.fill_(1.0)
        layer.att_dst.fill_(2.0)
    return layer


def test_values_by_hand():
    # Node 1 (x = -1) hears of node 0 (x = 1) and of itself: scores 1 - 2 = -1 and -1 - 2 = -3, times 0.2 below zero.
    x = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    out, (edges, alpha) = by_hand()(x, torch.tensor([[0], [1]]), return_attention_weights=True)
    first, second = torch.exp(torch.tensor([-0.2, -0.6], dtype=torch.float64))
    assert edges.tolist() == [[0, 0, 1], [1, 0, 1]]
    torch.testing.assert_close(alpha[0, 0], first / (first + second), rtol=1e-12, atol=0)
    torch.testing.assert_close(out[1, 0], (first - second) / (first + second), rtol=1e-12, atol=0)
    assert out[0, 0].item() == 1.0


def test_nodes_with_the_same_neighbourhood_stay_different():
    # Nodes 0 and 1 differ and both hear of nodes 2 and 3 alone, as in the question that a plain mean fails.
    edge_index = torch.tensor([[2, 3, 2, 3], [0, 0, 1, 1]])
    x = torch.tensor([[1.0], [-5.0], [1.0], [2.0]], dtype=torch.float64)
    out = by_hand()(x, edge_index).view(-1)
    # Node 0: scores 3 (itself), 3, 4; node 1: 0.2 * (-15, -9, -8).
    scores = torch.tensor([[3.0, 3.0, 4.0], [-3.0, -1.8, -1.6]], dtype=torch.float64)
    heard = torch.tensor([[1.0, 1.0, 2.0], [-5.0, 1.0, 2.0]], dtype=torch.float64)
    expected = (scores.softmax(dim=1) * heard).sum(dim=1)
    torch.testing.assert_close(out[:2], expected, rtol=1e-12, atol=0)
    assert abs(out[0] - out[1]) > 0.5
    # Even without itself among the messages a node's own features steer its attention, by the LeakyReLU's kink.
    layer = by_hand()
    layer.add_self_loops = False
    kinked = layer(torch.tensor([[1.0], [-5.0], [1.0], [2.0]], dtype=torch.float64), edge_index).view(-1)
    assert kinked[:2].tolist() == pytest.approx([1.731059, 1.549834], abs=1e-6)


def test_the_update_without_attention_weights_is_not_gat():
    """Leaving α out of the update gives x'_i = sum_j W x_j, the same for every attention vector: plain aggregation."""

    class WithoutAttention(GATLayer):
        def message(self, x_j, alpha):
            return x_j

    edge_index = torch.tensor([[0, 1, 2], [2, 2, 0]])
    x = torch.tensor([[1.0], [4.0], [2.0]], dtype=torch.float64)
    layer, gat = WithoutAttention(1, 1, bias=False).double(), by_hand()
    layer.load_state_dict(gat.state_dict())
    # Node 2 hears of nodes 0, 1 and itself: 1 + 4 + 2 = 7; with attention, weights softmax(5, 8, 6).
    assert layer(x, edge_index)[2].item() == 7.0
    alpha = torch.tensor([5.0, 8.0, 6.0], dtype=torch.float64).softmax(dim=0)
    expected = (alpha * torch.tensor([1.0, 4.0, 2.0], dtype=torch.float64)).sum()
    torch.testing.assert_close(gat(x, edge_index)[2, 0], expected, rtol=1e-12, atol=0)
    # The attention vectors get no gradient and change nothing.
    with torch.no_grad():
        layer.att_src.fill_(-3.0)
        gat.att_src.fill_(-3.0)
    assert layer(x, edge_index)[2].item() == 7.0
    assert abs(gat(x, edge_index)[2, 0] - expected) > 0.5


def test_gradcheck():
    layer = GATLayer(3, 2, heads=2, edge_dim=2).double()
    edge_index = torch.tensor([[0, 1, 2, 2, 1], [1, 2, 2, 0, 2]])
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    edge_attr = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, e: layer(x, edge_index, e), (x, edge_attr))


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 8), st.integers(0, 20), st.integers(0, 10_000))
def test_permutation_equivariance_and_one_hop_locality(num_nodes, num_edges, seed):
    generator = torch.Generator().manual_seed(seed)
    edge_index = torch.randint(num_nodes, (2, num_edges), generator=generator)
    x = torch.randn(num_nodes, 3, generator=generator, dtype=torch.float64)
    layer = GATLayer(3, 2, heads=2).double()
    out = layer(x, edge_index)
    permutation = torch.randperm(num_nodes, generator=generator)  # new number of each node
    moved = layer(x[permutation.argsort()], permutation[edge_index])
    torch.testing.assert_close(moved[permutation], out, rtol=1e-10, atol=1e-12)
    # Another value at node 0 changes the nodes that hear of it, and no other.
    changed = x.clone()
    changed[0] += 1.0
    heard = torch.zeros(num_nodes, dtype=torch.bool)
    heard[0] = True
    heard[edge_index[1, edge_index[0] == 0]] = True
    difference = (layer(changed, edge_index) - out).abs().sum(-1)
    assert torch.equal(difference > 1e-12, heard)


def test_propagate_is_generated_and_hooks_and_explanations_work():
    layer, x = GATLayer(3, 2, heads=2), torch.randn(3, 3)
    edge_index = torch.tensor([[0, 1], [1, 2]])
    assert layer.propagate.__module__.endswith("_propagate")
    assert layer.edge_updater.__module__.endswith("_edge_updater")
    seen = []
    handles = [
        layer.register_message_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]["x_j"].shape)),
        layer.register_edge_update_forward_hook(lambda _, inputs, out: seen.append(out.shape)),
    ]
    layer(x, edge_index)
    for handle in handles:
        handle.remove()
    assert seen == [(5, 2), (5, 2, 2)]  # attention first; two edges and three loops
    out = layer(x, edge_index)
    layer.explain = True
    layer._edge_mask, layer._loop_mask, layer._apply_sigmoid = torch.ones(2), edge_index[0] != edge_index[1], False
    torch.testing.assert_close(layer(x, edge_index), out)
    layer._edge_mask = torch.zeros(2)
    assert not torch.allclose(layer(x, edge_index), out)


def test_repr():
    assert repr(GATLayer(16, 4, heads=8)) == "GATLayer(16, 4, heads=8)"
    assert repr(GATLayer((16, 3), 4)) == "GATLayer((16, 3), 4, heads=1)"


X, EDGES = torch.randn(3, 4), torch.tensor([[0, 1], [1, 2]])


@pytest.mark.parametrize(
    ("settings_", "arguments", "message"),
    [
        ({}, (torch.randn(3, 5), EDGES), r"x has 5 features per node, the layer was made for 4 \(in_channels\)"),
        ({}, (torch.randn(2, 3, 4), EDGES), r"x must have shape \[N, F\], got \[2, 3, 4\]"),
        ({}, (X.long(), EDGES), r"x must be of a floating-point type, got torch.int64"),
        ({}, (None, EDGES), r"x must be a tensor \[N, F\] or a pair of tensors .*got NoneType"),
        ({}, ((X, torch.randn(3, 5)), EDGES), r"x\[1\] has 5 features per node"),
        ({}, ((None, X), EDGES), r"x\[0\] must be a tensor of node features \[N, F\], got NoneType"),
        ({}, (X, EDGES.float()), r"edge_index must hold integer node ids, got torch.float32"),
        ({}, (X, EDGES.t().repeat(2, 1)), r"edge_index must have shape \[2, E\] .*got \[4, 2\]; transpose it"),
        ({}, (X[:2], EDGES), r"edge_index\[1\] holds node id 2, allowed: 0 .. 1 \(2 target nodes\)"),
        ({}, ((X, X[:2]), EDGES), r"edge_index\[1\] holds node id 2, allowed: 0 .. 1 \(2 target nodes\)"),
        ({}, (X, EDGES, torch.randn(3, 3)), r"edge_attr must have one entry for each of the 2 edges"),
        ({}, ((X, None), to_csr(EDGES, None, 4)), r"adj_t must have shape .*\[4, 3\].*got \[4, 4\]"),
        ({"edge_dim": 3}, (X, EDGES, torch.randn(5, 3)), r"edge_attr must have one entry for each of the 2 edges"),
        ({"edge_dim": 3}, (X, EDGES, torch.randn(2, 2)), r"edge_attr must have shape \[2, 3\] .*got \[2, 2\]"),
        (
            {"edge_dim": 3, "add_self_loops": False},
            (X, EDGES, torch.ones(2, 3).long()),
            r"edge_attr must be of a floating-point type",
        ),
        ({"edge_dim": 3}, (X, to_csr(EDGES, None, 3), torch.randn(2, 3)), r"edge_attr cannot be given beside a sparse"),
        ({}, (X, to_csr(EDGES, None, 4)), r"adj_t must have shape .*\[3, 3\].*got \[4, 4\]"),
        ({}, (torch.randn(4, 4), torch.eye(4).to_sparse_bsr((2, 2))), r"adj_t must be a sparse CSR or COO"),
        (
            {"flow": "target_to_source"},
            ((X, X[:2]), EDGES.flip(0)),
            r"edge_index\[0\] holds node id 2, allowed: 0 .. 1",
        ),
        ({}, (X, EdgeIndex(EDGES, sparse_size=(4, 4))), r"EdgeIndex of sparse_size \(4, 4\).*3 x 3 nodes"),
    ],
)
def test_mistakes_are_named(settings_, arguments, message):
    with pytest.raises(ValueError, match=message):
        GATLayer(4, 2, **settings_)(*arguments)


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"heads": 0}, "heads must be 1 or more, got 0"),
        ({"out_channels": 0}, "out_channels must be 1 or more, got 0"),
        ({"dropout": 1.5}, "dropout must be a probability from 0 to 1, got 1.5"),
        ({"fill_value": "median"}, "fill_value must be a number, a tensor or one of add, .*got 'median'"),
        ({"edge_dim": 3, "fill_value": torch.ones(2)}, r"fill_value must have edge_dim = 3 entries or one, got \[2\]"),
    ],
)
def test_settings_out_of_range_are_named(settings_, message):
    with pytest.raises(ValueError, match=message):
        GATLayer(4, **{"out_channels": 2, **settings_})
