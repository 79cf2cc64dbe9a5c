"""Times in parts: columns of year, month, day and hour, or of a date and a time of day, put together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gnnkit.data.own_times import CLOCK, calendar_times, is_time, text_times
from gnnkit.data.tables import Table

__all__ = ["join_parts", "repeated_parts"]

_TITLES = {
    "year": {"year", "yr", "yyyy", "jahr"},
    "month": {"month", "mon", "mm", "mo", "monat"},
    "day": {"day", "dd", "dy", "dom", "mday", "day_of_month", "tag"},
    "hour": {"hour", "hr", "hh", "h", "stunde"},
    "minute": {"minute", "min", "mi"},
    "second": {"second", "sec", "ss"},
    "week": {"week", "isoweek", "wk", "kw"},
    "quarter": {"quarter", "qtr"},
    "day of the year": {"doy", "day_of_year", "dayofyear", "yday"},
}
_RANGES = {
    "year": (1678, 2261),
    "month": (1, 12),
    "day": (1, 31),
    "hour": (0, 2400),
    "minute": (0, 59),
    "second": (0, 60),
    "week": (1, 53),
    "quarter": (1, 4),
    "day of the year": (1, 366),
}
_CALENDARS = ({"year", "month", "day"}, {"year", "month"}, {"year", "day of the year"}, {"year", "week"},
              {"year", "quarter"})  # fmt: skip
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_REPEATS = {
    "year": "year",
    "month": "month",
    "day": "day",
    "hour": "hour",
    "minute": "minute",
    "quarter": "quarter",
    **dict.fromkeys(("weekday", "dayofweek", "day_of_week", "dow", "wday", "weekend", "is_weekend"), "day_of_week"),
    "doy": "day_of_year",
    "dayofyear": "day_of_year",
    "week": "week",
    "weekofyear": "week",
    "hour_of_day": "hour",
}
"""Titles of columns that often stand beside times, and what they say of them."""


def join_parts(table: Table, notes: list[str]) -> tuple[pd.DatetimeIndex, int] | None:
    """The times that the first columns of a table hold in parts.

    Args:
        table: Rows below the names of their columns.
        notes: Gets a sentence.

    Returns:
        The times, and how many columns hold them; None where the first columns hold no parts of a time.

    Raises:
        ValueError: Parts that make no date (the line is named).
    """
    if table.names is None:
        return None
    found = _of_numbers(table) or _of_texts(table)
    if found is None:
        return None
    times, count = found
    columns, names = table.columns[:count], ", ".join(name for name in table.names[:count])
    which = f"{columns[0]} to {columns[-1]}" if count > 2 else f"{columns[0]} and {columns[-1]}"
    notes.append(f"{table.path.name}: columns {which} ({names}) hold parts of a time, and are read as one.")
    return times, count


def _role(title: str) -> str | None:
    known = title.lower().replace(" ", "_")
    return next((role for role, titles in _TITLES.items() if known in titles), None)


def _numbers(cells: Sequence[str], role: str) -> NDArray[np.float64] | None:
    """The numbers of a part, in the range that it has; None: they are none."""
    if role == "month" and any(cell[:3].lower() in _MONTHS for cell in cells):
        names = [cell[:3].lower() for cell in cells]
        return np.array([_MONTHS.index(name) + 1.0 for name in names]) if set(names) <= set(_MONTHS) else None
    try:
        numbers = np.array([float(cell) for cell in cells])
    except ValueError:
        return None
    low, high = _RANGES[role]
    whole = (numbers == np.floor(numbers)).all() and low <= numbers.min() and numbers.max() <= high
    return numbers if whole else None


def _clock_hours(numbers: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Hours of 0 to 24, or written as 100, 1530, 2400; None: they are neither."""
    if numbers.max() <= 24:
        return numbers
    minutes = numbers % 100
    return numbers // 100 + minutes / 60 if (minutes < 60).all() else None


def _of_numbers(table: Table) -> tuple[pd.DatetimeIndex, int] | None:
    parts: dict[str, NDArray[np.float64]] = {}
    for number, title in enumerate(table.names or ()):
        role = _role(title)
        if role is None or role in parts:
            break
        numbers = _numbers(table.column(number), role)
        if numbers is None:
            break
        parts[role] = numbers
    clock = [role for role in ("hour", "minute", "second") if role in parts]
    calendar = set(parts) - set(clock)
    if calendar not in _CALENDARS or clock != ["hour", "minute", "second"][: len(clock)]:
        return None
    whole = {role: numbers.astype(np.int64) for role, numbers in parts.items()}
    texts = {
        frozenset({"year", "month", "day"}): lambda row: (
            f"{whole['year'][row]}-{whole['month'][row]:02}-{whole['day'][row]:02}"
        ),
        frozenset({"year", "month"}): lambda row: f"{whole['year'][row]}-{whole['month'][row]:02}-01",
        frozenset({"year", "week"}): lambda row: f"{whole['year'][row]}-W{whole['week'][row]:02}",
        frozenset({"year", "quarter"}): lambda row: f"{whole['year'][row]}-Q{whole['quarter'][row]}",
        frozenset({"year", "day of the year"}): lambda row: f"{whole['year'][row]}-01-01",
    }
    cells = [texts[frozenset(calendar)](row) for row in range(len(table.cells))]
    for row, cell in enumerate(cells):
        if not is_time(cell):
            raise ValueError(f"{table.path.name}: line {table.lines[row]}: {cell!r}, put together, is no date")
    times = text_times(cells, table.lines, table.path.name)
    if "day of the year" in whole:
        times = times + pd.to_timedelta(whole["day of the year"] - 1, unit="D")
    if clock:
        hours = _clock_hours(parts["hour"])
        if hours is None:
            return None
        times = times + pd.to_timedelta(np.round(hours * 60).astype(np.int64), unit="min")
        if len(clock) > 1:
            times = times + pd.to_timedelta(whole["minute"], unit="min")
        if len(clock) > 2:
            times = times + pd.to_timedelta(whole["second"], unit="s")
    return pd.DatetimeIndex(times), len(parts)


def _of_texts(table: Table) -> tuple[pd.DatetimeIndex, int] | None:
    """A column of dates, and one of times of day or hours, in either order."""
    if table.width < 3:
        return None
    for dates, clocks in ((0, 1), (1, 0)):
        days = _dates(table, dates)
        hours = None if days is None else _clocks(table, clocks)
        if days is not None and hours is not None:
            text = [f"{day} {hour}" for day, hour in zip(days, hours, strict=True)]
            return text_times(text, table.lines, table.path.name, table.columns[dates]), 2
    return None


def _dates(table: Table, column: int) -> list[str] | None:
    cells = table.column(column)
    if all(is_time(cell) and ":" not in cell for cell in cells):
        return cells
    if all(cell.isdecimal() and len(cell) == 8 for cell in cells):
        times = calendar_times(np.array([float(cell) for cell in cells]), "date")
        return None if times is None else times.strftime("%Y-%m-%d").tolist()
    return None


def _clocks(table: Table, column: int) -> list[str] | None:
    cells, title = table.column(column), (table.names or ())[column]
    if all(CLOCK.fullmatch(cell) for cell in cells):
        return cells
    numbers = _numbers(cells, "hour") if _role(title) == "hour" or title.lower() in ("time", "hhmm") else None
    hours = None if numbers is None else _clock_hours(numbers)
    if hours is None:
        return None
    minutes = np.round(hours * 60).astype(np.int64)
    return [f"{minute // 60:02}:{minute % 60:02}" for minute in minutes]


def repeated_parts(table: Table, times: pd.DatetimeIndex) -> list[int]:
    """Columns that say again what the times say: the hour, the weekday, …

    Args:
        table: Columns beside the times.
        times: Of its rows.

    Returns:
        The places of columns that are called so and whose cells follow from the times.
    """
    found = []
    for place, name in enumerate(table.names or ()):
        part = _REPEATS.get(name.lower().replace(" ", "_"))
        if part is None:
            continue
        of_time = times.isocalendar()["week"].to_numpy() if part == "week" else getattr(times, part).to_numpy()
        cells = pd.Series(table.column(place))
        apart = pd.Series(pd.to_numeric(cells, errors="coerce")) - pd.Series(of_time)
        kinds = cells.groupby(of_time).nunique().to_numpy()
        # Hours from 0 or 1, Mondays that are 0 or 1; or any words, if each comes with one hour or day alone.
        if apart.nunique(dropna=False) == 1 or (bool((kinds == 1).all()) and 2 * len(kinds) <= len(cells)):
            found.append(place)
    return found
