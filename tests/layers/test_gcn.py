"""GCNLayer: equality with PyG's GCNConv, hand-computed values, properties, and what it says to wrong input."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric import EdgeIndex
from torch_geometric.nn import GCNConv

from gnnkit.graph import to_csr
from gnnkit.layers import GCNLayer


def twins(*args, dtype=torch.float64, **kwargs):
    """A layer and PyG's, with the same weights; the bias is not left at zero."""
    conv = GCNConv(*args, **kwargs).to(dtype)
    if conv.bias is not None:
        torch.nn.init.normal_(conv.bias)
    layer = GCNLayer(*args, **kwargs).to(dtype)
    layer.load_state_dict(conv.state_dict())
    return layer, conv


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "settings_",
    [
        {},
        {"improved": True},
        {"add_self_loops": False},
        {"normalize": False},
        {"bias": False},
        {"flow": "target_to_source"},
        {"aggr": "mean"},
        {"aggr": "max"},
        {"aggr": ["sum", "max"], "aggr_kwargs": {"mode": "sum"}},
    ],
    ids=str,
)
def test_equals_pyg_on_edge_lists(graph, dtype, weighted, settings_, assert_same):
    edge_index, num_nodes = graph
    layer, conv = twins(5, 3, dtype=dtype, **settings_)
    x = torch.randn(num_nodes, 5, dtype=dtype)
    weight = torch.rand(edge_index.size(1), dtype=dtype) + 0.1 if weighted else None
    assert_same(layer, conv, x, edge_index, weight)


@pytest.mark.parametrize("sort_order", ["row", "col"])
def test_equals_pyg_on_edge_index(graph, dtype, sort_order, assert_same):
    edge_index, num_nodes = graph
    order = edge_index[0 if sort_order == "row" else 1].argsort(stable=True)
    indexed = EdgeIndex(edge_index[:, order], sparse_size=(num_nodes, num_nodes), sort_order=sort_order)
    layer, conv = twins(5, 3, dtype=dtype)
    x = torch.randn(num_nodes, 5, dtype=dtype)
    assert_same(layer, conv, x, indexed, torch.rand(edge_index.size(1), dtype=dtype))
    assert torch.equal(layer(x, indexed), layer(x, edge_index[:, order]))


@pytest.mark.parametrize("layout", [torch.sparse_csr, torch.sparse_coo], ids=["csr", "coo"])
@pytest.mark.parametrize("settings_", [{}, {"normalize": False}, {"aggr": "mean"}, {"improved": True}], ids=str)
def test_equals_pyg_on_sparse_adj_t(graph, dtype, layout, settings_, assert_same):
    edge_index, num_nodes = graph
    weight = torch.rand(edge_index.size(1), dtype=dtype) + 0.1
    adj_t = to_csr(edge_index, weight, num_nodes)
    adj_t = adj_t if layout == torch.sparse_csr else adj_t.to_sparse_coo()
    layer, conv = twins(5, 3, dtype=dtype, **settings_)
    x = torch.randn(num_nodes, 5, dtype=dtype, requires_grad=True)
    fixed_adj = lambda module: lambda features: module(features, adj_t)  # noqa: E731
    got, expected = fixed_adj(layer)(x), fixed_adj(conv)(x)
    close = {"rtol": 1e-12, "atol": 0.0} if dtype == torch.float64 else {"rtol": 1e-5, "atol": 1e-6}  # other orders
    torch.testing.assert_close(got, expected, **close)
    upstream = torch.randn_like(expected)
    for mine, theirs in zip(
        torch.autograd.grad(got, [x, *layer.parameters()], upstream),
        torch.autograd.grad(expected, [x, *conv.parameters()], upstream),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, **close)


def test_gradient_of_csr_values_equals_that_of_the_edge_weights():
    # CSR alone: neither PyG nor torch has a gradient for the values of a COO tensor that is coalesced on the way.
    edge_index, weight = torch.tensor([[0, 2, 1], [1, 1, 2]]), torch.rand(3, dtype=torch.float64) + 0.1
    layer, x = GCNLayer(4, 2).double(), torch.randn(3, 4, dtype=torch.float64)
    listed, values = weight.clone().requires_grad_(), weight.clone().requires_grad_()
    (expected,) = torch.autograd.grad(layer(x, edge_index, listed).square().sum(), listed)
    adj_t = torch.sparse_csr_tensor(torch.tensor([0, 0, 2, 3]), torch.tensor([0, 2, 1]), values, (3, 3))
    (got,) = torch.autograd.grad(layer(x, adj_t).square().sum(), values)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


def test_state_dict_goes_both_ways_and_a_seed_draws_the_same_weights():
    torch.manual_seed(7)
    conv = GCNConv(4, 3)
    torch.manual_seed(7)
    layer = GCNLayer(4, 3)
    assert {k: v.shape for k, v in layer.state_dict().items()} == {k: v.shape for k, v in conv.state_dict().items()}
    for name, value in conv.state_dict().items():
        assert torch.equal(layer.state_dict()[name], value)
    torch.nn.init.normal_(layer.bias)
    conv.load_state_dict(layer.state_dict())
    assert torch.equal(conv.bias, layer.bias)


def test_lazy_width_is_taken_from_the_first_input():
    layer, x = GCNLayer(-1, 3), torch.randn(2, 5)
    edge_index = torch.tensor([[0], [1]])
    assert layer(x, edge_index).shape == (2, 3)
    assert layer.lin.weight.shape == (3, 5)
    with pytest.raises(ValueError, match="x has 4 features per node, the layer was made for 5"):
        layer(torch.randn(2, 4), edge_index)


def test_cached_keeps_the_first_graph(assert_same):
    layer, conv = twins(4, 3, cached=True)
    x = torch.randn(3, 4, dtype=torch.float64)
    assert_same(layer, conv, x, torch.tensor([[0, 1], [1, 2]]))
    out = layer(x, torch.tensor([[0, 1], [1, 2]]))
    assert torch.equal(layer(x, torch.tensor([[2], [0]])), out)
    layer.reset_parameters()
    layer.load_state_dict(conv.state_dict())
    assert not torch.equal(layer(x, torch.tensor([[2], [0]])), out)


def test_batched_features_equal_one_graph_at_a_time(assert_near):
    layer, x = GCNLayer(4, 3).double(), torch.randn(2, 5, 3, 4, dtype=torch.float64)
    edge_index, weight = torch.tensor([[0, 1, 1], [1, 2, 0]]), torch.rand(3, dtype=torch.float64)
    out = layer(x, edge_index, weight)
    assert_near(out[1, 3], layer(x[1, 3], edge_index, weight), "batch entry")


def test_values_by_hand():
    # Path 0 - 1 - 2 with self-loops: degrees 2, 3, 2.
    layer = GCNLayer(1, 1, bias=False).double()
    torch.nn.init.ones_(layer.lin.weight)
    x = torch.tensor([[1.0], [2.0], [4.0]], dtype=torch.float64)
    out = layer(x, torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]))
    root = 6**0.5
    expected = [1 / 2 + 2 / root, 1 / root + 2 / 3 + 4 / root, 2 / root + 4 / 2]
    torch.testing.assert_close(out.view(-1), torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=0)


def test_gradcheck():
    layer = GCNLayer(3, 2).double()
    edge_index = torch.tensor([[0, 1, 2, 2, 1], [1, 2, 2, 0, 2]])
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    weight = (torch.rand(5, dtype=torch.float64) + 0.5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w: layer(x, edge_index, w), (x, weight))


def test_same_neighbourhood_gives_the_same_output_without_a_weight_for_oneself():
    # Nodes 0 and 1 differ (features 1 and 5), and both hear of nodes 2 and 3 (features 10 and 20) alone.
    edge_index = torch.tensor([[2, 3, 2, 3], [0, 0, 1, 1]])
    x = torch.tensor([[1.0], [5.0], [10.0], [20.0]])
    for aggr, value in (("mean", 15.0), ("sum", 30.0)):
        plain = GCNLayer(1, 1, normalize=False, bias=False, aggr=aggr)
        torch.nn.init.ones_(plain.lin.weight)
        assert plain(x, edge_index)[:2].view(-1).tolist() == [value, value]
    # With its own features among the messages a node stays itself: (10 + 20) / sqrt(3) + own / 3.
    weighted = GCNLayer(1, 1, bias=False)
    torch.nn.init.ones_(weighted.lin.weight)
    expected = torch.tensor([30 / 3**0.5 + 1 / 3, 30 / 3**0.5 + 5 / 3])
    torch.testing.assert_close(weighted(x, edge_index)[:2].view(-1), expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 8), st.integers(0, 20), st.integers(0, 10_000))
def test_permutation_equivariance_and_one_hop_locality(num_nodes, num_edges, seed):
    generator = torch.Generator().manual_seed(seed)
    edge_index = torch.randint(num_nodes, (2, num_edges), generator=generator)
    weight = torch.rand(num_edges, generator=generator, dtype=torch.float64) + 0.1
    x = torch.randn(num_nodes, 3, generator=generator, dtype=torch.float64)
    layer = GCNLayer(3, 2).double()
    out = layer(x, edge_index, weight)
    permutation = torch.randperm(num_nodes, generator=generator)  # new number of each node
    moved = layer(x[permutation.argsort()], permutation[edge_index], weight)
    torch.testing.assert_close(moved[permutation], out, rtol=1e-10, atol=1e-12)
    # Another value at node 0 changes the nodes that hear of it, and no other.
    changed = x.clone()
    changed[0] += 1.0
    heard = torch.zeros(num_nodes, dtype=torch.bool)
    heard[0] = True
    heard[edge_index[1, edge_index[0] == 0]] = True
    difference = (layer(changed, edge_index, weight) - out).abs().sum(-1)
    assert torch.equal(difference > 1e-9, heard)


def test_propagate_is_generated_and_hooks_and_explanations_work():
    layer, x = GCNLayer(3, 2), torch.randn(3, 3)
    edge_index = torch.tensor([[0, 1], [1, 2]])
    assert layer.propagate.__module__.endswith("_propagate")
    seen = []
    handle = layer.register_message_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]["edge_weight"].shape))
    layer(x, edge_index)
    handle.remove()
    assert seen == [(5,)]  # two edges and three loops
    out = layer(x, edge_index)
    layer.explain = True
    layer._edge_mask, layer._loop_mask, layer._apply_sigmoid = torch.ones(2), edge_index[0] != edge_index[1], False
    torch.testing.assert_close(layer(x, edge_index), out)
    layer._edge_mask = torch.zeros(2)
    assert not torch.allclose(layer(x, edge_index), out)


def test_repr_copy_and_non_contiguous_input():
    layer = GCNLayer(16, 4)
    assert repr(layer) == "GCNLayer(16, 4)"
    edge_index = torch.tensor([[0, 1], [1, 2], [2, 0]]).t()
    x = torch.randn(16, 3).t()
    torch.testing.assert_close(copy.deepcopy(layer)(x, edge_index), layer(x.contiguous(), edge_index.contiguous()))


EDGES = torch.tensor([[0, 1], [1, 2]])


@pytest.mark.parametrize(
    ("x", "edge_index", "edge_weight", "message"),
    [
        (torch.randn(3, 5), EDGES, None, r"x has 5 features per node, the layer was made for 4 \(in_channels\)"),
        (torch.ones(3, 4, dtype=torch.long), EDGES, None, r"x must be of a floating-point type, got torch.int64"),
        (torch.randn(4), EDGES, None, r"x must have shape \[..., N, F\], got \[4\]"),
        ((torch.randn(3, 4), torch.randn(2, 4)), EDGES, None, r"GCNLayer has one set of nodes, use GATLayer"),
        (torch.randn(3, 4), EDGES.float(), None, r"edge_index must hold integer node ids, got torch.float32"),
        (torch.randn(3, 4), torch.zeros(5, 2).long(), None, r"shape \[2, E\] .*got \[5, 2\]; transpose it"),
        (torch.randn(3, 4), torch.zeros(4).long(), None, r"shape \[2, E\] \(sources, targets\), got \[4\]"),
        (torch.randn(2, 4), EDGES, None, r"edge_index\[1\] holds node id 2, allowed: 0 .. 1 \(2 target nodes\)"),
        (torch.randn(3, 4), -EDGES, None, r"edge_index\[0\] holds node id -1, allowed: 0 .. 2"),
        (torch.randn(3, 4), "edges", None, r"edge_index must be an integer tensor of shape \[2, E\], got str"),
        (
            torch.randn(3, 4),
            EDGES,
            torch.ones(3),
            r"edge_weight must have shape \[2\], one entry for each edge, got \[3\]",
        ),
        (torch.randn(3, 4), EDGES, torch.ones(2, 2), r"edge_weight must have shape \[2\], one entry .* got \[2, 2\]"),
        (torch.randn(3, 4), EDGES, torch.ones(1, 2), r"edge_weight must have shape \[2\], one entry .* got \[1, 2\]"),
        (torch.randn(3, 4), EDGES, [1.0, 2.0], r"edge_weight must be a tensor \[2\], got list"),
        (torch.randn(3, 4).double(), EDGES, None, r"features are of type torch.float64.*x.to\(torch.float32\)"),
        (torch.randn(3, 4), EDGES, torch.ones(2).long(), r"edge_weight must be of a floating-point type"),
        (torch.randn(3, 4), to_csr(EDGES, None, 4), None, r"adj_t must have shape .*\[3, 3\].*got \[4, 4\]"),
        (torch.randn(4, 4), torch.eye(4).to_sparse_bsr((2, 2)), None, r"adj_t must be a sparse CSR or COO"),
        (torch.randn(2, 3, 4), to_csr(EDGES, None, 3), None, r"x must have shape \[N, F\] beside a sparse adj_t"),
    ],
)
def test_mistakes_are_named(x, edge_index, edge_weight, message):
    with pytest.raises(ValueError, match=message):
        GCNLayer(4, 2)(x, edge_index, edge_weight)


def test_self_loops_without_normalisation_are_refused():
    with pytest.raises(ValueError, match=r"GCNLayer does not support adding self-loops without .*set_self_loops"):
        GCNLayer(4, 2, normalize=False, add_self_loops=True)


def test_sparse_adj_t_with_the_other_flow_is_refused():
    with pytest.raises(ValueError, match="target_to_source"):
        GCNLayer(4, 2, flow="target_to_source")(torch.randn(3, 4), to_csr(EDGES, None, 3))
