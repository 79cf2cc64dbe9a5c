import pandas as pd
import pytest
from rich.console import Console

from gnnkit.kept_files import read_json, write_json
from gnnkit.studies.combinations import study
from gnnkit.studies.combinations.settings import CombinationsSettings
from gnnkit.studies.combinations.study import load_runs, run_study

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
    part = out / "runs" / "lstm-T3-embedding1-report-seed42.json.7-1.part"
    part.write_text("{half")
    before = {path.name: path.read_bytes() for path in (out / "runs").glob("*.json")}
    done.clear()
    rows = run_study(settings(seeds=(0, 24, 42)), out)
    assert done == [42]
    assert not part.exists()
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
    with pytest.raises(ValueError, match=r"holds runs with another steps \(6 there, and 7 now\): repeat that, or"):
        run_study(settings(seeds=(0,), steps=7), out)
    assert len(load_runs(out)) == 1


def test_runs_of_an_earlier_gnnkit_are_refused_before_anything_is_trained(tmp_path, monkeypatch):
    out = tmp_path / "out"
    run_study(settings(seeds=(0,)), out)
    file = out / "runs" / "lstm-T3-embedding1-report-seed0.json"
    document = read_json(file)
    del document["row"]["initialization"]
    write_json(file.with_name("lstm-T3-embedding1-seed0.json"), document)
    monkeypatch.setattr(study, "train", lambda *args, **options: pytest.fail("trained"))
    with pytest.raises(ValueError, match="holds runs of an earlier gnnkit, which do not say how they began"):
        run_study(settings(seeds=(0, 24)), out)


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


@pytest.mark.parametrize("rate", [1e6, 1e38])
def test_a_loss_that_explodes_is_no_row(tmp_path, rate):
    out = tmp_path / "out"
    message = r"lstm-T.*: the (training|test) loss is .*: lower learning_rate \(now 1e\+.*\) or clip"
    with pytest.raises(FloatingPointError, match=message):
        run_study(settings(seeds=(0,), learning_rate=rate), out)
    assert not (out / "rows.csv").exists()
    # Nothing is finished: the same folder takes the lower rate, and then no other.
    assert len(run_study(settings(seeds=(0,)), out)) == 1
    with pytest.raises(ValueError, match="holds runs with another learning_rate"):
        run_study(settings(seeds=(0,), learning_rate=rate), out)
