"""`gnnkit judge`: what it answers, and how it takes bad input."""

import numpy as np
import pytest

from gnnkit.cli import main
from gnnkit.compare import Results

QUICK = ["--history", "4", "--horizon", "2", "--resamples", "100", "--season", "12", "--step-minutes", "5"]


def call(*words):
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return left.value.code


@pytest.fixture
def files(tmp_path):
    """A series of 3 nodes, its graph, and forecasts that are 0.01 too high: 24 test rows, 19 windows from row 96 on."""
    values = np.round(50 + np.random.default_rng(0).normal(size=(120, 3)).cumsum(axis=0), 3)
    np.savetxt(tmp_path / "speeds.csv", values, delimiter=",", header="a,b,c", comments="", fmt="%.3f")
    np.savetxt(tmp_path / "graph.csv", np.eye(3, k=1), delimiter=",", fmt="%g")
    targets = np.stack([values[100 + window : 102 + window] for window in range(19)])
    np.save(tmp_path / "x.npy", targets + 0.01)
    return tmp_path


def judge(files, *more):
    return call(
        *("judge", "--series", files / "speeds.csv", "--graph", files / "graph.csv", "--out", files / "out"),
        *(*QUICK, *more),
    )


def test_a_report_of_forecasts_and_how_they_stand_against_the_last_value(files, capsys):
    assert judge(files, "--forecasts", f"my-net={files / 'x.npy'}") == 0
    shown = " ".join(capsys.readouterr().out.split())
    results = Results.load(files / "out")
    rows = results.rows
    found = rows[(rows.model == "my-net") & (rows.metric == "mae")]["value"].tolist()
    assert found == pytest.approx([0.01, 0.01], abs=1e-5)
    assert "10 min, MAE: better than the last value: my-net (-" in shown
    assert "95% interval" in shown
    assert {"report.html", "report.md", "results.json", "rows.csv"} <= {path.name for path in (files / "out").iterdir()}
    page = (files / "out" / "report.md").read_text()
    assert "my-net beside last-value, the only forecasts that were given" in page
    assert f"gnnkit judge --series {files / 'speeds.csv'}" in page
    assert "made elsewhere; nothing was trained here" in page


def test_bad_input_is_one_line_and_exit_code_2(files, capsys):
    good = f"x={files / 'x.npy'}"
    (files / "run" / "jobs").mkdir(parents=True)
    wrong = {
        "forecasts: the name x is given twice": ["--forecasts", good, "--forecasts", good],
        "forecasts: 'x.npy' is not NAME=FILE; write e.g. tgcn=tgcn.npz": ["--forecasts", "x.npy"],
        "forecasts.y: no such file: nowhere.npz": ["--forecasts", "y=nowhere.npz"],
        "forecasts: none is given; give at least one, NAME=FILE": [],
        "origins: 'noon' is no time": ["--forecasts", good, "--origins", "noon"],
        "missing_forecasts: 'guess' is not allowed": ["--forecasts", good, "--missing-forecasts", "guess"],
        "holds a run of `gnnkit compare`": ["--forecasts", good, "--out", files / "run"],
    }
    for text, words in wrong.items():
        assert judge(files, *words) == 2
        shown = capsys.readouterr().err
        assert text in shown
        assert shown.count("\n") == 1
    assert not (files / "out").exists()
