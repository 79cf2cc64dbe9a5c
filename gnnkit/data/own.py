"""Your own data: a table of time × nodes, and a graph, from files or from memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from gnnkit.data.own_graph import read_graph
from gnnkit.data.own_grid import Grid, equal_steps, put_on_grid, season_of
from gnnkit.data.own_layout import SUM_TITLES
from gnnkit.data.own_remarks import value_remarks
from gnnkit.data.own_series import ReadSeries, read_series_source
from gnnkit.data.series import GraphSeries
from gnnkit.data.splits import Split, chronological_split
from gnnkit.data.tables import Decimal, told_missing

__all__ = ["read_own"]


def read_own(
    series: Any,
    graph: Any = None,
    *,
    target: int | None = None,
    season: int | None = None,
    step_minutes: float | None = None,
    graph_format: str = "auto",
    header: bool | None = None,
    unit: str = "",
    missing_values: Sequence[str | float] = (),
    decimal: Decimal | None = None,
) -> GraphSeries:
    """Read a series and its graph from files or from memory. Missing values stay missing.

    What was guessed, and what looks odd, stands in the series' `notes`, a sentence each.

    The series is one of

    - CSV, TSV or TXT, maybe packed by gzip: a row of numbers for each time, a column for each node; maybe a first line
      of names and a first column of times. Empty cells, NaN, NA and null are missing. Numbers may have a decimal
      comma, and commas, points, blanks or apostrophes between thousands (see `gnnkit.data.number_text`). A first line
      of whole numbers counts as names when they are 0, 1, 2, … or when all of them lie outside the range of the values
      below (sensor numbers). Times are dates, dates with times of day, months (2015-01), quarters (2015Q1) or ISO weeks
      (2015-W02); or, under a name like date, time, timestamp or year, numbers: years, 201501, 20150105, 2015010512 and
      so on, seconds, milliseconds, microseconds or nanoseconds since 1970, or days of a spreadsheet. Times may be in
      parts (year, month, day, hour; a date and a time of day), 24:00 is midnight, and a table whose columns are times
      and whose rows are nodes is turned round. Other numbers that rise evenly under such a name, or under an empty one,
      are those of rows.
    - Parquet: the same as a data frame; times or row numbers are its index or its first column.
    - NPZ: an array `[rows, nodes]` or `[rows, nodes, features]` under `data`, or the only one in the file.
    - A pandas DataFrame like a Parquet file, or an array or tensor like one of an NPZ file.

    The graph is one of

    - CSV matrix: row i, column j is the weight of the edge i → j, 0 for none; maybe with a first line or column of
      names, which must be those of the series and may come in another order.
    - CSV edge list: columns source, target and maybe weight (1 where left out), or others that are called like these
      (from and to, src and dst, node1 and node2, …), which hold names of nodes or their numbers from 0 on.
    - NPZ: a matrix saved by `scipy.sparse.save_npz`, `edge_index` and maybe `edge_weight`, or one array `[nodes,
      nodes]`.
    - A networkx graph (an undirected edge counts in both directions), a DataFrame like a CSV file, a matrix `[nodes,
      nodes]` (array, scipy sparse, tensor), an `edge_index`, a pair of that and weights, or PyG's `Data`.

    Weights are similarities: larger is nearer. A note tells of weights that look like distances.

    Args:
        series: The series: a path, a frame or an array.
        graph: The graph: a path or an object; None (default) for no edges.
        target: Feature that is forecast, for an array with features; default the first. It becomes feature 0.
        season: Rows in a season; default from the step: a day, for daily rows a week, for weekly and monthly rows a
            year, for rows from Monday to Friday five.
        step_minutes: Minutes from row to row; default from the times. Given, it overrides their distances: the rows
            are then taken to be equally spaced, and the last one to be at its time. For times that jitter, or clocks
            that are set back; most must be about so far apart.
        graph_format: `"auto"` (default), `"matrix"` or `"edges"`, for a CSV graph or a frame.
        header: True, False or None (default: look) for a first line of names in a CSV series.
        unit: Unit of the target, for reports; default: that of a row of units under the names, else none.
        missing_values: What else stands for a missing value: numbers (-200, 9999), or texts of a CSV file.
        decimal: `"."` or `","`: what stands before decimals in a CSV series; default: found out from its numbers.

    Returns:
        The series, with rows of NaN put in where times are left out, split 70/10/20 by time.

    Raises:
        FileNotFoundError: A file is not there.
        TypeError: An object is no series, or no graph, that is known.
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
    notes: list[str] = []
    read = read_series_source(series, header, decimal, missing_values, notes)
    name = read.label
    values = _target_first(read.values, target, name)
    values = np.where(told_missing(values, missing_values), np.nan, values) if len(missing_values) else values
    read = _oldest_first(dataclasses.replace(read, values=values), notes)
    _check_values(read)
    names = read.names or [str(node) for node in range(read.values.shape[1])]
    repeated = next((one for place, one in enumerate(names) if one in names[:place]), None)
    if repeated is not None:
        first, second = [place for place, one in enumerate(names) if one == repeated][:2]
        raise ValueError(
            f"{name}: the node name {repeated!r} comes twice, as node {first} and node {second} (counted from 0); give "
            f"every node a name of its own"
        )
    if step_minutes is not None:
        grid = equal_steps(read.values, read.rows, step_minutes, name, read.lines)
    else:
        grid = Grid(read.values) if read.rows is None else put_on_grid(read.values, read.rows, name, read.lines)
    if season is None:
        season = grid.season or season_of(grid.step_minutes, grid.step_unit)
    if "working" in grid.step_unit:
        notes.append(f"{name}: its rows are of one part of each day, {grid.season} a day; the time between is no gap.")
    notes += value_remarks(read.values[..., 0], names, name, read.lines, SUM_TITLES)
    edge_index, edge_weight = read_graph(graph, names, graph_format, notes)
    stem = Path(name).stem.removesuffix(".csv")
    graph_note = (
        "no graph" if graph is None else f"graph {Path(graph).name}" if _is_path(graph) else "a graph in memory"
    )
    put_in = f", {grid.added} rows of missing values put in where rows are left out" if grid.added else ""
    what = f"series {name}" if _is_path(series) else "a series in memory"
    return GraphSeries(
        name=stem,
        values=torch.from_numpy(grid.values.astype(np.float32)),
        edge_index=torch.from_numpy(edge_index),
        edge_weight=torch.from_numpy(edge_weight.astype(np.float32)),
        node_names=tuple(names),
        split=_split(len(grid.values), name),
        unit=unit or read.unit,
        step_minutes=grid.step_minutes,
        step_unit=grid.step_unit,
        start=grid.start,
        season=season,
        source=f"own data, {what}, {graph_note}{put_in}",
        notes=tuple(notes),
    )


def _is_path(source: Any) -> bool:
    return isinstance(source, (str, PathLike))


def _oldest_first(read: ReadSeries, notes: list[str]) -> ReadSeries:
    """The rows turned round where their times only fall."""
    if not isinstance(read.rows, pd.DatetimeIndex) or read.rows.hasnans or len(read.rows) < 3:
        return read
    if not (np.diff(read.rows.as_unit("ns").asi8) < 0).all():
        return read
    notes.append(f"{read.label}: its rows go from the newest to the oldest, and were turned round.")
    lines = None if read.lines is None else list(read.lines)[::-1]
    return dataclasses.replace(read, values=read.values[::-1], rows=read.rows[::-1], lines=lines)


def _check_values(read: ReadSeries) -> None:
    values, name = read.values, read.label
    infinite = ~np.isnan(values) & ~(np.abs(values) <= np.finfo(np.float32).max)
    if infinite.any():
        row, node, _ = np.argwhere(infinite)[0]
        raise ValueError(f"{name}: infinite at row {row}, node {node} (counted from 0); mark missing values as NaN")
    if np.isnan(values[..., 0]).all():
        raise ValueError(f"{name}: every value is NaN, so there is nothing to forecast; check the file")


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
