"""The time of day and the weekday among the features of a history: taken out of them, told as embeddings' numbers."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnnkit.sequence._contract import check_choice

__all__ = ["check_clock", "clock_slots", "coming_times", "without_clock"]


def check_clock(time_channels: int, in_channels: int) -> Literal[0, 2]:
    """Return `time_channels` if it is 0 or 2 and leaves a target beside it, else raise a `ValueError` that says so."""
    check_choice("time_channels", time_channels, (0, 2))
    if time_channels and in_channels <= time_channels:
        raise ValueError(f"in_channels={in_channels} leaves no target beside time_channels={time_channels}")
    return 2 if time_channels else 0


def clock_slots(clock: Float[Tensor, "*S 2"], day_slots: int) -> tuple[Int[Tensor, "*S"], Int[Tensor, "*S"]]:
    """Which slot of the day a time of day in [0, 1) falls into, and which day a weekday over 7 is.

    Example:
        >>> [each.tolist() for each in clock_slots(torch.tensor([[0.5, 6 / 7]]), 288)]
        [[144], [6]]
    """
    time, day = clock.unbind(-1)
    # The times are shares of a day in float32: rounding down alone would land a slot early.
    return (time * day_slots + 1e-3).long() % day_slots, (day * 7).round().long() % 7


def without_clock(x: Float[Tensor, "*S F2"], in_channels: int, time_channels: int) -> Float[Tensor, "*S D"]:
    """The features but the last `time_channels` of the first `in_channels`, and the same of the mask behind them.

    Example:
        >>> without_clock(torch.tensor([1.0, 0.25, 0.5, 1.0, 1.0, 1.0]), 3, 2).tolist()  # a mask of ones behind
        [1.0, 1.0]
    """
    if not time_channels:
        return x
    return torch.cat([part[..., :-time_channels] for part in x.split(in_channels, dim=-1)], dim=-1)


def coming_times(times: Float[Tensor, "B T *S"], horizon: int) -> Float[Tensor, "B P *S"]:
    """The times of day of the next steps, counted on from the last two; after one alone the clock stands.

    Example:
        >>> coming_times(torch.tensor([[0.25, 0.5]]), 3).tolist()
        [[0.75, 0.0, 0.25]]
    """
    last, step = times[:, -1:], (times[:, -1:] - times[:, -2:-1] if times.size(1) > 1 else torch.zeros_like(times))
    ahead = torch.arange(1, horizon + 1, dtype=times.dtype, device=times.device)
    ahead = ahead.view(-1, *[1] * (times.dim() - 2))
    coming = (last + step % 1 * ahead) % 1
    return torch.where(coming > 1 - 1e-5, torch.zeros_like(coming), coming)  # float32 may stop just short of midnight
