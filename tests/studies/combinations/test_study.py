import json

import pandas as pd
import pytest
import torch
from rich.console import Console

from gnnkit.data import RandomCombinations
from gnnkit.studies.combinations import study
from gnnkit.studies.combinations.study import CombinationsSettings, Run, evaluate, load_runs, run_study, train

TINY = {
    "lengths": (3,),
    "cells": ("lstm",),
    "embeddings": (1,),
    "initializations": ("report",),
    "seeds": (0, 24),
    "steps": 6,
    "hidden_channels": 8,
}
TINY |= {"batch_size": 16, "test_sequences": 100, "device": "cpu"}


def settings(**changes):
    return CombinationsSettings(**{**TINY, **changes})


def test_defaults_are_the_reports_recipe():
    recipe = CombinationsSettings().recipe()
    assert recipe == {
        "steps": 2000,
        "hidden_channels": 128,
        "batch_size": 128,
        "learning_rate": 1e-3,
        "clip": 10.0,
        "test_sequences": 5000,
    }
    assert CombinationsSettings().seeds == (0, 24, 42)
    assert len(CombinationsSettings().runs()) == 3 * 2 * 2 * 2 * 3


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


def test_study_writes_rows_tables_and_figures(tmp_path):
    out = tmp_path / "out"
    rows = run_study(settings(), out)
    assert sorted(path.name for path in out.iterdir()) == [
        "accuracy.png",
        "curves.csv",
        "gradient_flow.png",
        "loss.png",
        "recipe.json",
        "report.md",
        "rows.csv",
        "runs",
    ]
    assert list(rows["seed"]) == [0, 24]
    read = pd.read_csv(out / "rows.csv")
    assert list(read["loss"]) == pytest.approx(list(rows["loss"]))
    curves = pd.read_csv(out / "curves.csv")
    assert list(curves[curves["seed"] == 24]["step"]) == [1, 2, 3, 4, 5, 6]
    assert "Table 1: LSTM" in (out / "report.md").read_text()
    for name in ("loss", "accuracy", "gradient_flow"):
        assert 1000 < (out / f"{name}.png").stat().st_size < 200_000


def test_a_study_goes_on_where_it_was_cut_off(tmp_path, monkeypatch):
    out, done = tmp_path / "out", []

    def cut_off(run, *args, real=study.train, **options):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(run.seed)
        return real(run, *args, **options)

    monkeypatch.setattr(study, "train", cut_off)
    with pytest.raises(KeyboardInterrupt):
        run_study(settings(seeds=(0, 24, 42)), out)
    assert sorted(path.name for path in (out / "runs").iterdir()) == [
        "lstm-T3-embedding1-report-seed0.json",
        "lstm-T3-embedding1-report-seed24.json",
    ]
    (out / "runs" / "lstm-T3-embedding1-report-seed42.part").write_text("{half")
    before = {path.name: path.read_bytes() for path in (out / "runs").glob("*.json")}
    done.clear()
    rows = run_study(settings(seeds=(0, 24, 42)), out)
    assert done == [42]
    assert list(rows["seed"]) == [0, 24, 42]
    assert all((out / "runs" / name).read_bytes() == content for name, content in before.items())
    # Nothing is left to do: nothing is trained, and more of another kind is added.
    done.clear()
    run_study(settings(seeds=(0,)), out)
    assert done == []
    assert len(run_study(settings(cells=("gru",), seeds=(0,)), out)) == 4


def test_another_recipe_is_refused(tmp_path):
    out = tmp_path / "out"
    run_study(settings(seeds=(0,)), out)
    with pytest.raises(ValueError, match=r"holds runs with steps=6, not 7; repeat that or give another folder"):
        run_study(settings(seeds=(0,), steps=7), out)
    assert len(load_runs(out)) == 1


def test_runs_of_an_earlier_gnnkit_are_refused_before_anything_is_trained(tmp_path, monkeypatch):
    out = tmp_path / "out"
    run_study(settings(seeds=(0,)), out)
    file = out / "runs" / "lstm-T3-embedding1-report-seed0.json"
    document = json.loads(file.read_text())
    del document["row"]["initialization"]
    file.with_name("lstm-T3-embedding1-seed0.json").write_text(json.dumps(document))
    monkeypatch.setattr(study, "train", lambda *args, **options: pytest.fail("trained"))
    with pytest.raises(ValueError, match="holds runs of an earlier gnnkit, which do not say how they began"):
        run_study(settings(seeds=(0, 24)), out)


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


def test_foreign_folders_are_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match="holds other files"):
        run_study(settings(), tmp_path)
    with pytest.raises(ValueError, match="is a file"):
        run_study(settings(), tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(ValueError, match="device is 'abacus'"):
        run_study(settings(device="abacus"), tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match="holds no finished run"):
        load_runs(tmp_path)


def test_a_terminal_gets_a_bar(tmp_path):
    console = Console(force_terminal=True, width=120, record=True)
    with console.capture() as captured:
        run_study(settings(), tmp_path / "out", console=console)
    assert "run 2 of 2  lstm-T3-embedding1-report-seed24" in captured.get()
    quiet = Console(force_terminal=False)
    with quiet.capture() as captured:
        run_study(settings(cells=("rnn",)), tmp_path / "out", console=quiet)
    assert captured.get() == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lengths": (5, 1)}, r"lengths must list whole numbers of at least 2, got \[5, 1\]"),
        ({"embeddings": (0,)}, "embeddings must list whole numbers of at least 1"),
        ({"seeds": ()}, "seeds must list whole numbers of at least 0"),
        ({"seeds": (1, 1)}, "seeds names something twice"),
        ({"cells": ("lstm", "transformer")}, "cells must list some of rnn, lstm, gru, birnn, bilstm, bigru"),
        ({"initializations": ("zeros",)}, r"initializations must list some of report, gnnkit, got \['zeros'\]"),
        ({"initializations": ()}, "initializations must list some of"),
        ({"initializations": ("report", "report")}, "initializations names something twice"),
        ({"hidden_channels": 0}, "hidden_channels must be a whole number of at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be a positive number"),
        ({"clip": float("nan")}, "clip must be a positive number, got nan"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        settings(**changes)


@pytest.mark.parametrize("rate", [1e6, 1e38])
def test_a_loss_that_explodes_is_no_row(tmp_path, rate):
    out = tmp_path / "out"
    message = r"lstm-T.*: the (training|test) loss is .*: lower learning_rate \(now 1e\+.*\) or clip"
    with pytest.raises(FloatingPointError, match=message):
        run_study(settings(seeds=(0,), learning_rate=rate), out)
    assert not (out / "rows.csv").exists()
    # Nothing is finished: the same folder takes the lower rate, and then no other.
    assert len(run_study(settings(seeds=(0,)), out)) == 1
    with pytest.raises(ValueError, match="holds runs with learning_rate="):
        run_study(settings(seeds=(0,), learning_rate=rate), out)
