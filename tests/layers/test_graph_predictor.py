"""Predictors of whole graphs: what they depend on, and what they are refused."""

import pytest
import torch

from gnnkit.layers import FeatureEncoder, GraphPredictor

EDGES = torch.tensor([[0, 1, 1, 2, 3, 4], [1, 0, 2, 1, 4, 3]])
BATCH = torch.tensor([0, 0, 0, 1, 1])
KINDS = [
    {"layer": "gin"},
    {"layer": "gcn", "readout": "mean"},
    {"layer": "gin", "virtual_node": True, "readout": "max"},
    {"layer": "gcn", "virtual_node": True},
    {"layer": "none"},
]


def test_the_encoder_by_hand():
    encoder = FeatureEncoder(1, (2, 3), 4, normalize=False)
    x, categories = torch.tensor([[2.0], [1.0]]), torch.tensor([[1, 0], [0, 2]])
    table = encoder.table.weight
    expected = torch.stack([table[1] + table[2], table[0] + table[4]]) + encoder.map(x)
    assert torch.allclose(encoder(x, categories), expected)
    with pytest.raises(ValueError, match="x has 1 numbers and 0 categories a row; they are to be 1 and 2"):
        encoder(x)
    with pytest.raises(ValueError, match="give a number or a category"):
        FeatureEncoder(0, (), 4)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_order_of_nodes_and_of_graphs_does_not_matter(kind):
    torch.manual_seed(0)
    model = GraphPredictor(2, 3, 8, num_layers=2, **kind).double().eval()
    x = torch.randn(5, 2, dtype=torch.float64)
    out = model(x, EDGES, BATCH, 2)
    order = torch.tensor([4, 3, 2, 0, 1])
    place = torch.argsort(order)
    again = model(x[order], place[EDGES], 1 - BATCH[order], 2)
    assert torch.allclose(again, out.flip(0))
    alone = model(x[3:], torch.tensor([[0, 1], [1, 0]]), torch.zeros(2, dtype=torch.long), 1)
    assert torch.allclose(alone, out[1:])


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_edges_count_for_who_has_layers(kind):
    torch.manual_seed(0)
    model = GraphPredictor(2, 3, 8, num_layers=2, **kind).eval()
    x = torch.randn(5, 2)
    same = torch.equal(model(x, EDGES, BATCH, 2)[0], model(x, EDGES[:, 2:], BATCH, 2)[0])
    assert same == (kind["layer"] == "none")


def test_features_of_edges_count():
    torch.manual_seed(0)
    model = GraphPredictor(0, 2, 8, num_layers=2, category_sizes=(3,), edge_channels=1, edge_category_sizes=(4,)).eval()
    nodes, numbers, kinds = torch.tensor([[0], [1], [2], [0], [1]]), torch.randn(6, 1), torch.arange(6).view(6, 1) % 4
    out = model(None, EDGES, BATCH, 2, categories=nodes, edge_attr=numbers, edge_categories=kinds)
    for other in ((numbers + 1, kinds), (numbers, 3 - kinds)):
        changed = model(None, EDGES, BATCH, 2, categories=nodes, edge_attr=other[0], edge_categories=other[1])
        assert not torch.allclose(changed, out)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"layer": "gat"}, "layer must be one of gin, gcn, none, got 'gat'"),
        ({"readout": "median"}, "readout must be one of sum, mean, max"),
        ({"dropout": 1.0}, "dropout must be a share"),
        ({"num_layers": 0}, "num_layers must be a whole number"),
        ({"virtual_node": 1}, "virtual_node must be true or false"),
        ({"virtual_node": True, "num_layers": 1}, "virtual_node needs graph layers, at least two"),
        ({"layer": "gcn", "edge_channels": 2}, "layer='gcn' takes no features of edges"),
    ],
)
def test_what_does_not_fit_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        GraphPredictor(2, 3, **wrong)
