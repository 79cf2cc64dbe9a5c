"""TUDataset's raw files: values by hand, PyG's reader, and what is refused."""

import random

import pytest
import torch

from gnnkit.data.graphs import load_graphs
from gnnkit.data.tu_graphs import read_tu
from tests.data.graph_files import made_graphs, write_tu

TWO = [(2, [(0, 1)], 0), (3, [(0, 1), (1, 2)], 1)]


def test_all_parts_by_hand(tmp_path):
    # The nodes of the two graphs take turns, so that both have to be brought together.
    folder = write_tu(
        tmp_path,
        TWO,
        A=["1, 3", "3, 1", "2, 4", "4, 2", "4, 5", "5, 4"],
        graph_indicator=[1, 2, 1, 2, 2],
        node_labels=[7, 7, -1, 3, 7],
        node_attributes=["0.5, 1", "2, 2", "3, 3", "4, 4", "5, 5"],
        edge_labels=[1, 1, 2, 2, 2, 1],
        edge_attributes=[0.1, 0.1, 0.2, 0.2, 0.3, 0.3],
    )
    found = read_tu(folder)
    assert (found.node_counts.tolist(), found.edge_counts.tolist()) == ([2, 3], [2, 4])
    assert found.edge_index.tolist() == [[0, 1, 0, 1, 1, 2], [1, 0, 1, 0, 2, 1]]
    assert found.x.tolist() == [[0.5, 1], [3, 3], [2, 2], [4, 4], [5, 5]]
    assert (found.categories.flatten().tolist(), found.category_sizes) == ([2, 0, 2, 1, 2], (3,))
    assert found.edge_attr.flatten().tolist() == pytest.approx([0.1, 0.1, 0.2, 0.2, 0.3, 0.3])
    assert (found.edge_categories.flatten().tolist(), found.edge_category_sizes) == ([0, 0, 1, 1, 1, 0], (2,))
    assert (found.y.tolist(), found.task, found.metric, found.num_classes) == ([0, 1], "classes", "acc", 2)
    assert found.remarks == ("classes 0 to 1 are the labels -1, 1",)


def test_it_is_what_pyg_reads(tmp_path):
    from torch_geometric.io import read_tu_data

    graphs = made_graphs(20)
    nodes = sum(size for size, *_ in graphs)
    labels = [random.Random(3).choice([1, 2, 5]) for _ in range(nodes)]
    folder = write_tu(tmp_path, graphs, node_labels=labels)
    data, slices, _ = read_tu_data(str(folder), "TOY")
    found = read_tu(folder)
    every = found.batch(torch.arange(20))
    # PyG numbers the nodes of each graph from 0 where it cuts it out.
    starts = torch.repeat_interleave(found.node_ptr[:-1], found.edge_counts)
    theirs = data.edge_index + (starts if data.edge_index.max() < nodes - 1 else 0)
    assert sorted(every.edge_index.t().tolist()) == sorted(theirs.t().tolist())
    assert found.node_ptr.tolist() == slices["x"].tolist()
    assert found.categories.flatten().tolist() == [(1, 2, 5).index(label) for label in labels]
    assert data.y.tolist() == found.y.tolist()


def test_numbers_of_a_graph_are_told_by_its_attributes(tmp_path):
    folder = write_tu(tmp_path / "DS", TWO, graph_labels=None, graph_attributes=["1.5, 2", "-1, 0"])
    found = load_graphs(folder)
    assert (found.task, found.metric, found.y.tolist()) == ("numbers", "rmse", [[1.5, 2.0], [-1.0, 0.0]])
    assert found.x.tolist() == [[1.0]] * 5  # nothing is known of a node
    write_tu(folder, TWO, graph_attributes=["1.5, 2", "-1, 0"])
    assert load_graphs(folder).task == "classes"
    assert load_graphs(folder, target="numbers").task == "numbers"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"A": ["1, 2", "2, 6"]}, r"TOY_A.txt: row 2, column 2 is 6; it must be a whole number from 1 to 5"),
        ({"A": ["1, 2", "0, 1"]}, "row 2, column 1 is 0"),
        ({"A": ["1, 2", "1.5, 1"]}, r"row 2, column 1 is 1\.5"),
        ({"A": ["1, 2", "1, x"]}, r"TOY_A.txt is damaged .*'x'"),
        ({"A": ["1, 2", "1"]}, "row 2, column 2 is empty or no number"),
        ({"A": ["1, 2", "2, 3"]}, "row 2 connects node 2 of graph 1 with node 3 of graph 2"),
        ({"graph_indicator": [1, 1, 2, 2, 3]}, "row 5, column 1 is 3; it must be a whole number from 1 to 2"),
        ({"graph_indicator": [2, 2, 2, 2, 2]}, "gives graph 1 no node"),
        ({"graph_labels": [1, 1]}, "there is nothing to tell apart"),
        ({"node_labels": [1, 2]}, "TOY_node_labels.txt has 2 rows, and 5 belong there"),
        ({"node_attributes": [1, 2, "inf", 4, 5]}, "row 3, column 1 is inf"),
        ({"node_attributes": [1, 2, "nan", 4, 5]}, "row 3, column 1 is empty"),
        ({"edge_labels": [1]}, "TOY_edge_labels.txt has 1 rows, and 6 belong there"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        read_tu(write_tu(tmp_path, TWO, **changes))


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no folder"):
        load_graphs(tmp_path / "no")
    with pytest.raises(FileNotFoundError, match=r"neither a DS_A.txt .* nor an edge.csv.gz"):
        load_graphs(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"TOY_graph_indicator\.txt is not there"):
        load_graphs(write_tu(tmp_path, TWO, graph_indicator=None))
