import pytest
import torch

from gnnkit.layers import DiffusionLayer, transition_matrices
from gnnkit.layers.diffusion import diffuse

# The hand-worked graph 0 -> 1, 0 -> 2, 1 -> 2: a walker leaves 0 for 1 or 2 with 1/2 each, and 1 for 2 with 1.
EDGES = torch.tensor([[0, 0, 1], [1, 2, 2]])


def test_the_transition_weights_of_the_hand_worked_graph():
    along, against = transition_matrices(EDGES, None, torch.zeros(3, 1, dtype=torch.float64))
    assert [along[1, 0], along[2, 0], along[2, 1]] == [0.5, 0.5, 1.0]
    assert along.sum() == 2.0
    assert [against[0, 1], against[0, 2], against[1, 2]] == [1.0, 0.5, 0.5]
    assert against.sum() == 2.0


def test_where_a_walker_is_after_one_and_two_steps():
    x = torch.eye(3, dtype=torch.float64)  # column j: all of it at node j
    found = diffuse(x, transition_matrices(EDGES, None, x), 2).view(3, 5, 3)
    assert found[:, 1, 0].tolist() == [0.0, 0.5, 0.5]  # from 0, one step along
    assert found[:, 2, 0].tolist() == [0.0, 0.0, 0.5]  # two: by 1 to 2; what was at 2 has no way on
    assert found[:, 3, 2].tolist() == [0.5, 0.5, 0.0]  # from 2, one step against
    assert found[:, 4, 2].tolist() == [0.5, 0.0, 0.0]
    assert torch.equal(found[:, 0], x)


def test_weights_share_the_walkers_out():
    along, against = transition_matrices(EDGES, torch.tensor([1.0, 3.0, 2.0]), torch.zeros(3, 1, dtype=torch.float64))
    assert along.tolist() == [[0, 0, 0], [0.25, 0, 0], [0.75, 1.0, 0]]
    assert against[:, 2].tolist() == pytest.approx([0.6, 0.4, 0.0])


def test_the_layer_is_the_sum_over_walks_and_steps():
    torch.manual_seed(0)
    layer = DiffusionLayer(2, 3, matrices=2).double()
    x = torch.randn(5, 3, 2, dtype=torch.float64)
    along, against = transition_matrices(EDGES, torch.tensor([1.0, 3.0, 2.0]), x)
    blocks = layer.linear.weight.split(2, dim=1)
    powers = [torch.eye(3).double(), along, along @ along, against, against @ against]
    expected = sum(power @ x @ block.t() for power, block in zip(powers, blocks, strict=True)) + layer.linear.bias
    torch.testing.assert_close(layer(x, (along, against)), expected, rtol=0, atol=1e-12)


def test_bad_arguments():
    with pytest.raises(ValueError, match="steps must be a whole number of at least 1, got 0"):
        DiffusionLayer(1, 1, matrices=2, steps=0)
    with pytest.raises(ValueError, match="matrices: 1 are given, but this layer was built for 2"):
        DiffusionLayer(1, 1, matrices=2)(torch.zeros(3, 1), [torch.eye(3)])
