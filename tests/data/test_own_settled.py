import numpy as np
import pandas as pd
import pytest
import torch

from gnnkit.data import GraphSeries, Split, read_own

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(100, 4)) @ RNG.normal(size=(4, 4))
SERIES = pd.DataFrame(VALUES, columns=list("abcd"))
PLACES = pd.DataFrame({"node": list("dcba"), "x": [0.0, 3, 4, 9], "y": 0.0})
ROADS = pd.DataFrame({"from": list("abc"), "to": list("bcd"), "km": [5.0, 1.0, 3.0]})


def edges(series):
    return dict(zip(map(tuple, series.edge_index.T.tolist()), series.edge_weight.tolist(), strict=True))


def test_a_graph_of_correlations_is_made_of_training_rows_alone():
    made = read_own(SERIES, graph_from="correlation", neighbours=1)
    assert made.graph_rows == range(70)
    assert made.graph_source.endswith("(70 training rows alone)")
    assert made.source == "own data, a series in memory, a graph made of correlations"
    other = SERIES.copy()
    other.iloc[70:] = RNG.normal(size=(30, 4)) * 100  # validation and test rows
    again = read_own(other, graph_from="correlation", neighbours=1)
    assert torch.equal(again.edge_index, made.edge_index)
    assert torch.equal(again.edge_weight, made.edge_weight)
    r = np.abs(np.corrcoef(VALUES[:70].T)) - np.eye(4)
    for (source, target), weight in edges(made).items():
        assert weight == pytest.approx(r[source, target], abs=1e-6)
        assert r[source, target] > min(r[source].max(), r[target].max()) - 1e-9
    shorter = read_own(SERIES, graph_from="correlation", split=(0.3, 0.2, 0.5))
    assert (shorter.graph_rows, shorter.split.label) == (range(30), "30/20/50 by time")


def test_a_series_does_not_take_a_split_that_its_graph_has_seen():
    made = read_own(SERIES, graph_from="correlation")
    seen = "graph_rows: the graph was made of the values of rows 0 to 69, and the training rows end at row 49; make it"
    with pytest.raises(ValueError, match=seen):
        GraphSeries(**{**vars(made), "split": Split(range(50), range(50, 60), range(60, 100))})


def test_places_make_a_graph_and_a_map():
    made = read_own(SERIES, places=PLACES, places_unit="km")
    # d, c, b, a at 0, 3, 4, 9 km: distances 3, 4, 9, 1, 6, 5, σ² = 6.222; pairs nearer than 3.79 km are edges.
    sigma2 = np.var([3, 4, 9, 1, 6, 5])
    expected = {(3, 2): np.exp(-9 / sigma2), (2, 1): np.exp(-1 / sigma2)}
    assert edges(made) == pytest.approx({**expected, **{pair[::-1]: weight for pair, weight in expected.items()}})
    assert made.positions is not None
    assert made.positions[:, 0].tolist() == [5, 0, -1, -4]
    assert made.source == "own data, a series in memory, a graph made of places"
    assert made.graph_source.startswith("Gaussian kernel of the distances by places, exp(−d² / σ²) with σ = 2.494 km")
    assert made.graph_rows is None
    both = read_own(SERIES, ROADS.rename(columns={"km": "weight"}), graph_weights="similarity", places=PLACES,
                    places_unit="m")  # fmt: skip
    assert (both.edge_index.size(1), both.graph_source) == (3, "")
    assert both.positions is not None
    correlated = read_own(SERIES, places=PLACES, places_unit="km", graph_from="correlation")
    assert correlated.graph_rows == range(70)


def test_distances_go_through_the_kernel_where_they_are_said_to_be_some():
    made = read_own(SERIES, ROADS, graph_weights="distance")
    sigma2 = 8 / 3  # of 5, 1 and 3
    assert edges(made) == pytest.approx({(1, 2): np.exp(-1 / sigma2)})  # exp(−9 · 3/8) is below .1
    assert made.graph_source.startswith("Gaussian kernel of the distances of a graph in memory")
    assert edges(read_own(SERIES, ROADS, graph_weights="similarity")) == {(0, 1): 5.0, (1, 2): 1.0, (2, 3): 3.0}
    near = read_own(SERIES, ROADS, graph_weights="distance", neighbours=1)
    assert edges(near) == {(0, 1): 1.0, (1, 2): 1.0, (2, 3): 1.0}
    asked = "under 'km' and go from 1 to 5, as distances do; give --graph-weights distance, .* or --graph-weights simil"
    with pytest.raises(ValueError, match=asked):
        read_own(SERIES, ROADS)
    matrix = np.array([[0, 2.0, np.inf, np.inf], [2, 0, 1, np.inf], [np.inf, 1, 0, 1], [np.inf, np.inf, 1, 0]])
    none = r"the distances, 1 to 2, are all far beyond their standard deviation 0.4714, the width of the kernel, and no"
    with pytest.raises(ValueError, match=none):
        read_own(SERIES, matrix, graph_weights="distance")
    matrix[0, 1] = matrix[1, 0] = 9
    made = read_own(SERIES, matrix, graph_weights="distance")
    assert set(edges(made)) == {(1, 2), (2, 1), (2, 3), (3, 2)}
    assert made.notes == ("graph: 2 of 6 distances are beyond the reach of the kernel, 1 at most, and no edges.",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"graph_from": "places"}, "graph_from='places': no places are given; give them (--places), or another graph"),
        ({"graph_from": "nothing"}, "graph_from='nothing': give one of places, correlation"),
        ({"graph": ROADS, "graph_from": "correlation"}, "graph_from='correlation': a graph is given too; leave one of"),
        ({"graph_weights": "distance"}, "graph_weights='distance': no graph is given; give one (--graph), or leave it"),
        ({"graph": ROADS, "graph_weights": "cost"}, "graph_weights='cost': give one of similarity, distance"),
        ({"places_unit": "km"}, "places_unit='km': no places are given; give them (--places), or leave it out"),
        ({"neighbours": 2}, "neighbours=2: only for a graph that is made; give places (--places), --graph-from"),
        ({"places": PLACES}, "places: 'x' and 'y' have no unit; give --places-unit degrees"),
    ],
)
def test_what_contradicts_itself_is_told_in_one_line(options, message):
    with pytest.raises(ValueError) as caught:
        read_own(SERIES, **options)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
