"""Budgets: the same epochs, seconds, parameters or trials for every model."""

import dataclasses

import pytest
import torch

from gnnkit.compare import make_spec, run
from gnnkit.compare.budget import budget_record, check_trials, match_budget, trial_jobs, tune
from gnnkit.compare.findings import BUDGET
from gnnkit.compare.pool import Work
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.compare.store import JobStore, fingerprint
from gnnkit.data import simulate_traffic
from gnnkit.forecasting import train as train_module

SMALL = {"seeds": [5, 6], "horizons": [2], "history": 4, "epochs": 1, "device": "cpu", "resamples": 100}


@pytest.fixture(scope="module")
def series():
    return simulate_traffic(num_nodes=5, days=1, seed=1)


def spec(**values):
    return FinalSpec(**SMALL | values)


def work_of(final, series, store):
    jobs = [(job, fingerprint(final, job, series, data_hash="x", threads=1)) for job in trial_jobs(final)]
    missing = [(job, wanted) for job, wanted in jobs if job not in store]
    return Work.of(final, series, 1), store, missing


def test_by_parameters_widths_differ_and_counts_agree(series):
    final = spec(models=["gru", "bilstm", "tgcn", "dlinear"], parameters=30_000)
    budget = match_budget(final, series)
    assert set(budget.chosen) == {"gru", "bilstm", "tgcn"}
    counts = budget.record["parameters"]
    assert all(abs(counts[model] / 30_000 - 1) <= 0.02 for model in budget.chosen)
    assert budget.record["widths"] == {
        **{model: chosen["hidden_channels"] for model, chosen in budget.chosen.items()},
        "dlinear": 0,
    }
    assert budget.record["sentence"] == (
        "The width of every model was chosen to give it 30,000 parameters; 3 of 4 came within 2%; dlinear has "
        f"{counts['dlinear']:,} ({100 * (counts['dlinear'] / 30_000 - 1):+.1f}%, as it has no width)."
    )


def test_the_first_model_is_the_target_where_none_is_given(series):
    budget = match_budget(spec(models=["lstm", "gru"], budget="parameters", hidden_channels=70), series)
    assert budget.record["widths"]["lstm"] == 70
    assert budget.record["parameters"]["gru"] == pytest.approx(budget.record["parameters"]["lstm"], rel=0.02)


def test_a_model_whose_steps_are_wide_is_named_with_its_distance():
    sentence = budget_record(
        spec(models=["gru", "mtgnn"], parameters=100),
        widths={"gru": 4, "mtgnn": 4},
        parameters={"gru": 101, "mtgnn": 300},
        target=100,
    )["sentence"]
    assert sentence.endswith("1 of 2 came within 2%; mtgnn has 300 (+200.0%, the nearest that its width allows).")


def test_by_epochs_nothing_is_chosen_and_parameters_are_counted(series):
    budget = match_budget(spec(models=["gru", "tgcn"], settings={"gru": {"hidden_channels": 3}}), series)
    assert budget.chosen == {}
    assert budget.record["widths"] == {"gru": 3, "tgcn": 16}
    many = budget.record["parameters"]
    assert budget.record["sentence"] == (
        "Every fit had the same 1 epoch at most, and stopped after 5 epochs without a better validation error. "
        f"Models have from {many['gru']:,} (gru) to {many['tgcn']:,} parameters (tgcn)."
    )


def test_by_seconds_epochs_are_no_limit(series):
    final = FinalSpec(models=["gru"], budget="seconds", max_seconds=2.5)
    assert (final.epochs, final.schedule) == (1000, "cosine")
    assert (
        match_budget(final, series)
        .record["sentence"]
        .startswith(
            "Every fit had the same 2.5 seconds of wall-clock time and at most 1000 epochs, and stopped after 5 epochs"
        )
    )
    assert make_spec(budget="seconds", max_seconds=2, epochs=3, schedule="cosine").epochs == 3


def test_a_setting_that_a_model_refuses_is_an_error_before_anything_is_trained(series):
    with pytest.raises(ValueError, match="retain"):
        match_budget(spec(models=["mtgnn"], settings={"mtgnn": {"retain": 9.0}}), series)


def test_quantile_heads_are_counted(series):
    plain, wide = (match_budget(spec(models=["gru"], intervals=kind), series) for kind in ("conformal", "quantile"))
    assert wide.record["parameters"]["gru"] > plain.record["parameters"]["gru"]


def test_trials_begin_with_the_spec_and_meet_the_same_draws():
    final = spec(models=["gru", "gcn", "tgcn", "dlinear"], trials=5)
    jobs = trial_jobs(final)
    assert len(jobs) == 20
    assert {job.seed for job in jobs} == {5}
    assert [(job.hidden_channels, dict(job.settings)) for job in jobs if job.trial == 1] == [
        *[(16, {})] * 3,
        (0, {}),
    ]
    for trial in range(2, 6):
        gru, gcn, tgcn, dlinear = (job for job in jobs if job.trial == trial)
        assert dict(gru.settings) == dict(gcn.settings)
        assert gru.hidden_channels == gcn.hidden_channels == tgcn.hidden_channels
        assert gru.hidden_channels in (8, 16, 32, 64)
        assert set(tgcn.settings) == set(dlinear.settings) == {"learning_rate", "weight_decay"}
        assert all(gru.settings[name] == value for name, value in tgcn.settings.items())
        assert 5e-3 / 8 <= gru.settings["learning_rate"] <= 5e-3 * 4
    assert len({job.settings["learning_rate"] for job in jobs if job.trial > 1}) == 4
    assert trial_jobs(spec(models=["gru"], trials=2)) == [job for job in jobs if job.model == "gru" and job.trial < 3]
    assert trial_jobs(spec(models=["gru"])) == []


def test_what_the_spec_fixes_is_not_drawn():
    fixed = {"gru": {"hidden_channels": 7, "dropout": 0.25}}
    jobs = trial_jobs(spec(models=["gru"], trials=6, settings=fixed))
    assert {job.hidden_channels for job in jobs} == {7}
    assert {job.settings["dropout"] for job in jobs} == {0.25}
    assert len({job.settings.get("learning_rate") for job in jobs}) == 6


def test_the_best_trial_is_chosen_and_a_second_run_trains_nothing(series, tmp_path):
    final = spec(models=["gru", "dlinear"], trials=3)
    store = JobStore(tmp_path)
    rows = tune(*work_of(final, series, store))
    for model in final.models:
        mine = [row for row in rows if row["model"] == model]
        assert [row["trial"] for row in mine] == [1, 2, 3]
        best = min(mine, key=lambda row: row["val_mae"])
        assert [row["chosen"] for row in mine] == [row is best for row in mine]
    again = work_of(final, series, store)
    assert again[2] == []
    assert tune(*again) == rows
    budget = match_budget(final, series, rows)
    chosen = next(row for row in rows if row["model"] == "gru" and row["chosen"])
    assert budget.chosen["gru"] == chosen["settings"] | {"trials": 3}
    assert budget.record["widths"]["gru"] == chosen["settings"]["hidden_channels"]
    assert budget.record["tuning"] == rows
    assert "had 3 trials on the validation rows with seed 5" in budget.record["sentence"]


def test_trials_do_not_depend_on_the_test_rows(series, tmp_path):
    values = series.values.clone()
    values[series.split.test.start :] = torch.rand_like(values[series.split.test.start :]) * 99
    other = dataclasses.replace(series, values=values)
    final = spec(models=["gru"], trials=2)
    found = [
        [row["val_mae"] for row in tune(*work_of(final, data, JobStore(tmp_path / name)))]
        for name, data in (("a", series), ("b", other))
    ]
    assert found[0] == found[1]


def test_a_trial_that_breaks_is_not_chosen(series, tmp_path):
    final = spec(models=["dlinear"], trials=2, loss="mse", learning_rate=1e30, epochs=3)
    rows = tune(*work_of(final, series, JobStore(tmp_path)))
    assert [row["val_mae"] for row in rows] == [None, None]
    assert [row["chosen"] for row in rows] == [True, False]
    assert all("is nan" in row["error"] or "is inf" in row["error"] for row in rows)
    sentence = match_budget(final, series, rows).record["sentence"]
    assert sentence.endswith(
        "2 of 2 trials did not end with finite numbers. No trial of dlinear came through: the settings as given are "
        "compared."
    )


def test_a_comparison_by_trials_trains_what_was_chosen(series):
    results = run(make_spec(**SMALL | {"models": ["gru"], "trials": 2}), series=series)
    chosen = next(trial for trial in BUDGET.of(results).tuning if trial.chosen)
    rows = results.rows[results.rows["model"] == "gru"]
    assert set(rows["hidden_channels"]) == {chosen.settings["hidden_channels"]}
    assert set(rows["trials"]) == {2}
    assert set(rows["parameters"]) == {BUDGET.of(results).parameters["gru"]}


def test_the_reason_of_a_lost_trial_is_kept(series, tmp_path, monkeypatch):
    real = train_module.fit

    def hungry(forecaster, windows, edge_index, edge_weight, settings, **options):
        if settings.learning_rate != 5e-3:
            raise MemoryError("no room")
        return real(forecaster, windows, edge_index, edge_weight, settings, **options)

    monkeypatch.setattr(train_module, "fit", hungry)
    final = spec(models=["gru"], trials=2)
    rows = tune(*work_of(final, series, JobStore(tmp_path)))
    assert [row["error"] for row in rows] == [None, "memory ran out (no room)"]
    assert [(row["chosen"], row["seconds"] is None, row["val_mae"] is None) for row in rows] == [
        (True, False, False),
        (False, True, True),
    ]
    sentence = match_budget(final, series, rows).record["sentence"]
    assert sentence.endswith("Trials saw no test row. 1 of 2 trials was lost (gru, trial 2: memory ran out (no room)).")


def test_a_draw_that_a_model_cannot_be_built_with_is_named_before_anything_is_trained(series, monkeypatch):
    final = spec(models=["gru"], trials=3)
    jobs = trial_jobs(final)
    assert check_trials(final, series, jobs) is None
    wrong = [*jobs[:2], dataclasses.replace(jobs[2], hidden_channels=0, settings={"learning_rate": 0.1})]
    with pytest.raises(ValueError) as caught:
        check_trials(final, series, wrong)
    text = str(caught.value)
    assert text.startswith("trials: trial 3 of gru, with {'learning_rate': 0.1} and hidden_channels 0, cannot be built")
    assert text.endswith("e.g. --set gru.hidden_channels=16, or give another hidden_channels")
    assert "\n" not in text

    monkeypatch.setattr("gnnkit.compare.runner.trial_jobs", lambda spec: wrong)
    monkeypatch.setattr("gnnkit.compare.runner.tune", lambda *_, **__: pytest.fail("trials were trained"))
    with pytest.raises(ValueError, match="trial 3 of gru"):
        run(make_spec(**SMALL | {"models": ["gru"], "trials": 3}), series=series)


def test_where_settings_were_tuned_is_said_of_other_conditions(series):
    words = "Settings were tuned on the given graph, with all training rows and all inputs; "
    common = SMALL | {"models": ["gcn"], "seeds": [5]}

    def notes(**values):
        found = run(make_spec(**common, **values), series=series).notes
        return [note for note in found if note.startswith(words)]

    assert len(notes(trials=1, train_shares=[0.5])) == 1
    assert notes(trials=1, train_shares=[1.0]) == []
    assert notes(train_shares=[0.5]) == []
