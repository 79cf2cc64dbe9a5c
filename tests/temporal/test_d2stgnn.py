import pytest
import torch

from gnnkit.temporal import D2STGNN
from gnnkit.temporal.decoupled_layer import DecoupledLayer, walks
from tests.temporal.fixed import assert_is_the_authors, clock, filled, numbers
from tests.temporal.four_nodes import EDGES, WEIGHT

B, T, N, P = 2, 12, 4, 12

# What https://github.com/GestaltCogTeam/D2STGNN at 82c2d38 makes of the weights and inputs of tests/temporal/fixed.py
# on the graph of four_nodes.py: width, steps of a convolution, of a walk and of a state; the first node's six next
# steps, the sum, and the parameters that reach its forecast, of 387,902 (1,792 do not) and of 31,159 (256). Its
# positions in time were made in float64, and of width 8 its layers of 64, 256 and 512 were 16, 64 and 128.
AUTHORS = {
    "published": (
        (32, 3, 2, 3),
        [-7.008808769, 7.146476463, 4.011839957, -5.175350459, 10.45548877, -2.30840199],
        234.3801947,
        386110,
    ),
    "small": (
        (8, 2, 3, 4),
        [-14.91367336, 9.854861363, -13.542947, 5.137678722, -17.08939188, 9.391948874],
        -323.660683,
        30903,
    ),
}


@pytest.mark.parametrize("case", AUTHORS)
def test_it_is_the_authors_code(case):
    (channels, kernel_size, steps, gap), values, total, parameters = AUTHORS[case]
    sizes = {"history": T, "num_nodes": N, "time_channels": 2, "kernel_size": kernel_size, "steps": steps, "gap": gap}
    model = filled(D2STGNN(3, channels, P, **sizes))
    x = torch.cat([numbers(B, T, N, 1), clock(B, T, N)], dim=-1)
    assert_is_the_authors(model, x, values, total, parameters, edges=(EDGES, WEIGHT))


def test_walks_are_the_powers_without_their_diagonals():
    matrix = numbers(2, N, N)
    for power, found in enumerate(walks(matrix, 3), start=1):
        wanted = torch.linalg.matrix_power(matrix, power)
        torch.testing.assert_close(found, wanted - torch.diag_embed(wanted.diagonal(dim1=-2, dim2=-1)))


def test_a_short_history_is_filled_up_with_zeros_that_no_gate_opens():
    model, x, seen = filled(D2STGNN(1, 4, 5, history=7, num_nodes=N)), numbers(B, 7, N, 1), []
    model.layers[0].register_forward_hook(lambda _, inputs, out: seen.append((inputs, out)))
    y = model(x, EDGES, WEIGHT)
    assert y.shape == (B, 5, N)  # of two states of three steps each
    (h, place, _), (rest, ahead) = seen[0]
    assert (h.shape, place.shape, rest.shape, ahead.shape) == (
        (B, N, 12, 4),
        (B, N, 7, 20),
        (B, N, 10, 4),
        (B, N, 2, 32),
    )
    assert h[:, :, :5].abs().max() == 0
    assert h[:, :, 5:].abs().min() > 0
    long = filled(D2STGNN(1, 4, 5, history=14, num_nodes=N))
    assert long(numbers(B, 14, N, 1), EDGES, WEIGHT).shape == (B, 5, N)


def test_the_next_state_is_one_more_step_of_the_recurrence():
    torch.manual_seed(0)
    sizes = {"matrices": 1, "kernel_size": 2, "states": 1, "is_last": True, "dropout": 0.0}
    layer, x = DecoupledLayer(4, 3, **sizes).double(), numbers(6, 5, 4)
    states, last = layer.recurrence(x)
    torch.testing.assert_close(layer._go_on(x[:, -1], states[:, -2]), last[0], rtol=0, atol=1e-12)
    placed = layer._placed(torch.zeros(1, 3, 5).double())[0]
    angle = 2 / 10000 ** (2 / 5)
    wanted = torch.tensor([2.0, 2.0, angle, angle, 2 / 10000 ** (4 / 5)], dtype=torch.float64)
    wanted = torch.where(torch.arange(5) % 2 == 0, wanted.sin(), wanted.cos())
    torch.testing.assert_close(placed[2], wanted, rtol=0, atol=1e-12)


def test_far_horizons_learn_later():
    torch.manual_seed(0)
    model = D2STGNN(1, 4, 4, history=T, num_nodes=N, curriculum=0.4, dropout=0.0).double().train()
    x, target = numbers(B, T, N, 1), numbers(B, 4, N)
    for progress, rows in ((0.0, 1), (0.25, 3), (1.0, 3)):
        model.zero_grad()
        model(x, EDGES, WEIGHT, target=target, progress=progress).sum().backward()
        assert int((model.head_2.weight.grad.abs().sum(1) > 0).sum()) == rows  # of a state's three steps


def test_the_learned_graph_and_bad_arguments():
    model = filled(D2STGNN(1, 4, P, history=T, num_nodes=N))
    torch.testing.assert_close(model.learned_adjacency().sum(1), torch.ones(N).double())
    with pytest.raises(ValueError, match="edge_index is None, but D2STGNN needs a graph; give edge_index"):
        model(numbers(B, T, N, 1))
    with pytest.raises(ValueError, match="gap must be a whole number of at least 1, got 0"):
        D2STGNN(1, 4, P, history=T, num_nodes=N, gap=0)
