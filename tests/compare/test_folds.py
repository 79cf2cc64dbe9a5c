import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from gnnkit.compare import make_spec, run
from gnnkit.compare.findings.significance import SIGNIFICANCE
from gnnkit.compare.folds import JoinedWindows, fold_series, join_outcomes, settle_folds
from gnnkit.compare.jobs import job_windows
from gnnkit.compare.scores import Outcome
from gnnkit.data import (
    GraphSeries,
    chronological_split,
    infer_settings,
    simulate_traffic,
)
from gnnkit.forecasting.settle import load_series
from gnnkit.training import FitResult

DAY = 24


@pytest.fixture(scope="module")
def week() -> GraphSeries:
    """Hours of 7 days, of which 4 are tested; without gaps."""
    series = simulate_traffic(num_nodes=4, days=7)
    hours, split = series.values[:: 288 // DAY].nan_to_num(50.0), chronological_split(7 * DAY)
    return dataclasses.replace(series, values=hours, split=split, step_minutes=60, season=DAY, extra={})


def _spec(**more):
    return make_spec(
        **{
            "models": ["dlinear"],
            "rivals": False,
            "quick_look": False,
            "seeds": [0, 1],
            "epochs": 1,
            "history": 6,
            "horizons": [1, 3],
            "folds": 4,
        }
        | more
    )


def test_each_row_of_the_last_days_is_the_target_of_one_fold(week):
    final, series, sentences = settle_folds(_spec(), week)
    parts = [job_windows(final, series, fold=fold)[1] for fold in range(4)]
    joined = JoinedWindows([part.test for part in parts])
    rows = joined.target_rows(torch.arange(len(joined)))
    assert sorted(set(rows.flatten().tolist())) == list(range(3 * DAY, 7 * DAY))
    # No window reaches into another fold's day.
    assert ((rows // DAY).amin(dim=1) == (rows // DAY).amax(dim=1)).all()
    y, mask = joined.targets()
    torch.testing.assert_close(y[mask], series.values[rows][..., 0][mask])
    assert "4 folds with rolling origins test the last 57% of the rows, each row once" in sentences[-1]


def test_no_fold_trains_on_a_row_that_it_or_a_later_one_tests(week):
    final, series, _ = settle_folds(_spec(), week)
    for fold in range(4):
        split = fold_series(final, series, fold).split
        assert split.test == range((3 + fold) * DAY, (4 + fold) * DAY)
        assert split.train.stop == split.val.start
        assert split.val.stop == split.test.start
    # What is chosen for the data is chosen before the first tested row.
    assert series.split.test.start == 3 * DAY


def test_the_scaler_of_a_fold_knows_its_own_training_rows_alone(week):
    final, series, _ = settle_folds(_spec(), week)
    for fold in range(4):
        one, windows = job_windows(final, series, fold=fold)
        train = one.values[one.split.train.start : one.split.train.stop, :, 0]
        torch.testing.assert_close(windows.scaler.center.flatten(), train.nanmean(dim=0), rtol=1e-4, atol=1e-4)


def test_a_comparison_scores_all_folds_together_and_tests_the_days(week):
    results = run(_spec(), series=week)
    rows = results.rows[(results.rows.model == "dlinear") & (results.rows.metric == "mae")]
    assert set(rows[rows.horizon == 3].windows) == {4 * (DAY - 2)}
    assert results.data.split == "rolling origins, 4 folds"
    assert results.data.split_rows["fold 4, test"] == [6 * DAY, 7 * DAY]
    # By hand: the mean difference of each day, and a t test of four numbers; seeds add their own noise.
    ours, theirs = (results.errors.window_errors(name, 3) for name in ("dlinear", "last-value"))
    counts = results.errors.counts(3)
    (test,) = [
        each
        for each in SIGNIFICANCE.of(results)
        if (each.question, each.horizon, each.metric, each.model) == ("last-value", 3, "mae", "dlinear")
    ]
    gap = ((ours.mean(axis=0) - theirs[0]) * counts).reshape(4, -1).sum(axis=1) / counts.reshape(4, -1).sum(axis=1)
    assert test.difference == pytest.approx(gap.mean())
    scores = (ours * counts).sum(axis=1) / counts.sum()
    noise = scores.var(ddof=1) / 2
    assert test.statistic == pytest.approx(gap.mean() / np.sqrt(gap.var(ddof=1) / 4 + noise))
    if noise < 1e-6 * gap.var(ddof=1):
        assert test.p == pytest.approx(stats.ttest_1samp(gap, 0).pvalue, rel=1e-3)
    assert "Student's t over spans" in SIGNIFICANCE.methods(results)


def test_folds_are_jobs_that_a_later_run_finds(week, tmp_path):
    first = run(_spec(seeds=[0]), series=week, directory=tmp_path)
    kept = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "jobs").glob("*.safetensors")}
    assert sorted(kept) == [
        "dlinear-seed0-fold2.safetensors",
        "dlinear-seed0-fold3.safetensors",
        "dlinear-seed0-fold4.safetensors",
        "dlinear-seed0.safetensors",
    ]
    (tmp_path / "jobs" / "dlinear-seed0-fold3.safetensors").unlink()
    again = run(_spec(seeds=[0]), series=week, directory=tmp_path)
    assert {
        f.name: f.stat().st_mtime_ns for f in (tmp_path / "jobs").glob("*.safetensors") if "fold3" not in f.name
    } == {name: time for name, time in kept.items() if "fold3" not in name}
    assert first.rows["value"].tolist() == again.rows["value"].tolist()


def test_intervals_are_calibrated_in_each_fold(week):
    from gnnkit.compare.findings import INTERVALS

    results = run(_spec(seeds=[0], coverage=0.8), series=week)
    (row,) = [each for each in INTERVALS.of(results) if (each.model, each.horizon) == ("dlinear", 3)]
    assert row.observed == results.errors.counts(3).sum()
    assert 0.5 < row.coverage < 1


def test_what_folds_predicted_stands_in_order_of_time():
    outcome = Outcome("a", "sequence", 0, torch.ones(2, 1, 1), None)
    joined = join_outcomes([outcome, dataclasses.replace(outcome, predicted=torch.zeros(3, 1, 1))])
    assert joined.predicted.flatten().tolist() == [1, 1, 0, 0, 0]
    assert join_outcomes([outcome]) is outcome


def test_what_fits_cost_is_summed_over_folds_and_models_are_chosen_on_rows_that_none_tests():
    fit = FitResult([], 3, 2.0, 10.0, 1.0, 50.0, 7, "epochs")
    outcomes = [
        Outcome("a", "sequence", 0, torch.zeros(1, 1, 1), dataclasses.replace(fit, best_val_mae=value))
        for value in (1.0, 3.0)
    ]
    joined = join_outcomes(outcomes).fitted
    assert joined is not None
    assert (joined.wall_seconds, joined.best_val_mae, joined.best_epoch) == (20.0, 1.0, 3)


def test_too_few_rows_and_two_ways_to_split_are_one_line():
    short = simulate_traffic(num_nodes=3, days=1)
    with pytest.raises(ValueError, match=r"series too short: its (train|val|test) split"):
        run(make_spec(models=["dlinear"], folds=40, history=12, horizons=[12]), series=short)
    with pytest.raises(ValueError, match="folds: 3 split the rows by themselves; leave split out, or give folds = 1"):
        make_spec(folds=3, split=(0.6, 0.2, 0.2))


def _with_a_day(hours: int, *, until: int) -> np.ndarray:
    """Four nodes in two pairs that go together up to a row; behind it others do, and a day begins."""
    noise = np.random.default_rng(0).normal(size=(hours, 4))
    noise[:until, 1], noise[:until, 3] = noise[:until, 0], noise[:until, 2]
    noise[until:, 2], noise[until:, 3] = noise[until:, 0], noise[until:, 1]
    day = 9 * np.sin(2 * np.pi * np.arange(hours) / DAY)[:, None]
    return (10 + noise + np.where(np.arange(hours)[:, None] < until, 0, day)).astype(np.float32)


def test_each_fold_makes_graph_and_season_of_its_own_training_rows(tmp_path):
    values, hours = _with_a_day(480, until=170), 480
    pd.DataFrame(values, columns=list("abcd")).to_csv(tmp_path / "own.csv", index=False)
    spec = _spec(series=tmp_path / "own.csv", graph_from="correlation", neighbours=1, folds=3)
    final, series, sentences = settle_folds(spec, load_series(spec))
    assert series.graph_rows == range(168)
    assert "Each fold makes the graph anew, of its own training rows" in sentences[-1]
    folds = [fold_series(final, series, fold) for fold in range(3)]
    assert [fold.graph_rows for fold in folds] == [range(168), range(252), range(336)]
    pairs = [set(zip(*fold.edge_index.tolist(), strict=True)) for fold in folds]
    assert pairs[0] == {(0, 1), (1, 0), (2, 3), (3, 2)}
    # By hand: the nodes whose values go together most, row by row of the correlations of the last fold.
    likeness = np.abs(np.corrcoef(values[:336].T)) - np.eye(4)
    nearest = {(int(likeness[node].argmax()), node) for node in range(4)}
    assert pairs[2] == nearest | {pair[::-1] for pair in nearest}
    assert pairs[2] != pairs[0]
    assert series.season is None
    whole = dataclasses.replace(series, split=chronological_split(hours), graph_rows=None, make_graph=None)
    assert infer_settings(whole).season == DAY  # as 70% of the rows show
    assert settle_folds(_spec(folds=3), whole)[1].season is None


def test_every_fold_is_audited_under_every_condition(week, monkeypatch):
    from gnnkit.compare import runner

    seen = []

    def spy(series, windows, *, allow):
        seen.append((series.split.train, series.split.test.start))
        return audit(series, windows, allow=allow)

    audit = runner.audit
    monkeypatch.setattr(runner, "audit", spy)
    run(_spec(seeds=[0], folds=2, train_shares=[0.5]), series=week)
    starts = (3 * DAY, 5 * DAY)
    base = [(range(63), starts[0]), (range(105), starts[1])]
    assert seen == [*base, (range(31, 63), starts[0]), (range(53, 105), starts[1])]
