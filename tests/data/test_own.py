import numpy as np
import pandas as pd
import pytest
import torch

from gnnkit.data import los_loop, make_windows, read_own

BODY = "60,55,1.5\n,50,2\n58,nan,2.5\n57,51,3\n"
EXPECTED = torch.tensor([[60, 55, 1.5], [torch.nan, 50, 2], [58, torch.nan, 2.5], [57, 51, 3]])


def write(folder, text, name="series.csv"):
    path = folder / name
    path.write_text(text)
    return path


def same(series, expected=EXPECTED):
    return torch.equal(series.values[..., 0].nan_to_num(nan=-1.0), expected.nan_to_num(nan=-1.0))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("head", ["", "a,b,c\n"])
def test_csv_with_and_without_names(tmp_path, separator, head):
    series = read_own(write(tmp_path, (head + BODY).replace(",", separator)))
    assert same(series)
    assert series.node_names == (("a", "b", "c") if head else ("0", "1", "2"))
    assert series.edge_index.shape == (2, 0)
    assert (series.name, series.step_minutes, series.season, series.start) == ("series", None, None, None)
    assert series.split.label == "70/10/20 by time"


def test_times_give_start_step_and_season(tmp_path):
    rows = [f"2024-03-01 00:{minute:02d},{value}" for minute, value in zip((0, 15, 30, 45), BODY.split(), strict=True)]
    series = read_own(write(tmp_path, "when,a,b,c\n" + "\n".join(rows)))
    assert same(series)
    assert (series.step_minutes, series.season, series.start) == (15.0, 96, pd.Timestamp("2024-03-01"))
    assert series.node_names == ("a", "b", "c")


@pytest.mark.parametrize(("frequency", "season"), [("h", 24), ("D", 7), ("W", 52), ("7min", None)])
def test_season_follows_from_the_step(tmp_path, frequency, season):
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0]}, index=pd.date_range("2024-01-07", periods=3, freq=frequency))
    frame.to_csv(tmp_path / "series.csv")
    assert read_own(tmp_path / "series.csv").season == season
    assert read_own(tmp_path / "series.csv", season=3).season == 3


def test_times_that_are_left_out_become_missing_rows(tmp_path):
    text = "2024-01-01,1\n2024-01-02,2\n2024-01-05,5\n2024-01-06,6\n"
    series = read_own(write(tmp_path, text))
    assert series.values.flatten().nan_to_num(nan=-1).tolist() == [1, 2, -1, -1, 5, 6]
    assert "2 rows of missing values put in" in series.source
    assert read_own(write(tmp_path, text), step_minutes=1440).values.flatten().tolist() == [1, 2, 5, 6]


def test_names_that_are_numbers(tmp_path, data_root):
    assert read_own(write(tmp_path, "773869,767541\n60.5,55\n58,50\n59,51\n")).node_names == ("773869", "767541")
    assert read_own(write(tmp_path, "0,1\n60.5,55\n58,50\n59,51\n")).num_rows == 3
    plain = write(tmp_path, "60,55\n61,50\n59,57\n")
    assert read_own(plain).num_rows == 3
    assert read_own(write(tmp_path, "60,55\n61,50\n59,57\n58,54\n"), header=True).num_rows == 3
    assert read_own(write(tmp_path, "7,9\n1,2\n1,2\n"), header=False).num_rows == 3
    los = los_loop(data_root)
    own = read_own(data_root / "losloop/los_speed.csv", data_root / "losloop/los_adj.csv")
    assert own.node_names == los.node_names
    assert torch.equal(own.values, los.values)
    assert torch.equal(own.edge_index, los.edge_index)
    assert torch.equal(own.edge_weight, los.edge_weight)


def test_a_data_frame_s_own_row_numbers_are_no_node(tmp_path):
    frame = pd.DataFrame(EXPECTED.numpy(), columns=["a", "b", "c"])
    frame.to_csv(tmp_path / "series.csv")
    series = read_own(tmp_path / "series.csv")
    assert series.node_names == ("a", "b", "c")
    assert same(series)


def test_rows_of_a_longer_data_frame(tmp_path):
    frame = pd.DataFrame({"a": np.arange(300.0), "b": 1.0}).iloc[100:].drop(index=[150])
    frame.to_csv(tmp_path / "series.csv")
    frame.to_parquet(tmp_path / "series.parquet")
    for name in ("series.csv", "series.parquet"):
        series = read_own(tmp_path / name)
        assert (series.node_names, series.num_rows, series.start) == (("a", "b"), 200, None)
        assert series.values[[49, 51], 0, 0].tolist() == [149, 151]
        assert series.values[50].isnan().all()


def test_parquet_with_what_is_left_of_an_index(tmp_path):
    def of(frame):
        frame.to_parquet(tmp_path / "series.parquet")
        return read_own(tmp_path / "series.parquet")

    when = pd.date_range("2024-03-01", periods=8, freq="5min")
    frame = pd.DataFrame({"time": when, "a": np.arange(8.0), "b": 1.0})
    for index in ([0, 1, 2, 3, 6, 7], [0, 2, 3, 4, 6, 7]):  # rows that were dropped
        series = of(frame.loc[index])
        assert (series.node_names, series.start, series.step_minutes) == (("a", "b"), when[0], 5.0)
        assert series.values[:, 0, 0].nan_to_num(nan=-1).tolist() == [row if row in index else -1 for row in range(8)]
    series = of(pd.concat([frame[["a", "b"]], frame[["a", "b"]]]))  # 0 to 7, twice
    assert (series.num_rows, series.node_names, series.start) == (16, ("a", "b"), None)
    series = of(frame[["a", "b"]].set_index(pd.RangeIndex(1990, 1998, name="year")))
    assert (series.step_unit, series.start) == ("year", pd.Timestamp("1990-01-01"))
    for empty in (frame.iloc[:0], frame.set_index("time")[[]]):
        with pytest.raises(ValueError, match=r"series\.parquet: no values, its shape is"):
            of(empty)


@pytest.mark.parametrize("times", ["none", "index", "column", "texts", "epoch", "periods"])
def test_parquet(tmp_path, times):
    frame = pd.DataFrame(EXPECTED.numpy(), columns=["a", "b", "c"])
    when = pd.date_range("2024-03-01", periods=4, freq="5min")
    if times == "index":
        frame.index = when
    elif times == "column":
        frame.insert(0, "when", when)
    elif times == "texts":
        frame.index = when.strftime("%d.%m.%Y %H:%M")
    elif times == "epoch":
        frame.insert(0, "time", when.as_unit("s").asi8)
    elif times == "periods":
        frame.index = when.to_period("5min")
    frame.to_parquet(tmp_path / "series.parquet")
    series = read_own(tmp_path / "series.parquet")
    assert same(series)
    assert series.node_names == ("a", "b", "c")
    assert series.season == (None if times == "none" else 288)
    assert series.start == (None if times == "none" else when[0])


def test_npz(tmp_path):
    array = np.arange(24.0).reshape(4, 3, 2)
    np.savez(tmp_path / "only.npz", speeds=array[..., 0])
    assert read_own(tmp_path / "only.npz").values[..., 0].tolist() == array[..., 0].tolist()
    np.savez(tmp_path / "data.npz", data=array, other=np.zeros(2))
    assert read_own(tmp_path / "data.npz").values.tolist() == array.tolist()
    assert read_own(tmp_path / "data.npz", target=1).values.tolist() == array[..., ::-1].tolist()
    with pytest.raises(ValueError, match=r"target=2: data.npz has the features 0 to 1"):
        read_own(tmp_path / "data.npz", target=2)


def test_missing_values_stay_missing_in_the_windows(tmp_path):
    rows = "\n".join(f"{row},{'' if row % 3 == 0 else row}" for row in range(40))
    windows = make_windows(read_own(write(tmp_path, "a,b\n" + rows)), history=2, horizon=1)
    batch = windows.train.batch(torch.arange(len(windows.train)))
    assert batch.mask is not None
    assert batch.y_mask[:, 0, 1].tolist() == [(row % 3) != 0 for row in range(2, 28)]
    assert batch.y_mask[:, 0, 0].all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n4,5\n", "series.csv: line 3 has 1 cells, but line 1 has 2"),
        ("a,b\n1,2\n3,4,5\n", "series.csv: line 3 has 3 cells"),
        ("a,b\n1,2\n3,fast\n4,5\n", "series.csv: line 3, column 2 .'b'.: 'fast' is not a number"),
        ("a,b\n1,2\n3,inf\n4,5\n", "series.csv: line 3, column 2 .'b'.: 'inf' is infinite"),
        ("a,b\n1,2\n3,1e39\n4,5\n", "series.csv: infinite at row 1, node 1 'b' .counted"),
        ("a,b\n,\nnan,\nNA,null\n", "series.csv: every value is NaN"),
        ("a,a\n1,2\n3,4\n5,6\n", "series.csv: the node name 'a' comes twice"),
        ("", "series.csv: the file is empty"),
        ("a,b\n", "series.csv: a line of names and no row of values"),
        ("a,b\n1,2\n3,4\n", "series.csv: 2 rows are too few; a series has at least 3"),
        ("2024-01-01,1\n2024-01-03,2\n2024-01-02,3\n", "series.csv: line 3 is at 2024-01-02 00:00:00, not later"),
        ("2024-01-31,1\n2024-02-28,2\n2024-03-31,3\n", "the times are not regular: line 2 "),
        ("t,a\n2024-01-01,1\nsoon,2\n2024-01-02,3\n", "line 3, column 1: 'soon' is not a time"),
        ("2024-01-01\n2024-01-02\n2024-01-03\n", "a column of times and no column of values"),
    ],
)
def test_what_cannot_be_read_gets_one_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_own(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_files_that_are_not_what_they_should_be(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"series '.*nowhere.csv': there is no such file"):
        read_own(tmp_path / "nowhere.csv")
    with pytest.raises(FileNotFoundError, match="is a folder, not a file"):
        read_own(tmp_path)
    with pytest.raises(ValueError, match=r"unknown ending '.xlsx'; give a .csv, .parquet, .npz or .npy file"):
        read_own(write(tmp_path, "x", "series.xlsx"))
    with pytest.raises(ValueError, match=r"series.npz: not an NPZ file"):
        read_own(write(tmp_path, "x", "series.npz"))
    with pytest.raises(ValueError, match=r"series.parquet: not a Parquet file"):
        read_own(write(tmp_path, "x", "series.parquet"))
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"bytes.csv: not a text file in UTF-8"):
        read_own(tmp_path / "bytes.csv")
    np.savez(tmp_path / "pickled.npz", data=np.array([[object()]]))
    with pytest.raises(ValueError, match="not an NPZ file of plain arrays"):
        read_own(tmp_path / "pickled.npz")
    np.savez(tmp_path / "two.npz", x=np.zeros(3), y=np.zeros(3))
    with pytest.raises(ValueError, match="has the arrays x, y; name the series 'data'"):
        read_own(tmp_path / "two.npz")
    np.savez(tmp_path / "flat.npz", data=np.zeros(3))
    with pytest.raises(ValueError, match=r"shape \[3\]; expected numbers of shape \[rows, nodes\]"):
        read_own(tmp_path / "flat.npz")
    pd.DataFrame({"a": [1.0], "b": ["x"]}).to_parquet(tmp_path / "text.parquet")
    with pytest.raises(ValueError, match="column 'b' is not numeric"):
        read_own(tmp_path / "text.parquet")
    with pytest.raises(ValueError, match="header=True"):
        read_own(tmp_path / "flat.npz", header=True)
