"""What files call nodes and times → numbers of nodes and rows of the series."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gnnkit.data import GraphSeries, row_time

__all__ = ["node_numbers", "series_rows"]


def node_numbers(labels: Sequence[Any], series: GraphSeries, about: str) -> NDArray[np.int64]:
    """The number of each node in the series.

    Args:
        labels: names of nodes, in any order, or their numbers from 0 on where none is a name.
        series: knows the names.
        about: how a message begins.

    Raises:
        ValueError: a node that the series does not have.

    Example:
        >>> from gnnkit.data import simulate_traffic
        >>> series = simulate_traffic(num_nodes=3, days=1)
        >>> node_numbers([2, 0], series, "forecasts a").tolist()
        [2, 0]
    """
    place = {name: number for number, name in enumerate(series.node_names)}
    names = [str(label).strip() for label in labels]
    if not any(name in place for name in names):
        place = {str(number): number for number in range(series.num_nodes)}
    unknown = [name for name in names if name not in place]
    if unknown:
        near = difflib.get_close_matches(unknown[0], series.node_names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"its nodes are {_shown(series.node_names)}"
        others = f", and {len(unknown) - 1:,} more" if len(unknown) > 1 else ""
        raise ValueError(f"{about}: node {unknown[0]!r} is none of {series.name}{others}; {hint}")
    return np.array([place[name] for name in names], dtype=np.int64)


def series_rows(labels: Any, series: GraphSeries, about: str) -> NDArray[np.int64]:
    """The row of each time, or of each row number, of which a last one may lie behind the series.

    Args:
        labels: whole numbers of rows, from 0 on; or times, ISO texts among them.
        series: knows its first row's time and its step.
        about: how a message begins.

    Raises:
        ValueError: a text that is no time, a time between two rows or before the first, or times of a series that does
            not know its own.

    Example:
        >>> from gnnkit.data import simulate_traffic
        >>> series = simulate_traffic(num_nodes=3, days=1)
        >>> series_rows([str(series.start), str(series.start + pd.Timedelta(hours=1))], series, "a").tolist()
        [0, 12]
    """
    values = np.asarray(labels)
    if values.dtype.kind in "iu":
        rows = values.astype(np.int64)
        if len(rows) and (rows.min() < -1 or rows.max() > 2 * series.num_rows):
            wrong = int(rows.min() if rows.min() < -1 else rows.max())
            raise ValueError(
                f"{about}: {wrong} is no row of {series.name}, whose rows are 0 to {series.num_rows - 1}; give "
                f"numbers of rows, or times as YYYY-MM-DD hh:mm"
            )
        return rows
    if values.dtype.kind == "f":
        if not (np.isfinite(values).all() and (values == np.floor(values)).all()):
            raise ValueError(f"{about}: {values[~(values == np.floor(values))][0]} is no row; give whole numbers")
        return series_rows(values.astype(np.int64), series, about)
    return _rows_of_times(_times(values, about), series, about)


def _times(values: NDArray[Any], about: str) -> pd.DatetimeIndex:
    if values.dtype.kind == "M":
        return pd.DatetimeIndex(values)
    texts = [str(value).strip() for value in values.tolist()]
    try:
        return pd.DatetimeIndex(pd.to_datetime(texts, format="ISO8601"))
    except ValueError:
        wrong = next((text for text in texts if not _is_time(text)), texts[0])
        raise ValueError(
            f"{about}: {wrong!r} is no time; write times as YYYY-MM-DD hh:mm, or give row numbers"
        ) from None


def _is_time(text: str) -> bool:
    try:
        pd.to_datetime(text, format="ISO8601")
    except ValueError:
        return False
    return True


def _rows_of_times(times: pd.DatetimeIndex, series: GraphSeries, about: str) -> NDArray[np.int64]:
    start = series.start
    if start is None or row_time(series, 0) is None:
        raise ValueError(
            f"{about}: has times, and {series.name} does not know those of its rows; give row numbers (0 to "
            f"{series.num_rows - 1}), or a series with a column of times"
        )
    if times.tz is not None and start.tz is None:
        times = times.tz_localize(None)  # the clock that is written
    elif times.tz is None and start.tz is not None:
        times = times.tz_localize(start.tz)
    if series.step_minutes is not None:
        places = (times - start) / pd.Timedelta(minutes=series.step_minutes)
        exact = np.asarray(places, dtype=np.float64)
        rows = np.round(exact)
        wrong = (np.abs(exact - rows) > 1e-6) | (rows < -1) | (rows > 2 * series.num_rows)
    else:
        known = pd.DatetimeIndex([row_time(series, row) for row in range(series.num_rows)])
        rows = known.get_indexer(times).astype(np.float64)
        wrong = rows < 0
    if wrong.any():
        last = row_time(series, series.num_rows - 1)
        raise ValueError(
            f"{about}: {times[int(wrong.argmax())]} is the time of no row of {series.name}, whose rows are from "
            f"{start} to {last}; give times of its rows"
        )
    return rows.astype(np.int64)


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
