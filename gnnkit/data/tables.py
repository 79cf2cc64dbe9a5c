"""Tables of numbers from CSV files, with errors that name the file, the line and the cell."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["MISSING", "Table", "existing_file", "is_number", "numbers", "read_table"]

MISSING = frozenset({"", "nan", "na", "n/a", "null", "none", "-nan", "<na>", "#n/a"})


@dataclass(frozen=True, eq=False)
class Table:
    """Cells of a CSV file as text: rows of one width, and the line of the file that each came from."""

    path: Path
    cells: list[list[str]]
    lines: list[int]

    @property
    def width(self) -> int:
        """Cells in a row."""
        return len(self.cells[0])

    def rows_from(self, row: int) -> Table:
        """The table without the rows before `row`."""
        return Table(self.path, self.cells[row:], self.lines[row:])

    def columns_from(self, column: int) -> Table:
        """The table without the columns before `column`."""
        return Table(self.path, [cells[column:] for cells in self.cells], self.lines)

    def column(self, column: int) -> list[str]:
        """The cells of one column."""
        return [cells[column] for cells in self.cells]


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


def read_table(path: Path) -> Table:
    """Read a CSV file whose rows have one width.

    The separator is the one of comma, semicolon and tab that the first line has most of. Empty lines at the end are
    left out.

    Args:
        path: The file, in UTF-8.

    Returns:
        Its cells, without blanks around them.

    Raises:
        ValueError: The file is empty, is not text, or has a row of another width than the first (the line is named).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name}: not a text file in UTF-8 ({error.reason} at byte {error.start})") from None
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(text.splitlines(), delimiter=separator)
    cells, lines = [], []
    try:
        for row in reader:
            cells.append([cell.strip() for cell in row])
            lines.append(reader.line_num)
    except csv.Error as error:
        raise ValueError(f"{path.name}: line {reader.line_num}: not a CSV line ({error})") from None
    while cells and not any(cells[-1]) and len(cells[-1]) <= 1:
        cells.pop()
        lines.pop()
    if not cells:
        raise ValueError(f"{path.name}: the file is empty")
    for row, line in zip(cells, lines, strict=True):
        if len(row) != len(cells[0]):
            raise ValueError(
                f"{path.name}: line {line} has {len(row)} cells, but line {lines[0]} has {len(cells[0])}; "
                f"every line needs the same number (leave a cell empty where a value is missing)"
            )
    return Table(path, cells, lines)


def numbers(table: Table) -> NDArray[np.float64]:
    """Turn text into numbers; empty cells and NaN, NA, null and the like become NaN.

    Args:
        table: Rows of numbers only.

    Returns:
        Values, `[rows, columns]`.

    Raises:
        ValueError: A cell is not a number, or is infinite (line and column are named).
    """
    values = np.empty((len(table.cells), table.width))
    for column in range(table.width):
        text = pd.Series(table.column(column), dtype=object)
        missing = text.str.lower().isin(MISSING).to_numpy()
        parsed = np.asarray(pd.to_numeric(text.where(~missing, "nan"), errors="coerce"), dtype=np.float64)
        wrong = (np.isnan(parsed) & ~missing) | np.isinf(parsed)
        if wrong.any():
            row = int(wrong.argmax())
            why = "is infinite" if np.isinf(parsed[row]) else "is not a number"
            raise ValueError(
                f"{table.path.name}: line {table.lines[row]}, column {column + 1}: {table.cells[row][column]!r} {why}; "
                f"leave the cell empty where a value is missing"
            )
        values[:, column] = parsed
    return values


def is_number(cell: str) -> bool:
    """Tell whether a cell holds a number or stands for a missing one."""
    if cell.lower() in MISSING:
        return True
    try:
        float(cell)
    except ValueError:
        return False
    return True
