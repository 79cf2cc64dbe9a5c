"""Your own data: a table of time × nodes, and a graph, from files."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from gnnkit.data.own_graph import read_graph
from gnnkit.data.own_grid import Grid, equal_steps, number_places, put_on_grid, season_of
from gnnkit.data.own_times import CLOCK, TIME_TITLES, UNNAMED, is_time, number_rows, text_times
from gnnkit.data.series import GraphSeries
from gnnkit.data.splits import Split, chronological_split
from gnnkit.data.tables import MISSING, Table, existing_file, is_number, numbers, read_table

__all__ = ["read_own"]


@dataclass(frozen=True, eq=False)
class _Read:
    """What a series file holds: values `[L, N, F]`, names and the times or numbers of its rows, None: not given."""

    values: NDArray[np.float64]
    names: list[str] | None = None
    rows: pd.Index | None = None


def read_own(
    series_path: str | Path,
    graph_path: str | Path | None = None,
    *,
    target: int | None = None,
    season: int | None = None,
    step_minutes: float | None = None,
    graph_format: str = "auto",
    header: bool | None = None,
    unit: str = "",
) -> GraphSeries:
    """Read a series and its graph from files. Missing values stay missing.

    The series is one of

    - CSV: a row of numbers for each time, a column for each node; maybe a first line of names and a first column of
      times. Empty cells, NaN, NA and null are missing. A first line of whole numbers counts as names when they are 0,
      1, 2, … or when all of them lie outside the range of the values below (sensor numbers). Times are dates, dates
      with times of day, months (2015-01), quarters (2015Q1) or ISO weeks (2015-W02); or, under a name like date, time,
      timestamp or year, numbers: years, 201501, 20150105, 2015010512 and so on, or seconds, milliseconds, microseconds
      or nanoseconds since 1970. Other numbers that rise evenly under such a name, or under an empty one, are those of
      rows.
    - Parquet: the same as a data frame; times or row numbers are its index or its first column.
    - NPZ: an array `[rows, nodes]` or `[rows, nodes, features]` under `data`, or the only one in the file.

    The graph is one of

    - CSV matrix: row i, column j is the weight of the edge i → j, 0 for none; maybe with a first line or column of
      names, which must be those of the series and may come in another order.
    - CSV edge list: columns source, target and maybe weight (1 where left out), by name or by number from 0 on.
    - NPZ: a matrix saved by `scipy.sparse.save_npz`, `edge_index` and maybe `edge_weight`, or one array `[nodes,
      nodes]`.

    Args:
        series_path: The series: .csv, .parquet or .npz.
        graph_path: The graph: .csv or .npz; None (default) for no edges.
        target: Feature that is forecast, for an array with features; default the first. It becomes feature 0.
        season: Rows in a season; default from the step: a day, for daily rows a week, for weekly and monthly rows a
            year, for rows from Monday to Friday five.
        step_minutes: Minutes from row to row; default from the times. Given, it overrides their distances: the rows
            are then taken to be equally spaced, and the last one to be at its time. For times that jitter, or clocks
            that are set back; most must be about so far apart.
        graph_format: `"auto"` (default), `"matrix"` or `"edges"`, for a CSV graph.
        header: True, False or None (default: look) for a first line of names in a CSV series.
        unit: Unit of the target, for reports.

    Returns:
        The series, with rows of NaN put in where times are left out, split 70/10/20 by time.

    Raises:
        FileNotFoundError: A file is not there.
        ValueError: A file has an unknown ending, is ragged or not numeric, has infinite values or nothing but NaN;
            times are not in order, not regular or not in the first column; names repeat; the graph has another size or
            other names than the series, or a weight that is negative, infinite or missing. The message is one line and
            names the place.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "speeds.csv").write_text("a,b\\n60,55\\n,50\\n58,52\\n")
        >>> _ = (folder / "roads.csv").write_text("source,target,weight\\na,b,0.5\\n")
        >>> series = read_own(folder / "speeds.csv", folder / "roads.csv")
        >>> series.node_names, series.edge_index.tolist(), series.values[:, 0, 0].isnan().tolist()
        (('a', 'b'), [[0], [1]], [False, True, False])
    """
    path = existing_file(series_path, "series")
    readers = {
        ".csv": lambda: _read_csv(path, header),
        ".parquet": lambda: _read_parquet(path),
        ".npz": lambda: _read_npz(path),
    }
    if path.suffix.lower() not in readers:
        raise ValueError(f"series {path.name!r}: unknown ending {path.suffix!r}; give a {', '.join(readers)} file")
    if header is not None and path.suffix.lower() != ".csv":
        raise ValueError(
            f"header={header}: only a CSV series has a first line of names; leave header out for {path.name!r}"
        )
    read = readers[path.suffix.lower()]()
    values = _target_first(read.values, target, path.name)
    infinite = ~np.isnan(values) & ~(np.abs(values) <= np.finfo(np.float32).max)
    if infinite.any():
        row, node, _ = np.argwhere(infinite)[0]
        raise ValueError(
            f"{path.name}: infinite at row {row}, node {node} (counted from 0); mark missing values as NaN"
        )
    if np.isnan(values[..., 0]).all():
        raise ValueError(f"{path.name}: every value is NaN, so there is nothing to forecast; check the file")

    num_nodes, note = values.shape[1], ""
    names = read.names or [str(node) for node in range(num_nodes)]
    repeated = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if repeated is not None:
        raise ValueError(f"{path.name}: the node name {repeated!r} comes twice; give every column a name of its own")
    if step_minutes is not None:
        grid = equal_steps(values, read.rows, step_minutes, path.name)
    else:
        grid = Grid(values) if read.rows is None else put_on_grid(values, read.rows, path.name)
    if grid.added:
        note = f", {grid.added} rows of missing values put in where rows are left out"
    if season is None:
        season = season_of(grid.step_minutes, grid.step_unit)
    edge_index, edge_weight = read_graph(graph_path, names, graph_format)
    graph_note = f", graph {Path(graph_path).name}" if graph_path is not None else ", no graph"
    return GraphSeries(
        name=path.stem,
        values=torch.from_numpy(grid.values.astype(np.float32)),
        edge_index=torch.from_numpy(edge_index),
        edge_weight=torch.from_numpy(edge_weight.astype(np.float32)),
        node_names=tuple(names),
        split=_split(len(grid.values), path.name),
        unit=unit,
        step_minutes=grid.step_minutes,
        step_unit=grid.step_unit,
        start=grid.start,
        season=season,
        source=f"own data, series {path.name}{graph_note}{note}",
    )


def _read_csv(path: Path, header: bool | None) -> _Read:
    table = read_table(path)
    timed = is_time(table.cells[-1][0])
    names = None
    if header or (header is None and _has_header(table.cells, timed)):
        names, table = table.cells[0], table.rows_from(1)
    if not table.cells:
        raise ValueError(f"{path.name}: a line of names and no row of values")
    if names is not None and _numbered_times(names, table):
        names, table = names[1:], table.columns_from(1)
        timed = is_time(table.cells[-1][0])
    _check_one_column_of_times(table, names)
    rows: pd.Index | None = None
    if timed:
        _check_wide(table)
        rows = text_times(table.column(0), table.lines, path.name)
    elif table.width > 1:
        rows = number_rows(names[0] if names is not None else None, table.column(0), table.lines, path.name)
    if rows is not None:
        table, names = table.columns_from(1), names[1:] if names else None
    if table.width == 0:
        raise ValueError(f"{path.name}: a column of times and no column of values")
    return _Read(numbers(table)[..., None], names, rows)


def _numbered_times(names: list[str], table: Table) -> bool:
    """Whether a data frame's row numbers stand in column 1, before the times."""
    return (
        names[0].lower() in UNNAMED
        and table.width > 2
        and (names[1].lower() in TIME_TITLES or is_time(table.cells[-1][1]))
        and all(is_number(cell) for cell in table.column(0))
    )


def _check_wide(table: Table) -> None:
    times = table.column(0)
    long = table.width > 2 and len(set(times)) < len(times) and not is_time(table.cells[-1][1])
    if long and not all(is_number(cell) for cell in table.column(1)):
        raise ValueError(
            f"{table.path.name}: a row for each time and node, with the node's name in column 2; give a row for each "
            f"time and a column for each node (in pandas: frame.pivot(index=…, columns=…, values=…))"
        )


def _check_one_column_of_times(table: Table, names: list[str] | None) -> None:
    cells = table.cells[-1]
    times = [column for column in range(1, table.width) if is_time(cells[column])]
    titled = names is not None and len(names) > 1 and {names[0].lower(), names[1].lower()} <= TIME_TITLES
    if titled or (times[:1] == [1] and any(CLOCK.fullmatch(cell) for cell in cells[:2])):
        raise ValueError(
            f"{table.path.name}: columns 1 and 2 hold parts of a time, {cells[0]!r} and {cells[1]!r}; write it whole "
            f"in column 1, as YYYY-MM-DD hh:mm, and leave column 2 out"
        )
    if times:
        raise ValueError(
            f"{table.path.name}: column {times[0] + 1} holds times like {cells[times[0]]!r}; one column of times, the "
            f"first, is read"
        )


def _has_header(cells: list[list[str]], timed: bool) -> bool:
    # The first cell may stand over a column of times or of row numbers, without a name.
    indexed = timed or (cells[0][0] == "" and len(cells[0]) > 2)
    first = cells[0][1:] if indexed else cells[0]
    if timed and not is_time(cells[0][0]):
        return True
    if not all(is_number(cell) for cell in first):
        return True
    whole = [cell for cell in first if cell.isdecimal()]
    if len(set(whole)) < len(first) or len(first) < 2 or len(cells) < 2:
        return False
    if _counts(first):
        return True
    body = (
        cell for row in cells[1:] for cell in row[int(indexed) :] if cell.lower() not in MISSING and is_number(cell)
    )
    finite = [value for value in map(float, body) if np.isfinite(value)]
    return bool(finite) and all(not min(finite) <= float(cell) <= max(finite) for cell in first)


def _counts(cells: list[str]) -> bool:
    return cells == [str(number) for number in range(len(cells))]


def _read_parquet(path: Path) -> _Read:
    try:
        frame = pd.read_parquet(path)
    except (ValueError, OSError) as error:  # pyarrow's own errors are of these kinds
        raise ValueError(f"{path.name}: not a Parquet file ({_line(error)})") from None
    if frame.empty:
        raise ValueError(f"{path.name}: no values, its shape is {frame.shape[0]} × {frame.shape[1]}")
    rows, frame = _parquet_rows(frame, path.name)
    if not len(frame.columns):
        raise ValueError(f"{path.name}: a column of times and no column of values")
    for column, kind in frame.dtypes.items():
        if not pd.api.types.is_numeric_dtype(kind):
            raise ValueError(f"{path.name}: column {column!r} is not numeric (its type is {kind})")
    values = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    return _Read(values[..., None], [str(name) for name in frame.columns], rows)


def _parquet_rows(frame: pd.DataFrame, name: str) -> tuple[pd.Index | None, pd.DataFrame]:
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
            return number_rows(title, cells, lines, name)
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


def _read_npz(path: Path) -> _Read:
    try:
        with np.load(path, allow_pickle=False) as file:
            keys = list(file)
            key = "data" if "data" in keys else keys[0] if len(keys) == 1 else None
            array = None if key is None else file[key]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path.name}: not an NPZ file of plain arrays ({_line(error)})") from None
    if array is None:
        raise ValueError(
            f"{path.name}: has the arrays {', '.join(keys)}; name the series 'data', or leave it alone in the file"
        )
    if array.dtype.kind not in "fiub" or array.ndim not in (2, 3) or array.size == 0:
        raise ValueError(
            f"{path.name}: array {key!r} is {array.dtype} of shape {list(array.shape)}; "
            f"expected numbers of shape [rows, nodes] or [rows, nodes, features]"
        )
    return _Read(array.astype(np.float64).reshape(*array.shape[:2], -1))


def _line(error: Exception) -> str:
    """The first line of another library's message."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _target_first(values: NDArray[np.float64], target: int | None, name: str) -> NDArray[np.float64]:
    features = values.shape[2]
    if target is None:
        return values
    if not 0 <= target < features:
        raise ValueError(f"target={target}: {name} has the features 0 to {features - 1}; name one of them")
    return values[..., [target, *(feature for feature in range(features) if feature != target)]]


def _split(num_rows: int, name: str) -> Split:
    if num_rows < 3:
        raise ValueError(f"{name}: {num_rows} rows are too few; a series has at least 3")
    return chronological_split(num_rows)
