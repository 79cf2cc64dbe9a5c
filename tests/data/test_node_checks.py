"""What a graph of nodes must hold before training, and what tells it from another."""

import pytest
import torch
from torch_geometric.data import Data

from gnnkit.data.node_checks import check_edges, check_nodes, digest_nodes


def graph(**changes):
    part = torch.arange(6) // 2
    parts = {
        "x": torch.arange(12.0).view(6, 2),
        "edge_index": torch.tensor([[0, 1, 5], [1, 0, 4]]),
        "y": torch.tensor([0, 1, 2, 0, 1, 2]),
        "num_classes": 3,
        "train_mask": part == 0,
        "val_mask": part == 1,
        "test_mask": part == 2,
    }
    return Data(**{**parts, **changes})


def with_one(table, place, value):
    table = table.clone()
    table[place] = value
    return table


def test_a_good_graph_passes():
    check_nodes(graph())
    check_nodes(graph(x=graph().x.to_sparse_csr()))
    tasks = with_one(torch.ones(6, 2), (0, 0), torch.nan)
    check_nodes(graph(y=tasks, num_classes=2))
    check_nodes(graph(y=with_one(graph().y, 5, -1), test_mask=torch.arange(6) == 4))  # not known, and in no part


NAN = with_one(graph().x, (4, 1), torch.nan)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": None}, r"it has no x; node classification needs"),
        ({"x": NAN}, r"x: node 4, column 1 is nan; features must be finite numbers, and 1 are not"),
        ({"x": NAN.to_sparse_csr()}, r"x: node 4, column 1 is nan"),
        ({"x": NAN.to_sparse_coo()}, r"x: node 4, column 1 is nan"),
        ({"x": torch.full((6, 2), torch.inf)}, r"x: node 0, column 0 is inf; .* and 12 are not"),
        ({"y": torch.zeros(5, dtype=torch.long)}, r"y has 5 rows for 6 nodes"),
        ({"y": with_one(graph().y, 3, 7)}, r"y: node 3 of val_mask has the label 7; it must be a class from 0 to 2"),
        ({"y": with_one(graph().y, 0, -1)}, r"y: node 0 of train_mask has the label -1"),
        ({"y": graph().y.float()}, r"y must be whole numbers, the classes, got torch.float32"),
        ({"y": torch.full((6, 2), 2.0)}, r"y: node 0 of train_mask has the label \[2.0, 2.0\]; it must be 0 or 1"),
        ({"y": torch.full((6, 2), torch.nan)}, r"y: no node of train_mask has a label"),
        ({"test_mask": torch.zeros(6, dtype=torch.bool)}, r"test_mask holds none of the 6 nodes"),
        ({"test_mask": torch.arange(6) < 1}, r"train_mask and test_mask share 1 nodes, e.g. node 0"),
        ({"val_mask": torch.tensor([2, 3, 0, 0, 0, 0])}, r"val_mask must be True or False for each node"),
        (
            {"edge_index": torch.tensor([[0, 6], [1, 0]])},
            r"edge 1 runs from 6 to 0; the nodes are numbered from 0 to 5",
        ),
        ({"edge_index": torch.tensor([[0], [-1]])}, r"edge 0 runs from 0 to -1"),
        ({"edge_index": torch.zeros(3, 2)}, r"edge_index must be whole numbers \[2, E\]"),
    ],
)
def test_what_cannot_be_trained_on_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        check_nodes(graph(**changes))


def test_edges_of_no_node():
    check_edges(torch.empty(2, 0, dtype=torch.long), 0)
    with pytest.raises(ValueError, match="edge 0 runs from 0 to 0"):
        check_edges(torch.zeros(2, 1, dtype=torch.long), 0)


def test_a_digest_tells_which_part_has_changed():
    before = digest_nodes(graph())
    assert list(before) == ["x", "edge_index", "y", "train_mask", "val_mask", "test_mask"]
    assert digest_nodes(graph()) == before
    for name, value in (("x", NAN), ("y", graph().y.flip(0)), ("edge_index", graph().edge_index[:, :2])):
        after = digest_nodes(graph(**{name: value}))
        assert [key for key in before if before[key] != after[key]] == [name]
    assert "edge_weight" in digest_nodes(graph(edge_weight=torch.ones(3)))
    # The same bytes in another shape or type are other data.
    assert digest_nodes(graph(x=graph().x.view(12, 1)))["x"] != before["x"]
    assert digest_nodes(graph(x=graph().x.view(torch.int32)))["x"] != before["x"]
    sparse = graph().x.to_sparse_csr()
    assert digest_nodes(graph(x=sparse)) != before
    assert digest_nodes(graph(x=sparse)) != digest_nodes(graph(x=2 * sparse))
    assert digest_nodes(graph(x=graph().x.bfloat16()))["x"] != before["x"]
