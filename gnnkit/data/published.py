"""Published series on graphs, each read from the files of its source, or as it lies in the layout of people's own."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gnnkit._optional import optional_import
from gnnkit.data.dataset import series_file
from gnnkit.data.own import read_own
from gnnkit.data.series import GraphSeries
from gnnkit.data.splits import Split, chronological_split

__all__ = [
    "DAY",
    "WEEK",
    "read_air",
    "read_danube",
    "read_electricity",
    "read_exchange",
    "read_mobility",
    "read_pedalme",
    "read_tables",
    "read_wind",
]

DAY, WEEK = 1440.0, 7 * 1440.0
_PACKED = (
    "The columns of danube are published without gaps, each from its gauge's own first day on: the values of one row "
    "are of different days at most gauges. Only g12 and g11, g09 to g07 and a few others run together."
)
Parts = tuple[pd.DataFrame, Any]
"""A row a time and a column a node; and the graph, or None."""


def read_tables(
    name: str, series: str, graph: str, prefix: str, folder: Path, *, nodes_first: bool = False, **own: Any
) -> GraphSeries:
    """Read a table of numbers without titles, and a matrix beside it.

    Args:
        name: Of the data set.
        series, graph: Names of the files.
        prefix: Of the nodes' names, which the files lack; their numbers follow it.
        folder: With both files, or with `series.csv` and `graph.csv`.
        nodes_first: Whether a row is a node (default False: a time).
        own: For `gnnkit.data.own.read_own`.

    Raises:
        ValueError: The table is not one of numbers, or the matrix has another size.
    """

    def parts() -> Parts:
        table = _numbers(folder / series)
        table = table.T if nodes_first else table
        names = [f"{prefix}{node}" for node in range(table.shape[1])]
        return pd.DataFrame(table, columns=pd.Index(names)), _numbers(folder / graph)

    return _read(name, folder, parts, **own)


def read_pedalme(folder: Path) -> GraphSeries:
    """Read deliveries by bicycle in 15 parts of London, 35 weeks, standardised; a weighted edge for each pair."""

    def parts() -> Parts:
        document = json.loads((folder / "pedalme_london.json").read_text("utf-8"))
        values = np.asarray(document["X"], dtype=np.float64)
        matrix = np.zeros((values.shape[1], values.shape[1]))
        source, target = np.asarray(document["edges"]).T
        matrix[source, target] = document["weights"]
        return pd.DataFrame(values, columns=pd.Index([f"n{node}" for node in range(values.shape[1])])), matrix

    return _read("pedalme", folder, parts, step_minutes=WEEK)


def read_danube(folder: Path, *, since: str = "") -> GraphSeries:
    """Read the discharge of the Danube and its tributaries at 31 gauges, a row a day; an edge is a stretch downstream.

    The published columns have no gaps: a gauge's values begin in the first row whenever its records began, so that
    those of one row are not of one day but where records began together (a note of the series says so).

    Args:
        folder: With `danube.rda`, or in the layout of people's own data.
        since: The first day of the rows; empty (default): all from 1900-11-01 on.
    """

    def parts() -> Parts:
        danube = _rda(folder / "danube.rda")["danube"]
        values = danube["data_raw"]
        names = [f"g{node + 1:02d}" for node in range(values.shape[1])]
        times = pd.DatetimeIndex(values.coords[values.dims[0]].values, name="time")
        edges = [[names[int(end) - 1] for end in edge] for edge in danube["flow_edges"]]
        numbers = np.where(np.isnan(values), np.nan, values)  # R's missing number is a NaN that warns when it is cast
        frame = pd.DataFrame(numbers, columns=pd.Index(names), index=times)
        return frame, pd.DataFrame(edges, columns=pd.Index(["source", "target"]))

    def recent(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.loc[frame.index >= since] if since else frame

    return replace(_read("danube", folder, parts, change=recent), notes=(_PACKED,))


def read_wind(folder: Path) -> GraphSeries:
    """Read the wind at 102 British stations, 721 hours, as its publishers scaled it; near neighbours are joined."""

    def parts() -> Parts:
        found = _rda(folder / "vswind.rda")
        values, neighbours = np.asarray(found["vswindts"]), found["vswindnet"]["edges"]
        matrix = np.zeros((values.shape[1], values.shape[1]))
        for node, others in enumerate(neighbours):
            matrix[node, np.asarray(others, dtype=np.int64) - 1] = 1
        return pd.DataFrame(values, columns=pd.Index([str(name) for name in found["vswindnames"]])), matrix

    return _read("uk-wind", folder, parts, change=lambda frame: frame.set_axis(_distinct(frame.columns), axis=1),
                 titled=True, step_minutes=60.0)  # fmt: skip


def read_mobility(folder: Path) -> GraphSeries:
    """Read new infections in 94 French départements, 78 days, and how many people went from one to another.

    The graph is the mean of those of the training days; who stayed is left out.
    """

    if series_file(folder) is not None:
        frame, moved = _titled(folder / "series.csv"), pd.read_csv(folder / "graph_by_day.csv.gz")
    else:
        frame = pd.read_csv(folder / "france_labels.csv", index_col="name").T
        frame.index = pd.DatetimeIndex(frame.index, name="time")
        days = [
            pd.read_csv(path, names=["source", "target", "people"]).assign(time=path.stem.removeprefix("FR_"))
            for path in sorted((folder / "graphs").glob("FR_*.csv"))
        ]
        moved = pd.concat(days)
    last = frame.index[chronological_split(len(frame)).train.stop - 1]
    moved = moved.loc[pd.to_datetime(moved["time"]) <= last]
    people = moved.loc[moved["source"] != moved["target"]].groupby(["source", "target"])["people"].sum()
    edges = (people / moved["time"].nunique()).rename("weight").reset_index()
    return _named("france-mobility", frame, edges, graph_weights="similarity")


def read_air(folder: Path) -> GraphSeries:
    """Read fine dust and the weather at 12 stations in Beijing, 17,544 hours; distances make a graph."""
    path = series_file(folder)
    assert path is not None  # one of its files
    return _named("beijing-air", path, None, places=folder / "places.csv", target="pm25")


def read_exchange(folder: Path) -> GraphSeries:
    """Read the rates of 8 currencies, 7588 days from 1990 on, without a graph; split 60/20/20 as published."""
    with gzip.open(folder / "exchange_rate.txt.gz", "rt", encoding="utf-8") as file:
        values = np.loadtxt(file, delimiter=",")
    names = [f"currency {node}" for node in range(values.shape[1])]
    frame = pd.DataFrame(values, columns=pd.Index(names))
    first, second = int(0.6 * len(frame)), int(0.8 * len(frame))
    split = Split(range(first), range(first, second), range(second, len(frame)), label="60/20/20, published")
    return replace(_named("exchange-rate", frame, None, step_minutes=DAY).with_split(split), season=None)


def read_electricity(name: str, rows_an_hour: int, folder: Path) -> GraphSeries:
    """Read a transformer's oil temperature and six loads, without a graph; split into 12, 4 and 4 months of 30 days.

    Args:
        name: `ETTh1`, `ETTh2`, `ETTm1` or `ETTm2`.
        rows_an_hour: 1 or 4.
        folder: With the file of that name.
    """
    frame = pd.read_csv(folder / f"{name}.csv", index_col="date", parse_dates=["date"])
    found = _named(name.lower(), frame, None)
    month = 30 * 24 * rows_an_hour
    split = Split(
        range(12 * month),
        range(12 * month, 16 * month),
        range(16 * month, 20 * month),
        label="12/4/4 months, published",
    )
    return found.with_split(split)


def _read(
    name: str,
    folder: Path,
    parts: Callable[[], Parts],
    *,
    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame,
    titled: bool = False,
    **own: Any,
) -> GraphSeries:
    """The series of a folder, in whichever of the two layouts it lies there."""
    path = series_file(folder)
    if path is None:
        frame, graph = parts()
    else:
        frame, graph = _titled(path, repeated=titled), folder / "graph.csv"
    return _named(name, change(frame), graph, **own)


def _named(name: str, series: Any, graph: Any, **own: Any) -> GraphSeries:
    """As `read_own` reads it; what it guessed of the files is known here, so there is nothing to note."""
    return replace(read_own(series, graph, **own), name=name, source="", notes=())


def _numbers(path: Path) -> np.ndarray:
    return np.loadtxt(path, delimiter=",", ndmin=2)


def _titled(path: Path, *, repeated: bool = False) -> pd.DataFrame:
    """A table with titles, and its column of times as the index; `repeated`: titles may be the same."""
    if repeated:
        with open(path, encoding="utf-8", newline="") as file:
            titles = next(csv.reader(file))
        return pd.read_csv(path, header=None, skiprows=1).set_axis(titles, axis=1)
    frame = pd.read_csv(path)
    if "time" not in frame:
        return frame
    return frame.assign(time=pd.to_datetime(frame["time"])).set_index("time")


def _distinct(names: Iterable[Any]) -> list[str]:
    """Names without blanks at their ends; one that repeats gets a number.

    Example:
        >>> _distinct(["EAST", "RHYL ", "EAST"])
        ['EAST', 'RHYL', 'EAST 2']
    """
    seen: Counter[str] = Counter()
    found = []
    for name in (str(name).strip() for name in names):
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    return found


def _rda(path: Path) -> dict[str, Any]:
    """The objects of a file of R; a matrix of times stays one."""
    rdata = optional_import("rdata", purpose=path.name, extra="rda")
    from rdata.conversion import DEFAULT_CLASS_MAP

    frame = DEFAULT_CLASS_MAP["data.frame"]
    plain = {"mts": _as_it_is, "ts": _as_it_is, "GNARnet": _as_it_is, "tbl_df": frame, "tbl": frame}
    return rdata.read_rda(path, constructor_dict={**DEFAULT_CLASS_MAP, **plain})


def _as_it_is(value: Any, attributes: Any) -> Any:
    return value
