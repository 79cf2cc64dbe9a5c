import pytest
import torch

from gnnkit.temporal import PatchTST, ResidualForecaster
from tests.temporal.fixed import assert_is_the_authors, filled, numbers

B, N, P = 2, 4, 3

# What https://github.com/yuqinie98/PatchTST at 204c21e (PatchTST_supervised) makes of the weights and inputs of
# tests/temporal/fixed.py: history, width, heads; three steps of the first two nodes, the sum, the parameters.
AUTHORS = {
    "long": (
        (48, 32, 16, True),
        [12.81754897, -1.931037012, -37.00658869, -12.7442426, -4.168008469, -28.93286721],
        -105.3328078,
        26947,
    ),
    "an hour": (
        (12, 8, 4, True),
        [-37.26545888, -11.46901609, -10.35090541, -32.9372261, -7.415988715, 10.56432346],
        -473.9314714,
        2035,
    ),
    "no norm": (
        (12, 8, 4, False),
        [-27.64047595, -48.23058944, 14.47159779, -17.6600735, -40.34507679, 6.609525291],
        -521.9521258,
        2035,
    ),
}


@pytest.mark.parametrize("case", AUTHORS)
def test_it_is_the_authors_code(case):
    (history, channels, heads, normalize), values, total, parameters = AUTHORS[case]
    model = filled(PatchTST(1, channels, P, history=history, heads=heads, normalize=normalize))
    assert_is_the_authors(model, numbers(B, history, N, 1), values, total, parameters)


@pytest.mark.parametrize(
    ("history", "length", "stride", "patches"),
    [(336, 16, 8, 42), (48, 16, 8, 6), (24, 8, 4, 6), (12, 4, 2, 6), (6, 2, 1, 6), (1, 1, 1, 2)],
)
def test_a_short_history_has_short_patches(history, length, stride, patches):
    """336 steps and 42 patches are the paper's PatchTST/42."""
    model = PatchTST(1, 4, P, history=history)
    assert (model.patch_length, model.stride, model.patches) == (length, stride, patches)
    assert model(torch.randn(B, history, N, 1)).shape == (B, P, N)


def test_the_last_step_is_repeated_and_patches_hold_all_features_of_one_node():
    model, seen = PatchTST(2, 4, P, history=5, patch_length=3, stride=2, normalize=False), []
    model.embed.register_forward_hook(lambda _, inputs, out: seen.append(inputs[0]))
    x = torch.arange(5.0).view(1, 5, 1, 1) + torch.tensor([0.0, 100.0])
    model(x)
    assert seen[0][0, 0].tolist() == [
        [0, 1, 2, 100, 101, 102],
        [2, 3, 4, 102, 103, 104],
        [4, 4, 4, 104, 104, 104],
    ]


def test_in_the_residual_form_the_level_is_the_last_value_alone():
    model, x = PatchTST(1, 8, P, history=12).double().eval(), numbers(B, 12, N, 1)
    residual = ResidualForecaster(model)
    assert not model.adds_level
    torch.testing.assert_close(residual(x + 7.0), residual(x) + 7.0, rtol=0, atol=1e-9)
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.zero_()
    torch.testing.assert_close(residual(x), x[:, -1:, :, 0].expand(-1, P, -1), rtol=0, atol=0)


def test_bad_arguments():
    with pytest.raises(ValueError, match="patch_length=16 is longer than the history, 12 steps; shorten it"):
        PatchTST(1, 4, P, history=12, patch_length=16)
    with pytest.raises(ValueError, match="stride must be a whole number of at least 1, got 0"):
        PatchTST(1, 4, P, history=12, stride=0)
