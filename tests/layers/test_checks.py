"""The layers' shared checks count edges in every format, and let through what is right."""

import pytest
import torch
from torch_geometric import EdgeIndex

from gnnkit import layers
from gnnkit.graph import to_csr
from gnnkit.layers import GATLayer
from gnnkit.layers._checks import (
    check_attention_call,
    check_attention_ids,
    check_features,
    check_graph_input,
    check_weighted_graph,
    linear_maps,
)

EDGES = torch.tensor([[0, 1, 1], [1, 2, 0]])


def test_edges_are_counted_in_every_format():
    csr = to_csr(EDGES, None, 3)
    for graph in (EDGES, EdgeIndex(EDGES, sparse_size=(3, 3)), csr, csr.to_sparse_coo()):
        assert check_graph_input(graph, (3, 3)) == 3


def test_a_map_that_waits_for_its_first_input_takes_any_width():
    check_features(torch.ones(3, 7), -1)
    with pytest.raises(ValueError, match=r"x has 7 features per node, the layer was made for 4 .*pass in_channels=-1"):
        check_features(torch.ones(3, 7), 4)


def test_one_map_or_two():
    shared, split = GATLayer(4, 2), GATLayer((4, 3), 2)
    assert linear_maps(shared) == (shared.lin, shared.lin)
    assert linear_maps(split) == (split.lin_src, split.lin_dst)


def test_receivers_without_features_are_counted_by_size():
    layer, x = GATLayer(4, 2), (torch.ones(3, 4), None)
    check_attention_call(layer, x, torch.tensor([[0], [4]]), None, (3, 5))
    with pytest.raises(ValueError, match=r"edge_index\[1\] holds node id 4, allowed: 0 .. 2"):
        check_attention_ids(layer, x, torch.tensor([[0], [4]]), None)


def test_weights_come_back_one_for_each_edge():
    weight = torch.tensor([1.0, 2.0, 3.0])
    for shape in ((3,), (3, 1)):
        edges, found = check_weighted_graph(EDGES, weight.view(shape), 3, normalize=True)
        assert edges is EDGES
        assert found is not None
        assert found.tolist() == [1.0, 2.0, 3.0]
    assert check_weighted_graph(EDGES, None, 3, normalize=True)[1] is None
    assert check_weighted_graph(EDGES, torch.tensor(2), 3, normalize=False)[1].tolist() == [2, 2, 2]  # pyright: ignore
    with pytest.raises(ValueError, match=r"floating-point type where it is normalised, got torch.int64"):
        check_weighted_graph(EDGES, weight.long(), 3, normalize=True)


def test_csc_comes_back_as_csr():
    csc = to_csr(EDGES, None, 3).to_sparse_csc()
    assert check_weighted_graph(csc, None, 3, normalize=True)[0].layout == torch.sparse_csr
    assert check_attention_call(GATLayer(4, 2), torch.ones(3, 4), csc, None, None)[0].layout == torch.sparse_csr


STEPS = {
    "GATLayer": lambda: layers.GATLayer(3, 2, aggr="max"),
    "GATv2Layer": lambda: layers.GATv2Layer(3, 2, aggr="max", add_self_loops=False),
    "TransformerLayer": lambda: layers.TransformerLayer(3, 2, aggr="max"),
    "SAGELayer": lambda: layers.SAGELayer(3, 2, aggr="std"),
    "GINLayer": lambda: layers.GINLayer(torch.nn.Linear(3, 2), aggr="std"),
    "GraphConvLayer": lambda: layers.GraphConvLayer(3, 2, aggr="median"),
    "GCNLayer": lambda: layers.GCNLayer(3, 2, aggr="max"),
    "SGLayer": lambda: layers.SGLayer(3, 2, aggr="max", add_self_loops=False),
    "TAGLayer": lambda: layers.TAGLayer(3, 2, aggr="max"),
    "APPNPLayer": lambda: layers.APPNPLayer(2, 0.1, aggr="max", normalize=False),
    "DAGNNLayer": lambda: layers.DAGNNLayer(3, 2, aggr="max"),
}


@pytest.mark.parametrize("name", list(STEPS))
def test_the_steps_give_the_gradients_of_wide_ids_for_narrow_ones(name):
    torch.manual_seed(0)
    layer, x, edges = STEPS[name](), torch.randn(7, 3), torch.randint(7, (2, 40))
    found = []
    for ids in (edges, edges.int(), EdgeIndex(edges.int(), sparse_size=(7, 7))):
        leaf = x.clone().requires_grad_()
        layer(leaf, ids).sin().sum().backward()
        found.append(leaf.grad)
    torch.testing.assert_close(found[1], found[0])
    torch.testing.assert_close(found[2], found[0])
