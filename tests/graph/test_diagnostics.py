"""Over-smoothing measures: hand-computed values, and what they must not depend on."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.nn import GCN

from gnnkit.graph import (
    dirichlet_energy,
    mean_average_distance,
    normalize_adjacency,
    six_node_graph,
    smoothness_by_layer,
)
from gnnkit.layers import NodeClassifier
from gnnkit.ops import spmm

PAIR = torch.tensor([[0, 1], [1, 0]])


def random_graph(seed, nodes):
    generator = torch.Generator().manual_seed(seed)
    edge_index = torch.randint(nodes, (2, 3 * nodes), generator=generator)
    return edge_index, torch.randn(nodes, 3, dtype=torch.float64, generator=generator), generator


def test_energy_of_a_pair():
    x = torch.tensor([[1.0, 0.0], [3.0, 1.0]])
    assert dirichlet_energy(x, PAIR, normalization="none").item() == pytest.approx(5 / 2)  # |(2, 1)|² / N, once an edge
    assert dirichlet_energy(x, PAIR).item() == pytest.approx(5 / 2)  # both ends over sqrt(2)
    assert dirichlet_energy(x, PAIR, torch.tensor([3.0, 3.0])).item() == pytest.approx(3 * 5 / 4)


def test_energy_is_the_laplacians_quadratic_form():
    edge_index, x, _ = random_graph(0, 12)
    both = torch.cat([edge_index, edge_index.flip(0)], dim=1)
    both = both[:, both[0] != both[1]].unique(dim=1)
    index, weight = normalize_adjacency(both, None, 12)
    form = (x * (x - spmm(index, x, weight.double()))).sum()
    torch.testing.assert_close(dirichlet_energy(x, both), form, rtol=1e-6, atol=1e-6)


def test_energy_is_zero_where_graph_convolution_ends():
    edge_index = six_node_graph(self_loops=False).edge_index
    degree = torch.bincount(edge_index[1]).double()
    assert dirichlet_energy((1 + degree).sqrt().unsqueeze(1), edge_index).item() == pytest.approx(0, abs=1e-12)
    assert dirichlet_energy(torch.ones(6, 2), edge_index, normalization="none").item() == 0


def test_batches_and_gradients():
    edge_index, x, _ = random_graph(1, 6)
    batch = torch.stack([x, 2 * x])
    torch.testing.assert_close(dirichlet_energy(batch, edge_index)[1], 4 * dirichlet_energy(x, edge_index))
    assert torch.autograd.gradcheck(lambda h: dirichlet_energy(h, edge_index), x.requires_grad_())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), nodes=st.integers(2, 15))
def test_measures_do_not_see_the_nodes_numbers(seed, nodes):
    edge_index, x, generator = random_graph(seed, nodes)
    order = torch.randperm(nodes, generator=generator)
    place = order.argsort()
    for normalization in ("symmetric", "none"):
        here = dirichlet_energy(x, edge_index, normalization=normalization)
        there = dirichlet_energy(x[order], place[edge_index], normalization=normalization)
        torch.testing.assert_close(here, there)
    assert mean_average_distance(x[order], place[edge_index]) == pytest.approx(mean_average_distance(x, edge_index))
    assert mean_average_distance(x[order]) == pytest.approx(mean_average_distance(x))


def test_average_distance_by_hand():
    x = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [5.0, 0.0]])
    # Distances: 0-1 1, 0-2 2, 0-3 0, 1-2 1, 1-3 1, 2-3 2; node means of those not 0: 3/2, 1, 5/3, 3/2.
    assert mean_average_distance(x) == pytest.approx((1.5 + 1 + 5 / 3 + 1.5) / 4)
    assert mean_average_distance(x, torch.tensor([[0, 3, 1], [2, 0, 0]])) == pytest.approx(
        1.5
    )  # 0 hears 3 (at 0) and 1
    assert mean_average_distance(torch.ones(4, 2)) == 0.0
    assert mean_average_distance(torch.ones(1, 2)) == 0.0


def test_layers_are_named_and_measured():
    graph = six_node_graph()
    x = torch.randn(6, 4)
    model = GCN(4, 8, 3)
    model.train()
    found = smoothness_by_layer(model, x, graph.edge_index)
    assert [layer.name for layer in found] == ["input", "convs.0", "convs.1", "convs.2"]
    first = model.eval().convs[0](x, graph.edge_index).double()
    raw = dirichlet_energy(first, graph.edge_index).item()
    assert found[1].raw_energy == pytest.approx(raw)
    assert found[1].energy == pytest.approx(raw / first.square().sum().item())
    assert found[1].distance == pytest.approx(mean_average_distance(first.float(), graph.edge_index), abs=1e-5)


def test_plain_convolution_smooths_and_the_cure_does_not():
    torch.manual_seed(0)
    graph = six_node_graph()
    x = torch.randn(6, 4)
    plain = smoothness_by_layer(NodeClassifier(4, 16, 3, num_layers=32), x, graph.edge_index)
    cured = smoothness_by_layer(NodeClassifier(4, 16, 3, num_layers=32, layer="gcn2"), x, graph.edge_index)
    assert plain[-1].energy < 1e-6 < 1e-3 < cured[-1].energy


def test_the_models_mode_is_given_back_and_mistakes_are_named():
    model = NodeClassifier(4, 8, 3)
    smoothness_by_layer(model, torch.randn(6, 4), six_node_graph().edge_index)
    assert model.training
    assert model.drop.training
    with pytest.raises(ValueError, match="no MessagePassing module to look behind"):
        smoothness_by_layer(torch.nn.Linear(2, 2), torch.ones(2, 2), PAIR)
    with pytest.raises(ValueError, match="normalization must be 'symmetric' or 'none', got 'row'"):
        dirichlet_energy(torch.ones(2, 2), PAIR, normalization="row")
