"""Trials: drawn by what earlier ones found, one job each, the same whatever runs them."""

import dataclasses
import math
from functools import partial

import pytest
import torch

from gnnkit.compare import make_spec, run
from gnnkit.compare.budget import match_budget
from gnnkit.compare.findings import BUDGET
from gnnkit.compare.one_job import Work
from gnnkit.compare.search import Told
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.compare.store import JobStore, fingerprint
from gnnkit.compare.trials import check_trials, round_jobs, tune
from gnnkit.data import simulate_traffic
from gnnkit.forecasting import train as train_module

pytest.importorskip("optuna", reason="Optuna is not installed: pip install optuna")

SMALL = {
    "rivals": False,
    "quick_look": False,
    "seeds": [5, 6],
    "horizons": [2],
    "history": 4,
    "epochs": 1,
    "device": "cpu",
    "resamples": 100,
}


@pytest.fixture(scope="module")
def series():
    return simulate_traffic(num_nodes=5, days=1, seed=1)


def spec(**values):
    return FinalSpec(**SMALL | values)


def search(final, series, store, **options):
    def missing(jobs):
        wanted = [(job, fingerprint(final, job, series, data_hash="x", threads=1)) for job in jobs]
        return [(job, found) for job, found in wanted if job not in store or store.mismatch(job, found)]

    return tune(Work.of(final, series, 1), store, missing, **options)


def without_seconds(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_a_round_begins_with_the_spec_and_does_not_depend_on_how_many_trials_there_will_be():
    final = spec(models=["gru", "dlinear"], trials=3)
    jobs = round_jobs(final)
    assert [job.key for job in jobs[:3]] == ["gru-seed5-trial1", "gru-seed5-trial2", "gru-seed5-trial3"]
    assert [(job.hidden_channels, dict(job.settings)) for job in jobs if job.trial == 1] == [(16, {}), (0, {})]
    drawn = [job for job in jobs if job.model == "gru" and job.trial > 1]
    assert all(set(job.settings) == {"learning_rate", "weight_decay", "dropout", "num_layers"} for job in drawn)
    assert len({job.settings["learning_rate"] for job in drawn}) == 2
    more = round_jobs(spec(models=["gru"], trials=40))
    assert len(more) == 4
    assert more[:3] == jobs[:3]
    assert [job.trial for job in round_jobs(spec(models=["gru"], trials=6), 4)] == [5, 6]
    assert round_jobs(spec(models=["gru"])) == []


def test_later_rounds_learn_from_earlier_ones():
    final = spec(models=["dlinear"], trials=40, epochs=4)
    rates = [6.3e-4 * 1.13**number for number in range(30)]
    # The nearer to a rate of 2e-3, the better: that is where the next trials look.
    told = [
        Told({"learning_rate": rate, "weight_decay": 0.0, "window": 25}, abs(math.log(rate / 2e-3)), (3.0, 2.0, 1.0))
        for rate in rates[:28]
    ]
    jobs = round_jobs(final, 28, {"dlinear": told})
    assert all(7e-4 < job.settings["learning_rate"] < 6e-3 for job in jobs)
    assert {job.limits for job in jobs} == {(None, 2.0, 1.0)}
    assert jobs == round_jobs(final, 28, {"dlinear": told})


def test_what_the_spec_fixes_is_not_drawn():
    fixed = {"gru": {"hidden_channels": 7, "dropout": 0.25}}
    jobs = round_jobs(spec(models=["gru"], trials=4, settings=fixed))
    assert {job.hidden_channels for job in jobs} == {7}
    assert {job.settings["dropout"] for job in jobs} == {0.25}
    assert len({job.settings.get("learning_rate") for job in jobs}) == 4


def test_the_best_trial_is_chosen_and_a_search_that_was_cut_off_goes_on_with_the_same(series, tmp_path):
    final = spec(models=["gru", "dlinear"], trials=5)
    store = JobStore(tmp_path)
    rows = search(final, series, store)
    for model in final.models:
        mine = [row for row in rows if row["model"] == model]
        assert [row["trial"] for row in mine] == [1, 2, 3, 4, 5]
        best = min(mine, key=lambda row: row["val_mae"])
        assert [row["chosen"] for row in mine] == [row is best for row in mine]
    (second,) = round_jobs(spec(models=["gru"], trials=2))[1:]
    for gone in (second, dataclasses.replace(second, model="dlinear", trial=5)):
        store.path(gone).unlink()
    assert without_seconds(search(final, series, store)) == without_seconds(rows)
    # What is judged again is what is there, and nothing is drawn.
    assert without_seconds(search(final, series, store, kept=True)) == without_seconds(rows)
    budget = match_budget(final, series, rows)
    chosen = next(row for row in rows if row["model"] == "gru" and row["chosen"])
    assert budget.chosen["gru"] == chosen["settings"] | {"trials": 5}
    assert budget.record["widths"]["gru"] == chosen["settings"]["hidden_channels"]


@pytest.mark.slow
def test_trials_are_the_same_in_parallel_processes(series, tmp_path):
    final = spec(models=["gru", "dlinear"], trials=5)
    rows = [search(final, series, JobStore(tmp_path / str(workers)), workers=workers) for workers in (1, 2)]
    assert without_seconds(rows[0]) == without_seconds(rows[1])


def test_trials_do_not_depend_on_the_test_rows(series, tmp_path):
    values = series.values.clone()
    values[series.split.test.start :] = torch.rand_like(values[series.split.test.start :]) * 99
    other = dataclasses.replace(series, values=values)
    final = spec(models=["gru"], trials=2)
    found = [search(final, data, JobStore(tmp_path / name)) for name, data in (("a", series), ("b", other))]
    assert without_seconds(found[0]) == without_seconds(found[1])


def test_a_trial_that_is_behind_ends_early_and_is_not_chosen(series, tmp_path, monkeypatch):
    monkeypatch.setattr("gnnkit.compare.trials.limits", lambda curves, epochs: (None, 0.0) if curves else ())
    final = spec(models=["dlinear"], trials=5, epochs=4)
    rows = search(final, series, JobStore(tmp_path))
    assert [(row["pruned"], row["epochs"]) for row in rows] == [*[(False, 4)] * 4, (True, 2)]
    assert rows[4]["chosen"] is False


def test_a_trial_that_breaks_is_not_chosen(series, tmp_path):
    final = spec(models=["dlinear"], trials=2, loss="mse", learning_rate=1e30, epochs=3)
    rows = search(final, series, JobStore(tmp_path))
    assert [row["val_mae"] for row in rows] == [None, None]
    assert [row["chosen"] for row in rows] == [True, False]
    assert all("is nan" in row["error"] or "is inf" in row["error"] for row in rows)


def test_a_draw_that_cannot_be_built_is_a_trial_that_failed(series, tmp_path, monkeypatch):
    drawn = [{"num_layers": 0}, {"num_layers": 2}]
    monkeypatch.setattr("gnnkit.compare.trials.draw", lambda *given: drawn)
    rows = search(spec(models=["gru"], trials=3), series, JobStore(tmp_path))
    assert [row["val_mae"] is None for row in rows] == [False, True, False]
    assert rows[1]["error"].startswith("cannot be built: num_layers must be a whole number of at least 1")


def test_the_reason_of_a_lost_trial_is_kept(series, tmp_path, monkeypatch):
    real = train_module.fit

    def hungry(forecaster, windows, edge_index, edge_weight, settings, **options):
        if settings.learning_rate != 5e-3:
            raise MemoryError("no room")
        return real(forecaster, windows, edge_index, edge_weight, settings, **options)

    monkeypatch.setattr(train_module, "fit", hungry)
    rows = search(spec(models=["gru"], trials=2), series, JobStore(tmp_path))
    assert [row["error"] for row in rows] == [None, "memory ran out (no room)"]
    assert [(row["chosen"], row["seconds"] is None, row["val_mae"] is None) for row in rows] == [
        (True, False, False),
        (False, True, True),
    ]


def test_a_range_whose_end_a_model_refuses_is_named_before_anything_is_trained(series, monkeypatch):
    monkeypatch.setattr("gnnkit.compare.runner.tune", lambda *_, **__: pytest.fail("trials were trained"))
    with pytest.raises(ValueError) as caught:
        run(make_spec(**SMALL, models=["gru"], trials=3, search={"gru": {"dropout": [0.0, 1.5]}}), series=series)
    text = str(caught.value)
    assert text.startswith("trials: gru with dropout 1.5 cannot be built: dropout must be a share from 0 up to, ")
    assert text.endswith("; give another range, e.g. --search 'gru.dropout=[low, high]'")
    assert "\n" not in text
    assert check_trials(spec(models=["gru"]), series) is None  # another budget draws nothing


def test_without_optuna_the_line_says_how_to_get_it(series, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(ImportError) as caught:
        run(make_spec(**SMALL, models=["gru"], trials=2), series=series)
    assert str(caught.value) == (
        "budget 'trials' needs optuna, which cannot be imported here: pip install \"gnnkit[tune]\""
    )


def test_a_comparison_by_trials_trains_what_was_chosen_and_is_judged_again_without_optuna(
    series, tmp_path, monkeypatch
):
    again = partial(run, make_spec(**SMALL | {"models": ["gru"], "trials": 2}), series=series, directory=tmp_path)
    results = again()
    chosen = next(trial for trial in BUDGET.of(results).tuning if trial.chosen)
    rows = results.rows[results.rows["model"] == "gru"]
    assert set(rows["hidden_channels"]) == {chosen.settings["hidden_channels"]}
    assert set(rows["trials"]) == {2}
    assert set(rows["parameters"]) == {BUDGET.of(results).parameters["gru"]}
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    assert BUDGET.of(again(only_judge=True)).tuning == BUDGET.of(results).tuning


def test_where_settings_were_tuned_is_said_of_other_conditions(series):
    words = "Settings were tuned on the given graph, with all training rows and all inputs; "
    common = SMALL | {"models": ["gcn"], "seeds": [5]}

    def notes(**values):
        found = run(make_spec(**common, **values), series=series).notes
        return [note for note in found if note.startswith(words)]

    assert len(notes(trials=1, train_shares=[0.5])) == 1
    assert notes(trials=1, train_shares=[1.0]) == []
    assert notes(train_shares=[0.5]) == []
