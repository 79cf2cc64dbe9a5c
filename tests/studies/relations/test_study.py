"""The study: runs that go on where they were cut off, and rows that say all."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from gnnkit.data import LoadedTriples, TripleSplit, split_by_relation
from gnnkit.ranking import bootstrap_interval
from gnnkit.studies.relations.study import RUNS, compare_runs, popularity_scorer, run_study, score_row
from gnnkit.studies.relations.task import make_task

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


def write_fits(folder, **fits):
    """Files of runs as `run_study` keeps them: a table by relation for each stem."""
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    for stem, values in fits.items():
        table = pd.DataFrame({"relation": [f"r{i}" for i in range(len(values))], "auprc": values})
        table.to_csv(folder / "runs" / f"{stem.replace('_', '-')}.relations.csv", index=False)


def test_several_fits_put_their_noise_into_the_interval(tmp_path):
    generator = np.random.default_rng(0)
    relations = generator.normal(0.8, 0.05, size=40)
    a = [relations + shift + generator.normal(0, 0.01, size=40) for shift in (0.02, 0.05, -0.01)]
    b = [relations + shift + generator.normal(0, 0.01, size=40) for shift in (0.0, 0.01, -0.02)]
    write_fits(tmp_path, **{f"a{i}": v for i, v in enumerate(a)}, **{f"b{i}": v for i, v in enumerate(b)})
    found = compare_runs(tmp_path, ["a0", "a1", "a2"], ["b0", "b1", "b2"])
    difference = np.mean(a, axis=0) - np.mean(b, axis=0)
    parts = [np.var(difference, ddof=1) / 40]
    parts += [np.var([fit.mean() for fit in fits], ddof=1) / 3 for fits in (a, b)]
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 39 + parts[1] ** 2 / 2 + parts[2] ** 2 / 2)
    half = stats.t.ppf(0.975, freedom) * sum(parts) ** 0.5
    assert found["difference"] == pytest.approx(difference.mean(), abs=1e-12)
    assert found["low"] == pytest.approx(difference.mean() - half, abs=1e-12)
    assert found["high"] == pytest.approx(difference.mean() + half, abs=1e-12)
    assert (found["seeds"], found["other_seeds"]) == (3, 3)
    assert found["better"] == np.mean(difference > 0)
    # One fit of each knows the noise between relations alone, and is much too sure.
    once = compare_runs(tmp_path, "a0", "b0")
    assert (once["low"], once["high"]) == bootstrap_interval(a[0] - b[0])
    assert (once["seeds"], once["other_seeds"]) == (1, 1)
    assert once["high"] - once["low"] < (found["high"] - found["low"]) / 5


def test_without_noise_between_fits_the_interval_is_students_over_relations(tmp_path):
    values = [0.1, 0.4, 0.2, 0.9]
    write_fits(tmp_path, a0=[v + 0.1 for v in values], a1=[v + 0.1 for v in values], popularity=[0.0] * 4)
    found = compare_runs(tmp_path, ["a0", "a1"], "popularity")
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values) + 0.1, scale=stats.sem(values))
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=1e-12)
    assert (found["seeds"], found["other_seeds"]) == (2, 0)  # a baseline is not trained


@pytest.mark.slow
def test_the_interval_covers_what_other_seeds_would_have_given(tmp_path):
    """Fits drawn from a known world: in about 95 of 100 studies of three seeds the true difference is inside."""
    generator, inside, naive = np.random.default_rng(1), 0, 0
    for _ in range(100):
        relations = generator.normal(0.0, 0.02, size=30)
        a = [0.8 + relations + generator.normal(0, 0.01) + generator.normal(0, 0.01, size=30) for _ in range(3)]
        b = [0.8 + generator.normal(0, 0.01) + generator.normal(0, 0.01, size=30) for _ in range(3)]
        write_fits(tmp_path, **{f"a{i}": v for i, v in enumerate(a)}, **{f"b{i}": v for i, v in enumerate(b)})
        found = compare_runs(tmp_path, ["a0", "a1", "a2"], ["b0", "b1", "b2"])
        inside += found["low"] <= 0 <= found["high"]
        once = compare_runs(tmp_path, "a0", "b0")
        naive += once["low"] <= 0 <= once["high"]
    assert 90 <= inside <= 100
    assert naive < 75


def test_a_relation_that_one_fit_has_no_score_of_is_left_out(tmp_path):
    write_fits(tmp_path, a0=[0.5, 0.7, np.nan], a1=[0.7, np.nan, 0.2], b0=[0.1, 0.2, 0.3], b1=[0.1, 0.2, 0.3])
    found = compare_runs(tmp_path, ["a0", "a1"], ["b0", "b1"])
    assert found["difference"] == pytest.approx(0.5)
    write_fits(tmp_path, c0=[np.nan] * 3)
    with pytest.raises(ValueError, match="has no relation in common; nothing can be compared"):
        compare_runs(tmp_path, "c0", "b0")
    with pytest.raises(ValueError, match="no stem is given"):
        compare_runs(tmp_path, [], "b0")


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
    for name in ("no-proteins", "no-targets", "no-single-effects", "no-graph", "authors-encoder", "decagon-simple"):
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
