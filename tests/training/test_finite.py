"""What a training that has exploded says."""

import math

import pytest
import torch
from torch import nn

from gnnkit.training import TrainingSettings
from gnnkit.training.finite import (
    check_exploded,
    check_finite,
    check_losses,
    check_step,
    check_weights,
    largest_gradients,
    shown_numbers,
)


def test_a_figure_is_named_with_its_place_and_what_to_lower():
    check_finite("the loss", 1e30, "epoch 1", learning_rate=1.0)
    with pytest.raises(FloatingPointError) as caught:
        check_finite("the training loss", float("inf"), "epoch 2, step 3", learning_rate=1e6, clip=5)
    assert str(caught.value) == (
        "the training loss is inf at epoch 2, step 3: lower learning_rate (now 1e+06) or clip (now 5), or look for "
        "extreme values in the data"
    )


def test_of_several_steps_the_first_is_named():
    check_losses(torch.tensor([1.0, 2.0]), 2, learning_rate=1.0)
    with pytest.raises(FloatingPointError, match=r"training loss is nan at step 9: lower learning_rate \(now 1\)"):
        check_losses(torch.tensor([1.0, torch.nan, torch.inf]), 10, learning_rate=1.0)
    with pytest.raises(FloatingPointError, match=r"training loss is inf at epoch 4, step 10"):
        check_losses(torch.tensor([1.0, 1.0, torch.inf]), 10, 4, learning_rate=1.0)


def test_a_loss_a_thousand_times_the_first_is_no_result():
    check_exploded("the loss", 1900.0, 2.0, "epoch 1", learning_rate=1.0)
    check_exploded("the loss", 900.0, 0.01, "epoch 1", learning_rate=1.0)  # of a first loss of nothing much is a lot
    with pytest.raises(
        FloatingPointError, match=r"the loss is 2.1e\+03 at epoch 1, and was 2 at first: lower learning"
    ):
        check_exploded("the loss", 2100.0, 2.0, "epoch 1", learning_rate=1.0)
    with pytest.raises(FloatingPointError, match="the loss is nan at epoch 1"):
        check_exploded("the loss", float("nan"), 2.0, "epoch 1", learning_rate=1.0)


def test_a_weight_is_named():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    check_weights(model, "step 1", learning_rate=1.0)
    with torch.no_grad():
        model[1].weight[0, 1] = -torch.inf
    with pytest.raises(FloatingPointError, match=r"a weight of 1.weight is -inf at step 1: lower"):
        check_weights(model, "step 1", learning_rate=1.0)


def test_the_largest_gradients_are_named_first_those_that_are_none():
    layer = nn.Linear(2, 1)
    assert largest_gradients(layer) == "not there yet"
    layer.weight.grad, layer.bias.grad = torch.tensor([[1.0, -30.0]]), torch.tensor([2.0])
    assert largest_gradients(layer) == "weight 30, bias 2"
    layer.bias.grad = torch.tensor([math.nan])
    assert largest_gradients(layer, count=1) == "bias nan"
    assert shown_numbers(torch.tensor([4, 2])) == "4, 2"


def test_half_precision_that_overflows_says_so():
    settings = TrainingSettings(precision="16-mixed")
    with pytest.raises(
        FloatingPointError,
        match=r"the training loss is inf at epoch 2, step 7: lower .*, or train with precision bf16-mixed or 32-true, "
        r"as 16-mixed overflows above 65504, or look for extreme values in the series \(the batch is of training",
    ):
        check_step("the training loss", math.inf, 2, 7, settings, torch.tensor([3]))
    check_step("the training loss", 1.0, 2, 7, settings)
