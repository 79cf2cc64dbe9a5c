"""Wrong graphs keep what they promise to keep, and lose the rest."""

from collections import Counter

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnkit.graph import from_networkx, graph_variant, to_dense, to_networkx

# 0 -> 1 (2), 1 -> 2 (4), a loop at 2 (8)
EDGES, WEIGHTS = torch.tensor([[0, 1, 2], [1, 2, 2]]), torch.tensor([2.0, 4.0, 8.0])


def random_graph(num_nodes: int, num_edges: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    edges = torch.randint(num_nodes, (2, num_edges), generator=generator)
    return edges, torch.rand(num_edges, generator=generator) + 0.1


def pairs(edge_index: torch.Tensor) -> list[tuple[int, int]]:
    return list(zip(*edge_index.tolist(), strict=True))


graphs = st.builds(random_graph, st.just(9), st.integers(0, 40), st.integers(0, 10_000))


def test_given_identity_and_complete_by_hand():
    edges, weights = graph_variant(EDGES, WEIGHTS, 3, "given")
    assert torch.equal(edges, EDGES)
    assert torch.equal(weights, WEIGHTS)
    assert to_dense(*graph_variant(EDGES, WEIGHTS, 3, "identity"), 3).tolist() == torch.eye(3).tolist()
    # The mean weight of the two edges between nodes is 3; the loop keeps its 8.
    complete = to_dense(*graph_variant(EDGES, WEIGHTS, 3, "complete"), 3)
    assert complete.tolist() == [[0, 3, 3], [3, 0, 3], [3, 3, 8]]


def test_no_weights_stand_for_ones_and_a_graph_without_edges_stays_one():
    assert graph_variant(EDGES, None, 3, "shuffled")[1].tolist() == [1, 1, 1]
    empty = torch.zeros(2, 0, dtype=torch.long)
    assert graph_variant(empty, None, 3, "random")[0].shape == (2, 0)
    assert to_dense(*graph_variant(empty, None, 3, "complete"), 3).tolist() == (1 - torch.eye(3)).tolist()
    loops = torch.arange(3).repeat(2, 1)
    assert torch.equal(graph_variant(loops, torch.full((3,), 5.0), 3, "random")[0], loops)


@settings(max_examples=40, deadline=None)
@given(graphs, st.integers(0, 50))
def test_shuffled_is_the_same_graph_by_other_names(graph, seed):
    edge_index, edge_weight = graph
    edges, weights = graph_variant(edge_index, edge_weight, 9, "shuffled", seed=seed)
    place = torch.full((9,), -1)
    place[edge_index.flatten()] = edges.flatten()
    assert torch.equal(place[edge_index], edges)  # one new name a node
    named = place[place >= 0]
    assert len(named.unique()) == len(named)  # and no name for two
    assert torch.equal(weights, edge_weight)


def test_shuffled_is_isomorphic_to_the_given_graph_in_networkx():
    graph = nx.gnm_random_graph(12, 30, seed=3, directed=True)
    for number, (u, v) in enumerate(graph.edges):
        graph.edges[u, v]["weight"] = float(number + 1)
    edge_index, edge_weight, names = from_networkx(graph)
    shuffled = to_networkx(*graph_variant(edge_index, edge_weight, 12, "shuffled", seed=1), 12, node_names=names)
    assert set(shuffled.edges) != set(graph.edges)
    same_weight = nx.algorithms.isomorphism.numerical_edge_match("weight", 1.0)
    assert nx.is_isomorphic(graph, shuffled, edge_match=same_weight)


@settings(max_examples=60, deadline=None)
@given(graphs, st.integers(0, 50))
def test_random_keeps_degrees_loops_and_the_weights_of_each_source(graph, seed):
    edge_index, edge_weight = graph
    edges, weights = graph_variant(edge_index, edge_weight, 9, "random", seed=seed)
    for end in (0, 1):
        assert torch.equal(edges[end].bincount(minlength=9), edge_index[end].bincount(minlength=9))
    leaving = [Counter(zip(e[0].tolist(), w.tolist(), strict=True)) for e, w in ((edges, weights), graph)]
    assert leaving[0] == leaving[1]
    loop, was = edges[0] == edges[1], edge_index[0] == edge_index[1]
    assert torch.equal(loop, was)
    assert torch.equal(edges[:, loop], edge_index[:, was])
    # An edge that is there several times was so in the given graph.
    before = Counter(pairs(edge_index))
    assert all(times <= max(before[pair], 1) for pair, times in Counter(pairs(edges)).items())


def test_random_forgets_where_the_edges_were():
    graph = nx.watts_strogatz_graph(200, 8, 0.0, seed=0)  # a ring lattice: neighbours are near and know each other
    edge_index, _, _ = from_networkx(graph)
    edges, _ = graph_variant(edge_index, None, 200, "random", seed=0)
    kept = len(set(pairs(edges)) & set(pairs(edge_index)))
    assert len(set(pairs(edges))) == 1600
    chance = 1600 * 8 / 199  # expected where targets are drawn at random: 64
    assert chance / 2 < kept < 2 * chance
    clustering = nx.average_clustering(to_networkx(edges, None, 200).to_undirected())
    assert nx.average_clustering(graph) == pytest.approx(9 / 14)
    assert clustering < 0.15


def test_random_reaches_every_graph_of_its_degrees_alike():
    # Four nodes with one edge in and one out each and no loop: the nine derangements.
    ring = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]])
    found = Counter(tuple(graph_variant(ring, None, 4, "random", seed=seed)[0][1].tolist()) for seed in range(450))
    assert len(found) == 9
    assert min(found.values()) > 25  # of 50 expected each
    assert max(found.values()) < 85


def test_seeds_decide_and_repeat():
    edge_index, edge_weight = random_graph(30, 90, 0)
    for kind in ("shuffled", "random"):
        one, same, other = (graph_variant(edge_index, edge_weight, 30, kind, seed=seed)[0] for seed in (4, 4, 5))
        assert torch.equal(one, same)
        assert not torch.equal(one, other)
        assert not torch.equal(one, edge_index)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: graph_variant(EDGES, WEIGHTS, 3, "ring"),  # pyright: ignore
            "kind is 'ring'; choose one of given, identity, shuffled, random, complete$",
        ),
        (lambda: graph_variant(EDGES, WEIGHTS, 3, "learned"), "a learned graph is a model's own, see mtgnn"),  # pyright: ignore
        (lambda: graph_variant(EDGES, WEIGHTS, 3, "random", seed=-1), "seed is -1; give a whole number of at least 0"),
        (lambda: graph_variant(EDGES, WEIGHTS, 2, "given"), "edge_index.* holds node id 2"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
