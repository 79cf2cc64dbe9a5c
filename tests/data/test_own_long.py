import gzip

import numpy as np
import pandas as pd
import pytest

from gnnkit.data import read_own
from gnnkit.data.own_long import near_name, title_words

TIMES = ["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 02:00", "2024-01-01 03:00"]
ROWS = [(time, node, 10 * place + step, step) for place, node in enumerate("ab") for step, time in enumerate(TIMES)]
EXPECTED = [[[0, 0], [10, 0]], [[1, 1], [11, 1]], [[2, 2], [12, 2]], [[3, 3], [13, 3]]]


def write(folder, text, name="long.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def long_text(head="time,station,pm25,rain", rows=ROWS, separator=","):
    lines = [head.replace(",", separator), *(separator.join(map(str, row)) for row in rows)]
    return "\n".join(lines) + "\n"


def test_a_row_for_each_time_and_node(tmp_path):
    series = read_own(write(tmp_path, long_text()))
    assert series.values.tolist() == EXPECTED
    assert (series.node_names, series.feature_names) == (("a", "b"), ("pm25", "rain"))
    assert (series.step_minutes, series.season, series.start) == (60.0, 24, pd.Timestamp(TIMES[0]))
    assert series.notes == (
        "long.csv: a row for each time and node: 4 times, 2 nodes by column 2 ('station').",
        "long.csv: 'pm25' is forecast, and 'rain' is a covariate; target names another.",
    )
    with gzip.open(tmp_path / "long.csv.gz", "wt") as file:
        file.write(long_text())
    assert read_own(tmp_path / "long.csv.gz").values.tolist() == EXPECTED
    assert read_own(tmp_path / "long.csv.gz").name == "long"


def test_the_target_by_name_or_number(tmp_path):
    path = write(tmp_path, long_text())
    swapped = [[node[::-1] for node in row] for row in EXPECTED]
    for target in ("rain", 1):
        series = read_own(path, target=target)
        assert (series.values.tolist(), series.feature_names) == (swapped, ("rain", "pm25"))
    assert read_own(path, leave_out=["rain"]).feature_names == ("pm25",)
    with pytest.raises(ValueError, match=r"^target='pm2.5': long.csv has no feature 'pm2.5'; did you mean 'pm25'\?$"):
        read_own(path, target="pm2.5")


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + long_text("Zeit;Ort;PM25;Regen", [(t, n, f"{v},0", w) for t, n, v, w in ROWS], ";"),
        long_text("sensor,when,pm25,rain", [(n, t, v, w) for t, n, v, w in ROWS]),
        long_text("pm25,rain,site_id,timestamp", [(v, w, n, t) for t, n, v, w in ROWS]),
        long_text("No,time,station,pm25,rain", [(1 + r % 4, *row) for r, row in enumerate(ROWS)]),
        long_text(rows=sorted(ROWS)),
        long_text(rows=sorted(ROWS, reverse=True)),
        long_text("year,month,day,hour,station,pm25,rain", [(2024, 1, 1, int(t[11:13]), *rest) for t, *rest in ROWS]),
        long_text("unix,station,pm25,rain", [(1704067200 + 3600 * w, n, v, w) for _, n, v, w in ROWS]),
    ],
    ids=["semicolons", "node first", "time last", "numbers of rows", "by time", "newest first", "parts", "unix"],
)
def test_the_files_of_strangers(tmp_path, text):
    series = read_own(write(tmp_path, text))
    order = [series.node_names.index(node) for node in "ab"]
    assert series.values[:, order].tolist() == EXPECTED
    assert series.start == pd.Timestamp(TIMES[0])


def test_frames(tmp_path):
    frame = pd.DataFrame(ROWS, columns=["time", "station", "pm25", "rain"]).assign(
        time=lambda f: pd.to_datetime(f.time)
    )
    frame.to_parquet(tmp_path / "long.parquet")
    for source in (frame, frame.set_index("time"), frame.set_index(["station", "time"]), tmp_path / "long.parquet"):
        series = read_own(source)
        assert (series.values.tolist(), series.node_names) == (EXPECTED, ("a", "b"))
    numbered = frame.assign(station=frame.station.map({"a": 7, "b": 8}))
    assert read_own(numbered).node_names == ("7", "8")


def test_pairs_without_a_row_are_gaps(tmp_path):
    series = read_own(write(tmp_path, long_text(rows=[row for row in ROWS if row[:2] != (TIMES[2], "b")])))
    assert series.values.isnan().nonzero()[:, :2].tolist() == [[2, 1], [2, 1]]
    series = read_own(write(tmp_path, long_text(rows=[row for row in ROWS if row[0] != TIMES[2]])))
    assert series.values[2].isnan().all()
    assert series.num_rows == 4


def test_columns_that_nobody_could_guess(tmp_path):
    rows = [(step, node, value, rain) for step, (_, node, value, rain) in zip([0, 1, 2, 3] * 2, ROWS, strict=True)]
    path = write(tmp_path, long_text("t,who,pm25,rain", rows))
    series = read_own(path, time_column="t", node_column="who")
    assert (series.values.tolist(), series.start) == (EXPECTED, None)
    alone = write(tmp_path, long_text(rows=ROWS[:4]))
    assert read_own(alone, node_column="station").values.tolist() == [row[:1] for row in EXPECTED]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            long_text(rows=[*ROWS, ROWS[5]]),
            {},
            "long.csv: line 10 is a second row of 'b' at 2024-01-01 01:00:00, after line 7; keep one row for each time "
            "and node",
        ),
        (
            long_text(),
            {"node_column": "site"},
            "node_column: long.csv has no column 'site'; there are 'time', 'station',",
        ),
        (long_text(), {"time_column": "tme"}, "time_column: long.csv has no column 'tme'; did you mean 'time'?"),
        (long_text(), {"node_column": "time"}, "node_column='time': long.csv has the times there; name the column of"),
        (
            long_text(rows=[(t, n, v, "NNW") for t, n, v, _ in ROWS]),
            {},
            "column 4 ('rain') holds text like 'NNW' on line 2 and no numbers; leave column 'rain' out "
            "(--leave-out rain); where it names the nodes, --node-column rain",
        ),
        (
            long_text(rows=[*ROWS[:-1], (TIMES[3], "", 1, 1)]),
            {},
            "line 9, column 2 ('station'): there is no node; name",
        ),
        (long_text(), {"leave_out": ["snow"]}, "leave_out: there is no column 'snow'; give the titles of columns as"),
        ("60,55\n61,50\n59,57\n", {"node_column": "a"}, "long.csv: it has no line of names, so that time_column and"),
        ("a,b\n1,2\n3,4\n5,6\n", {"node_column": "a"}, "node_column='a': long.csv has no column of times beside it"),
        (
            long_text("time,station", [row[:2] for row in ROWS]),
            {},
            "columns of times and nodes, and no column of values",
        ),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(tmp_path, text, options, message):
    with pytest.raises(ValueError) as caught:
        read_own(write(tmp_path, text), **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_beside_times_are_no_nodes(tmp_path):
    """A wide table in which a time comes twice is no long one."""
    with pytest.raises(ValueError, match="keep one row a time"):
        read_own(write(tmp_path, "time,a,b\n2024-01-01,1,2\n2024-01-02,3,4\n2024-01-02,3,4\n2024-01-03,5,6\n"))


def test_words():
    assert title_words("Station-ID") == {"station", "id"}
    assert near_name("x", ["a"]) == "there is 'a'"
    assert near_name("x", list("abcdefgh")) == "there are 'a', 'b', 'c', 'd', 'e', 'f', …"


def test_a_long_table_of_many_rows_keeps_its_values():
    rng = np.random.default_rng(0)
    wide = pd.DataFrame(
        rng.normal(size=(50, 4)), columns=list("abcd"), index=pd.date_range("2024", periods=50, freq="D")
    )
    long = wide.stack().rename_axis(["date", "node"]).rename("y").reset_index().sample(frac=1, random_state=0)
    series = read_own(long)
    order = [series.node_names.index(node) for node in "abcd"]
    assert series.values[:, order, 0].numpy() == pytest.approx(wide.to_numpy())
