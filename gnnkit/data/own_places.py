"""Places of nodes from somebody's table: degrees, or kilometres and metres on a map, whatever its titles are."""

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
from torch import Tensor

from gnnkit.data.own_long import near_name, title_words
from gnnkit.data.tables import Table, existing_file, is_number, is_text, numbers, read_table, table_of_frame
from gnnkit.graph import great_circle

__all__ = ["UNITS", "Places", "read_places"]

UNITS = ("degrees", "m", "km")
"""What places are given in."""
_LATITUDES = frozenset({"lat", "latitude", "latitud", "latdeg", "breite", "breitengrad"})
_LONGITUDES = frozenset({"lon", "lng", "long", "longitude", "longitud", "londeg", "länge", "laenge", "längengrad"})
_EASTS = frozenset({"x", "east", "easting", "eastings", "rechtswert", "xcoord"})
_NORTHS = frozenset({"y", "north", "northing", "northings", "hochwert", "ycoord"})
_IN = {"km": "km", "kilometres": "km", "kilometers": "km", "m": "m", "metres": "m", "meters": "m", "metre": "m",
       "meter": "m", "deg": "degrees", "degree": "degrees", "degrees": "degrees"}  # fmt: skip
_KILOMETRES = {"km": 1.0, "m": 1e-3}


@dataclass(frozen=True, eq=False)
class Places:
    """Where the nodes of a series are.

    Args:
        positions: On a map, kilometres east and north of their middle, `[N, 2]` float32.
        distance: Between each two, in kilometres, `[N, N]` float64: of degrees along great circles.
    """

    positions: Tensor
    distance: Tensor


def read_places(source: Any, names: Sequence[str], unit: str | None, notes: list[str]) -> Places:
    """Read the places of the nodes of a series.

    Args:
        source: A CSV or Parquet file or a data frame with a row for each node: its name, latitude and longitude (lat,
            lon, lng, …), or x and y (easting and northing, …).
        names: Nodes of the series; places of others are passed over.
        unit: `"degrees"`, `"m"` or `"km"`; None: latitude and longitude are degrees, easting and northing metres, and
            the titles of x and y must say their unit.
        notes: Gets sentences on what was guessed.

    Returns:
        The places, in the order of the nodes.

    Raises:
        FileNotFoundError: The file is not there.
        TypeError: It is no path and no frame.
        ValueError: Columns that cannot be told, a node without a place or with two, degrees that are none, a unit that
            is not known, or one place for all nodes. The message is one line.
    """
    if unit is not None and unit not in UNITS:
        raise ValueError(f"places_unit={unit!r}: give one of {', '.join(UNITS)}")
    table = _table(source, notes)
    name, titles = table.path.name, list(table.names or ())
    across, along, given = _columns(table, unit, notes)
    rows = _rows(table, (across, along), names, notes)
    values = numbers(table.columns_at([across, along]), notes, asked=False)
    _check(table, values, rows, (across, along), names, given)
    values = values[rows]
    if (values == values[0]).all():
        what = "is the only node, and" if len(names) == 1 else f"all {len(names)} nodes are"
        raise ValueError(f"{name}: {what} at one place, {titles[across]} {values[0, 0]:g} and {titles[along]} "
                         f"{values[0, 1]:g}; give each node its own place")  # fmt: skip
    if given == "degrees":
        distance = great_circle(torch.from_numpy(values[:, ::-1].copy()))
        middle = values.mean(axis=0)
        kilometres = (values - middle) * 111.195 * np.array([np.cos(np.deg2rad(middle[1])), 1.0])
    else:
        kilometres = values * _KILOMETRES[given]
        points = torch.from_numpy(kilometres)
        distance = (points[:, None] - points).norm(dim=2)
        kilometres = kilometres - kilometres.mean(axis=0)
    return Places(torch.from_numpy(kilometres.astype(np.float32)), distance)


def _table(source: Any, notes: list[str]) -> Table:
    if isinstance(source, pd.DataFrame):
        indexed = source.index.name is not None or not pd.api.types.is_numeric_dtype(source.index.dtype)
        table = table_of_frame(source, "places", index=indexed)
    elif isinstance(source, (str, PathLike)):
        path = existing_file(Path(source), "places")
        if path.suffix.lower() == ".parquet":
            try:
                frame = pd.read_parquet(path)
            except (ValueError, OSError) as error:
                line = (str(error).splitlines() or [type(error).__name__])[0]
                raise ValueError(f"{path.name}: not a Parquet file ({line})") from None
            table = table_of_frame(frame, path.name)
        elif is_text(path):
            table = read_table(path, notes)
        else:
            raise ValueError(f"places {path.name!r}: unknown ending {path.suffix!r}; give a .csv or .parquet file")
    else:
        raise TypeError(f"places: a {type(source).__name__} is none; give a path or a data frame with a row a node")
    if len(table.cells) < 2 or all(is_number(cell) for cell in table.cells[0]):
        raise ValueError(
            f"{table.path.name}: its first line has no titles; write node,latitude,longitude above its rows, or "
            f"node,x,y"
        )
    return table.rows_from(1).named(table.cells[0])


def _columns(table: Table, unit: str | None, notes: list[str]) -> tuple[int, int, str]:
    """The columns of x or the longitude, and of y or the latitude, and their unit."""
    titles = list(table.names or ())
    for kinds, usual in (((_LONGITUDES, _LATITUDES), "degrees"), ((_EASTS, _NORTHS), "")):
        found = [[place for place, title in enumerate(titles) if title_words(title) & words] for words in kinds]
        several = next((places for places in found if len(places) > 1), None)
        if several is not None:
            shown = ", ".join(repr(titles[place]) for place in several)
            raise ValueError(
                f"{table.path.name}: the columns {shown} could each be {'the same' if usual else 'one'} coordinate; "
                f"leave only one of them in"
            )
        if found[0] and found[1]:
            across, along = found[0][0], found[1][0]
            break
    else:
        raise ValueError(
            f"{table.path.name}: no columns of places among {', '.join(map(repr, titles[:8]))}; call them node, "
            f"latitude and longitude, or node, x and y"
        )
    said = title_words(titles[across]) | title_words(titles[along])
    told = {_IN[word] for word in said if word in _IN}
    if unit is None and len(told) == 1:
        unit = told.pop()
    if unit is None and not usual and said & {"easting", "eastings", "rechtswert", "east"}:
        unit = "m"
        notes.append(f"{table.path.name}: {titles[across]!r} and {titles[along]!r} are taken as metres.")
    if unit is None and not usual:
        raise ValueError(
            f"{table.path.name}: {titles[across]!r} and {titles[along]!r} have no unit; give --places-unit degrees (x "
            f"is the longitude), m or km"
        )
    return across, along, unit or usual


def _rows(table: Table, used: tuple[int, int], names: Sequence[str], notes: list[str]) -> list[int]:
    """The row of each node."""
    name, known = table.path.name, set(names)
    others = [place for place in range(table.width) if place not in used]
    columns = {place: table.column(place) for place in others}
    held = {place: len(known & set(cells)) for place, cells in columns.items()}
    place = max(held, key=lambda one: held[one], default=None)
    if place is None or (held[place] == 0 and not _named(table, others)):
        if len(table.cells) != len(names):
            raise ValueError(
                f"{name}: no column names the nodes, and there are {len(table.cells)} rows for {len(names)} nodes; "
                f"give a column node with the names of the series, whose first is {names[0]!r}"
            )
        notes.append(f"{name}: no column names the nodes; its rows are taken in the order of the series.")
        return list(range(len(names)))
    if held[place] == 0:
        place = _named(table, others)[0]
    labels = columns[place]
    row: dict[str, int] = {}
    for number, label in enumerate(labels):
        if label in row:
            raise ValueError(
                f"{name}: {label!r} has two places, on lines {table.lines[row[label]]} and {table.lines[number]}; keep "
                f"one"
            )
        row[label] = number
    missing = [node for node in names if node not in row]
    if missing:
        raise ValueError(
            f"{name}: node {missing[0]!r} has no place ({len(missing)} of {len(names)} nodes have none); "
            f"{near_name(missing[0], labels)}"
        )
    if len(labels) > len(names):
        notes.append(f"{name}: {len(labels) - len(names)} places of other nodes are passed over.")
    return [row[node] for node in names]


def _named(table: Table, places: list[int]) -> list[int]:
    """Columns of texts, none twice."""
    columns = {place: table.column(place) for place in places}
    return [
        place
        for place, cells in columns.items()
        if len(set(cells)) == len(cells) and not all(is_number(cell) for cell in cells)
    ]


def _check(
    table: Table,
    values: NDArray[np.float64],
    rows: Sequence[int],
    used: tuple[int, int],
    names: Sequence[str],
    unit: str,
) -> None:
    """Refuse numbers that are missing, and degrees that are none."""
    for node, row in enumerate(rows):
        for value, place, most, what in zip(values[row], used, (360.0, 90.0), ("longitude", "latitude"), strict=True):
            where = f"{table.path.name}: line {table.lines[row]}, {table.place(place)}"
            if np.isnan(value):
                raise ValueError(f"{where}: node {names[node]!r} has no number there; give its place")
            if unit == "degrees" and abs(value) > most:
                raise ValueError(
                    f"{where}: {value:g} is no {what}, which lies between -{most:g} and {most:g}; if the columns are "
                    f"of a map, give --places-unit m or km"
                )
