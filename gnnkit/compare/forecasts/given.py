"""What a file or an array of forecasts holds, whatever its layout."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

__all__ = ["GivenForecasts"]


@dataclass(frozen=True, eq=False)
class GivenForecasts:
    """The forecasts of one model, its nodes in the order of the series.

    Args:
        name: that it is judged under.
        source: its file's name, or "in memory", for messages.
        values: float32, `[S, W, P, N]`, in the data's unit; NaN where there is none.
        origins: the last known row of each window, rising; None where nobody says it.
        seeds: of the fits, S numbers.
        quantiles: `[S, W, P, N, Q]`; None without them.
        levels: of the quantiles, Q of them, rising.
    """

    name: str
    source: str
    values: Float[NDArray, "S W P N"]
    origins: Int[NDArray, " W"] | None
    seeds: tuple[int, ...]
    quantiles: Float[NDArray, "S W P N Q"] | None = None
    levels: tuple[float, ...] = ()

    @property
    def about(self) -> str:
        """How a message begins."""
        return f"forecasts {self.name} ({self.source})"

    def digest(self) -> str:
        """SHA-256 of all that is judged: values, quantiles and their places."""
        found = hashlib.sha256(repr((self.values.shape, self.seeds, self.levels)).encode())
        for part in (self.values, self.origins, self.quantiles):
            if part is not None:
                found.update(np.ascontiguousarray(part).data)
        return found.hexdigest()
