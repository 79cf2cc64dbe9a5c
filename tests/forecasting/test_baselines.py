"""Forecasts without training, against numbers worked out by hand and published ones."""

import math
import os
from pathlib import Path

import pytest
import torch

from gnnkit.compare import BASELINES, historical_average, last_value, rolling_average
from gnnkit.data import GraphSeries, Split, StandardScaler, Windows, load, make_windows
from gnnkit.forecasting.baselines import baseline_notes, historical_average_note, seasonal_naive, seasonal_naive_note
from gnnkit.metrics import FORECAST_METRICS

NAN = float("nan")
DATA = Path(os.environ.get("GNNKIT_DATA", Path(__file__).parents[3] / "shared" / "data"))


def make_series(values, split, season=None):
    values = torch.tensor(values, dtype=torch.float32)[:, :, None]
    nodes = values.size(1)
    edges = torch.zeros(2, 0, dtype=torch.int64)
    names = tuple(f"n{i}" for i in range(nodes))
    return GraphSeries("toy", values, edges, torch.ones(0), names, split, season=season)


SPLIT = Split(range(6), range(6, 10), range(10, 15))


def toy(season=None):
    first = [1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 10, NAN, 12, 7, 9]
    second = [NAN, 2, NAN, 8, 3, 3, 0, 0, 0, NAN, NAN, NAN, 6, 6, 6]
    return make_series([list(pair) for pair in zip(first, second, strict=True)], SPLIT, season)


def windows_of(series, history=2, horizon=1):
    return make_windows(series, history=history, horizon=horizon).test


def test_last_value_is_the_last_observed_one_and_never_a_later_one():
    series = toy()
    found = last_value(series, windows_of(series))
    # Test windows end their history at rows 11, 12, 13.
    assert found.tolist() == [[[10.0, 0.0]], [[12.0, 6.0]], [[7.0, 6.0]]]
    assert last_value(series, windows_of(series, horizon=2))[0].tolist() == [[10.0, 0.0], [10.0, 0.0]]


def test_rolling_average_is_the_mean_of_what_the_history_observed():
    series = toy()
    found = rolling_average(series, windows_of(series, history=3))
    # Rows 10 to 12 and 11 to 13; gaps do not count.
    assert found.tolist() == [[[11.0, 6.0]], [[9.5, 6.0]]]
    # A history without any value falls back to the last observed one.
    assert rolling_average(series, windows_of(series))[0].tolist() == [[10.0, 0.0]]


def test_rolling_average_takes_its_own_predictions_as_rows():
    values = [[float(i)] for i in range(9)] + [[v] for v in (2.0, 4.0, 0.0, 0.0, 0.0, 0.0)]
    series = make_series(values, Split(range(3), range(3, 9), range(9, 15)))
    scaler = StandardScaler.fit(series.values, series.split.train)
    windows = Windows(series, series.split.test, history=2, horizon=4, scaler=scaler)
    found = rolling_average(series, windows)
    # (2 + 4) / 2 = 3, (4 + 3) / 2 = 3.5, (3 + 3.5) / 2 = 3.25, (3.5 + 3.25) / 2 = 3.375
    assert found[0].flatten().tolist() == [3.0, 3.5, 3.25, 3.375]


def test_historical_average_is_the_training_mean_at_the_same_place_in_the_season():
    series = toy(season=3)
    found = historical_average(series, windows_of(series))
    # Training rows 0 to 5; positions 0, 1, 2: (1, 4), (2, 5), (3, 6) and (8), (2, 3), (3). Targets: rows 12, 13, 14.
    assert found.tolist() == [[[2.5, 8.0]], [[3.5, 2.5]], [[4.5, 3.0]]]
    assert historical_average_note(series) is None


def test_without_a_season_it_is_the_training_mean_and_says_so():
    series = toy()
    assert historical_average(series, windows_of(series))[0].tolist() == [[3.5, 4.0]]
    assert "the season is not known (set season)" in historical_average_note(series)


def test_a_place_that_training_never_saw_takes_the_training_mean_and_says_so():
    series = toy(season=12)
    found = historical_average(series, windows_of(series))
    assert found.tolist() == [[[1.0, 4.0]], [[2.0, 2.0]], [[3.0, 4.0]]]
    # 12 places and 2 nodes: 6 unseen by the first, 8 by the second.
    assert f"{100 * 14 / 24:.1f}% of the positions" in historical_average_note(series)


def test_a_node_that_is_blind_until_then_takes_training_means():
    values = [[i, NAN] for i in range(10)] + [[9.0, NAN]] * 3 + [[9.0, 5.0]] * 2
    series = make_series(values, SPLIT)
    assert last_value(series, windows_of(series))[0].tolist() == [[9.0, 2.5]]  # the mean of all training values
    assert rolling_average(series, windows_of(series))[0].tolist() == [[9.0, 2.5]]


def test_seasonal_naive_is_the_value_one_season_before():
    series = toy(season=3)
    found = seasonal_naive(series, windows_of(series))
    # Targets 12, 13, 14; rows 9, 10, 11. At row 9 the second node has a gap: row 6. At 10 and 11 as well: rows 7 and 8.
    # Row 11 is a gap of the first node: row 8.
    assert found.tolist() == [[[0.0, 0.0]], [[10.0, 0.0]], [[0.0, 0.0]]]
    assert seasonal_naive_note(series, windows_of(series)) is None


def test_seasonal_naive_goes_back_further_where_the_season_is_not_over_yet():
    values = [[float(i)] for i in range(15)]
    series = make_series(values, SPLIT, season=2)

    def forecast(series):
        scaler = StandardScaler.fit(series.values, series.split.train)
        return seasonal_naive(series, Windows(series, series.split.test, history=2, horizon=3, scaler=scaler))

    found = forecast(series)
    # The history ends at row 11: targets 12, 13, 14 come from 10, 11 and, as 12 is not seen yet, 10 again.
    assert found[0].flatten().tolist() == [10.0, 11.0, 10.0]
    changed = [[v if i <= 11 else -1.0] for i, (v,) in enumerate(values)]
    later = make_series(changed, SPLIT, season=2)
    assert forecast(later)[0].tolist() == found[0].tolist()


def test_seasonal_naive_falls_back_to_the_last_value_and_says_so():
    series = toy()
    test = windows_of(series)
    assert seasonal_naive(series, test).tolist() == last_value(series, test).tolist()
    assert "seasonal-naive predicts the last value of each node: the season is not known" in seasonal_naive_note(
        series, test
    )
    long = toy(season=13)
    # Targets 12, 13, 14: nothing before row 0; row 0, where the second node has a gap; row 1.
    assert seasonal_naive(long, test).tolist() == [[[10.0, 0.0]], [[1.0, 6.0]], [[2.0, 2.0]]]
    assert seasonal_naive_note(long, test).startswith("seasonal-naive predicts the last value of a node at 50.0% of")
    assert [note.split()[0] for note in baseline_notes(long, test)] == ["historical-average", "seasonal-naive"]
    assert baseline_notes(toy(season=3), test) == []


def test_a_forecast_further_ahead_sees_no_row_in_between():
    values = [[float(i * i)] for i in range(15)]
    series = make_series(values, SPLIT, season=3)
    scaler = StandardScaler.fit(series.values, series.split.train)
    near = Windows(series, series.split.test, history=2, horizon=2, scaler=scaler)
    far = Windows(series, series.split.test, history=2, horizon=1, lead=2, scaler=scaler)
    for name, predict in BASELINES.items():
        assert predict(series, far)[:, 0].tolist() == predict(series, near)[:, 1].tolist(), name


def test_names_in_tables():
    assert list(BASELINES) == ["last-value", "rolling-average", "historical-average", "seasonal-naive"]


PUBLISHED = {  # RMSE, MAE, accuracy, R² at 15, 30, 45 and 60 minutes
    3: (5.5428, 3.1561, 0.9056, 0.8403),
    6: (6.6986, 3.6317, 0.8859, 0.7676),
    9: (7.6281, 4.0417, 0.8701, 0.6997),
    12: (8.4555, 4.4332, 0.8559, 0.6322),
}
ROLLING = {3: (7.3067, 3.8782), 6: (7.9575, 4.1699), 9: (8.5986, 4.4824), 12: (9.2619, 4.828)}


@pytest.mark.skipif(not (DATA / "losloop" / "los_speed.csv").is_file(), reason="Los-loop is not here: set GNNKIT_DATA")
def test_persistence_and_rolling_average_of_los_loop_to_all_published_digits():
    series = load("los-loop", DATA)
    test = make_windows(series, history=12, horizon=12, min_horizon=3).test
    batch = test.batch(torch.arange(len(test)))
    for horizon, expected in PUBLISHED.items():
        count = test.count(horizon)
        assert count == 404 - 12 - horizon
        part = (slice(0, count), slice(0, horizon))

        def score(metric, predicted, part=part):
            return FORECAST_METRICS[metric](predicted[part], batch.y[part], batch.y_mask[part])

        found = [score(metric, last_value(series, test)) for metric in ("rmse", "mae", "accuracy", "r2")]
        assert [round(value, 4) for value in found] == list(expected)
        found = [score(metric, rolling_average(series, test)) for metric in ("rmse", "mae")]
        assert [round(value, 4) for value in found] == list(ROLLING[horizon])
        assert math.isfinite(score("mae", historical_average(series, test)))
