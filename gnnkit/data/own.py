"""Your own data: a series, a graph, places and covariates, from files or from memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from gnnkit.data.clock import row_times
from gnnkit.data.own_covariates import AtRows, at_rows, join_features
from gnnkit.data.own_grid import Grid, equal_steps, put_on_grid, season_of
from gnnkit.data.own_layout import SUM_TITLES
from gnnkit.data.own_long import Asked, near_name
from gnnkit.data.own_made import CorrelationGraph
from gnnkit.data.own_mapped import read_mapped
from gnnkit.data.own_remarks import check_single, formula_remarks, value_remarks
from gnnkit.data.own_series import ReadSeries, read_series_source
from gnnkit.data.own_settled import settle_graph
from gnnkit.data.series import GraphSeries
from gnnkit.data.splits import Split, chronological_split
from gnnkit.data.tables import Decimal, is_text, told_missing

__all__ = ["read_own"]


def read_own(
    series: Any,
    graph: Any = None,
    *,
    places: Any = None,
    covariates: Any = None,
    target: int | str | None = None,
    known_ahead: Sequence[str] = (),
    time_column: str | None = None,
    node_column: str | None = None,
    leave_out: Sequence[str] = (),
    graph_from: str | None = None,
    graph_weights: str | None = None,
    graph_format: str = "auto",
    neighbours: int | None = None,
    places_unit: str | None = None,
    season: int | None = None,
    step_minutes: float | None = None,
    header: bool | None = None,
    unit: str = "",
    missing_values: Sequence[str | float] = (),
    decimal: Decimal | None = None,
    split: tuple[float, float, float] | None = None,
    strict: bool = True,
) -> GraphSeries:
    """Read a series, its graph, places and covariates from files or from memory. Missing values stay missing.

    All that gnnkit reads of people's own data is read here, whatever of it is a file and whatever an object. What was
    guessed, and what looks odd, stands in the series' `notes`, a sentence each.

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
    - Any of these with a row for each time and node: a column of times, one of nodes (station, sensor, id, …, or any
      that tells the rows of a time apart) and columns of values. The first of these, or `target`, is forecast; the
      others are covariates.
    - Parquet: the same as a data frame; times or row numbers are its index or its first column.
    - NPZ: an array `[rows, nodes]` or `[rows, nodes, features]` under `data`, or the only one in the file.
    - NPY: an array of float32 like one of an NPZ file, which is mapped and may be larger than memory.
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

    Weights are similarities: larger is nearer. Weights that surely are distances are refused where `graph_weights` does
    not say what they are; a note tells of those that may be.

    Where no graph is given, one is made of the places, or of the training rows: see `gnnkit.data.own_made`.

    Covariates are features beside the target, in the series' file or in one of their own: with a row for each time and
    node, or a row a time with a column for each covariate (the same for all nodes) or for each node (one covariate).
    They are put at the rows of the series by their times. Those of `known_ahead` may go on after its last row.

    Args:
        series: The series: a path, a frame or an array.
        graph: The graph: a path or an object; None (default) for no edges, or for one that is made.
        places: Where the nodes are: a path or a frame with a row for each node: its name, latitude and longitude in
            degrees, or x and y (see `gnnkit.data.own_places`). They become `positions`.
        covariates: Covariates: a path, a frame or an array.
        target: Feature that is forecast, by its number or its name; default the first. It becomes feature 0.
        known_ahead: Names of covariates whose values are known before their time: holidays, a weather forecast.
        time_column, node_column: Titles of the columns of times and of nodes; default: found out.
        leave_out: Titles of columns that are not read.
        graph_from: `"places"` or `"correlation"`: what a graph is made of; default: the places, where they are given
            and no graph is.
        graph_weights: `"similarity"` or `"distance"`: what the graph's weights are; default: similarities, unless it is
            plain that they are not, which is an error. Distances go through a Gaussian kernel.
        season: Rows in a season; default from the step: a day, for daily rows a week, for weekly and monthly rows a
            year, for rows from Monday to Friday five.
        step_minutes: Minutes from row to row; default from the times. Given, it overrides their distances: the rows
            are then taken to be equally spaced, and the last one to be at its time. For times that jitter, or clocks
            that are set back; most must be about so far apart.
        graph_format: `"auto"` (default), `"matrix"` or `"edges"`, for a CSV graph or a frame.
        neighbours: In a graph that is made: how many nearest nodes each is joined with; default: by the kernel of the
            distances, or 5 by correlation.
        places_unit: `"degrees"`, `"m"` or `"km"`; default: by the titles of the places.
        header: True, False or None (default: look) for a first line of names in a CSV series.
        unit: Unit of the target, for reports; default: that of a row of units under the names, else none.
        missing_values: What else stands for a missing value: numbers (-200, 9999), or texts of a CSV file.
        decimal: `"."` or `","`: what stands before decimals in a CSV series; default: found out from its numbers.
        split: Shares of training, validation and test rows; default 0.7, 0.1, 0.2. A graph of correlations is made of
            the training rows.
        strict: True (default) refuses names in `leave_out` and `known_ahead` that no column has; False passes over
            them.

    Returns:
        The series, with rows of NaN put in where times are left out, split by time.

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
    if _is_path(series) and Path(series).suffix.lower() == ".npy":
        return read_mapped(
            Path(series), graph, lambda rows, name: _split(rows, name, split), target=target, season=season,
            step_minutes=step_minutes, unit=unit,
            settling={"places": places, "places_unit": places_unit, "graph_from": graph_from,
                      "graph_weights": graph_weights, "graph_format": graph_format, "neighbours": neighbours},
            others={"covariates": covariates, "known_ahead": tuple(known_ahead), "time_column": time_column,
                    "node_column": node_column, "leave_out": tuple(leave_out), "header": header,
                    "missing_values": tuple(missing_values), "decimal": decimal},
        )  # fmt: skip
    notes: list[str] = []
    asked = Asked(time_column, node_column, tuple(leave_out))
    read = read_series_source(series, header, decimal, missing_values, notes, asked=asked)
    name = read.label
    read = _target_first(read, target, notes)
    values = read.values
    values = np.where(told_missing(values, missing_values), np.nan, values) if len(missing_values) else values
    read = _oldest_first(dataclasses.replace(read, values=values), notes)
    _check_values(read)
    names = read.names or [str(node) for node in range(read.values.shape[1])]
    _check_names(names, name)
    notes += formula_remarks(names, name)
    grid = _grid(read, step_minutes)
    if season is None:
        season = grid.season or season_of(grid.step_minutes, grid.step_unit)
    if "working" in grid.step_unit:
        notes.append(f"{name}: its rows are of one part of each day, {grid.season} a day; the time between is no gap.")
    notes += value_remarks(read.values[..., 0], names, name, read.lines, SUM_TITLES)
    given = None
    if covariates is not None:
        given = _covariates(covariates, asked, decimal, missing_values, read, names, grid, notes)
    unknown = sorted(set(leave_out) - asked.met)
    if unknown and strict:
        raise ValueError(f"leave_out: there is no column {unknown[0]!r}; give the titles of columns as they stand")
    found = join_features(read, grid.values, given, known_ahead, notes, strict=strict)
    parts = _split(len(found.values), name, split)
    train = torch.from_numpy(found.values[parts.train.start : parts.train.stop, :, 0])
    made = settle_graph(
        graph, names, train, parts.train, season, notes, places=places, places_unit=places_unit, graph_from=graph_from,
        graph_weights=graph_weights, graph_format=graph_format, neighbours=neighbours,
    )  # fmt: skip
    put_in = f", {grid.added} rows of missing values put in where rows are left out" if grid.added else ""
    what = f"series {name}" if _is_path(series) else "a series in memory"
    check_single(found.values, names, found.names, name)
    return GraphSeries(
        name=Path(name).stem.removesuffix(".csv"),
        values=torch.from_numpy(found.values.astype(np.float32)),
        edge_index=torch.from_numpy(made.edge_index),
        edge_weight=torch.from_numpy(made.edge_weight.astype(np.float32)),
        node_names=tuple(names),
        split=parts,
        unit=unit or read.unit,
        step_minutes=grid.step_minutes,
        step_unit=grid.step_unit,
        start=grid.start,
        season=season,
        positions=made.positions,
        source=f"own data, {what}, {made.note}{put_in}",
        notes=tuple(notes),
        feature_names=found.names,
        known_ahead=found.known,
        ahead=None if found.ahead is None else torch.from_numpy(found.ahead.astype(np.float32)),
        graph_source=made.source,
        graph_rows=made.rows,
        make_graph=None if made.rows is None else CorrelationGraph(season, neighbours, tuple(names)),
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
        called = f" {read.names[node]!r}" if read.names else ""
        place = f"row {row}, node {node}{called} (counted from 0)"
        raise ValueError(f"{name}: infinite at {place}; mark missing values as NaN")
    if np.isnan(values[..., 0]).all():
        raise ValueError(f"{name}: every value is NaN, so there is nothing to forecast; check the file")


def _target_first(read: ReadSeries, target: int | str | None, notes: list[str]) -> ReadSeries:
    """The features with the one that is forecast before the others."""
    count = read.values.shape[2]
    names = read.features or [str(feature) for feature in range(count)]
    if target is None:
        if read.long and count > 1:
            others = ", ".join(map(repr, names[1:])) + (" is a covariate" if count == 2 else " are covariates")
            notes.append(f"{read.label}: {names[0]!r} is forecast, and {others}; target names another.")
        place = 0
    elif str(target) in names:
        place = names.index(str(target))
    elif read.features is None and count == 1 and isinstance(target, str):  # what its only feature is called
        names, place = [target], 0
    elif isinstance(target, int) and 0 <= target < count:
        place = target
    else:
        shown = f"the features 0 to {count - 1}; name one of them" if read.features is None else (
            f"no feature {target!r}; {near_name(str(target), names)}"
        )  # fmt: skip
        raise ValueError(f"target={target!r}: {read.label} has {shown}")
    order = [place, *(feature for feature in range(count) if feature != place)]
    features = [names[feature] for feature in order] if count > 1 or read.features or names != ["0"] else None
    return dataclasses.replace(read, values=read.values[..., order], features=features)


def _check_names(names: list[str], name: str) -> None:
    repeated = next((one for place, one in enumerate(names) if one in names[:place]), None)
    if repeated is not None:
        first, second = [place for place, one in enumerate(names) if one == repeated][:2]
        raise ValueError(
            f"{name}: the node name {repeated!r} comes twice, as node {first} and node {second} (counted from 0); give "
            f"every node a name of its own"
        )


def _grid(read: ReadSeries, step_minutes: float | None) -> Grid:
    if step_minutes is not None:
        return equal_steps(read.values, read.rows, step_minutes, read.label, read.lines)
    return Grid(read.values) if read.rows is None else put_on_grid(read.values, read.rows, read.label, read.lines)


def _covariates(
    source: Any,
    asked: Asked,
    decimal: Decimal | None,
    missing: Sequence[str | float],
    read: ReadSeries,
    names: list[str],
    grid: Grid,
    notes: list[str],
) -> AtRows:
    """The covariates of a table of their own, at the rows of the series."""
    titles = dataclasses.replace(asked, time=None, node=None)  # those are the series'; here they are looked for
    textual = _is_path(source) and is_text(Path(source))
    found = read_series_source(source, None, decimal if textual else None, missing, notes, asked=titles,
                               what="covariates")  # fmt: skip
    found = dataclasses.replace(found, values=np.where(told_missing(found.values, missing), np.nan, found.values))
    count = len(grid.values)
    if read.rows is None:
        return at_rows(found, read.label, names, None, None, count, notes)
    rows = read.rows
    if grid.places is not None and len(grid.places) < count:
        whole = row_times(grid.start, grid.step_minutes, grid.step_unit, range(count))
        blank = pd.Series(
            whole if whole is not None else [pd.NaT if isinstance(rows, pd.DatetimeIndex) else np.nan] * count
        )
        blank.iloc[grid.places] = rows
        rows = pd.DatetimeIndex(blank) if isinstance(rows, pd.DatetimeIndex) else pd.Index(blank)
    later = row_times(grid.start, grid.step_minutes, grid.step_unit, range(count, count + len(found.values)))
    return at_rows(found, read.label, names, rows, later, count, notes)


def _split(num_rows: int, name: str, shares: tuple[float, float, float] | None) -> Split:
    if num_rows < 3:
        raise ValueError(f"{name}: {num_rows} rows are too few; a series has at least 3")
    return chronological_split(num_rows) if shares is None else chronological_split(num_rows, shares)
