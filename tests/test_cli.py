"""The command line: what it answers, and how it takes bad input."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gnnkit
from gnnkit.cli import main
from gnnkit.compare import Results

ROOT = Path(gnnkit.__file__).parents[1]
QUICK = [
    "--horizon",
    "2,3",
    "--history",
    "4",
    "--seeds",
    "1",
    "--epochs",
    "1",
    "--hidden",
    "4",
    "--device",
    "cpu",
    "--resamples",
    "100",
]


def call(*words):
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return left.value.code


@pytest.fixture
def files(tmp_path):
    """A good series of 3 nodes and a good graph."""
    values = 50 + np.random.default_rng(0).normal(size=(120, 3)).cumsum(axis=0)
    np.savetxt(tmp_path / "speeds.csv", values, delimiter=",", header="a,b,c", comments="", fmt="%.3f")
    np.savetxt(tmp_path / "graph.csv", np.eye(3, k=1), delimiter=",", fmt="%g")
    return tmp_path


def own(files, *more, series="speeds.csv", graph="graph.csv", models="gru"):
    paths = ["--series", files / series, "--graph", files / graph, "--out", files / "out"]
    return call("compare", *paths, "--models", models, *QUICK, *more)


def test_own_files_give_a_folder_with_rows_results_and_a_report(files, capsys):
    assert own(files, "--step-minutes", 5, "--season", 12, "--unit", "mph", models="gru,tgcn") == 0
    shown = capsys.readouterr()
    assert sorted(path.name for path in (files / "out").iterdir()) == ["report.html", "results.json", "rows.csv"]
    results = Results.load(files / "out")
    assert results.models == ["last-value", "rolling-average", "historical-average", "gru", "tgcn"]
    assert results.horizons == [2, 3]
    assert (results.data["unit"], results.data["season"], results.data["nodes"]) == ("mph", 12, 3)
    assert results.data["edges"] == [[0, 1, 1.0], [1, 2, 1.0]]
    assert "tgcn" in shown.out
    assert f"Report: {files / 'out' / 'report.html'}" in shown.out
    assert shown.err == ""  # no bars where there is no terminal
    assert sorted(path.name for path in files.iterdir()) == ["graph.csv", "out", "speeds.csv"]


def test_the_built_in_network_needs_no_file(tmp_path):
    small = ["--data-option", "num_nodes=6", "--data-option", "days=2"]
    assert call("compare", *small, "--models", "gcn", *QUICK, "--seeds", "7,", "--out", tmp_path / "new") == 0
    results = Results.load(tmp_path / "new")
    assert results.spec["seeds"] == [7]
    assert results.data["nodes"] == 6


def test_a_fit_that_breaks_gives_exit_code_1_and_a_report_of_the_rest(files, capsys):
    assert own(files, "--learning-rate", "1e30", "--loss", "mse", "--epochs", "4", models="gru") == 1
    assert "gnnkit: gru, seed 0 failed: " in capsys.readouterr().err
    assert Results.load(files / "out").failures[0]["model"] == "gru"


BAD = {
    "missing file": (["--series", "nowhere.csv"], "series: no such file: nowhere.csv"),
    "graph alone": (["--graph", "{graph}"], "graph is given without series"),
    "unknown model": (["--models", "lstn"], "unknown model 'lstn'; did you mean 'lstm'?"),
    "unknown data": (["--data", "metr"], "unknown data set 'metr'"),
    "negative horizon": (["--horizon", "-3"], "horizons: -3 is not a number of steps ahead"),
    "horizon in words": (["--horizon", "three"], "horizon: 'three' is not a list of whole numbers; write e.g. 3,6,12"),
    "seeds in words": (["--seeds", "many"], "seeds: 'many' is neither a count (3) nor a list (0,24,42)"),
    "no seeds": (["--seeds", "0"], "seeds: 0 is not a number of seeds from 1 to 1000"),
    "half a list of seeds": (["--seeds", "1,x"], "seeds: '1,x' is not a list of whole numbers"),
    "device": (["--device", "gpu0"], "device is 'gpu0'; choose auto, cpu, cuda"),
    "no such GPU": (["--device", "cuda:77"], "device is 'cuda:77', but this machine has"),
    "epochs": (["--epochs", "0"], "epochs: 0 is not allowed"),
    "epochs in words": (["--epochs", "few"], "--epochs"),
    "data option": (["--data-option", "days"], "data-option: 'days' is not NAME=VALUE"),
    "unknown data option": (["--data-option", "nodes=3"], "nodes=3"),
    "unknown option": (["--epoch", "3"], "--epoch"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_exit_code_2(name, files, capsys, monkeypatch):
    words, message = BAD[name]
    monkeypatch.chdir(files)
    assert call("compare", *(word.format(graph=files / "graph.csv") for word in words), "--out", "out") == 2
    complain(capsys, files, message)


def complain(capsys, files, message):
    shown = capsys.readouterr()
    assert shown.err.startswith("gnnkit: ")
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert "Traceback" not in shown.err
    assert not (files / "out").exists()
    assert not [path for path in files.iterdir() if path.name.startswith(".")]


def test_a_ragged_file(files, capsys):
    (files / "ragged.csv").write_text("a,b,c\n1,2,3\n4,5\n" + "1,2,3\n" * 100)
    assert own(files, series="ragged.csv") == 2
    complain(capsys, files, "ragged.csv")


def test_a_file_that_is_not_numeric(files, capsys):
    (files / "words.csv").write_text("a,b,c\n1,2,3\n4,fast,6\n" + "1,2,3\n" * 100)
    assert own(files, series="words.csv") == 2
    complain(capsys, files, "fast")


def test_a_graph_of_another_size(files, capsys):
    np.savetxt(files / "big.csv", np.eye(5), delimiter=",", fmt="%g")
    assert own(files, graph="big.csv") == 2
    complain(capsys, files, "big.csv")


def test_a_series_that_is_too_short(files, capsys):
    (files / "short.csv").write_text("a,b,c\n" + "1,2,3\n" * 20)
    assert own(files, series="short.csv") == 2
    complain(capsys, files, "too short")


def test_a_series_of_nothing_but_gaps(files, capsys):
    (files / "gaps.csv").write_text("a,b,c\n" + "NaN,NaN,NaN\n" * 120)
    assert own(files, series="gaps.csv") == 2
    complain(capsys, files, "NaN")


def test_a_folder_with_other_things_is_left_alone_and_nothing_is_trained(files, capsys):
    (files / "out").mkdir()
    (files / "out" / "thesis.tex").write_text("mine")
    assert own(files, "--epochs", "100000") == 2
    assert "holds other files (thesis.tex); give a new or an empty folder" in capsys.readouterr().err
    assert [path.name for path in (files / "out").iterdir()] == ["thesis.tex"]


def test_list_names_models_and_data_sets(capsys):
    assert call("list") == 0
    lines = capsys.readouterr().out.splitlines()
    starts = [line.split()[0] for line in lines]
    assert starts[0] == "models"
    assert {"lstm", "tgcn-official", "simulated", "los-loop"} <= set(starts)
    assert all(len(line.split()) > 3 for line in lines if line.startswith("  "))


def test_version(capsys):
    assert call("--version") == 0
    assert capsys.readouterr().out == f"gnnkit {gnnkit.__version__}\n"


def test_help_has_a_worked_example(capsys):
    assert call("compare", "--help") == 0
    shown = capsys.readouterr().out
    assert "gnnkit compare --series speeds.csv --graph adjacency.csv" in shown
    for option in ("--data", "--horizon", "--models", "--seeds", "--epochs", "--device", "--out", "--season"):
        assert option in shown


def test_no_verb_shows_the_help_and_an_unknown_one_is_an_error(capsys):
    assert call() == 0
    assert "compare" in capsys.readouterr().out
    assert call("compere") == 2
    assert capsys.readouterr().err.startswith("gnnkit: No such command 'compere'.")


def test_the_parser_loads_nothing_heavy():
    code = (
        "import sys, gnnkit.cli; print([m for m in ('torch', 'pandas', 'lightning', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_python_dash_m(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "gnnkit", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment, check=True)
    assert done.stdout == f"gnnkit {gnnkit.__version__}\n"


def test_the_spec_in_the_results_is_what_was_asked(files):
    own(files, "--loss", "mse", "--scaler", "max", "--patience", 2)
    spec = json.loads((files / "out" / "results.json").read_text())["spec"]
    assert (spec["loss"], spec["scaler"], spec["patience"], spec["seeds"]) == ("mse", "max", 2, [0])
    assert (spec["horizons"], spec["history"], spec["hidden_channels"]) == ([2, 3], 4, 4)


TINY_STUDY = ("--lengths", 3, "--cells", "gru", "--embeddings", 2, "--steps", 4, "--hidden", 4, "--batch-size", 8)
TINY_STUDY += ("--test-sequences", 20, "--device", "cpu")


def test_sequence_runs_the_study_and_goes_on(tmp_path, capsys):
    out = tmp_path / "out"
    assert call("sequence", *TINY_STUDY, "--seeds", "7,", "--out", out) == 0
    shown = capsys.readouterr().out
    assert "## Table 1: GRU" in shown
    assert shown.splitlines()[-1] == f"Report: {out / 'report.md'}"
    first = (out / "runs" / "gru-T3-embedding2-seed7.json").read_bytes()
    assert call("sequence", *TINY_STUDY, "--seeds", "7,8", "--out", out) == 0
    assert (out / "runs" / "gru-T3-embedding2-seed7.json").read_bytes() == first
    assert len((out / "rows.csv").read_text().splitlines()) == 3
    assert call("sequence", *TINY_STUDY, "--clip", 5, "--out", out) == 2
    assert "holds runs with clip=10.0, not 5.0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--lengths", "5,1"), "lengths must list whole numbers of at least 2, got [5, 1]"),
        (("--lengths", "five"), "lengths: 'five' is not a list of whole numbers"),
        (("--cells", "lstn"), "cells must list some of rnn, lstm"),
        (("--hidden", 0), "hidden_channels must be a whole number of at least 1, got 0"),
        (("--batch-size", 0), "batch_size must be a whole number of at least 1, got 0"),
    ],
)
def test_sequence_refuses_bad_input(tmp_path, capsys, words, message):
    assert call("sequence", *words, "--out", tmp_path / "out") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_sequence_that_is_stopped_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    from gnnkit.studies import combinations

    def stop(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(combinations, "train", stop)
    assert call("sequence", *TINY_STUDY, "--out", tmp_path / "out") == 130
    assert "the same command goes on from there" in capsys.readouterr().err
