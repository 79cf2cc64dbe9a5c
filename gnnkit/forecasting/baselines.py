"""Forecasts that need no training: what a trained model has to beat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gnnkit.data import GraphSeries, Windows
from gnnkit.data.store import MappedStore

__all__ = [
    "BASELINES", "baseline_notes", "historical_average", "historical_average_note", "last_value", "rolling_average",
    "seasonal_naive", "seasonal_naive_note",
]  # fmt: skip


def last_value(series: GraphSeries, windows: Windows) -> Float[Tensor, "W P N"]:
    """Persistence: ŷ_{t+p} = the last value observed at or before t, for every step p.

    Args:
        series: in the data's unit; a node that was never observed before t takes its training mean.
        windows: W windows on it.

    Returns:
        Predictions in the data's unit.

    Example:
        >>> from gnnkit.data import make_windows, simulate_traffic
        >>> series = simulate_traffic(num_nodes=4, days=1)
        >>> test = make_windows(series, history=6, horizon=3).test
        >>> last_value(series, test).shape == (len(test), 3, 4)
        True
    """
    origins = _origins(windows)
    if isinstance(windows.store, MappedStore):
        last, _ = windows.store.history(torch.from_numpy(origins))
        return _repeat(last[..., 0].double().numpy(), windows.horizon)
    return _repeat(_last_observed(series)[origins], windows.horizon)


def rolling_average(series: GraphSeries, windows: Windows) -> Float[Tensor, "W P N"]:
    """Mean over the last T rows, rolled forward: ŷ_{t+p} = mean(x_{t+p−T} … x_t, ŷ_{t+1} … ŷ_{t+p−1}).

    Each prediction joins the rows that the next step averages; gaps in the history do not count. A node without any
    observed value in the history takes its last observed value.

    Args, Returns: as `last_value`.

    Source:
        "HA" of the T-GCN comparisons; on Los-loop it gives their figures.
    """
    values = series.values[..., 0].numpy().astype(np.float64)
    observed = ~np.isnan(values)
    known = np.where(observed, values, 0.0)
    origins, history = _origins(windows), windows.history
    total = _running_sum(known, origins, history)
    count = _running_sum(observed.astype(np.float64), origins, history)
    fallback = _last_observed(series)[origins]
    steps: list[np.ndarray] = []
    for step in range(windows.lead - 1 + windows.horizon):
        steps.append(np.where(count > 0, total / np.maximum(count, 1), fallback))
        if step < history:
            leaves = origins - history + 1 + step
            total = total + steps[-1] - known[leaves]
            count = count + 1 - observed[leaves]
        else:
            total = total + steps[-1] - steps[step - history]
    return torch.from_numpy(np.stack(steps[windows.lead - 1 :], axis=1)).float()


def historical_average(series: GraphSeries, windows: Windows) -> Float[Tensor, "W P N"]:
    """ŷ_r = mean of the observed training values at the rows r' with r' ≡ r (mod season), for every target row r.

    Where the season is unknown, or no training row lies at that position, a node takes its training mean
    (`historical_average_note` says so in words).

    Args, Returns: as `last_value`.
    """
    table, _ = _season_table(series)
    rows = windows.target_rows(torch.arange(len(windows))).cpu().numpy()  # [W, P]
    return torch.from_numpy(table[rows % len(table)]).float()


def historical_average_note(series: GraphSeries) -> str | None:
    """A sentence where the historical average is not what its name says; None where it is."""
    if series.season is None:
        return "historical-average predicts the training mean of each node: the season is not known (set season)."
    _, unseen = _season_table(series)
    if unseen:
        return (
            f"historical-average predicts the training mean of a node at {100 * unseen:.1f}% of the positions of "
            f"the season: no training value was observed there."
        )
    return None


def seasonal_naive(series: GraphSeries, windows: Windows) -> Float[Tensor, "W P N"]:
    """ŷ_r = the value at r − kS, the latest row a whole number of seasons S before r that is observed at forecast time.

    Rows after the last history row are not seen yet, so a horizon beyond one season goes back further; a gap in the
    data does so as well. Where no such row is left, or the season is unknown, a node takes its last observed value
    (`seasonal_naive_note` says so in words).

    Args, Returns: as `last_value`.

    Source:
        Hyndman and Athanasopoulos, "Forecasting: principles and practice", 2021, section 5.2; gaps are our addition.

    Example:
        >>> from gnnkit.data import make_windows, simulate_traffic
        >>> series = simulate_traffic(num_nodes=4, days=2)
        >>> test = make_windows(series, history=6, horizon=3).test
        >>> seasonal_naive(series, test).shape == (len(test), 3, 4)
        True
    """
    found = _season_before(series, windows)
    fallback = _last_observed(series)[_origins(windows)][:, None, :]
    return torch.from_numpy(np.where(np.isnan(found), fallback, found)).float()


def seasonal_naive_note(series: GraphSeries, windows: Windows) -> str | None:
    """A sentence where the seasonal naive forecast is not what its name says; None where it is."""
    if series.season is None:
        return "seasonal-naive predicts the last value of each node: the season is not known (set season)."
    missing = float(np.isnan(_season_before(series, windows)).mean())
    if missing:
        return (
            f"seasonal-naive predicts the last value of a node at {100 * missing:.1f}% of the targets: nothing was "
            f"observed whole seasons before them."
        )
    return None


def baseline_notes(series: GraphSeries, windows: Windows) -> list[str]:
    """The sentences on all baselines that a reader must know."""
    found = (historical_average_note(series), seasonal_naive_note(series, windows))
    return [note for note in found if note is not None]


BASELINES: Mapping[str, Callable[[GraphSeries, Windows], Tensor]] = MappingProxyType(
    {
        "last-value": last_value,
        "rolling-average": rolling_average,
        "historical-average": historical_average,
        "seasonal-naive": seasonal_naive,
    }
)
"""Name in tables → function; always part of a comparison."""


def _origins(windows: Windows) -> np.ndarray:
    """Row of the last history value of every window."""
    return windows.target_rows(torch.arange(len(windows)))[:, 0].cpu().numpy() - windows.lead


def _training_mean(series: GraphSeries) -> np.ndarray:
    rows = series.split.train
    train = series.values[rows.start : rows.stop, :, 0].double()
    mean = train.nanmean(dim=0)
    return torch.where(mean.isnan(), train.nanmean(), mean).numpy()


def _last_observed(series: GraphSeries) -> np.ndarray:
    """[L, N]: at each row, the last value observed until then; the training mean before the first one."""
    values = series.values[..., 0].numpy().astype(np.float64)
    row = np.where(np.isnan(values), -1, np.arange(len(values))[:, None])
    last = np.maximum.accumulate(row, axis=0)
    return np.where(last >= 0, np.take_along_axis(values, np.maximum(last, 0), axis=0), _training_mean(series))


def _running_sum(values: np.ndarray, origins: np.ndarray, history: int) -> np.ndarray:
    total = np.concatenate([np.zeros((1, values.shape[1])), values.cumsum(axis=0)])
    return total[origins + 1] - total[origins + 1 - history]


def _season_table(series: GraphSeries) -> tuple[np.ndarray, float]:
    """[season, N] means of the training rows at each position, and the share of pairs never observed."""
    season = series.season or 1
    rows = series.split.train
    train = series.values[rows.start : rows.stop, :, 0].numpy().astype(np.float64)
    observed = ~np.isnan(train)
    position = np.arange(rows.start, rows.stop) % season
    total, count = np.zeros((season, train.shape[1])), np.zeros((season, train.shape[1]))
    np.add.at(total, position, np.where(observed, train, 0.0))
    np.add.at(count, position, observed)
    table = np.where(count > 0, total / np.maximum(count, 1), _training_mean(series))
    return table, float((count == 0).mean())


def _season_before(series: GraphSeries, windows: Windows) -> np.ndarray:
    """[W, P, N]: the latest value seen whole seasons before each target; NaN where there is none."""
    values = series.values[..., 0].numpy().astype(np.float64)
    targets = windows.target_rows(torch.arange(len(windows))).cpu().numpy()  # [W, P]
    if series.season is None:
        return np.full((*targets.shape, values.shape[1]), np.nan)
    season, length = series.season, len(values)
    rows = np.where(np.isnan(values), -1, np.arange(length)[:, None])
    rows = np.concatenate([rows, np.full((-length % season, values.shape[1]), -1)]).reshape(-1, season, values.shape[1])
    last = np.maximum.accumulate(rows, axis=0).reshape(-1, values.shape[1])  # the last observed row of that position
    sources = targets - season * -(-(targets - _origins(windows)[:, None]) // season)
    found = np.where(sources[..., None] >= 0, last[np.maximum(sources, 0)], -1)  # [W, P, N]
    return np.where(
        found >= 0,
        np.take_along_axis(values, np.maximum(found, 0).reshape(-1, values.shape[1]), axis=0).reshape(found.shape),
        np.nan,
    )


def _repeat(values: np.ndarray, horizon: int) -> Tensor:
    return torch.from_numpy(values).float().unsqueeze(1).repeat(1, horizon, 1)
