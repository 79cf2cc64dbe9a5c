import pytest
import torch

from gnnkit.sequence._contract import append_mask, check_choice, check_dropout, check_history, check_size


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3", None])
def test_a_size_is_a_whole_number_of_at_least_1(value):
    with pytest.raises(ValueError, match=rf"^horizon must be a whole number of at least 1, got {value!r}$"):
        check_size("horizon", value)


def test_a_size_comes_back():
    assert check_size("horizon", 3) == 3


@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan")])
def test_dropout_is_a_share(value):
    with pytest.raises(ValueError, match="dropout must be a share"):
        check_dropout(value)
    assert check_dropout(0.5) == 0.5


def test_a_choice_lists_what_is_allowed():
    check_choice("layers", None, (1, 2, None))
    with pytest.raises(ValueError, match=r"^layers must be one of 1, 2, None, got True$"):
        check_choice("layers", True, (1, 2, None))


def test_a_history_says_which_axis_is_wrong():
    x = torch.zeros(2, 5, 4, 1)
    check_history(x, 1, num_nodes=4, history=5)
    with pytest.raises(ValueError, match=r"x must have shape \[B, T, N, F\] with T at least 1, got \[5, 4, 1\]"):
        check_history(x[0], 1)
    with pytest.raises(ValueError, match=r"with T at least 1, got \[2, 0, 4, 1\]"):
        check_history(x[:, :0], 1)
    with pytest.raises(ValueError, match=r"x has F = 1 in \[2, 5, 4, 1\].*build it with in_channels=1"):
        check_history(x, 2)
    with pytest.raises(ValueError, match=r"x has N = 4 .*built for num_nodes=3"):
        check_history(x, 1, num_nodes=3)
    with pytest.raises(ValueError, match=r"x has T = 5 .*built for history=12"):
        check_history(x, 1, history=12)


def test_the_mask_goes_behind_the_features():
    x = torch.tensor([[[[7.0], [8.0]]]])
    mask = torch.tensor([[[[True], [False]]]])
    assert append_mask(x, mask).tolist() == [[[[7.0, 1.0], [8.0, 0.0]]]]
    assert append_mask(x, None).tolist() == [[[[7.0, 1.0], [8.0, 1.0]]]]
    with pytest.raises(ValueError, match=r"mask must have the shape of x, \[1, 1, 2, 1\], got \[1, 2, 1\]"):
        append_mask(x, mask[0])
