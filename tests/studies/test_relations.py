"""The study: runs that go on where they were cut off, and rows that say all."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from gnnkit.data import LoadedTriples, TripleSplit, split_by_relation
from gnnkit.studies.relations import RUNS, compare_runs, popularity_scorer, run_study, score_row
from gnnkit.studies.relations_task import make_task

QUICK = {"minutes": 0.02, "device": "cpu", "changes": {"validations": 1, "relations_per_step": 3}}


def test_rows_say_what_was_run_and_where(polypharmacy, tmp_path):
    said = []
    rows = run_study(polypharmacy, tmp_path, runs=["popularity", "decagon"], seeds=(0, 1), say=said.append, **QUICK)
    assert rows["run"].tolist() == ["decagon", "decagon", "popularity"]
    trained = rows.iloc[0]
    for column in (
        "auroc_mean",
        "ap50_median_high",
        "hard_auprc_mean",
        "seconds",
        "peak_memory_mb",
        "steps",
        "parameters",
    ):
        assert np.isfinite(trained[column]), column
    assert trained["hardware"]
    assert trained["commit"]
    assert json.loads(trained["settings"])["minutes"] == 0.02
    assert rows["data_hash"].nunique() == 1
    again = []
    more = run_study(
        polypharmacy, tmp_path, runs=["decagon", "popularity-by-effect"], seeds=(0, 1), say=again.append, **QUICK
    )
    assert again[:2] == ["decagon-0.02min-seed0: done before", "decagon-0.02min-seed1: done before"]
    assert len(more) == 4
    assert pd.read_csv(tmp_path / "rows.csv")["run"].tolist() == more["run"].tolist()
    found = compare_runs(tmp_path, "decagon-0.02min-seed0", "popularity")
    assert found["low"] <= found["difference"] <= found["high"]
    assert 0 <= found["better"] <= 1


def test_popularity_by_hand(polypharmacy):
    task = make_task(polypharmacy)
    ends, kinds = task.split.train[[0, 2]], task.split.train[1]
    links = task.split.test[:, :5]
    counts = torch.bincount(ends.flatten(), minlength=40).double()
    score = popularity_scorer(task, by_effect=False)(links).double()
    expected = (1.1 * counts[links[[0, 2]]] + 0.01).log().sum(0)
    torch.testing.assert_close(score - score[0], expected - expected[0], rtol=1e-4, atol=1e-4)
    under = torch.bincount(ends[:, kinds == 2].flatten(), minlength=40).double() + 0.1 * counts / 6 + 0.01
    of_relation = torch.tensor([[3, 4], [2, 2], [9, 11]])
    score = popularity_scorer(task, by_effect=True)(of_relation).double()
    expected = under[of_relation[[0, 2]]].log().sum(0)
    torch.testing.assert_close(score[0] - score[1], expected[0] - expected[1], rtol=1e-4, atol=1e-4)


def test_popularity_is_worth_little_against_hard_negatives(polypharmacy):
    task = make_task(polypharmacy)
    row, table = score_row(task, popularity_scorer(task, by_effect=False))
    assert row["hard_auroc_mean"] < row["auroc_mean"] + 0.1
    assert {"auroc", "auroc_hard", "title"} <= set(table.columns)


def test_each_ablation_changes_one_thing():
    full = RUNS["decagon"].settings().as_json()
    for name in ("no-proteins", "no-targets", "no-single-effects", "no-graph", "decagon-simple"):
        changed = RUNS[name].settings().as_json()
        assert len([key for key in full if full[key] != changed[key]]) == 1, name


def test_bad_input(polypharmacy, tmp_path):
    with pytest.raises(ValueError, match="'decagone'] unknown; choose of popularity, popularity-by-effect, decagon"):
        run_study(polypharmacy, tmp_path, runs=["decagone"])
    run_study(polypharmacy, tmp_path, runs=["popularity"])
    other = polypharmacy.pairs.keep_relations([0, 1])
    with pytest.raises(ValueError, match=r"holds runs with another links \(SHA-256"):
        run_study(other, tmp_path, runs=["popularity"])
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file; give a folder"):
        run_study(polypharmacy, tmp_path / "file", runs=["popularity"])
    with pytest.raises(FileNotFoundError, match="run_study makes it"):
        compare_runs(tmp_path, "best-10min-seed0", "popularity")


def test_what_is_there_already_must_be_of_the_same_settings_data_and_split(polypharmacy, tmp_path):
    run_study(polypharmacy, tmp_path, runs=["distmult"], **QUICK)
    more = {**QUICK, "changes": {**QUICK["changes"], "channels": 7}}
    with pytest.raises(
        ValueError, match=r"distmult-0.02min-seed0.json is a run with other settings \(channels is 128 there"
    ):
        run_study(polypharmacy, tmp_path, runs=["distmult"], **more)
    other = replace(polypharmacy, targets=polypharmacy.targets.flip(1))
    with pytest.raises(ValueError, match=r"holds runs with another graph \(SHA-256"):
        run_study(other, tmp_path, runs=["popularity"])
    split = split_by_relation(polypharmacy.pairs)
    moved = TripleSplit(split.train, split.test, split.val)
    first, second = (LoadedTriples(polypharmacy.pairs, part, {}) for part in (split, moved))
    run_study(first, tmp_path / "own", runs=["popularity"])
    with pytest.raises(ValueError, match=r"holds runs with another split \(SHA-256"):
        run_study(second, tmp_path / "own", runs=["popularity"])


@pytest.mark.parametrize("rate", [1e6, 1e38])
@pytest.mark.parametrize("run", ["decagon", "distmult"])
def test_a_run_that_explodes_is_named(polypharmacy, tmp_path, run, rate):
    changes = {"learning_rate": rate, "validations": 1, "epochs": 3}
    with pytest.raises(FloatingPointError, match=rf"{run}-0.05min-seed0: .*: lower learning_rate \(now 1e\+"):
        run_study(polypharmacy, tmp_path, runs=[run], minutes=0.05, device="cpu", changes=changes)
    assert not list((tmp_path / "runs").iterdir())
