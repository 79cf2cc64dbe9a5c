"""The time of each row, and the same as features: alike for every node and every model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from gnnkit.data.own_grid import months_of
from gnnkit.data.series import GraphSeries

__all__ = ["TIME_CHANNELS", "clock_features", "row_time", "row_times", "told_weekdays"]

#: How many features tell the time.
TIME_CHANNELS = 2

DAY = 24 * 60


def told_weekdays(series: GraphSeries) -> tuple[int, ...]:
    """What each weekday, Monday 0 to Sunday 6, is told to a model as: itself, if the training rows hold a day of it.

    Any other is told as the nearest that they do hold, working days apart from weekends: a model can only guess what a
    number means that it never saw.

    Raises:
        ValueError: As `clock_features`.

    Example:
        >>> from gnnkit.data import simulate_traffic
        >>> told_weekdays(simulate_traffic(num_nodes=2, days=7))  # Thursday to Sunday, most of Monday
        (3, 3, 3, 3, 4, 5, 6)
    """
    _, weekdays = _times(series)
    held = torch.bincount(weekdays[series.split.train.start : series.split.train.stop], minlength=7)
    step = series.step_minutes or 0
    known = [day for day in range(7) if held[day] * step >= DAY]

    def nearest(day: int) -> int:
        alike = [other for other in known if (other < 5) == (day < 5)]
        return min(alike or known or [0], key=lambda other: min((day - other) % 7, (other - day) % 7))

    return tuple(day if day in known else nearest(day) for day in range(7))


def clock_features(series: GraphSeries, *, weekdays: Sequence[int] | None = None) -> Float[Tensor, "L 2"]:
    """The time of day in [0, 1) and the weekday, Monday 0 to Sunday 6/7, of every row.

    Args:
        series: A series that knows when it starts and how long a step takes.
        weekdays: What each of the seven is told as; default: `told_weekdays(series)`.

    Returns:
        float32; on the hour of a 5-minute series, hour/24 and weekday/7.

    Raises:
        ValueError: `start` or `step_minutes` is unknown.

    Example:
        >>> from gnnkit.data import simulate_traffic
        >>> clock_features(simulate_traffic(num_nodes=2, days=3))[72].tolist()  # a Thursday, 6 in the morning
        [0.25, 0.4285714328289032]
    """
    time, days = _times(series)
    told = torch.tensor(told_weekdays(series) if weekdays is None else weekdays)
    return torch.stack([time, told[days] / 7], dim=1).float()


def _times(series: GraphSeries) -> tuple[Tensor, Tensor]:
    """The time of day as a share, float64, and the weekday of every row."""
    if series.step_unit:
        raise ValueError(f"{series.name}: rows of a {series.step_unit} have no time of day; leave time features out")
    if series.start is None or series.step_minutes is None:
        unknown = [name for name in ("start", "step_minutes") if getattr(series, name) is None]
        raise ValueError(
            f"{series.name} does not know {' and '.join(unknown)}, so there is no time of day; give the series a "
            "column of times, or leave time features out"
        )
    start = series.start
    first = start.day_of_week * DAY + start.hour * 60 + start.minute + (start.second + start.microsecond / 1e6) / 60
    minutes = first + series.step_minutes * torch.arange(series.num_rows, dtype=torch.float64)
    # Steps of a fraction of a minute do not add up exactly: a millisecond early is not yesterday.
    days = torch.floor(minutes / DAY + 1e-9)
    return (minutes / DAY - days).clamp(min=0.0), days.long() % 7


def row_time(series: GraphSeries, row: int) -> pd.Timestamp | None:
    """The time of a row, which may lie beyond the last one.

    Months, quarters and years are those of the calendar; where the first row is the last day of a month, so are all.
    Rows of weekdays go from Friday to Monday.

    Args:
        series: A series, which may know when it starts and how long a step takes.
        row: Counted from 0.

    Returns:
        The time; None where the series does not know it.

    Example:
        >>> from gnnkit.data import simulate_traffic
        >>> row_time(simulate_traffic(num_nodes=2, days=1), 12).strftime("%H:%M")
        '01:00'
    """
    times = row_times(series.start, series.step_minutes, series.step_unit, range(row, row + 1))
    return None if times is None else times.to_list()[0]


def row_times(
    start: pd.Timestamp | None, step_minutes: float | None, step_unit: str, rows: range
) -> pd.DatetimeIndex | None:
    """The times of some rows, which may lie beyond the last one; None where they are not known.

    Args:
        start: Time of row 0; None: unknown.
        step_minutes, step_unit: As in `GraphSeries`.
        rows: Counted from 0.

    Example:
        >>> row_times(pd.Timestamp("2024-01-31"), None, "month", range(2))[1].strftime("%d %B")
        '29 February'
    """
    if start is None:
        return None
    if step_minutes is not None:
        return pd.DatetimeIndex(start + pd.to_timedelta(np.array(rows) * step_minutes, unit="min"))
    if step_unit == "weekday":
        return pd.DatetimeIndex([start + row * pd.offsets.BusinessDay() for row in rows])
    months = months_of(step_unit)
    if months is None:
        return None
    later = [start + pd.DateOffset(months=row * months) for row in rows]
    return pd.DatetimeIndex([time + pd.offsets.MonthEnd(0) for time in later] if start.is_month_end else later)
