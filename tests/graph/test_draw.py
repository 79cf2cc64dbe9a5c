"""The drawing shows the hop distances it claims, read back from its artists."""

import networkx as nx
import pytest
import torch
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from torch_geometric.data import Data

from gnnkit.graph import draw_adjacency, draw_receptive_field, six_node_graph


def shown(figure):
    """Colour of each node in the legend's words, and the legend's entries."""
    axes = figure.axes[0]
    legend = axes.get_legend()
    words = {
        to_hex(h.get_color()): t.get_text() for h, t in zip(legend.legend_handles, legend.get_texts(), strict=True)
    }
    nodes = next(c for c in axes.collections if isinstance(c, PathCollection))
    return [words[to_hex(color)] for color in nodes.get_facecolors()], list(words.values())


def arrows(figure, color):
    patches = figure.axes[0].patches
    return [p for p in patches if isinstance(p, FancyArrowPatch) and to_hex(p.get_edgecolor()) == color]


def test_six_nodes_as_heard_by_e(tmp_path):
    figure = draw_receptive_field(six_node_graph(), "E", source="C")
    nodes, entries = shown(figure)
    assert nodes == ["1 update", "2 updates", "4 updates", "3 updates", "0 updates (E itself)", "2 updates"]
    assert entries == ["0 updates (E itself)", "1 update", "2 updates", "3 updates", "4 updates"]
    assert {text.get_text() for text in figure.axes[0].texts} == set("ABCDEF")
    assert len(arrows(figure, "#d62728")) == 6  # C-D, D-B, D-F, B-A, F-A, A-E
    figure.savefig(tmp_path / "field.png")
    assert (tmp_path / "field.png").stat().st_size > 5000


def test_nodes_beyond_the_given_updates_are_grey():
    nodes, entries = shown(draw_receptive_field(six_node_graph(), "E", num_updates=1))
    assert nodes == ["1 update", *["not within 1"] * 3, "0 updates (E itself)", "not within 1"]
    assert entries[-1] == "not within 1"


def test_directed_graph_without_names_or_places_on_given_axes():
    graph = Data(edge_index=torch.tensor([[0, 1], [1, 2]]), num_nodes=4)
    figure = Figure()
    axes = figure.add_subplot()
    assert draw_receptive_field(graph, 1, axes=axes) is figure
    assert shown(figure)[0] == ["1 update", "0 updates (1 itself)", "never", "never"]
    assert len(arrows(figure, "#808080")) == 2


def test_a_networkx_graph_is_drawn_by_its_names():
    figure = draw_receptive_field(nx.path_graph(["a", "b", "c"]), "a", source="c")
    axes = figure.axes[0]
    assert axes.get_title() == "Updates until a has heard of each node"
    assert {text.get_text() for text in axes.texts} == {"a", "b", "c"}


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="num_updates must be 0 or more, got -1"):
        draw_receptive_field(six_node_graph(), "E", num_updates=-1)
    with pytest.raises(ValueError, match="node 'Z' is not in the graph"):
        draw_receptive_field(six_node_graph(), "Z")


def test_an_adjacency_is_drawn_as_it_multiplies_rows_hear_columns():
    weights = torch.tensor([[0.0, 0.5], [0.25, 1.0]], requires_grad=True)
    axes = draw_adjacency(weights, ["a", "b"], title="who").axes[0]
    assert axes.images[0].get_array().tolist() == weights.tolist()
    assert axes.images[0].get_clim() == (0.0, 1.0)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b"]
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == ("who", "is heard", "hears")


def test_the_names_of_many_nodes_are_left_out():
    for count, written in ((40, True), (41, False)):
        axes = draw_adjacency(torch.eye(count), [f"node {i}" for i in range(count)]).axes[0]
        assert ("node 1" in [label.get_text() for label in axes.get_yticklabels()]) == written


def test_an_adjacency_is_drawn_on_the_axes_that_are_given_and_has_to_be_square():
    figure = Figure()
    axes = figure.add_subplot()
    assert draw_adjacency(torch.eye(2), axes=axes) is figure
    assert len(axes.images) == 1
    with pytest.raises(ValueError, match=r"adjacency must be square, \[N, N\], got \[2, 3\]"):
        draw_adjacency(torch.zeros(2, 3))
