"""`gnnkit export`: a file that torch alone reads, its description, and what it refuses."""

import json
import subprocess
import sys

import pytest
import torch

from gnnkit.cli import main
from gnnkit.data import simulate_traffic
from gnnkit.forecasting import FitSettings, save_fitted, train_forecaster
from gnnkit.layers import NodeClassifier
from gnnkit.training import save_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    series = simulate_traffic(num_nodes=3, days=2)
    settings = FitSettings(epochs=1, horizons=[2], history=4, device="cpu")
    return save_fitted(train_forecaster("dlinear", settings, series=series), tmp_path_factory.mktemp("fit") / "model")


def run(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main(["export", *map(str, words)])
    said = capsys.readouterr()
    return stop.value.code, said.out.splitlines(), said.err.strip()


# Nothing but torch: the program is not gnnkit's any more.
ALONE = """
import sys, torch
sys.modules["gnnkit"] = None
note = {"gnnkit.json": ""}
program = torch.export.load(sys.argv[1], extra_files=note).module()
print(note["gnnkit.json"])
print(program(history=torch.full((2, 4, 3, 1), 60.0))["forecast"].shape)
"""


def test_the_file_runs_without_gnnkit(capsys, folder, tmp_path):
    out = tmp_path / "mine.pt2"
    code, lines, said = run(capsys, folder, "--out", out, "--coverage", "0.8")
    assert (code, said) == (0, "")
    assert lines[
        0
    ] == "input   history      [B, 4, 3, 1] mph: the latest 4 rows, the oldest first, NaN where nothing " + (
        "was observed"
    )
    assert lines[2].startswith("output  low          [B, 2, 3] mph: lower end of an interval that holds 80% of the")
    assert lines[-2].startswith("checked: as the model on 32 random inputs, to ")
    assert lines[-1] == f"Program: {out}, described in mine.pt2.json"
    done = subprocess.run([sys.executable, "-c", ALONE, out], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    note, shape = done.stdout.splitlines()
    assert shape == "torch.Size([2, 2, 3])"
    beside = json.loads((tmp_path / "mine.pt2.json").read_text())
    assert beside.pop("checked")["allowed"] == 1e-5
    assert len(beside.pop("checksum")) == 64  # of the description alone: a file of its own is checked when it is read
    assert json.loads(note) == beside
    assert (beside["horizon"], beside["unit"], beside["step_minutes"], len(beside["nodes"])) == (2, "mph", 5.0, 3)


def test_a_node_classifier_takes_any_graph(capsys, tmp_path):
    config = {"in_channels": 4, "hidden_channels": 4, "out_channels": 3}
    model = NodeClassifier(**config).eval()
    save_checkpoint(tmp_path / "run" / "model", model, config)
    (tmp_path / "run" / "run.json").write_text('{"data": "cora"}')
    out = tmp_path / "it.pt2"
    code, lines, _ = run(capsys, tmp_path / "run", "--out", out)
    assert code == 0
    assert lines[0] == "input   x            [N, 4]: features of the nodes, as they were in training"
    assert json.loads((tmp_path / "it.pt2.json").read_text())["data"] == "cora"
    x, edges = torch.randn(9, 4), torch.tensor([[0, 0, 3, 3], [1, 1, 3, 0]])
    weight = torch.tensor([1.0, 0.0, 2.0, 0.5])
    found = torch.export.load(out).module()(x=x, edge_index=edges, edge_weight=weight)["scores"]
    torch.testing.assert_close(found, model(x, edges, weight))
    code, _, said = run(capsys, tmp_path / "run", "--out", out, "--nodes", "given")
    assert code == 2
    assert (
        said == f"gnnkit: nodes: {tmp_path / 'run'} holds a node classifier, which takes any graph; leave --nodes out"
    )


def test_what_it_refuses(capsys, folder, tmp_path):
    out = tmp_path / "it.pt2"
    for words, message in (
        ((folder, "--format", "tf"), "format must be torch or onnx, got 'tf'"),
        ((folder, "--graph", "x"), "graph must be kept or given, got 'x'"),
        ((folder, "--graph", "given"), "dlinear reads no given graph; leave --graph out"),
        ((folder, "--coverage", "2"), "coverage is 2.0; give a share from 0.01 to 0.99, e.g. 0.9"),
        ((tmp_path / "none",), f"{tmp_path / 'none'}: there is no such folder"),
        ((tmp_path,), f"{tmp_path} holds no config.json: it is not a checkpoint of gnnkit"),
    ):
        code, _, said = run(capsys, *words, "--out", out)
        assert (code, said) == (2, f"gnnkit: {message}")
    code, _, said = run(capsys, folder, "--out", tmp_path)
    assert (code, said) == (2, f"gnnkit: out: {tmp_path} is a folder; name a file")
    assert list(tmp_path.iterdir()) == []
