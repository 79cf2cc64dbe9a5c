import pytest
import torch

from gnnkit.temporal import STAEformer
from tests.temporal.fixed import assert_is_the_authors, clock, filled, numbers

B, T, N, P = 2, 12, 4, 3

# What https://github.com/XDZhelheim/STAEformer at 2dfb9e3 makes of the weights and inputs of tests/temporal/fixed.py,
# its weekday being 0 to 6 and the weight that reads it a seventh: width, heads, whether it is told the time; three
# steps of the first two nodes, the sum, the parameters. 152 is its own width.
AUTHORS = {
    "published": (
        (152, 4, True),
        [-2.755834623, -1.092750015, 0.637440191, -2.756502303, -1.09195745, 0.6361315365],
        -25.85094664,
        1047675,
    ),
    "small": (
        (19, 1, True),
        [-2.183744335, -4.310073052, -3.258343384, -2.188615443, -4.307871754, -3.256353165],
        -78.05222504,
        19242,
    ),
    "no clock": (
        (16, 4, False),
        [-0.4488065776, -0.5841138193, -0.1787083332, -0.4519579883, -0.5847971996, -0.1777507801],
        -9.7353068,
        13563,
    ),
}


@pytest.mark.parametrize("case", AUTHORS)
def test_it_is_the_authors_code(case):
    (channels, heads, told), values, total, parameters = AUTHORS[case]
    sizes = {"history": T, "num_nodes": N, "heads": heads, "time_channels": 2 if told else 0}
    model = filled(STAEformer(3 if told else 1, channels, P, **sizes))
    x = torch.cat([numbers(B, T, N, 1), clock(B, T, N)], dim=-1) if told else numbers(B, T, N, 1)
    assert_is_the_authors(model, x, values, total, parameters)


def test_the_shares_of_the_width_are_the_authors():
    model = STAEformer(3, 152, P, history=T, num_nodes=N, time_channels=2)
    assert (model.embed.out_features, *model.times.shape) == (24, 288, 24)
    assert (model.days.shape, model.steps.shape) == ((7, 24), (T, N, 80))
    assert model.temporal[0].linear_1.out_features == 256
    for width in range(4, 80):
        sizes = {"history": 1, "num_nodes": 1, "time_channels": 2, "layers": 1}
        assert STAEformer(3, width, 1, **sizes).spatial[0].linear_1.in_features == width


def test_the_layers_along_time_hear_no_other_node_and_those_among_nodes_no_other_step():
    model, x, seen = filled(STAEformer(1, 16, P, history=T, num_nodes=N, layers=1)), numbers(B, T, N, 1), {}
    model.temporal[0].register_forward_hook(lambda _, inputs, out: seen.update(after=out[0].transpose(1, 2)))
    model.spatial[0].register_forward_hook(lambda _, inputs, out: seen.update(last=out[0]))
    model(x)
    before, last = seen["after"], seen["last"]
    changed = x.clone()
    changed[:, 3, 1] += 1.0
    model(changed)
    moved = (seen["after"] - before).abs().amax((0, 3)) > 1e-9  # [T, N]
    assert moved.nonzero()[:, 1].unique().tolist() == [1]
    assert moved[:, 1].all()
    assert ((seen["last"] - last).abs().amax((0, 3)) > 1e-12).all()


def test_bad_arguments():
    with pytest.raises(ValueError, match="in_channels=2 leaves no target beside time_channels=2"):
        STAEformer(2, 8, P, history=T, num_nodes=N, time_channels=2)
