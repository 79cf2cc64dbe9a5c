"""Hop distances against networkx, the six-node facts, and receptive fields measured by gradients."""

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch_geometric.data import Data

from gnnkit.graph import (
    hop_distances,
    k_hop_nodes,
    node_id,
    receptive_field,
    shortest_paths,
    six_node_graph,
    updates_needed,
)
from gnnkit.layers import GATLayer, GCNLayer


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(0, 30), st.booleans(), st.integers(0, 10_000))
def test_hop_distances_and_k_hop_nodes_equal_networkx(num_nodes, num_edges, directed, seed):
    generator = torch.Generator().manual_seed(seed)
    edge_index = torch.randint(num_nodes, (2, num_edges), generator=generator)
    if not directed:
        edge_index = torch.cat([edge_index, edge_index.flip(0)], dim=1)
    oracle = nx.DiGraph()
    oracle.add_nodes_from(range(num_nodes))
    oracle.add_edges_from(edge_index.t().tolist())
    lengths = dict(nx.all_pairs_shortest_path_length(oracle))
    expected = torch.tensor([[lengths[s].get(t, -1) for t in range(num_nodes)] for s in range(num_nodes)])
    got = hop_distances(edge_index, range(num_nodes), num_nodes)
    assert got.dtype == torch.long
    assert torch.equal(got, expected)
    for k in (0, 1, 3):
        within = (expected >= 0) & (expected <= k)
        assert k_hop_nodes(edge_index, 0, k, num_nodes).tolist() == within[:, 0].nonzero().view(-1).tolist()
        outgoing = k_hop_nodes(edge_index, [0], k, num_nodes, direction="outgoing")
        assert outgoing.tolist() == within[0].nonzero().view(-1).tolist()


def test_hop_distances_of_some_sources_and_of_none():
    edge_index = torch.tensor([[0, 1, 1, 0], [1, 2, 1, 1]])
    assert hop_distances(edge_index, torch.tensor([2, 0]), 4).tolist() == [[-1, -1, 0, -1], [0, 1, 2, -1]]
    assert hop_distances(edge_index, 1, 4).tolist() == [[-1, 0, 1, -1]]
    assert hop_distances(edge_index, [], 4).shape == (0, 4)
    assert hop_distances(torch.empty(2, 0, dtype=torch.long), [1], 2).tolist() == [[-1, 0]]


def test_six_nodes_four_updates_and_both_paths():
    graph = six_node_graph()
    assert updates_needed(graph, "C", "E") == 4
    assert updates_needed(graph, "E", "E") == 0
    assert shortest_paths(graph, "C", "E") == [("C", "D", "B", "A", "E"), ("C", "D", "F", "A", "E")]
    assert shortest_paths(six_node_graph(self_loops=False), 2, 4) == shortest_paths(graph, "C", "E")
    assert hop_distances(graph.edge_index, [4], 6).tolist() == [[1, 2, 4, 3, 0, 2]]


def test_networkx_graphs_are_taken_and_their_names_kept():
    graph = nx.DiGraph([("a", "b"), ("b", "c"), ("a", "d"), ("d", "c")])
    assert updates_needed(graph, "a", "c") == 2
    assert updates_needed(graph, "c", "a") == -1
    assert shortest_paths(graph, "a", "c") == [("a", "b", "c"), ("a", "d", "c")]
    assert node_id(graph, "d") == list(graph).index("d")
    with pytest.raises(ValueError, match=r"node 'z' is not in the graph, allowed: 0 .. 3 or one of a, b, c, d"):
        node_id(graph, "z")


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), nodes=st.integers(2, 10), depth=st.integers(1, 3), make=st.sampled_from((0, 1)))
def test_receptive_field_by_gradient_is_inside_the_k_hop_neighbourhood(seed, nodes, depth, make):
    generator = torch.Generator().manual_seed(seed)
    edge_index = torch.randint(
        nodes, (2, int(torch.randint(3 * nodes, (1,), generator=generator))), generator=generator
    )
    layers = [(GCNLayer, GATLayer)[make](3, 3) for _ in range(depth)]
    influence = receptive_field(layers, torch.randn(nodes, 3, generator=generator), edge_index)
    for node in range(nodes):
        outside = torch.ones(nodes, dtype=torch.bool)
        outside[k_hop_nodes(edge_index, node, depth, nodes)] = False
        assert not influence[node][outside].any()
        assert influence[node][node] > 0  # by the self-loop that both layers add


def test_direction_and_unreachable_nodes_without_names():
    graph = Data(edge_index=torch.tensor([[0, 1], [1, 2]]), num_nodes=4)
    assert updates_needed(graph, 0, 2) == 2
    assert updates_needed(graph, 2, 0) == -1
    assert shortest_paths(graph, 0, 2) == [(0, 1, 2)]
    assert shortest_paths(graph, 2, 0) == []


@pytest.mark.parametrize("make", [GCNLayer, GATLayer])
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_jacobian_from_c_to_e_is_zero_below_four_layers(make, depth):
    torch.manual_seed(0)
    graph = six_node_graph()
    layers = [make(3, 3).double() for _ in range(depth)]
    x = torch.randn(6, 3, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: _apply(layers, x, graph.edge_index), x)
    from_c_to_e = jacobian[4, :, 2, :]
    assert bool((from_c_to_e == 0).all()) == (depth < 4)
    # The measured field of every node is its k-hop neighbourhood, and its strength the Jacobian's.
    influence = receptive_field(layers, x, graph.edge_index)
    torch.testing.assert_close(influence, jacobian.abs().sum(dim=(1, 3)), rtol=1e-10, atol=1e-14)
    for node in range(6):
        field = (influence[node] > 0).nonzero().view(-1).tolist()
        assert field == k_hop_nodes(graph.edge_index, node, depth, 6).tolist()


def _apply(layers, x, edge_index):
    for layer in layers:
        x = layer(x, edge_index)
    return x


def test_receptive_field_by_hand():
    # A row-mean of the path 0 -> 1 -> 2 with weight 3: |d out_1 / d x_0| = 3 for each of 2 features.
    layer = GCNLayer(2, 2, normalize=False, bias=False)
    with torch.no_grad():
        layer.lin.weight.copy_(torch.tensor([[3.0, 0.0], [0.0, -3.0]]))
    edge_index = torch.tensor([[0, 1], [1, 2]])
    x = torch.randn(3, 2)
    assert receptive_field(layer, x, edge_index).tolist() == [[0, 0, 0], [6, 0, 0], [0, 6, 0]]
    weights = torch.tensor([0.5, 1.0])
    assert receptive_field(layer, x, edge_index, weights, nodes=[1]).tolist() == [[3, 0, 0]]
    assert x.grad is None


def test_receptive_field_switches_dropout_off_and_back_on():
    class Dropping(nn.Module):
        def __init__(self):
            super().__init__()
            self.dropout, self.layer = nn.Dropout(0.99), GCNLayer(2, 2)
            self.layer.eval()

        def forward(self, x, edge_index):
            return self.layer(self.dropout(x), edge_index)

    model = Dropping()
    edge_index = torch.tensor([[0, 1], [1, 2]])
    with torch.no_grad():  # as in an evaluation loop
        influence = receptive_field(model, torch.randn(3, 2), edge_index)
    assert (influence > 0).tolist() == [[True, False, False], [True, True, False], [False, True, True]]
    assert model.training
    assert not model.layer.training


def test_receptive_field_of_a_forecaster_and_of_a_model_that_ignores_its_input():
    edge_index = torch.tensor([[0, 1], [1, 2]])
    x = torch.randn(2, 5, 3, 1)  # [B, T, N, F]
    layer = GCNLayer(1, 2)

    def forecast(x, edge_index):  # -> [B, P, N]
        return layer(x[:, -1], edge_index).transpose(1, 2)

    influence = receptive_field(forecast, x, edge_index, output_axis=-1)
    assert (influence > 0).tolist() == [[True, False, False], [True, True, False], [False, True, True]]
    assert receptive_field(lambda x, _: torch.ones(3, 2), torch.randn(3, 2), edge_index).tolist() == [[0.0] * 3] * 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: hop_distances(g.edge_index, [6], 6), r"sources holds node id 6, allowed: 0 .. 5 \(6 nodes\)"),
        (lambda g: hop_distances(g.edge_index, [0.5], 6), "sources must be a list of node ids, got torch.float32"),
        (lambda g: hop_distances(g.edge_index, [0], 5), r"edge_index\[0\] holds node id 5, allowed: 0 .. 4"),
        (lambda g: k_hop_nodes(g.edge_index, 0, -1, 6), "num_hops must be 0 or more, got -1"),
        (lambda g: k_hop_nodes(g.edge_index, -1, 1, 6), "nodes holds node id -1, allowed: 0 .. 5"),
        (lambda g: k_hop_nodes(g.edge_index, 0, 1, 6, direction="up"), "'incoming' or 'outgoing', got 'up'"),
        (lambda g: updates_needed(g, "C", "Z"), "node 'Z' is not in the graph, allowed: 0 .. 5 or one of A, B, C"),
        (lambda g: node_id(g, 6), "node 6 is not in the graph"),
        (lambda g: updates_needed(Data(num_nodes=3), 0, 1), "graph must be a PyG Data with edge_index and num_nodes"),
        (lambda g: receptive_field(GCNLayer(2, 2), torch.ones(6), g.edge_index), r"x must be .* \[..., N, F\]"),
        (lambda g: receptive_field(GCNLayer(2, 2), torch.ones(6, 2), g.edge_index, nodes=[9]), "nodes holds node id 9"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(six_node_graph())


def test_more_hops_than_nodes_take_no_longer():
    edges = torch.tensor([[0, 1], [1, 2]])
    assert k_hop_nodes(edges, 2, num_hops=10**12, num_nodes=3).tolist() == [0, 1, 2]
    ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
    assert k_hop_nodes(ring, 0, num_hops=10**12, num_nodes=4, direction="outgoing").tolist() == [0, 1, 2]
