"""What is known ahead of a forecast, such as a calendar: the rows at which the steps of a history show it."""

from __future__ import annotations

import math

import torch
from jaxtyping import Int
from torch import Tensor

__all__ = ["known_channels", "known_rows"]


def known_rows(x_rows: Int[Tensor, "*B T"], history: int, reach: int) -> Int[Tensor, "*B T M"]:
    """The later rows at which what is known ahead stands beside each history row, as features of any model.

    Beside the history rows t − T + 1 … t stand the rows t + P − T + 1 … t + P, the horizon's; where P is larger than T,
    also the T rows before those, and so on: all P rows of the horizon are there.

    Args:
        x_rows: The history's rows.
        history: T.
        reach: P, rows from the last history row to the last target.

    Returns:
        For each history row M = ⌈P / T⌉ later ones, the latest first.

    Example:
        >>> known_rows(torch.tensor([0, 1]), history=2, reach=3).T.tolist()  # the horizon is rows 2, 3 and 4
        [[3, 4], [1, 2]]
    """
    blocks = torch.arange(known_channels(1, history, reach), device=x_rows.device)
    return x_rows[..., None] + reach - history * blocks


def known_channels(features: int, history: int, reach: int) -> int:
    """How many channels `known_rows` makes of so many features that are known ahead."""
    return features * math.ceil(reach / history)
