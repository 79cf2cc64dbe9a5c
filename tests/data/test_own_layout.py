"""Files as people have them: each is read right, with a word about what is unusual, or refused in one line."""

import gzip

import numpy as np
import pandas as pd
import pytest

from gnnkit.data import read_own

VALUES = np.array([[50.5, 41.25, 33.0], [52.0, 43.5, 31.75], [49.25, 44.0, 30.5], [47.0, 45.5, 32.25]])
HOURS = pd.date_range("2024-03-01", periods=4, freq="h")
DAYS = pd.date_range("2024-03-01", periods=4, freq="D")


def rows(times, values=VALUES, separator=","):
    return [
        separator.join([str(time), *(f"{value:g}" for value in row)]) for time, row in zip(times, values, strict=True)
    ]


def text(head, times, values=VALUES):
    return "\n".join([*head, *rows(times, values)]) + "\n"


def read(folder, content, name="series.csv", **options):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_own(path, **options)


def same(series, values=VALUES):
    return np.array_equal(series.values[..., 0].double().numpy(), values, equal_nan=True)


ISO = HOURS.strftime("%Y-%m-%d %H:%M")
PLAIN = text(["time,a,b,c"], ISO)


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-be"),
        gzip.compress(PLAIN.encode(), mtime=0),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "sep=;\n" + PLAIN.replace(",", ";"),
        PLAIN.replace(",", ";").replace(".", ","),
        "\n".join(line + "," for line in PLAIN.splitlines()),
        PLAIN + ",,,\n,,,\n",
        PLAIN.replace("\n2024-03-01 02", "\n\n2024-03-01 02"),
        "# logger 7\n# made in spring, by hand\n" + PLAIN,
        "#" + PLAIN,
        "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in PLAIN.splitlines()),
        PLAIN.replace("time,", ","),
    ],
)
def test_the_same_table_in_other_clothes(tmp_path, content):
    series = read(tmp_path, content)
    assert same(series)
    assert (series.node_names, series.start, series.step_minutes) == (("a", "b", "c"), HOURS[0], 60.0)
    assert series.notes == ()


@pytest.mark.parametrize(
    ("head", "times", "note"),
    [
        (
            "year,month,day,hour",
            [f"{t.year},{t.month},{t.day},{t.hour}" for t in HOURS],
            "1 to 4 .year, month, day, hour.",
        ),
        ("Day,Month,Year,Hour,Minute", [f"{t.day},{t.month},{t.year},{t.hour},0" for t in HOURS], "columns 1 to 5"),
        ("year,month,day,hour", [f"{t.year},{t.month},{t.day},{100 * t.hour}" for t in HOURS], "columns 1 to 4"),
        ("date,time", [t.strftime("%Y-%m-%d,%H:%M") for t in HOURS], "columns 1 and 2 .date, time. hold parts"),
        ("Datum,Uhrzeit", [t.strftime("%d.%m.%Y,%H:%M") for t in HOURS], "columns 1 and 2"),
        ("time,date", [t.strftime("%H:%M,%Y-%m-%d") for t in HOURS], "columns 1 and 2"),
        ("date,hour", [t.strftime("%Y%m%d,%H") for t in HOURS], "columns 1 and 2"),
        ("No,year,month,day,hour", [f"{n},{t.year},{t.month},{t.day},{t.hour}" for n, t in enumerate(HOURS)], "2 to 5"),
        ("time,hour,weekday", [t.strftime("%Y-%m-%d %H:%M,%H,5") for t in HOURS], "'hour'.* say again what the times"),
        ("x,time", [f"{n},{t}" for n, t in enumerate(HOURS)], "column 1 .'x'. numbers the rows, and is left out"),
        ("date", [f"{45352 + n / 24:.6f}" for n in range(4)], "is read as a spreadsheet's day, 2024-03-01 00:00:00"),
    ],
)
def test_times_in_parts_and_columns_that_are_no_nodes(tmp_path, head, times, note):
    series = read(tmp_path, text([f"{head},a,b,c"], times))
    assert same(series)
    assert (series.node_names, series.start, series.step_minutes) == (("a", "b", "c"), HOURS[0], 60.0)
    assert len([said for said in series.notes if pd.Series([said]).str.contains(note)[0]]) == 1


@pytest.mark.parametrize(
    ("times", "start"),
    [
        (["2024-02-29 22:00", "2024-02-29 23:00", "2024-02-29 24:00", "2024-03-01 01:00"], "2024-02-29 22:00"),
        (["29.02.2024 23:00", "29.02.2024 24:00", "01.03.2024 01:00", "01.03.2024 02:00"], "2024-02-29 23:00"),
        (["2024022923", "2024022924", "2024030101", "2024030102"], "2024-02-29 23:00"),
        (["2024-02-29T23:00:00Z", "2024-02-29T24:00:00Z", "2024-03-01T01:00:00Z", "2024-03-01T02:00:00Z"], None),
    ],
)
def test_24_00_is_midnight_of_the_next_day(tmp_path, times, start):
    series = read(tmp_path, text(["time,a,b,c"], times))
    assert same(series)
    assert series.step_minutes == 60.0
    assert series.start == (pd.Timestamp("2024-02-29 23:00", tz="UTC") if start is None else pd.Timestamp(start))


@pytest.mark.parametrize(
    ("heads", "before", "step"),
    [
        ([f"{day.month}/{day.day}/{day:%y}" for day in pd.date_range("2024-03-12", periods=4)], ["country"], 1440.0),
        (DAYS.strftime("%Y-%m-%d"), [""], 1440.0),
        (["2000", "2001", "2002", "2003"], ["country"], "year"),
        (["2000-01", "2000-02", "2000-03", "2000-04"], ["Lat", "country"], "month"),
    ],
)
def test_a_table_whose_columns_are_times_is_turned_round(tmp_path, heads, before, step):
    lines = [",".join([*before, *heads])]
    for name, values in zip("xyz", VALUES.T, strict=True):
        lines.append(",".join([*["1.5"] * (len(before) - 1), name, *(f"{value:g}" for value in values)]))
    series = read(tmp_path, "\n".join(lines))
    assert same(series)
    assert series.node_names == ("x", "y", "z")
    assert (series.step_minutes or series.step_unit) == step
    assert "its columns are times; the table was turned round" in series.notes[0]


def test_newest_first_units_and_windows_1252(tmp_path):
    series = read(tmp_path, text(["time,a,b,c"], ISO[::-1], VALUES[::-1]))
    assert same(series)
    assert series.notes == ("series.csv: its rows go from the newest to the oldest, and were turned round.",)
    series = read(tmp_path, text(["time,a,b,c", "[UTC],[°C],[°C],[°C]"], ISO))
    assert (same(series), series.unit) == (True, "°C")
    assert "line 2 holds units" in series.notes[0]
    series = read(tmp_path, text(["time,Köln,b,c"], ISO).encode("cp1252"))
    assert (same(series), series.node_names[0]) == (True, "Köln")
    assert "read as Windows-1252" in series.notes[0]
    blanks = "\n".join(" ".join(f"{value:.4e}" for value in row) for row in VALUES)
    assert same(read(tmp_path, blanks, "series.txt"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("t,a,b\nJän 24,1,2\nFeb 24,3,4\nMär 24,5,6\n", "line 2, column 1 .'t'.: 'Jän 24' is no time that is known"),
        (PLAIN + "Total,1,2,3\n", r"line 6 \('Total'\) sums up the others, and is no row of values; take it out"),
        (PLAIN.replace("2024-03-01 02", "2024-03-01 01"), r"line 4 is at 2024-03-01 01:00:00 like the row before"),
        (PLAIN.replace("2024-03-01 03:00", "time"), "line 5, column 1: 'time' is not a time, unlike the others"),
        (PLAIN.replace("2024-03-01 03:00", "01.03.2024 03:00"), "line 5, column 1: .* is written in another way than"),
        (PLAIN.replace("time,a,b,c", "time,a,b,a"), "the node name 'a' comes twice, as node 0 and node 2"),
        (PLAIN.replace(",33\n", ",\N{GREEK SMALL LETTER ALPHA}\n"), "line 2, column 4 .'c'.: 'α' is not a number"),
        (
            text(["time,hour,b,c"], ISO, np.array([[7.0, 1, 1], [7, 2, 2], [8, 3, 3], [8, 4, 5]])).replace(
                ",7,", ",3,", 1
            ),
            "column 2 .'hour'. is called like a part of the time",
        ),
        (
            "x,2024-01-01,2024-01-02\na,1,2\na,3,4\n",
            "columns 2 to 3 are times, and the columns before them name no row",
        ),
        (b"PK\x03\x04 and so on", "a workbook of Excel or the like, not a text file; save its sheet as CSV"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path, content)
    assert "\n" not in str(caught.value)


def test_values_that_may_be_missing_are_told_of(tmp_path):
    values = np.tile(VALUES, (6, 1)) + np.linspace(0, 1, 24)[:, None]
    times = pd.date_range("2024-03-01", periods=24, freq="h")
    for number in (-200, -1, 0, 9999, 65535):
        odd = values.copy()
        odd[[3, 7], [0, 1]] = number
        series = read(tmp_path, text(["time,a,b,c"], times, odd))
        (note,) = series.notes
        assert note.startswith(f"series.csv: {number} comes 2 times in 2 of 3 nodes, first at line 5 in 'a', far from")
        series = read(tmp_path, text(["time,a,b,c"], times, odd), missing_values=[number])
        assert series.notes == ()
        assert series.values[..., 0].isnan().nonzero().tolist() == [[3, 0], [7, 1]]
    rng = np.random.default_rng(0)
    for usual in (rng.poisson(1.5, (24, 3)), rng.normal(0, 4, (24, 3)).round(0), rng.lognormal(0, 2, (24, 3)).round(2)):
        assert read(tmp_path, text(["time,a,b,c"], times, usual)).notes == ()
    total = read(tmp_path, text(["time,a,b,Total"], times, np.c_[values[:, :2], values[:, :2].sum(axis=1)]))
    assert total.notes == ("series.csv: column 'Total' is the sum of the others; leave it out, it is no node.",)
