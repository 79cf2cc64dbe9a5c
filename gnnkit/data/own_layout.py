"""What the rows and columns of somebody's CSV file hold: names, times, units, row numbers, values."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from gnnkit.data.number_text import MISSING_MARKS, choose_notation
from gnnkit.data.own_long import Asked, LongTable, find_long, place_of
from gnnkit.data.own_parts import join_parts, repeated_parts
from gnnkit.data.own_times import (
    CLOCK,
    ROW_TITLES,
    TIME_TITLES,
    UNNAMED,
    are_times,
    calendar_times,
    is_time,
    number_rows,
    text_times,
)
from gnnkit.data.tables import MISSING, Table, is_number

__all__ = ["SUM_TITLES", "Layout", "lay_out"]

SUM_TITLES = frozenset({"total", "totals", "sum", "summe", "gesamt", "all", "mean", "average", "avg", "overall"})
"""What people call a row or a column that sums up the others, in lower case."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Where things stand in a CSV file.

    Args:
        table: The values alone, as text.
        names: Of the nodes; None: not given.
        rows: Times or numbers of the rows; None: not given.
        turned: Whether nodes are the table's rows, and times its columns.
        unit: Of all values, from a row of units; empty: not given.
        long: What the table holds where it has a row for each time and node.
    """

    table: Table
    names: list[str] | None
    rows: pd.Index | None
    turned: bool = False
    unit: str = ""
    long: LongTable | None = None


def lay_out(table: Table, header: bool | None, notes: list[str], asked: Asked | None = None) -> Layout:
    """Find out what the rows and columns of a table hold.

    Args:
        table: All cells of a file.
        header: True, False or None (look) for a first line of names.
        notes: Gets a sentence on each thing that is unusual.
        asked: What the user says of its columns; default: nothing.

    Returns:
        The layout.

    Raises:
        ValueError: No values, times in the wrong place or in no known form, an unknown title, a second row for a time
            and a node.
    """
    name, asked = table.path.name, Asked() if asked is None else asked
    timed = are_times(table.column(0))
    while timed and len(table.cells) > 1 and not any(table.cells[-1]):  # as spreadsheets leave them
        table = replace(table, cells=table.cells[:-1], lines=table.lines[:-1])
    turned = None if timed or header is False else _turned(table, notes)
    if turned is not None:
        return turned
    unit = ""
    if header or (header is None and _has_header(table, timed)):
        table = table.rows_from(1).named(table.cells[0])
        table, unit = _without_units(table, notes)
    if not table.cells:
        raise ValueError(f"{name}: a line of names and no row of values")
    if table.names is not None:
        table = table.columns_at(asked.kept(table.names))
        long = find_long(table, asked, notes)
        if long is not None:
            return Layout(long.table, None, None, unit=unit, long=long)
        if asked.time is not None:
            place = place_of(table, asked.time, "time_column")
            table = table.columns_at([place, *(other for other in range(table.width) if other != place)])
    elif asked.time is not None or asked.node is not None:
        raise ValueError(f"{name}: it has no line of names, so that time_column and node_column name nothing in it")
    if table.names is not None and _numbers_rows(table):
        if table.names[0].lower() not in UNNAMED:
            notes.append(f"{name}: {table.place(0)} numbers the rows, and is left out.")
        table = table.columns_from(1)
    timed = are_times(table.column(0))
    _check_no_sums(table, timed)
    rows: pd.Index | None = None
    joined = join_parts(table, notes)
    if joined is not None:
        rows, count = joined
        table = table.columns_from(count)
    else:
        _check_one_column_of_times(table, timed)
        if timed:
            rows = text_times(table.column(0), table.lines, name, table.columns[0])
        elif table.width > 1:
            title = None if table.names is None else table.names[0]
            rows = number_rows(title, _plain(table.column(0), table.lines, name), table.lines, name, notes)
            if rows is None:
                _check_numbers_first(table)
        table = table.columns_from(1) if rows is not None else table
    if isinstance(rows, pd.DatetimeIndex) and not rows.hasnans:
        repeated = repeated_parts(table, rows)
        if 0 < len(repeated) < table.width:
            shown = ", ".join(table.place(place) for place in repeated)
            notes.append(f"{name}: {shown} say again what the times say, and are left out.")
            table = table.columns_at([place for place in range(table.width) if place not in repeated])
    if timed and table.width > 1 and table.names is not None and table.names[0].lower() in TIME_TITLES:
        raise ValueError(
            f"{name}: {table.place(0)} is called like a part of the time, and does not follow from the times in the "
            f"column before; leave it out, or give it another name"
        )
    if table.width == 0:
        raise ValueError(f"{name}: a column of times and no column of values")
    return Layout(table, None if table.names is None else list(table.names), rows, unit=unit)


def _plain(cells: list[str], lines: list[int], name: str) -> list[str]:
    """Numbers as Python writes them, where a column tells how they are written."""
    try:
        notation = choose_notation([cells], lines, name)
    except ValueError:
        return cells
    return [notation.plain(cell) for cell in cells]


def _turned(table: Table, notes: list[str]) -> Layout | None:
    """The layout of a table whose columns are times and whose rows are nodes; None: it is no such table."""
    head, body, name = table.cells[0], table.rows_from(1), table.path.name
    if len(table.cells) < 2 or table.width < 3:
        return None
    first = next((place for place in range(table.width) if all(_time_like(cell) for cell in head[place:])), None)
    if first is None or table.width - first < 2:
        return None
    labels = [place for place in range(first) if not all(is_number(cell) for cell in body.column(place))]
    times: pd.DatetimeIndex | None
    if all(is_time(cell) for cell in head[first:]):
        times = text_times(head[first:], [table.lines[0]] * (table.width - first), name, table.columns[first])
    elif labels:
        times = calendar_times(np.array([float(cell) for cell in head[first:]]), "year")
    else:
        return None
    if times is None:
        return None
    known = [place for place in labels if len(set(body.column(place))) == len(body.cells)]
    if first > 0 and not known:
        raise ValueError(
            f"{name}: columns {first + 1} to {table.width} are times, and the columns before them name no row alone; "
            f"turn the table round: a row for each time, a column for each node, with names of their own"
        )
    rest = [place for place in range(first) if place not in known[:1]]
    words = f", and {', '.join(repr(head[place]) for place in rest)} left out" if rest else ""
    notes.append(f"{name}: its columns are times; the table was turned round, a row a time and a column a node{words}.")
    values = body.columns_from(first).named(head[first:])
    return Layout(values, body.column(known[0]) if known else None, times, turned=True)


def _time_like(cell: str) -> bool:
    return is_time(cell) or (cell.isdecimal() and len(cell) in (4, 6, 8))


def _without_units(table: Table, notes: list[str]) -> tuple[Table, str]:
    """The table without a row of units under its names, and the unit, if there is one for all."""
    if len(table.cells) < 2:
        return table, ""
    first, second = table.cells[0], table.cells[1]
    texts = [cell for cell in first if cell and not is_number(cell)]
    if (
        is_time(first[0])
        or len(texts) < max(1, table.width - 1)
        or not any(is_number(cell) and cell for cell in second)
    ):
        return table, ""
    # A column of text has one in every row; units have numbers below them.
    if any(not is_number(cell) and not is_time(cell) for cell in second):
        return table, ""
    if any(is_number(cell) for cell in first[1:]):
        return table, ""
    units = {cell.strip("[]()") for cell in first[1:]}
    notes.append(f"{table.path.name}: line {table.lines[0]} holds units ({first[-1]}), and is no row of values.")
    return table.rows_from(1), units.pop() if len(units) == 1 else ""


def _numbers_rows(table: Table) -> bool:
    """Whether column 1 numbers the rows, before the times or under a name that says so."""
    cells = table.column(0)
    if table.names is None or table.width < 3 or not all(cell.isdecimal() for cell in cells):
        return False
    if table.names[0].lower() in TIME_TITLES:
        return False
    title, following = table.names[0].lower(), table.names[1].lower()
    counts = [int(cell) for cell in cells] == list(range(int(cells[0]), int(cells[0]) + len(cells)))
    timed = are_times(table.column(1)) or following in TIME_TITLES
    return (timed and (title in ROW_TITLES or (counts and cells[0] in "01"))) or (
        title in ROW_TITLES - UNNAMED and counts and cells[0] in "01"
    )


def _check_no_sums(table: Table, timed: bool) -> None:
    last = table.cells[-1][0]
    if timed and last.lower() in SUM_TITLES:
        raise ValueError(
            f"{table.path.name}: line {table.lines[-1]} ({last!r}) sums up the others, and is no row of values; take "
            f"it out"
        )


def _check_numbers_first(table: Table) -> None:
    """Refuse a first column of text beside numbers: times that are written in an unknown way."""
    cells = [cell for cell in table.column(0) if cell]
    texts = [cell for cell in cells if not is_number(cell) and cell.lower() not in MISSING_MARKS]
    if len(texts) == len(cells) > 0 and any(is_number(cell) and cell for cell in table.cells[-1][1:]):
        line = table.lines[table.column(0).index(texts[0])]
        raise ValueError(
            f"{table.path.name}: line {line}, {table.place(0)}: {texts[0]!r} is no time that is known; write times as "
            f"YYYY-MM-DD hh:mm, or leave the column out if it holds none"
        )


def _check_one_column_of_times(table: Table, timed: bool) -> None:
    cells, name = table.cells[-1], table.path.name
    times = [column for column in range(1, table.width) if are_times(table.column(column))]
    titled = table.width > 1 and table.names is not None and {title.lower() for title in table.names[:2]} <= TIME_TITLES
    if (titled and not timed) or (times[:1] == [1] and any(CLOCK.fullmatch(cell) for cell in cells[:2])):
        raise ValueError(
            f"{name}: columns {table.columns[0]} and {table.columns[1]} hold parts of a time, {cells[0]!r} and "
            f"{cells[1]!r}; write it whole in one column, as YYYY-MM-DD hh:mm, and leave the other out"
        )
    if times:
        raise ValueError(
            f"{name}: column {table.columns[times[0]]} holds times like {cells[times[0]]!r}; one column of times, the "
            f"first, is read: name another (--time-column), or leave this one out (--leave-out)"
        )


def _has_header(table: Table, timed: bool) -> bool:
    # The first cell may stand over a column of times or of row numbers, without a name.
    cells = table.cells
    indexed = timed or (cells[0][0] == "" and len(cells[0]) > 2)
    first = cells[0][1:] if indexed else cells[0]
    if timed and not is_time(cells[0][0]):
        return True
    if not all(is_number(cell) for cell in first):
        return True
    whole = [cell for cell in first if cell.isdecimal()]
    if len(set(whole)) < len(first) or len(first) < 2 or len(cells) < 2:
        return False
    if first == [str(number) for number in range(len(first))]:
        return True
    body = (cell for row in cells[1:] for cell in row[int(indexed) :] if cell.lower() not in MISSING)
    finite = [value for value in map(_finite, body) if value is not None]
    return bool(finite) and all(not min(finite) <= float(cell) <= max(finite) for cell in first)


def _finite(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
