"""The stack of layers: what each option does to the numbers."""

import pytest
import torch
import torch.nn.functional as F
from torch_geometric.nn import SAGEConv

from gnnkit.graph import six_node_graph
from gnnkit.layers import DAGNNLayer, GATLayer, GCN2Layer, GCNLayer, NodeClassifier

EDGES = six_node_graph().edge_index
X = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))


def test_two_layer_gcn_is_the_papers():
    model = NodeClassifier(5, 4, 3).eval()
    first, second = model.layers
    assert torch.equal(model(X, EDGES), second(F.relu(first(X, EDGES)), EDGES))


def test_gat_concatenates_hidden_heads_and_averages_the_last():
    model = NodeClassifier(5, 4, 3, layer="gat", heads=8, out_heads=2, attention_dropout=0.6, activation="elu")
    first, last = model.layers
    assert isinstance(last, GATLayer)
    assert (first.in_channels, first.out_channels, first.heads, first.concat) == (5, 4, 8, True)
    assert (last.in_channels, last.out_channels, last.heads, last.concat) == (32, 3, 2, False)
    assert first.dropout == last.dropout == 0.6


def test_previous_residual_adds_what_came_before():
    model = NodeClassifier(5, 4, 3, num_layers=3, residual="previous").eval()
    first, second, last = model.layers
    h = F.relu(first(X, EDGES))
    h = F.relu(second(h, EDGES) + h)
    torch.testing.assert_close(model(X, EDGES), last(h, EDGES))


def test_initial_residual_mixes_the_first_features():
    model = NodeClassifier(5, 4, 3, num_layers=4, residual="initial", residual_weight=0.25).eval()
    first, second, third, last = model.layers
    start = F.relu(first(X, EDGES))
    h = F.relu(0.75 * second(start, EDGES) + 0.25 * start)
    h = F.relu(0.75 * third(h, EDGES) + 0.25 * start)
    torch.testing.assert_close(model(X, EDGES), last(h, EDGES))


def test_jumping_knowledge_gives_all_layers_to_the_last_map():
    model = NodeClassifier(5, 4, 3, num_layers=2, jumping="concat").eval()
    first, second = model.layers
    a = F.relu(first(X, EDGES))
    b = F.relu(second(a, EDGES))
    torch.testing.assert_close(model(X, EDGES), model.leave(torch.cat([a, b], dim=1)))
    model = NodeClassifier(5, 4, 3, num_layers=2, jumping="max").eval()
    first, second = model.layers
    a = F.relu(first(X, EDGES))
    torch.testing.assert_close(model(X, EDGES), model.leave(torch.maximum(a, F.relu(second(a, EDGES)))))


def test_gcn2_begins_and_ends_in_a_map():
    model = NodeClassifier(5, 4, 3, layer="gcn2", num_layers=2, residual_weight=0.2, identity_decay=0.7).eval()
    assert all(isinstance(layer, GCN2Layer) for layer in model.layers)
    start = F.relu(model.enter(X))
    h = F.relu(model.layers[0](start, start, EDGES))
    h = F.relu(model.layers[1](h, start, EDGES))
    torch.testing.assert_close(model(X, EDGES), model.leave(h))


def test_dagnn_maps_first_and_carries_the_scores_along():
    model = NodeClassifier(5, 4, 3, layer="dagnn", num_layers=7).eval()
    (hops,) = model.layers
    assert isinstance(hops, DAGNNLayer)
    assert (hops.channels, hops.K) == (3, 7)
    torch.testing.assert_close(model(X, EDGES), hops(model.leave(F.relu(model.enter(X))), EDGES))


def test_edge_weights_reach_layers_that_take_them():
    weight = torch.rand(EDGES.size(1))
    model = NodeClassifier(5, 4, 3).eval()
    first, second = model.layers
    assert torch.equal(model(X, EDGES, weight), second(F.relu(first(X, EDGES, weight)), EDGES, weight))


def test_any_layer_and_sparse_features():
    assert NodeClassifier(5, 4, 3, layer=SAGEConv)(X, EDGES).shape == (6, 3)
    model = NodeClassifier(5, 4, 3, layer=GCNLayer).eval()
    torch.testing.assert_close(model(X.to_sparse_csr(), EDGES), model(X, EDGES))


def test_dropout_is_on_in_training_alone():
    model = NodeClassifier(5, 4, 3, dropout=0.9)
    assert not torch.equal(model(X, EDGES), model(X, EDGES))
    model.eval()
    assert torch.equal(model(X, EDGES), model(X, EDGES))


def test_relabelling_the_nodes_relabels_the_output():
    model = NodeClassifier(5, 4, 3, num_layers=3, normalization="pair", residual="previous").eval()
    order = torch.randperm(6)
    place = order.argsort()
    torch.testing.assert_close(model(X[order], place[EDGES]), model(X, EDGES)[order])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_layers": 0}, "num_layers must be a whole number of at least 1, got 0"),
        ({"hidden_channels": 0}, "hidden_channels must be"),
        ({"layer": "sage"}, "layer must be 'gcn', 'gat', 'gcn2', 'dagnn' or a function .* got 'sage'"),
        ({"activation": "tanh"}, "activation must be one of 'relu', 'elu', 'none', got 'tanh'"),
        ({"normalization": "batch"}, "normalization must be one of"),
        ({"residual": "dense"}, "residual must be one of None, 'previous', 'initial', got 'dense'"),
        ({"jumping": "lstm"}, "jumping must be one of"),
        ({"residual_weight": 2.0}, "residual_weight must be a share from 0 to 1, got 2.0"),
        ({"layer": "dagnn", "residual": "initial"}, "residual must be None for layer='dagnn', .* got 'initial'"),
        ({"residual_weight": "x"}, "residual_weight must be a share from 0 to 1, got 'x'"),
        ({"dropout": 1.5}, "dropout must be a share from 0 to 1, got 1.5"),
        ({"attention_dropout": "a"}, "attention_dropout must be a share from 0 to 1, got 'a'"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        NodeClassifier(**{"in_channels": 5, "hidden_channels": 4, "out_channels": 3, **options})
