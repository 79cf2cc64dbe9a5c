"""Times in files: the ways in which people write them."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gnnkit.data.own_grid import number_places, time_places

__all__ = ["CLOCK", "TIME_TITLES", "UNNAMED", "is_time", "number_rows", "text_times"]

#: What a data frame calls its row labels where they have no name.
UNNAMED = frozenset({"", "index", "unnamed: 0"})
TIME_TITLES = frozenset({"date", "datetime", "day", "epoch", "hour", "month", "period", "time", "timestamp", "ts",
                         "unix", "week", "when", "year", "yearmonth"})  # fmt: skip
"""Names of columns of times, in lower case."""
ISO_WEEK = re.compile(r"(\d{4})-?W(\d{1,2})")
QUARTER = re.compile(r"(\d{4})-?Q([1-4])", re.IGNORECASE)
DATE = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})\b(.*)", re.DOTALL)
CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[ap]\.?m\.?)?", re.IGNORECASE)
YEAR = re.compile(r"\d{4}|\d{1,2}[-. /][A-Z]{3,9}\.?[-. /,]+\d{2}\b", re.IGNORECASE)
_YEARLY = frozenset({"date", "period", "when", "year"})
"""Names under which four digits are a year."""
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
        return not pd.isna(pd.Timestamp(cell))
    except ValueError:
        return False


def text_times(cells: list[str], lines: list[int], name: str) -> pd.DatetimeIndex:
    """Read a column of times.

    Dates like 03/04/2024 are read month first or day first, whichever puts the rows in order and at equal steps.

    Args:
        cells: The column.
        lines: Line of the file that each cell came from.
        name: Name of the file, for messages.

    Returns:
        The times; where their offsets from UTC differ, all with the first one's.

    Raises:
        ValueError: A cell that is no time (its line is named), times of day without a date, or dates that can be read
            in both ways.
    """
    if any(CLOCK.fullmatch(cell) for cell in cells):
        row = next(row for row, cell in enumerate(cells) if CLOCK.fullmatch(cell))
        raise ValueError(
            f"{name}: line {lines[row]}, column 1: {cells[row]!r} is a time of day without a date; "
            f"write times as YYYY-MM-DD hh:mm"
        )
    weeks = [ISO_WEEK.fullmatch(cell) for cell in cells]
    quarters = [QUARTER.fullmatch(cell) for cell in cells]
    dates = [DATE.fullmatch(cell) for cell in cells]
    try:
        if all(weeks):
            text = [f"{week[1]}-W{week[2]}-1" for week in weeks if week]
            return pd.DatetimeIndex(pd.to_datetime(text, format="%G-W%V-%u"))
        if all(quarters):
            text = [f"{quarter[1]}-{3 * int(quarter[2]) - 2:02}-01" for quarter in quarters if quarter]
            return pd.DatetimeIndex(pd.to_datetime(text))
        if not all(dates):
            return _parse(cells)
    except ValueError:
        wrong = next((row for row, cell in enumerate(cells) if not is_time(cell)), None)
        if wrong is None:
            raise ValueError(
                f"{name}: the times in column 1 are not of one kind; write them as YYYY-MM-DD hh:mm"
            ) from None
        raise ValueError(
            f"{name}: line {lines[wrong]}, column 1: {cells[wrong]!r} is not a time, unlike those below"
        ) from None
    return _in_either_order([date for date in dates if date], name)


def _parse(cells: list[str]) -> pd.DatetimeIndex:
    try:
        return pd.DatetimeIndex(pd.to_datetime(cells, format="mixed"))
    except ValueError:
        times = pd.DatetimeIndex(pd.to_datetime(cells, format="mixed", utc=True))  # offsets differ: summer time
        return times.tz_convert(pd.Timestamp(cells[0]).tz)


def _in_either_order(dates: list[re.Match[str]], name: str) -> pd.DatetimeIndex:
    read: dict[str, pd.DatetimeIndex] = {}
    for order, (month, day) in {"month": (1, 3), "day": (3, 1)}.items():
        # Two-digit years as in POSIX: 69 to 99 are of the last century.
        years = [int(date[4]) + (0 if len(date[4]) == 4 else 1900 if int(date[4]) > 68 else 2000) for date in dates]
        text = [
            f"{year}-{int(date[month]):02}-{int(date[day]):02}{date[5]}"
            for year, date in zip(years, dates, strict=True)
        ]
        try:
            read[order] = _parse(text)
        except ValueError:
            continue
    if not read:
        raise ValueError(f"{name}: column 1 has dates like {dates[0][0]!r} that are none; write them as YYYY-MM-DD")
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


def number_rows(title: str | None, cells: list[str], lines: list[int], name: str) -> pd.Index | None:
    """Read times that are written as numbers, or the numbers of rows, in a first column.

    Args:
        title: The column's name; None: it has no line of names above it.
        cells: The column.
        lines: Line of the file that each cell came from.
        name: Name of the file, for messages.

    Returns:
        The times of years (2015), months (201501), weeks (202452 under the name week), days (20150105, 2015005), hours,
        minutes or seconds (2015010500, …), or of seconds, milliseconds, microseconds or nanoseconds since 1970; or
        numbers that rise evenly. None where the column holds a node: its name is not one of times, or it has none, and
        the numbers are not times since 1970 that rise evenly.

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
    times = _calendar_times(numbers, known or "")
    times = _since_1970(numbers) if times is None else times
    if times is not None:
        return times
    if even and not (named and _are_clocks(numbers)):
        return pd.Index(numbers)
    shown = ", ".join(cells[:3])
    raise ValueError(
        f"{name}: column 1 ({title!r}) holds {shown}, …, which are neither times nor row numbers that rise evenly; "
        f"write times as YYYY-MM-DD hh:mm, take the column out, or, if it is a node, give it another name"
    )


def _calendar_times(numbers: NDArray[np.float64], title: str) -> pd.DatetimeIndex | None:
    """Times whose digits are those of a calendar, year first; None: some are not."""
    if not (numbers == np.floor(numbers)).all() or numbers.min() < 1000:
        return None
    text = [f"{number:.0f}" for number in numbers]
    digits = {len(cell) for cell in text}
    formats = {6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
    # 1700, 1701, … without a name are the rows of a longer table, more often than years.
    formats |= {4: "%Y"} if title in _YEARLY else {}
    formats |= {7: "%Y%j"} if title in TIME_TITLES else {}
    if title == "week":
        formats, text = {6: "%G-W%V-%u"}, [f"{cell[:4]}-W{cell[4:]}-1" for cell in text]
    form = formats.get(digits.pop()) if len(digits) == 1 else None
    if form is None or not all(_FIRST_YEAR <= int(cell[:4]) <= _LAST_YEAR for cell in text):
        return None
    try:
        return pd.DatetimeIndex(pd.to_datetime(text, format=form))
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
