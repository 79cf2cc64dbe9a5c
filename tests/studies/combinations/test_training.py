import json

import pytest
import torch

from gnnkit.data import RandomCombinations
from gnnkit.studies.combinations import training as study
from gnnkit.studies.combinations.settings import CombinationsSettings, Run
from gnnkit.studies.combinations.training import evaluate, train

TINY = {
    "lengths": (3,),
    "cells": ("lstm",),
    "embeddings": (1,),
    "initializations": ("report",),
    "steps": 6,
    "hidden_channels": 8,
}
TINY |= {"batch_size": 16, "test_sequences": 100, "device": "cpu"}


def settings(**changes):
    return CombinationsSettings(**{**TINY, **changes})


def test_training_learns_and_reports_itself():
    run = Run("bilstm", 4, 8, "report", 0)
    seen = []
    result = train(
        run,
        settings(steps=150, hidden_channels=32, learning_rate=1e-2, batch_size=64),
        on_step=lambda *a: seen.append(a),
    )
    row, curve = result["row"], result["curve"]
    assert json.loads(json.dumps(result)) == result
    assert row["accuracy"] == 1.0
    assert row["loss"] < 0.05
    assert 20 <= row["steps_to_99"] < 150
    assert (row["cell"], row["length"], row["embedding"], row["seed"], row["steps"]) == ("bilstm", 4, 8, 0, 150)
    assert {"hardware", "threads", "torch", "gnnkit", "commit", "date", "seconds", "parameters"} <= row.keys()
    assert curve["step"] == list(range(1, 151))
    assert curve["loss"][-1] < 0.1 < curve["loss"][0]
    assert [s for s, _, _ in seen] == curve["step"]
    assert seen[-1][1:] == (curve["loss"][-1], curve["accuracy"][-1])
    assert len(result["flow"]["start"]) == len(result["flow"]["end"]) == 3


def test_curves_of_long_runs_are_means_over_blocks():
    whole = train(Run("lstm", 3, 1, "report", 0), settings(steps=410))
    assert whole["curve"]["step"][:2] == [2, 4]
    assert whole["curve"]["step"][-1] == 410
    short = train(Run("lstm", 3, 1, "report", 0), settings(steps=2))
    assert whole["curve"]["loss"][0] == pytest.approx(sum(short["curve"]["loss"]) / 2)


def test_a_run_depends_on_its_seed_alone():
    torch.manual_seed(1)
    first = train(Run("lstm", 3, 1, "report", 24), settings())
    torch.manual_seed(2)
    second = train(Run("lstm", 3, 1, "report", 24), settings())
    other = train(Run("lstm", 3, 1, "report", 25), settings())
    assert first["curve"] == second["curve"]
    assert first["row"]["loss"] == second["row"]["loss"] != other["row"]["loss"]


def test_first_steady_step():
    accuracy = torch.cat([torch.full((30,), 0.9), torch.full((40,), 1.0)])
    # 18 of 20 batches right, 2 at 0.9: the mean is 0.99.
    assert study._first_steady(accuracy) == 30 + 18
    assert study._first_steady(torch.full((100,), 0.98)) is None
    assert study._first_steady(torch.ones(19)) is None
    assert study._first_steady(torch.ones(20)) == 20


def test_evaluation_weighs_every_combination_once():
    class Fixed(torch.nn.Module):
        def forward(self, tokens):
            return torch.log_softmax(torch.nn.functional.one_hot(tokens[:, 0], 4).float(), dim=1)

    data = RandomCombinations(4, size=10)
    tokens, target = data.__getitems__(list(range(10)))
    scores = Fixed()(tokens)
    loss, accuracy = evaluate(Fixed(), data, batch_size=4)
    assert loss == pytest.approx(torch.nn.functional.nll_loss(scores, target).item())
    assert accuracy == 0.0  # the first number is never the last


@pytest.mark.parametrize(("initialization", "fan"), [("report", 8), ("gnnkit", 3)])
def test_a_run_begins_as_its_name_says(initialization, fan, monkeypatch):
    class Caught(Exception):
        pass

    def catch(model, sample):
        raise Caught(model.kaiming_fan, model.recurrences[0].network.weight_ih_l0.detach())

    monkeypatch.setattr(study, "gradient_flow", catch)
    with pytest.raises(Caught) as caught:
        train(Run("lstm", 3, 3, initialization, 0), settings())
    assert caught.value.args[0] == {"report": "out", "gnnkit": "in"}[initialization]
    assert caught.value.args[1].std().item() == pytest.approx((2 / fan) ** 0.5, rel=0.2)
