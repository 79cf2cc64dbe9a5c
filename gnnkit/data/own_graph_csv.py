"""Graphs from tables: a matrix or a list of edges, whatever its columns are called, for the nodes of a series."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnkit.data.own_times import ROW_TITLES, UNNAMED, is_time
from gnnkit.data.tables import Table, is_number, numbers

__all__ = ["EdgeColumns", "Edges", "TableGraph", "matrix_edges", "table_graph", "titled_columns", "wrong_size"]

Edges = tuple[NDArray[np.int64], NDArray[np.float64]]

_FILLERS = frozenset(
    {"node", "id", "station", "sensor", "name", "vertex", "detector", "idx", "index", "code", "nr", "no"}
)
"""Words of a title that say nothing of an end's side: from_node_id is from."""
_SOURCES = frozenset({"source", "src", "from", "i", "u", "start", "origin", "orig", "sender", "upstream", "row", "von"})
_TARGETS = frozenset(
    {"target", "tgt", "dst", "dest", "destination", "to", "j", "v", "end", "receiver", "downstream", "col", "column"}
    | {"nach"}
)
_PAIRS = ({"1": "source", "2": "target"}, {"0": "source", "1": "target"}, {"a": "source", "b": "target"})
"""What stands behind a filler: node1 and node2, station_a and station_b."""
_WEIGHTS = frozenset({"weight", "weights", "w", "similarity", "value", "strength", "edgeweight"})
_LENGTHS = frozenset(
    {"distance", "distances", "dist", "cost", "costs", "length", "len", "metres", "meters", "metre", "meter", "km", "m"}
    | {
        "kilometres",
        "kilometers",
        "miles",
        "mile",
        "feet",
        "ft",
        "duration",
        "time",
        "traveltime",
        "minutes",
        "seconds",
    }
)


@dataclass(frozen=True, eq=False)
class TableGraph:
    """A graph that a table holds.

    Args:
        edge_index: `[2, E]`, in the order of the series.
        weight: `[E]`.
        length: Title of the weights where it is one of distances; else empty.
    """

    edge_index: NDArray[np.int64]
    weight: NDArray[np.float64]
    length: str = ""


@dataclass(frozen=True)
class EdgeColumns:
    """Which columns of an edge list hold what, counted from 0.

    Args:
        source, target: The ends of an edge.
        weight: Its weight; None: it has none.
        titled: Whether the first line is one of titles.
    """

    source: int
    target: int
    weight: int | None
    titled: bool


def table_graph(table: Table, names: list[str], graph_format: str, notes: list[str]) -> TableGraph:
    """Read a table as a matrix or as a list of edges.

    Args:
        table: All cells.
        names: Nodes of the series.
        graph_format: `"auto"`, `"matrix"` or `"edges"`.
        notes: Gets sentences on what was guessed.

    Returns:
        The graph.

    Raises:
        ValueError: Another size or other names than the series has, or columns that cannot be told apart.
    """
    rows, columns, size = len(table.cells), table.width, len(names)
    titled = None if graph_format == "matrix" else titled_columns(table, names, notes)
    if titled is not None:
        return _edge_list(table, names, titled, notes)
    if graph_format == "edges":
        plain = _plain_columns(table, names, notes)
        if plain is None and table.width in (2, 3):  # and the first end that is no node is named
            plain = EdgeColumns(0, 1, 2 if table.width == 3 else None, False)
        if plain is None:
            raise ValueError(
                f"{table.path.name}: an edge list has the columns source,target or source,target,weight; "
                f"found {columns}"
            )
        return _edge_list(table, names, plain, notes)
    fits = rows - size in (0, 1) and columns - size in (0, 1)
    if graph_format == "auto":
        plain = _plain_columns(table, names, notes, named_alone=fits)
        if plain is not None:
            return _edge_list(table, names, plain, notes)
    if not fits:
        raise wrong_size(table.path.name, f"{rows} × {columns} cells", size)
    return TableGraph(*_matrix(table, names, notes))


def _side(title: str) -> str | None:
    """`"source"` or `"target"`, if a title is that of an end of an edge."""
    words = [word for word in re.split(r"[\W_]+|(?<=[a-z])(?=\d)", title.lower()) if word and word not in _FILLERS]
    if len(words) != 1:
        return None
    word = words[0]
    if word in _SOURCES or word in _TARGETS:
        return "source" if word in _SOURCES else "target"
    return f"one of {word}" if word != title.strip().lower() else None


def _is_length(title: str) -> bool:
    return any(word in _LENGTHS for word in re.split(r"[\W_]+", title.lower()))


def titled_columns(table: Table, names: list[str], notes: list[str]) -> EdgeColumns | None:
    """The columns of an edge list with titles; None: its first line has none.

    Args:
        table: All cells, or the first lines.
        names: Nodes of the series: their names are no titles.
        notes: Gets sentences on columns that are not read.

    Raises:
        ValueError: More than one column could be the weight, or there is a graph for each time.
    """
    titles, name = table.cells[0], table.path.name
    sides = [_side(title) for title in titles]
    for pair in _PAIRS:
        if {f"one of {part}" for part in pair} <= set(sides):
            sides = [pair.get((side or "").removeprefix("one of "), side) for side in sides]
            break
    if sides.count("source") != 1 or sides.count("target") != 1:
        return None
    source, target = sides.index("source"), sides.index("target")
    if {titles[source], titles[target]} <= set(names):  # a matrix of nodes that are called so
        return None
    others = [place for place in range(table.width) if place not in (source, target)]
    body = table.rows_from(1)
    for place in others:
        if body.cells and is_time(body.cells[0][place]):
            raise ValueError(
                f"{name}: column {place + 1} ({titles[place]!r}) holds times like {body.cells[0][place]!r}: a graph "
                f"for each time; one graph is read: give one, e.g. the mean weight of each {titles[source]} and "
                f"{titles[target]}"
            )
    others = [place for place in others if titles[place].lower() not in UNNAMED]
    numbered = [place for place in others if _word(titles[place]) not in _WEIGHTS and _counts(body.column(place))]
    others = [
        place
        for place in others
        if place not in numbered or (place > max(source, target) and titles[place].lower() not in ROW_TITLES)
    ]
    for known in (lambda title: _word(title) in _WEIGHTS, _is_length, lambda _: True):
        found = [place for place in others if known(titles[place])]
        if len(found) == 1:
            break
        if len(found) > 1:
            shown = ", ".join(repr(titles[place]) for place in found)
            raise ValueError(
                f"{name}: the columns {shown} could each be the weight of an edge; call one of them weight, or leave "
                f"the others out"
            )
    else:
        return EdgeColumns(source, target, None, True)
    left = [titles[place] for place in others if place != found[0]]
    if left:
        notes.append(f"{name}: {titles[found[0]]!r} is the weight; {', '.join(map(repr, left))} not read.")
    return EdgeColumns(source, target, found[0], True)


def _word(title: str) -> str:
    return re.sub(r"[\W_]+", "", title.lower())


def _counts(cells: list[str]) -> bool:
    """Whether a column counts its rows, from 0 or 1."""
    return (
        bool(cells)
        and all(cell.isdecimal() for cell in cells)
        and cells[0] in ("0", "1")
        and ([int(cell) for cell in cells] == list(range(int(cells[0]), int(cells[0]) + len(cells))))
    )


def _plain_columns(
    table: Table, names: list[str], notes: list[str], *, named_alone: bool = False
) -> EdgeColumns | None:
    """The columns of an edge list without known titles; None: it does not look like one.

    A table that may be a matrix too is one of edges where names stand in its cells: `named_alone`.
    """
    known = set(names)

    def ends(rows: list[list[str]], first: int) -> bool:
        return all(cell in known or cell.isdecimal() for row in rows for cell in row[first : first + 2])

    def named(rows: list[list[str]], first: int) -> bool:
        cells = [cell for row in rows for cell in row[first : first + 2]]
        return bool(cells) and all(cell in known for cell in cells) and not all(is_number(cell) for cell in cells)

    cells = table.cells
    for titled in (False, True):
        rows = cells[int(titled) :]
        if table.width in (3, 4) and named(rows, 1) and not named(rows, 0) and _counts([row[0] for row in rows]):
            return EdgeColumns(1, 2, 3 if table.width == 4 else None, titled)
        if table.width in (2, 3) and rows and (named(rows, 0) if named_alone else ends(rows, 0)):
            if titled:
                notes.append(
                    f"{table.path.name}: {cells[0][0]!r} and {cells[0][1]!r} are taken for the source and the target "
                    f"of an edge."
                )
            return EdgeColumns(0, 1, 2 if table.width == 3 else None, titled)
    if not named_alone and table.width == 4 and ends(cells, 1) and _counts([row[0] for row in cells]):
        return EdgeColumns(1, 2, 3, False)
    return None


def wrong_size(name: str, found: str, size: int) -> ValueError:
    """What to say of a graph of another size than the series."""
    return ValueError(
        f"{name}: the graph has {found}, but the series has {size} nodes; "
        f"give a {size} × {size} matrix or an edge list with the columns source,target,weight"
    )


def _matrix(table: Table, names: list[str], notes: list[str]) -> Edges:
    size, name = len(names), table.path.name
    headed, indexed = len(table.cells) == size + 1, table.width == size + 1
    labels = {}
    if headed:
        labels["first line"] = table.cells[0][int(indexed) :]
        table = table.rows_from(1)
    if indexed:
        labels["first column"] = table.column(0)
        table = table.columns_from(1)
    if not headed and not indexed and not all(is_number(cell) for cell in table.cells[0]):
        raise wrong_size(name, f"a line of names and {size - 1} rows", size)
    columns = _order(labels.get("first line", labels.get("first column")), names, "first line", name)
    rows = _order(labels.get("first column", labels.get("first line")), names, "first column", name)
    matrix = np.empty((size, size))
    matrix[np.ix_(rows, columns)] = numbers(table, notes, asked=False)
    return matrix_edges(matrix)


def _order(labels: list[str] | None, names: list[str], where: str, name: str) -> list[int]:
    """Place of each label among the nodes."""
    if labels is None:
        return list(range(len(names)))
    number = {name: node for node, name in enumerate(names)}
    unknown = [label for label in labels if label not in number]
    if unknown and labels == [str(node) for node in range(len(names))]:
        return list(range(len(names)))  # row numbers that a data frame was saved with, not names
    if unknown:
        raise ValueError(f"{name}: {where}: {unknown[0]!r} is no node of the series; its first node is {names[0]!r}")
    if len(set(labels)) != len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise ValueError(f"{name}: {where}: the node {twice!r} comes twice")
    return [number[label] for label in labels]


def matrix_edges(matrix: NDArray[np.float64]) -> Edges:
    """The edges of a matrix: its entries that are not zero."""
    edge_index = np.stack(matrix.nonzero()).astype(np.int64)  # NaN counts as not zero, and is refused later
    return edge_index, matrix[edge_index[0], edge_index[1]]


def _edge_list(table: Table, names: list[str], columns: EdgeColumns, notes: list[str]) -> TableGraph:
    name = table.path.name
    title = table.cells[0][columns.weight] if columns.titled and columns.weight is not None else ""
    table = table.rows_from(1) if columns.titled else table
    if not table.cells:
        return TableGraph(np.zeros((2, 0), dtype=np.int64), np.zeros(0))
    ends = [(row[columns.source], row[columns.target]) for row in table.cells]
    number = {name: node for node, name in enumerate(names)}
    by_name = all(cell in number for pair in ends for cell in pair)
    if not by_name and all(cell.isdecimal() for pair in ends for cell in pair):
        number = {str(node): node for node in range(len(names))}
    for line, pair in zip(table.lines, ends, strict=True):
        for cell in pair:
            if cell not in number:
                raise ValueError(
                    f"{name}: line {line}: {cell!r} is no node of the series; give one of its names, "
                    f"or for all edges a number from 0 to {len(names) - 1}, for it has {len(names)} nodes"
                )
    edge_index = np.array([[number[cell] for cell in pair] for pair in ends], dtype=np.int64).T
    if not by_name and edge_index.min() > 0:
        notes.append(
            f"{name}: edges name nodes by numbers from {edge_index.min()} to {edge_index.max()}, counted from 0: "
            f"{edge_index.min()} is {names[edge_index.min()]!r}."
        )
    if columns.weight is None:
        return TableGraph(edge_index, np.ones(len(ends)))
    weight = numbers(table.columns_at([columns.weight]), notes, asked=False)[:, 0]
    if np.isnan(weight).any():
        line = table.lines[int(np.isnan(weight).argmax())]
        raise ValueError(
            f"{name}: line {line} has no weight; give one to every edge, or leave the column out for weights of 1"
        )
    return TableGraph(edge_index, weight, title if _is_length(title) else "")
