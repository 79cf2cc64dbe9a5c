"""The study of graphs: who wins where structure decides, what is never looked at, and going on where it was cut off."""

import json
import shutil

import pandas as pd
import pytest
import torch

from gnnkit.data.graphs import load_graphs
from gnnkit.layers import GraphPredictor
from gnnkit.studies.graphs import study as module
from gnnkit.studies.graphs.folds import graph_folds
from gnnkit.studies.graphs.recipes import graph_recipe
from gnnkit.studies.graphs.scores import GraphTask
from gnnkit.studies.graphs.study import GraphRun, train_graphs
from gnnkit.training import load_checkpoint
from tests.data.graph_files import made_graphs, write_ogb, write_tu

SMALL = {"hidden_channels": 16, "num_layers": 2, "epochs": 18, "batch_size": 8, "learning_rate": 0.01}
FAST = {**SMALL, "epochs": 2, "hidden_channels": 4, "batch_size": 32}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tu(tmp_path_factory.mktemp("tu"), made_graphs(60))


def run(**changes):
    return GraphRun(**{"folds": 2, "seeds": (0,), "changes": SMALL, "tried": {"none": []}, "device": "cpu", **changes})


def test_where_structure_decides_the_graph_model_wins_and_it_is_said(folder, tmp_path):
    summary = train_graphs(run(folds=3), folder, tmp_path / "out")
    models = summary["models"]
    assert models["gin"]["mean"] > 0.85
    assert models["structure-blind"]["mean"] < 0.7
    assert models["constant"]["mean"] == pytest.approx(0.5, abs=0.07)
    found = summary["difference"]
    assert found["helps"] is True
    assert found["low"] > 0
    assert found["mean"] == pytest.approx(models["gin"]["mean"] - models["structure-blind"]["mean"])
    rows = pd.read_csv(tmp_path / "out" / "rows.csv")
    of_gin = rows[rows["model"] == "gin"]["test_score"]
    assert (models["gin"]["mean"], models["gin"]["std"]) == pytest.approx((of_gin.mean(), of_gin.std()))
    model, config = load_checkpoint(tmp_path / "out" / "model", GraphPredictor)
    assert config["layer"] == "gin"
    graphs = load_graphs(folder)
    best = rows[rows["model"] == "gin"].sort_values("val_score", kind="stable").iloc[-1]
    fold = graph_folds(graphs, 3, 0.1, 0)[int(best["fold"])]
    batch = graphs.batch(fold.val)
    right = model.eval()(batch.x, batch.edge_index, batch.batch, batch.num_graphs).argmax(1) == batch.y
    assert right.double().mean().item() == pytest.approx(best["val_score"])


def test_folds_are_stratified_and_no_graph_is_in_two_parts(folder, tmp_path):
    graphs = load_graphs(folder)
    folds = graph_folds(graphs, 5, 0.2, 3)
    tested = torch.cat([fold.test for fold in folds])
    assert tested.sort().values.tolist() == list(range(60))
    for fold in folds:
        assert torch.cat([fold.train, fold.val, fold.test]).unique().numel() == 60
        assert [graphs.y[part].sum().item() for part in (fold.test, fold.val)] == [6, 5]
        assert fold.val.numel() in (9, 10)
    assert not torch.equal(folds[0].test, graph_folds(graphs, 5, 0.2, 4)[0].test)
    with pytest.raises(ValueError, match=r"class 0 has 30 graphs, fewer than 40 folds; give --folds 30"):
        graph_folds(graphs, 40, 0.2, 0)
    few = graph_folds(load_graphs(write_tu(tmp_path, made_graphs(8))), 2, 0.1, 0)
    assert [(fold.train.numel(), fold.val.numel(), fold.test.numel()) for fold in few] == [(2, 2, 4)] * 2
    with pytest.raises(ValueError, match="4 graphs are too few to hold some out"):
        graph_folds(load_graphs(write_tu(tmp_path, made_graphs(4))), 2, 0.1, 0)


def test_settings_are_chosen_without_a_look_at_test_graphs(folder, tmp_path, monkeypatch):
    looked = []
    original = module.predict_graphs
    monkeypatch.setattr(module, "predict_graphs", lambda *what: looked.append(what[2]) or original(*what))
    few = {name: value for name, value in FAST.items() if name != "learning_rate"}
    summary = train_graphs(run(changes=few, tried={"learning_rate": [0.01, 1e-7]}), folder, tmp_path / "out")
    rows = pd.read_csv(tmp_path / "out" / "rows.csv")
    trials = rows[rows["stage"] == "trial"]
    assert trials["test_score"].isna().all()
    assert (trials["model"] == "gin").sum() == 2 * 2
    finals = rows[(rows["stage"] == "final") & (rows["model"] != "constant")]
    assert len(looked) == len(finals) == 4
    for fold in (0, 1):
        mine = trials[(trials["model"] == "gin") & (trials["fold"] == fold)]
        best = mine.sort_values(["val_score", "val_loss"], ascending=[False, True], kind="stable").iloc[0]
        assert summary["chosen"]["gin"][fold] == best["config"]


class Stopped(Exception):
    """The run was cut off."""


def test_a_run_that_is_cut_off_goes_on_bit_for_bit_and_more_seeds_add_to_it(folder, tmp_path, monkeypatch):
    from gnnkit.training import snapshot

    monkeypatch.setattr(snapshot.Snapshots, "due", lambda self: True)
    asked = run(changes={**FAST, "epochs": 4, "dropout": 0.5})
    whole = train_graphs(asked, folder, tmp_path / "whole")

    def stop_at(count):
        seen = []

        def watch(words):
            seen.append(words)
            if len(seen) == count:
                raise Stopped

        return watch

    for count in (3, 7, 14):
        with pytest.raises(Stopped):
            train_graphs(asked, folder, tmp_path / "out", on_epoch=stop_at(count))
        again = train_graphs(asked, folder, tmp_path / "out")
        figures = {name: found["mean"] for name, found in again["models"].items()}
        assert figures == {name: found["mean"] for name, found in whole["models"].items()}
        for name in ("predictions/gin-fold1-seed0.safetensors", "model/weights.safetensors"):
            assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
        assert not list((tmp_path / "out").glob("training*"))
        shutil.rmtree(tmp_path / "out")
    fits = []
    original = module.fit_graphs
    monkeypatch.setattr(module, "fit_graphs", lambda *what, **more: fits.append(what[3]) or original(*what, **more))
    train_graphs(run(changes={**FAST, "epochs": 4, "dropout": 0.5}, seeds=(0, 5)), folder, tmp_path / "whole")
    assert fits == [5] * 4


def test_another_spec_or_other_data_is_refused(folder, tmp_path):
    train_graphs(run(changes=FAST), folder, tmp_path / "out")
    with pytest.raises(ValueError, match=r"holds a run with another recipes .*epochs"):
        train_graphs(run(changes={**FAST, "epochs": 3}), folder, tmp_path / "out")
    with pytest.raises(ValueError, match=r"holds a run with another split \(folds is 2 there, and 3 now"):
        train_graphs(run(changes=FAST, folds=3), folder, tmp_path / "out")
    other = write_tu(tmp_path / "other", made_graphs(60, seed=1))
    with pytest.raises(ValueError, match="holds a run with another graphs"):
        train_graphs(run(changes=FAST), other, tmp_path / "out")


def test_an_explosion_is_named_with_its_fit(folder, tmp_path):
    with pytest.raises(FloatingPointError, match=r"gin, fold 1 of 2, final, seed 0: .* lower learning_rate \(now 1e\+"):
        train_graphs(run(changes={**FAST, "learning_rate": 1e30}), folder, tmp_path / "out")
    assert train_graphs(run(changes=FAST), folder, tmp_path / "out")["folds"] == 2  # nothing was finished


def test_a_split_of_its_own_numbers_and_gaps(tmp_path):
    graphs = made_graphs(40)
    labels = [(None if i % 7 == 0 else 3.0 * kind + 100.5, float(size)) for i, (size, _, kind) in enumerate(graphs)]
    split = {"train": range(24), "valid": range(24, 32), "test": range(32, 40)}
    folder = write_ogb(tmp_path / "made", graphs, labels, split)
    summary = train_graphs(
        run(seeds=(0, 1), model="gcn-virtual-node", changes={**FAST, "epochs": 4}), folder, tmp_path / "out"
    )
    assert (summary["metric"], summary["folds"], summary["seeds"]) == ("rmse", 1, 2)
    models, found = summary["models"], summary["difference"]
    # Of numbers less is better, and the difference is that by which the graph model is.
    assert found["mean"] == pytest.approx(models["structure-blind"]["mean"] - models["gcn-virtual-node"]["mean"])
    task = GraphTask(load_graphs(folder), torch.arange(24))
    y = load_graphs(folder).y[32:]
    expected = [((y[:, i] - task.mean[i]).square().nanmean() ** 0.5).item() for i in range(2)]
    assert models["constant"]["mean"] == pytest.approx(sum(expected) / 2, rel=1e-5)


def test_recipes_say_what_is_wrong():
    for given, message in (
        (("gim", {}, {}), "did you mean 'gin'"),
        (("gin", {"depth": 3}, {}), "'depth' is none of batch_size"),
        (("gin", {"layer": "gcn"}, {}), "'layer' is none of"),
        (("gin", {}, {"readout": "sum"}), "readout needs a list of values"),
        (("gin", {"readout": "max"}, {"readout": ["sum"]}), "readout is both set and tried"),
        (("gin", {}, {"readout": ["sum", "median"]}), "readout must be one of"),
        (("gin", {"learning_rate": "much"}, {}), "learning_rate must be a positive number"),
        (("gin", {"batch_size": 1}, {}), "batch_size must be a whole number of at least 2"),
    ):
        with pytest.raises(ValueError, match=message):
            graph_recipe(*given)


def test_the_rivals_training_is_the_models(folder):
    mine, rival = run(changes={**SMALL, "virtual_node": True}).recipes()
    assert json.loads(rival.as_json()) == {
        "layer": "none",
        "epochs": 18,
        "patience": 30,
        "batch_size": 8,
        "learning_rate": 0.01,
        "weight_decay": 0.0,
    }
    assert mine.model["virtual_node"] is True
    assert run(model="structure-blind").recipes()[0].name == "structure-blind"
