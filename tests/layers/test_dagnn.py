"""DAGNN's layer: hops by hand, against dense algebra and PyG's APPNP, and its errors."""

import pytest
import torch
from torch_geometric.nn import APPNP

from gnnkit.graph import hop_distances, six_node_graph
from gnnkit.layers import DAGNNLayer

EDGES = torch.tensor([[0, 1, 2, 3, 4, 1], [1, 2, 0, 0, 3, 0]])  # directed, node 5 alone


def by_hand(layer, x, matrix):
    out = torch.zeros_like(x)
    for _ in range(layer.K + 1):
        out = out + torch.sigmoid(x @ layer.gate.weight.t() + layer.gate.bias) * x
        x = matrix @ x
    return out


def test_two_nodes_on_paper():
    layer = DAGNNLayer(1, K=2)
    with torch.no_grad():
        layer.gate.weight.zero_()
        layer.gate.bias.zero_()
    # P is 1/2 everywhere: hops are [4, 0], [2, 2], [2, 2], and every gate is 1/2.
    out = layer(torch.tensor([[4.0], [0.0]]), torch.tensor([[0, 1], [1, 0]]))
    torch.testing.assert_close(out, torch.tensor([[4.0], [2.0]]))


def test_equals_dense_algebra_and_its_gradients_do():
    torch.manual_seed(0)
    layer = DAGNNLayer(3, K=4).double()
    x = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    dense = torch.zeros(6, 6, dtype=torch.float64)
    dense[EDGES[1], EDGES[0]] = 1.0
    dense += torch.eye(6, dtype=torch.float64)
    root = dense.sum(dim=1).rsqrt()
    matrix = root[:, None] * dense * root
    torch.testing.assert_close(layer(x, EDGES), by_hand(layer, x, matrix))
    torch.testing.assert_close(layer(x.expand(2, 6, 3), EDGES)[1], by_hand(layer, x, matrix))
    assert torch.autograd.gradcheck(lambda x: layer(x, EDGES), (x,))


def test_every_format_and_the_hooks_agree():
    torch.manual_seed(0)
    layer, x = DAGNNLayer(3, K=3), torch.randn(6, 3)
    weight = torch.rand(EDGES.size(1))
    expected = layer(x, EDGES, weight)
    adj_t = torch.sparse_coo_tensor(EDGES.flip(0), weight, (6, 6)).coalesce().to_sparse_csr()
    torch.testing.assert_close(layer(x, adj_t), expected)

    class Watched(DAGNNLayer):
        def message(self, x_j, edge_weight):
            return super().message(x_j, edge_weight)

    watched = Watched(3, K=3)
    watched.load_state_dict(layer.state_dict())
    torch.testing.assert_close(watched(x, EDGES, weight), expected)
    assert layer.propagate.__module__.endswith("_propagate")


def test_open_gates_add_up_appnps_hops():
    layer, x = DAGNNLayer(2, K=3), torch.randn(6, 2)
    with torch.no_grad():
        layer.gate.weight.zero_()
        layer.gate.bias.fill_(100.0)
    expected = x + sum(APPNP(K=hops, alpha=0.0)(x, EDGES) for hops in (1, 2, 3))
    torch.testing.assert_close(layer(x, EDGES), expected)


def test_news_travels_k_hops_and_no_farther():
    edges = six_node_graph().edge_index
    assert edges is not None
    x = torch.rand(6, 2, requires_grad=True)
    distance = hop_distances(edges, range(6), 6)
    for hops in (1, 2, 3):
        layer = DAGNNLayer(2, K=hops)
        for node in range(6):
            (gradient,) = torch.autograd.grad(layer(x, edges)[node].sum(), x)
            assert torch.equal(gradient.abs().sum(1) > 0, (distance[:, node] <= hops) & (distance[:, node] >= 0))


def test_a_cached_graph_is_kept_until_reset():
    layer, x = DAGNNLayer(2, K=2, cached=True), torch.randn(6, 2)
    first = layer(x, EDGES)
    assert torch.equal(layer(x, EDGES[:, :0]), first)
    layer.reset_parameters()
    assert not torch.equal(layer(x, EDGES[:, :0]), first)


@pytest.mark.parametrize("hops", [0, -1, 2.0, True])
def test_hops_must_be_whole(hops):
    with pytest.raises(ValueError, match="K must be a whole number of hops, at least 1, got"):
        DAGNNLayer(3, K=hops)


def test_bad_calls_are_named():
    layer = DAGNNLayer(3, K=2)
    with pytest.raises(ValueError, match="x "):
        layer(torch.randn(6, 4), EDGES)
    adj_t = torch.eye(6).to_sparse_csr()
    with pytest.raises(ValueError, match="edge_weight cannot be given beside a sparse adj_t"):
        layer(torch.randn(6, 3), adj_t, torch.ones(6))
    assert repr(layer) == "DAGNNLayer(3, K=2)"
