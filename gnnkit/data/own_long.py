"""Long tables: a row for each time and node, whatever their columns are called."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gnnkit.data.own_parts import join_parts
from gnnkit.data.own_times import ROW_TITLES, TIME_TITLES, are_times, number_rows, text_times
from gnnkit.data.tables import Table

__all__ = ["Asked", "LongTable", "dense", "find_long", "near_name", "place_of", "title_words"]

_NODES = frozenset(
    {"node", "nodes", "station", "sensor", "site", "detector", "location", "place", "name", "id", "code", "city",
     "region", "district", "county", "state", "country", "province", "store", "shop", "stop", "gauge", "meter",
     "series", "item", "point", "segment", "road", "zone", "area", "unit", "knoten", "ort", "stationid", "sensorid"}
)  # fmt: skip
"""Words in titles of columns that hold the node."""
_SAMPLED = 40


@dataclass(frozen=True)
class Asked:
    """What the user says of the columns of a table.

    Args:
        time: Title of the column of times; None: look.
        node: Title of the column of nodes, of a table with a row for each time and node; None: look.
        leave_out: Titles of columns that are not read.
        met: Gets those of them that are there.
    """

    time: str | None = None
    node: str | None = None
    leave_out: tuple[str, ...] = ()
    met: set[str] = field(default_factory=set)

    def kept(self, titles: Sequence[str]) -> list[int]:
        """Places of the columns that are read."""
        self.met.update(set(titles) & set(self.leave_out))
        return [place for place, title in enumerate(titles) if title not in self.leave_out]


@dataclass(frozen=True, eq=False)
class LongTable:
    """A table with a row for each time and node.

    Args:
        table: The values alone, as text; its names are those of the features.
        times: Of its rows, one after the other; or numbers of rows.
        time: Which of them each row has.
        nodes: Names, in the order in which they come.
        node: Which of them each row has.
    """

    table: Table
    times: pd.Index
    time: NDArray[np.int64]
    nodes: list[str]
    node: NDArray[np.int64]


def title_words(title: str) -> set[str]:
    """The words of a title, in lower case.

    Example:
        >>> sorted(title_words("Station_ID (UTC)")), sorted(title_words("sensorId"))
        (['id', 'station', 'utc'], ['id', 'sensor'])
    """
    return set(re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", title).lower())) - {""}


def near_name(name: str, known: Sequence[str]) -> str:
    """What to say of a name that is none of those that are known."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    shown = ", ".join(map(repr, known[:6])) + (", …" if len(known) > 6 else "")
    return f"did you mean {near[0]!r}?" if near else f"there {'is' if len(known) == 1 else 'are'} {shown}"


def place_of(table: Table, title: str, option: str) -> int:
    """The place of the column with a title.

    Raises:
        ValueError: There is none; the message names the option, and the nearest title.
    """
    names = list(table.names or ())
    if title not in names:
        raise ValueError(f"{option}: {table.path.name} has no column {title!r}; {near_name(title, names)}")
    return names.index(title)


def find_long(table: Table, asked: Asked, notes: list[str]) -> LongTable | None:
    """Read a table as one with a row for each time and node.

    Args:
        table: Rows below the names of their columns.
        asked: What the user says of its columns.
        notes: Gets sentences on what was guessed.

    Returns:
        The table; None where times do not come again, or no column tells the nodes.

    Raises:
        ValueError: An unknown title, times that are none, or two rows for one time and node.
    """
    name = table.path.name
    told = None if asked.node is None else place_of(table, asked.node, "node_column")
    places = _time_places(table, asked.time)
    if not places:
        if told is not None:
            raise ValueError(f"node_column={asked.node!r}: {name} has no column of times beside it; name one "
                             f"(--time-column)")  # fmt: skip
        return None
    if told in places:
        raise ValueError(f"node_column={asked.node!r}: {name} has the times there; name the column of the nodes")
    cells = table.column(places[0])
    for place in places[1:]:
        cells = [f"{one}\t{other}" for one, other in zip(cells, table.column(place), strict=True)]
    time, unique = pd.factorize(np.array(cells, dtype=object))
    if told is None and len(unique) == len(cells):
        return None
    node_place = _node_place(table, places, time, len(unique)) if told is None else told
    if node_place is None:
        return None
    first = np.full(len(unique), len(cells))
    np.minimum.at(first, time, np.arange(len(cells)))
    times = _times(table, places, first.tolist(), notes)
    order = np.argsort(times, kind="stable")
    labels = table.column(node_place)
    empty = next((row for row, label in enumerate(labels) if not label), None)
    if empty is not None:
        raise ValueError(f"{name}: line {table.lines[empty]}, {table.place(node_place)}: there is no node; name one")
    node, nodes = pd.factorize(np.array(labels, dtype=object))
    time = np.argsort(order)[time]
    _check_once(table, time, node, times[order], list(nodes))
    kept = [place for place in range(table.width) if place not in (*places, node_place)]
    numbering = [place for place in kept if (table.names or ())[place].lower() in ROW_TITLES]
    kept = [place for place in kept if place not in numbering]
    if not kept:
        raise ValueError(f"{name}: columns of times and nodes, and no column of values")
    left = "".join(f"; {table.place(place)} numbers the rows, and is left out" for place in numbering)
    notes.append(
        f"{name}: a row for each time and node: {len(times)} times, {len(nodes)} nodes by {table.place(node_place)}"
        f"{left}."
    )
    return LongTable(table.columns_at(kept), times[order], time, [str(one) for one in nodes], node)


def dense(long: LongTable, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values of a long table as `[times, nodes, features]`; NaN where there is no row."""
    found = np.full((len(long.times), len(long.nodes), values.shape[1]), np.nan)
    found[long.time, long.node] = values
    return found


def _time_places(table: Table, asked: str | None) -> list[int]:
    """The columns that hold the time, maybe in parts; empty: none does."""
    titles = [title.lower() for title in table.names or ()]
    if asked is not None:
        return [place_of(table, asked, "time_column")]
    skipped = int(bool(titles) and titles[0] in ROW_TITLES and not are_times(table.column(0)))
    sample = replace(table, cells=table.cells[:_SAMPLED], lines=table.lines[:_SAMPLED]).columns_from(skipped)
    joined = join_parts(sample, []) if sample.width > 2 else None
    if joined is not None:
        return list(range(skipped, skipped + joined[1]))
    found = [place for place in range(table.width) if are_times(table.column(place))]
    return (found or [place for place, title in enumerate(titles) if title in TIME_TITLES])[:1]


def _node_place(table: Table, times: list[int], time: NDArray[np.int64], count: int) -> int | None:
    """The column that tells rows of one time apart: by its title, as text, or as numbers that tell all of them."""
    names = table.names or ()
    titled, texts, others = [], [], []
    for place in range(table.width):
        if place in times:
            continue
        node, nodes = pd.factorize(np.array(table.column(place), dtype=object))
        if len(nodes) < 2 or len(nodes) * count > 2 * len(time):  # most of its pairs with the times would be empty
            continue
        once = len(np.unique(time.astype(np.int64) * len(nodes) + node)) == len(time)
        text = not all(_number(str(cell)) for cell in nodes[:_SAMPLED])
        if title_words(names[place]) & _NODES and (once or text):
            titled.append(place)
        elif text:
            texts.append(place)
        elif once:
            others.append(place)
    return next(iter([*titled, *texts, *others]), None)


def _number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return cell == ""
    return True


def _times(table: Table, places: list[int], rows: list[int], notes: list[str]) -> pd.Index:
    """The times of some rows."""
    name = table.path.name
    part = replace(table, cells=[table.cells[row] for row in rows], lines=[table.lines[row] for row in rows])
    if len(places) > 1:
        others = [place for place in range(table.width) if place not in places]
        joined = join_parts(part.columns_at([*places, *others]), notes)
        if joined is None or joined[1] != len(places):
            raise ValueError(f"{name}: {table.place(places[0])} and those after it hold no times; write them in one "
                             f"column as YYYY-MM-DD hh:mm")  # fmt: skip
        return joined[0]
    cells = part.column(places[0])
    if are_times(["", *cells]):
        return text_times(cells, part.lines, name, table.columns[places[0]])
    order = sorted(range(len(cells)), key=lambda row: _float(cells[row]))
    title = (table.names or ("",))[places[0]]
    title = title if title.lower() in TIME_TITLES else "time"
    found = number_rows(title, [cells[row] for row in order], [part.lines[row] for row in order], name, notes)
    if found is None:
        raise ValueError(f"{name}: {table.place(places[0])} holds no times; write them as YYYY-MM-DD hh:mm")
    return found[np.argsort(order)]


def _float(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("inf")


def _check_once(
    table: Table, time: NDArray[np.int64], node: NDArray[np.int64], times: pd.Index, nodes: Sequence[object]
) -> None:
    pair = pd.Series(time.astype(np.int64) * len(nodes) + node)
    again = pair.duplicated().to_numpy()
    if again.any():
        row = int(again.argmax())
        before = int((pair == pair[row]).to_numpy().argmax())
        raise ValueError(
            f"{table.path.name}: line {table.lines[row]} is a second row of {nodes[node[row]]!r} at "
            f"{times[time[row]]}, after line {table.lines[before]}; keep one row for each time and node"
        )
