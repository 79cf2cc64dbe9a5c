"""The study of nodes: rows, resuming, and what a change does."""

import json

import pandas as pd
import pytest
import torch
from torch_geometric.data import Data

from gnnkit.kept_files import write_json
from gnnkit.layers import NodeClassifier
from gnnkit.studies.nodes import training as nodes
from gnnkit.studies.nodes.training import NodeRun, build_models, summarize, train_nodes
from gnnkit.training import load_checkpoint


@pytest.fixture
def graph():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(60) % 3
    edges = torch.randint(60, (2, 400), generator=generator)
    edges = edges[:, y[edges[0]] == y[edges[1]]]
    x = torch.randn(60, 8, generator=generator)
    x[torch.arange(60), y] += 2.0
    part = torch.arange(60) // 20
    return Data(
        x=x,
        edge_index=torch.cat([edges, edges.flip(0)], dim=1),
        y=y,
        num_classes=3,
        train_mask=part == 0,
        val_mask=part == 1,
        test_mask=part == 2,
    )


CHANGES = {"epochs": 25, "learning_rate": 0.05}


def test_rows_summary_and_checkpoint(graph, tmp_path):
    out = tmp_path / "run"
    rows = train_nodes(NodeRun(seeds=(0, 1, 2), changes=CHANGES, seeds_at_once=2), out, data=graph)
    assert rows["seed"].tolist() == [0, 1, 2]
    assert rows["seeds_at_once"].tolist() == [2, 2, 1]
    assert (rows["test_accuracy"] > 0.8).all()
    assert {"data_hash", "hardware", "commit", "seconds", "peak_memory_mib", "parameters"} <= set(rows.columns)
    assert json.loads(rows["recipe"][0])["epochs"] == 25
    summary = json.loads((out / "summary.json").read_text())
    assert summary["test"]["mean"] == pytest.approx(100 * rows["test_accuracy"].mean())
    assert summary["test"]["standard_error"] == pytest.approx(100 * rows["test_accuracy"].std() / 3**0.5)
    model, config = load_checkpoint(out / "model", NodeClassifier)
    right = model(graph.x, graph.edge_index).argmax(1) == graph.y
    best = rows.sort_values("val_accuracy", ascending=False, kind="stable").iloc[0]
    assert right[graph.val_mask].double().mean().item() == pytest.approx(best["val_accuracy"])
    assert config["layer"] == "gcn"


def test_it_goes_on_where_it_was(graph, tmp_path, monkeypatch):
    first = train_nodes(NodeRun(seeds=(0, 1), changes=CHANGES), tmp_path / "run", data=graph)
    seen = []
    monkeypatch.setattr(nodes, "build_models", lambda *what: seen.append(what[2]) or build_models(*what))
    more = train_nodes(NodeRun(seeds=(0, 1, 2), changes=CHANGES), tmp_path / "run", data=graph)
    assert seen == [[2]]
    pd.testing.assert_series_equal(more["test_accuracy"][:2], first["test_accuracy"])
    with pytest.raises(
        ValueError, match=r"holds a run with another settings \(epochs is 25 there, and 3 now; learning_r"
    ):
        train_nodes(NodeRun(changes={"epochs": 3}), tmp_path / "run", data=graph)
    with pytest.raises(ValueError, match="holds other files"):
        train_nodes(NodeRun(), tmp_path, data=graph)


@pytest.mark.parametrize("part", ["x", "edge_index", "y", "train_mask"])
def test_seeds_of_other_data_are_never_put_beside_those_that_are_there(graph, tmp_path, part):
    run, out = NodeRun(seeds=(0,), changes={"epochs": 2}), tmp_path / "run"
    train_nodes(run, out, data=graph)
    before = (out / "rows.csv").read_text()
    changes = {
        "x": graph.x + (torch.arange(8) == 3),
        "edge_index": graph.edge_index[:, 2:],
        "y": torch.where(torch.arange(60) == 7, (graph.y + 1) % 3, graph.y),
        "train_mask": graph.train_mask & (torch.arange(60) != 5),
    }
    other = graph.clone()
    other[part] = changes[part]
    more = NodeRun(seeds=(0, 1), changes={"epochs": 2})
    sha = r"SHA-256 \w{12}…"
    with pytest.raises(
        ValueError, match=rf"another graph \({part} is {sha} there, and {sha} now\): repeat that, or give"
    ):
        train_nodes(more, out, data=other)
    assert (out / "rows.csv").read_text() == before
    with pytest.raises(ValueError, match=r'another batches \("whole" there, and "6 parts" now\)'):
        train_nodes(NodeRun(seeds=(0, 1), changes={"epochs": 2}, batches="partition", num_parts=6), out, data=graph)
    assert len(train_nodes(more, out, data=graph)) == 2


def test_rows_that_are_damaged_or_of_other_data_are_not_averaged(graph, tmp_path):
    run, out = NodeRun(seeds=(0,), changes={"epochs": 2}), tmp_path / "run"
    rows = train_nodes(run, out, data=graph)
    table = out / "rows.json"
    for content, message in (
        (rows.assign(data_hash="0123456789ab"), "seed 0 was trained on another graph .data_hash 0123456789ab, now"),
        (rows.assign(test_accuracy=float("nan")), "rows.json is damaged: row 0 has no result; give another folder"),
        (rows.drop(columns="val_loss"), "rows.json is damaged"),
    ):
        write_json(table, {"rows": content.to_dict(orient="records")})
        with pytest.raises(ValueError, match=message):
            train_nodes(run, out, data=graph)
    table.write_text("")
    with pytest.raises(ValueError, match=r"rows.json is damaged"):
        train_nodes(run, out, data=graph)
    # A hash of digits alone stays what it is.
    write_json(table, {"rows": rows.assign(data_hash="001234567890").to_dict(orient="records")})
    with pytest.raises(ValueError, match="data_hash 001234567890, now"):
        train_nodes(run, out, data=graph)


@pytest.mark.parametrize("batches", ["whole", "partition"])
def test_a_training_that_explodes_is_no_result(graph, tmp_path, batches):
    run = NodeRun(seeds=(4,), changes={"epochs": 12, "learning_rate": 1e38}, batches=batches, num_parts=6)
    with pytest.raises(FloatingPointError, match=r"seed 4.*lower learning_rate \(now 1e\+"):
        train_nodes(run, tmp_path / "run", data=graph)
    assert not (tmp_path / "run" / "rows.csv").exists()
    # Nothing is there yet: the same folder takes the lower rate.
    lower = NodeRun(seeds=(4,), changes=CHANGES, batches=batches, num_parts=6)
    assert train_nodes(lower, tmp_path / "run", data=graph)["test_accuracy"][0] > 0.5


def test_a_graph_that_cannot_be_trained_on_is_refused(graph, tmp_path):
    graph.x[33, 2] = torch.nan
    with pytest.raises(ValueError, match="x: node 33, column 2 is nan"):
        train_nodes(NodeRun(), tmp_path / "run", data=graph)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("batches", ["partition", "neighbour"])
def test_large_graphs_train_in_batches(graph, tmp_path, batches):
    run = NodeRun(seeds=(0,), changes=CHANGES, batches=batches, num_parts=6)
    rows = train_nodes(run, tmp_path / "run", data=graph)
    assert rows["test_accuracy"][0] > 0.8
    graph.y = torch.nn.functional.one_hot(graph.y).float()
    with pytest.raises(ValueError, match="has 3 tasks: use batches='partition' or 'neighbour'"):
        train_nodes(NodeRun(changes=CHANGES), tmp_path / "other", data=graph)


def test_start_values_are_a_seeds_own(graph):
    recipe = NodeRun().recipe()
    together, alone = build_models(recipe, graph, [3, 4])[1], build_models(recipe, graph, [4])[0]
    for name, value in alone.state_dict().items():
        assert torch.equal(together.state_dict()[name], value)


def test_one_seed_has_no_spread():
    row = {"data": "cora", "model": "gcn", "test_accuracy": 0.8, "val_accuracy": 0.7, "seconds": 1.0, "hardware": "x"}
    assert summarize(pd.DataFrame([row]))["test"] == {"mean": 80.0, "std": 0.0, "standard_error": 0.0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "gcm"}, "did you mean 'gcn'"),
        ({"seeds": ()}, "^seeds: \\(\\) is not allowed: give at least 1 value$"),
        ({"seeds": (1, 1)}, "^seeds: 1 is given twice; give a seed once$"),
        ({"batches": "all"}, "^batches: 'all' is not allowed: give 'auto', 'whole', 'partition' or 'neighbour'$"),
        ({"seeds_at_once": 0}, "^seeds_at_once: 0 is not allowed: give at least 1$"),
        ({"changes": {"residual": "x"}}, "residual must be one of"),
        ({"changes": {"patience": 0}}, "patience must be a number of epochs, at least 1"),
        ({"changes": {"hiden": 3}}, "changes: 'hiden' is none of activation"),
    ],
)
def test_bad_runs_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        NodeRun(**options)
