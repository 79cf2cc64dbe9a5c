"""Times in files: read in the ways people write them, and put on a regular grid of rows."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Grid", "is_time", "months_of", "number_times", "put_on_grid", "season_of", "text_times"]

DAY = 24 * 60
WEEK = 7 * DAY
TIME_TITLES = frozenset({"", "date", "datetime", "day", "hour", "month", "period", "time", "timestamp", "week", "when",
                         "year", "yearmonth", "index", "unnamed: 0"})  # fmt: skip
ISO_WEEK = re.compile(r"(\d{4})-?W(\d{1,2})")
DATE = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})\b(.*)", re.DOTALL)
MONTH_NAMES = {1: "month", 3: "quarter", 6: "half-year", 12: "year"}


@dataclass(frozen=True, eq=False)
class Grid:
    """Values on a regular grid of rows.

    Args:
        values: `[L, N, F]`, NaN in rows whose time was left out.
        step_minutes: Minutes from row to row; None where they are not the same for all rows, or unknown.
        step_unit: What a row is where it has no fixed number of minutes: `"month"`, `"quarter"`, `"year"`, `"weekday"`.
        added: Rows put in.
    """

    values: NDArray[np.float64]
    step_minutes: float | None
    step_unit: str
    added: int


def is_time(cell: str) -> bool:
    """Tell whether a cell holds a date or a time, and not a number alone."""
    try:
        float(cell)
    except ValueError:
        pass
    else:
        return False
    if ISO_WEEK.fullmatch(cell) or DATE.fullmatch(cell):
        return True
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
        ValueError: A cell that is no time (its line is named), or dates that can be read in both ways.
    """
    weeks = [ISO_WEEK.fullmatch(cell) for cell in cells]
    dates = [DATE.fullmatch(cell) for cell in cells]
    try:
        if all(weeks):
            text = [f"{week[1]}-W{week[2]}-1" for week in weeks if week]
            return pd.DatetimeIndex(pd.to_datetime(text, format="%G-W%V-%u"))
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
    regular = {order: times for order, times in rising.items() if _steps(times) is not None}
    kept = regular or rising or read
    if len(kept) == 1 or dates[0][2] == ".":
        return kept.get("day", next(iter(kept.values())))
    if kept["month"].equals(kept["day"]):
        return kept["day"]
    raise ValueError(
        f"{name}: dates like {dates[0][0]!r} can be read with the month first and with the day first; "
        f"write them as YYYY-MM-DD"
    )


def number_times(title: str, cells: list[str]) -> pd.DatetimeIndex | None:
    """Read times that are written as whole numbers, in a column that is named as one of times or has no name.

    Args:
        title: The column's name.
        cells: The column.

    Returns:
        The times of years (2015), months (201501), days (20150105), or seconds or milliseconds since 1970; None where
        the column holds something else.
    """
    if title.lower() not in TIME_TITLES or not all(cell.isdecimal() and len(cell) < 15 for cell in cells):
        return None
    numbers = [int(cell) for cell in cells]
    if any(later <= number for number, later in itertools.pairwise(numbers)):
        return None
    readings: dict[str, Callable[[], pd.DatetimeIndex]] = {
        "year": lambda: pd.DatetimeIndex(pd.to_datetime(cells, format="%Y")),
        "month": lambda: pd.DatetimeIndex(pd.to_datetime(cells, format="%Y%m")),
        "day": lambda: pd.DatetimeIndex(pd.to_datetime(cells, format="%Y%m%d")),
        "seconds": lambda: pd.DatetimeIndex(pd.to_datetime(numbers, unit="s")),
        "milliseconds": lambda: pd.DatetimeIndex(pd.to_datetime(numbers, unit="ms")),
    }
    ranges = {
        "year": (1600, 2200),
        "month": (160001, 220012),
        "day": (16000101, 22001231),
        "seconds": (10**8, 10**10),
        "milliseconds": (10**11, 10**13),
    }
    for kind, (low, high) in ranges.items():
        if low <= numbers[0] and numbers[-1] <= high:
            try:
                return readings[kind]()
            except ValueError:
                return None
    return None


def put_on_grid(values: NDArray[np.float64], times: pd.DatetimeIndex, name: str) -> Grid:
    """Put each row at its time on a regular grid; rows whose time is left out become NaN.

    Rows are equally spaced in minutes, or months, quarters or years, or days from Monday to Friday.

    Args:
        values: `[rows, nodes, features]`.
        times: Time of each row.
        name: Name of the file, for messages.

    Returns:
        The grid.

    Raises:
        ValueError: A time is missing, is not later than the one before, or is on no regular grid.
    """
    if times.hasnans:
        raise ValueError(f"{name}: row {int(times.isna().argmax())} (counted from 0) has no time")
    if len(times) < 2:
        return Grid(values, None, "", 0)
    gaps = np.diff(times.as_unit("ns").asi8)
    if (gaps <= 0).any():
        row = int((gaps <= 0).argmax()) + 1
        back = times.tz is None and gaps[row - 1] > -2 * 3600e9
        raise ValueError(
            f"{name}: row {row} (counted from 0) is at {times[row]}, not later than the row before; "
            + ("write times in UTC if clocks were set back there, else sort the rows" if back else "sort the rows")
        )
    steps = _steps(times)
    if steps is None:
        row = int((gaps != np.median(gaps)).argmax()) + 1
        raise ValueError(
            f"{name}: the times are not regular: row {row} (counted from 0) comes {pd.Timedelta(gaps[row - 1])} "
            f"after the one before, the shortest step is {pd.Timedelta(int(gaps.min()))}; "
            f"pass step_minutes to take the rows as equally spaced"
        )
    places, step_minutes, unit = steps
    filled = np.full((int(places[-1]) + 1, *values.shape[1:]), np.nan)
    filled[places] = values
    return Grid(filled, step_minutes, unit, len(filled) - len(values))


def _steps(times: pd.DatetimeIndex) -> tuple[NDArray[np.int64], float | None, str] | None:
    """The row of each of some rising times on a regular grid, the grid's minutes and its unit; None: there is none."""
    gaps = np.diff(times.as_unit("ns").asi8)
    if len(gaps) == 0:
        return np.zeros(1, dtype=np.int64), None, ""
    months = _whole_steps(times.year.to_numpy() * 12 + times.month.to_numpy()) if _are_calendar(times) else None
    if months is not None:
        places, step = months
        return places, None, MONTH_NAMES.get(step, f"{step} months")
    fixed = _whole_steps(np.concatenate([[0], np.cumsum(gaps)]))
    if fixed is None:
        return None
    places, step = fixed
    week_ends = times.day_of_week.to_numpy() >= 5
    if step == DAY * 60 * 10**9 and len(times) >= 10 and not week_ends.any():
        days = times.tz_localize(None).to_numpy().astype("datetime64[D]")
        return np.busday_count(days[0], days).astype(np.int64), None, "weekday"
    return places, step / 60e9, ""


def _whole_steps(numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], int] | None:
    """Places on a grid of the shortest step; None where a number is beside it, or most places would be empty."""
    step = int(np.diff(numbers).min())
    if step <= 0 or ((numbers - numbers[0]) % step).any():
        return None
    places = (numbers - numbers[0]) // step
    return (places, step) if places[-1] + 1 <= 2 * len(numbers) else None


def _are_calendar(times: pd.DatetimeIndex) -> bool:
    """Whether all times are on one day of the month, or on the last, at one time of day, a month or more apart."""
    same_hour = (times - times.normalize()).nunique() == 1
    return same_hour and (times.day.nunique() == 1 or bool(times.is_month_end.all()))


def season_of(step_minutes: float | None, step_unit: str) -> int | None:
    """Rows in a season: a day of rows that are shorter, a week of days, a year of weeks, months or quarters.

    Args:
        step_minutes: Minutes from row to row; None: unknown, or not the same for all rows.
        step_unit: See `Grid`.

    Returns:
        Rows, at least 2; None where the step has no such season.

    Example:
        >>> season_of(60, ""), season_of(7 * 24 * 60, ""), season_of(None, "month"), season_of(None, "")
        (24, 52, 12, None)
    """
    if step_unit == "weekday":
        return 5
    if step_unit:
        months = months_of(step_unit)
        return 12 // months if months is not None and months < 12 and 12 % months == 0 else None
    if step_minutes is None:
        return None
    if step_minutes < DAY:
        rows = DAY / step_minutes
        return round(rows) if abs(rows - round(rows)) < 1e-6 else None
    return {DAY: 7, WEEK: 52, 2 * WEEK: 26, 4 * WEEK: 13}.get(int(step_minutes)) if step_minutes % DAY == 0 else None


def months_of(step_unit: str) -> int | None:
    """The months in a row of such a unit; None where it is none of months.

    Example:
        >>> months_of("quarter"), months_of("2 months"), months_of("weekday")
        (3, 2, None)
    """
    names = {name: count for count, name in MONTH_NAMES.items()}
    if step_unit in names:
        return names[step_unit]
    count = step_unit.removesuffix(" months")
    return int(count) if count != step_unit and count.isdecimal() else None
