"""A comparison end to end on a small network, with models small enough to follow."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from gnnkit.compare import last_value, make_spec, run
from gnnkit.compare import runner as runner_module
from gnnkit.compare import store as store_module
from gnnkit.compare.findings import AUDIT, VERDICTS
from gnnkit.compare.leakage.audit import LeakError
from gnnkit.compare.results import CURVE_COLUMNS, ROW_COLUMNS, STEP_COLUMNS, Results
from gnnkit.data import GraphSeries, Split, load, make_windows
from gnnkit.forecasting import train as train_module
from gnnkit.metrics import FORECAST_METRICS

# The checkout that the tests run from may move on to another commit, and the day may end.
TIMES = ["epoch_seconds", "wall_seconds", "peak_memory_mb", "commit", "date"]


def without_times(rows):
    """The rows as bytes, but for what no two runs have in common."""
    return rows.drop(columns=TIMES).to_csv(index=False)


SMALL = {
    "rivals": False,
    "quick_look": False,
    "data_options": {"num_nodes": 6, "days": 2},
    "hidden_channels": 4,
    "epochs": 1,
    "device": "cpu",
    "resamples": 200,
}


@pytest.fixture(scope="module")
def results():
    return run(make_spec(models=["tgcn", "gru"], seeds=[0, 5], horizons=[2, 4], **SMALL))


@pytest.fixture(scope="module")
def series():
    return load("simulated", **SMALL["data_options"])


def test_every_model_seed_horizon_score_and_metric_has_one_row(results):
    rows = results.rows
    assert list(rows.columns) == ROW_COLUMNS
    keys = ["model", "seed", "horizon", "score", "metric"]
    assert not rows.duplicated(keys).any()
    # 4 baselines and 2 models × 2 seeds; 2 horizons, 2 scores, 6 metrics.
    assert len(rows) == (4 + 2 * 2) * 2 * 2 * 6
    assert results.models == ["last-value", "rolling-average", "historical-average", "seasonal-naive", "gru", "tgcn"]
    assert [results.family(name) for name in results.models] == ["baseline"] * 4 + ["sequence", "graph"]
    assert results.horizons == [2, 4]
    assert results.failures == []


def test_baseline_rows_are_the_metrics_of_their_windows(results, series):
    test = make_windows(series, history=12, horizon=4, min_horizon=2).test
    batch = test.batch(torch.arange(len(test)))
    predicted = last_value(series, test)
    own = results.rows[results.rows["model"] == "last-value"]
    for horizon in (2, 4):
        count = test.count(horizon)
        for score, steps in (("averaged", slice(0, horizon)), ("last-step", slice(horizon - 1, horizon))):
            part = (slice(0, count), steps)
            for metric, measure in FORECAST_METRICS.items():
                row = own[(own["horizon"] == horizon) & (own["score"] == score) & (own["metric"] == metric)].iloc[0]
                assert row["value"] == measure(predicted[part], batch.y[part], batch.y_mask[part])
                assert row["windows"] == count
                assert (row["seed"], row["parameters"], row["epochs"]) == (0, 0, 0)
                assert np.isnan(row["epoch_seconds"])
    assert test.count(2) == test.count(4) + 2


def test_rows_say_where_they_are_from(results, series):
    first = results.rows.iloc[-1]
    assert first["data_hash"] == series.digest()
    assert (first["data"], first["history"], first["device"]) == ("simulated", 12, "cpu")
    assert first["torch"] == torch.__version__
    assert first["threads"] == torch.get_num_threads()
    assert len(first["hardware"]) > 3
    trained = results.rows[results.rows["family"] != "baseline"]
    assert (trained["parameters"] > 0).all()
    assert (trained["wall_seconds"] > 0).all()
    assert (trained["best_epoch"] == 1).all()


def test_windows_steps_and_nodes_tell_the_same_story_as_the_rows(results):
    averaged = results.rows[(results.rows["score"] == "averaged") & (results.rows["metric"] == "mae")]
    means = averaged.groupby(["model", "horizon"])["value"].mean()
    for model in results.models:
        for horizon in (2, 4):
            counts = results.errors.counts(horizon)
            per_window = np.array(results.errors.to_json()["window_errors"][model][str(horizon)])
            assert np.nansum(per_window * counts) / counts.sum() == pytest.approx(means[model, horizon], rel=1e-7)
            per_seed = results.errors.window_errors(model, horizon)
            assert np.nanmean(per_seed, axis=0) == pytest.approx(per_window, nan_ok=True)
            squared = results.errors.window_errors(model, horizon, "rmse")
            rmse = np.sqrt(np.nansum(squared * counts, axis=1) / counts.sum())
            chosen = results.rows[(results.rows["score"] == "averaged") & (results.rows["metric"] == "rmse")]
            chosen = chosen[(chosen["model"] == model) & (chosen["horizon"] == horizon)]
            assert rmse == pytest.approx(chosen["value"].to_numpy(), rel=1e-7)
    last = results.rows[
        (results.rows["score"] == "last-step") & (results.rows["metric"] == "mae") & (results.rows["horizon"] == 4)
    ]
    steps = results.step_errors[results.step_errors["step"] == 4]
    assert list(results.step_errors.columns) == STEP_COLUMNS
    assert steps["mae"].tolist() == pytest.approx(last["value"].tolist())
    assert all(len(errors) == 6 for errors in results.node_errors.values())


def test_traces_show_the_truth_next_to_the_predictions(results, series):
    traces = results.traces
    assert traces.horizon == 4
    assert set(traces.predicted) == set(results.models)
    node = series.node_names.index(traces.nodes[0])
    for at, row in enumerate(traces.rows[:40]):
        value, shown = float(series.values[row, node, 0]), traces.true[0][at]
        assert (shown is None) if np.isnan(value) else shown == value


def test_curves_verdicts_and_facts(results):
    assert list(results.curves.columns) == CURVE_COLUMNS
    assert results.curves[["model", "seed"]].to_numpy().tolist() == [["gru", 0], ["gru", 5], ["tgcn", 0], ["tgcn", 5]]
    kinds = pd.Series([v.kind for v in VERDICTS.of(results)]).value_counts().to_dict()
    assert kinds == {"winner": 4, "persistence-summary": 4, "persistence": 8, "families": 4}
    assert results.data.nodes == 6
    assert results.data.split_rows["train"][0] == 0
    assert results.data.unit == "mph"
    assert results.spec["models"] == ["tgcn", "gru"]
    assert results.spec["threads"] == results.environment["threads"] == torch.get_num_threads()
    assert results.environment["data_hash"] == results.rows["data_hash"].iloc[0]


def test_results_survive_saving(results, tmp_path):
    results.save(tmp_path)
    again = Results.load(tmp_path)
    pd.testing.assert_frame_equal(again.rows, results.rows, check_dtype=False, check_exact=True)
    assert str(again.errors.to_json()) == str(results.errors.to_json())


def test_a_seed_gives_the_same_numbers_whatever_else_is_compared(results):
    alone = run(make_spec(models=["tgcn"], seeds=[5], horizons=[2, 4], **SMALL))

    def values(found):
        return found.rows[(found.rows["model"] == "tgcn") & (found.rows["seed"] == 5)]["value"].tolist()

    assert values(alone) == values(results)


class Recorder(nn.Module):
    """Notes the first training batches that it sees, by name."""

    seen: dict = {}  # noqa: RUF012 - shared on purpose

    def __init__(self, name, horizon):
        super().__init__()
        self.name, self.horizon = name, horizon
        self.level = nn.Parameter(torch.zeros(()))

    def forward(self, x, edge_index, edge_weight, *, mask=None, target=None, progress=None):
        if self.training:
            self.seen.setdefault(self.name, []).append(x.clone())
        scale = float("nan") if self.name == "tgcn" and self.seen.get("break") else 1.0
        return (self.level * scale).expand(x.size(0), self.horizon, x.size(2))


@pytest.fixture
def recorded(monkeypatch):
    Recorder.seen = {}
    monkeypatch.setattr(train_module, "build_forecaster", lambda name, *, horizon, **_: Recorder(name, horizon))
    return Recorder.seen


def test_all_models_see_the_same_shuffles(recorded):
    run(make_spec(models=["gru", "tgcn"], seeds=[3], horizons=[2], **SMALL))
    assert len(recorded["gru"]) == len(recorded["tgcn"]) > 5
    assert all(torch.equal(a, b) for a, b in zip(recorded["gru"], recorded["tgcn"], strict=True))


def test_what_is_kept_is_not_run_again(recorded, tmp_path):
    spec = make_spec(models=["gru"], seeds=[3], horizons=[2], **SMALL)
    first = run(spec, directory=tmp_path)
    steps = len(recorded["gru"])
    more = make_spec(models=["gru"], seeds=[3, 4], horizons=[2], **SMALL)
    second = run(more, heard := Heard(), directory=tmp_path)
    assert heard.lines[0][2] == {"gru, seed 3"}
    assert len(recorded["gru"]) == 2 * steps
    assert without_times(second.rows[second.rows["seed"] != 4]) == without_times(first.rows)
    assert not list((tmp_path / "jobs").glob("*.part"))


def test_finished_fits_are_judged_again_whatever_code_trained_them(recorded, tmp_path, monkeypatch):
    spec = make_spec(models=["gru"], seeds=[0], horizons=[2], **SMALL)
    first = run(spec, directory=tmp_path)
    monkeypatch.setattr(store_module, "code_digest", lambda: "another")
    with pytest.raises(ValueError, match="was made with other code that trains"):
        run(spec, directory=tmp_path)
    steps = len(recorded["gru"])
    again = run(spec, directory=tmp_path, only_judge=True)
    assert without_times(again.rows) == without_times(first.rows)
    assert list(again.rows["commit"]) == list(first.rows["commit"])
    assert again.environment["code_hash"] == first.environment["code_hash"]
    assert len(recorded["gru"]) == steps
    (job,) = (tmp_path / "jobs").glob("gru*.safetensors")
    job.unlink()
    with pytest.raises(ValueError, match="is not there; only a run that is over can be judged again"):
        run(spec, directory=tmp_path, only_judge=True)


def finished(folder):
    """The folder, as if its results were written."""
    (folder / "results.json").touch()
    return folder


def test_jobs_of_another_spec_are_refused_or_run_again(recorded, tmp_path):
    run(make_spec(models=["gru"], seeds=[3], horizons=[2], **SMALL), directory=tmp_path)
    other = make_spec(models=["gru"], seeds=[3], horizons=[2], learning_rate=0.125, **SMALL)
    with pytest.raises(
        ValueError,
        match=r"gru-seed3.safetensors was made with learning_rate 0.005, and this run has 0.125; resume \(--resume\)",
    ):
        run(other, directory=finished(tmp_path))
    assert without_times(run(other, directory=tmp_path, resume=True).rows) == without_times(run(other).rows)


def test_a_run_that_is_not_over_is_not_replaced_and_nothing_is_trained(recorded, tmp_path):
    run(make_spec(models=["gru"], seeds=[3], horizons=[2], trials=1, **SMALL), directory=tmp_path)
    before, steps = (tmp_path / "spec.json").read_bytes(), len(recorded["gru"])
    other = make_spec(models=["gru"], seeds=[3], horizons=[2], trials=2, **SMALL)
    with pytest.raises(ValueError, match=r"a run that is not over, of another spec \(trials is 1 there, and 2 now\)"):
        run(other, directory=tmp_path, resume=True)
    assert (tmp_path / "spec.json").read_bytes() == before
    assert len(recorded["gru"]) == steps


def test_a_folder_of_other_data_is_refused(recorded, tmp_path):
    spec = make_spec(models=["gru"], seeds=[3], horizons=[2], history=3, **SMALL)
    run(spec, directory=tmp_path)
    with pytest.raises(ValueError, match=r"was begun on other data \(SHA-256 \w{12}…, now \w{12}…\)"):
        run(spec, series=random_series(60), directory=tmp_path, resume=True)


def test_a_fit_that_failed_by_its_numbers_is_not_tried_again(recorded, tmp_path):
    recorded["break"] = [True]
    spec = make_spec(models=["gru", "tgcn"], seeds=[3], horizons=[2], **SMALL)
    first, steps = run(spec, directory=tmp_path), len(recorded["tgcn"])
    second = run(spec, directory=tmp_path)
    assert second.failures == first.failures
    assert len(recorded["tgcn"]) == steps


def test_a_fit_that_breaks_is_reported_and_has_no_rows(recorded):
    recorded["break"] = [True]
    found = run(make_spec(models=["gru", "tgcn"], seeds=[3], horizons=[2], **SMALL))
    assert [(f.model, f.seed) for f in found.failures] == [("tgcn", 3)]
    assert "training loss is nan at epoch 1, step 1" in found.failures[0].error
    assert "tgcn" not in found.models
    assert "gru" in found.models
    assert not [v for v in VERDICTS.of(found) if v.kind == "families"]


class Heard:
    def __init__(self):
        self.lines = []

    def begin_matrix(self, jobs, done=()):
        self.lines.append(("matrix", list(jobs), set(done)))

    def begin_job(self, label):
        self.lines.append(("begin", label))

    def end_job(self, label, summary, *, failed=False):
        self.lines.append(("end", label, failed))


def test_progress_hears_of_every_job(recorded):
    recorded["break"] = [True]
    heard = Heard()
    run(make_spec(models=["gru", "tgcn"], seeds=[3], horizons=[2], **SMALL), heard)
    assert heard.lines == [
        ("matrix", [("gru", "gru, seed 3"), ("tgcn", "tgcn, seed 3")], set()),
        ("begin", "gru, seed 3"),
        ("end", "gru, seed 3", False),
        ("begin", "tgcn, seed 3"),
        ("end", "tgcn, seed 3", True),
    ]


def random_series(rows, missing=None):
    values = 10 + torch.randn(rows, 2, 1, generator=torch.Generator().manual_seed(0))
    if missing is not None:
        values[missing.start : missing.stop] = float("nan")
    split = Split(range(rows - 20), range(rows - 20, rows - 10), range(rows - 10, rows))
    return GraphSeries("mine", values, torch.tensor([[0], [1]]), torch.ones(1), ("a", "b"), split)


def test_ones_own_series_and_a_season_that_is_not_known(recorded):
    found = run(make_spec(models=["gru"], seeds=[0], horizons=[2], history=3, **SMALL), series=random_series(60))
    assert found.data.name == "mine"
    assert found.data.positions is None
    assert any("season is not known" in note for note in found.notes)


def test_a_series_that_is_too_short_for_the_longest_horizon_is_refused():
    with pytest.raises(ValueError, match=r"too short: its val split has .*horizon=11 needs 14"):
        run(make_spec(models=["gru"], horizons=[2, 11], history=3, **SMALL), series=random_series(60))


def test_a_split_without_values_is_refused():
    spec = make_spec(models=["gru"], horizons=[2], history=3, **SMALL)
    with pytest.raises(ValueError, match="the test split of mine has no observed target in rows 50 to 59"):
        run(spec, series=random_series(60, range(50, 60)))
    with pytest.raises(ValueError, match="the train split of mine has no observed target in rows 0 to"):
        run(spec, series=random_series(60, range(3, 45)))


def test_a_split_that_is_asked_for_holds_for_a_given_series(recorded):
    spec = make_spec(models=["gru"], seeds=[0], horizons=[2], history=3, split=(0.5, 0.25, 0.25), **SMALL)
    found = run(spec, series=random_series(60))
    assert found.data.split_rows == {"train": [0, 30], "val": [30, 45], "test": [45, 60]}
    assert found.data.split == "50/25/25 by time"


@pytest.mark.parametrize("share", [0.1, 0.001])
def test_a_share_that_is_too_short_for_a_window_is_refused_before_anything_is_trained(recorded, share):
    spec = make_spec(models=["gru"], horizons=[2], history=3, train_shares=[0.5, share], **SMALL)
    rows = max(1, round(share * 40))
    words = rf"^train {100 * share:g}%: series too short: its train split has {rows} of 60 rows"
    with pytest.raises(ValueError, match=words) as caught:
        run(spec, series=random_series(60))
    assert "\n" not in str(caught.value)
    assert "gru" not in recorded


def peaked():
    """A series whose largest value is in an early training row: the scaler of all rows is that of training rows."""
    series = random_series(60)
    series.values[2] = 99.0
    return series


LATE = {"models": ["gru"], "seeds": [0, 1], "horizons": [2], "history": 3, "scaler": "max-all", **SMALL}


def test_a_leak_of_one_condition_is_found_and_named(recorded):
    assert {check.status for check in AUDIT.of(run(make_spec(**LATE), series=peaked()))} <= {"passed", "warning"}
    recorded.clear()
    with pytest.raises(LeakError, match=r"^train 50%: leak \(scaler\): the scaler subtracts 0 and ") as caught:
        run(make_spec(**LATE, train_shares=[0.5]), series=peaked())
    assert caught.value.cause == "scaler"
    assert recorded == {}
    found = run(make_spec(**LATE, train_shares=[0.5], allow_leaks=["scaler"]), series=peaked())
    finding = next(check for check in AUDIT.of(found) if check.cause == "scaler")
    assert finding.status == "allowed"
    assert finding.detail.startswith("Under train 50%: The scaler subtracts 0 and divides by 99 ")
    assert set(found.rows["leak"]) == {"scaler"}


def test_each_condition_is_audited_once(monkeypatch):
    seen = []
    real = runner_module.audit

    def counted(series, windows, *, allow):
        seen.append((len(series.split.train), windows.train.store.targets is not None))
        return real(series, windows, allow=allow)

    monkeypatch.setattr(runner_module, "audit", counted)
    shares = {"train_shares": [0.5, 1.0], "hidden_shares": [0.2], "ablate_graph": ["gcn"]}
    found = run(
        make_spec(models=["gcn"], seeds=[0, 1], horizons=[2], history=3, **shares, **SMALL), series=random_series(80)
    )
    assert seen == [(60, False), (30, False), (60, True)]
    assert {check.status for check in AUDIT.of(found) if check.cause not in ("duplicate", "constant")} == {"passed"}
