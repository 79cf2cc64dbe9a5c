"""Training within a budget: the best weights stay, the history says when."""

import math

import pytest
import torch
from torch import nn

from gnnkit.training import BudgetFit, BudgetSettings, fit_within_budget


class Line(nn.Module):
    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(0.0))


def losses(model, target=3.0, count=4):
    def one_pass():
        for _ in range(count):
            yield (model.slope - target).square()

    return one_pass


def test_it_learns_and_counts():
    model, told = Line(), []
    fit = fit_within_budget(
        model,
        losses(model),
        lambda: {"score": -abs(float(model.slope.detach()) - 3.0)},
        BudgetSettings(seconds=60, epochs=200, learning_rate=0.1),
        choose_by="score",
        on_scores=lambda *seen: told.append(seen),
    )
    assert (fit.epochs, fit.steps) == (200, 800)
    assert model.slope.item() == pytest.approx(3.0, abs=1e-3)
    assert not model.training
    assert len(told) == len(fit.history) >= 5
    assert fit.history[-1]["step"] == 800
    assert fit.peak_memory_mb > 0


def test_the_best_weights_stay():
    model = Line()
    fit = fit_within_budget(
        model,
        losses(model),
        lambda: {"score": -abs(float(model.slope.detach()) - 1.0)},  # best on the way, not at the end
        BudgetSettings(seconds=60, epochs=100, learning_rate=0.05, validations=50),
        choose_by="score",
    )
    assert model.slope.item() == pytest.approx(1.0, abs=0.4)
    assert fit.best_score == pytest.approx(-abs(model.slope.item() - 1.0))


def test_the_budget_ends_it():
    model = Line()
    fit = fit_within_budget(
        model, losses(model), lambda: {"score": 0.0}, BudgetSettings(seconds=0.2, validations=2), choose_by="score"
    )
    assert 0.2 <= fit.seconds < 5
    assert [row["score"] for row in fit.history] == [0.0] * len(fit.history)


def test_seconds_to_wanted_scores():
    history = [{"seconds": 1.0, "a": 0.5, "b": 0.9}, {"seconds": 2.0, "a": 0.8, "b": 0.7}]
    fit = BudgetFit(history=history)
    assert fit.seconds_to(a=0.6) == 2.0
    assert fit.seconds_to(b=0.9) == 1.0
    assert math.isnan(fit.seconds_to(a=0.6, b=0.8))


def test_a_loss_that_is_not_finite_is_named():
    model = Line()
    with pytest.raises(FloatingPointError, match="the training loss is nan at epoch 1, step 1: lower"):
        fit_within_budget(
            model,
            lambda: iter([model.slope * math.nan]),
            lambda: {"score": 0.0},
            BudgetSettings(seconds=60, epochs=1),
            choose_by="score",
        )


def test_no_loss_at_all():
    model = Line()
    with pytest.raises(ValueError, match="a pass has no loss"):
        fit_within_budget(model, lambda: iter([]), lambda: {"s": 0.0}, BudgetSettings(epochs=1), choose_by="s")


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"learning_rate": -1}, {"validations": 0}, {"epochs": 0}])
def test_bad_settings(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BudgetSettings(**wrong)


def test_a_score_a_weight_or_a_loss_beyond_all_measure_ends_it():
    def fit(losses, score=0.0):
        settings = BudgetSettings(seconds=60, epochs=1, learning_rate=0.5)
        fit_within_budget(model, losses, lambda: {"score": score}, settings, choose_by="score")

    model = Line()
    with pytest.raises(
        FloatingPointError, match=r"the validation's score is nan at step 1: lower learning_rate \(now 0.5\)"
    ):
        fit(lambda: iter([model.slope**2]), math.nan)
    with pytest.raises(FloatingPointError, match=r"the training loss is nan at epoch 1, step 62"):
        fit(lambda: (model.slope * (math.nan if step == 61 else 1.0) for step in range(100)))
    model = Line()
    with pytest.raises(
        FloatingPointError, match=r"the training loss is \d.*e\+\d+ at step 2, and was .* at first: lower"
    ):
        fit(lambda: ((model.slope - 3).square() * factor for factor in (1.0, 1e9)))
    model = Line()
    with pytest.raises(
        FloatingPointError, match=r"a weight of slope is nan at step 1"
    ):  # a finite loss, its slope none
        fit(lambda: iter([(model.slope - model.slope.detach()).sqrt().sum()]))
