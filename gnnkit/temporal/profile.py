"""What is usual for a node: its level, and how it moves about it in the course of a season."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

__all__ = ["Profile", "deviations", "last_values", "node_levels", "season_lengths"]

_FEWEST = 2
"""Weeks of training windows from which on a profile of the week is tried."""
_SMOOTHED = 48
"""A profile is smoothed over so many-th parts of the season to either side, half an hour of a day."""


class Profile:
    """How each node moves about its level in the course of a season.

    Args:
        table: `[S, N]`, by the number of a row modulo S; S = 1: it does not.
        others: `[C, S, N]`, for each cycle of the training rows the profile that the others make; None where the
            profile is not fitted now.
        first: the number of the first of these cycles.
    """

    def __init__(
        self, table: Float[np.ndarray, "S N"], others: Float[np.ndarray, "C S N"] | None = None, first: int = 0
    ) -> None:
        self.table, self.others, self.first = table, others, first

    @classmethod
    def of(cls, windows: Any, season: int, level: Float[np.ndarray, " N"]) -> Profile:
        """The mean deviations of the last rows of the histories, smoothed; 0 where none was observed.

        Args:
            windows: those of training; their own season says how far to smooth.
            season: S, that season or whole ones of it.
            level: of each node.
        """
        from scipy.ndimage import uniform_filter1d

        seen = windows.mask[:, -1, :, 0]
        rows, first = windows.rows, int(windows.rows[0]) // season
        shape = (int(rows[-1]) // season - first + 1, season, seen.shape[1])
        total, count = np.zeros(shape), np.zeros(shape)
        place = rows // season - first, rows % season
        total[place] = np.where(seen, windows.filled[:, -1, :, 0] - level, 0.0)
        count[place] = seen
        width = 2 * (windows.season // _SMOOTHED) + 1
        if width > 1:
            total, count = (uniform_filter1d(each, width, axis=1, mode="wrap") for each in (total, count))
        found = _mean(total.sum(axis=0), count.sum(axis=0), width)
        return cls(found, _mean(total.sum(axis=0) - total, count.sum(axis=0) - count, width), first)

    def at(self, rows: np.ndarray, *, training: bool = False) -> Float[np.ndarray, "... N"]:
        """The profile at some rows.

        Args:
            rows: their numbers.
            training: True gives each row the profile that the other cycles make: its own would tell of itself.
        """
        season = len(self.table)
        if not training or self.others is None:
            return self.table[rows % season]
        cycles = np.minimum(rows // season - self.first, len(self.others) - 1)
        return self.others[cycles, rows % season]


def _mean(total: np.ndarray, count: np.ndarray, width: int) -> np.ndarray:
    """0 where nothing was counted, but for the rounding of sums over `width` rows."""
    return np.divide(total, count, out=np.zeros_like(total), where=count > 0.5 / width)


def node_levels(windows: Any) -> Float[np.ndarray, " N"]:
    """The mean of each node over the last rows of the histories; 0 for one that was never observed."""
    seen = windows.mask[:, -1, :, 0]
    total = np.where(seen, windows.filled[:, -1, :, 0], 0.0).sum(axis=0, dtype=np.float64)
    count = seen.sum(axis=0)
    return np.divide(total, count, out=np.zeros(len(total)), where=count > 0)


def deviations(windows: Any, level: Float[np.ndarray, " N"]) -> Float[np.ndarray, "R N"]:
    """The values of all rows of the histories, W + T − 1 of them, less the levels; gaps filled from the past."""
    filled = windows.filled[..., 0]
    return np.concatenate([filled[:, 0], filled[-1, 1:]]).astype(np.float64) - level


def last_values(windows: Any, part: slice = slice(None)) -> Float[np.ndarray, "W 1 N"]:
    """The last value of each history."""
    return windows.filled[part, -1:, :, 0].astype(np.float64)


def season_lengths(windows: Any, *, seasonal: bool) -> list[int]:
    """The seasons whose profiles are worth a try: the known one, and where it is a day, a week of it; 1: none.

    Args:
        windows: those of training.
        seasonal: False: none.
    """
    season = windows.season
    if not seasonal or not season or season < 2:
        return [1]
    if len(windows) < 7 * season * _FEWEST or windows.times is None:
        return [season]
    day = windows.times[season] - windows.times[0] == pd.Timedelta(days=1)
    return [season, 7 * season] if day else [season]
