from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from gnnkit.data import make_windows, read_own, simulate_traffic
from gnnkit.forecasting import FitSettings, forecast_next, read_latest, read_series, train_forecaster
from gnnkit.training import predict

SMALL = {"epochs": 1, "hidden_channels": 4, "horizons": [3], "history": 6, "device": "cpu"}


@pytest.fixture(scope="module")
def series():
    return simulate_traffic(num_nodes=4, days=2)


@pytest.fixture(scope="module")
def fitted(series):
    return train_forecaster("tgcn", FitSettings(time_features=True, **SMALL), {"mask_input": True}, series=series)


def as_file(series, path, rows, times=True):
    frame = pd.DataFrame(series.values[rows, :, 0].numpy(), columns=list(series.node_names))
    if times:
        frame.insert(0, "time", pd.date_range(series.start, periods=series.num_rows, freq="5min")[rows])
    frame.to_csv(path, index=False)
    return path


def test_a_forecast_from_a_file_is_the_window_of_the_same_rows(series, fitted, tmp_path):
    windows = make_windows(series, history=6, horizon=3, time_features=True).test
    index = 20
    first = windows.rows.start + index
    known = slice(first - 30, first + 6)  # with a past from which gaps are filled
    latest = read_latest(as_file(series, tmp_path / "latest.csv", known), fitted)
    found = forecast_next(fitted, latest)
    expected = predict(fitted.forecaster, windows, fitted.edge_index, fitted.edge_weight, device="cpu")[index]
    torch.testing.assert_close(torch.tensor(found.to_numpy()), expected, rtol=1e-5, atol=1e-4)
    assert list(found.columns) == list(series.node_names)
    start = series.start + pd.Timedelta(minutes=5 * (first + 6))
    assert found.index.equals(pd.date_range(start, periods=3, freq="5min", name="time"))


def test_a_short_file_is_read_with_the_weekdays_of_a_long_training(tmp_path):
    series = simulate_traffic(num_nodes=4, days=11)
    trained = train_forecaster("stid", FitSettings(time_features=True, **SMALL), series=series)
    assert trained.config["weekdays"] == (0, 1, 2, 3, 4, 5, 6)
    windows = make_windows(series, history=6, horizon=3, time_features=True).test
    first = windows.rows.start
    latest = read_latest(as_file(series, tmp_path / "latest.csv", slice(first - 30, first + 6)), trained)
    expected = predict(trained.forecaster, windows, trained.edge_index, trained.edge_weight, device="cpu")[0]
    torch.testing.assert_close(torch.tensor(forecast_next(trained, latest).to_numpy()), expected, rtol=1e-5, atol=1e-4)
    trained.config["weekdays"] = [0] * 7
    assert not torch.allclose(torch.tensor(forecast_next(trained, latest).to_numpy()), expected, rtol=1e-5, atol=1e-4)


def test_columns_may_come_in_another_order(series, fitted, tmp_path):
    path = as_file(series, tmp_path / "latest.csv", slice(100, 120))
    expected = forecast_next(fitted, read_latest(path, fitted))
    table = pd.read_csv(path)
    table[["time", *reversed(series.node_names)]].to_csv(path, index=False)
    assert forecast_next(fitted, read_latest(path, fitted)).equals(expected)


def test_a_gap_without_a_past_takes_the_training_mean(series, fitted):
    rows = slice(100, 106)
    blind = series.values[rows].clone()
    blind[:, 1] = float("nan")
    latest = replace(
        series,
        values=blind,
        start=series.start,
        split=replace(series.split, train=range(2), val=range(2, 4), test=range(4, 6)),
    )
    train = series.values[series.split.train.start : series.split.train.stop, 1].nanmean(dim=0)
    torch.testing.assert_close(fitted.fill[1], train, rtol=1e-6, atol=1e-4)
    assert forecast_next(fitted, latest).notna().all().all()


def test_months_go_on_by_the_calendar(series, tmp_path):
    months = pd.date_range("2015-01-31", periods=60, freq="ME")
    table = pd.DataFrame(series.values[:60, :, 0].numpy(), columns=list(series.node_names), index=months)
    table.to_csv(tmp_path / "months.csv", index_label="date")
    trained = train_forecaster("dlinear", FitSettings(**SMALL), series=read_own(tmp_path / "months.csv"))
    table.iloc[-20:].to_csv(tmp_path / "latest.csv", index_label="date")
    found = forecast_next(trained, read_latest(tmp_path / "latest.csv", trained))
    assert found.index.equals(pd.date_range("2020-01-31", periods=3, freq="ME", name="time"))


def test_without_times_the_index_counts_steps(series, tmp_path):
    plain = train_forecaster("dlinear", FitSettings(**SMALL), series=series)
    path = as_file(series, tmp_path / "latest.csv", slice(100, 110), times=False)
    found = forecast_next(plain, read_latest(path, plain))
    assert found.index.tolist() == [1, 2, 3]
    assert found.index.name == "step"


def test_files_that_do_not_fit(series, fitted, tmp_path):
    path = as_file(series, tmp_path / "latest.csv", slice(100, 105))
    with pytest.raises(ValueError, match=r"latest\.csv: 5 rows are too few; the forecaster reads the latest 6"):
        read_latest(path, fitted)
    path = as_file(series, tmp_path / "latest.csv", slice(100, 110), times=False)
    with pytest.raises(ValueError, match=r"a row is 15 minutes, but the forecaster was trained on rows of 5"):
        read_latest(path, fitted, step_minutes=15)
    path = as_file(series, tmp_path / "latest.csv", slice(100, 110))
    pd.read_csv(path).rename(columns={"sensor 2": "elsewhere"}).to_csv(path, index=False)
    with pytest.raises(
        ValueError, match="latest has 4 nodes, the forecaster knows 4; 'elsewhere' is only in the series"
    ):
        read_latest(path, fitted)
    path = as_file(series, tmp_path / "latest.csv", slice(100, 110), times=False)
    with pytest.raises(ValueError, match="latest does not know start, so there is no time of day"):
        forecast_next(fitted, read_latest(path, fitted))


def test_the_target_among_features_is_that_of_the_training_file(tmp_path):
    speeds = 50 + np.random.default_rng(0).normal(size=(120, 3)).cumsum(axis=0)
    np.savez(tmp_path / "two.npz", data=np.stack([speeds, 1000 + speeds], axis=-1))
    fitted = train_forecaster("dlinear", FitSettings(series=tmp_path / "two.npz", target=1, **SMALL))
    latest = read_latest(tmp_path / "two.npz", fitted)
    assert np.allclose(latest.values[..., 0], 1000 + speeds)
    assert np.allclose(latest.values[..., 1], speeds, atol=1e-4)
    assert np.abs(forecast_next(fitted, latest).to_numpy() - (1000 + speeds[-1])).max() < 50


def test_numbers_as_names_are_names_where_the_forecaster_has_them(tmp_path):
    values = np.arange(120)[:, None] + np.array([100.0, 300.0, 500.0])
    pd.DataFrame(values, columns=["2", "1", "0"]).to_csv(tmp_path / "speeds.csv", index=False)
    fitted = train_forecaster("dlinear", FitSettings(series=tmp_path / "speeds.csv", **SMALL))
    assert fitted.config["node_names"] == ["2", "1", "0"]
    pd.DataFrame(values[:, ::-1], columns=["0", "1", "2"]).to_csv(tmp_path / "turned.csv", index=False)
    assert np.allclose(read_series(tmp_path / "turned.csv", fitted).values[..., 0], values)


def test_rows_of_another_kind_of_step(tmp_path):
    values = 50 + np.random.default_rng(0).normal(size=(120, 2)).cumsum(axis=0)

    def write(name, times):
        table = pd.DataFrame(values[: len(times)], columns=["a", "b"])
        table.insert(0, "date", times)
        table.to_csv(tmp_path / name, index=False)
        return tmp_path / name

    weekdays = write("weekdays.csv", pd.bdate_range("2024-01-01", periods=120))
    fitted = train_forecaster("dlinear", FitSettings(series=weekdays, **SMALL))
    assert (fitted.config["step_minutes"], fitted.config["step_unit"]) == (None, "weekday")
    latest = read_latest(write("latest.csv", pd.bdate_range("2024-03-01", periods=12)), fitted)
    assert (latest.num_rows, latest.step_unit) == (12, "weekday")
    with pytest.raises(ValueError, match="a row is a day, but the forecaster was trained on rows of a weekday"):
        read_latest(write("few.csv", pd.bdate_range("2024-03-01", periods=8)), fitted)


def test_the_same_instants_on_another_clock_are_forecast_alike(tmp_path):
    values = 50 + np.random.default_rng(0).normal(size=(400, 2)).cumsum(axis=0)
    times = pd.date_range("2024-03-25", periods=400, freq="h", tz="Europe/Berlin")  # clocks are set on 31 March
    table = pd.DataFrame(values, columns=["a", "b"], index=times)
    table.to_csv(tmp_path / "all.csv")
    fitted = train_forecaster("stid", FitSettings(series=tmp_path / "all.csv", time_features=True, **SMALL))
    assert fitted.config["utc_offset"] == 60
    table.iloc[-20:].to_csv(tmp_path / "local.csv")
    table.iloc[-20:].tz_convert("UTC").to_csv(tmp_path / "utc.csv")
    found = [forecast_next(fitted, read_latest(tmp_path / f"{name}.csv", fitted)) for name in ("all", "local", "utc")]
    assert found[0].index[0] == times[-1] + pd.Timedelta(hours=1)
    assert found[1].equals(found[0])
    assert found[2].equals(found[0])


def test_rows_of_a_month_have_no_time_of_day(tmp_path):
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    table.index = pd.date_range("2015-01-01", periods=60, freq="MS")
    table.to_csv(tmp_path / "sales.csv")
    with pytest.raises(ValueError, match="sales: rows of a month have no time of day; leave time features out"):
        train_forecaster("gru", FitSettings(series=tmp_path / "sales.csv", time_features=True, **SMALL))


@pytest.fixture(scope="module")
def weather(series):
    """A covariate of the past, and one that is known ahead, for more rows than the series has."""
    times = pd.date_range(series.start, periods=series.num_rows + 5, freq="5min", name="time")
    rows = np.arange(len(times))
    return pd.DataFrame({"wind": np.sin(rows / 30), "holiday": (rows // 100) % 2}, index=times)


@pytest.fixture(scope="module")
def with_weather(series, weather, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weather")
    path = as_file(series, folder / "series.csv", slice(None))
    weather.to_csv(folder / "weather.csv")
    settings = FitSettings(
        series=path, covariates=folder / "weather.csv", known_ahead=["holiday"], graph_from="correlation", **SMALL
    )
    return train_forecaster("gru", settings), folder


def test_a_forecast_with_covariates_is_the_window_of_the_same_rows(with_weather, series, weather, tmp_path):
    fitted, folder = with_weather
    assert fitted.config["feature_names"] == ["series", "wind", "holiday"]
    assert fitted.config["known_ahead"] == [2]
    whole = read_series(folder / "series.csv", fitted, covariates=folder / "weather.csv")
    windows = make_windows(whole, history=6, horizon=3, scaler=fitted.scaler).test
    index = 20
    stop = windows.rows.start + index + 6
    latest = as_file(series, tmp_path / "latest.csv", slice(stop - 30, stop))
    # Columns may come in any order, others are not read, and what is known ahead goes on.
    weather[["holiday", "wind"]].assign(snow=1.0)[: stop + 3].to_csv(tmp_path / "ahead.csv")
    found = forecast_next(fitted, read_latest(latest, fitted, covariates=tmp_path / "ahead.csv"))
    expected = predict(fitted.forecaster, windows, fitted.edge_index, fitted.edge_weight, device="cpu")[index]
    assert found.to_numpy() == pytest.approx(expected.numpy(), abs=1e-3)


def test_what_a_forecast_needs_and_is_not_given_is_told_in_one_line(with_weather, series, weather, tmp_path):
    fitted, _ = with_weather
    latest = as_file(series, tmp_path / "latest.csv", slice(0, 30))
    with pytest.raises(ValueError, match=r"'wind', 'holiday' beside the target; give them .--covariates."):
        read_latest(latest, fitted)
    weather[["holiday"]].to_csv(tmp_path / "some.csv")
    with pytest.raises(ValueError, match="latest has no 'wind', which the forecaster reads beside 'series'; give it"):
        read_latest(latest, fitted, covariates=tmp_path / "some.csv")
    weather[:32].to_csv(tmp_path / "short.csv")
    missing = "'holiday' ahead, and its value for 'sensor 0' at 2026-03-05 02:40:00 is not given; give it for the 3 st"
    with pytest.raises(ValueError, match=missing):
        forecast_next(fitted, read_latest(latest, fitted, covariates=tmp_path / "short.csv"))
