"""The regular grid that a file's rows stand on: their step, their season, and rows that were left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gnnkit.data.own_hours import working_hours
from gnnkit.data.spans import span_in_words

__all__ = ["Grid", "equal_steps", "months_of", "number_places", "put_on_grid", "season_of", "time_places"]

DAY = 24 * 60
WEEK = 7 * DAY
SET_BACK = 2 * 3600 * 10**9
"""Nanoseconds that clocks are set back by at most."""
MONTH_NAMES = {1: "month", 3: "quarter", 6: "half-year", 12: "year"}


@dataclass(frozen=True, eq=False)
class Grid:
    """Values on a regular grid of rows.

    Args:
        values: `[L, N, F]`, NaN in rows whose time was left out.
        step_minutes: Minutes from row to row; None where they are not the same for all rows, or unknown.
        step_unit: What a row is where it has no fixed number of minutes: `"month"`, `"quarter"`, `"year"`, `"weekday"`.
        start: Time of the first row; None: unknown.
        added: Rows put in.
        season: Rows in a season, where the times tell more than the step.
        places: Row of the grid of each row of the file; None: they are the same.
    """

    values: NDArray[np.float64]
    step_minutes: float | None = None
    step_unit: str = ""
    start: pd.Timestamp | None = None
    added: int = 0
    season: int | None = None
    places: NDArray[np.int64] | None = None


Lines = Sequence[int] | None
"""Line of the file that each row came from; None: rows are counted from 0."""


def put_on_grid(values: NDArray[np.float64], rows: pd.Index, name: str, lines: Lines = None) -> Grid:
    """Put each row at its time, or its number, on a regular grid; rows that are left out become NaN.

    Rows are equally spaced in minutes, or months, quarters or years, or days from Monday to Friday, or within the same
    part of every day (working hours): nights, and week ends where no row lies in one, are then no gaps.

    Args:
        values: `[rows, nodes, features]`.
        rows: Time of each row, or evenly rising numbers of them.
        name: Name of the file, for messages.
        lines: See `Lines`.

    Returns:
        The grid.

    Raises:
        ValueError: A time is missing, is not later than the one before, or is on no regular grid.
    """
    if isinstance(rows, pd.DatetimeIndex):
        _check_order(rows, name, lines, back=0)
        steps = time_places(rows)
        if steps is None:
            hours = working_hours(rows)
            if hours is None:
                raise ValueError(_irregular(rows, name, lines))
            filled = _at_places(values, hours.places)
            unit, start = hours.unit, pd.to_datetime(rows.to_list()[0])
            return Grid(filled, None, unit, start, len(filled) - len(values), hours.rows_a_day, hours.places)
        places, step_minutes, unit = steps
        start = pd.to_datetime(rows.to_list()[0])
    else:
        numbered = number_places(rows.to_numpy())
        if numbered is None:
            raise ValueError(f"{name}: the row numbers in column 1 do not rise evenly")
        places, step_minutes, unit, start = numbered, None, "", None
    filled = _at_places(values, places)
    return Grid(filled, step_minutes, unit, start, len(filled) - len(values), places=places)


def _at_places(values: NDArray[np.float64], places: NDArray[np.int64]) -> NDArray[np.float64]:
    filled = np.full((int(places[-1]) + 1, *values.shape[1:]), np.nan)
    filled[places] = values
    return filled


def equal_steps(
    values: NDArray[np.float64], rows: pd.Index | None, step_minutes: float, name: str, lines: Lines = None
) -> Grid:
    """Take rows as equally spaced, whatever their times say; the last one is where its time says.

    Rows that have numbers and no times go to their numbers.

    Args:
        values: `[rows, nodes, features]`.
        rows: As in `put_on_grid`, or None.
        step_minutes: Minutes from row to row.
        name: Name of the file, for messages.
        lines: See `Lines`.

    Returns:
        The grid.

    Raises:
        ValueError: The step is not positive or far from that of most times, a time is missing, or the rows are out of
            order by more than clocks that are set back now and then.
    """
    if not 0 < step_minutes < np.inf:
        raise ValueError(f"step_minutes is {step_minutes:g}; give the minutes from row to row, a number above 0")
    start = season = None
    if isinstance(rows, pd.DatetimeIndex):
        _check_order(rows, name, lines, back=SET_BACK)
        median = float(np.median(np.diff(rows.as_unit("ns").asi8))) / 60e9 if len(rows) > 1 else step_minutes
        if not 2 / 3 < median / step_minutes < 3 / 2:
            raise ValueError(
                f"{name}: step_minutes is {step_minutes:g}, but the times are {median:g} minutes apart on the median; "
                f"give the file's step, or leave it out"
            )
        hours = working_hours(rows) if rows.is_monotonic_increasing and rows.is_unique else None
        season = hours.rows_a_day if hours is not None else None
        start = pd.to_datetime(rows.to_list()[-1]) - pd.to_timedelta((len(rows) - 1) * step_minutes, unit="min")
    elif rows is not None and (places := number_places(rows.to_numpy())) is not None:
        filled = _at_places(values, places)
        return Grid(filled, float(step_minutes), added=len(filled) - len(values), places=places)
    return Grid(values, float(step_minutes), start=start, season=season)


def _place(lines: Lines, row: int) -> str:
    return f"row {row} (counted from 0)" if lines is None else f"line {lines[row]}"


def _check_order(times: pd.DatetimeIndex, name: str, lines: Lines, *, back: int) -> None:
    """Refuse times that are missing or in no order, but for steps back, now and then, of up to so many nanoseconds."""
    if times.hasnans:
        raise ValueError(f"{name}: {_place(lines, int(times.isna().argmax()))} has no time")
    gaps = np.diff(times.as_unit("ns").asi8)
    if len(gaps) > 1 and (gaps < 0).all():
        raise ValueError(f"{name}: the rows go from the newest to the oldest; turn them round")
    set_back = back and (gaps < 0).sum() <= 1 + len(gaps) // 1000
    wrong = gaps < -back if set_back else gaps < 0 if back else gaps <= 0
    if not wrong.any():
        return
    if 2 * times.nunique() <= len(times):
        raise ValueError(
            f"{name}: {len(times)} rows have only {times.nunique()} times; if there is a row for each time and node, "
            f"name the column of the nodes (--node-column)"
        )
    row = int(wrong.argmax()) + 1
    clocks = "or write times in UTC if clocks were set back there"
    if gaps[row - 1] == 0:
        raise ValueError(
            f"{name}: {_place(lines, row)} is at {times[row]} like the row before; keep one row a time, {clocks}"
        )
    set_back = times.tz is None and gaps[row - 1] > -SET_BACK
    raise ValueError(
        f"{name}: {_place(lines, row)} is at {times[row]}, not later than the row before; sort the rows"
        + (f", {clocks}" if set_back else "")
    )


def _irregular(times: pd.DatetimeIndex, name: str, lines: Lines) -> str:
    gaps = np.diff(times.as_unit("ns").asi8)
    step = int(gaps.min())
    usual = float(np.quantile(gaps, 0.5, method="lower")) / 60e9
    hint = f"pass step_minutes (--step-minutes {usual:g}) to take the rows as equally spaced"
    if not (gaps % step).any():
        rows, widest = int(gaps.sum()) // step + 1, int(gaps.argmax()) + 1
        return (
            f"{name}: the times are {span_in_words(step / 60e9)} apart, but {rows - len(times)} of {rows} rows are "
            f"left out, the most before {_place(lines, widest)}; give a part with fewer gaps, or {hint}"
        )
    row = int((gaps != np.median(gaps)).argmax()) + 1
    return (
        f"{name}: the times are not regular: {_place(lines, row)} comes {pd.Timedelta(gaps[row - 1])} "
        f"after the one before, the shortest step is {pd.Timedelta(int(gaps.min()))}; {hint}"
    )


def number_places(numbers: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """Places of rising numbers on a grid of their shortest step; None where they are on none.

    Example:
        >>> number_places(np.array([0.1, 0.2, 0.4])).tolist(), number_places(np.array([2.0, 1.0]))
        ([0, 1, 3], None)
    """
    numbers = numbers.astype(np.float64)
    steps = np.diff(numbers)
    if len(steps) == 0:
        return np.zeros(1, dtype=np.int64)
    if not (steps > 0).all():
        return None
    # Steps between rounded numbers differ a little: each is counted, and what they are on the mean is the grid's.
    places = np.concatenate([[0], np.cumsum(np.round(steps / np.median(steps[steps < 1.5 * steps.min()])))])
    exact = (numbers - numbers[0]) / (numbers[-1] - numbers[0]) * places[-1]
    even = np.abs(exact - places).max() < 0.05 and np.diff(places).min() > 0
    return places.astype(np.int64) if even and places[-1] + 1 <= 2 * len(numbers) else None


def time_places(times: pd.DatetimeIndex) -> tuple[NDArray[np.int64], float | None, str] | None:
    """The place of each of some rising times on a regular grid, the grid's minutes and its unit; None: there is none.

    Example:
        >>> places, minutes, unit = time_places(pd.DatetimeIndex(["2024-01-01 00:00", "2024-01-01 00:05"]))
        >>> places.tolist(), minutes, unit
        ([0, 1], 5.0, '')
    """
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
