import numpy as np
import pandas as pd
import pytest
import torch

from gnnkit.data import read_own

HOURS = pd.date_range("2024-01-01", periods=6, freq="h")
SERIES = pd.DataFrame({"a": np.arange(6.0), "b": 10.0 + np.arange(6)}, index=HOURS)


def text_of(frame):
    return frame.to_csv(date_format="%Y-%m-%d %H:%M")


def write(folder, text, name="weather.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def read(covariates, known=(), series=SERIES, **options):
    return read_own(series, covariates=covariates, known_ahead=known, **options)


def test_covariates_of_all_nodes_of_each_node_and_of_one_kind(tmp_path):
    for_all = pd.DataFrame({"rain": np.arange(6.0) / 10, "holiday": [0, 0, 0, 1, 1, 1]}, index=HOURS.rename("time"))
    for source in (for_all, write(tmp_path, text_of(for_all)), for_all.sample(frac=1, random_state=0)):
        series = read(source)
        assert series.feature_names == ("series", "rain", "holiday")
        assert series.values[:, 0, 1].tolist() == series.values[:, 1, 1].tolist()
        assert series.values[:, 0, 1].tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
        assert series.values[:, 1, 2].tolist() == [0, 0, 0, 1, 1, 1]
    of_each = pd.DataFrame({"b": np.arange(6.0), "a": -np.arange(6.0)}, index=HOURS.rename("time"))
    series = read(write(tmp_path, text_of(of_each)))
    assert series.feature_names == ("series", "weather")
    assert series.values[3, :, 1].tolist() == [-3, 3]
    long = of_each.stack().rename_axis(["time", "node"]).rename("wind").to_frame().assign(gust=1.0)
    series = read(long)
    assert series.covariates == ("wind", "gust")
    assert series.values[3, :, 1].tolist() == [-3, 3]
    assert series.source == "own data, a series in memory, no graph"
    assert (series.known_ahead, series.ahead, series.known_names) == ((), None, ())


def test_a_stranger_s_file(tmp_path):
    lines = [f"{time:%d.%m.%Y %H:%M};{node};{value},5" for node in "ab" for value, time in enumerate(HOURS)]
    series = read(write(tmp_path, "\ufeffZeit;Ort;Regen\n" + "\n".join(lines) + "\n"))
    assert series.values[:, 1, 1].tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]


def test_what_is_known_ahead_goes_on():
    later = pd.date_range("2024-01-01", periods=9, freq="h")
    both = pd.DataFrame({"rain": np.arange(9.0), "holiday": np.arange(9.0) % 2}, index=later)
    series = read(both, ["holiday"])
    assert (series.num_rows, series.known_ahead, series.known_names) == (6, (2,), ("holiday",))
    assert series.ahead is not None
    assert series.ahead.tolist() == [[[0.0]] * 2, [[1.0]] * 2, [[0.0]] * 2]
    assert read(both).ahead is None
    # In a table that holds both, rows without the target are those to come.
    long = both.assign(node="a", y=[*range(6), None, None, None]).reset_index(names="time")
    long.loc[6:, "rain"] = np.nan
    series = read_own(long, target="y", known_ahead=["holiday"], node_column="node")
    assert (series.num_rows, series.feature_names, series.known_ahead) == (6, ("y", "rain", "holiday"), (2,))
    assert series.ahead is not None
    assert series.ahead.flatten().tolist() == [0.0, 1.0, 0.0]
    assert series.notes[-1] == (
        "series: its last 3 rows have no 'y'; with what is known ahead there, they are those to forecast."
    )
    assert series.digest() != read_own(long[:6], target="y", node_column="node").digest()


def test_gaps_are_said():
    some = pd.DataFrame({"rain": [1.0, np.nan, 3, 4, 5]}, index=HOURS[[0, 1, 3, 4, 5]])
    series = read(some, ["rain"])
    assert series.values[:, 0, 1].isnan().tolist() == [False, True, True, False, False, False]
    assert series.notes[-2:] == (
        "covariates: 1 of 6 rows of series have no row in it; models see the last value before them, marked as "
        "missing.",
        "'rain' is known ahead, and missing at 33% of its places: models see the last value before each, marked as "
        "missing.",
    )
    finer = pd.DataFrame({"rain": 1.0}, index=pd.date_range(HOURS[0], periods=21, freq="15min"))
    assert read(finer).notes[-1] == (
        "covariates: 15 of its 21 rows are at times between those of series, and are not read."
    )


def test_rows_without_times_are_matched_in_order():
    plain = SERIES.reset_index(drop=True)
    series = read(pd.DataFrame({"rain": np.arange(8.0)}), ["rain"], series=plain)
    assert series.values[:, 0, 1].tolist() == [0, 1, 2, 3, 4, 5]
    assert series.ahead is not None
    assert series.ahead[:, 0, 0].tolist() == [6, 7]
    with pytest.raises(
        ValueError, match="covariates: 4 rows for 6 rows of series, and no times that tell which; give a"
    ):
        read(pd.DataFrame({"rain": np.arange(4.0)}), series=plain)
    with pytest.raises(ValueError, match="covariates: series has times and covariates has none; give both a column of"):
        read(pd.DataFrame({"rain": np.arange(8.0)}))


def test_months_and_rows_that_were_left_out():
    months = pd.date_range("2024-01-01", periods=8, freq="MS")
    series = pd.DataFrame({"a": np.arange(6.0)}, index=months[:6]).drop(months[2])
    found = read(pd.DataFrame({"rain": np.arange(8.0)}, index=months), ["rain"], series=series)
    assert found.values[:, 0, 1].tolist() == [0, 1, 2, 3, 4, 5]
    assert found.values[2, 0, 0].isnan()
    assert found.ahead is not None
    assert found.ahead.flatten().tolist() == [6, 7]


@pytest.mark.parametrize(
    ("frame", "known", "message"),
    [
        (
            pd.DataFrame({"rain": 1.0}, index=HOURS + pd.Timedelta("400D")),
            (),
            "covariates: its times, 2025-02-04 00:00:00 to 2025-02-04 05:00:00, are none of series, which goes from "
            "2024-01-01 00:00:00 to 2024-01-01 05:00:00; give covariates of the same times",
        ),
        (
            pd.DataFrame({"rain": 1.0}, index=HOURS.tz_localize("UTC")),
            (),
            "covariates: the times of covariates have an offset from UTC, those of series have none; write both in one",
        ),
        (
            pd.DataFrame({"rain": 1.0, "snow": 2.0}, index=HOURS[[0, 1, 1, 2]]),
            (),
            "covariates: row 2 (counted from 0) is a second row at 2024-01-01 01:00:00; keep one row a time",
        ),
        (
            pd.DataFrame({"rain": 1.0}, index=HOURS),
            ("rian",),
            "known_ahead: 'rian' is no covariate; did you mean 'rain'?",
        ),
        (
            pd.DataFrame({"rain": ["wet"] * 6, "snow": 1.0}, index=HOURS),
            (),
            "covariates: column 'rain' is not numeric",
        ),
        (pd.DataFrame({"rain": np.nan, "snow": 1.0}, index=HOURS), (), "covariates: every value of 'rain' is missing;"),
        (
            pd.DataFrame({"series": 1.0}, index=HOURS),
            (),
            "covariates: series and covariates both have 'series'; drop that column from one of the two, or give it "
            "another name there (--leave-out drops it from both)",
        ),
        (pd.DataFrame({"rain": np.inf}, index=HOURS), (), "covariates: 'rain' is infinite at row 0, node 0 (counted"),
        (
            pd.DataFrame({"time": HOURS.repeat(2), "node": list("ac") * 6, "rain": 1.0}),
            (),
            "covariates: node 'b' has no covariates; there are 'a', 'c'; give those of each of the 2 nodes",
        ),
        (np.zeros((6, 2)), (), "covariates: its columns have no names; give a first line: time, node and covariates"),
    ],
)
def test_what_cannot_be_put_beside_a_series_is_told_in_one_line(frame, known, message):
    with pytest.raises(ValueError) as caught:
        read(frame, known)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="known_ahead: 'x' is no covariate; there is no covariate"):
        read_own(SERIES, known_ahead=["x"])


def test_a_double_row_of_a_file_is_named_by_its_line(tmp_path):
    path = write(tmp_path, "time,rain\n2024-01-01 00:00,1\n2024-01-01 01:00,2\n2024-01-01 01:00,2\n")
    with pytest.raises(
        ValueError, match=r"^weather.csv: line 4 is a second row at 2024-01-01 01:00:00; keep one row a"
    ):
        read(path)
    path = write(tmp_path, "time,rain,sky\n2024-01-01 00:00,1,grey\n2024-01-01 01:00,2,blue\n")
    with pytest.raises(
        ValueError, match=r"holds text like 'grey' on line 2 .* leave column 'sky' out \(--leave-out sky\)"
    ):
        read(path)
    assert read(path, leave_out=["sky"]).covariates == ("rain",)
    assert torch.equal(read(path, leave_out=["sky"]).values[:2, 0, 1], torch.tensor([1.0, 2.0]))
