import io

import numpy as np
import pandas as pd
import pytest

from gnnkit.cli import main
from gnnkit.forecasting import forecast_next, load_fitted, read_latest

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
    np.savetxt(tmp_path / "graph.csv", np.eye(3, k=1), delimiter=",", fmt="%g")
    return tmp_path


def test_train_evaluate_forecast(files, capsys):
    own = ["--series", files / "speeds.csv", "--graph", files / "graph.csv", "--unit", "mph"]
    assert call("train", "mtgnn", *own, *QUICK, "--setting", "neighbors=1", "--out", files / "model") == 0
    shown = capsys.readouterr().out
    assert "errors on the test rows, mph" in shown
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
    assert list(printed.columns) == ["a", "b", "c"]
    np.testing.assert_allclose(printed, expected, rtol=1e-5)
    assert call("forecast", files / "model", "--series", files / "latest.csv", "--out", files / "next.csv") == 0
    assert pd.read_csv(files / "next.csv", index_col="step").equals(printed)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "tgnc"], "unknown model 'tgnc'"),
        (["train", "gru", "--setting", "layers"], "setting: 'layers' is not NAME=VALUE"),
        (["train", "gru", *QUICK, "--setting", "width=2"], "model 'gru' has no setting 'width'"),
        (["train", "gru", "--epochs", "0"], "epochs: 0 is not allowed"),
        (["train", "gru", "--out", "{files}"], "holds other files; give a new folder"),
        (["train", "gru", "--out", "{files}/another"], "holds other files; give a new folder"),
        (["train", "gru", *QUICK, "--setting", "dropout=x"], "setting dropout: 'x' is not allowed: give a number"),
        (["evaluate", "{files}/another"], "holds no forecaster of `gnnkit train`"),
        (["evaluate", "{files}"], "holds no config.json"),
        (["forecast", "{files}/model", "--series", "{files}/latest.csv"], "holds no config.json"),
        (["forecast", "{files}"], "series"),
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
