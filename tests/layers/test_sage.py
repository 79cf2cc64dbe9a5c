"""SAGELayer: equality with PyG's SAGEConv, values by hand, derivatives, and what it says to wrong input."""

import copy

import pytest
import torch
from torch_geometric import EdgeIndex
from torch_geometric.nn import SAGEConv
from torch_geometric.utils import to_torch_csr_tensor

from gnnkit.layers import SAGELayer
from gnnkit.ops import use_backend

EDGES = torch.tensor([[0, 1, 2, 2, 1], [1, 2, 2, 0, 2]])


def twins(*args, dtype=torch.float64, **kwargs):
    layer, conv = SAGELayer(*args, **kwargs).to(dtype), SAGEConv(*args, **kwargs).to(dtype)
    conv.load_state_dict(layer.state_dict())
    return layer, conv


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"aggr": "max"},
        {"aggr": "sum", "bias": False},
        {"aggr": "min", "root_weight": False},
        {"project": True, "aggr": "max"},
        {"normalize": True, "project": True},
        {"flow": "target_to_source"},
        {"aggr": ["mean", "max"]},
        {"aggr": "std"},
    ],
    ids=str,
)
def test_equals_pyg_on_edge_lists(graph, settings, assert_same):
    edge_index, num_nodes = graph
    for sizes in (5, 2), (2, 5):  # few features are aggregated before the map, many after it
        layer, conv = twins(*sizes, **settings)
        assert_same(layer, conv, torch.randn(num_nodes, sizes[0], dtype=torch.float64), edge_index)


@pytest.mark.parametrize("aggr", ["mean", "max", "sum"])
def test_equals_pyg_for_two_kinds_of_nodes_and_in_batches(aggr, dtype, assert_same):
    layer, conv = twins((3, 4), 2, aggr=aggr, dtype=dtype)
    edges = torch.tensor([[0, 4, 4, 2], [1, 0, 1, 1]])
    pair = torch.randn(5, 3, dtype=dtype), torch.randn(3, 4, dtype=dtype)
    assert_same(layer, conv, pair, edges)
    assert_same(layer, conv, pair, edges, size=(5, 3))
    for module in (layer, conv):
        module.alone = module((pair[0], None), edges, size=(5, 3))
    torch.testing.assert_close(layer.alone, conv.alone)
    layer, conv = twins(3, 2, aggr=aggr, dtype=dtype)
    assert_same(layer, conv, torch.randn(2, 3, 3, dtype=dtype), EDGES)


@pytest.mark.parametrize("aggr", ["mean", "max", "sum"])
@pytest.mark.parametrize("layout", [torch.sparse_csr, torch.sparse_coo], ids=["csr", "coo"])
def test_equals_pyg_on_sparse_adj_t(graph, aggr, layout, assert_near):
    edge_index, num_nodes = graph
    weight = torch.rand(edge_index.size(1), dtype=torch.float64) + 0.1
    adj_t = to_torch_csr_tensor(edge_index, weight, size=(num_nodes, num_nodes))
    adj_t = adj_t if layout == torch.sparse_csr else adj_t.to_sparse_coo()
    layer, conv = twins(5, 3, aggr=aggr)
    found = []
    for module in (layer, conv):
        x = torch.ones(num_nodes, 5, dtype=torch.float64, requires_grad=True)  # all tie
        out = module(x, adj_t)
        found.append((out, torch.autograd.grad(out.square().sum(), x)[0]))
    for mine, truth in zip(*found, strict=True):
        assert_near(mine, truth, "adj_t")


def test_edge_index_and_every_backend(assert_near):
    x = torch.randn(3, 4, dtype=torch.float64)
    indexed = EdgeIndex(EDGES[:, EDGES[1].argsort()], sparse_size=(3, 3), sort_order="col")
    for aggr in ("mean", "max", "sum"):
        layer, conv = twins(4, 2, aggr=aggr)
        assert_near(layer(x, indexed), conv(x, EDGES), "EdgeIndex")
        assert_near(layer((x, None), indexed), conv((x, None), EDGES), "EdgeIndex without targets")
        for backend in ("torch", "reference"):
            with use_backend(backend):
                assert_near(layer(x, EDGES), conv(x, EDGES), backend)


def test_a_graph_that_is_kept_and_a_wide_one(assert_same):
    # Above 8192 edges the sorted graph is remembered, above a million numbers there are threads.
    edges = torch.randint(300, (2, 6000))
    for aggr in ("mean", "max", "sum"):
        for width in (8, 200):
            layer, conv = twins(width, 4, aggr=aggr)
            x = torch.randn(300, width, dtype=torch.float64)
            assert_same(layer, conv, x, edges)
            edges[0, :50] = torch.randint(300, (50,))
            assert_same(layer, conv, x, edges)


def test_values_by_hand():
    x = torch.tensor([[1.0], [2.0], [6.0]])
    for aggr, heard in (("mean", [6.0, 1.0, 10 / 3]), ("max", [6.0, 1.0, 6.0]), ("sum", [6.0, 1.0, 10.0])):
        layer = SAGELayer(1, 1, aggr=aggr, root_weight=False, bias=False)
        torch.nn.init.ones_(layer.lin_l.weight)
        torch.testing.assert_close(layer(x, EDGES).view(-1), torch.tensor(heard))


@pytest.mark.parametrize("aggr", ["mean", "max"])
def test_derivatives_to_second_order(aggr):
    layer = SAGELayer(3, 2, aggr=aggr).double()
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: layer(x, EDGES), (x,))
    assert torch.autograd.gradgradcheck(lambda x: layer(x, EDGES), (x,))


def test_what_is_no_number_stays_with_those_who_hear_it():
    x = torch.randn(5, 3)
    x[4] = float("nan")
    for aggr in ("mean", "max", "sum"):
        out = SAGELayer(3, 2, aggr=aggr)(x, EDGES)
        assert out[:4].isfinite().all()
        assert out[4].isnan().all()


@pytest.mark.parametrize("aggr", ["mean", "max"])
def test_compiles_exports_and_maps_over_batches(aggr):
    layer, x = SAGELayer(3, 2, aggr=aggr), torch.randn(4, 3)
    expected = layer(x, EDGES)
    torch._dynamo.reset()
    torch.testing.assert_close(torch.compile(layer, backend="eager", fullgraph=True)(x, EDGES), expected)
    torch.testing.assert_close(torch.export.export(layer, (x, EDGES)).module()(x, EDGES), expected)
    batch = torch.stack([x, 2 * x])
    mapped = torch.func.vmap(lambda x: layer(x, EDGES))(batch)
    torch.testing.assert_close(mapped, layer(batch, EDGES))


def test_hooks_copies_lazy_widths_and_names():
    layer, x, seen = SAGELayer(-1, 2, aggr="max"), torch.randn(4, 3), []
    assert repr(layer) == "SAGELayer(-1, 2, aggr=max)"
    out = layer(x, EDGES)
    assert layer.lin_l.weight.shape == (2, 3)
    assert layer.propagate.__module__.endswith("_propagate")
    layer.register_message_forward_hook(lambda *arguments: seen.append(1))
    torch.testing.assert_close(layer(x, EDGES), out)
    assert seen == [1]
    torch.testing.assert_close(copy.deepcopy(layer)(x, EDGES), out)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    for aggr in ("mean", "max", "sum"):
        layer, x = SAGELayer(8, 4, aggr=aggr), torch.randn(3, 8)
        out = copy.deepcopy(layer).to(dtype)(x.to(dtype), EDGES)
        assert out.dtype == dtype
        torch.testing.assert_close(out.float(), layer(x, EDGES), atol=0.05, rtol=0.05)


@pytest.mark.parametrize(
    ("x", "edge_index", "message"),
    [
        (torch.randn(3, 5), EDGES, r"x has 5 features per node, the layer was made for 4 \(in_channels\)"),
        (torch.ones(3, 4, dtype=torch.long), EDGES, r"x must be of a floating-point type, got torch.int64"),
        (
            [torch.randn(3, 4)],
            EDGES,
            r"x must be a tensor \[N, F\] or a pair of tensors \(sources, targets\), got list",
        ),
        ((torch.randn(3, 4), torch.randn(3, 5)), EDGES, r"x\[1\] has 5 features per node"),
        (torch.randn(2, 4), EDGES, r"node id 2|node 2"),
        (torch.randn(3, 4), EDGES.float(), r"edge_index must hold integer node ids, got torch.float32"),
        (torch.randn(2, 3, 4), torch.eye(3).to_sparse_csr(), r"x must have shape \[N, F\] beside a sparse adj_t"),
        (torch.randn(3, 4), torch.eye(4).to_sparse_csr(), r"adj_t must have shape .*\[3, 3\].*got \[4, 4\]"),
    ],
)
@pytest.mark.parametrize("aggr", ["mean", "max"])
def test_mistakes_are_named(aggr, x, edge_index, message):
    with pytest.raises(ValueError, match=message):
        SAGELayer(4, 2, aggr=aggr)(x, edge_index)


def test_a_size_that_does_not_fit_is_refused_in_pygs_words():
    with pytest.raises(ValueError, match="Encountered tensor with size 3"):
        SAGELayer(4, 2)(torch.randn(3, 4), EDGES, size=(4, 3))


@pytest.mark.parametrize("node_dim", [0, -3])
def test_nodes_on_another_axis_as_in_pyg(node_dim):
    layer, conv = SAGELayer(3, 2, node_dim=node_dim), SAGEConv(3, 2, node_dim=node_dim)
    layer.load_state_dict(conv.state_dict())
    x, edges = torch.randn(5, 2, 3), torch.tensor([[0, 4, 2], [1, 1, 4]])
    torch.testing.assert_close(layer(x, edges), conv(x, edges))
    with pytest.raises(ValueError, match=r"node id 5"):
        layer(x, edges + 1)
