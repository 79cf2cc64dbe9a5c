"""CSR tensors and networkx graphs say the same as the edge list they were made of."""

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnkit.graph import as_data, from_csr, from_networkx, six_node_graph, to_csr, to_dense, to_networkx


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.integers(0, 20), st.sampled_from(["keep", "add", "remove"]), st.integers(0, 10_000))
def test_round_trips_keep_the_matrix(num_nodes, num_edges, self_loops, seed):
    generator = torch.Generator().manual_seed(seed)
    edge_index = torch.randint(num_nodes, (2, num_edges), generator=generator)
    weight = torch.rand(num_edges, generator=generator) + 0.1
    expected = to_dense(edge_index, weight, num_nodes, self_loops=self_loops)
    adj_t = to_csr(edge_index, weight, num_nodes, self_loops=self_loops)
    assert adj_t.layout == torch.sparse_csr
    torch.testing.assert_close(adj_t.to_dense(), expected)
    for sparse in (adj_t, adj_t.to_sparse_coo()):
        torch.testing.assert_close(to_dense(*from_csr(sparse), num_nodes), expected)
    picture = to_networkx(edge_index, weight, num_nodes, self_loops=self_loops)
    assert picture.number_of_nodes() == num_nodes
    index, again, names = from_networkx(picture)
    assert names == tuple(range(num_nodes))
    torch.testing.assert_close(to_dense(index, again, num_nodes), expected)


def test_csr_by_hand_and_self_loops_on_the_way_back():
    adj_t = to_csr(torch.tensor([[0, 2, 0], [1, 1, 1]]), torch.tensor([2.0, 5.0, 1.0]), 3)
    assert adj_t.crow_indices().tolist() == [0, 0, 2, 2]  # row 1 is the target
    assert adj_t.col_indices().tolist() == [0, 2]
    assert adj_t.values().tolist() == [3, 5]
    edge_index, edge_weight = from_csr(adj_t, self_loops="add")
    assert edge_index.tolist() == [[0, 2, 0, 1, 2], [1, 1, 0, 1, 2]]
    assert edge_weight.tolist() == [3, 5, 1, 1, 1]


def test_undirected_networkx_graph_becomes_edges_both_ways():
    graph = nx.Graph()
    graph.add_edge("x", "y", weight=2.5)
    graph.add_edge("y", "y")
    graph.add_node("alone")
    edge_index, edge_weight, names = from_networkx(graph)
    assert names == ("x", "y", "alone")
    assert to_dense(edge_index, edge_weight, 3).tolist() == [[0, 2.5, 0], [2.5, 1, 0], [0, 0, 0]]
    loops = from_networkx(graph, self_loops="add")
    assert to_dense(*loops[:2], 3).diagonal().tolist() == [1, 1, 1]


def test_directed_networkx_edges_keep_their_direction_and_attribute():
    graph = nx.DiGraph()
    graph.add_nodes_from([10, 20])
    graph.add_edge(20, 10, distance=7)
    edge_index, edge_weight, names = from_networkx(graph, weight="distance")
    assert (edge_index.tolist(), edge_weight.tolist(), names) == ([[1], [0]], [7.0], (10, 20))


def test_six_nodes_in_networkx_by_name():
    graph = six_node_graph()
    picture = to_networkx(graph.edge_index, graph.edge_weight, 6, node_names=graph.node_names, self_loops="remove")
    assert sorted(picture.successors("D")) == ["B", "C", "F"]
    assert from_networkx(nx.Graph())[0].shape == (2, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: from_csr(torch.eye(2)), "adj_t must be a sparse CSR or COO tensor, got torch.strided; use from_dense"),
        (lambda: from_csr(torch.ones(2, 3).to_sparse_coo()), r"adj_t must be square, \[N, N\], got \[2, 3\]"),
        (lambda: to_networkx(torch.tensor([[0], [1]]), None, 2, node_names="AA"), r"2 different names, got 2 \(1 diff"),
        (lambda: to_csr(torch.tensor([[0], [1]]), None, 2, self_loops="no"), "self_loops must be 'keep', 'add' or"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_as_data_takes_both_kinds():
    graph = nx.path_graph(["A", "B"])
    data = as_data(graph)
    assert (data.node_names, data.num_nodes, data.edge_index.tolist()) == (("A", "B"), 2, [[0, 1], [1, 0]])
    assert as_data(data) is data
    with pytest.raises(ValueError, match="must be a PyG Data or a networkx graph, got str"):
        as_data("graph")
