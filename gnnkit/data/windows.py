"""Windows: a history and the targets after it, gathered from one tensor when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gnnkit.data.clock import TIME_CHANNELS
from gnnkit.data.degrade import hide_values
from gnnkit.data.known_ahead import known_channels, known_rows
from gnnkit.data.scaling import SCALERS, Scaler, fit_scaler
from gnnkit.data.series import GraphSeries
from gnnkit.data.splits import Split, chronological_split
from gnnkit.data.store import SeriesStore

__all__ = ["Batch", "SeriesStore", "Split", "WindowSplits", "Windows", "chronological_split", "make_windows"]


class Batch(NamedTuple):
    """B windows at once.

    Attributes:
        x: Scaled history, `[B, T, N, F]`, its gaps filled from the past. Behind the features of the series stand those
            that are known ahead, at later rows (see `known_rows`); where they are asked for, time of day and weekday
            are the last two (see `clock_features`), not scaled.
        mask: True where `x` was observed, `[B, T, N, F]`; None if the whole series has no gap.
        y: Targets in the data's unit, `[B, P, N]`; where `y_mask` is False the number means nothing.
        y_mask: True where the target was observed, `[B, P, N]`.
    """

    x: Tensor
    mask: Tensor | None
    y: Tensor
    y_mask: Tensor


class Windows:
    """Windows of T history rows and P target rows inside a run of rows, as index views on one tensor.

    Window i reads the history rows `rows.start + i … + T - 1` and, with `lead=1`, the P target rows after them.
    Nothing is copied until `batch` gathers; the memory held is that of the series, whatever T and P.

    Args:
        source: A store (shared with other windows) or a series, which `SeriesStore.from_series` then fills.
        rows: The run of rows; no window reads a row outside it.
        history: T, rows of history; at least 1.
        horizon: P, rows of targets; at least 1.
        scaler: Scales `x`; targets stay in the data's unit.
        min_horizon: Targets that every window must have inside `rows`; default `horizon`, that is all. With fewer, the
            last windows' later targets stick out of `rows`: they are masked, and no row outside is read for them.
        drop_last: True leaves out the last window (of each horizon), as the official T-GCN code does.
        lead: Steps from the last row of the history to the first target. Default 1; a model that predicts one step
            alone, h steps ahead, has `lead=h, horizon=1`.
        chosen: Numbers of the windows that are kept, rising; see `select`. Default None: all.

    Raises:
        ValueError: `lead`, `history`, `horizon` or `min_horizon` below 1, `min_horizon` above `horizon`, rows outside
            the series, or fewer rows than one window needs.

    Example:
        >>> from gnnkit.data import StandardScaler, simulate_traffic
        >>> series = simulate_traffic(num_nodes=4, days=1)
        >>> scaler = StandardScaler.fit(series.values, series.split.train)
        >>> windows = Windows(series, series.split.train, history=12, horizon=3, scaler=scaler)
        >>> len(windows), list(windows.batch(torch.tensor([0, 5])).x.shape)
        (188, [2, 12, 4, 1])
    """

    def __init__(
        self,
        source: SeriesStore | GraphSeries,
        rows: range,
        *,
        history: int,
        horizon: int,
        scaler: Scaler,
        min_horizon: int | None = None,
        drop_last: bool = False,
        lead: int = 1,
        chosen: Int[Tensor, " W"] | None = None,
    ) -> None:
        _check_lengths(history, horizon, min_horizon, lead)
        self.store = SeriesStore.from_series(source) if isinstance(source, GraphSeries) else source
        self.rows = rows
        self.history = history
        self.horizon = horizon
        self.min_horizon = horizon if min_horizon is None else min_horizon
        self.drop_last = drop_last
        self.lead = lead
        self.chosen = chosen
        num_rows = self.store.filled.size(0)
        if rows.step != 1 or not (0 <= rows.start <= rows.stop <= num_rows):
            raise ValueError(f"rows={rows!r}: expected a range with step 1 inside the {num_rows} rows of the series")
        self.scaler = scaler.to(self.store.filled.device)
        needed = history + lead - 1 + self.min_horizon + int(drop_last)
        if len(rows) < needed:
            raise ValueError(
                f"rows={rows!r}: {len(rows)} rows are too few for history={history} and horizon={self.min_horizon}; "
                f"one window needs {needed} rows; give more rows, or a shorter history or horizon"
            )

    def __len__(self) -> int:
        return self._count(self.min_horizon)

    def __repr__(self) -> str:
        span = f"rows {self.rows.start} to {self.rows.stop - 1}"
        return f"Windows({len(self)} windows of {self.history} + {self.horizon} in {span})"

    def _count(self, horizon: int) -> int:
        whole = max(0, len(self.rows) - self.history - self.lead - horizon + 2 - int(self.drop_last))
        return whole if self.chosen is None else int((self.chosen < whole).sum())

    def select(self, index: Int[Tensor, " W"]) -> Windows:
        """Some of the windows, as windows of their own on the same store.

        Args:
            index: Window numbers, rising.

        Raises:
            ValueError: A window number that is not there, or numbers that do not rise.

        Example:
            >>> from gnnkit.data import make_windows, simulate_traffic
            >>> test = make_windows(simulate_traffic(num_nodes=4, days=1), history=6, horizon=3).test
            >>> test.select(torch.tensor([0, 12])).target_rows(torch.tensor([1])).tolist()
            [[248, 249, 250]]
        """
        if index.numel() > 1 and not bool((index[1:] > index[:-1]).all()):
            raise ValueError("index: window numbers must rise, and none may come twice; sort them")
        return self._on(self.store, self._origins(index) - self.rows.start)

    def count(self, horizon: int) -> int:
        """Number of leading windows whose first `horizon` targets all lie inside `rows` (one less with `drop_last`).

        Args:
            horizon: Target steps that are scored, 1 to `self.horizon`.

        Returns:
            Windows 0 to count - 1 are those to score at this horizon.

        Raises:
            ValueError: `horizon` is not among 1 … `self.horizon`.
        """
        if not 1 <= horizon <= self.horizon:
            raise ValueError(
                f"horizon={horizon}: these windows have 1 to {self.horizon} target steps; ask for one of them"
            )
        return min(len(self), self._count(horizon))

    def target_rows(self, index: Int[Tensor, " B"]) -> Int[Tensor, "B P"]:
        """Row numbers of the targets of some windows.

        Args:
            index: Window numbers, 0 to `len(self) - 1`.

        Returns:
            Row numbers in the series. Those from `rows.stop` on stick out (see `min_horizon`); `batch` masks them.

        Raises:
            ValueError: A window number that is not there.
        """
        first = self.history + self.lead - 1
        return self._origins(index)[:, None] + torch.arange(first, first + self.horizon, device=self.device)

    def batch(self, index: Int[Tensor, " B"]) -> Batch:
        """Gather some windows.

        Args:
            index: Window numbers, 0 to `len(self) - 1`, in any order.

        Returns:
            The batch, on the device of the windows.

        Raises:
            ValueError: A window number that is not there.
        """
        x_rows = self._origins(index)[:, None] + torch.arange(self.history, device=self.device)  # [B, T]
        values, mask = self.store.history(x_rows)
        x = self.scaler.transform(values)
        if self.store.known_ahead:
            x, mask = self._with_known(x_rows, x, mask)
        if self.store.clock is not None:
            time = self.store.clock[x_rows].unsqueeze(2).expand(-1, -1, x.size(2), -1)  # [B, T, N, 2]
            x = torch.cat([x, time], dim=-1)
            mask = None if mask is None else torch.cat([mask, torch.ones_like(time, dtype=torch.bool)], dim=-1)
        return Batch(x, mask, *self.targets(index))

    def targets(self, index: Int[Tensor, " B"] | None = None) -> tuple[Float[Tensor, "B P N"], Bool[Tensor, "B P N"]]:
        """The targets of some windows, or of all, and which were observed: `y` and `y_mask` of `batch`, and no history.

        Raises:
            ValueError: A window number that is not there.
        """
        rows = self.target_rows(torch.arange(len(self)) if index is None else index)  # [B, P]
        inside = (rows < self.rows.stop)[..., None]  # [B, P, 1]
        # A target that sticks out belongs to another split: point it at the last row of this one, and mask it.
        y, observed = self.store.target(rows.clamp(max=self.rows.stop - 1))
        return y, inside.expand_as(y).clone() if observed is None else observed & inside

    def _with_known(
        self, x_rows: Int[Tensor, "B T"], x: Float[Tensor, "B T N F"], mask: Bool[Tensor, "B T N F"] | None
    ) -> tuple[Tensor, Tensor | None]:
        """The history and its mask with what is known ahead behind its features."""
        features, last = list(self.store.known_ahead), self.store.filled.size(0) - 1
        rows = known_rows(x_rows, self.history, self.lead - 1 + self.horizon)  # [B, T, M]
        inside = (rows <= last)[..., None, None]
        rows = rows.clamp(max=last)
        known = self.scaler.transform(self.store.filled[..., features][rows], features)  # [B, T, M, N, K]
        seen = self.store.observed(rows)
        if seen is not None or self.rows.stop + self.horizon - self.min_horizon > last + 1:
            seen = inside.expand(known.shape) if seen is None else seen[..., features] & inside
            mask = torch.ones_like(x, dtype=torch.bool) if mask is None else mask
            mask = torch.cat([mask, seen.transpose(2, 3).flatten(3)], dim=-1)
        return torch.cat([x, known.transpose(2, 3).flatten(3)], dim=-1), mask

    @property
    def time_channels(self) -> int:
        """How many of the features tell the time: 0 or 2, the last ones."""
        return 0 if self.store.clock is None else TIME_CHANNELS

    @property
    def num_features(self) -> int:
        """Features F of a node in a batch, those at later rows and those that tell the time among them."""
        known = known_channels(len(self.store.known_ahead), self.history, self.lead - 1 + self.horizon)
        return self.store.filled.size(2) + known + self.time_channels

    @property
    def device(self) -> torch.device:
        """Where the windows' tensors are."""
        return self.store.filled.device

    @property
    def nbytes(self) -> int:
        """Bytes held, all shared with the other windows on the same store."""
        return self.store.nbytes

    def to(self, device: torch.device | str) -> Windows:
        """The same windows on a device. To move train, val and test together, use `WindowSplits.to`."""
        return self._on(self.store.to(device))

    def _on(self, store: SeriesStore, chosen: Int[Tensor, " W"] | None = None) -> Windows:
        return Windows(
            store,
            self.rows,
            history=self.history,
            horizon=self.horizon,
            scaler=self.scaler,
            min_horizon=self.min_horizon,
            drop_last=self.drop_last,
            lead=self.lead,
            chosen=self.chosen if chosen is None else chosen,
        )

    def _origins(self, index: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        if index.numel() and not (int(index.min()) >= 0 and int(index.max()) < len(self)):
            raise ValueError(
                f"index: window numbers from {int(index.min())} to {int(index.max())}, "
                f"but the windows are 0 to {len(self) - 1}"
            )
        index = index.to(self.device).long()
        return (index if self.chosen is None else self.chosen.to(self.device)[index]) + self.rows.start


@dataclass(frozen=True, eq=False, repr=False)
class WindowSplits:
    """Windows of the three splits on one store, and the scaler they share.

    Args:
        train: Windows inside the training rows.
        val: Windows inside the validation rows.
        test: Windows inside the test rows.
        scaler: Fitted on the observed values of the training rows.
    """

    train: Windows
    val: Windows
    test: Windows
    scaler: Scaler

    def __repr__(self) -> str:
        train, val, test = (len(part) for part in (self.train, self.val, self.test))
        lengths = f"{self.train.history} + {self.train.horizon} rows"
        return f"WindowSplits(train {train:,}, validation {val:,}, test {test:,} windows of {lengths})"

    @property
    def nbytes(self) -> int:
        """Bytes held by all three together."""
        return sum({id(part.store): part.nbytes for part in (self.train, self.val, self.test)}.values())

    def to(self, device: torch.device | str) -> WindowSplits:
        """The same windows on a device, still on one store."""
        store = self.train.store.to(device)
        train, val, test = (part._on(store) for part in (self.train, self.val, self.test))
        return replace(self, train=train, val=val, test=test, scaler=self.scaler.to(device))


def make_windows(
    series: GraphSeries,
    *,
    history: int,
    horizon: int,
    scaler: str | Scaler = "standard",
    min_horizon: int | None = None,
    lead: int = 1,
    time_features: bool = False,
    weekdays: Sequence[int] | None = None,
    reach_back: bool = False,
    hidden: Bool[Tensor, "L N"] | None = None,
) -> WindowSplits:
    """Windows of the training, validation and test rows of a series, on one tensor that all three share.

    Args:
        series: The series and its split.
        history: T, rows of history.
        horizon: P, rows of targets.
        scaler: One of `gnnkit.data.scaling.SCALERS`, e.g. `"standard"` (mean and deviation of each node's training
            values) or `"max"` (the largest training value of all nodes), or a fitted scaler.
        min_horizon: See `Windows`; default `horizon`. It holds for all three splits.
        lead: See `Windows`; default 1.
        time_features: True appends time of day and weekday to x, the same for every node. Default False.
        weekdays: What each weekday is told as, see `clock_features`.
        reach_back: True lets the first histories of validation and test lie in the split before, so that every one of
            their rows is a target. Default False: no window leaves its split.
        hidden: True where x must not show a node, in all three splits (see `hide_in_outages`): a gap, filled from the
            past, that the scaler does not see either. Targets stay. Default None: nothing is hidden.

    Returns:
        The windows; the test windows leave out the last one where `series.split.drop_last_window` says so.

    Raises:
        ValueError: `history` or `horizon` below 1, a split too short for one window (the message has the rows needed),
            an unknown scaler, or a feature without an observed training value.

    Example:
        >>> from gnnkit.data import simulate_traffic
        >>> make_windows(simulate_traffic(num_nodes=4, days=1), history=6, horizon=3)
        WindowSplits(train 194, validation 20, test 50 windows of 6 + 3 rows)
    """
    _check_lengths(history, horizon, min_horizon, lead)
    if isinstance(scaler, str) and scaler not in SCALERS:
        raise ValueError(f"scaler={scaler!r}: give one of {', '.join(SCALERS)}, or a fitted scaler")
    split = series.split
    before = history + lead - 1
    parts = {
        part: range(max(0, rows.start - before), rows.stop) if reach_back and part != "train" else rows
        for part, rows in split.parts.items()
    }
    for part, rows in parts.items():
        needed = before + (min_horizon or horizon) + int(part == "test" and split.drop_last_window)
        if len(rows) < needed:
            in_all = math.ceil(needed * series.num_rows / len(rows))
            raise ValueError(
                f"series too short: its {part} split has {len(rows)} of {series.num_rows} rows, and history={history} "
                f"with horizon={min_horizon or horizon} needs {needed} there (about {in_all} rows in all); "
                f"give a longer series, or a shorter history or horizon"
            )
    store = SeriesStore.from_series(series, time_features=time_features, weekdays=weekdays, hidden=hidden)
    shown = series if hidden is None else hide_values(series, hidden)
    if isinstance(scaler, str):
        scaler = fit_scaler(scaler, shown.values, split.train)

    options = {"history": history, "horizon": horizon, "scaler": scaler, "min_horizon": min_horizon, "lead": lead}
    train, val = (Windows(store, parts[part], **options) for part in ("train", "val"))
    return WindowSplits(train, val, Windows(store, parts["test"], **options, drop_last=split.drop_last_window), scaler)


def _check_lengths(history: int, horizon: int, min_horizon: int | None, lead: int) -> None:
    for name, value in (("history", history), ("horizon", horizon), ("lead", lead)):
        if value < 1:
            raise ValueError(f"{name}={value}: must be at least 1 row")
    if min_horizon is not None and not 1 <= min_horizon <= horizon:
        raise ValueError(f"min_horizon={min_horizon}: must be 1 to horizon={horizon}, or None for all of it")
