import math

import numpy as np
import pytest
import torch

from gnnkit.data.own_made import graph_of_correlations, graph_of_places, training_likeness


def line(*at):
    places = torch.tensor(at, dtype=torch.float64)
    return (places[:, None] - places).abs()


def as_dict(edges):
    return dict(zip(map(tuple, edges[0].T.tolist()), edges[1].tolist(), strict=True))


def test_the_kernel_of_three_places_by_hand():
    # At 0, 3 and 4 km: σ² = 14/9, and exp(−9/14) alone is .1 or more.
    edges, words = graph_of_places(line(0.0, 3.0, 4.0), None, "places.csv")
    assert as_dict(edges) == pytest.approx({(1, 2): math.exp(-9 / 14), (2, 1): math.exp(-9 / 14)})
    assert words == (
        "Gaussian kernel of the distances by places.csv, exp(−d² / σ²) with σ = 1.247 km, where it is 0.1 or more "
        "(Li et al., 2018)"
    )
    edges, words = graph_of_places(line(0.0, 3.0, 4.0), 1, "places.csv")
    assert as_dict(edges) == {(0, 1): 1.0, (1, 0): 1.0, (1, 2): 1.0, (2, 1): 1.0}
    assert words == "each node is joined with its nearest neighbour by places.csv"
    assert as_dict(graph_of_places(line(0.0, 3.0), None, "p")[0]) == {(0, 1): 1.0, (1, 0): 1.0}


def test_places_that_give_no_edge():
    nearly = line(0.0, 0.0, 0.0)
    nearly[~torch.eye(3, dtype=torch.bool)] = torch.tensor(
        [100.0, 101.0, 100.0, 102.0, 101.0, 102.0], dtype=torch.float64
    )
    with pytest.raises(
        ValueError, match=r"p: no two nodes are near enough for an edge: the nearest are 100 km apart, .*3"
    ):
        graph_of_places(nearly, None, "p")
    with pytest.raises(ValueError, match="neighbours=3: the series has 3 nodes; give 1 to 2"):
        graph_of_places(line(0.0, 3.0, 4.0), 3, "p")


def test_the_graph_of_correlations_by_hand():
    # b follows a, c is of its own: the correlations of ±1 are 3/4 in size or none.
    a = torch.tensor([1.0, -1, 1, -1, 1, -1, 1, -1])
    c = torch.tensor([1.0, 1, -1, -1, 1, 1, -1, -1])
    b = a.clone()
    b[0] = -1  # Σ ab = 6; means 0 and −1/4: r = 6 / √(8 · (8 − 8/16)) = 6 / √60
    rows = torch.stack([a, b, c], dim=1)
    edges, words = graph_of_correlations(rows, None, 1, ["a", "b", "c"], [])
    ab, bc = 6 / math.sqrt(60), 2 / math.sqrt(60)  # Σ bc = −2
    assert as_dict(edges) == pytest.approx({(0, 1): ab, (1, 0): ab, (1, 2): bc, (2, 1): bc})
    assert words == "each node is joined with the one whose training values correlate most with its own"


def test_a_shared_day_tells_nothing():
    rng = np.random.default_rng(0)
    own = rng.normal(size=(24 * 20, 3))
    own[:, 1] += 2 * own[:, 0]
    day = 30 * np.sin(np.arange(24 * 20) * 2 * np.pi / 24)[:, None]
    plain, _ = training_likeness(torch.from_numpy(own + day), None)
    less, words = training_likeness(torch.from_numpy(own + day), 24)
    assert plain[0, 2] > 0.99
    assert less[0, 1] > 0.85
    assert less[0, 2] < 0.15
    assert words == "training values, less their means at each of the 24 rows of the season,"
    short, words = training_likeness(torch.from_numpy(own + day)[:40], 24)  # not even two seasons
    assert words == "training values"
    assert short[0, 2] > 0.99


def test_two_trends_tell_nothing():
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(400, 2))
    rising = torch.from_numpy(steps + np.arange(400)[:, None])
    found, words = training_likeness(rising, None)
    assert words == "changes from row to row of the training values"
    assert found[0, 1] < 0.2


def test_nodes_that_do_not_change_have_no_edge():
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.normal(size=(50, 3)))
    rows[:, 1] = 4
    notes = []
    edges, _ = graph_of_correlations(rows, None, None, ["a", "b", "c"], notes)
    assert set(as_dict(edges)) == {(0, 2), (2, 0)}
    assert notes == ["'b' does not change in the training rows: there are no correlations, and no edges."]
    rows[:, 0] = torch.nan
    with pytest.raises(ValueError, match="graph_from='correlation': fewer than two nodes change in the training rows"):
        graph_of_correlations(rows, None, None, ["a", "b", "c"], [])
    with pytest.raises(ValueError, match="neighbours=1: the series has 1 node; give a series of two nodes or more"):
        graph_of_correlations(rows[:, 2:], None, 1, ["c"], [])
