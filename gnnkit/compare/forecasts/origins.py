"""Which windows a forecast's windows are: by the origins that it says, or by how many there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from gnnkit.compare.forecasts.given import GivenForecasts
from gnnkit.compare.forecasts.labels import series_rows
from gnnkit.data import GraphSeries, Windows, WindowSplits
from gnnkit.settings.judging import ForecastFields

__all__ = ["Placed", "place_windows"]

_WORDS = {"test": "test", "val": "validation"}


@dataclass(frozen=True, eq=False)
class Placed:
    """Forecasts, and the windows that they are of.

    Args:
        given: the forecasts.
        places: of their windows, those that are windows of the part.
        numbers: the number of each of these among the part's windows, rising.
        first_row: origin of the part's window 0.
        of_validation: the same for their windows of validation rows; None where there are none.
        sentences: what was inferred.
    """

    given: GivenForecasts
    places: Int[NDArray, " W"]
    numbers: Int[NDArray, " W"]
    first_row: int
    of_validation: Placed | None = None
    sentences: tuple[str, ...] = ()

    def values(self, numbers: Int[Tensor, " W"], horizon: int) -> NDArray[np.float32]:
        """The forecasts of some windows, `[S, W, P, N]`."""
        return self._of(self.given.values, numbers, horizon)

    def quantiles(self, numbers: Int[Tensor, " W"], horizon: int) -> NDArray[np.float32] | None:
        """The quantiles of some windows, `[S, W, P, N, Q]`."""
        return None if self.given.quantiles is None else self._of(self.given.quantiles, numbers, horizon)

    def _of(self, table: NDArray, numbers: Int[Tensor, " W"], horizon: int) -> NDArray[np.float32]:
        places = self.places[np.searchsorted(self.numbers, numbers.numpy())]
        if len(places) and places[-1] - places[0] == len(places) - 1:  # a view
            return table[:, places[0] : places[-1] + 1, :horizon]
        return table[:, places, :horizon]


def place_windows(
    given: GivenForecasts,
    windows: WindowSplits,
    series: GraphSeries,
    settings: ForecastFields,
    *,
    part: Literal["test", "val"] = "test",
) -> Placed:
    """Find the windows that a forecast's windows are.

    Args:
        given: the forecasts.
        windows: the windows that there are.
        series: the data.
        settings: `origins`, of the first window of a forecast that does not say it.
        part: what the windows are of, where nothing says it.

    Raises:
        ValueError: a number of windows that fits no split, or origins of which none is one of the part's windows.
    """
    of = windows.test if part == "test" else windows.val
    origins, sentences = given.origins, []
    if origins is None:
        first = _first(given, of, series, settings, part)
        origins = first + np.arange(given.values.shape[1])
        if part == "test" and settings.origins is None:
            sentences.append(
                f"{given.name} says no origins: its {len(origins)} windows are taken to be the test windows, the first "
                f"of which knows rows up to {first} and forecasts row {first + 1} on; origins says it where that is "
                f"wrong."
            )
    found = _among(given, origins, of)
    if not len(found.numbers):
        rows, targets = series.split.parts[part], (int(origins[0]) + 1, int(origins[-1]) + given.values.shape[2])
        raise ValueError(
            f"{given.about}: forecasts rows {targets[0]} to {targets[1]}, and no window of it is one of the "
            f"{len(of)} {_WORDS[part]} windows, with targets in rows {rows.start} to {rows.stop - 1}; give another "
            f"split (--split), or say where its windows begin (--origins)"
        )
    other = _among(given, origins, windows.val) if part == "test" else None
    other = other if other is not None and len(other.numbers) else None
    rest = len(origins) - len(found.numbers) - (0 if other is None else len(other.numbers))
    if rest:
        rows = series.split.parts[part]
        sentences.append(
            f"{rest:,} windows of {given.name} are no {_WORDS[part]} windows (targets in rows {rows.start} to "
            f"{rows.stop - 1}) and are not judged."
        )
    return Placed(given, found.places, found.numbers, found.first_row, other, tuple(sentences))


def _among(given: GivenForecasts, origins: NDArray[np.int64], windows: Windows) -> Placed:
    first = windows.rows.start + windows.history + windows.lead - 2
    numbers = origins - first
    if windows.chosen is not None:
        raise ValueError("windows: some were chosen already; give all of them")
    places = np.flatnonzero((numbers >= 0) & (numbers < len(windows)))
    return Placed(given, places, numbers[places], first)


def _first(given: GivenForecasts, windows: Windows, series: GraphSeries, settings: ForecastFields, part: str) -> int:
    """The origin of the first window of a forecast that does not say it."""
    if settings.origins is not None and part == "test":
        asked = [settings.origins]
        return int(series_rows(asked, series, "origins")[0])
    rows, history, count = series.split.parts[part], windows.history, given.values.shape[1]
    steps = {given.values.shape[2], windows.horizon, windows.min_horizon}
    inside = {len(rows) - history - step + 1 for step in steps}
    inside |= {number - 1 for number in inside}  # the official T-GCN code leaves out the last window
    if count in inside:
        return rows.start + history - 1
    if count in {len(rows) - step + 1 for step in steps}:
        return rows.start - 1
    step = given.values.shape[2]
    there = ", ".join(
        f"{_WORDS.get(name, 'training')} {max(0, len(run) - history - step + 1):,}"
        for name, run in series.split.parts.items()
    )
    likely = len(rows) - step + 1 - count
    hint = f"with {likely} rows of history (--history {likely}) it would be {count}; " if 0 < likely < len(rows) else ""
    raise ValueError(
        f"{given.about}: {count:,} windows, and there are (with {history} rows of history and {step} steps): {there}; "
        f"{hint}say where they begin (--origins ROW, the last known row of the first), or give origins in the file"
    )
