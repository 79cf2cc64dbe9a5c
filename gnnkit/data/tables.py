"""Tables of numbers from CSV files, with errors that name the file, the line and the cell."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gnnkit.data.number_text import MISSING, MISSING_MARKS, Decimal, Notation, choose_notation, is_number, sign_of
from gnnkit.data.text_file import decode, split_cells, usual_width

__all__ = [
    "MISSING",
    "Missing",
    "Table",
    "existing_file",
    "is_number",
    "is_text",
    "numbers",
    "read_table",
    "table_of_frame",
    "told_missing",
]

Missing = Sequence[str | float]
"""What the user says stands for a missing value: numbers and texts."""


@dataclass(frozen=True, eq=False)
class Table:
    """Cells of a CSV file as text: rows of one width, and the line and the column of the file that they came from.

    Args:
        path: The file.
        cells: The rows.
        lines: Line of the file that each row came from.
        columns: Column of the file that each column came from, counted from 1.
        names: Of the columns; None: not known.
    """

    path: Path
    cells: list[list[str]]
    lines: list[int]
    columns: tuple[int, ...]
    names: tuple[str, ...] | None = None

    @property
    def width(self) -> int:
        """Cells in a row."""
        return len(self.columns)

    def rows_from(self, row: int) -> Table:
        """The table without the rows before `row`."""
        return replace(self, cells=self.cells[row:], lines=self.lines[row:])

    def columns_from(self, column: int) -> Table:
        """The table without the columns before `column`."""
        return self.columns_at(range(column, self.width))

    def columns_at(self, places: Sequence[int]) -> Table:
        """Some of the columns."""
        if list(places) == list(range(self.width)):
            return self
        return replace(
            self,
            cells=[[row[place] for place in places] for row in self.cells],
            columns=tuple(self.columns[place] for place in places),
            names=None if self.names is None else tuple(self.names[place] for place in places),
        )

    def named(self, names: Sequence[str]) -> Table:
        """The table with names of its columns."""
        return replace(self, names=tuple(names))

    def column(self, column: int) -> list[str]:
        """The cells of one column."""
        return [cells[column] for cells in self.cells]

    def place(self, column: int) -> str:
        """A column in words: `column 3 ('north')`."""
        name = f" ({self.names[column]!r})" if self.names is not None and self.names[column] else ""
        return f"column {self.columns[column]}{name}"


def existing_file(path: str | Path, what: str) -> Path:
    """The path of a file that is there.

    Args:
        path: Where the file should be.
        what: What it holds, for the message, e.g. `"series"`.

    Returns:
        The path.

    Raises:
        FileNotFoundError: There is no such file.
    """
    path = Path(path)
    if not path.is_file():
        reason = "is a folder, not a file" if path.is_dir() else "there is no such file"
        raise FileNotFoundError(f"{what} {str(path)!r}: {reason}; check the path")
    return path


def is_text(path: Path) -> bool:
    """Whether a file's ending is one of tables in text: .csv, .tsv, .txt, and each with .gz.

    Example:
        >>> is_text(Path("a.csv")), is_text(Path("a.TXT.gz")), is_text(Path("a.npz"))
        (True, True, False)
    """
    stem = path.stem if path.suffix.lower() == ".gz" else path.name
    return Path(stem).suffix.lower() in (".csv", ".tsv", ".txt")


def read_table(path: Path, notes: list[str] | None = None) -> Table:
    """Read a CSV file whose rows have one width.

    The separator is a semicolon, a tab or a bar where all lines have the same number of it, else the one of comma,
    semicolon, tab and bar that the first line has most of; blanks, where there is none of them and all is numbers.
    Empty lines, comments (#) and columns at the end that are all empty are left out.

    Args:
        path: The file, in UTF-8, UTF-16 or Windows-1252; gzip may have packed it.
        notes: Gets sentences on what was guessed.

    Returns:
        Its cells, without blanks around them.

    Raises:
        ValueError: The file is empty, is not text, or has a row of another width than most (the line is named).
    """
    text, said = decode(path)
    if notes is not None:
        notes += said
    cells, lines = split_cells(text, path)
    if not cells:
        raise ValueError(f"{path.name}: the file is empty")
    _check_widths(path, cells, lines)
    width = len(cells[0])
    while width > 1 and not any(row[width - 1] for row in cells):
        width -= 1
    cells = cells if width == len(cells[0]) else [row[:width] for row in cells]
    return Table(path, cells, lines, tuple(range(1, width + 1)))


def table_of_frame(frame: pd.DataFrame, name: str, *, index: bool | None = None) -> Table:
    """A data frame as the table that it would be in a file, names above it.

    Args:
        frame: The frame, with names of one level.
        name: What errors call it.
        index: Whether its index is the first column; default: where it is more than the numbers of the rows.

    Raises:
        ValueError: Its names have several levels.
    """
    if frame.columns.nlevels > 1 or frame.index.nlevels > 1:
        raise ValueError(f"{name}: a data frame with names of several levels; give one level (reset_index)")
    titles = [str(title) for title in frame.columns]
    columns = [_texts(frame.iloc[:, place]) for place in range(frame.shape[1])]
    if not isinstance(frame.index, pd.RangeIndex) if index is None else index:
        titles.insert(0, str(frame.index.name or ""))
        columns.insert(0, _texts(frame.index.to_series()))
    cells = [titles, *map(list, zip(*columns, strict=True))]
    return Table(Path(name), cells, list(range(len(cells))), tuple(range(1, len(titles) + 1)))


def _texts(column: pd.Series) -> list[str]:
    if pd.api.types.is_bool_dtype(column.dtype):
        column = column.astype("Int8")
    return ["" if missing else str(cell) for cell, missing in zip(column.tolist(), column.isna(), strict=True)]


def _check_widths(path: Path, cells: list[list[str]], lines: list[int]) -> None:
    usual = usual_width(cells)
    # Of two lines, or where as many have one width as another, the first one is right.
    usual = len(cells[0]) if sum(len(row) == len(cells[0]) for row in cells) * 2 >= len(cells) else usual
    model = next(number for number, row in enumerate(cells) if len(row) == usual)
    for row, line in zip(cells, lines, strict=True):
        if len(row) == usual:
            continue
        hint = "leave a cell empty where a value is missing"
        if line == lines[0]:
            hint = (
                "numbers that have commas must stand in quotes"
                if len(row) < usual and len(row) > 1
                else "take lines above the names out, or begin them with #"
            )
        elif len(row) > usual:
            hint = "numbers and names that have commas must stand in quotes"
        elif len(row) == 1:
            hint = "take out lines that are no rows of the table, or begin them with #"
        raise ValueError(
            f"{path.name}: line {line} has {len(row)} cells, but line {lines[model]} has {usual}; every line needs the "
            f"same number ({hint})"
        )


def told_missing(values: NDArray[np.float64], missing: Missing) -> NDArray[np.bool_]:
    """Where values are one of the numbers that the user says stand for missing ones.

    A number that float32 rounds is found too.
    """
    found = np.zeros(values.shape, dtype=np.bool_)
    for one in missing:
        try:
            number = float(one)
        except ValueError:
            continue
        found |= np.isclose(values, number, rtol=1e-6, atol=0.0)
    return found


def numbers(
    table: Table,
    notes: list[str] | None = None,
    *,
    decimal: Decimal | None = None,
    missing: Missing = (),
    asked: bool = True,
) -> NDArray[np.float64]:
    """Turn text into numbers; empty cells and NaN, NA, null and the like become NaN.

    Args:
        table: Rows of numbers only.
        notes: Gets sentences on what was read in an unusual way.
        decimal: What stands before decimals; default: found out (see `choose_notation`).
        missing: What else stands for a missing value.
        asked: Whether both can be said by options, for messages: of a series they can, of a graph not.

    Returns:
        Values, `[rows, columns]`.

    Raises:
        ValueError: A cell is not a number, or is infinite (line and column are named); a column holds text; or what a
            comma means cannot be told.
    """
    own = {str(one).strip().lower() for one in missing}
    columns = [table.column(column) for column in range(table.width)]
    notation = choose_notation(columns, table.lines, table.path.name, decimal, asked=asked)
    values = np.empty((len(table.cells), table.width))
    marks: Counter[str] = Counter()
    signs: set[str] = set()
    for number, column in enumerate(columns):
        text = pd.Series(column, dtype=object)
        lower = text.str.lower()
        empty = lower.isin(MISSING | own).to_numpy(copy=True)
        parsed = np.array(pd.to_numeric(text.where(~empty, "nan"), errors="coerce"), dtype=np.float64)
        rest = (np.isnan(parsed) & ~empty) | (_has(text, notation.thousands) if notation.thousands == "." else False)
        if rest.any():
            marked = rest & lower.isin(MISSING_MARKS).to_numpy()
            marks.update(text[marked].tolist())
            rest &= ~marked
            signs |= _check_signs(table, number, column, empty | marked)
            plain = pd.Series([notation.plain(cell) for cell in text[rest]], dtype=object)
            parsed[rest] = np.asarray(pd.to_numeric(plain, errors="coerce"), dtype=np.float64)
            empty |= marked
        wrong = (np.isnan(parsed) & ~empty) | np.isinf(parsed)
        if wrong.any():
            raise ValueError(_wrong(table, number, parsed, wrong, empty, notation, asked))
        values[:, number] = parsed
    values[told_missing(values, missing)] = np.nan
    if notes is not None:
        notes += _said(table.path.name, notation, marks, signs)
    return values


def _has(text: pd.Series, mark: str) -> NDArray[np.bool_]:
    return text.str.contains(mark, regex=False).to_numpy(dtype=np.bool_)


def _check_signs(table: Table, number: int, column: list[str], empty: NDArray[np.bool_]) -> set[str]:
    """The currency and percent signs of a column; they stand at all of its numbers, or at none."""
    found = [sign_of(cell) for cell in column]
    signs = set(found) - {""}
    odd = next((row for row, sign in enumerate(found) if not empty[row] and signs and sign != max(signs)), None)
    if odd is not None and is_number(column[odd]):
        other = next(row for row, sign in enumerate(found) if sign == max(signs))
        raise ValueError(
            f"{table.path.name}: line {table.lines[odd]}, {table.place(number)}: {column[odd]!r} beside "
            f"{column[other]!r} on line {table.lines[other]}; write all numbers of a column in one unit"
        )
    return signs


def _wrong(
    table: Table,
    number: int,
    parsed: NDArray[np.float64],
    wrong: NDArray[np.bool_],
    empty: NDArray[np.bool_],
    notation: Notation,
    asked: bool,
) -> str:
    """What to say of a column that holds something else than numbers."""
    row = int(wrong.argmax())
    cell, place = table.cells[row][number], table.place(number)
    if np.isinf(parsed[row]):
        return (
            f"{table.path.name}: line {table.lines[row]}, {place}: {cell!r} is infinite; leave the cell empty where a "
            f"value is missing"
        )
    if 2 * wrong.sum() > (~empty).sum() and not is_number(cell):
        name = repr(table.names[number]) if table.names is not None and table.names[number] else table.columns[number]
        quoted = shlex.quote(table.names[number]) if table.names is not None else ""
        truth = "write 1 and 0, or " if cell.lower() in ("true", "false", "yes", "no", "on", "off") else ""
        nodes = f"; where it names the nodes, --node-column {quoted}" if asked and quoted and not truth else ""
        return (
            f"{table.path.name}: {place} holds text like {cell!r} on line {table.lines[row]} and no numbers; "
            f"{truth}leave column {name} out{' (--leave-out ' + quoted + ')' if asked and quoted else ''}{nodes}"
        )
    if is_number(cell):
        written = f"decimals stand behind {notation.decimal!r} here"
        return (
            f"{table.path.name}: line {table.lines[row]}, {place}: {cell!r} is not written like the others; {written}"
        )
    found = f"{table.path.name}: line {table.lines[row]}, {place}: {cell!r} is not a number"
    if not asked:
        return f"{found}; write one, 0 where there is no edge"
    return (
        f"{found}; leave the cell empty where a value is missing, or say that it stands for one "
        f"(--missing-value {cell})"
    )


def _said(name: str, notation: Notation, marks: Counter[str], signs: set[str]) -> list[str]:
    said = []
    if notation.example:
        said.append(
            f"{name}: {'commas' if notation.thousands == ',' else 'points'} stand between thousands: "
            f"{notation.example!r} is read as {notation.plain(notation.example)}."
        )
    if marks:
        shown = ", ".join(f"{mark!r} ({count} ×)" for mark, count in marks.most_common(4))
        said.append(f"{name}: {shown} {'is' if len(marks) == 1 else 'are'} read as missing.")
    if signs:
        percent = ": 45 % is read as 45" if "%" in signs else ""
        said.append(f"{name}: {' '.join(sorted(signs))} beside numbers is left out{percent}.")
    return said
