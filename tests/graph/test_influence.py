"""Influence by hop: equal to the Jacobian, to PyG's, and zero outside of the receptive field."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data
from torch_geometric.nn import APPNP, GAT, GCN
from torch_geometric.utils.influence import jacobian_l1_agg_per_hop

from gnnkit.graph import count_hops, hop_distances, influence_by_hop, receptive_field, six_node_graph
from gnnkit.layers import NodeClassifier
from gnnkit.ops import use_backend


def random_graph(seed, nodes, edges, undirected=False):
    generator = torch.Generator().manual_seed(seed)
    edge_index = torch.randint(nodes, (2, edges), generator=generator)
    if undirected:
        edge_index = torch.cat([edge_index, edge_index.flip(0)], dim=1)
        edge_index = edge_index[:, edge_index[0] != edge_index[1]].unique(dim=1)
    return edge_index, torch.randn(nodes, 5, dtype=torch.float64, generator=generator)


def by_jacobian(model, x, edge_index, nodes, hops, *args):
    with use_backend("torch"):  # no kernel has to be compiled for it
        jacobian = torch.autograd.functional.jacobian(lambda given: model(given, edge_index, *args)[nodes], x)
    influence = jacobian.abs().sum(dim=(1, 3))
    # Distances to a node are distances from it against the edges.
    levels = hop_distances(edge_index.flip(0), nodes, x.size(0))
    return torch.stack([(influence * (levels == hop)).sum(1) for hop in range(hops + 1)], dim=1)


MODELS = {
    "gcn": lambda: GCN(5, 8, 2, 3),
    "gat": lambda: GAT(5, 8, 2, 3, heads=2),
    "gnnkit gcn": lambda: NodeClassifier(5, 8, 3),
    "gnnkit gat": lambda: NodeClassifier(5, 4, 3, layer="gat", heads=2, num_layers=3),
    "gcn2": lambda: NodeClassifier(5, 8, 3, layer="gcn2", num_layers=3),
    "as wide as the features": lambda: NodeClassifier(5, 5, 5, num_layers=3),
    "dagnn": lambda: NodeClassifier(5, 8, 3, layer="dagnn", num_layers=3),
    "wider than the features": lambda: NodeClassifier(5, 32, 3, num_layers=3),
}


@pytest.mark.parametrize("whole_graph", [False, True])
@pytest.mark.parametrize("name", list(MODELS))
def test_it_is_the_jacobian_of_the_whole_graph(name, whole_graph):
    torch.manual_seed(0)
    model = MODELS[name]().double().eval()
    edge_index, x = random_graph(0, 40, 45, undirected=True)
    nodes = [0, 3, 7, 20]
    found = influence_by_hop(model, x, edge_index, nodes, max_hops=4, whole_graph=whole_graph)
    torch.testing.assert_close(found, by_jacobian(model, x, edge_index, nodes, 4), rtol=1e-9, atol=1e-12)
    assert not found.requires_grad


@pytest.mark.parametrize("model", [GCN(5, 8, 2, 3), GAT(5, 8, 2, 3)])
def test_it_is_pygs_with_one_hop_more(model):
    model = model.double().eval()
    edge_index, x = random_graph(3, 60, 70, undirected=True)
    data = Data(x=x, edge_index=edge_index, num_nodes=60)
    found = influence_by_hop(model, x, edge_index, [1, 30])
    for row, node in zip(found, [1, 30], strict=True):
        # PyG normalises on the subgraph: only with a hop more than the depth are its degrees those of the graph.
        expected = jacobian_l1_agg_per_hop(model, data, 3, node, "cpu")[:3]
        torch.testing.assert_close(row, expected, rtol=1e-9, atol=1e-12)


def test_weights_and_other_ways_in():
    torch.manual_seed(0)
    edge_index, x = random_graph(1, 40, 50)
    weight = torch.rand(50, dtype=torch.float64)
    model = NodeClassifier(5, 8, 3).double().eval()
    found = influence_by_hop(model, x, edge_index, [2, 9], edge_weight=weight)
    torch.testing.assert_close(found, by_jacobian(model, x, edge_index, [2, 9], 2, weight), rtol=1e-9, atol=1e-12)

    class Skip(torch.nn.Module):
        """The features come in by a linear map and beside it."""

        def __init__(self):
            super().__init__()
            self.gcn = GCN(5, 8, 2, 5)

        def forward(self, x, edge_index):
            return self.gcn(x, edge_index) + x.sin()

    model = Skip().double().eval()
    found = influence_by_hop(model, x, edge_index, [2, 9])
    torch.testing.assert_close(found, by_jacobian(model, x, edge_index, [2, 9], 2), rtol=1e-9, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), nodes=st.integers(2, 12), layers=st.integers(1, 3))
def test_receptive_field_by_gradient_lies_within_the_hops(seed, nodes, layers):
    edge_index, x = random_graph(seed, nodes, 2 * nodes)
    model = NodeClassifier(5, 4, 2, num_layers=layers).double()
    field = receptive_field(model, x, edge_index, nodes=list(range(nodes))) > 0
    levels = hop_distances(edge_index.flip(0), list(range(nodes)), nodes)
    assert not (field & ((levels < 0) | (levels > layers))).any()
    beyond = influence_by_hop(model, x, edge_index, max_hops=layers + 2)[:, layers + 1 :]
    assert not beyond.any()


def test_news_from_c_reaches_e_in_the_fourth_layer():
    graph = six_node_graph()
    x = torch.randn(6, 5, dtype=torch.float64)
    for layers in (3, 4):
        model = NodeClassifier(5, 4, 2, num_layers=layers, activation="none").double()
        found = influence_by_hop(model, x, graph.edge_index, [4], max_hops=4)[0]
        assert (found[:4] > 0).all()
        assert bool(found[4] > 0) == (layers == 4)


def test_hops_are_counted_and_mistakes_named():
    assert count_hops(GCN(5, 8, 3, 2)) == 3
    assert count_hops(torch.nn.Sequential(GCN(5, 8, 1), APPNP(K=10, alpha=0.1))) == 11
    edge_index, x = random_graph(0, 6, 8)
    with pytest.raises(ValueError, match=r"no MessagePassing module .* pass num_hops"):
        influence_by_hop(torch.nn.Linear(5, 2), x, edge_index)
    with pytest.raises(ValueError, match="dense floating-point features"):
        influence_by_hop(GCN(5, 8, 2), x.to_sparse_csr(), edge_index)
    with pytest.raises(ValueError, match="nodes holds node id 6"):
        influence_by_hop(GCN(5, 8, 2), x, edge_index, [6])
