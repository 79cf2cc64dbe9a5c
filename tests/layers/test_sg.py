"""SGLayer: equality with PyG's SGConv, by sums of features and by sums of what they are mapped to."""

import pytest
import torch
from torch_geometric.nn import SGConv

from gnnkit.graph import to_csr
from gnnkit.layers import SGLayer

EDGES = torch.tensor([[0, 1, 2, 2, 1], [1, 2, 2, 0, 2]])


def twins(*args, **kwargs):
    layer, conv = SGLayer(*args, **kwargs).double(), SGConv(*args, **kwargs).double()
    conv.load_state_dict(layer.state_dict())
    return layer, conv


@pytest.mark.parametrize("sizes", [(5, 2), (2, 5)], ids=str)
@pytest.mark.parametrize(
    "settings",
    [{"K": 3}, {"add_self_loops": False, "bias": False}, {"flow": "target_to_source"}, {"aggr": "max"}],
    ids=str,
)
def test_equals_pyg(graph, sizes, settings, assert_same):
    edge_index, num_nodes = graph
    layer, conv = twins(*sizes, **settings)
    x = torch.randn(num_nodes, sizes[0], dtype=torch.float64)
    assert_same(layer, conv, x, edge_index)
    assert_same(layer, conv, x, edge_index, torch.rand(edge_index.size(1), dtype=torch.float64) + 0.1)


def test_sparse_matrices_and_the_cache(assert_near):
    x = torch.randn(3, 4, dtype=torch.float64)
    adj_t = to_csr(EDGES, torch.rand(5, dtype=torch.float64), 3)
    layer, conv = twins(4, 2, K=2)
    assert_near(layer(x, adj_t), conv(x, adj_t), "adj_t")
    layer, conv = twins(4, 2, K=2, cached=True)
    out = layer(x, EDGES)
    assert_near(out, conv(x, EDGES), "first call")
    assert torch.equal(layer(torch.zeros(3, 4).double(), EDGES.flip(0)), out)
    layer.reset_parameters()
    assert layer._cached_x is None


def test_derivatives_to_second_order():
    layer, x = SGLayer(3, 2, K=2).double(), torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    weight = (torch.rand(5, dtype=torch.float64) + 0.5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w: layer(x, EDGES, w), (x, weight))
    assert torch.autograd.gradgradcheck(lambda x: layer(x, EDGES, weight.detach()), (x,))
    assert layer.propagate.__module__.endswith("_propagate")


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="K must be a whole number of at least 1, got 0"):
        SGLayer(4, 2, K=0)
    with pytest.raises(ValueError, match="x has 5 features per node, the layer was made for 4"):
        SGLayer(4, 2)(torch.randn(3, 5), EDGES)
    with pytest.raises(ValueError, match=r"edge_weight must have shape \[5\]"):
        SGLayer(4, 2)(torch.randn(3, 4), EDGES, torch.ones(4))
