"""The verb for whole graphs, in this process."""

import pytest

from gnnkit.cli import main
from tests.data.graph_files import made_graphs, write_tu


def run(capsys, *words):
    with pytest.raises(SystemExit) as end:
        main(list(words))
    return end.value.code, *capsys.readouterr()


def test_a_run_says_its_scores_and_whether_the_edges_help(tmp_path, capsys):
    folder = write_tu(tmp_path / "toy", made_graphs(40))
    words = ["graphs", "train", str(folder), "--folds", "2", "--seeds", "1", "--set", "epochs=2", "--try", "none=[]"]
    words += ["--set", "hidden_channels=4", "--out", str(tmp_path / "out"), "--device", "cpu"]
    code, text, _ = run(capsys, *words)
    assert code == 0
    lines = text.splitlines()
    assert lines[0] == "classes 0 to 1 are the labels -1, 1"
    assert lines[1] == "test accuracy over 2 folds of 1 seed each, mean ± standard deviation"
    assert [line.split()[0] for line in lines[2:5]] == ["gin", "structure-blind", "no"]
    assert "points over structure-blind, 95% interval" in lines[5]
    code, text, error = run(capsys, *words, "--set", "epochs=3")
    assert (code, text) == (2, "")
    assert "holds a run with another recipes" in error
    code, text, error = run(capsys, *words[:-4], "--out", str(tmp_path / "new"), "--set", "learning_rate=1e30")
    assert (code, text) == (1, "")
    assert error.startswith("gnnkit: gin, fold 1 of 2, final, seed 0: ")
    assert "lower learning_rate (now 1e+30)" in error


def test_bad_input_is_one_line(tmp_path, capsys):
    folder = str(write_tu(tmp_path / "toy", made_graphs(40)))
    for words, message in (
        ([folder, "--model", "gni"], "did you mean 'gin'"),
        ([folder, "--try", "readout=sum"], "readout needs a list of values"),
        ([folder, "--folds", "1"], "folds: 1 is not allowed"),
        ([folder, "--folds", "30"], "class 0 has 20 graphs, fewer than 30 folds"),
        ([folder, "--target", "numbers"], "TOY_graph_attributes.txt is not there"),
        ([str(tmp_path)], "neither a DS_A.txt (TUDataset) nor an edge.csv.gz (OGB)"),
    ):
        code, _, error = run(capsys, "graphs", "train", *words, "--out", str(tmp_path / "x"))
        assert code == 2
        assert message in error
        assert len(error.strip().splitlines()) == 1
