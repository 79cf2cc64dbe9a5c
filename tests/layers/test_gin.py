"""GINLayer: equality with PyG's GINConv, whatever the network begins with, and what it says to wrong input."""

import pytest
import torch
from torch import nn
from torch_geometric.nn import MLP, GINConv
from torch_geometric.utils import to_torch_csr_tensor

from gnnkit.layers import GINLayer

EDGES = torch.tensor([[0, 1, 2, 2, 1], [1, 2, 2, 0, 2]])
NETWORKS = {
    "narrow": lambda: nn.Sequential(nn.Linear(6, 2), nn.ReLU(), nn.Linear(2, 3)),
    "wide": lambda: nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 3)),
    "two maps": lambda: nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 4), nn.Tanh()),
    "two maps, no bias": lambda: nn.Sequential(
        nn.Linear(6, 9, bias=False), nn.ReLU(inplace=True), nn.Linear(9, 3, bias=False)
    ),
    "no bias": lambda: nn.Sequential(nn.Linear(6, 2, bias=False)),
    "no map first": lambda: nn.Sequential(nn.ReLU(), nn.Linear(6, 3)),
    "MLP": lambda: MLP([6, 2, 3], norm=None),
    "map": lambda: nn.Linear(6, 3),
}


@pytest.mark.parametrize("network", list(NETWORKS))
def test_equals_pyg_on_edge_lists(graph, network, assert_same):
    edge_index, num_nodes = graph
    for settings in ({}, {"train_eps": True, "eps": 0.3}, {"aggr": "max"}, {"aggr": "mean"}):
        module = NETWORKS[network]()
        layer, conv = GINLayer(module, **settings).double(), GINConv(module, **settings).double()
        assert_same(layer, conv, torch.randn(num_nodes, 6, dtype=torch.float64), edge_index)


def test_two_kinds_of_nodes_and_sparse_matrices(assert_near, assert_same):
    module = NETWORKS["narrow"]()
    layer, conv = GINLayer(module).double(), GINConv(module).double()
    edges, pair = torch.tensor([[0, 4, 4, 2], [1, 0, 1, 1]]), tuple(torch.randn(n, 6).double() for n in (5, 3))
    assert_same(layer, conv, pair, edges)
    assert_near(layer((pair[0], None), edges, (5, 3)), conv((pair[0], None), edges, (5, 3)), "no targets")
    adj_t = to_torch_csr_tensor(edges, size=(5, 3)).t().to_sparse_csr().double()
    assert_near(layer(pair, adj_t), conv(pair, adj_t), "adj_t")


def test_derivatives_to_second_order_and_hooks_of_the_network():
    layer, seen = GINLayer(nn.Sequential(nn.Linear(6, 2), nn.Tanh()), train_eps=True).double(), []
    x = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: layer(x, EDGES), (x,))
    assert torch.autograd.gradgradcheck(lambda x: layer(x, EDGES), (x,))
    out = layer(x, EDGES)
    layer.nn[0].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape))
    torch.testing.assert_close(layer(x, EDGES), out)
    assert seen == [(4, 6)]  # as PyG's: what goes into the network is not what is summed
    assert layer.propagate.__module__.endswith("_propagate")


def test_derivatives_of_two_maps_to_second_order_and_a_hook_between_them():
    layer, seen = GINLayer(nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 2))).double(), []
    parameters = tuple(layer.parameters())
    x = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)

    def out(x, *values):
        named = dict(zip([name for name, _ in layer.named_parameters()], values, strict=True))
        return torch.func.functional_call(layer, named, (x, EDGES)).square()

    assert torch.autograd.gradcheck(out, (x, *parameters))
    assert torch.autograd.gradgradcheck(out, (x, *parameters))
    before = layer(x, EDGES)
    for part in (1, 2):
        handle = layer.nn[part].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape))
        torch.testing.assert_close(layer(x, EDGES), before)
        handle.remove()
    assert seen == [(4, 9)] * 2
    for parameter in parameters[2:]:  # a part that is not learnt
        parameter.requires_grad_(False)
    layer(x, EDGES).sum().backward()
    assert parameters[0].grad is not None
    assert parameters[2].grad is None


def test_mistakes_are_named():
    layer = GINLayer(nn.Sequential(nn.Linear(6, 2)))
    with pytest.raises(ValueError, match="x has 5 features per node, the layer's nn begins with a map of 6"):
        layer(torch.randn(3, 5), EDGES)
    with pytest.raises(ValueError, match=r"x\[0\] has 6 features per node, x\[1\] has 5: they are added up"):
        layer((torch.randn(3, 6), torch.randn(3, 5)), EDGES)
    with pytest.raises(ValueError, match=r"node id 2|node 2"):
        layer(torch.randn(2, 6), EDGES)
