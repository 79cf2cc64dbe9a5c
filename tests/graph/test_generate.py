"""The six-node graph is the one of the course report."""

import networkx as nx
import torch

from gnnkit.graph import six_node_graph, to_dense, to_networkx

ROWS = "110011 / 110100 / 001100 / 011101 / 100010 / 100101"


def test_six_node_graph_is_the_published_matrix():
    graph = six_node_graph()
    expected = torch.tensor([[float(entry) for entry in row] for row in ROWS.split(" / ")])
    assert torch.equal(to_dense(graph.edge_index, graph.edge_weight, 6), expected)
    assert torch.equal(expected, expected.t())
    assert graph.node_names == ("A", "B", "C", "D", "E", "F")
    assert graph.pos.shape == (6, 2)


def test_six_node_graph_without_self_loops_has_six_undirected_edges():
    graph = six_node_graph(self_loops=False)
    picture = to_networkx(graph.edge_index, None, 6, node_names=graph.node_names).to_undirected()
    assert {"".join(sorted(edge)) for edge in picture.edges} == {"AB", "AE", "AF", "BD", "CD", "DF"}
    assert graph.num_edges == 12
    assert nx.shortest_path_length(picture, "C", "E") == 4
