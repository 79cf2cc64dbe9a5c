"""Sort, aggregation and maps in one function: its numbers and derivatives are those of the steps."""

import pytest
import torch
from torch import nn

from gnnkit._optional import is_available
from gnnkit.layers import GATv2Layer, GINLayer, GraphConvLayer, SAGELayer, TransformerLayer
from gnnkit.layers._anew import convolve_anew
from gnnkit.ops import use_backend

pytestmark = pytest.mark.skipif(not is_available("numba"), reason="numba is not installed")


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))


LAYERS = {
    "mean": lambda: SAGELayer(4, 4),
    "max": lambda: SAGELayer(4, 4, aggr="max"),
    "min without root": lambda: SAGELayer(4, 4, aggr="min", root_weight=False),
    "sum": lambda: GraphConvLayer(4, 4),
    "sum to fewer": lambda: GraphConvLayer(4, 1),
    "isomorphism": lambda: GINLayer(network(), eps=0.3),
    "isomorphism, eps learnt": lambda: GINLayer(network(), eps=0.3, train_eps=True),
    "isomorphism with a function": lambda: GINLayer(torch.sin, eps=-1.0),
    "dynamic attention": lambda: GATv2Layer(4, 3, heads=2),
    "products": lambda: TransformerLayer(4, 3, heads=2),
}


def derivatives(layer, x, edge_index, second: bool):
    """The output, its gradients, and those of the sum of their squares."""
    leaves = [x, *layer.parameters()]
    out = layer(x, edge_index)
    above = torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view(out.shape)
    first = torch.autograd.grad(out, leaves, above, create_graph=second, allow_unused=True, materialize_grads=True)
    if not second:
        return [out, *first]
    size = sum((gradient.square()).sum() for gradient in first)
    if not size.requires_grad:
        return [out, *first]
    return [out, *first, *torch.autograd.grad(size, leaves, allow_unused=True, materialize_grads=True)]


@pytest.mark.parametrize("name", LAYERS)
def test_numbers_and_derivatives_are_those_of_torchs_operators(graph, name):
    edge_index, num_nodes = graph
    torch.manual_seed(0)
    layer = LAYERS[name]().double()
    x = torch.randn(num_nodes, 4, dtype=torch.float64, requires_grad=True)
    for second in (False, True):
        found = derivatives(layer, x, edge_index, second)
        with use_backend("torch"):
            expected = derivatives(layer, x, edge_index, second)
        for mine, truth in zip(found, expected, strict=True):
            torch.testing.assert_close(mine, truth, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", LAYERS)
def test_features_without_a_gradient_and_no_gradient_at_all(name):
    edge_index = torch.tensor([[0, 1, 2, 2], [1, 2, 0, 1]])
    layer, x = LAYERS[name](), torch.randn(3, 4)
    out = layer(x, edge_index)
    with use_backend("torch"):
        torch.testing.assert_close(out, layer(x, edge_index))
    with torch.no_grad():
        torch.testing.assert_close(layer(x, edge_index), out.detach())
    parameters = [part for part in layer.parameters() if part.requires_grad]
    if parameters:
        found = torch.autograd.grad(out.square().sum(), parameters)
        with use_backend("torch"):
            expected = torch.autograd.grad(layer(x, edge_index).square().sum(), parameters)
        for mine, truth in zip(found, expected, strict=True):
            torch.testing.assert_close(mine, truth)


@pytest.mark.parametrize("name", ["mean", "max", "isomorphism", "products"])
def test_many_gradients_at_once(name):
    edge_index = torch.tensor([[0, 1, 2, 2], [1, 2, 0, 1]])
    layer, x = LAYERS[name]().double(), torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    leaves = [x, *layer.parameters()]
    out = layer(x, edge_index)
    above = torch.randn(2, *out.shape, dtype=torch.float64)
    many = torch.autograd.grad(out, leaves, above, is_grads_batched=True, retain_graph=True)
    for number in range(2):
        for batched, one in zip(many, torch.autograd.grad(out, leaves, above[number], retain_graph=True), strict=True):
            torch.testing.assert_close(batched[number], one)


def test_frozen_maps_have_no_gradient_and_the_others_keep_theirs():
    edge_index, x = torch.tensor([[0, 1], [1, 2]]), torch.randn(3, 4, requires_grad=True)
    layer = SAGELayer(4, 4)
    layer.lin_l.weight.requires_grad_(False)
    layer(x, edge_index).sum().backward()
    assert layer.lin_l.weight.grad is None
    torch.testing.assert_close(layer.lin_r.weight.grad, x.detach().sum(0).expand(4, 4))
    torch.testing.assert_close(layer.lin_l.bias.grad, torch.full((4,), 3.0))


def test_what_it_does_not_take_is_left_to_others():
    edge_index, x, layer = torch.tensor([[0, 1], [1, 2]]), torch.randn(3, 4), GraphConvLayer(4, 4)
    assert convolve_anew(layer, x, edge_index, 3) is not None
    assert convolve_anew(layer, x, torch.tensor([[0, 1], [1, 3]]), 3) is None
    assert convolve_anew(layer, x, torch.tensor([[0, -1], [1, 2]]), 3) is None
    assert convolve_anew(layer, x, torch.zeros(2, 9000, dtype=torch.long), 3) is None
    assert convolve_anew(layer, x.unsqueeze(0), edge_index, 3) is None
    with use_backend("torch"):
        assert convolve_anew(layer, x, edge_index, 3) is None


@pytest.mark.parametrize("name", ["mean", "max", "sum", "isomorphism"])
def test_a_node_that_is_not_there_is_named(name):
    with pytest.raises(ValueError, match="holds node id 3"):
        LAYERS[name]()(torch.randn(3, 4), torch.tensor([[0, 1], [1, 3]]))


def test_reversed_flow_and_edges_that_are_not_contiguous():
    edges = torch.tensor([[0, 1], [1, 2], [2, 0], [2, 1]]).t()
    layer, x = SAGELayer(4, 4, flow="target_to_source"), torch.randn(3, 4)
    with use_backend("torch"):
        expected = layer(x, edges)
    torch.testing.assert_close(layer(x, edges), expected)
    torch.testing.assert_close(layer(x, edges.int()), expected)


def test_a_result_that_is_written_into_keeps_the_gradients_right():
    edge_index, x = torch.tensor([[0, 1, 2], [1, 2, 0]]), torch.randn(3, 4, requires_grad=True)
    layer = SAGELayer(4, 4)
    out = layer(x, edge_index)
    expected = torch.autograd.grad(2 * layer(x, edge_index).sum(), x)[0]
    torch.testing.assert_close(torch.autograd.grad(out.mul_(2).sum(), x)[0], expected)
