"""Receptive fields by depth against networkx, and the depth that is suggested."""

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnkit.graph import as_data, from_networkx, hop_distances, receptive_field_sizes, six_node_graph, suggest_depth


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), nodes=st.integers(1, 14), directed=st.booleans())
def test_hops_and_fields_are_networkxs(seed, nodes, directed):
    graph = nx.gnp_random_graph(nodes, 0.2, seed=seed, directed=directed)
    edge_index, _, _ = from_networkx(graph)
    lengths = dict(nx.all_pairs_shortest_path_length(graph))
    found = hop_distances(edge_index, list(range(nodes)), nodes)
    expected = [[lengths[i].get(j, -1) for j in range(nodes)] for i in range(nodes)]
    assert found.tolist() == expected
    fields = receptive_field_sizes(graph)
    # Node i hears of j where a way leads from j to i.
    for i in range(nodes):
        distances = [lengths[j][i] for j in range(nodes) if i in lengths[j]]
        sizes = [sum(d <= k for d in distances) for k in range(fields.depth + 1)]
        assert fields.sizes[i].tolist() == sizes
    assert fields.depth == max(max(row) for row in expected)


def test_summaries():
    fields = receptive_field_sizes(nx.path_graph(4))
    assert fields.sizes.tolist() == [[1, 2, 3, 4], [1, 3, 4, 4], [1, 3, 4, 4], [1, 2, 3, 4]]
    assert fields.mean().tolist() == [1, 2.5, 3.5, 4]
    assert fields.hop_histogram().tolist() == [1, 1.5, 1, 0.5]
    assert fields.standard_error().tolist() == [0] * 4


def test_a_sample_says_how_sure_it_is():
    graph = nx.gnp_random_graph(300, 0.01, seed=0)
    whole, part = receptive_field_sizes(graph), receptive_field_sizes(graph, samples=100, seed=1)
    assert (whole.exact, part.exact, part.sizes.size(0)) == (True, False, 100)
    hop = 2
    error = part.standard_error()[hop]
    assert error > 0
    assert abs(part.mean()[hop] - whole.mean()[hop]) < 4 * error


def test_six_nodes_need_four_layers():
    found = suggest_depth(six_node_graph())
    assert (found.depth, found.enough, found.squeeze) == (4, 4, 4)
    assert str(found).startswith("4 layers\n- enough: after 4 layers")


def test_channels_squeeze():
    graph = nx.balanced_tree(4, 5)
    wide, narrow = suggest_depth(graph, hidden_channels=10_000), suggest_depth(graph, hidden_channels=8)
    assert wide.depth == wide.enough > narrow.depth == 2
    assert any("more than 8 channels hold" in reason for reason in narrow.reasons)


def test_news_of_marked_nodes():
    path = as_data(nx.path_graph(21))
    marked = torch.zeros(21, dtype=torch.bool)
    marked[10] = True
    found = suggest_depth(path, news_from=marked)
    assert found.enough == 10  # 19 of 21 nodes are within 9
    assert "one of the 1 marked nodes" in found.reasons[0]
    with pytest.raises(ValueError, match=r"boolean mask \[21\] with at least one node"):
        suggest_depth(path, news_from=torch.zeros(21, dtype=torch.bool))


def test_smoothing_names_the_cures():
    found = suggest_depth(nx.complete_graph(20))
    assert found.smoothing == 0
    assert any("PairNorm" in reason for reason in found.reasons)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="graph must be a PyG Data or a networkx graph, got list"):
        receptive_field_sizes([1])
    with pytest.raises(ValueError, match="graph has no nodes"):
        receptive_field_sizes(nx.Graph())
    with pytest.raises(ValueError, match="samples must be at least 1"):
        receptive_field_sizes(nx.path_graph(2), samples=0)
    with pytest.raises(ValueError, match="hidden_channels must be at least 1, got 0"):
        suggest_depth(nx.path_graph(2), hidden_channels=0)
