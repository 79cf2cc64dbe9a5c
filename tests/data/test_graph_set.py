"""Many graphs in long tensors: batches, degrees, digests, and what is refused."""

import pytest
import torch

from gnnkit.data.graph_set import GraphSet


def toy(**changes):
    parts = {
        "name": "toy",
        "node_counts": torch.tensor([2, 3, 1]),
        "edge_counts": torch.tensor([1, 2, 0]),
        "edge_index": torch.tensor([[0, 0, 1], [1, 1, 2]]),
        "y": torch.tensor([0, 1, 0]),
        "task": "classes",
        "metric": "acc",
        "num_classes": 2,
        "x": torch.arange(6.0).view(6, 1),
        "edge_categories": torch.tensor([[0], [1], [2]]),
        "edge_category_sizes": (3,),
    }
    return GraphSet(**{**parts, **changes})


def test_a_batch_is_of_the_graphs_that_are_asked_for_in_their_order():
    batch = toy().batch(torch.tensor([1, 0]))
    assert batch.x.flatten().tolist() == [2, 3, 4, 0, 1]
    assert batch.edge_index.tolist() == [[0, 1, 3], [1, 2, 4]]
    assert batch.batch.tolist() == [0, 0, 0, 1, 1]
    assert batch.edge_categories.flatten().tolist() == [1, 2, 0]
    assert (batch.y.tolist(), batch.num_graphs) == ([1, 0], 2)
    assert batch.categories.shape == (5, 0)
    alone = toy().batch(torch.tensor([2, 2]))
    assert (alone.batch.tolist(), alone.edge_index.shape) == ([0, 1], (2, 0))


def test_degrees_count_incoming_edges():
    assert toy().with_degrees().x[:, 1].expm1().round().tolist() == [0, 1, 0, 1, 1, 0]


def test_a_digest_tells_every_part():
    whole = toy().digests()
    assert set(whole) == {"node_counts", "edge_counts", "edge_index", "y", "x", "edge_categories"}
    assert toy(x=torch.arange(6.0).view(6, 1) + 1).digests()["x"] != whole["x"]
    assert "split" in toy(split=tuple(torch.tensor([[0], [1], [2]]))).digests()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edge_index": torch.tensor([[0, 0, 1], [1, 1, 3]])}, "an edge of graph 1 runs from 1 to 3"),
        ({"edge_index": torch.tensor([[0, -1, 1], [1, 1, 2]])}, "an edge of graph 1 runs from -1 to 1"),
        ({"edge_index": torch.tensor([[0], [1]])}, r"edge_index has shape \[2, 1\] for 3 edges"),
        ({"node_counts": torch.tensor([2, 0, 4])}, "graph 1 has no node"),
        ({"y": torch.tensor([0, 1])}, "3 graphs, 3 counts of edges, 2 labels"),
        ({"y": torch.tensor([0, 2, 0])}, "a label is no class from 0 to 1"),
        ({"x": torch.zeros(5, 1)}, r"x has shape \[5, 1\]"),
        ({"edge_categories": torch.tensor([[0], [1], [3]])}, "categories are numbered from 0"),
        ({"split": tuple(torch.tensor([[0], [0], [2]]))}, "names a graph twice"),
        ({"split": tuple(torch.tensor([[0], [3], [2]]))}, "names graphs from 0 to 2"),
    ],
)
def test_what_does_not_fit_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        toy(**changes)
