"""Times in files: the ways in which people write them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gnnkit.data.own_grid import number_places, time_places

__all__ = [
    "CLOCK", "ROW_TITLES", "TIME_TITLES", "UNNAMED", "are_times", "calendar_times", "is_time", "number_rows",
    "text_times",
]  # fmt: skip

#: What a data frame calls its row labels where they have no name.
UNNAMED = frozenset({"", "index", "unnamed: 0"})
ROW_TITLES = UNNAMED | {
    "#",
    "id",
    "idx",
    "n",
    "no",
    "no.",
    "nr",
    "nr.",
    "num",
    "number",
    "obs",
    "row",
    "row_id",
    "rownum",
}
"""What people call a column that numbers the rows, in lower case."""
TIME_TITLES = frozenset({"date", "datetime", "day", "epoch", "hour", "month", "period", "time", "timestamp", "ts",
                         "unix", "week", "when", "year", "yearmonth"})  # fmt: skip
"""Names of columns of times, in lower case."""
ISO_WEEK = re.compile(r"(\d{4})-?W(\d{1,2})")
QUARTER = re.compile(r"(\d{4})-?Q([1-4])", re.IGNORECASE)
DATE = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})\b(.*)", re.DOTALL)
CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[ap]\.?m\.?)?", re.IGNORECASE)
_FORMS = {"week": ISO_WEEK, "quarter": QUARTER, "date": DATE}
YEAR = re.compile(r"\d{4}|\d{1,2}[-. /][A-Z]{3,9}\.?[-. /,]+\d{2}\b", re.IGNORECASE)
MIDNIGHT = re.compile(r"(?<=[\sT])24(:00(?::00(?:[.,]0+)?)?)(?=$|[\sZ+-])")
"""The end of a day, which is the beginning of the next."""
_YEARLY = frozenset({"date", "period", "when", "year"})
"""Names under which four digits are a year."""
_EXCEL = frozenset({"date", "datetime", "day", "when"})
"""Names under which whole numbers are days of a spreadsheet, from 1982 to 2064."""
_SAMPLED = 25
_FIRST_YEAR, _LAST_YEAR = 1678, 2261
"""Between them, nanoseconds fit into 64 bits."""
_UNITS = {
    (1e8, 1e10): (1e3, "ms"),
    (1e11, 1e13): (1.0, "ms"),
    (1e14, 1e16): (1.0, "us"),
    (1e17, 9e18): (1e-3, "us"),
}
"""From where to where numbers are seconds, milliseconds, microseconds or nanoseconds; what they are read as."""


def is_time(cell: str) -> bool:
    """Tell whether a cell holds a date or a time, and not a number alone."""
    try:
        float(cell)
    except ValueError:
        pass
    else:
        return False
    if any(form.fullmatch(cell) for form in (ISO_WEEK, QUARTER, DATE, CLOCK)):
        return True
    if not YEAR.search(cell):  # a name like May or T10
        return False
    try:
        return not pd.isna(pd.Timestamp(MIDNIGHT.sub(r"00\1", cell)))
    except ValueError:
        return False


def are_times(cells: Sequence[str]) -> bool:
    """Tell whether most cells of a column, below what may be its name, are times."""
    first = 1 if len(cells) > 1 else 0
    sample = np.unique(np.linspace(first, len(cells) - 1, min(len(cells) - first, _SAMPLED)).astype(int))
    times = sum(is_time(cells[int(row)]) for row in sample)
    return times > 0 and 2 * times >= len(sample)


def text_times(cells: list[str], lines: list[int], name: str, column: int = 1) -> pd.DatetimeIndex:
    """Read a column of times.

    Dates like 03/04/2024 are read month first or day first, whichever puts the rows in order and at equal steps. 24:00
    is midnight of the next day.

    Args:
        cells: The column.
        lines: Line of the file that each cell came from.
        name: Name of the file, for messages.
        column: Number of the column, for messages.

    Returns:
        The times; where their offsets from UTC differ, all with the first one's.

    Raises:
        ValueError: A cell that is no time (its line is named), times of day without a date, or dates that can be read
            in both ways.
    """

    def wrong(row: int, why: str) -> ValueError:
        return ValueError(f"{name}: line {lines[row]}, column {column}: {cells[row]!r} {why}")

    clock = next((row for row, cell in enumerate(cells) if CLOCK.fullmatch(cell)), None)
    if clock is not None:
        raise wrong(clock, "is a time of day without a date; write times as YYYY-MM-DD hh:mm")
    later = np.array([bool(MIDNIGHT.search(cell)) for cell in cells])
    text = [MIDNIGHT.sub(r"00\1", cell) for cell in cells] if later.any() else cells
    forms = [next((kind for kind, form in _FORMS.items() if form.fullmatch(cell)), "") for cell in text]
    none = next((row for row, form in enumerate(forms) if not form and not is_time(text[row])), None)
    if none is not None:
        raise wrong(none, "is not a time, unlike the others; write times as YYYY-MM-DD hh:mm")
    odd = next((row for row, form in enumerate(forms) if form != forms[0]), None)
    if odd is not None:
        raise wrong(odd, f"is written in another way than {cells[0]!r} on line {lines[0]}; write times in one way")
    try:
        if forms[0] == "week":
            days = [f"{week[1]}-W{week[2]}-1" for week in map(ISO_WEEK.fullmatch, text) if week]
            return pd.DatetimeIndex(pd.to_datetime(days, format="%G-W%V-%u"))
        if forms[0] == "quarter":
            days = [f"{part[1]}-{3 * int(part[2]) - 2:02}-01" for part in map(QUARTER.fullmatch, text) if part]
            return pd.DatetimeIndex(pd.to_datetime(days))
        if forms[0] == "":
            return _days_later(_parse(text), later)
    except ValueError:
        raise ValueError(
            f"{name}: the times in column {column} are not of one kind; write them as YYYY-MM-DD hh:mm"
        ) from None
    return _in_either_order([date for date in map(DATE.fullmatch, text) if date], later, name, column)


def _days_later(times: pd.DatetimeIndex, later: NDArray[np.bool_]) -> pd.DatetimeIndex:
    return times + pd.to_timedelta(later.astype(np.int64), unit="D") if later.any() else times


def _parse(cells: list[str]) -> pd.DatetimeIndex:
    try:
        return pd.DatetimeIndex(pd.to_datetime(cells, format="mixed"))
    except ValueError:
        times = pd.DatetimeIndex(pd.to_datetime(cells, format="mixed", utc=True))  # offsets differ: summer time
        return times.tz_convert(pd.Timestamp(cells[0]).tz)


def _in_either_order(dates: list[re.Match[str]], later: NDArray[np.bool_], name: str, column: int) -> pd.DatetimeIndex:
    read: dict[str, pd.DatetimeIndex] = {}
    for order, (month, day) in {"month": (1, 3), "day": (3, 1)}.items():
        # Two-digit years as in POSIX: 69 to 99 are of the last century.
        years = [int(date[4]) + (0 if len(date[4]) == 4 else 1900 if int(date[4]) > 68 else 2000) for date in dates]
        text = [
            f"{year}-{int(date[month]):02}-{int(date[day]):02}{date[5]}"
            for year, date in zip(years, dates, strict=True)
        ]
        try:
            read[order] = _days_later(_parse(text), later)
        except ValueError:
            continue
    if not read:
        raise ValueError(
            f"{name}: column {column} has dates like {dates[0][0]!r} that are none, with the month or the day first; "
            f"write them as YYYY-MM-DD"
        )
    rising = {order: times for order, times in read.items() if times.is_monotonic_increasing and times.is_unique}
    regular = {order: times for order, times in rising.items() if time_places(times) is not None}
    kept = regular or rising or read
    if len(kept) == 1 or dates[0][2] == ".":
        return kept.get("day", next(iter(kept.values())))
    if kept["month"].equals(kept["day"]):
        return kept["day"]
    raise ValueError(
        f"{name}: dates like {dates[0][0]!r} can be read with the month first and with the day first; "
        f"write them as YYYY-MM-DD"
    )


def number_rows(
    title: str | None, cells: list[str], lines: list[int], name: str, notes: list[str] | None = None
) -> pd.Index | None:
    """Read times that are written as numbers, or the numbers of rows, in a first column.

    Args:
        title: The column's name; None: it has no line of names above it.
        cells: The column.
        lines: Line of the file that each cell came from.
        name: Name of the file, for messages.
        notes: Gets sentences on what was guessed.

    Returns:
        The times of years (2015), months (201501), weeks (202452 under the name week), days (20150105, 2015005), hours,
        minutes or seconds (2015010500, …), of seconds, milliseconds, microseconds or nanoseconds since 1970, or of days
        of a spreadsheet (45352 is 2024-03-01 under the name date); or numbers that rise evenly. None where the column
        holds a node: its name is not one of times, or it has none, and the numbers are not times since 1970 that rise
        evenly.

    Raises:
        ValueError: The column is called like one of times, or like none, and holds something else.

    Example:
        >>> number_rows("time", ["1700000000", "1700003600"], [2, 3], "speeds.csv")[1]
        Timestamp('2023-11-14 23:13:20')
        >>> number_rows("", ["100", "101", "103"], [2, 3, 4], "speeds.csv").tolist()
        [100.0, 101.0, 103.0]
        >>> number_rows("north", ["100", "101"], [2, 3], "speeds.csv") is None
        True
    """
    known = None if title is None else title.lower()
    named = known in TIME_TITLES
    numbers = np.array([_number(cell) for cell in cells], dtype=np.float64)
    if np.isnan(numbers).any():
        if not named:
            return None
        row = int(np.isnan(numbers).argmax())
        raise ValueError(
            f"{name}: line {lines[row]}, column 1 ({title!r}): {cells[row]!r} is no time; "
            f"write times as YYYY-MM-DD hh:mm"
        )
    even = number_places(numbers) is not None
    if not named and known not in UNNAMED:
        since = _since_1970(numbers)
        # Without names, seconds of 2001 to 2033 that never fall are times that have a gap, and no node.
        likely = known is None and 1e9 <= numbers[0] <= 2e9 and bool((np.diff(numbers) >= 0).all())
        return since if even or likely else None
    times = calendar_times(numbers, known or "")
    times = _since_1970(numbers) if times is None else times
    if times is None and numbers.min() >= 30000 and numbers.max() < 60000 and len(numbers) > 1:
        whole = bool((numbers == np.floor(numbers)).all())
        if known in _EXCEL or (named and not whole and known != "year"):
            times = pd.Timestamp("1899-12-30") + pd.to_timedelta(np.round(numbers * 86400), unit="s")
            times = pd.DatetimeIndex(times)
            if notes is not None:
                notes.append(f"{name}: {cells[0]} under {title!r} is read as a spreadsheet's day, {times[0]}.")
    if times is not None:
        return times
    if even and not (named and _are_clocks(numbers)):
        return pd.Index(numbers)
    shown = ", ".join(cells[:3])
    raise ValueError(
        f"{name}: column 1 ({title!r}) holds {shown}, …, which are neither times nor row numbers that rise evenly; "
        f"write times as YYYY-MM-DD hh:mm, take the column out, or, if it is a node, give it another name"
    )


def calendar_times(numbers: NDArray[np.float64], title: str) -> pd.DatetimeIndex | None:
    """Times whose digits are those of a calendar, year first; None: some are not.

    Args:
        numbers: The column.
        title: Its name, in lower case: 2015 is a year under few, and 201502 may be a week.
    """
    if not (numbers == np.floor(numbers)).all() or numbers.min() < 1000:
        return None
    text = [f"{number:.0f}" for number in numbers]
    digits = {len(cell) for cell in text}
    formats = {6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
    later = np.array([cell[8:10] == "24" and not cell[10:].strip("0") for cell in text])
    text = [f"{cell[:8]}00{cell[10:]}" if end else cell for cell, end in zip(text, later, strict=True)]
    # 1700, 1701, … without a name are the rows of a longer table, more often than years.
    formats |= {4: "%Y"} if title in _YEARLY else {}
    formats |= {7: "%Y%j"} if title in TIME_TITLES else {}
    if title == "week":
        formats, text = {6: "%G-W%V-%u"}, [f"{cell[:4]}-W{cell[4:]}-1" for cell in text]
    form = formats.get(digits.pop()) if len(digits) == 1 else None
    if form is None or not all(_FIRST_YEAR <= int(cell[:4]) <= _LAST_YEAR for cell in text):
        return None
    try:
        return _days_later(pd.DatetimeIndex(pd.to_datetime(text, format=form)), later)
    except ValueError:
        return None


def _since_1970(numbers: NDArray[np.float64]) -> pd.DatetimeIndex | None:
    """Times of numbers of one unit since 1970, from 1973 to 2286; None: they are none."""
    for (low, high), (factor, unit) in _UNITS.items():
        if low <= numbers.min() and numbers.max() <= high:
            # A double holds seconds to the millisecond and better, nanoseconds to 256 of them.
            whole = np.round(numbers * factor).astype(np.int64)
            return pd.DatetimeIndex(pd.to_datetime(whole, unit=unit))
    return None


def _are_clocks(numbers: NDArray[np.float64]) -> bool:
    """Whether numbers look like times of day without a date, 0, 5, …, 55, 100, and not like row numbers."""
    minutes = numbers % 100
    return bool(numbers.max() < 2400 and (minutes < 60).all() and (np.diff(minutes) < 0).any())


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")
