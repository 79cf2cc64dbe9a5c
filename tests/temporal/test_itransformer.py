import pytest
import torch

from gnnkit.temporal import ITransformer, ResidualForecaster
from tests.temporal.fixed import assert_is_the_authors, clock, filled, numbers

B, T, N, P, C = 2, 12, 4, 3, 16

# What https://github.com/thuml/iTransformer at c2426e6 makes of the weights and inputs of tests/temporal/fixed.py: the
# first window's three steps of its first two nodes, the sum over all, and the parameters. The clock is its x_mark_enc.
AUTHORS = {
    "plain": ([0.5782206056, 1.395699439, -0.04760179039, 0.7794146771, 1.398789729, 0.08395695883], 3.66962601, 3683),
    "clock": ([0.5918966019, 1.210673017, -1.96392853, 0.6321372249, 0.4922733855, -2.599982155], -7.716259535, 4211),
    "no norm": ([0.5486710906, 1.719177867, -0.1428177849, 0.5039783584, 1.770068711, 0.107195371], 4.481985772, 3683),
}
SETTINGS = {"plain": {}, "clock": {"time_channels": 2, "inner_channels": 24}, "no norm": {"normalize": False}}


@pytest.mark.parametrize("case", AUTHORS)
def test_it_is_the_authors_code(case):
    values, total, parameters = AUTHORS[case]
    told = case == "clock"
    model = filled(ITransformer(3 if told else 1, C, P, history=T, **SETTINGS[case]))
    x = torch.cat([numbers(B, T, N, 1), clock(B, T, N)], dim=-1) if told else numbers(B, T, N, 1)
    assert_is_the_authors(model, x, values, total, parameters)


def test_a_shift_or_a_scale_of_a_node_comes_back_in_its_forecast():
    model, x = filled(ITransformer(1, C, P, history=T)), numbers(B, T, N, 1)
    moved = x.clone()
    moved[:, :, 1] = 1e3 * x[:, :, 1] + 5.0  # so large that the 1e-5 in the deviation says little
    out, other = model(1e3 * x), model(torch.cat([1e3 * x[:, :, :1], moved[:, :, 1:2], 1e3 * x[:, :, 2:]], dim=2))
    torch.testing.assert_close(other[..., 1], out[..., 1] + 5.0, rtol=1e-9, atol=1e-6)
    torch.testing.assert_close(other[..., [0, 2, 3]], out[..., [0, 2, 3]], rtol=1e-9, atol=1e-6)


def test_all_nodes_are_heard_and_none_by_number():
    model, x = filled(ITransformer(2, C, P, history=T, mask_input=True)), numbers(B, T, N, 2)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(model(x[:, :, order]), model(x)[..., order], rtol=0, atol=1e-11)
    assert model(x[:, :, :3]).shape == (B, P, 3)
    changed = x.clone()
    changed[:, 3, 0, 1] += 1.0  # a covariate of one node at one step
    assert ((model(changed) - model(x)).abs().amax((0, 1)) > 1e-6).all()


def test_in_the_residual_form_the_level_is_the_last_value_alone():
    model, x = ITransformer(1, C, P, history=T).double().eval(), numbers(B, T, N, 1)
    residual = ResidualForecaster(model)
    assert not model.adds_level
    torch.testing.assert_close(residual(x + 7.0), residual(x) + 7.0, rtol=0, atol=1e-9)
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.zero_()
    torch.testing.assert_close(residual(x), x[:, -1:, :, 0].expand(-1, P, -1), rtol=0, atol=0)


def test_bad_arguments():
    with pytest.raises(ValueError, match="in_channels=2 leaves no target beside time_channels=2"):
        ITransformer(2, C, P, history=T, time_channels=2)
    with pytest.raises(ValueError, match="layers must be a whole number of at least 1, got 0"):
        ITransformer(1, C, P, history=T, layers=0)
