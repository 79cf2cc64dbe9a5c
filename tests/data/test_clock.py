from dataclasses import replace

import pandas as pd
import pytest
import torch

from gnnkit.data import clock_features, make_windows, row_time, simulate_traffic, told_weekdays


@pytest.fixture(scope="module")
def series():
    return simulate_traffic(num_nodes=2, days=9)


def test_time_of_day_and_weekday_are_pandas(series):
    found = clock_features(series, weekdays=range(7))
    times = pd.date_range(series.start, periods=series.num_rows, freq="5min")
    time = (times.hour * 60 + times.minute) / 1440
    torch.testing.assert_close(found[:, 0], torch.tensor(time.to_numpy(copy=True)).float(), rtol=0, atol=1e-7)
    assert torch.equal((found[:, 1] * 7).round().long(), torch.tensor(times.day_of_week.to_numpy(copy=True)).long())


@pytest.mark.parametrize("step", [0.1, 1 / 3, 7.0, 60.0, 1440.0])
def test_steps_of_any_length_fall_on_the_right_day(series, step):
    found = clock_features(
        replace(series, start=pd.Timestamp("2024-02-29 23:45:30"), step_minutes=step), weekdays=range(7)
    )
    nanoseconds = torch.arange(series.num_rows).double() * step * 6e10
    times = pd.Timestamp("2024-02-29 23:45:30") + pd.to_timedelta(nanoseconds.round().long().numpy())
    seconds = times.hour * 3600 + times.minute * 60 + times.second + times.microsecond / 1e6 + times.nanosecond / 1e9
    wrong = (found[:, 0] - torch.tensor((seconds / 86400).to_numpy(copy=True)).float()).abs() > 1e-6
    # A rounding of the nanoseconds may put midnight on the day before.
    assert wrong.sum() <= (seconds > 86399.999).sum()
    assert ((found[:, 0] >= 0) & (found[:, 0] < 1)).all()
    days = torch.tensor(times.day_of_week.to_numpy(copy=True)).long()
    assert torch.equal((found[:, 1] * 7).round().long()[~wrong], days[~wrong])


def with_training_rows(series, first, last):
    """Rows of 5 minutes from `first` up to `last` train; rows 0 are a Thursday's midnight."""
    split = replace(
        series.split, train=range(first, last), val=range(last, last + 200), test=range(last + 200, 9 * 288)
    )
    return replace(series, split=split)


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        (0, 7 * 288, (0, 1, 2, 3, 4, 5, 6)),
        (0, 7 * 288 - 1, (0, 1, 1, 3, 4, 5, 6)),  # Wednesday lacks five minutes: the nearest is Tuesday
        (0, 3 * 288, (3, 3, 3, 3, 4, 5, 5)),  # Thursday to Saturday: Sunday is told as Saturday, Monday as Thursday
        (288 + 144, 4 * 288, (6, 6, 5, 5, 5, 5, 6)),  # only half a Friday beside the weekend
        (0, 287, (0, 0, 0, 0, 0, 0, 0)),
    ],
)
def test_a_weekday_without_a_day_of_training_rows_is_told_as_the_nearest(series, first, last, told):
    given = with_training_rows(series, first, last)
    assert told_weekdays(given) == told
    plain = clock_features(given, weekdays=range(7))
    expected = torch.tensor(told)[(plain[:, 1] * 7).round().long()] / 7
    found = clock_features(given)
    assert torch.equal(found, torch.stack([plain[:, 0], expected], dim=1))
    windows = make_windows(given, history=3, horizon=2, time_features=True)
    assert torch.equal(windows.test.batch(torch.tensor([0])).x[0, :, 0, 1:], found[last + 200 : last + 203])
    windows = make_windows(given, history=3, horizon=2, time_features=True, weekdays=range(7))
    assert torch.equal(windows.test.batch(torch.tensor([0])).x[0, :, 0, 1:], plain[last + 200 : last + 203])


def test_unknown_times_are_an_error(series):
    with pytest.raises(ValueError, match="simulated does not know start, so there is no time of day"):
        clock_features(replace(series, start=None))
    with pytest.raises(ValueError, match="does not know start and step_minutes"):
        clock_features(replace(series, start=None, step_minutes=None))


@pytest.mark.parametrize(
    ("start", "unit", "row", "time"),
    [
        ("2023-11-15 06:00", "month", 3, "2024-02-15 06:00"),
        ("2023-11-30", "month", 3, "2024-02-29"),
        ("2024-02-29", "month", 1, "2024-03-31"),
        ("2024-01-01", "quarter", 5, "2025-04-01"),
        ("2024-01-31", "half-year", 1, "2024-07-31"),
        ("2020-07-01", "year", 12, "2032-07-01"),
        ("2024-01-01", "2 months", 7, "2025-03-01"),
        ("2024-11-28", "weekday", 2, "2024-12-02"),
        ("2024-11-28", "weekday", 11, "2024-12-13"),
    ],
)
def test_rows_of_a_calendar_have_its_dates(series, start, unit, row, time):
    found = row_time(replace(series, start=pd.Timestamp(start), step_minutes=None, step_unit=unit), row)
    assert found == pd.Timestamp(time)


def test_a_row_has_no_time_where_the_start_or_the_step_is_unknown(series):
    assert row_time(replace(series, start=None), 3) is None
    assert row_time(replace(series, step_minutes=None, step_unit=""), 3) is None
    assert row_time(replace(series, step_minutes=0.5), 3) == series.start + pd.Timedelta(seconds=90)
