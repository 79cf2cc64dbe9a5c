"""Forecasts as arrays: NPZ and NPY files, and what is in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnkit.compare.forecasts.given import GivenForecasts
from gnnkit.compare.forecasts.labels import node_numbers, series_rows
from gnnkit.data import GraphSeries
from gnnkit.data.arrays import read_arrays

__all__ = ["from_arrays", "read_npy", "read_npz"]

_BESIDE = ("origins", "nodes", "quantiles", "levels", "seeds")
"""Arrays that an NPZ file may have beside its forecasts."""
_AXES = "[windows, steps, nodes] or [seeds, windows, steps, nodes]"


def read_npz(path: Path, name: str, series: GraphSeries) -> GivenForecasts:
    """Forecasts of an NPZ file: `forecasts` or its only array, and maybe `origins`, `nodes`, `quantiles`, `levels`.

    Raises:
        ValueError: no plain arrays, or as `from_arrays`.
    """
    about = f"forecasts {name} ({path.name})"
    arrays = read_arrays(path)
    rest = [key for key in arrays if key not in _BESIDE]
    key = "forecasts" if "forecasts" in arrays else rest[0] if len(rest) == 1 else None
    if key is None and not (not rest and "quantiles" in arrays):
        found = ", ".join(rest) or "none"
        raise ValueError(f"{about}: which array are the forecasts? It has {found}; call one of them forecasts")
    beside = {one: arrays[one] for one in _BESIDE if one in arrays}
    return from_arrays(name, arrays[key] if key else None, series, source=path.name, **beside)


def read_npy(path: Path, name: str, series: GraphSeries) -> GivenForecasts:
    """Forecasts of an NPY file, which is one array. Nothing is unpickled.

    Raises:
        ValueError: no array of plain numbers, or as `from_arrays`.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        reason = "holds pickled objects, which are never read" if "pickle" in str(error) else "is no NPY file"
        raise ValueError(f"forecasts {name} ({path.name}): {reason}; save an array of numbers by numpy.save") from None
    return from_arrays(name, values, series, source=path.name)


def from_arrays(
    name: str,
    values: Any,
    series: GraphSeries,
    *,
    source: str = "in memory",
    origins: Any = None,
    nodes: Any = None,
    quantiles: Any = None,
    levels: Any = None,
    seeds: Any = None,
) -> GivenForecasts:
    """Forecasts of an array.

    Args:
        name: of the model.
        values: `[W, P, N]` or `[S, W, P, N]`, in the data's unit; None: the quantiles' median.
        series: what was forecast.
        source: for messages.
        origins: the last known row of each window, its number or its time; None: not said.
        nodes: names of the nodes, in the array's order; None: that of the series.
        quantiles: `[W, P, N, Q]` or `[S, W, P, N, Q]`.
        levels: of the quantiles.
        seeds: of the first axis; default 0, 1, ….

    Raises:
        ValueError: another number of axes, nodes, origins or levels, what is no number, or an unknown node; one line.

    Example:
        >>> from gnnkit.data import simulate_traffic
        >>> series = simulate_traffic(num_nodes=3, days=1)
        >>> from_arrays("a", np.zeros((5, 2, 3)), series, origins=[9, 8, 7, 6, 5]).origins.tolist()
        [5, 6, 7, 8, 9]
    """
    about = f"forecasts {name} ({source})"
    heads, steps = None, ()
    if quantiles is not None:
        heads, steps = _quantiles(quantiles, levels, about)
    if values is None and heads is not None and 0.5 in steps:
        values = heads[..., steps.index(0.5)]
    elif values is None:
        raise ValueError(f"{about}: there are quantiles and no forecasts; give forecasts, or the level 0.5 too")
    table = _numbers(values, about)
    if table.ndim == 4 and table.shape[3] == 1 != series.num_nodes:
        table = table[..., 0]  # one feature
    table = table[None] if table.ndim == 3 else table
    if table.ndim != 4 or 0 in table.shape:
        raise ValueError(f"{about}: shape {list(np.shape(values))}; give {_AXES}")
    place = _places(nodes, table.shape, series, about)
    rows = None if origins is None else series_rows(np.ravel(np.asarray(origins)), series, about)
    if rows is not None and len(rows) != table.shape[1]:
        raise ValueError(f"{about}: {len(rows)} origins for {table.shape[1]} windows; give one for each")
    table = _arranged(table, place, series.num_nodes, axis=3)
    if heads is not None:
        heads = heads[None] if heads.ndim == 4 else heads
        if heads.shape[:4] != (*table.shape[:3], len(place)):
            raise ValueError(f"{about}: quantiles have shape {list(heads.shape)}; give [windows, steps, nodes, levels]")
        heads = _arranged(heads, place, series.num_nodes, axis=3)
    if rows is not None:
        order = np.argsort(rows, kind="stable")
        twice = np.flatnonzero(np.diff(rows[order]) == 0)
        if len(twice):
            raise ValueError(
                f"{about}: origins come twice, {len(twice):,} in all, the first of them row {rows[order][twice[0]]}; "
                f"leave one window of each"
            )
        if not (order == np.arange(len(order))).all():
            rows, table = rows[order], table[:, order]
            heads = None if heads is None else heads[:, order]
    numbers = tuple(range(len(table))) if seeds is None else tuple(int(seed) for seed in np.ravel(seeds))
    if len(numbers) != len(table) or len(set(numbers)) != len(numbers):
        raise ValueError(
            f"{about}: {len(numbers)} seeds for a first axis of {len(table)}; give a different one for each"
        )
    return GivenForecasts(name, source, table, rows, numbers, heads, steps)


def _numbers(values: Any, about: str) -> NDArray[np.float32]:
    if hasattr(values, "detach"):  # a tensor
        values = values.detach().cpu()
    table = np.asarray(values)
    if table.dtype.kind not in "fiu":
        raise ValueError(f"{about}: {table.dtype} is no type of numbers; give float32 or float64")
    return table.astype(np.float32, copy=False)


def _quantiles(quantiles: Any, levels: Any, about: str) -> tuple[NDArray[np.float32], tuple[float, ...]]:
    heads = _numbers(quantiles, about)
    if heads.ndim not in (4, 5):
        raise ValueError(f"{about}: quantiles have shape {list(heads.shape)}; give [windows, steps, nodes, levels]")
    if levels is None or np.size(levels) != heads.shape[-1]:
        number = 0 if levels is None else np.size(levels)
        raise ValueError(
            f"{about}: {number} levels for {heads.shape[-1]} quantiles; give levels, e.g. [0.05, 0.5, 0.95]"
        )
    steps = tuple(round(float(level), 12) for level in np.ravel(levels))
    if not all(0 < level < 1 for level in steps) or list(steps) != sorted(set(steps)):
        raise ValueError(f"{about}: levels are {steps}; give rising ones inside (0, 1)")
    return heads, steps


def _places(nodes: Any, shape: tuple[int, ...], series: GraphSeries, about: str) -> NDArray[np.int64]:
    """The node of the series for each of the last axis."""
    count, known = shape[3], series.num_nodes
    if nodes is None:
        if count != known:
            where = next((axis for axis in (1, 2) if shape[axis] == known), None)
            hint = "give their names too (an array nodes)" if count < known else "take out those that it does not have"
            if where is not None:
                hint = f"axis {['windows', 'steps'][where - 1]} has {known}: put nodes last"
            raise ValueError(f"{about}: {count} nodes, and {series.name} has {known}; axes are {_AXES}; {hint}")
        return np.arange(known)
    names = np.ravel(np.asarray(nodes)).tolist()
    if len(names) != count:
        raise ValueError(f"{about}: {len(names)} names of nodes for {count} nodes; give one for each")
    place = node_numbers(names, series, about)
    if len(set(place.tolist())) != len(place):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{about}: node {twice!r} comes twice; give each node once")
    return place


def _arranged(table: NDArray, place: NDArray[np.int64], nodes: int, *, axis: int) -> NDArray:
    """The nodes in the order of the series; NaN for those that are not there."""
    if len(place) == nodes and (place == np.arange(nodes)).all():
        return table
    shape = (*table.shape[:axis], nodes, *table.shape[axis + 1 :])
    found = np.full(shape, np.nan, dtype=np.float32)
    found[(slice(None),) * axis + (place,)] = table
    return found
