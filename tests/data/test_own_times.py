import numpy as np
import pandas as pd
import pytest

from gnnkit.data import read_own
from gnnkit.data.own_grid import equal_steps, number_places, put_on_grid, season_of
from gnnkit.data.own_times import is_time, number_rows, text_times


def read(cells):
    return text_times(cells, list(range(1, len(cells) + 1)), "t.csv")


def days(*texts):
    return pd.DatetimeIndex(texts)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["2015-01", "2015-02"], days("2015-01-01", "2015-02-01")),
        (["2015Q1", "2015Q2"], days("2015-01-01", "2015-04-01")),
        (["2015-q3", "2015-q4"], days("2015-07-01", "2015-10-01")),
        (["2020-W53", "2021-W01"], days("2020-12-28", "2021-01-04")),
        (["2021W1", "2021W2"], days("2021-01-04", "2021-01-11")),
        # Day first or month first: whichever is in order and regular.
        (["30.01.2024", "31.01.2024", "01.02.2024"], days("2024-01-30", "2024-01-31", "2024-02-01")),
        (["1/30/2024", "1/31/2024", "2/1/2024"], days("2024-01-30", "2024-01-31", "2024-02-01")),
        (["30/1/24", "31/1/24", "1/2/24"], days("2024-01-30", "2024-01-31", "2024-02-01")),
        (["01/01/99", "01/02/99", "01/03/99", "01/05/99", "01/06/99"], None),
        (["01/12/1999", "01/01/2000", "01/02/2000"], days("1999-12-01", "2000-01-01", "2000-02-01")),
        (["01.02.2024", "02.02.2024"], days("2024-02-01", "2024-02-02")),
        (["1/31/2024 11:00 PM", "2/1/2024 12:00 AM"], days("2024-01-31 23:00", "2024-02-01 00:00")),
        (["31.01.2024 23:30", "01.02.2024 00:00"], days("2024-01-31 23:30", "2024-02-01 00:00")),
        (["01-Mar-24", "02-Mar-24"], days("2024-03-01", "2024-03-02")),
        (["1 Mar 24 00:00", "1 Mar 24 12:00"], days("2024-03-01 00:00", "2024-03-01 12:00")),
    ],
)
def test_times_as_people_write_them(cells, expected):
    assert all(is_time(cell) for cell in cells)
    if expected is None:  # a gap in days, or in months: both are regular
        with pytest.raises(
            ValueError, match=r"dates like '01/01/99' can be read with the month first and with the day"
        ):
            read(cells)
    else:
        assert read(cells).tolist() == expected.tolist()


def test_summer_time_with_offsets_stays_one_hour_apart():
    times = read(["2024-10-27 01:00:00+02:00", "2024-10-27 02:00:00+02:00", "2024-10-27 02:00:00+01:00"])
    assert np.diff(times.as_unit("s").asi8).tolist() == [3600, 3600]
    assert times.strftime("%H:%M").tolist() == ["01:00", "02:00", "03:00"]  # on the first one's clock


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["2024-01-01", "soon"], "t.csv: line 2, column 1: 'soon' is not a time"),
        (["31.31.2024", "01.02.2024"], "dates like '31.31.2024' that are none"),
        (["00:15", "00:30"], "t.csv: line 1, column 1: '00:15' is a time of day without a date"),
        (["2024-01-01", "9:30:00 pm"], "line 2, column 1: '9:30:00 pm' is a time of day without a date"),
    ],
)
def test_times_that_are_none(cells, message):
    with pytest.raises(ValueError, match=message):
        read(cells)


@pytest.mark.parametrize("cell", ["3", "20150105", "nan", "", "a", "r1", "May", "T10", "now", "10 am"])
def test_a_number_or_a_name_alone_is_no_time(cell):
    assert not is_time(cell)


NIGHT = days("2023-11-14 22:13:20", "2023-11-14 23:13:20")


@pytest.mark.parametrize(
    ("title", "cells", "expected"),
    [
        ("year", ["1999", "2000"], days("1999-01-01", "2000-01-01")),
        ("year", ["2000", "1999"], days("2000-01-01", "1999-01-01")),  # the grid complains of their order
        ("", ["199912", "200001"], days("1999-12-01", "2000-01-01")),
        ("Date", ["20150131", "20150201"], days("2015-01-31", "2015-02-01")),
        ("timestamp", ["1700000000", "1700003600"], NIGHT),
        ("unix", ["1700000000.0", "1.7000036e9"], NIGHT),
        ("epoch", ["1700000000.25", "1700000000.75"], days("2023-11-14 22:13:20.25", "2023-11-14 22:13:20.75")),
        ("time", ["1700000000000", "1700003600000"], NIGHT),
        ("time", ["1700000000000000", "1700003600000000"], NIGHT),
        ("ts", ["1700000000000000000", "1700003600000000000"], NIGHT),
        ("week", ["202052", "202053", "202101"], days("2020-12-21", "2020-12-28", "2021-01-04")),
        ("day", ["2023365", "2024001"], days("2023-12-31", "2024-01-01")),
        ("date", ["2024030123", "2024030200"], days("2024-03-01 23:00", "2024-03-02 00:00")),
        ("time", ["202403012355", "202403020000"], days("2024-03-01 23:55", "2024-03-02 00:00")),
        ("", ["20240301235500", "20240302000000"], days("2024-03-01 23:55", "2024-03-02 00:00")),
        ("utc", ["1700000000", "1700003600"], NIGHT),  # under any name
        ("bytes", ["1700000000", "1700003600", "1700003601"], None),
        (None, ["1700000000", "1700003600", "1700100000"], days(*map(str, [*NIGHT, "2023-11-16 02:00:00"]))),
        (None, ["1700000000", "1700003600"], NIGHT),
        (None, ["1700003600", "1700000000"], None),
        (None, ["1999", "2000"], None),
        ("sensor", ["1999", "2000"], None),
        ("", ["r1", "r2"], None),
        ("index", ["7", "8"], pd.Index([7.0, 8.0])),
        ("", ["1999", "2000", "2002"], pd.Index([1999.0, 2000.0, 2002.0])),
        ("time", ["0", "0.1", "0.2", "0.4"], pd.Index([0.0, 0.1, 0.2, 0.4])),
        ("time", ["1800", "1860"], pd.Index([1800.0, 1860.0])),  # seconds, not years
    ],
)
def test_times_and_row_numbers_written_as_numbers(title, cells, expected):
    found = number_rows(title, cells, [1, 2, 3, 4], "t.csv")
    assert type(found) is type(expected)
    assert (None if found is None else found.tolist()) == (None if expected is None else expected.tolist())


@pytest.mark.parametrize(
    ("title", "cells", "message"),
    [
        ("hour", ["22", "23", "0", "1"], r"t.csv: column 1 \('hour'\) holds 22, 23, 0, …, which are neither times nor"),
        ("date", ["20150131", "20150199", "20150201"], "which are neither times nor row numbers that rise evenly"),
        ("year", ["2000", "2000.5", "2000.7"], "which are neither times nor row numbers that rise evenly"),
        ("time", ["2350", "2355", "0"], "which are neither times nor row numbers"),
        ("time", ["50", "55", "100", "105"], "which are neither times nor row numbers"),
        ("", ["5", "4", "3"], "or, if it is a node, give it another name"),
        ("", ["1", "2", "3", "9"], "which are neither times nor row numbers"),  # most rows would be empty
        ("time", ["1700000000", "", "1700003600"], r"t.csv: line 2, column 1 \('time'\): '' is no time"),
    ],
)
def test_a_column_called_like_times_that_holds_none(title, cells, message):
    with pytest.raises(ValueError, match=message):
        number_rows(title, cells, [1, 2, 3, 4], "t.csv")


@pytest.mark.parametrize(
    ("times", "step", "unit", "places"),
    [
        (["2015-01-05", "2015-01-12", "2015-01-26"], 10080.0, "", [0, 1, 3]),
        (["2015-01-01", "2015-02-01", "2015-04-01", "2015-05-01"], None, "month", [0, 1, 3, 4]),
        (["2015-01-31", "2015-02-28", "2015-03-31"], None, "month", [0, 1, 2]),
        (["2015-01-15", "2015-04-15", "2015-07-15"], None, "quarter", [0, 1, 2]),
        (["2015-12-31", "2016-12-31", "2017-12-31"], None, "year", [0, 1, 2]),
        (["2015-01-01", "2015-03-01", "2015-05-01"], None, "2 months", [0, 1, 2]),
        (["2024-03-01 00:00", "2024-03-01 00:05", "2024-03-01 00:15"], 5.0, "", [0, 1, 3]),
    ],
)
def test_rows_go_to_their_place_on_a_grid(times, step, unit, places):
    values = np.arange(len(times), dtype=float)[:, None, None] + 1
    grid = put_on_grid(values, days(*times), "t.csv")
    assert (grid.step_minutes, grid.step_unit, grid.added) == (step, unit, places[-1] + 1 - len(times))
    filled = np.full(places[-1] + 1, np.nan)
    filled[places] = values[:, 0, 0]
    assert np.array_equal(grid.values[:, 0, 0], filled, equal_nan=True)


def test_trading_days_have_no_missing_week_ends():
    times = pd.bdate_range("2024-01-01", periods=20).delete(7)  # a holiday
    grid = put_on_grid(np.arange(19.0)[:, None, None], times, "t.csv")
    assert (grid.step_minutes, grid.step_unit, grid.added) == (None, "weekday", 1)
    assert np.isnan(grid.values[:, 0, 0]).nonzero()[0].tolist() == [7]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (
            ["2024-01-01", "2024-01-02", "2024-01-02"],
            "row 2 .counted from 0. is at .* like the row before; keep one row a time, or write times in UTC if clocks",
        ),
        (["2024-01-05", "2024-01-02"], "not later than the row before; sort the rows$"),
        (
            ["2024-01-01 02:00", "2024-01-01 03:00", "2024-01-01 02:30"],
            "sort the rows, or write times in UTC",
        ),
        (
            ["2024-01-03", "2024-01-02", "2024-01-01"],
            "t.csv: the rows go from the newest to the oldest",
        ),
        (["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 02:10"], "the times are not regular: row 1"),
        (
            ["2024-01-01", "2024-01-02", "2024-06-01"],
            "the times are 1 day apart, but 150 of 153 rows are left out, the most before row 2",
        ),
        (["2015-01-31", "2015-02-28", "2015-03-30"], "the times are not regular"),
    ],
)
def test_times_that_are_on_no_grid(times, message):
    with pytest.raises(ValueError, match=message):
        put_on_grid(np.zeros((len(times), 1, 1)), days(*times), "t.csv")


def test_rows_that_are_numbered_go_to_their_number():
    grid = put_on_grid(np.arange(4.0)[:, None, None], pd.Index([100.0, 101.0, 103.0, 104.0]), "t.csv")
    assert grid.values.ravel().tolist()[:2] + grid.values.ravel().tolist()[3:] == [0, 1, 2, 3]
    assert np.isnan(grid.values[2])
    assert (grid.step_minutes, grid.step_unit, grid.start, grid.added) == (None, "", None, 1)
    given = equal_steps(np.arange(4.0)[:, None, None], pd.Index([100.0, 101.0, 103.0, 104.0]), 5, "t.csv")
    assert np.array_equal(given.values, grid.values, equal_nan=True)
    assert (given.step_minutes, given.added) == (5.0, 1)


@pytest.mark.parametrize(
    ("step", "digits", "count"),
    [(1 / 12, 3, 100), (1 / 12, 6, 5000), (0.735, 2, 100), (1 / 30, 3, 3000), (1 / 24, 4, 60)],
)
def test_rounded_numbers_are_on_their_grid(step, digits, count):
    numbers = np.round(45000 * step * 24 + step * np.arange(count), digits)
    assert number_places(numbers).tolist() == list(range(count))
    assert number_places(np.delete(numbers, [10, 11])).tolist() == [*range(10), *range(12, count)]


def test_a_given_step_keeps_the_time_of_the_last_row():
    times = days("2024-10-27 02:00", "2024-10-27 02:30", "2024-10-27 02:00", "2024-10-27 02:30", "2024-10-27 03:00")
    grid = equal_steps(np.zeros((5, 1, 1)), times, 30, "t.csv")  # clocks were set back
    assert (grid.start, grid.step_minutes, grid.added) == (pd.Timestamp("2024-10-27 01:00"), 30.0, 0)
    assert equal_steps(np.zeros((5, 1, 1)), None, 30, "t.csv").start is None
    with pytest.raises(ValueError, match="the rows go from the newest to the oldest"):
        equal_steps(np.zeros((5, 1, 1)), days(*(f"2024-01-0{day}" for day in (5, 4, 3, 2, 1))), 30, "t.csv")
    newest_first = pd.date_range("2024-01-01", periods=30, freq="5min")[::-1]
    with pytest.raises(ValueError, match="the rows go from the newest to the oldest"):
        equal_steps(np.zeros((30, 1, 1)), newest_first, 5, "t.csv")
    with pytest.raises(ValueError, match="not later than the row before; sort the rows"):
        equal_steps(np.zeros((30, 1, 1)), newest_first[np.random.default_rng(0).permutation(30)], 5, "t.csv")
    with pytest.raises(ValueError, match=r"row 1 .* is at 2024-01-01 .*; sort the rows$"):
        equal_steps(np.zeros((3, 1, 1)), days("2024-01-02", "2024-01-01", "2024-01-03"), 30, "t.csv")
    with pytest.raises(ValueError, match="step_minutes is 60, but the times are 120 minutes apart on the median"):
        equal_steps(np.zeros((9, 1, 1)), pd.date_range("2024-01-01", periods=9, freq="2h"), 60, "t.csv")
    for step in (0, -5, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"step_minutes is {step:g}; give the minutes from row to row"):
            equal_steps(np.zeros((5, 1, 1)), None, step, "t.csv")


@pytest.mark.parametrize(
    ("minutes", "unit", "season"),
    [(5.0, "", 288), (60.0, "", 24), (7.0, "", None), (1440.0, "", 7), (10080.0, "", 52), (20160.0, "", 26),
     (None, "month", 12), (None, "quarter", 4), (None, "year", None), (None, "weekday", 5), (None, "2 months", 6),
     (None, "5 months", None), (None, "", None)],
)  # fmt: skip
def test_the_season_follows_from_the_step(minutes, unit, season):
    assert season_of(minutes, unit) == season


def test_files_with_such_times(tmp_path):
    path = tmp_path / "series.csv"

    def of(text):
        path.write_text(text)
        return read_own(path)

    series = of("month,a,b\n2015-01,1,2\n2015-02,3,4\n2015-04,5,6\n")
    assert (series.step_unit, series.step_minutes, series.season) == ("month", None, 12)
    assert series.values[:, 0, 0].nan_to_num(nan=-1).tolist() == [1, 3, -1, 5]
    assert series.start == pd.Timestamp("2015-01-01")
    assert series.node_names == ("a", "b")
    series = of("year,a\n2001,1\n2002,2\n2003,3\n")
    assert (series.step_unit, series.node_names, series.num_rows) == ("year", ("a",), 3)
    series = of(";a;b\n30.01.2024;1,5;2\n31.01.2024;;2,25\n01.02.2024;3;1e2\n")
    assert series.values[..., 0].nan_to_num(nan=-1).tolist() == [[1.5, 2], [-1, 2.25], [3, 100]]
    assert (series.step_minutes, series.season) == (1440.0, 7)
    series = of(",773869,767541\n20150131,60.5,55\n20150201,58,50\n20150202,59,51\n")
    assert (series.node_names, series.step_minutes) == (("773869", "767541"), 1440.0)
    with pytest.raises(ValueError, match=r"line 3, column 2 .'a'.: 'fast' is not a number"):
        of("t,a\n2024-01-01,1\n2024-01-02,fast\n2024-01-03,1\n")
    with pytest.raises(ValueError, match="column 3 holds times like '2024-01-03'; one column of times, the first"):
        of("a,b,when\n1,2,2024-01-01\n1,2,2024-01-02\n3,4,2024-01-03\n")
    with pytest.raises(ValueError, match="columns 1 and 2 hold parts of a time, '3' and '1'"):
        of("month,day,a\n1,1,5\n2,1,6\n3,1,7\n")
    with pytest.raises(ValueError, match="column 2 holds times like '2024-01-03 01:00'; one column of times"):
        of("start,end,a\n2024-01-01 00:00,2024-01-01 01:00,5\n2024-01-03 00:00,2024-01-03 01:00,6\n")
    for times in (("2024-01-01", "2024-01-02", "2024-01-03"), (1704067200, 1704153600, 1704240000)):
        series = of(",time,a,b\n" + "".join(f"{row},{time},{row},5\n" for row, time in enumerate(times)))
        assert (series.node_names, series.start, series.step_minutes) == (("a", "b"), days("2024-01-01")[0], 1440.0)
    with pytest.raises(
        ValueError, match="6 rows have only 3 times; if there is a row for each time and node, name the"
    ):
        of("time,a,b\n" + "".join(f"2024-01-0{day},{day},5\n" for day in (1, 1, 2, 2, 3, 3)))
    series = of("time,a,b\n0,5,6\n0.5,7,8\n1.5,9,10\n2,11,12\n")
    assert (series.node_names, series.num_rows, series.start, series.step_minutes) == (("a", "b"), 5, None, None)
    series = of("1700000000,5\n1700003600,7\n1700007200,9\n")
    assert (series.node_names, series.step_minutes) == (("0",), 60.0)
