"""Readouts and the virtual node: values by hand, derivatives, odd graphs."""

import pytest
import torch

from gnnkit.layers import VirtualNode, readout

X = [[1.0, -4.0], [3.0, 2.0], [5.0, 0.0]]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("sum", [[4.0, -2.0], [0.0, 0.0], [5.0, 0.0]]),
        ("mean", [[2.0, -1.0], [0.0, 0.0], [5.0, 0.0]]),
        ("max", [[3.0, 2.0], [0.0, 0.0], [5.0, 0.0]]),
    ],
)
def test_by_hand_and_its_derivatives(kind, expected):
    x, batch = torch.tensor(X, dtype=torch.float64, requires_grad=True), torch.tensor([0, 0, 2])
    assert readout(x, batch, 3, kind).tolist() == expected

    def pool(x):
        return readout(x, batch, 3, kind) ** 2

    assert torch.autograd.gradcheck(pool, (x,))
    assert torch.autograd.gradgradcheck(pool, (x,))


def test_another_readout_is_refused():
    with pytest.raises(ValueError, match="readout must be one of sum, mean, max, got 'median'"):
        readout(torch.tensor(X), torch.tensor([0, 0, 1]), 2, "median")


def test_a_virtual_node_hears_of_its_own_graph_alone():
    torch.manual_seed(0)
    node, batch = VirtualNode(2).double().eval(), torch.tensor([0, 0, 1])
    with torch.no_grad():
        node.first.copy_(torch.tensor([0.5, -1.0]))
    x = torch.tensor(X, dtype=torch.float64)
    start = node.start(2)
    assert start.tolist() == [[0.5, -1.0]] * 2
    assert node.spread(x, start, batch).tolist() == [[1.5, -5.0], [3.5, 1.0], [5.5, -1.0]]
    told = node.gather(x, start, batch)
    assert torch.allclose(told[0], start[0] + node.mlp(torch.tensor([[4.5, -3.0]], dtype=torch.float64))[0])
    changed = node.gather(x + torch.tensor([[0.0], [0.0], [9.0]]), start, batch)
    assert torch.equal(changed[0], told[0])
    assert not torch.equal(changed[1], told[1])
