"""Series from files and from objects in memory: their values, their names and the times of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from gnnkit.data.arrays import read_arrays
from gnnkit.data.own_grid import number_places
from gnnkit.data.own_layout import Layout, lay_out
from gnnkit.data.own_long import Asked, dense, find_long
from gnnkit.data.own_times import TIME_TITLES, UNNAMED, is_time, number_rows, text_times
from gnnkit.data.tables import Decimal, Missing, Table, existing_file, is_text, numbers, read_table, table_of_frame

__all__ = ["ReadSeries", "read_series_source"]

_ENDINGS = ".csv, .parquet, .npz or .npy"


@dataclass(frozen=True, eq=False)
class ReadSeries:
    """What a series file holds.

    Args:
        values: `[L, N, F]`.
        label: What errors and reports call it: the name of the file.
        names: Of the nodes; None: not given.
        rows: Times or numbers of the rows; None: not given.
        lines: Line of the file that each row came from; None: rows are counted from 0.
        unit: Of the values; empty: not given.
        features: Names of the F features; None: not given.
        long: Whether the file has a row for each time and node.
    """

    values: NDArray[np.float64]
    label: str
    names: list[str] | None = None
    rows: pd.Index | None = None
    lines: Sequence[int] | None = None
    unit: str = ""
    features: list[str] | None = None
    long: bool = False


def read_series_source(
    source: Any,
    header: bool | None,
    decimal: Decimal | None,
    missing: Missing,
    notes: list[str],
    *,
    asked: Asked | None = None,
    what: str = "series",
) -> ReadSeries:
    """Read a series from a path, a data frame or an array.

    Args:
        source: See `gnnkit.data.read_own`.
        header: Whether a CSV file has a line of names; None: look.
        decimal: What stands before decimals in a CSV file; None: look.
        missing: What stands for a missing value.
        notes: Gets sentences on what was guessed.
        asked: What the user says of its columns; default: nothing.
        what: What errors call it.

    Returns:
        What it holds.

    Raises:
        FileNotFoundError: The file is not there.
        TypeError: It is no path, frame or array.
        ValueError: It cannot be read.
    """
    asked = Asked() if asked is None else asked
    if isinstance(source, (str, PathLike)):
        path = existing_file(Path(source), what)
        if is_text(path):
            layout = lay_out(read_table(path, notes), header, notes, asked)
            return _of_layout(layout, path.name, decimal, missing, notes)
        label, suffix = path.name, path.suffix.lower()
        if suffix not in (".parquet", ".npz"):
            hint = "; save the sheet as CSV" if suffix.startswith(".xls") or suffix == ".ods" else ""
            raise ValueError(f"{what} {label!r}: unknown ending {path.suffix!r}; give a {_ENDINGS} file{hint}")
    else:
        path, label, suffix = None, what, ""
    if header is not None:
        raise ValueError(
            f"header={header}: only a CSV series has a first line of names; leave header out for {label!r}"
        )
    if decimal is not None:
        raise ValueError(f"decimal={decimal!r}: only for the text of a CSV file; leave decimal out for {label!r}")
    if path is None:
        return _read_object(source, notes, asked, what)
    return _read_parquet(path, notes, asked) if suffix == ".parquet" else _read_npz(path)


def _of_layout(layout: Layout, label: str, decimal: Decimal | None, missing: Missing, notes: list[str]) -> ReadSeries:
    values = numbers(layout.table, notes, decimal=decimal, missing=missing)
    if layout.long is not None:
        features = list(layout.table.names or ())
        return ReadSeries(dense(layout.long, values), label, layout.long.nodes, layout.long.times, None, layout.unit,
                          features, True)  # fmt: skip
    if layout.turned:
        return ReadSeries(values.T[..., None], label, layout.names, layout.rows)
    return ReadSeries(values[..., None], label, layout.names, layout.rows, layout.table.lines, layout.unit)


def _read_parquet(path: Path, notes: list[str], asked: Asked) -> ReadSeries:
    try:
        frame = pd.read_parquet(path)
    except (MemoryError, ImportError):
        raise
    except Exception as error:  # whatever a reader of a damaged file comes to
        raise ValueError(f"{path.name}: not a Parquet file ({_line(error)})") from None
    return _of_frame(frame, path.name, notes, asked)


def _read_object(source: Any, notes: list[str], asked: Asked, what: str) -> ReadSeries:
    if isinstance(source, pd.Series):
        source = source.to_frame()
    if isinstance(source, pd.DataFrame):
        return _of_frame(source, what, notes, asked)
    if isinstance(source, torch.Tensor):
        source = source.detach().cpu().numpy()
    if isinstance(source, np.ndarray):
        return _of_array(source, what, "the array")
    raise TypeError(
        f"{what}: a {type(source).__name__} is no series that is known; give a path, a pandas DataFrame (a row a time, "
        f"a column a node; or a row for each time and node) or an array [rows, nodes] or [rows, nodes, features]"
    )


def _of_frame(frame: pd.DataFrame, name: str, notes: list[str], asked: Asked) -> ReadSeries:
    if frame.empty:
        raise ValueError(f"{name}: no values, its shape is {frame.shape[0]} × {frame.shape[1]}")
    if frame.columns.nlevels == 1 and frame.index.nlevels > 1 and None not in frame.index.names:
        frame = frame.reset_index()
    if frame.columns.nlevels == 1:
        frame = frame.iloc[:, asked.kept([str(title) for title in frame.columns])]
    table = _long_frame(frame, name, asked)
    long = None if table is None else find_long(table.rows_from(1).named(table.cells[0]), asked, notes)
    if long is not None:
        return _of_layout(Layout(long.table, None, None, long=long), name, None, (), notes)
    if frame.columns.nlevels > 1 or frame.index.nlevels > 1:
        raise ValueError(
            f"{name}: names of several levels; give a row for each time and a column for each node, with one name each "
            f"(in pandas: frame.unstack, or frame.columns = [...])"
        )
    if isinstance(frame.columns, pd.DatetimeIndex) and not isinstance(frame.index, pd.DatetimeIndex):
        raise ValueError(f"{name}: its columns are times; give a row for each time, a column for each node (frame.T)")
    if asked.time is not None and asked.time in frame.columns:
        place = list(frame.columns).index(asked.time)
        frame = frame.iloc[:, [place, *(other for other in range(frame.shape[1]) if other != place)]]
    rows, frame = _frame_rows(frame, name, notes)
    if not len(frame.columns):
        raise ValueError(f"{name}: a column of times and no column of values")
    for column, kind in frame.dtypes.items():
        if not pd.api.types.is_numeric_dtype(kind):
            raise ValueError(
                f"{name}: column {column!r} is not numeric (its type is {kind}); leave it out, or turn it into numbers "
                f"(pandas.to_numeric); where it names the nodes, node_column={column!r} (--node-column)"
            )
    values = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    return ReadSeries(values[..., None], name, [str(name) for name in frame.columns], rows)


def _long_frame(frame: pd.DataFrame, name: str, asked: Asked) -> Table | None:
    """The table of a frame whose times come again, or whose nodes stand in a column; None of any other."""
    if frame.columns.nlevels > 1 or frame.index.nlevels > 1 or frame.shape[1] < 2:
        return None
    named = not isinstance(frame.index, pd.RangeIndex) and frame.index.name is not None
    timed = not pd.api.types.is_numeric_dtype(frame.index.dtype)
    columns = [frame.index.to_series()] if named or timed else []
    columns += [frame.iloc[:, place] for place in range(frame.shape[1])]
    for column in columns:
        title = str(column.name)
        times = isinstance(column.dtype, (pd.PeriodDtype, pd.DatetimeTZDtype)) or column.dtype.kind == "M"
        if (times or title == asked.time or title.lower() in TIME_TITLES) and column.duplicated().any():
            break
    else:
        if asked.node is None:
            return None
    return table_of_frame(frame, name, index=named or timed)


def _frame_rows(frame: pd.DataFrame, name: str, notes: list[str]) -> tuple[pd.Index | None, pd.DataFrame]:
    """The times of a frame's rows, from its index or its first column, and the frame without that column.

    Numbers in an index without a name are those of rows, if there are no times and they rise evenly.
    """
    lines = list(range(1, len(frame) + 1))

    def rows_of(labels: pd.Index, title: str) -> pd.Index | None:
        if isinstance(labels, pd.DatetimeIndex):
            return labels
        if isinstance(labels, pd.PeriodIndex):
            return labels.to_timestamp()
        cells = [str(label) for label in labels]
        if pd.api.types.is_numeric_dtype(labels.dtype):
            return number_rows(title, cells, lines, name, notes)
        return text_times(cells, lines, name) if is_time(cells[-1]) else None

    index, title = frame.index, str(frame.index.name or "")
    if not pd.api.types.is_numeric_dtype(index.dtype) or title.lower() in TIME_TITLES:
        rows = rows_of(index, title)
        if rows is not None:
            return rows, frame
    first = str(frame.columns[0])
    if len(frame.columns) > 1 and first.lower() not in UNNAMED:
        rows = rows_of(pd.Index(frame.iloc[:, 0]), first)
        if rows is not None:
            return rows, frame.iloc[:, 1:]
    if isinstance(index, pd.RangeIndex) or not pd.api.types.is_numeric_dtype(index.dtype):
        return None, frame
    return (pd.Index(index.to_numpy()) if number_places(index.to_numpy()) is not None else None), frame


def _read_npz(path: Path) -> ReadSeries:
    arrays = read_arrays(path)
    keys = list(arrays)
    key = "data" if "data" in keys else keys[0] if len(keys) == 1 else None
    if key is None:
        raise ValueError(
            f"{path.name}: has the arrays {', '.join(keys)}; name the series 'data', or leave it alone in the file"
        )
    return _of_array(arrays[key], path.name, f"array {key!r}")


def _of_array(array: NDArray[Any], name: str, what: str) -> ReadSeries:
    if array.dtype.kind not in "fiub" or array.ndim not in (2, 3) or array.size == 0:
        raise ValueError(
            f"{name}: {what} is {array.dtype} of shape {list(array.shape)}; "
            f"expected numbers of shape [rows, nodes] or [rows, nodes, features]"
        )
    return ReadSeries(array.astype(np.float64).reshape(*array.shape[:2], -1), name)


def _line(error: Exception) -> str:
    """The first line of another library's message."""
    return (str(error).splitlines() or [type(error).__name__])[0]
