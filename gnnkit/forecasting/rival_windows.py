"""Windows as plain arrays in the data's own unit: what a rival with fit and predict reads."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from gnnkit.data import GraphSeries, Windows, row_time

__all__ = ["RivalWindows"]


class RivalWindows:
    """W windows as arrays of numpy, in the data's unit; what was not observed is NaN.

    Histories and targets are read-only views on a copy of the windows' own rows: of other rows there is nothing here,
    and of targets only in training. Of each window the *origin* is the last row of its history; forecasts are of the
    P rows after it.

    Args:
        series: The data, for names, times and graph.
        windows: Which windows.
        targets: True for windows to learn from; False: there is no `y`, nor any row after the last history.
        count: The first so many windows; None (default): all.

    Example:
        >>> from gnnkit.data import make_windows, simulate_traffic
        >>> series = simulate_traffic(num_nodes=4, days=2)
        >>> windows = RivalWindows(series, make_windows(series, history=6, horizon=3).val, targets=True)
        >>> windows.x.shape, windows.y.shape, len(windows) == len(windows.rows)
        ((50, 6, 4, 1), (50, 3, 4), True)
        >>> list(windows.frame(lags=2).columns)
        ['node', 'time', 'lag_0', 'lag_1', 'target_1', 'target_2', 'target_3']
    """

    def __init__(self, series: GraphSeries, windows: Windows, *, targets: bool, count: int | None = None) -> None:
        self.count = len(windows) if count is None else min(count, len(windows))
        self.history, self.horizon, self.lead = windows.history, windows.horizon, windows.lead
        self.season: int | None = series.season  # rows after which the series repeats itself, where it is known
        self.node_names: tuple[str, ...] = series.node_names
        self.edge_index: NDArray[np.int64] = series.edge_index.cpu().numpy()
        self.edge_weight: NDArray[np.float32] = series.edge_weight.cpu().numpy()
        self.rows: NDArray[np.int64] = windows.rows.start + self.history - 1 + np.arange(self.count)
        first = windows.rows.start
        read = np.arange(first, first + self.count + self.history - 1)
        store = windows.to("cpu").store
        filled = store.history(torch.from_numpy(read))[0].numpy()
        seen = _observed(store, read, filled.shape)
        if store.clock is not None:
            clock = np.broadcast_to(store.clock[read].numpy()[:, None], (*filled.shape[:2], 2))
            filled = np.concatenate([filled, clock], axis=-1)
            seen = np.concatenate([seen, np.ones_like(clock, dtype=bool)], axis=-1)
        self._filled, self._seen = filled, seen  # [R, N, F], copies: no view leads back to the series
        self._targets = _targets(windows, self.count) if targets else None
        self._times = (series, self.rows)

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        kind = "with targets" if self._targets is not None else "to predict"
        return (
            f"RivalWindows({self.count} windows {kind}: {self.history} rows of {len(self.node_names)} nodes, "
            f"{self.horizon} steps ahead)"
        )

    @cached_property
    def x(self) -> NDArray[np.float32]:
        """The histories `[W, T, N, F]`, gaps as NaN; feature 0 is what is predicted."""
        return self._view(np.where(self._seen, self._filled, np.float32(np.nan)))

    @cached_property
    def filled(self) -> NDArray[np.float32]:
        """The histories `[W, T, N, F]`, each gap filled with the last value before it, as modules get them."""
        return self._view(self._filled)

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """Where the histories were observed, `[W, T, N, F]`."""
        return self._view(self._seen)

    @cached_property
    def y(self) -> NDArray[np.float32]:
        """The targets `[W, P, N]`, NaN where nothing was observed, or where they lie outside of the part.

        Raises:
            AttributeError: These windows are to be predicted.
        """
        if self._targets is None:
            raise AttributeError("windows have no y where they are to be predicted; only fit gets targets")
        return sliding_window_view(self._targets, self.horizon, axis=0).transpose(0, 2, 1)

    @cached_property
    def times(self) -> pd.DatetimeIndex | None:
        """The times of the origins; None where the series does not know them."""
        series, rows = self._times
        found = [row_time(series, int(row)) for row in rows]
        return None if None in found else pd.DatetimeIndex(found)

    def frame(self, lags: int | None = None, *, fill: bool = False, neighbours: bool = False) -> pd.DataFrame:
        """A long table, a row for each origin and node: node after node of the first origin, then of the next.

        Args:
            lags: How many of the last values; None (default): all T.
            fill: True fills gaps with the last value before them. Default False: NaN.
            neighbours: True adds the mean of each lag over the nodes with an edge to the node, by weight; NaN where
                there is none. Default False.

        Returns:
            Columns `node` (a category), `time` (of the origin; its row where the series knows no times), `lag_0` (the
            value at the origin), `lag_1` (the one before) and so on, with `neighbours` also `near_0` …, the other
            features at the origin as `feature_1` …, and where there are targets `target_1` … `target_P`.

        Raises:
            ValueError: `lags` is not from 1 to T.
        """
        lags = self.history if lags is None else lags
        if not 1 <= lags <= self.history:
            raise ValueError(f"lags is {lags}; give 1 to {self.history}, the rows of the history, or a longer history")
        x = self.filled if fill else self.x
        nodes, times = len(self.node_names), self.times
        names = pd.Categorical.from_codes(np.tile(np.arange(nodes), self.count), categories=list(self.node_names))
        columns: dict[str, Any] = {"node": names, "time": np.repeat(self.rows if times is None else times, nodes)}
        columns |= {f"lag_{lag}": x[:, -1 - lag, :, 0].reshape(-1) for lag in range(lags)}
        if neighbours:
            columns |= {f"near_{lag}": self._near(x[:, -1 - lag, :, 0]).reshape(-1) for lag in range(lags)}
        columns |= {f"feature_{place}": x[:, -1, :, place].reshape(-1) for place in range(1, x.shape[3])}
        if self._targets is not None:
            columns |= {f"target_{step + 1}": self.y[:, step].reshape(-1) for step in range(self.horizon)}
        return pd.DataFrame(columns)

    def _near(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """[W, N]: the mean over each node's in-neighbours of what was observed."""
        from scipy.sparse import csr_matrix

        nodes, (source, target) = len(self.node_names), self.edge_index
        other = source != target
        edges = (self.edge_weight[other].astype(np.float64), (target[other], source[other]))
        into = csr_matrix(edges, shape=(nodes, nodes))
        known = ~np.isnan(values)
        total, weight = into @ np.where(known, values, 0.0).T, into @ known.T.astype(np.float64)  # [N, W]
        return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight != 0).T.astype(np.float32)

    def _view(self, values: NDArray[Any]) -> NDArray[Any]:
        """[W, T, N, F]: read-only windows on rows."""
        return sliding_window_view(values, self.history, axis=0).transpose(0, 3, 1, 2)


def _observed(store: Any, rows: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    seen = store.observed(torch.from_numpy(rows))
    return np.ones(shape, dtype=bool) if seen is None else seen.numpy()


def _targets(windows: Windows, count: int) -> NDArray[np.float32]:
    """[W + P - 1, N]: the targets of the first windows, NaN where they were not observed or stick out."""
    first = windows.rows.start + windows.history + windows.lead - 1
    rows = torch.arange(first, first + count + windows.horizon - 1)
    y, seen = windows.to("cpu").store.target(rows.clamp(max=windows.rows.stop - 1))
    inside = (rows < windows.rows.stop)[:, None]
    seen = inside.expand_as(y) if seen is None else seen & inside
    return torch.where(seen, y, torch.nan).numpy()
