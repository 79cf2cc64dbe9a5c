"""`gnnkit compare` and `gnnkit report`: what they answer, and how they take bad input."""

import json

import numpy as np
import pytest

from gnnkit.cli import main
from gnnkit.compare import Results
from gnnkit.compare.findings import BUDGET

QUICK = ["--horizon", "2,3", "--history", "4", "--seeds", "1", "--epochs", "1", "--hidden", "4", "--device", "cpu"]
QUICK += ["--resamples", "100", "--no-rivals", "--no-quick-look"]


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
    assert {"report.html", "results.json", "rows.csv", "jobs"} <= {path.name for path in (files / "out").iterdir()}
    results = Results.load(files / "out")
    assert results.models == ["last-value", "rolling-average", "historical-average", "seasonal-naive", "gru", "tgcn"]
    assert results.horizons == [2, 3]
    assert (results.data.unit, results.data.season, results.data.nodes) == ("mph", 12, 3)
    assert results.data.edges == [[0, 1, 1.0], [1, 2, 1.0]]
    assert "tgcn" in shown.out
    assert f"Report: {files / 'out' / 'report.html'}" in shown.out
    assert [line.split(":")[0] for line in shown.err.splitlines()] == ["[1 of 2] gru, seed 0", "[2 of 2] tgcn, seed 0"]
    assert sorted(path.name for path in files.iterdir()) == ["graph.csv", "out", "speeds.csv"]


def test_the_built_in_network_needs_no_file(tmp_path):
    small = ["--data-option", "num_nodes=6", "--data-option", "days=2"]
    assert call("compare", *small, "--models", "gcn", *QUICK, "--seeds", "7,", "--out", tmp_path / "new") == 0
    results = Results.load(tmp_path / "new")
    assert results.spec["seeds"] == [7]
    assert results.data.nodes == 6


def test_a_fit_that_breaks_gives_exit_code_1_and_a_report_of_the_rest(files, capsys):
    assert own(files, "--learning-rate", "1e30", "--loss", "mse", "--epochs", "4", models="gru") == 1
    assert "gnnkit: gru, seed 0 failed: " in capsys.readouterr().err
    assert Results.load(files / "out").failures[0].model == "gru"


BAD = {
    "missing file": (["--series", "nowhere.csv"], "series: no such file: nowhere.csv"),
    "graph alone": (["--graph", "{graph}"], "graph is given without series"),
    "unknown model": (["--models", "lstn"], "unknown model 'lstn'; did you mean 'lstm'?"),
    "unknown data": (["--data", "metr"], "unknown data set 'metr'"),
    "negative horizon": (["--horizon", "-3"], "horizons: -3 is not a number of steps ahead"),
    "horizon in words": (["--horizon", "three"], "horizons: 'three' is not allowed: give a whole number"),
    "seeds in words": (["--seeds", "many"], "seeds: 'many' is neither a count (3) nor a list (0,24,42)"),
    "no seeds": (["--seeds", "0"], "seeds: 0 is not a number of seeds from 1 to 1000"),
    "half a list of seeds": (["--seeds", "1,x"], "seeds: 'x' is not allowed: give a whole number"),
    "device": (["--device", "gpu0"], "device is 'gpu0'; choose auto, cpu, cuda"),
    "no such GPU": (["--device", "cuda:77"], "device is 'cuda:77', but this machine has"),
    "epochs": (["--epochs", "0"], "epochs: 0 is not allowed"),
    "epochs in words": (["--epochs", "few"], "epochs: 'few' is not allowed: give a whole number"),
    "data option": (["--data-option", "days"], "data_options: 'days' is not NAME=VALUE"),
    "unknown data option": (["--data-option", "nodes=3"], "nodes=3"),
    "unknown option": (["--epoch", "3"], "--epoch"),
    "jobs": (["--jobs", "0"], "jobs: 0 is not a number of processes; give a whole number of at least 1"),
    "split": (["--split", "half"], "split: 'half' is not allowed: give a number"),
    "shares": (["--train-shares", "0"], "train_shares: 0 is not a share above 0, at most 1; give e.g. 0.1,0.3,1"),
    "set": (["--set", "dropout=0.1"], "settings: 'dropout=0.1' is not MODEL.NAME=VALUE; write e.g. mtgnn.dropout=0.1"),
    "setting": (
        ["--set", "gru.dropuot=0.1"],
        "settings.gru.dropuot: model 'gru' has no such setting; did you mean 'dropout'",
    ),
    "ablation": (
        ["--models", "gru", "--ablate-graph"],
        "ablate_graph: models names no graph model; add one, e.g. tgcn",
    ),
    "budget": (
        ["--budget", "time"],
        "budget: 'time' is not allowed: give 'epochs', 'seconds', 'parameters'",
    ),
    "no seconds": (["--budget", "seconds"], "budget: 'seconds' needs max_seconds; give it, e.g. 60"),
    "two budgets": (
        ["--budget", "epochs", "--trials", "3"],
        "trials: only with the budget 'trials', which is 'epochs'",
    ),
    "leak": (["--allow-leak", "scalar"], "allow_leaks: 'scalar' is no cause of a leak; did you mean 'scaler'?"),
    "several": (
        ["--epochs", "0", "--loss", "x"],
        "; loss: 'x' is not allowed: give 'mae', 'mse' or 'huber'",
    ),
    "no spec": (["--spec", "nowhere.toml"], "spec: no such file: nowhere.toml"),
    "resume": (["--resume", "nowhere"], "--out cannot be given beside it"),
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


def test_help_has_a_worked_example(capsys):
    assert call("compare", "--help") == 0
    shown = capsys.readouterr().out
    assert "gnnkit compare --series speeds.csv --graph adjacency.csv" in shown
    assert "    [settings.mtgnn]" in shown
    for option in ("--data", "--horizon", "--models", "--seeds", "--epochs", "--device", "--out", "--season"):
        assert option in shown


def test_the_spec_in_the_results_is_what_was_asked(files):
    own(files, "--loss", "mse", "--scaler", "max", "--patience", 2)
    spec = json.loads((files / "out" / "results.json").read_text())["spec"]
    assert (spec["loss"], spec["scaler"], spec["patience"], spec["seeds"]) == ("mse", "max", 2, [0])
    assert (spec["horizons"], spec["history"], spec["hidden_channels"]) == ([2, 3], 4, 4)


def test_a_spec_file_and_options_that_override_it(files, capsys):
    text = 'series = "speeds.csv"\nmodels = ["gru", "dlinear"]\nepochs = 3\n[settings.gru]\ndropout = 0.1\n'
    (files / "spec.toml").write_text(text)
    words = ["--spec", files / "spec.toml", *QUICK, "--set", "gru.hidden_channels=5", "--out", files / "out"]
    assert call("compare", *words) == 0
    results = Results.load(files / "out")
    assert results.spec["settings"] == {"gru": {"dropout": 0.1, "hidden_channels": 5}}
    assert (results.spec["models"], results.spec["epochs"]) == (["gru", "dlinear"], 1)
    assert BUDGET.of(results).widths == {"gru": 5, "dlinear": 0}
    (files / "spec.toml").write_text(text.replace("epochs = 3", "epoch = 3"))
    capsys.readouterr()
    assert call("compare", "--spec", files / "spec.toml") == 2
    error = f"gnnkit: {files / 'spec.toml'}:3: epoch: there is no such setting; did you mean 'epochs'?\n"
    assert capsys.readouterr().err == error


def test_the_schema_is_json_and_describes_every_option_of_a_spec(capsys):
    assert call("compare", "--schema") == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["properties"]["history"]["description"].startswith("Rows that a model sees")
    assert all(field["description"] for field in schema["properties"].values())


def test_a_run_that_is_stopped_says_how_to_go_on_and_resume_runs_nothing_twice(files, capsys, monkeypatch):
    from gnnkit.compare import tracking

    run_job, started = tracking.run_job, []

    def stop_at_the_second(spec, series, job, progress=None, snapshots=None):
        started.append(job.key)
        if len(started) == 2:
            raise KeyboardInterrupt
        return run_job(spec, series, job, progress, snapshots)

    monkeypatch.setattr(tracking, "run_job", stop_at_the_second)
    assert own(files, models="gru,tgcn") == 130
    out = files / "out"
    text = f"gnnkit: stopped; 1 finished fit is kept in {out}; `gnnkit compare --resume {out}` goes on from there"
    assert capsys.readouterr().err.splitlines()[-1] == text
    assert call("compare", "--resume", out, "--epochs", 2) == 2
    assert f"resume: {out} knows its spec, so --epochs cannot be given beside it" in capsys.readouterr().err
    assert own(files, "--loss", "mse") == 2  # another spec: what is half done is not lost by a slip
    assert "give another folder" in capsys.readouterr().err
    assert call("compare", "--resume", out) == 0
    assert started == ["gru-seed0", "tgcn-seed0", "tgcn-seed0"]
    assert Results.load(out).models[-2:] == ["gru", "tgcn"]


def test_a_finished_run_is_replaced_by_another_spec(files):
    assert own(files) == 0
    assert own(files, "--loss", "mse") == 0
    assert Results.load(files / "out").spec["loss"] == "mse"


def test_ablate_graph_alone_means_every_graph_model(files):
    assert own(files, "--ablate-graph", "--split", ".6,.2,.2", models="gru,gcn") == 0
    results = Results.load(files / "out")
    assert (results.spec["ablate_graph"], results.spec["split"]) == (["gcn"], [0.6, 0.2, 0.2])
    assert results.data.split_rows["test"] == [96, 120]


def test_trials_are_counted_in_the_rows(files):
    assert own(files, "--trials", 2, models="gru") == 0
    results = Results.load(files / "out")
    assert [(row.trial, row.chosen) for row in BUDGET.of(results).tuning].count((1, True)) <= 1
    assert sum(row.chosen for row in BUDGET.of(results).tuning) == 1
    assert set(results.rows.loc[results.rows["model"] == "gru", "trials"]) == {2}


def test_report_draws_again_from_the_rows(files, capsys):
    assert own(files) == 0
    capsys.readouterr()
    rows = (files / "out" / "rows.csv").read_bytes()
    (files / "out" / "report.html").write_text("old")
    assert call("report", files / "out") == 0
    assert capsys.readouterr().out == f"Report: {files / 'out' / 'report.html'}\n"
    assert "gru" in (files / "out" / "report.html").read_text(encoding="utf-8")
    assert (files / "out" / "rows.csv").read_bytes() == rows
    assert call("report", files / "out", "--out", files / "again") == 0
    assert (files / "again" / "rows.csv").read_bytes() == rows
    assert call("report", files / "nowhere") == 2
    assert f"{files / 'nowhere'} holds no results.json" in capsys.readouterr().err
