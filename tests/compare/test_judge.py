"""A comparison with everything that can be asked for: all of it is filled, and tells one story."""

import dataclasses
import itertools
import math
import time

import numpy as np
import pandas as pd
import pytest

from gnnkit.compare import Results, make_spec, run, summarise
from gnnkit.compare.conditions import BASE
from gnnkit.compare.findings import (
    ABLATION,
    AUDIT,
    BUDGET,
    CONDITIONS,
    FINDINGS,
    INTERVALS,
    RANKS,
    SIGNIFICANCE,
    WHERE,
)
from gnnkit.data import load

pytestmark = pytest.mark.slow  # one comparison with everything in it, for all of the tests

SPEC = {
    "rivals": False, "quick_look": False,
    "data_options": {"num_nodes": 6, "days": 2}, "models": ["gcn", "mtgnn-given", "gru"], "seeds": [0, 1],
    "horizons": [2, 4], "hidden_channels": 4, "epochs": 1, "device": "cpu", "resamples": 200,
    "ablate_graph": ["gcn", "mtgnn-given"], "train_shares": [0.5], "hidden_shares": [0.4], "intervals": "quantile",
    "settings": {"gcn": {"hidden_channels": 6}},
}  # fmt: skip
BASELINES = ["last-value", "rolling-average", "historical-average", "seasonal-naive"]
MODELS = [*BASELINES, "gru", "gcn", "mtgnn-given"]


@pytest.fixture(scope="module")
def results():
    return run(make_spec(**SPEC))


def mae(results, model, horizon=4, **condition):
    rows = results.rows
    for column, value in (dataclasses.asdict(BASE) | condition).items():
        rows = rows[rows[column] == value]
    rows = rows[(rows["model"] == model) & (rows["metric"] == "mae") & (rows["score"] == "averaged")]
    return rows[rows["horizon"] == horizon]["value"].tolist()


def test_nothing_is_left_empty(results):
    for name in ("spec", "environment", "rows", "curves", "step_errors", "node_errors", "inferred"):
        assert len(getattr(results, name)), name
    assert all((results.data.edges, results.data.node_names, results.traces.nodes, results.errors.models))
    assert [finding.name for finding in FINDINGS if not finding.of(results)] == []
    assert results.failures == []


def test_there_are_rows_of_every_condition_and_the_widths_that_were_used(results):
    conditions = results.rows[["model", "adjacency", "train_share", "hidden_share"]].value_counts()
    rows = 2 * 2 * 2 * 6  # seeds, horizons, scores, metrics
    for name, adjacency, train, hidden in (
        ("gcn", "given", 1.0, 0.0), ("gcn", "complete", 1.0, 0.0), ("mtgnn-given", "learned", 1.0, 0.0),
        ("gru", "given", 0.5, 0.0), ("gru", "given", 1.0, 0.4),
    ):  # fmt: skip
        assert conditions[name, adjacency, train, hidden] == rows
    assert len(conditions) == 4 + 3 + 4 + 5 + 3 * 2
    widths = results.rows.groupby("model")["hidden_channels"].unique().to_dict()
    assert {name: width.tolist() for name, width in widths.items()} == {
        **{name: [0] for name in BASELINES}, "gru": [4], "gcn": [6], "mtgnn-given": [4],
    }  # fmt: skip
    assert results.rows["value"].notna().all()


def test_the_main_tables_hold_the_base_condition_alone(results):
    assert results.models == MODELS
    table = summarise(results.rows)
    assert (table["seeds"] == [1 if family == "baseline" else 2 for family in table["family"]]).all()
    assert len(table) == len(MODELS) * 2 * 2 * 6
    assert not results.curves.duplicated(["model", "seed", "epoch"]).any()
    assert not results.step_errors.duplicated(["model", "seed", "step"]).any()
    assert results.errors.models == MODELS
    assert {len(results.errors.scores(name, 4)) for name in MODELS if name not in BASELINES} == {2}


def test_ablation_and_conditions_speak_of_the_rows(results):
    for row in ABLATION.of(results).rows:
        scores = mae(results, row.model, row.horizon, adjacency=row.adjacency)
        assert (row.mae, row.seeds) == (pytest.approx(np.mean(scores), rel=1e-6), 2)
    kinds = {"gcn": 5, "mtgnn-given": 6}  # only the latter has a form that learns
    assert pd.Series([row.model for row in ABLATION.of(results).rows]).value_counts().to_dict() == kinds
    assert {(row.axis, row.value) for row in CONDITIONS.of(results)} == {
        ("train_share", 0.5), ("train_share", 1.0), ("hidden_share", 0.0), ("hidden_share", 0.4),
    }  # fmt: skip
    for row in CONDITIONS.of(results):
        for family in ("graph", "sequence"):
            scores = mae(results, getattr(row, family), row.horizon, **{row.axis: row.value})
            assert getattr(row, f"{family}_mae") == pytest.approx(np.mean(scores), rel=1e-6)


def test_intervals_are_of_heads_where_there_are_heads(results):
    methods = {row.model: row.method for row in INTERVALS.of(results)}
    trained = ("gru", "gcn", "mtgnn-given")
    assert methods == {**dict.fromkeys(BASELINES, "conformal"), **dict.fromkeys(trained, "quantile")}
    for row in INTERVALS.of(results):
        # Twice the pinball loss of the median is the absolute error.
        if row.method == "quantile":
            score = mae(results, row.model, row.horizon)[row.seed]
            assert 2 * row.pinball["0.5"] == pytest.approx(score, rel=1e-5)


def test_significance_and_where_speak_of_the_rows(results):
    def error(name, horizon):
        model = name.removesuffix(" without edges")
        return np.mean(mae(results, model, horizon, **({} if model == name else {"adjacency": "identity"})))

    tests = SIGNIFICANCE.of(results)
    assert {test.question for test in tests} >= {"ablation", "families", "last-value"}
    for test in tests:
        if test.metric == "mae":
            ours, theirs = error(test.model, test.horizon), error(test.against, test.horizon)
            assert test.difference == pytest.approx(ours - theirs, rel=1e-5, abs=1e-9)
            assert test.skill == pytest.approx(1 - ours / theirs, rel=1e-5, abs=1e-9)
    assert [found.horizon for found in RANKS.of(results)] == [2, 4]
    graph, sequence = WHERE.of(results).pair
    assert (results.family(graph), sequence) == ("graph", "gru")


def test_audit_budget_and_what_was_inferred(results):
    assert {check.status for check in AUDIT.of(results)} <= {"passed", "warning"}
    assert BUDGET.of(results).widths == {"gcn": 6, "mtgnn-given": 4, "gru": 4}
    assert "The season is 288 rows, a day." in results.inferred
    assert set(results.rows["leak"]) == {""}


def test_seconds_are_those_of_fits_and_of_the_referee(results):
    place = results.environment
    trained = results.rows[results.rows["family"] != "baseline"]
    fits = trained.groupby(["model", "seed", "adjacency", "train_share", "hidden_share"])["wall_seconds"].first().sum()
    assert place["fit_seconds"] == pytest.approx(fits)
    assert 0 < place["referee_seconds"] < place["wall_seconds"]


def test_no_second_is_forgotten_or_counted_twice(monkeypatch):
    """On a clock on which every look takes a second, what passes outside fits and referee is a few looks a job: one for
    the job, one for the folder of its snapshots, one for the way to the next."""
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    spec = SPEC | {"models": ["gru"], "ablate_graph": [], "train_shares": [], "hidden_shares": [], "settings": {}}
    place = run(make_spec(**spec)).environment
    assert place["fit_seconds"] >= 2 * 2
    assert place["wall_seconds"] - place["fit_seconds"] - place["referee_seconds"] == 7


def test_all_of_it_survives_saving(results, tmp_path):
    results.save(tmp_path / "out")
    again = Results.load(tmp_path / "out")
    for field in dataclasses.fields(results):
        before, after = getattr(results, field.name), getattr(again, field.name)
        if isinstance(before, pd.DataFrame):
            pd.testing.assert_frame_equal(after, before, check_dtype=False, check_exact=True)
    again.save(tmp_path / "again")
    for name in ("rows.csv", "results.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_an_allowed_leak_labels_the_rows():
    small = {"data_options": {"num_nodes": 6, "days": 2}, "models": ["dlinear"], "seeds": [0], "epochs": 1}
    leaking = {**small, "horizons": [2], "scaler": "max-node-all", "device": "cpu", "resamples": 100}
    with pytest.raises(ValueError, match=r"^leak \(scaler\): "):
        run(make_spec(**leaking))
    found = run(make_spec(**leaking, allow_leaks=["scaler"]))
    assert set(found.rows["leak"]) == {"scaler"}
    assert [check.cause for check in AUDIT.of(found) if check.status == "allowed"] == ["scaler"]


def test_a_short_series_reaches_back_and_says_so():
    series = load("simulated", num_nodes=5, days=1)
    short = dataclasses.replace(
        series,
        values=series.values[:70],
        split=dataclasses.replace(series.split, train=range(50), val=range(50, 58), test=range(58, 70)),
    )
    found = run(make_spec(models=["gru"], seeds=[0], epochs=1, device="cpu", resamples=100), series=short)
    assert any("reach back" in sentence for sentence in found.inferred)
    assert found.rows["value"].notna().any()
    assert found.horizons == sorted(found.horizons)
    assert not math.isnan(float(found.rows[found.rows["metric"] == "mae"]["value"].sum()))
