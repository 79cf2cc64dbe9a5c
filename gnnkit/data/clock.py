"""The time of each row as features: the same for every node and every model."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gnnkit.data.series import GraphSeries

__all__ = ["TIME_CHANNELS", "clock_features"]

#: How many features tell the time.
TIME_CHANNELS = 2

DAY = 24 * 60


def clock_features(series: GraphSeries) -> Float[Tensor, "L 2"]:
    """The time of day in [0, 1) and the weekday, Monday 0 to Sunday 6/7, of every row.

    Args:
        series: A series that knows when it starts and how long a step takes.

    Returns:
        float32; on the hour of a 5-minute series, hour/24 and weekday/7.

    Raises:
        ValueError: `start` or `step_minutes` is unknown.

    Example:
        >>> from gnnkit.data import simulate_traffic
        >>> clock_features(simulate_traffic(num_nodes=2, days=1))[72].tolist()  # a Thursday, 6 in the morning
        [0.25, 0.4285714328289032]
    """
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
    time = (minutes / DAY - days).clamp(min=0.0)
    return torch.stack([time, days.remainder(7) / 7], dim=1).float()
