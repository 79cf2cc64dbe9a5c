"""TAGLayer: equality with PyG's TAGConv, by sums of hops and by Horner's rule."""

import pytest
import torch
from torch_geometric.nn import TAGConv

from gnnkit.graph import to_csr
from gnnkit.layers import TAGLayer

EDGES = torch.tensor([[0, 1, 2, 2, 1], [1, 2, 2, 0, 2]])


def twins(*args, **kwargs):
    layer, conv = TAGLayer(*args, **kwargs).double(), TAGConv(*args, **kwargs).double()
    conv.load_state_dict(layer.state_dict())
    return layer, conv


@pytest.mark.parametrize("sizes", [(5, 2), (2, 5)], ids=str)
@pytest.mark.parametrize("settings", [{}, {"K": 1, "bias": False}, {"K": 0}, {"normalize": False}], ids=str)
def test_equals_pyg(graph, sizes, settings, assert_same):
    edge_index, num_nodes = graph
    layer, conv = twins(*sizes, **settings)
    x = torch.randn(num_nodes, sizes[0], dtype=torch.float64)
    for weight in (None, torch.rand(edge_index.size(1), dtype=torch.float64) + 0.1):
        assert_same(layer, conv, x, edge_index, weight)


def test_sparse_matrices_and_lazy_widths(assert_near):
    x, adj_t = torch.randn(3, 5, dtype=torch.float64), to_csr(EDGES, torch.rand(5, dtype=torch.float64), 3)
    layer, conv = twins(5, 2)
    assert_near(layer(x, adj_t), conv(x, adj_t), "adj_t")
    lazy = TAGLayer(-1, 2).double()
    assert lazy(x, EDGES).shape == (3, 2)
    assert lazy.lins[3].weight.shape == (2, 5)


def test_derivatives_to_second_order():
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    for layer in (TAGLayer(3, 2).double(), TAGLayer(3, 4).double()):
        assert torch.autograd.gradgradcheck(lambda x, layer=layer: layer(x, EDGES), (x,))
    assert layer.propagate.__module__.endswith("_propagate")


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="K must be a whole number of at least 0, got -1"):
        TAGLayer(4, 2, K=-1)
    with pytest.raises(ValueError, match="x has 5 features per node, the layer was made for 4"):
        TAGLayer(4, 2)(torch.randn(3, 5), EDGES)
