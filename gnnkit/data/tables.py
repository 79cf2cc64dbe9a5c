"""Tables of numbers from CSV files, with errors that name the file, the line and the cell."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["MISSING", "Table", "existing_file", "is_number", "numbers", "read_table"]

SAMPLED_LINES = 50
WITH_POINT = re.compile(r"[+-]?\d*\.\d+(e[+-]?\d+)?", re.IGNORECASE)
WITH_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)
MISSING = frozenset({"", "nan", "na", "n/a", "null", "none", "-nan", "<na>", "#n/a"})


@dataclass(frozen=True, eq=False)
class Table:
    """Cells of a CSV file as text: rows of one width, and the line and the column of the file that they came from."""

    path: Path
    cells: list[list[str]]
    lines: list[int]
    first_column: int = 1

    @property
    def width(self) -> int:
        """Cells in a row."""
        return len(self.cells[0])

    def rows_from(self, row: int) -> Table:
        """The table without the rows before `row`."""
        return Table(self.path, self.cells[row:], self.lines[row:], self.first_column)

    def columns_from(self, column: int) -> Table:
        """The table without the columns before `column`."""
        cells = [cells[column:] for cells in self.cells]
        return Table(self.path, cells, self.lines, self.first_column + column)

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

    The separator is a semicolon or a tab where all lines have the same number of it, else the one of comma, semicolon
    and tab that the first line has most of. Empty lines at the end are left out. Where another separator than the comma
    is used and no number has a point, 1,5 is read as 1.5.

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
    separator = _separator(text)
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
    return Table(path, cells if separator == "," else _with_points(cells), lines)


def _separator(text: str) -> str:
    lines = [line for line in text.split("\n", SAMPLED_LINES)[:SAMPLED_LINES] if line.strip()]
    for separator in ";\t":
        # Not the one that is there most often: commas may stand before decimals.
        if lines and lines[0].count(separator) and len({line.count(separator) for line in lines}) == 1:
            return separator
    return max(",;\t", key=text.split("\n", 1)[0].count)


def _with_points(cells: list[list[str]]) -> list[list[str]]:
    """Numbers with a point where all numbers of a file have a comma before their decimals."""
    if any("." in cell and WITH_POINT.fullmatch(cell) for row in cells for cell in row):
        return cells
    return [
        [cell.replace(",", ".") if "," in cell and WITH_COMMA.fullmatch(cell) else cell for cell in row]
        for row in cells
    ]


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
                f"{table.path.name}: line {table.lines[row]}, column {table.first_column + column}: "
                f"{table.cells[row][column]!r} {why}; leave the cell empty where a value is missing"
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
