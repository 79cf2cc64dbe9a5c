import io
import json
import re

import numpy as np
import pandas as pd
import pytest
import torch

from gnnkit.cli import main
from gnnkit.forecasting import forecast_next, load_fitted, read_latest
from gnnkit.training.threads import torch_threads

QUICK = ["--horizon", "2,3", "--history", "4", "--epochs", "1", "--hidden", "4", "--device", "cpu"]


def call(*words):
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return left.value.code


@pytest.fixture
def files(tmp_path):
    values = 50 + np.random.default_rng(0).normal(size=(120, 3)).cumsum(axis=0)
    np.savetxt(tmp_path / "speeds.csv", values, delimiter=",", header="a,b,c", comments="", fmt="%.3f")
    np.savetxt(tmp_path / "latest.csv", values[-9:], delimiter=",", header="a,b,c", comments="", fmt="%.3f")
    (tmp_path / "another").mkdir()  # another program's model
    (tmp_path / "another" / "config.json").write_text('{"model_type": "another", "config": null}')
    (tmp_path / "another" / "weights.safetensors").write_bytes(b"")
    (tmp_path / "binary").mkdir()
    (tmp_path / "binary" / "config.json").write_bytes(b"\xff\xfe")
    (tmp_path / "binary" / "weights.safetensors").write_bytes(b"")
    np.savetxt(tmp_path / "graph.csv", np.eye(3, k=1), delimiter=",", fmt="%g")
    return tmp_path


def test_a_graph_is_learned_from_a_table_of_nodes(files, capsys):
    (files / "nodes.csv").write_text("node,lat\nc,3\na,1\nb,2\n")
    own = ["--series", files / "speeds.csv", "--node-features", files / "nodes.csv", *QUICK, "--out", files / "model"]
    assert call("train", "mtgnn", *own) == 0
    fitted = load_fitted(files / "model")
    features = fitted.forecaster.forecaster.graph_learning.node_features
    assert features.flatten().tolist() == pytest.approx([-(1.5**0.5), 0.0, 1.5**0.5])
    capsys.readouterr()
    for model, setting, message in (
        ("gru", [], "model 'gru' has no setting 'node_features'"),
        ("mtgnn", ["--setting", "node_features=[[1],[2],[3]]"], "node_features: given twice"),
    ):
        assert call("train", model, *own, *setting) == 2
        assert message in capsys.readouterr().err


def test_a_training_is_tracked_beside_the_model(files, capsys):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed: pip install tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    own = ["train", "dlinear", "--series", files / "speeds.csv", *QUICK, "--out", files / "model"]
    assert call(*own, "--track", "paper") == 2
    assert capsys.readouterr().err.endswith("track: 'paper' is no tracker; choose from tensorboard, mlflow, wandb\n")
    assert call(*own, "--track", "tensorboard") == 0
    assert f"Track: tensorboard --logdir {files / 'model' / 'track' / 'tensorboard'}\n" in capsys.readouterr().out
    found = EventAccumulator(str(files / "model" / "track" / "tensorboard" / "dlinear-seed0")).Reload()
    rows = pd.read_csv(files / "model" / "evaluation.csv").query("model == 'dlinear' and metric == 'mae'")
    (averaged,) = rows.query("horizon == 3 and score == 'averaged'")["value"]
    assert [event.value for event in found.Scalars("test/mae_3")] == [pytest.approx(averaged, rel=1e-4)]
    assert call(*own) == 0  # over the former model, and what was tracked of it


def test_train_evaluate_forecast(files, capsys):
    own = ["--series", files / "speeds.csv", "--graph", files / "graph.csv", "--unit", "mph"]
    assert call("train", "mtgnn", *own, *QUICK, "--setting", "neighbors=1", "--out", files / "model") == 0
    shown = capsys.readouterr().out
    assert "speeds: 120 rows × 3 nodes, times unknown, 2 edges; own data, series speeds.csv, graph graph.csv\n" in shown
    assert re.search(
        r"mtgnn: [\d,]+ parameters, 4 rows in, 3 out; 1 epochs in \d+ s; the best is 1, validation MAE", shown
    )
    assert "speeds: errors on the test rows, 23 windows, mph" in shown
    assert (files / "model" / "weights.safetensors").stat().st_mode == (files / "speeds.csv").stat().st_mode
    assert f"Model: {files / 'model'}" in shown
    assert sorted(path.name for path in (files / "model").iterdir()) == [
        "config.json",
        "evaluation.csv",
        "learned_graph.csv",
        "learned_graph.png",
        "weights.safetensors",
    ]
    assert call("evaluate", files / "model", "--device", "cpu", "--out", files / "again.csv") == 0
    assert (files / "again.csv").read_text() == (files / "model" / "evaluation.csv").read_text()
    # The columns of another file may come in any order.
    pd.read_csv(files / "speeds.csv")[["c", "a", "b"]].to_csv(files / "turned.csv", index=False)
    other = ["--series", files / "turned.csv", "--device", "cpu", "--out", files / "turned_scores.csv"]
    assert call("evaluate", files / "model", *other) == 0
    found = [pd.read_csv(files / name)["value"] for name in ("again.csv", "turned_scores.csv")]
    np.testing.assert_allclose(*found, rtol=1e-4)
    capsys.readouterr()
    assert call("forecast", files / "model", "--series", files / "latest.csv") == 0
    printed = pd.read_csv(io.StringIO(capsys.readouterr().out), index_col="step")
    fitted = load_fitted(files / "model")
    expected = forecast_next(fitted, read_latest(files / "latest.csv", fitted))
    assert list(printed.columns) == ["a", "b", "c", "a low", "a high", "b low", "b high", "c low", "c high"]
    assert (printed[["a", "b", "c"]].to_numpy(dtype=np.float32) == expected.to_numpy()).all()
    below, above = fitted.interval(0.9)
    assert (
        pytest.approx(torch.stack([below[:, 2], above[:, 2]]).numpy(), rel=1e-4)
        == (printed[["c low", "c high"]].to_numpy() - printed[["c"]].to_numpy()).T
    )
    assert call("forecast", files / "model", "--series", files / "latest.csv", "--out", files / "next.csv") == 0
    assert pd.read_csv(files / "next.csv", index_col="step").equals(printed)
    assert call("forecast", files / "model", "--series", files / "latest.csv", "--coverage", "90") == 2
    assert capsys.readouterr().err == "gnnkit: coverage is 90.0; give a share from 0.01 to 0.99, e.g. 0.9\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "tgnc"], "unknown model 'tgnc'"),
        (["train", "gru", "--setting", "layers"], "setting: 'layers' is not NAME=VALUE"),
        (["train", "gru", *QUICK, "--setting", "width=2"], "model 'gru' has no setting 'width'"),
        (["train", "gru", "--epochs", "0"], "epochs: 0 is not allowed"),
        (["train", "gru", "--out", "{files}"], "holds other files (another); give a new or an empty folder"),
        (
            ["train", "gru", "--out", "{files}/another"],
            "holds other files (config.json); give a new or an empty folder",
        ),
        (["train", "gru", *QUICK, "--setting", "dropout=x"], "setting dropout: 'x' is not allowed: give a number"),
        (["evaluate", "{files}/another"], "config.json is not one of gnnkit's"),
        (["evaluate", "{files}"], "holds no config.json"),
        (["forecast", "{files}/model", "--series", "{files}/latest.csv"], "model: there is no such folder"),
        (["forecast", "{files}"], "series"),
        (["forecast", "{files}/nowhere", "--series", "{files}/latest.csv"], "nowhere: there is no such folder"),
        (["evaluate", "{files}/binary"], "config.json is damaged"),
        (["evaluate", "{files}/another", "--out", "{files}"], "is a folder; name a file"),
        (["evaluate", "{files}/another", "--out", "{files}/a/b.csv"], "lies in no folder that is there; name a file"),
        (["train", "gru", "--out", "{files}/graph.csv/model"], "cannot be made"),
        (["train", "gru", "--precision", "64-true"], "precision: '64-true' is not allowed"),
        (["train", "gru", "--data-option", "num_nodes=x"], "num_nodes='x': give a whole number (default 64)"),
        (["train", "gru", "--data-option", "noise=[1]"], "noise=[1]: give a number (default 1)"),
        (["train", "gru", "--setting", "3=2"], "write e.g. dropout=0.1"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(files, words, message, capsys):
    assert call(*[word.replace("{files}", str(files)) for word in words]) == 2
    complaint = capsys.readouterr().err
    assert message in complaint
    assert complaint.count("\n") == 1


def test_a_fit_that_breaks_gives_exit_code_1(files, capsys):
    own = ["--series", files / "speeds.csv", "--learning-rate", "1e30", "--loss", "mse", "--out", files / "model"]
    assert call("train", "gru", *own, *QUICK, "--epochs", "4") == 1
    assert "gnnkit: gru failed: " in capsys.readouterr().err
    assert not (files / "model").exists()


def test_what_is_not_observed_is_said(files, capsys):
    assert call("train", "dlinear", "--series", files / "speeds.csv", *QUICK, "--out", files / "model") == 0
    table = pd.read_csv(files / "speeds.csv")
    table.tail(9).assign(b=np.nan).to_csv(files / "silent.csv", index=False)
    capsys.readouterr()
    assert call("forecast", files / "model", "--series", files / "silent.csv") == 0
    shown = capsys.readouterr()
    assert "gnnkit: 1 of 3 nodes have no value in the last 4 rows: b; " in shown.err
    assert pd.read_csv(io.StringIO(shown.out)).notna().all().all()
    before = (files / "silent.csv").read_text()
    silent = ["--series", files / "silent.csv", "--out", files / "silent.csv"]
    for verb in ("forecast", "evaluate"):
        assert call(verb, files / "model", *silent) == 2
        assert "silent.csv is the series that is read; name another file" in capsys.readouterr().err
    assert (files / "silent.csv").read_text() == before
    table.assign(c=np.nan).to_csv(files / "dead.csv", index=False)
    assert call("train", "dlinear", "--series", files / "dead.csv", *QUICK, "--out", files / "dead") == 0
    assert (
        "gnnkit: Node 'c' has no value in the training rows: what is forecast for it is a guess."
        in capsys.readouterr().err
    )
    for last in (70, 96):  # nothing to validate or to test on
        table.where(np.arange(360).reshape(120, 3) < 3 * last).to_csv(files / "ended.csv", index=False)
        assert call("train", "dlinear", "--series", files / "ended.csv", *QUICK, "--out", files / "never") == 2
        assert " split of ended has no observed target in rows " in capsys.readouterr().err
        assert not (files / "never").exists()
    table.where(np.arange(360).reshape(120, 3) < 270).to_csv(files / "ended.csv", index=False)
    assert call("evaluate", files / "model", "--series", files / "ended.csv") == 2
    assert "ended: no value is observed in the test rows, so there is nothing to score" in capsys.readouterr().err
    assert call("evaluate", files / "model", "--series", files / "latest.csv") == 2
    assert "latest: the last 2 of its 9 rows would be scored, and those before" in capsys.readouterr().err


def test_a_setting_of_every_fit_is_no_setting_of_the_model(files, capsys):
    assert call("train", "gru", "--setting", "hidden_channels=3", "--out", files / "out") == 2
    error = "gnnkit: setting: hidden_channels has an option of its own; write --hidden-channels 3\n"
    assert capsys.readouterr().err == error


def test_threads_are_those_that_are_asked_for_and_kept_with_the_model(files):
    before = torch.get_num_threads()
    out = files / "out"
    assert call("train", "dlinear", "--series", files / "speeds.csv", *QUICK, "--threads", 3, "--out", out) == 0
    assert json.loads((out / "config.json").read_text())["config"]["fit"]["environment"]["threads"] == 3
    assert torch.get_num_threads() == before


def test_a_small_fit_takes_one_thread(files, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with torch_threads(4):
        assert call("train", "dlinear", "--series", files / "speeds.csv", *QUICK, "--out", files / "out") == 0
    config = json.loads((files / "out" / "config.json").read_text())["config"]
    assert config["fit"]["environment"]["threads"] == 1


OWN = """
class Last:
    def fit(self, train, validation):
        pass

    def predict(self, windows):
        return windows.filled[..., 0][:, [-1] * windows.horizon]


class Broken(Last):
    def fit(self, train, validation):
        raise KeyError("news")
"""


def test_a_rival_of_ones_own_is_scored_and_kept_where_it_can_be(files, capsys):
    (files / "own.py").write_text(OWN)
    own = ["--series", files / "speeds.csv", "--out", files / "model", *QUICK]
    assert call("train", f"{files / 'own.py'}:Last", *own) == 0
    told = capsys.readouterr().out
    assert "own.py:Last: 4 rows in, 3 out; fitted in 0 s; validation MAE " in told
    assert "own.py:Last is not kept: only weights of torch are kept as safetensors; give its class save(" in told
    assert not (files / "model").exists()
    assert call("train", f"{files / 'own.py'}:Broken", *own) == 1
    complaint = capsys.readouterr().err
    assert complaint.splitlines()[-1].endswith("failed: KeyError: 'news' (own.py:12 in fit: raise KeyError(\"news\"))")
