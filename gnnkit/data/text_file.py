"""Text files of unknown origin: what they are written in, and what separates their cells."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from pathlib import Path

from gnnkit.data.packed import unpack_gzip

__all__ = ["decode", "split_cells", "usual_width"]

_SAMPLED = 50
_BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_BLANKS = re.compile(r"[ \t]+")


def decode(path: Path) -> tuple[str, list[str]]:
    """Read a text file in UTF-8, UTF-16 or, where it can be neither, Windows-1252; unpacked, where gzip packed it.

    Args:
        path: The file.

    Returns:
        Its text, and sentences on what was guessed.

    Raises:
        ValueError: It is no text file.
    """
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = unpack_gzip(data, path.name)
    if data[:4] in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"):
        raise ValueError(f"{path.name}: a workbook of Excel or the like, not a text file; save its sheet as CSV")
    encoding = next((name for mark, name in _BOMS.items() if data.startswith(mark)), "utf-8")
    if encoding == "utf-8" and data[:2000].count(b"\0") > len(data[:2000]) // 3:
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    try:
        return _text(data.decode(encoding), path), []
    except UnicodeDecodeError as error:
        reason = f"{error.reason} at byte {error.start}"
    if encoding == "utf-8":
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError:
            pass
        else:
            return _text(text, path), [f"{path.name} is not in UTF-8 and was read as Windows-1252: look at its names."]
    raise ValueError(f"{path.name}: not a text file in UTF-8 ({reason}); save it as CSV in UTF-8")


def _text(text: str, path: Path) -> str:
    if "\0" in text:
        raise ValueError(f"{path.name}: not a text file (it has bytes of zero); save it as CSV in UTF-8")
    return text


def split_cells(text: str, path: Path) -> tuple[list[list[str]], list[int]]:
    """The cells of a text, and the line that each row came from. Empty lines and comments (#) are left out.

    A last comment before the first row that has as many cells is the line of names.

    Args:
        text: Of the file.
        path: The file, for messages.

    Raises:
        ValueError: A line is none of CSV.
    """
    lines = text.split("\n", 1)
    told = re.fullmatch(r'"?sep=(.)"?\r?', lines[0]) if lines else None
    separator = told[1] if told else _separator(text)
    if separator == " ":
        every = text.splitlines()
        rows = [(_BLANKS.split(line.strip()), number) for number, line in enumerate(every, 1) if line.strip()]
    else:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        rows = []
        try:
            for row in reader:
                rows.append(([cell.strip() for cell in row], reader.line_num))
        except csv.Error as error:
            raise ValueError(f"{path.name}: line {reader.line_num}: not a CSV line ({error})") from None
    rows = rows[int(told is not None) :]
    while rows and len(rows[-1][0]) <= 1 and not any(rows[-1][0]):
        rows.pop()
    if rows and usual_width([cells for cells, _ in rows]) == 1:  # an empty line is then a missing value
        rows = [(cells or [""], line) for cells, line in rows]
    else:
        rows = [(cells, line) for cells, line in rows if len(cells) > 1 or any(cells)]
    rows = _without_comments(rows)
    return [cells for cells, _ in rows], [line for _, line in rows]


def _without_comments(rows: list[tuple[list[str], int]]) -> list[tuple[list[str], int]]:
    comments = [number for number, (cells, _) in enumerate(rows) if cells[0].startswith("#")]
    if not comments or len(comments) == len(rows):
        return rows
    usual = usual_width([cells for number, (cells, _) in enumerate(rows) if number not in set(comments)])
    first = next(number for number in range(len(rows)) if number not in set(comments))
    kept = []
    for number, (cells, line) in enumerate(rows):
        if number not in set(comments) or (len(cells) == usual > 1 and number > first):
            kept.append((cells, line))
        elif number == first - 1 and len(cells) == usual > 1:
            kept.append(([cells[0].removeprefix("#").strip(), *cells[1:]], line))
    return kept


def usual_width(cells: list[list[str]]) -> int:
    """The number of cells that most rows have."""
    return Counter(len(row) for row in cells).most_common(1)[0][0]


def _separator(text: str) -> str:
    lines = [line for line in text.split("\n", _SAMPLED)[:_SAMPLED] if line.strip() and not line.startswith("#")]
    for separator in ";\t|":
        # Not the one that is there most often: commas may stand before decimals.
        if lines and lines[0].count(separator) and len({line.count(separator) for line in lines}) == 1:
            return separator
    counts = {mark: sum(line.count(mark) for line in lines) for mark in ",;\t|"}
    if lines and not any(counts.values()):
        widths = {len(_BLANKS.split(line.strip())) for line in lines[1:]}
        if len(widths) == 1 and widths != {1} and all(_are_numbers(line) for line in lines[1:]):
            return " "
    first = lines[0] if lines else ""
    found = max(",;\t|", key=first.count)
    return found if first.count(found) else max(",;\t|", key=counts.__getitem__)


def _are_numbers(line: str) -> bool:
    try:
        return all(float(cell) is not None for cell in _BLANKS.split(line.strip()))
    except ValueError:
        return False
