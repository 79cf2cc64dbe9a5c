"""Numbers as people write them: decimal commas, separators between thousands, currencies and percents."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

__all__ = ["MISSING", "MISSING_MARKS", "Decimal", "Notation", "choose_notation", "is_number", "sign_of"]

Decimal = Literal[".", ","]

MISSING = frozenset({"", "nan", "na", "n/a", "null", "none", "-nan", "<na>", "#n/a", "#na"})
"""What stands for a missing value, in lower case."""
MISSING_MARKS = frozenset(
    {
        *("-", "--", "---", "\N{EN DASH}", "\N{EM DASH}", ".", "..", "...", "*", "**", "***", "?", "n.a.", "k.a."),
        *("nil", "missing", "no data", "nodata", "#div/0!", "#ref!", "#value!", "#num!", "#name?", "#null!"),
    }
)
"""What else is read as missing, with a word about it, in lower case."""

_CURRENCY = "$\N{EURO SIGN}\N{POUND SIGN}\N{YEN SIGN}\N{INDIAN RUPEE SIGN}"
_MINUS = "-\N{MINUS SIGN}"
_CELL = re.compile(
    rf"(?P<before>[{_MINUS}+]?\s*(?P<left>[{_CURRENCY}]?)\s*)(?P<core>[\d.,].*?)(?P<power>e[+-]?\d+)?\s*(?P<right>[%{_CURRENCY}]?)",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"\d+")
_SINGLE = re.compile(r"\d*([.,])\d*")
_OPEN = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")
"""One mark with three digits behind it: before decimals, or between thousands."""
_GROUPS = re.compile(r"\d{1,3}(?:([.,])\d{3})(?:\1\d{3})+|\d{1,2}(?:(,)\d{2})+,\d{3}")
_GROUPS_AND_DECIMALS = re.compile(r"\d{1,3}(?:,\d{2,3})*,\d{3}(\.)\d+|\d{1,3}(?:\.\d{3})+(,)\d+")
_BLANKS = re.compile(r"\d{1,3}(?:([\s'\N{RIGHT SINGLE QUOTATION MARK}])\d{3})(?:\1\d{3})*(?:([.,])\d+)?")
"""Blanks of any kind, or apostrophes, between thousands."""
_CLEAR = 1.0
"""Steps between values are clearly smaller in one reading where their logarithms are, on the mean, by this."""
_SAY = "say what stands before decimals, decimal '.' or ',' (--decimal)"


@dataclass(frozen=True)
class Notation:
    """How the numbers of a file are written.

    Args:
        decimal: What stands before decimals.
        thousands: What stands between thousands, beside blanks and apostrophes; empty: nothing.
        example: A cell with a separator between thousands; empty: there is none.

    Example:
        >>> Notation(",", ".").plain("1.899,60"), Notation(".", ",").plain("$ 1,899"), Notation().plain("ON")
        ('1899.60', '1899', 'ON')
    """

    decimal: str = "."
    thousands: str = ""
    example: str = ""

    def plain(self, cell: str) -> str:
        """The cell as Python writes numbers; as it is, where it is none in this notation."""
        found = _CELL.fullmatch(cell)
        if found is None:
            return cell
        core, power = found["core"], found["power"] or ""
        if _BLANKS.fullmatch(core):
            core = re.sub(r"[\s'\N{RIGHT SINGLE QUOTATION MARK}]", "", core)
        elif self.thousands and self.thousands in core:
            whole, mark, rest = core.partition(self.decimal)
            groups = _GROUPS.fullmatch(whole) or (_OPEN.fullmatch(whole) and self.thousands in whole)
            if not groups:
                return cell
            core = whole.replace(self.thousands, "") + mark + rest
        if core.count(self.decimal) > 1 or ({".", ","} - {self.decimal}) & set(core):
            return cell
        sign = "-" if any(minus in found["before"] for minus in _MINUS) else ""
        number = f"{sign}{core.replace(self.decimal, '.')}{power}"
        return number if is_number(number) and core not in (".", ",") else cell


def is_number(cell: str) -> bool:
    """Tell whether a cell holds a number, in any notation, or stands for a missing one.

    Example:
        >>> [is_number(cell) for cell in ("-1e5", "", "1,899.60", "1 899,6", "45 %", "x", "2024-01-01", "-")]
        [True, True, True, True, True, False, False, False]
    """
    if cell.lower() in MISSING:
        return True
    try:
        float(cell)
    except ValueError:
        found = _CELL.fullmatch(cell)
        return found is not None and bool(_marks(found["core"])[0])
    return True


def sign_of(cell: str) -> str:
    """The currency or percent sign of a cell that holds a number, else an empty text."""
    found = _CELL.fullmatch(cell)
    return (found["left"] or found["right"]) if found and _marks(found["core"])[0] else ""


def _marks(core: str) -> tuple[str, str]:
    """What a number says of its file, and of which mark: decimal, thousands, open or none; empty: it is no number."""
    if _DIGITS.fullmatch(core):
        return "none", ""
    if found := _BLANKS.fullmatch(core):
        return ("decimal", found[2]) if found[2] else ("none", "")
    if _OPEN.fullmatch(core):
        return ("open", "," if "," in core else ".")
    if found := _SINGLE.fullmatch(core):
        return ("decimal", found[1]) if len(core) > 1 else ("", "")
    if found := _GROUPS.fullmatch(core):
        return ("thousands", found[1] or found[2])
    if found := _GROUPS_AND_DECIMALS.fullmatch(core):
        return ("decimal", found[1] or found[2])
    return "", ""


def choose_notation(
    columns: Sequence[Sequence[str]],
    lines: Sequence[int],
    name: str,
    decimal: Decimal | None = None,
    *,
    asked: bool = True,
) -> Notation:
    """Find out how the numbers of a file are written, from all of them.

    1,5 has a decimal comma, 1,899.60 and 1,234,567 have commas between thousands. 1,161 says nothing by itself: it is
    1161 where another number of the file tells so, or where the numbers around it without a comma (950, 1,161) make
    small steps then; 1.161 beside it where they make small steps otherwise. 1.161 is a number with three decimals
    unless the same tells that it is not.

    Args:
        columns: Cells by column.
        lines: Line of the file that each row came from.
        name: Name of the file, for messages.
        decimal: What stands before decimals, if it is known.
        asked: Whether it can be said by an option, for messages.

    Returns:
        The notation.

    Raises:
        ValueError: Numbers of two kinds, or none that tells what a mark means; the message names both readings.

    Example:
        >>> choose_notation([["950", "1,161", "1,201"]], [1, 2, 3], "t.csv")
        Notation(decimal='.', thousands=',', example='1,161')
    """
    told: dict[tuple[str, str], tuple[int, str]] = {}
    opened: dict[str, tuple[int, str]] = {}
    for column in columns:
        for line, cell in zip(lines, column, strict=True):
            if "," not in cell and ("." not in cell or ("decimal", ".") in told):
                continue
            found = _CELL.fullmatch(cell)
            marks = _marks(found["core"]) if found else ("", "")
            if found is None or not marks[0]:
                continue
            if found["power"] and marks[0] == "open":
                marks = ("decimal", marks[1])
            if marks[0] == "open":
                opened.setdefault(marks[1], (line, cell))
            elif marks[0] != "none":
                decimal_mark = marks[1] if marks[0] == "decimal" else {",": ".", ".": ","}[marks[1]]
                told.setdefault(("decimal", decimal_mark), (line, cell))
                if any(mark in found["core"] for mark in {",", "."} - {decimal_mark}):
                    opened.setdefault({",": ".", ".": ","}[decimal_mark], (line, cell))
    points, commas = told.get(("decimal", ".")), told.get(("decimal", ","))
    against = commas if decimal == "." else points if decimal == "," else None
    if against:
        raise ValueError(
            f"{name}: {against[1]!r} on line {against[0]} is not written with {decimal!r} before its decimals, as "
            f"decimal (--decimal) says; leave that out, or write all numbers in one way"
        )
    if decimal is None and points and commas:
        raise ValueError(
            f"{name}: {commas[1]!r} on line {commas[0]} has a comma before its decimals, {points[1]!r} on line "
            f"{points[0]} a point; write all numbers in one way, with a point"
        )
    chosen = decimal or ("." if points else "," if commas else _by_steps(columns, opened, name, asked))
    if decimal is None:
        for column in columns:
            _check_steps(column, lines, name, chosen, asked)
    other = "," if chosen == "." else "."
    line_and_cell = opened.get(other)
    return Notation(chosen, other if line_and_cell else "", line_and_cell[1] if line_and_cell else "")


def _by_steps(columns: Sequence[Sequence[str]], opened: dict[str, tuple[int, str]], name: str, asked: bool) -> str:
    """The decimal mark where no number tells it by itself: that of the reading with the smaller steps."""
    if not opened:
        return "."
    gains = [gain for column in columns for gain in _gains(column)]
    gain = float(np.mean(gains)) if gains else 0.0
    mark = "," if "," in opened else "."
    other = "." if mark == "," else ","
    if len(opened) == 2 or (mark == "," and abs(gain) <= _CLEAR):
        line, cell = opened[","]
        say = f"{_SAY}, or " if asked else ""
        raise ValueError(
            f"{name}: {cell!r} on line {line} can be {cell.replace(',', '')} or {cell.replace(',', '.')}, and no other "
            f"number tells which; {say}write the numbers without separators between thousands"
        )
    return other if gain > _CLEAR else mark


def _check_steps(column: Sequence[str], lines: Sequence[int], name: str, mark: str, asked: bool) -> None:
    """Refuse a column where the mark stands between thousands, by its steps, though others have it before decimals."""
    first = None
    for line, cell in zip(lines, column, strict=True):
        if mark in cell:
            found = _CELL.fullmatch(cell)
            if found is None or found["power"] or _marks(found["core"])[0] != "open":
                return
            first = first or (line, cell)
    gains = [] if first is None else _gains(column)
    if first is not None and gains and float(np.mean(gains)) > _CLEAR:
        line, cell = first
        raise ValueError(
            f"{name}: {cell!r} on line {line} seems to be {cell.replace(mark, '')}, as the numbers around it, but "
            f"others have {mark!r} before decimals; write numbers without separators between thousands"
            f"{f', or {_SAY}' if asked else ''}"
        )


def _gains(column: Sequence[str]) -> list[float]:
    """By how much the logarithm of each step between a whole number and an open one is smaller with thousands."""
    found = []
    cores = [match["core"] if (match := _CELL.fullmatch(cell)) else "" for cell in column]
    for before, after in pairwise(cores):
        whole, opened = (before, after) if _DIGITS.fullmatch(before) else (after, before)
        if _DIGITS.fullmatch(whole) and _OPEN.fullmatch(opened) and int(whole) > 0:
            thousands = float(re.sub(r"[.,]", "", opened)) / int(whole)
            found.append(abs(float(np.log(thousands / 1000))) - abs(float(np.log(thousands))))
    return found
