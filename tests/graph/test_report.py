"""The graph report: bounds that hold, numbers that agree with networkx."""

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnkit.graph import diameter_bounds, report_graph, six_node_graph


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), nodes=st.integers(1, 20))
def test_the_diameter_lies_within_its_bounds(seed, nodes):
    graph = nx.gnp_random_graph(nodes, 0.15, seed=seed)
    largest = max(nx.connected_components(graph), key=len)
    sizes = sorted(map(len, nx.connected_components(graph)))
    low, high = diameter_bounds(graph, seed=seed)
    if len(sizes) < 2 or sizes[-1] > sizes[-2]:
        assert low <= nx.diameter(graph.subgraph(largest)) <= high


def test_numbers_of_a_known_graph():
    report = report_graph(six_node_graph())
    assert (report.num_nodes, report.num_edges, report.self_loops, report.duplicates) == (6, 18, 6, 0)
    assert (report.directed, report.diameter, report.component_sizes) == (False, (4, 4), (6,))
    assert report.depth.depth == 4
    ends = [(i, j) for i, j, _, _ in report.bottlenecks(2)]
    assert ends == [("A", "E"), ("C", "D")]
    assert report.bottlenecks(1)[0][3] == pytest.approx(1.0)  # a bridge
    assert report_graph(nx.DiGraph([(0, 1)])).directed


def test_a_barbells_bridge_is_its_bottleneck():
    report = report_graph(nx.barbell_graph(6, 0))
    i, j, curvature, resistance = report.bottlenecks(1)[0]
    assert {i, j} == {5, 6}
    assert curvature < -1
    assert resistance == pytest.approx(1.0)


def test_samples_are_named_as_such():
    report = report_graph(nx.gnp_random_graph(200, 0.05, seed=0), samples=20, edge_samples=50)
    assert report.sampled_edges
    assert report.curvature.numel() == 50
    text = "\n".join(report.lines())
    assert "20 nodes drawn at random, ± standard error" in text
    assert "of 50 edges drawn at random (shares of edges ± 7.1%)" in text
    assert report.to_json()["curvature"]["standard_error_of_shares"] == pytest.approx(0.5 / 50**0.5)


def test_out_to_networkx():
    graph = report_graph(six_node_graph(self_loops=False)).to_networkx()
    assert graph.edges["A", "E"]["resistance"] == pytest.approx(1.0)
    assert graph.nodes["B"]["in_degree"] == 3 - 1


def test_edgeless_graphs_have_a_report_and_empty_ones_a_reason():
    graph = nx.Graph()
    graph.add_nodes_from("xyz")
    report = report_graph(graph)
    assert (report.component_sizes, report.diameter, report.depth.depth) == ((1, 1, 1), (0, 0), 1)
    assert report.bottlenecks() == []
    with pytest.raises(ValueError, match="graph has no nodes"):
        report_graph(nx.Graph())
