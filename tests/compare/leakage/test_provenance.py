"""A graph that was made of correlations over all rows is told from others."""

import dataclasses

import numpy as np
import pytest
import torch

from gnnkit.compare.leakage.provenance import follows, provenance
from gnnkit.data import GraphSeries, chronological_split


def made(rows=300, nodes=20, seed=0):
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((rows, 4))[:, np.arange(nodes) % 4]
    values = torch.tensor(shared + 3.0 * rng.standard_normal((rows, nodes)), dtype=torch.float32)
    empty = torch.zeros(2, 0, dtype=torch.int64)
    return GraphSeries(
        name="made",
        values=values[..., None],
        node_names=tuple(f"n{node}" for node in range(nodes)),
        edge_index=empty,
        edge_weight=torch.zeros(0),
        split=chronological_split(rows, (0.7, 0.1, 0.2)),
    )


def with_graph(series, rows, kind):
    strength = torch.corrcoef(series.values[:rows, :, 0].double().T).fill_diagonal_(-1)
    if kind == "threshold":
        kept = strength > strength.flatten().sort().values[-60]
    elif kind == "nearest":
        kept = torch.zeros_like(strength, dtype=torch.bool).scatter(1, strength.topk(4, dim=1).indices, True)
    else:
        kept = strength > 0.1
    edges = kept.nonzero().T
    weight = strength[*edges] if kind == "weights" else torch.ones(edges.size(1))
    return dataclasses.replace(series, edge_index=edges, edge_weight=weight.float())


@pytest.mark.parametrize("kind", ["threshold", "nearest", "weights"])
def test_over_which_rows_a_graph_was_correlated_is_seen(kind):
    series = made()
    every = provenance(with_graph(series, 300, kind))
    assert every.warning
    assert "over all rows, the test rows among them" in every.detail
    assert "agreement 1.000 over all rows, 0." in every.detail
    training = provenance(with_graph(series, 210, kind))
    assert not training.warning
    assert "1.000 over the training rows" in training.detail


def test_where_both_tell_every_edge_it_is_left_open():
    series = made(nodes=4)
    values = torch.zeros(300, 4, 1)
    values[:, :, 0] = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))[:, [0, 0, 1, 1]]
    values += 0.1 * torch.randn(values.shape, generator=torch.Generator().manual_seed(1))
    pairs = torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2]])
    graph = dataclasses.replace(series, values=values, edge_index=pairs, edge_weight=torch.ones(4))
    assert provenance(graph).detail == (
        "How the graph was made was not checked: it has too few edges to hold it against correlations."
    )
    wide = values.repeat(1, 2, 1) + torch.arange(8)[None, :, None] * 0.01
    edges = torch.cat([pairs, pairs + 4, pairs + torch.tensor([[0], [4]]), pairs + torch.tensor([[4], [0]])], dim=1)
    same = torch.tensor([[0, 1, 2, 3], [4, 5, 6, 7]])
    edges = torch.cat([edges, same, same.flip(0)], dim=1)
    names = tuple(f"n{node}" for node in range(8))
    wide = dataclasses.replace(
        series, values=wide, node_names=names, edge_index=edges, edge_weight=torch.ones(edges.size(1))
    )
    found = provenance(wide)
    assert found.warning
    assert "cannot be told" in found.detail


def test_a_graph_of_another_kind_is_said_to_be_unchecked_beyond_that():
    series = made()
    nodes = torch.arange(20)
    ring = dataclasses.replace(series, edge_index=torch.stack([nodes, nodes.roll(1)]), edge_weight=torch.ones(20))
    found = provenance(ring)
    assert not found.warning
    assert found.detail.startswith("The graph does not follow the correlations of the nodes (agreement 0.")
    assert found.detail.endswith("how else it was made was not checked.")
    loops = dataclasses.replace(series, edge_index=torch.stack([nodes, nodes]), edge_weight=torch.ones(20))
    assert provenance(loops).detail == provenance(series).detail == "There is no graph."


def test_agreement_by_hand():
    strength = torch.eye(4)
    strength[0, 1] = strength[1, 0] = 0.9
    strength[2, 3] = strength[3, 2] = -0.8
    pairs = torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2]])
    assert max(follows(pairs, torch.ones(4), strength)) == 1.0  # by their sizes
    assert follows(pairs, torch.tensor([1.8, 1.8, 1.6, 1.6]), strength)[-1] == pytest.approx(1.0)
    wrong = torch.tensor([[0, 2, 1, 3], [2, 0, 3, 1]])
    assert max(follows(wrong, torch.ones(4), strength)) == 0.0
