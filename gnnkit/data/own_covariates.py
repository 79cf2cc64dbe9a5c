"""Covariates: what stands beside a series, of its nodes or of all of them, put at the rows of the series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gnnkit.data.own_long import near_name
from gnnkit.data.own_series import ReadSeries

__all__ = ["AtRows", "Features", "at_rows", "join_features"]


@dataclass(frozen=True, eq=False)
class AtRows:
    """Covariates at the rows of a series.

    Args:
        values: `[L, N, C]`; NaN where there is none.
        names: Of the C covariates.
        ahead: The rows after the last one, `[A, N, C]`; A may be 0.
        label: Of their file.
    """

    values: NDArray[np.float64]
    names: list[str]
    ahead: NDArray[np.float64]
    label: str


def at_rows(
    read: ReadSeries, label: str, nodes: Sequence[str], rows: pd.Index | None, later: pd.Index | None, count: int,
    notes: list[str],
) -> AtRows:  # fmt: skip
    """Put covariates at the rows and nodes of a series.

    Args:
        read: What the covariates' file holds: a row for each time and node; a row a time, with a column for each node
            (one covariate) or for each covariate (the same for all nodes).
        label: Name of the series, for messages.
        nodes: Of the series.
        rows: Times of its rows, or their numbers; NaT where a row has none; None: they have none.
        later: Times of the rows after the last one, as many as may be needed; None: not known.
        count: Rows of the series.
        notes: Gets sentences on what is missing.

    Returns:
        The covariates.

    Raises:
        ValueError: A node without covariates, two rows at one time, or times that are none of the series'.
    """
    values, names = _of_nodes(read, nodes, notes)
    if rows is None or read.rows is None:
        if rows is not None or read.rows is not None:
            with_, without = (label, read.label) if rows is not None else (read.label, label)
            raise ValueError(f"{read.label}: {with_} has times and {without} has none; give both a column of times")
        if len(values) < count:
            raise ValueError(
                f"{read.label}: {len(values)} rows for {count} rows of {label}, and no times that tell which; give a "
                f"column of times, or a row for each"
            )
        return AtRows(values[:count], names, values[count:], read.label)
    own, given = _comparable(read, label, rows)
    again = pd.Series(given).duplicated().to_numpy()
    if again.any():
        row = int(again.argmax())
        place = f"line {read.lines[row]}" if read.lines is not None else f"row {row} (counted from 0)"
        raise ValueError(f"{read.label}: {place} is a second row at {read.rows[row]}; keep one row a time")
    row_of = {time: row for row, time in enumerate(own.tolist()) if time is not None}
    last = max(row_of)
    if later is None:
        after = sorted(time for time in given.tolist() if time > last)
    else:
        after = _numbers(later).tolist()
    row_of |= {time: count + row for row, time in enumerate(after)}
    target = np.array([row_of.get(time, -1) for time in given.tolist()])
    if not ((target >= 0) & (target < count)).any():
        raise ValueError(
            f"{read.label}: its times, {read.rows.min()} to {read.rows.max()}, are none of {label}, which goes from "
            f"{rows.dropna().min()} to {rows.dropna().max()}; give covariates of the same times"
        )
    found = np.full((max(count, int(target.max()) + 1), *values.shape[1:]), np.nan)
    found[target[target >= 0]] = values[target >= 0]
    between = int(((target < 0) & (given > min(row_of)) & (given < last)).sum())
    if between:
        notes.append(f"{read.label}: {between} of its {len(given)} rows are at times between those of {label}, and are "
                     f"not read.")  # fmt: skip
    lacking = count - len(np.unique(target[(target >= 0) & (target < count)]))
    if lacking:
        notes.append(f"{read.label}: {lacking} of {count} rows of {label} have no row in it; models see the last value "
                     f"before them, marked as missing.")  # fmt: skip
    return AtRows(found[:count], names, found[count:], read.label)


@dataclass(frozen=True, eq=False)
class Features:
    """The features of a series: the target, those beside it in its file, those of the covariates' file.

    Args:
        values: `[L, N, F]`.
        names: Of the features; empty: not given.
        known: Numbers of those that are known ahead.
        ahead: These after the last row, `[A, N, K]`; None: none is.
    """

    values: NDArray[np.float64]
    names: tuple[str, ...]
    known: tuple[int, ...]
    ahead: NDArray[np.float64] | None


def join_features(
    read: ReadSeries,
    values: NDArray[np.float64],
    given: AtRows | None,
    known_ahead: Sequence[str],
    notes: list[str],
    *,
    strict: bool = True,
) -> Features:
    """Put the features of a series and its covariates together.

    Where something is known ahead, rows at the end that have no target are taken for those after the last one.

    Args:
        read: The series, for its names.
        values: `[L, N, F]`, on its grid.
        given: The covariates of a file of their own; None: there is none.
        known_ahead: Names of the covariates that are known ahead.
        notes: Gets sentences on gaps in these.
        strict: False passes over names that are none of theirs.

    Raises:
        ValueError: A covariate that is there twice, a name that is none of theirs, or a covariate without any value.
    """
    label, count = read.label, len(values)
    names = list(read.features or ([] if given is None else [_label_stem(label)]))
    later = np.full((0, *values.shape[1:]), np.nan)
    if given is not None:
        twice = next((name for name in given.names if name in names), None)
        if twice is not None:
            raise ValueError(
                f"covariates: {label} and {given.label} both have {twice!r}; drop that column from one of the two, or "
                f"give it another name there (--leave-out drops it from both)"
            )
        names += given.names
        later = np.full((len(given.ahead), *values.shape[1:]), np.nan)
        values, later = np.concatenate([values, given.values], 2), np.concatenate([later, given.ahead], 2)
    beside = names[1:]
    strange = next((name for name in known_ahead if name not in beside), None)
    if strange is not None and strict:
        have = near_name(strange, beside) if beside else "there is no covariate"
        raise ValueError(f"known_ahead: {strange!r} is no covariate; {have}")
    infinite = np.isinf(values)
    if infinite.any():
        row, node, feature = np.argwhere(infinite)[0]
        raise ValueError(f"covariates: {names[feature]!r} is infinite at row {row}, node {node} (counted from 0); mark "
                         f"missing values as NaN")  # fmt: skip
    empty = next((names[f] for f in range(1, values.shape[2]) if np.isnan(values[..., f]).all()), None)
    if empty is not None:
        raise ValueError(f"covariates: every value of {empty!r} is missing; leave it out (--leave-out)")
    known = tuple(names.index(name) for name in known_ahead if name in beside)
    if not known:
        return Features(values, tuple(names), (), None)
    seen = np.flatnonzero((~np.isnan(values[..., 0])).any(axis=1))
    stop = int(seen[-1]) + 1
    ahead = np.concatenate([values[stop:], later])[..., list(known)]
    values = values[:stop]
    if stop < count:
        notes.append(
            f"{label}: its last {count - stop} rows have no {names[0]!r}; with what is known ahead there, they are "
            f"those to forecast."
        )
    for place in known:
        gaps = int(np.isnan(values[..., place]).sum())
        if gaps:
            share = 100 * gaps / values[..., place].size
            notes.append(f"{names[place]!r} is known ahead, and missing at {share:.2g}% of its places: models see the "
                         f"last value before each, marked as missing.")  # fmt: skip
    return Features(values, tuple(names), known, ahead)


def _label_stem(label: str) -> str:
    """The name of a file without its endings."""
    return Path(label).stem.removesuffix(".csv")


def _of_nodes(read: ReadSeries, nodes: Sequence[str], notes: list[str]) -> tuple[NDArray[np.float64], list[str]]:
    """Values `[rows, N, C]` in the order of the nodes, and names of the covariates."""
    if read.names is None:
        raise ValueError(
            f"{read.label}: its columns have no names; give a first line: time, node and covariates, time and "
            f"covariates, or time and nodes"
        )
    held = [node for node in nodes if node in read.names]
    if not read.long and 2 * len(held) < len(read.names):  # a column for each covariate
        return np.repeat(read.values[..., 0][:, None], len(nodes), axis=1), list(read.names)
    missing = [node for node in nodes if node not in read.names]
    if missing:
        raise ValueError(
            f"{read.label}: node {missing[0]!r} has no covariates; {near_name(missing[0], read.names)}; give those of "
            f"each of the {len(nodes)} nodes"
        )
    strange = len(read.names) - len(nodes)
    if strange:
        notes.append(f"{read.label}: {strange} nodes that the series does not have are left out.")
    order = [read.names.index(node) for node in nodes]
    return read.values[:, order], read.features or [_label_stem(read.label)]


def _comparable(read: ReadSeries, label: str, rows: pd.Index) -> tuple[NDArray, NDArray]:
    """The times of both as numbers."""
    given = read.rows
    assert given is not None  # for the type checker: it was looked at before
    timed = isinstance(rows, pd.DatetimeIndex), isinstance(given, pd.DatetimeIndex)
    if timed[0] != timed[1]:
        of = read.label, label
        raise ValueError(f"{of[timed[0]]}: its rows have numbers, those of {of[timed[1]]} have times; give both times")
    if isinstance(rows, pd.DatetimeIndex) and isinstance(given, pd.DatetimeIndex):
        if (rows.tz is None) != (given.tz is None):
            has, lacks = (label, read.label) if rows.tz is not None else (read.label, label)
            raise ValueError(
                f"{read.label}: the times of {has} have an offset from UTC, those of {lacks} have none; write both in "
                f"one way"
            )
        own = np.array([None if missing else time for time, missing in
                        zip(_numbers(rows).tolist(), rows.isna(), strict=True)], dtype=object)  # fmt: skip
        return own, _numbers(given)
    return _numbers(rows), _numbers(given)


def _numbers(times: pd.Index) -> NDArray:
    return times.as_unit("ns").asi8 if isinstance(times, pd.DatetimeIndex) else times.to_numpy(dtype=np.float64)
