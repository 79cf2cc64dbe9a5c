"""One product for all heads: the values and derivatives of a product for each, and no NaN from head to head."""

import pytest
import torch
from torch_geometric.nn import GATConv

from gnnkit.layers import GATLayer
from gnnkit.layers._attention_logits import attention_logits

EDGES = torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]])


@pytest.mark.parametrize("heads", [1, 2, 5])
def test_values_and_derivatives_are_those_of_each_head_by_itself(heads):
    torch.manual_seed(0)
    layer = GATLayer(3, 4, heads=heads).double()
    source = torch.randn(6, heads, 4, dtype=torch.float64, requires_grad=True)
    inputs = (source, layer.att_src, layer.att_dst)
    found = attention_logits(layer, source, source)
    expected = ((source * layer.att_src).sum(-1), (source * layer.att_dst).sum(-1))
    torch.testing.assert_close(found, expected)
    for create in (False, True):
        grads = [
            torch.autograd.grad(a.sin().sum() + (a * b).cos().sum(), inputs, create_graph=create, retain_graph=True)
            for a, b in (found, expected)
        ]
        torch.testing.assert_close(*grads)
    second = [torch.autograd.grad(sum(grad.pow(3).sum() for grad in grads), inputs) for grads in grads]
    torch.testing.assert_close(*second)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_head_keeps_its_nan_to_itself(value):
    torch.manual_seed(0)
    layer, conv = GATLayer(3, 2, heads=3, edge_dim=1), GATConv(3, 2, heads=3, edge_dim=1)
    with torch.no_grad():
        layer.lin.weight[:2] = value  # the first head's
    conv.load_state_dict(layer.state_dict())
    x, attr = torch.rand(4, 3), torch.rand(5, 1)
    found, expected = layer(x, EDGES, attr), conv(x, EDGES, attr)
    torch.testing.assert_close(found, expected, equal_nan=True)
    assert found[:, 2:].isfinite().all()
    assert not found[:, :2].isfinite().any()


def test_an_incoming_nan_of_one_head_reaches_that_head_alone():
    torch.manual_seed(0)
    layer = GATLayer(3, 2, heads=3)
    source = torch.randn(4, 3, 2, requires_grad=True)
    alpha_src, _ = attention_logits(layer, source, source)
    above = torch.ones(4, 3)
    above[1, 2] = float("nan")
    grad_x, grad_attention = torch.autograd.grad(alpha_src, (source, layer.att_src), above)
    assert grad_x.isnan().nonzero().tolist() == [[1, 2, 0], [1, 2, 1]]
    assert grad_attention.isnan().nonzero().tolist() == [[0, 2, 0], [0, 2, 1]]
