"""Curvature and effective resistance: the paper's families of graphs, networkx's distances."""

import networkx as nx
import pytest
import torch

from gnnkit.graph import balanced_forman_curvature, effective_resistance, from_networkx, six_node_graph


def edges_of(graph):
    return from_networkx(graph)[0], graph.number_of_nodes()


def plain_curvature(graph, i, j):
    """Definition 1 of Topping et al., set by set."""
    near = {node: set(graph[node]) - {node} for node in graph}
    if min(len(near[i]), len(near[j])) == 1:
        return 0.0

    def squares(i, j):
        return {k: count for k in near[i] - near[j] - {j} if (count := len((near[k] & near[j]) - near[i] - {i})) > 0}

    low, high = sorted((len(near[i]), len(near[j])))
    one, other = squares(i, j), squares(j, i)
    triangles = len(near[i] & near[j])
    value = 2 / low + 2 / high - 2 + 2 * triangles / high + triangles / low
    if one:
        value += (len(one) + len(other)) / (max([*one.values(), *other.values()]) * high)
    return value


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (nx.cycle_graph(3), 1.5),
        (nx.cycle_graph(4), 1.0),
        (nx.cycle_graph(8), 0.0),
        (nx.complete_graph(6), 6 / 5),
        (nx.grid_2d_graph(6, 6, periodic=True), 0.0),
    ],
    ids=["C3", "C4", "C8", "K6", "torus"],
)
def test_the_papers_families(graph, expected):
    found = balanced_forman_curvature(*edges_of(graph))
    torch.testing.assert_close(found, torch.full_like(found, expected))


def test_a_tree_is_curved_by_its_degrees():
    found = balanced_forman_curvature(*edges_of(nx.balanced_tree(3, 4)), edges=torch.tensor([[4], [1]]))
    assert found.item() == pytest.approx(4 / (3 + 1) - 2)


@pytest.mark.parametrize("seed", range(4))
def test_random_graphs_edge_by_edge(seed):
    graph = nx.gnp_random_graph(25, 0.2, seed=seed)
    edge_index, size = edges_of(graph)
    found = balanced_forman_curvature(edge_index, size)
    expected = [plain_curvature(graph, i, j) for i, j in edge_index.t().tolist()]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    some = edge_index[:, [5, 2]]
    torch.testing.assert_close(balanced_forman_curvature(edge_index, size, edges=some), found[[5, 2]])


def test_loops_directions_and_doubles_do_not_count():
    edges = torch.tensor([[0, 1, 2, 2, 0, 0], [1, 2, 0, 2, 1, 2]])
    found = balanced_forman_curvature(edges, 4)
    assert found[[0, 1, 2, 4, 5]].tolist() == [1.5] * 5
    assert found[3].isnan()
    assert balanced_forman_curvature(torch.empty(2, 0, dtype=torch.long), 3).numel() == 0


def test_resistance_is_networkxs():
    graph = nx.connected_watts_strogatz_graph(20, 4, 0.3, seed=1)
    for i, j in graph.edges:
        graph[i][j]["weight"] = 1.0 + (i * j) % 3
    edge_index, weight, _ = from_networkx(graph)
    found = effective_resistance(edge_index, 20, edge_weight=weight)
    expected = nx.resistance_distance(graph, weight="weight", invert_weight=False)
    for value, (i, j) in zip(found.values.tolist(), edge_index.t().tolist(), strict=True):
        assert value == pytest.approx(expected[i][j])
    assert (found.method, found.relative_error) == ("exact", 0.0)


def test_components_and_bridges():
    edges = torch.tensor([[0, 1, 3, 4, 4], [1, 2, 4, 3, 4]])
    pairs = torch.tensor([[0, 0, 3, 2, 5], [2, 3, 4, 2, 0]])
    assert effective_resistance(edges, 6, pairs=pairs).values.tolist() == [2.0, torch.inf, 1.0, 0.0, torch.inf]
    far = effective_resistance(edges, 6, pairs=pairs, projections=2000, tolerance=1e-6)
    assert far.values[1].isinf()
    assert far.values[[0, 2, 3]].tolist() == pytest.approx([2.0, 1.0, 0.0], rel=0.1)


def test_projection_is_as_good_as_it_says():
    edge_index, size = edges_of(nx.connected_watts_strogatz_graph(200, 6, 0.2, seed=0))
    exact = effective_resistance(edge_index, size, projections=0).values
    found = effective_resistance(edge_index, size, projections=256, tolerance=1e-5)
    assert found.method == "projection"
    assert found.residual <= 1e-5
    assert found.relative_error == pytest.approx((2 / 256) ** 0.5)
    error = ((found.values - exact) / exact).square().mean().sqrt().item()
    assert 0.3 * found.relative_error < error < 1.2 * found.relative_error


def test_resistances_of_a_spanning_set_sum_to_nodes_minus_one():
    edge_index = six_node_graph(self_loops=False).edge_index
    assert effective_resistance(edge_index, 6).values.sum().item() == pytest.approx(2 * 5)  # Foster's theorem, twice


def test_mistakes_are_named():
    edges = torch.tensor([[0], [1]])
    with pytest.raises(ValueError, match="edges holds 0 - 2, which is no edge"):
        balanced_forman_curvature(edges, 3, edges=torch.tensor([[0], [2]]))
    with pytest.raises(ValueError, match="edge_weight must not be negative, got -1"):
        effective_resistance(edges, 2, edge_weight=torch.tensor([-1.0]))
    with pytest.raises(ValueError, match="projections must be 0"):
        effective_resistance(edges, 2, projections=-1)
