"""The verbs for graphs and nodes, in this process."""

import pytest

from gnnkit.cli import main
from tests.data.planetoid_toy import toy_parts, write_parts


def run(capsys, *words):
    with pytest.raises(SystemExit) as end:
        main(list(words))
    return end.value.code, *capsys.readouterr()


def test_graph_report(tmp_path, capsys):
    edges = tmp_path / "edges.csv"
    edges.write_text("a,b\nb,c\nc,a\nc,d\n")
    out = tmp_path / "out"
    code, text, _ = run(capsys, "graph", "report", str(edges), "--undirected", "--save-edges", "--out", str(out))
    assert code == 0
    assert "diameter        2" in text.splitlines()
    assert sorted(path.name for path in out.iterdir()) == ["graph.graphml", "report.json", "report.png", "report.txt"]
    code, _, error = run(capsys, "graph", "report", str(tmp_path / "no.csv"))
    assert code == 2
    assert "there is no such file" in error


def test_nodes_train_on_cora(data_root, tmp_path, capsys):
    if not (data_root / "planetoid" / "ind.cora.x").is_file():
        pytest.skip("no Cora")
    out = str(tmp_path / "out")
    words = ["nodes", "train", "--data-root", str(data_root), "--seeds", "2", "--set", "epochs=60", "--out", out]
    code, text, _ = run(capsys, *words)
    assert code == 0
    assert "over 2 seeds" in text
    accuracy = float(text.split("test accuracy")[1].split("±")[0])
    assert accuracy > 70


def test_bad_input_is_one_line(tmp_path, capsys):
    edges = tmp_path / "edges.csv"
    edges.write_text("a,b\n")
    for words, message in (
        (["nodes", "train", "--model", "gta"], "did you mean 'gat'"),
        (["nodes", "train", "--data", "corra", "--out", str(tmp_path / "x")], "did you mean 'cora'"),
        (["nodes", "train", "--set", "epochs"], "is not NAME=VALUE"),
        (["nodes", "train", "--set", "patience=none"], "null on the command line"),
        (["nodes", "train", "--set", "dropout=much"], "dropout must be a share from 0 to 1, got 'much'"),
        (["graph", "report", str(edges), "--edge-samples", "0"], "edge_samples must be at least 1"),
        (["nodes", "depth", "--depths", "1"], "depths: 1 is not allowed: give at least 2"),
    ):
        code, _, error = run(capsys, *words)
        assert code == 2
        assert message in error
        assert len(error.strip().splitlines()) == 1


def test_what_is_no_result_ends_in_one_line_and_a_code(tmp_path, capsys):
    folder = write_parts(tmp_path / "toy", "cora", toy_parts())
    words = ["nodes", "train", "--data-root", str(folder), "--seeds", "1", "--set", "epochs=3", "--device", "cpu"]
    words += ["--out", str(tmp_path / "out")]
    code, text, error = run(capsys, *words)
    assert (code, text) == (2, "")
    assert "ind.cora.x: its SHA-256 is" in error
    words.append("--unverified")
    code, text, error = run(capsys, *words, "--set", "learning_rate=1e38")
    assert (code, text) == (1, "")
    assert error.startswith("gnnkit: the validation loss of seed 0 is nan at epoch 1: lower learning_rate (now 1e+38)")
    assert len(error.strip().splitlines()) == 1
    assert run(capsys, *words)[0] == 0
    write_parts(folder, "cora", {"graph": {0: [1], 1: [0]}})
    code, text, error = run(capsys, *words)
    assert (code, text) == (2, "")
    assert "holds a run with another graph (edge_index is SHA-256" in error
    write_parts(folder, "cora", {"graph": {0: [1], 1: [-1]}})
    code, text, error = run(capsys, *words)
    assert (code, text) == (2, "")
    assert "ind.cora.graph: node 1 has the neighbour -1" in error
