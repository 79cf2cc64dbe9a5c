"""APPNPLayer: equality with PyG's APPNP, dropout of edges among it."""

import pytest
import torch
from torch_geometric.nn import APPNP

from gnnkit.graph import to_csr
from gnnkit.layers import APPNPLayer

EDGES = torch.tensor([[0, 1, 2, 2, 1], [1, 2, 2, 0, 2]])


@pytest.mark.parametrize("settings", [{}, {"add_self_loops": False}, {"normalize": False}, {"cached": True}], ids=str)
def test_equals_pyg(graph, settings, assert_same):
    edge_index, num_nodes = graph
    x = torch.randn(num_nodes, 3, dtype=torch.float64)
    for weight in (None, torch.rand(edge_index.size(1), dtype=torch.float64) + 0.1):
        assert_same(APPNPLayer(3, 0.2, **settings), APPNP(3, 0.2, **settings), x, edge_index, weight)


def test_edges_are_dropped_as_pygs(assert_near):
    x, found = torch.randn(3, 4, dtype=torch.float64), []
    adj_t = to_csr(EDGES, torch.rand(5, dtype=torch.float64), 3)
    for graph in (EDGES, adj_t):
        for module in (APPNPLayer(3, 0.2, dropout=0.5), APPNP(3, 0.2, dropout=0.5)):
            torch.manual_seed(3)
            found.append(module(x, graph))
        assert_near(*found[-2:], "dropout")
    assert_near(APPNPLayer(3, 0.2, dropout=0.5).eval()(x, adj_t), APPNP(3, 0.2)(x, adj_t), "evaluation")


def test_by_hand_and_derivatives():
    layer = APPNPLayer(1, 0.25)
    out = layer(torch.tensor([[1.0], [5.0]]), torch.tensor([[0, 1], [1, 0]]))
    torch.testing.assert_close(out, torch.tensor([[0.75 * 3 + 0.25], [0.75 * 3 + 1.25]]))
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: APPNPLayer(2, 0.1)(x, EDGES), (x,))
    assert layer.propagate.__module__.endswith("_propagate")


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"alpha must be from 0 to 1, got 1\.5"):
        APPNPLayer(2, 1.5)
    with pytest.raises(ValueError, match="dropout must be from 0 to 1, got -1"):
        APPNPLayer(2, 0.5, dropout=-1)
    with pytest.raises(ValueError, match="K must be a whole number of at least 1, got 0"):
        APPNPLayer(0, 0.5)
    with pytest.raises(ValueError, match=r"node id 2|node 2"):
        APPNPLayer(2, 0.5)(torch.randn(2, 4), EDGES)


def test_an_infinite_value_stays_infinite():
    x = torch.tensor([[1.0], [2.0], [3.0], [torch.inf]])
    found, expected = APPNPLayer(2, 0.1)(x, EDGES), APPNP(2, 0.1)(x, EDGES)
    assert found[3].item() == torch.inf
    torch.testing.assert_close(found, expected)
