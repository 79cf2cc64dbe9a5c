"""Rows of the same part of every day: working hours, opening times, a line that rests at night."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["WorkingHours", "working_hours"]

_DAY = 24 * 3600 * 10**9
_FILLED = 0.5
"""Least share of the grid that the rows fill."""


@dataclass(frozen=True, eq=False)
class WorkingHours:
    """Where rows of one part of every day stand when nights are no gaps.

    Args:
        places: Of each row on the grid.
        rows_a_day: Rows of a whole day.
        unit: What a row is: `"working hour"`, `"15 working minutes"`.
    """

    places: NDArray[np.int64]
    rows_a_day: int
    unit: str


def working_hours(times: pd.DatetimeIndex) -> WorkingHours | None:
    """The grid of rising times that lie in one part of every day, at equal steps; None where they do not.

    Days are those of the calendar, or those from Monday to Friday where a week end lies between the first and the last
    and no row in one. Single days may be left out.

    Args:
        times: Rising, none twice.

    Returns:
        The grid; None where the times of day are no equally spaced part of a day, there is one day alone, or more than
        half of the grid would be empty.

    Example:
        >>> friday, monday = pd.date_range("2024-03-01 09:00", periods=8, freq="h"), pd.Timedelta(days=3)
        >>> found = working_hours(friday.append(friday[:2] + monday))
        >>> found.places.tolist(), found.rows_a_day, found.unit
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 8, 'working hour')
    """
    clock = times.tz_localize(None).as_unit("ns").asi8
    days, within = np.divmod(clock, _DAY)
    slots, slot = np.unique(within, return_inverse=True)
    steps = np.unique(np.diff(slots))
    present = np.unique(days)
    if len(present) < 2 or len(slots) < 2 or len(steps) != 1 or int(steps[0]) * (len(slots) + 1) > _DAY:
        return None
    week_ends = (present + 3) % 7 >= 5  # 1 January 1970 was a Thursday
    if not week_ends.any() and np.diff((present + 3) // 7).any():
        dates = days.astype("datetime64[D]")
        order = np.busday_count(dates[0], dates)
    else:
        order = days - days[0]
    places = (order * len(slots) + slot).astype(np.int64)
    places -= places[0]
    if len(times) < _FILLED * (places[-1] + 1):
        return None
    minutes = int(steps[0]) / 60e9
    hours = minutes / 60
    unit = (
        "working hour"
        if hours == 1
        else f"{hours:g} working hours"
        if hours % 1 == 0
        else f"{minutes:g} working minutes"
    )
    return WorkingHours(places, len(slots), unit)
