import numpy as np
import pandas as pd
import pytest

from gnnkit.data import read_own
from gnnkit.data.own_hours import working_hours


def hours(days, first, count, step="h"):
    start = [day + pd.Timedelta(hours=first) for day in days]
    return pd.DatetimeIndex(np.concatenate([pd.date_range(day, periods=count, freq=step).to_numpy() for day in start]))


def test_nights_and_week_ends_are_no_gaps():
    times = hours(pd.bdate_range("2024-03-01", periods=6), 9, 8)
    found = working_hours(times)
    assert found is not None
    assert (found.places.tolist(), found.rows_a_day, found.unit) == (list(range(48)), 8, "working hour")
    holiday = working_hours(times[(times.day != 5) | (times.hour == 9)])  # Tuesday is left out, but for its first hour
    assert holiday is not None
    assert holiday.places.tolist() == [*range(17), *range(24, 48)]


def test_every_day_of_the_week_and_another_step():
    times = hours(pd.date_range("2024-03-01", periods=9), 5, 6, "15min")
    found = working_hours(times[2:])  # and the first day begins later
    assert found is not None
    assert (found.places.tolist(), found.rows_a_day, found.unit) == (list(range(52)), 6, "15 working minutes")
    assert working_hours(times[:6]) is None  # one day tells nothing of nights
    assert working_hours(pd.DatetimeIndex(["2024-01-01 09:00", "2024-01-01 10:00", "2024-01-02 09:20"])) is None
    assert working_hours(times[:6].append(times[:6] + pd.Timedelta(days=9))) is None  # most of the grid would be empty


def test_a_file_of_working_hours(tmp_path):
    times = hours(pd.bdate_range("2024-03-01", periods=3), 9, 8)
    pd.DataFrame({"a": np.arange(24.0)}, index=times).to_csv(tmp_path / "s.csv", index_label="time")
    series = read_own(tmp_path / "s.csv")
    assert (series.num_rows, series.season, series.step_minutes, series.step_unit) == (24, 8, None, "working hour")
    assert series.notes == ("s.csv: its rows are of one part of each day, 8 a day; the time between is no gap.",)
    given = read_own(tmp_path / "s.csv", step_minutes=60)
    assert (given.num_rows, given.season, given.step_minutes) == (24, 8, 60.0)
    irregular = times.to_series().add(pd.to_timedelta(np.arange(24) % 3, unit="min"))
    pd.DataFrame({"a": np.arange(24.0)}, index=irregular).to_csv(tmp_path / "s.csv", index_label="time")
    with pytest.raises(
        ValueError, match=r"pass step_minutes \(--step-minutes 6[01]\) to take the rows as equally spaced"
    ):
        read_own(tmp_path / "s.csv")
