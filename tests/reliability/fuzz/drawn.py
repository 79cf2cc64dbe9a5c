"""What is drawn for files: texts of tables, bytes that were whole before they were changed, arrays."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

__all__ = ["CELL", "FOLDER", "arrays", "mutated", "put", "saved", "tables"]

FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-"))
_NASTY = (
    *("", "nan", "NA", "inf", "-inf", "1e400", "-1e400", "1e38", "3.5e38", "1e-45", "0", "-0", "1", "2", "3.14", "1,5"),
    *('"1"', "'", '"', '""', "a", "b", "é", "\u202e", "٣", "１", "½", "1_000", "0x10", "1e", "e", "+", "-", ".", " "),
    *("\t", "\x00", "\x0b", "\x1c", "\u2028", "\r", "2024-01-01", "2024-13-01", "2024-02-30", "01/02/2024", "24:61"),
    *("2024-W53", "2024-W60", "2015Q1", "2015Q5", "201501", "20150230", "12:30", "1700000000", "1700000000000", "-1"),
    *("9999-12-31", "0001-01-01", "10000-01-01", "2262-04-12", "now", "today", "NaT", "None", "#N/A", "May", "T10"),
    *("2024-01-01T00:00:00+25:00", "2024-03-31 02:30 Europe/Berlin", "1e5", "9" * 400, "=cmd()", "<script>", "true"),
    *(
        "1.234,5",
        "1,234.5",
        "1 000",
        "1'000",
        "%",
        "5%",
        "$5",
        "\ud800",
        "-inf%",
        "\\",
        "{}",
        "[1]",
        "#",
        "//",
        "sep=;",
    ),
)
CELL = st.one_of(
    st.sampled_from(_NASTY),
    st.floats().map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.text(max_size=4),
)
_TIMES = st.sampled_from(
    ["", "", "2024-01-01 00:{:02d}", "2024-01-{:02d}", "{}", "170000{:04d}00", "2015-{:02d}", "20150{:03d}",
     "{:02d}/01/2024", "2015Q{}", "2015-W{:02d}", "{:02d}:00", "2024-01-01 {:02d}:00:00+01:00"]
)  # fmt: skip
_TITLES = (
    "time",
    "date",
    "",
    "index",
    "a",
    "year",
    "week",
    "x y",
    "0",
    "station",
    "node",
    "value",
    "lat",
    "lon",
    "month",
)


@st.composite
def tables(draw: Any, titles: tuple[str, ...] = tuple("abcdefg"), first: tuple[str, ...] = _TITLES) -> str:
    """The text of a table: mostly whole, with a few cells that are not, or are something else."""
    width, height = draw(st.integers(2, 5)), draw(st.integers(1, 25))
    separator, form = draw(st.sampled_from([",", ",", ";", "\t", "|"])), draw(_TIMES)
    rows: list[list[str]] = []
    if draw(st.booleans()):
        if draw(st.booleans()):
            rows.append([draw(st.sampled_from(first)), *titles[: width - 1]])
        else:
            names = st.sampled_from([*titles, "1", "2", "A"])
            rows.append([draw(st.sampled_from(first)), *(draw(names) for _ in range(width - 1))])
    for row in range(height):
        cells = [form.format(row + 1)] if form else []
        rows.append((cells + [f"{draw(st.floats(-100, 100)):.3f}" for _ in range(width)])[:width])
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2, 4]))):
        row = rows[draw(st.integers(0, len(rows) - 1))]
        place = draw(st.integers(0, len(row)))
        what = draw(st.integers(0, 12))
        if what == 0:
            row.insert(place, draw(CELL))
        elif what == 1 and row:
            row.pop(min(place, len(row) - 1))
        elif row:
            row[min(place, len(row) - 1)] = draw(CELL)
    ending = draw(st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"]))
    return ending.join(separator.join(row) for row in rows) + draw(st.sampled_from(["", "\n", "\n\n"]))


@st.composite
def mutated(draw: Any, whole: bytes, most: int = 6) -> bytes:
    """Bytes of a file with bits flipped, parts cut out and put in, or cut off."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(0, most))):
        if not content:
            break
        place, how = draw(st.integers(0, len(content) - 1)), draw(st.integers(0, 4))
        if how <= 1:
            content[place] ^= 1 << draw(st.integers(0, 7))
        elif how == 2:
            del content[place : place + draw(st.integers(1, 30))]
        elif how == 3:
            content[place:place] = draw(st.binary(min_size=1, max_size=8))
        else:
            content[place : place + 4] = draw(
                st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\x80" * 4])
            )
    if draw(st.integers(0, 5)) == 0:
        content = content[: draw(st.integers(0, len(content)))]
    return bytes(content)


def put(name: str, content: str | bytes) -> Path:
    path = FOLDER / name
    path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    return path


def saved(write: Callable[[io.BytesIO], None]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


_KINDS = ("f4", "f8", "f2", "i8", "i1", "u1", "?", "c8", "M8[s]", "S3", "U3", "V4", "O", ">f8")


@st.composite
def arrays(draw: Any) -> np.ndarray:
    kind, shape = draw(st.sampled_from(_KINDS)), draw(st.lists(st.integers(0, 6), max_size=4))
    if kind in ("O", "M8[s]", "S3", "U3", "V4"):
        return np.zeros(shape, dtype=kind) if kind != "O" else np.empty(shape, dtype=object)
    array = (np.arange(int(np.prod(shape))).reshape(shape) % 7).astype(kind)
    if array.size and draw(st.booleans()) and array.dtype.kind == "f":
        array.flat[draw(st.integers(0, array.size - 1))] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 6e4, 0]))
    return array
