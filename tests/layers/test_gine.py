"""GINELayer: equality with PyG's GINEConv, and what it says to wrong edge features."""

import pytest
import torch
from torch import nn
from torch_geometric.nn import GINEConv

from gnnkit.layers import GINELayer

EDGES = torch.tensor([[0, 1, 2, 2, 1], [1, 2, 2, 0, 2]])


def twins(**settings):
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    layer, conv = GINELayer(module, **settings).double(), GINEConv(module, **settings).double()
    conv.load_state_dict(layer.state_dict())
    return layer, conv


@pytest.mark.parametrize(
    "settings",
    [{}, {"edge_dim": 3}, {"train_eps": True, "eps": 0.3}, {"flow": "target_to_source"}, {"aggr": "mean"}],
    ids=str,
)
def test_equals_pyg(graph, settings, assert_same):
    edge_index, num_nodes = graph
    layer, conv = twins(**settings)
    x = torch.randn(num_nodes, 4, dtype=torch.float64)
    assert_same(layer, conv, x, edge_index, torch.randn(edge_index.size(1), settings.get("edge_dim", 4)).double())


def test_two_kinds_of_nodes_and_derivatives_to_second_order(assert_same):
    layer, conv = twins(edge_dim=3)
    edges, attributes = torch.tensor([[0, 4, 4, 2], [1, 0, 1, 1]]), torch.randn(4, 3).double()
    pair = torch.randn(5, 4).double(), torch.randn(3, 4).double()
    assert_same(layer, conv, pair, edges, attributes)
    assert_same(layer, conv, pair, edges, attributes, size=(5, 3))
    x, attributes = (torch.randn(n, m).double().requires_grad_() for n, m in ((3, 4), (5, 3)))
    assert torch.autograd.gradcheck(lambda x, a: layer(x, EDGES, a), (x, attributes))
    assert torch.autograd.gradgradcheck(lambda x, a: layer(x, EDGES, a), (x, attributes))
    assert layer.propagate.__module__.endswith("_propagate")


def test_features_that_all_edges_share_as_in_pyg(assert_same):
    assert_same(*twins(), torch.randn(3, 4, dtype=torch.float64), EDGES, torch.randn(4, dtype=torch.float64))


def test_mistakes_are_named():
    layer, x = GINELayer(nn.Linear(4, 2)), torch.randn(3, 4)
    with pytest.raises(ValueError, match="edge_attr must be given beside an edge list"):
        layer(x, EDGES)
    with pytest.raises(ValueError, match=r"edge_attr must have one row for each of the 5 edges, got \[4, 4\]"):
        layer(x, EDGES, torch.randn(4, 4))
    with pytest.raises(ValueError, match=r"Consider setting the 'edge_dim' attribute .* edge_attr 3\)"):
        layer(x, EDGES, torch.randn(5, 3))
    with pytest.raises(ValueError, match=r"node id 2|node 2"):
        layer(x[:2], EDGES, torch.randn(5, 4))
    with pytest.raises(ValueError, match="Could not infer input channels"):
        GINELayer(nn.ReLU(), edge_dim=3)
