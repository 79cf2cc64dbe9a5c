import numpy as np
import pandas as pd
import pytest
import torch

from gnnkit.compare import make_spec, run
from gnnkit.data import read_own

WHEN = pd.date_range("2024-01-01", periods=40, freq="D")
FRAME = pd.DataFrame(np.arange(120.0).reshape(40, 3), columns=list("abc"), index=WHEN)


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        FRAME.reset_index(names="time"),
        FRAME.set_axis(FRAME.index.to_period("D")),
        FRAME.set_axis(WHEN.strftime("%d.%m.%Y")),
        FRAME.iloc[::-1],
        FRAME.astype("Int64"),
    ],
)
def test_frames_are_read_like_files(frame):
    series = read_own(frame, pd.DataFrame({"from": ["a"], "to": ["b"]}), missing_values=[7])
    expected = np.where(FRAME == 7, np.nan, FRAME)
    assert np.array_equal(series.values[..., 0].numpy(), expected, equal_nan=True)
    assert (series.node_names, series.start, series.step_minutes, series.season) == (
        ("a", "b", "c"),
        WHEN[0],
        1440.0,
        7,
    )
    assert series.edge_index.tolist() == [[0], [1]]
    assert series.source == "own data, a series in memory, a graph in memory"


def test_arrays():
    array = FRAME.to_numpy()
    for source in (array, torch.tensor(array), array[..., None], torch.tensor(array).float()):
        series = read_own(source)
        assert np.array_equal(series.values[..., 0].numpy(), array)
        assert series.start is None


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ([1, 2], TypeError, "a list is no series that is known; give a path, a pandas DataFrame"),
        (FRAME.T, ValueError, r"its columns are times; give a row for each time, a column for each node \(frame.T\)"),
        (
            FRAME.assign(x="ON"),
            ValueError,
            r"column 'x' is not numeric .*; leave it out, .*; where it names the nodes, node_column='x' \(--node-c",
        ),
        (pd.concat({"v": FRAME}, axis=1), ValueError, "names of several levels; give a row for each time"),
        (FRAME.iloc[[0, 0, 1, 2]], ValueError, "row 1 .counted from 0. is at 2024-01-01 00:00:00 like the row before"),
        (FRAME.iloc[:0], ValueError, "no values, its shape is 0 × 3"),
        (np.zeros(3), ValueError, r"the array is float64 of shape \[3\]; expected numbers of shape \[rows, nodes\]"),
    ],
)
def test_what_is_no_series(source, error, message):
    with pytest.raises(error, match=message):
        read_own(source)


def test_a_comparison_says_where_frames_go():
    with pytest.raises(
        ValueError, match=r"series: a DataFrame is no path; .*run\(spec, series=gnnkit.data.read_own"
    ) as caught:
        make_spec(series=FRAME, models=["gru"])
    assert len(str(caught.value)) < 200  # and no dump of the frame
    with pytest.raises(TypeError, match=r"series: expected a GraphSeries, got a DataFrame; gnnkit.data.read_own"):
        run(make_spec(models=["gru"]), series=FRAME)


def test_options_that_a_source_does_not_have():
    with pytest.raises(ValueError, match="decimal=',': only for the text of a CSV file"):
        read_own(FRAME, decimal=",")
    with pytest.raises(ValueError, match="header=True"):
        read_own(FRAME, header=True)
    with pytest.raises(ValueError, match="graph_format='edges': only for a CSV file or a data frame"):
        read_own(FRAME, np.zeros((3, 3)), graph_format="edges")
