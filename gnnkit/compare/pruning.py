"""Trials that are ended early: those whose validation curve is behind that of the others, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

__all__ = ["ENOUGH", "Pruner", "limits"]

ENOUGH = 4
"""Earlier trials without which none is ended early."""


class Pruner:
    """A listener to a fit that ends it where it is behind.

    Args:
        limits: by epoch, what the best validation MAE so far must not be above; None, and beyond them: no limit.

    Example:
        >>> pruner = Pruner([None, 2.0])
        >>> [pruner.end_epoch(epoch=epoch, train_loss=1.0, val_mae=3.0, seconds=1.0) for epoch in (1, 2, 3)]
        [False, True, False]
    """

    def __init__(self, limits: Sequence[float | None]) -> None:
        self._limits, self._best = limits, math.inf

    def begin_fit(self, steps: int) -> None:
        """See `FitProgress`."""

    def step(self, *, epoch: int, loss: float, val_mae: float | None) -> None:
        """See `FitProgress`."""

    def end_epoch(self, *, epoch: int, train_loss: float, val_mae: float, seconds: float) -> bool:
        """See `FitProgress`."""
        self._best = min(self._best, val_mae)
        limit = self._limits[epoch - 1] if epoch <= len(self._limits) else None
        return limit is not None and self._best > limit

    def end_fit(self) -> None:
        """See `FitProgress`."""


def limits(curves: Sequence[Sequence[float]], epochs: int) -> tuple[float | None, ...]:
    """Above which validation MAE a trial is ended early, by epoch: the rule of Optuna's `MedianPruner`.

    It is the median of what the earlier trials had in the same epoch, where four of them or more came so far. The first
    third of the epochs, and the first epoch, have no limit.

    Args:
        curves: the validation MAE of the earlier trials that were not ended early, an epoch after the other.
        epochs: most epochs of a fit.

    Returns:
        A limit, or None, for each epoch but the last; empty where there is none.

    Example:
        >>> limits([[4.0, level, 1.0] for level in (1.0, 2.0, 3.0, 9.0)], epochs=3)
        (None, 2.5)
    """
    found: list[float | None] = []
    for epoch in range(1, epochs):
        there = [curve[epoch - 1] for curve in curves if len(curve) >= epoch]
        found.append(median(there) if len(there) >= ENOUGH and epoch > max(1, epochs / 3) else None)
    return tuple(found) if any(limit is not None for limit in found) else ()
