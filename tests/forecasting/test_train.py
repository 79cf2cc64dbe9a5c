import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from gnnkit.compare import make_spec, run
from gnnkit.compare.jobs import Job, run_job
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.data import chronological_split, row_time, simulate_traffic
from gnnkit.forecasting import (
    FitSettings,
    TrainedRowsWarning,
    evaluate_forecaster,
    read_series,
    settle,
    train_forecaster,
    train_one,
)

SMALL = {"epochs": 2, "hidden_channels": 4, "horizons": [2, 3], "history": 6, "device": "cpu"}


@pytest.fixture(scope="module")
def series():
    return simulate_traffic(num_nodes=5, days=2)


def test_a_model_trained_alone_is_the_one_of_a_comparison(series):
    rows = run(make_spec(models=["gru"], seeds=[3], **SMALL), series=series).rows
    found = train_forecaster("gru", FitSettings(**SMALL), seed=3, series=series)
    found = evaluate_forecaster(found, series, device="cpu")
    keys = ["model", "horizon", "score", "metric"]
    both = found.set_index(keys)["value"].to_frame().join(rows.set_index(keys)["value"].rename("there"), how="left")
    assert len(both) == 2 * 2 * 2 * 6
    assert (both["value"] == both["there"]).all()
    assert set(found["model"]) == {"last-value", "gru"}


@pytest.mark.parametrize("model", ["gru", "tgcn", "dlinear"])
def test_train_one_predicts_what_the_job_of_a_comparison_predicts_byte_for_byte(model, series):
    job = Job(model, 3, hidden_channels=4)
    outcome, _ = run_job(FinalSpec(models=[model], seeds=[3], **SMALL), series, job)
    settings, settled, _ = settle(FitSettings(residual=True, **SMALL), series)
    trained = train_one(settings, settled, model, settings.training_settings(seed=3))
    assert torch.equal(trained.predicted["test"], outcome.predicted)
    assert torch.equal(trained.predicted["val"], outcome.validation)
    assert trained.result.best_val_mae == outcome.fitted.best_val_mae
    kept = train_forecaster(model, FitSettings(residual=True, **SMALL), seed=3, series=series)
    weights = kept.forecaster.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in trained.forecaster.state_dict().items())


def test_parts_that_are_not_asked_for_are_not_predicted(series):
    settings, settled, _ = settle(FitSettings(**SMALL), series)
    training = settings.training_settings(seed=0)
    assert not train_one(settings, settled, "dlinear", training, predict_on=()).predicted
    train = train_one(settings, settled, "dlinear", training, predict_on=("train",)).predicted["train"]
    assert train.shape == (len(series.split.train) - 6 - 2 + 1, 3, 5)


def test_a_short_series_gets_the_history_and_horizons_of_a_comparison():
    days = simulate_traffic(num_nodes=4, days=1)
    short = dataclasses.replace(days, values=days.values[100:160], split=chronological_split(60), extra={})
    asked = {"epochs": 2, "hidden_channels": 4, "device": "cpu"}
    fitted = train_forecaster("dlinear", FitSettings(**asked), series=short)
    assert (fitted.config["history"], fitted.config["horizon"]) == (12, 3)
    found = evaluate_forecaster(fitted, short, device="cpu")
    rows = run(make_spec(models=["dlinear"], seeds=[0], **asked), series=short).rows
    keys = ["model", "horizon", "score", "metric"]
    there = rows.set_index(keys)[["value", "windows"]].add_suffix("_run")
    both = found.set_index(keys)[["value", "windows"]].join(there)
    assert (both["value"] == both["value_run"]).all()
    # Histories reach back: each of the 12 test rows is a target.
    assert set(both["windows"]) == set(both["windows_run"]) == {12, 11, 10}


def test_settings_and_time_features_arrive(series):
    settings = FitSettings(time_features=True, **SMALL)
    fitted = train_forecaster("stid", settings, {"layers": 2, "day_slots": 24}, series=series)
    core = fitted.forecaster.forecaster
    assert (len(core.inputs), core.day_slots, core.time_channels) == (2, 24, 2)
    assert fitted.config["fit"]["epochs"] == 2
    assert fitted.config["fit"]["data_hash"] == series.digest()
    with pytest.raises(ValueError, match="model 'gru' has no setting 'layers'"):
        train_forecaster("gru", FitSettings(**SMALL), {"layers": 2}, series=series)


def test_rows_that_were_trained_on_are_not_scored_without_a_word(series, recwarn):
    fitted = train_forecaster("dlinear", FitSettings(**SMALL), series=series)
    last = series.split.val.stop - 1
    assert fitted.config["trained_until"] == row_time(series, last).isoformat()

    def rows(first, stop):
        values, split = series.values[first:stop], chronological_split(stop - first)
        return dataclasses.replace(series, values=values, split=split, extra={}, start=row_time(series, first))

    evaluate_forecaster(fitted, series, device="cpu")
    stop = series.num_rows
    later = rows(stop - 100, stop)  # of which 20 are scored, the first of them that after `last` or later
    assert last < stop - 20
    evaluate_forecaster(fitted, later, device="cpu")
    untimed = dataclasses.replace(rows(0, 300), start=None)
    evaluate_forecaster(fitted, untimed, device="cpu")
    evaluate_forecaster(fitted, rows(0, 300), part="val", device="cpu")
    assert [warning for warning in recwarn if warning.category is TrainedRowsWarning] == []
    with pytest.warns(TrainedRowsWarning, match="give later rows"):
        evaluate_forecaster(fitted, rows(0, 300), device="cpu")


def test_validation_rows_can_be_scored(series):
    fitted = train_forecaster("dlinear", FitSettings(**SMALL | {"horizons": [3]}), series=series)
    found = evaluate_forecaster(fitted, series, part="val", device="cpu").set_index(["model", "score", "metric"])
    value = found.loc[("dlinear", "averaged", "mae"), "value"]
    assert value == pytest.approx(fitted.config["fit"]["best_val_mae"], rel=1e-6)
    assert found["windows"].unique().tolist() == [len(series.split.val) - 6 - 3 + 1]
    fitted.config["spec"].pop("seed")
    fitted.config["spec"]["seeds"] = [7]  # as gnnkit 0.1 kept it, among further settings of a comparison
    found = evaluate_forecaster(fitted, series, part="val", device="cpu")
    assert found.groupby("model")["seed"].first().to_dict() == {"dlinear": 7, "last-value": 0}


def test_another_series_must_have_the_same_nodes(series):
    fitted = train_forecaster("dlinear", FitSettings(**SMALL), series=series)
    with pytest.raises(
        ValueError, match="simulated has 3 nodes, the forecaster knows 5; 'sensor 3' is only in the fore"
    ):
        evaluate_forecaster(fitted, simulate_traffic(num_nodes=3, days=2))
    later = simulate_traffic(num_nodes=5, days=3)
    scores = evaluate_forecaster(fitted, later, device="cpu")
    assert scores["data_hash"].unique().tolist() == [later.digest()]
    assert not fitted.forecaster.training
    assert torch.equal(fitted.edge_index, series.edge_index)


def test_nodes_in_another_order_get_the_same_scores(series):
    fitted = train_forecaster("mtgnn", FitSettings(**SMALL | {"epochs": 1}), series=series)
    order = [3, 0, 4, 1, 2]
    names = tuple(series.node_names[node] for node in order)
    place = torch.tensor(order).argsort()
    turned = dataclasses.replace(
        series, values=series.values[:, order], node_names=names, edge_index=place[series.edge_index], positions=None
    )
    found = [evaluate_forecaster(fitted, one, device="cpu")["value"] for one in (series, turned)]
    assert found[0].equals(found[1])


@pytest.fixture
def speeds(tmp_path):
    values = 50 + np.random.default_rng(0).normal(size=(120, 3)).cumsum(axis=0)
    pd.DataFrame(values, columns=["a", "b", "c"]).to_csv(tmp_path / "speeds.csv", index=False)
    return tmp_path / "speeds.csv"


def test_training_files_and_device_need_not_be_there_for_another_series(speeds, monkeypatch):
    monkeypatch.chdir(speeds.parent)
    fitted = train_forecaster("dlinear", FitSettings(series="speeds.csv", **SMALL))
    assert fitted.config["spec"]["series"] == str(speeds)
    monkeypatch.chdir(speeds.parent.parent)
    expected = evaluate_forecaster(fitted, device="cpu")
    fitted.config["spec"]["device"] = "cuda:9"
    shutil.move(speeds, speeds.parent / "moved.csv")
    found = evaluate_forecaster(fitted, read_series(speeds.parent / "moved.csv", fitted), device="cpu")
    assert found["value"].equals(expected["value"])
    with pytest.raises(ValueError, match=r"series: no such file: .*speeds\.csv"):
        evaluate_forecaster(fitted, device="cpu")


def test_files_that_changed_since_are_refused(speeds):
    fitted = train_forecaster("dlinear", FitSettings(series=speeds, **SMALL))
    table = pd.read_csv(speeds)
    pd.concat([table, table.tail(5)]).to_csv(speeds, index=False)
    with pytest.raises(
        ValueError, match="speeds: not the speeds that the forecaster was trained on, or it has changed"
    ):
        evaluate_forecaster(fitted, device="cpu")
    assert evaluate_forecaster(fitted, read_series(speeds, fitted), device="cpu")["value"].notna().all()


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        ("gru", {"dropout": "x"}, "setting dropout: 'x' is not allowed: give a number"),
        ("mtgnn", {"neighbors": 1.5}, r"setting neighbors: 1\.5 is not allowed: give a whole number \(default 20\)"),
        ("gru", {"width": 2}, "model 'gru' has no setting 'width'"),
    ],
)
def test_settings_of_another_type(series, model, settings, message):
    with pytest.raises(ValueError, match=message):
        train_forecaster(model, FitSettings(**SMALL), settings, series=series)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (make_spec(settings={"gru": {"dropout": 0.1}}), "settings: only for a comparison"),
        (make_spec(train_shares=[0.5]), "train_shares: only for a comparison"),
        (make_spec(models=["gru"]), "models: only for a comparison; give FitSettings"),
        (FitSettings(scaler="max-node-all"), "scaler: 'max-node-all' is fitted on the test rows too; give 'max-node'"),
    ],
)
def test_what_would_be_passed_over_is_refused(series, asked, message):
    with pytest.raises(ValueError, match=message):
        train_forecaster("gru", asked, series=series)


def test_a_split_of_the_spec_is_that_of_another_series_too(series):
    fitted = train_forecaster("dlinear", FitSettings(split=[0.9, 0.05, 0.05], **SMALL), series=series)
    fitted.config["spec"]["precision"] = "64-true"  # of a gnnkit that had it; nothing is trained now
    short, nine = (
        dataclasses.replace(series, values=series.values[:rows], split=chronological_split(rows), extra={})
        for rows in (60, 9)
    )
    with pytest.warns(TrainedRowsWarning, match="scored from .* on, but the forecaster was trained on rows up to"):
        found = evaluate_forecaster(fitted, short, device="cpu")
    assert found.groupby("horizon")["windows"].first().tolist() == [2, 1]  # of 3 test rows, and not of 12
    with pytest.raises(ValueError, match="the last 1 of its 9 rows would be scored, and those before hold no window"):
        evaluate_forecaster(fitted, nine, device="cpu")
