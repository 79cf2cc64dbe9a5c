"""GraphConvLayer: equality with PyG's GraphConv, derivatives, and what it says to wrong weights."""

import pytest
import torch
from torch_geometric.nn import GraphConv
from torch_geometric.utils import to_torch_csr_tensor

from gnnkit.layers import GraphConvLayer

EDGES = torch.tensor([[0, 1, 2, 2, 1], [1, 2, 2, 0, 2]])


def twins(*args, **kwargs):
    layer, conv = GraphConvLayer(*args, **kwargs).double(), GraphConv(*args, **kwargs).double()
    conv.load_state_dict(layer.state_dict())
    return layer, conv


@pytest.mark.parametrize(
    "settings", [{}, {"aggr": "mean"}, {"aggr": "max"}, {"bias": False}, {"flow": "target_to_source"}], ids=str
)
def test_equals_pyg_on_edge_lists(graph, settings, assert_same):
    edge_index, num_nodes = graph
    weight = torch.rand(edge_index.size(1), dtype=torch.float64) + 0.1
    for sizes in (5, 2), (2, 5):  # few features are aggregated before the map, many after it
        layer, conv = twins(*sizes, **settings)
        x = torch.randn(num_nodes, sizes[0], dtype=torch.float64)
        assert_same(layer, conv, x, edge_index, None)
        assert_same(layer, conv, x, edge_index, weight)


@pytest.mark.parametrize("aggr", ["add", "mean", "max"])
def test_equals_pyg_on_sparse_matrices_and_for_two_kinds_of_nodes(aggr, assert_near, assert_same):
    layer, conv = twins((3, 4), 2, aggr=aggr)
    edges, weight = torch.tensor([[0, 4, 4, 2], [1, 0, 1, 1]]), torch.rand(4, dtype=torch.float64)
    pair = torch.randn(5, 3, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    assert_same(layer, conv, pair, edges, weight)
    adj_t = to_torch_csr_tensor(edges, weight, size=(5, 3)).t().to_sparse_csr()
    assert_near(layer(pair, adj_t), conv(pair, adj_t), "adj_t")


def test_fixed_weights_let_the_map_come_first(assert_near):
    layer, conv = twins(8, 2)
    x, weight = torch.randn(3, 8, dtype=torch.float64, requires_grad=True), torch.rand(5, dtype=torch.float64)
    outs = [module(x, EDGES, weight) for module in (layer, conv)]
    assert_near(*outs, "output")
    assert_near(*(torch.autograd.grad(out.square().sum(), x)[0] for out in outs), "gradient")


@pytest.mark.parametrize("aggr", ["add", "max"])
def test_derivatives_to_second_order(aggr):
    layer = GraphConvLayer(3, 2, aggr=aggr).double()
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w: layer(x, EDGES, w), (x, weight))
    assert torch.autograd.gradgradcheck(lambda x, w: layer(x, EDGES, w), (x, weight))


def test_wrong_weights_are_named():
    layer, x = GraphConvLayer(4, 2), torch.randn(3, 4)
    with pytest.raises(ValueError, match=r"edge_weight must have shape \[5\], one entry for each edge, got \[3\]"):
        layer(x, EDGES, torch.ones(3))
    with pytest.warns(UserWarning, match="edge_weight plays no part beside a sparse adj_t"):
        layer(x, torch.eye(3).to_sparse_csr(), torch.ones(3))
    assert layer.propagate.__module__.endswith("_propagate")
