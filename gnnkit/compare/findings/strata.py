"""The groups of test targets in which two models are set side by side: when, where, and in which state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from gnnkit.compare.folds import JoinedWindows
from gnnkit.data import GraphSeries, Windows
from gnnkit.data.spans import axis_unit

__all__ = ["Stratum", "hops_to_nearest", "make_strata", "target_times"]

MOST_HOPS = 3
MOST_GROUPS = 12
LEAST_TRAINING_VALUES = 20
"""A node with fewer observed training values has no quarters."""

SPEED_UNITS = ("mph", "mi/h", "miles per hour", "km/h", "kmh", "kph")
DAY = 24 * 60
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class Stratum:
    """One way to sort the targets `[W, P, N]` into groups.

    Args:
        name: short, for programs.
        title: for readers.
        unit: of the labels; empty where they need none.
        labels: of the K groups, in order.
        codes: group 0 … K − 1 of each target, −1 for none: `[W, P]`, or `[W, N]` where `by_node`.
        by_node: which of the two.
    """

    name: str
    title: str
    unit: str
    labels: tuple[str, ...]
    codes: Int[np.ndarray, "W A"]
    by_node: bool


def make_strata(series: GraphSeries, test: Windows | JoinedWindows, count: int, horizon: int) -> list[Stratum]:
    """The groups that mean something for these data.

    Step ahead; hour of the day and day of the week of the target (where the start is known); neighbours that a node
    hears; and as it was at the time of the forecast: hops from the nearest incident that is going on (where
    `series.extra` has `"incidents"`), hops from the nearest sensor whose value is missing, the quarter of the node's
    training values that its last known value lies in, and the share of its history that is missing.

    Args:
        series: the data.
        test: the test windows.
        count: W, leading windows that are looked at.
        horizon: P, steps that are looked at.

    Returns:
        Those that have at least two groups.
    """
    rows = test.target_rows(torch.arange(count, device=test.device))[:, :horizon].cpu().numpy()  # [W, P]
    now = rows[:, 0] - test.lead  # the last row of each history
    makers: Sequence[Callable[[], Stratum | None]] = (
        lambda: _by_step(series, rows),
        lambda: _by_hour(series, rows),
        lambda: _by_weekday(series, rows),
        lambda: _by_degree(series, count),
        lambda: _by_incident(series, now),
        lambda: _by_missing_sensor(series, test, now),
        lambda: _by_level(series, test, now),
        lambda: _by_missing_history(test, now),
    )
    found = (make() for make in makers)
    return [
        stratum for stratum in found if stratum is not None and len(np.unique(stratum.codes[stratum.codes >= 0])) > 1
    ]


def target_times(series: GraphSeries, rows: Int[np.ndarray, "*any"]) -> tuple[NDArray, NDArray] | None:
    """Hour of the day and day of the week (Monday 0) of some rows; None where the series does not know its times."""
    if series.start is None or series.step_minutes is None:
        return None
    start = series.start
    first = start.day_of_week * DAY + start.hour * 60 + start.minute + start.second / 60
    # Steps of a fraction of a minute do not add up exactly: a millisecond early is not the hour before.
    minutes = first + series.step_minutes * rows + 1e-5
    return (minutes % DAY // 60).astype(np.int64), (minutes // DAY % 7).astype(np.int64)


def hops_to_nearest(
    edge_index: Int[torch.Tensor, "2 E"], sources: Bool[np.ndarray, "W N"], most: int
) -> Int[np.ndarray, "W N"]:
    """Hops to each node from the nearest of some sources, along the messages, for many sets of sources.

    Args:
        edge_index: edges j → i, `[2, E]`.
        sources: which nodes are sources, a set in each row.
        most: hops that are counted.

    Returns:
        0 … `most`; `most + 1` for nodes farther away or not reached; `most + 2` in rows without a source.

    Example:
        >>> path = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]])
        >>> hops_to_nearest(path, np.array([[1, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]], dtype=bool), most=2)
        array([[0, 1, 2, 3, 3],
               [3, 3, 0, 1, 2],
               [4, 4, 4, 4, 4]], dtype=int8)
    """
    source, target = edge_index.cpu().numpy()
    nodes = sources.shape[1]
    heard = csr_matrix((np.ones(source.size, dtype=np.float32), (target, source)), shape=(nodes, nodes))
    # Rows are few kinds in most data: a sensor that is out is out for hours.
    kinds, which = np.unique(np.packbits(sources, axis=1), axis=0, return_inverse=True)
    reached = np.unpackbits(kinds, axis=1, count=nodes).astype(np.float32)
    levels = np.full(reached.shape, most + 1, dtype=np.int8)
    levels[reached > 0] = 0
    for hop in range(1, most + 1):
        reached = ((heard @ reached.T).T > 0).astype(np.float32)
        levels[(reached > 0) & (levels > hop)] = hop
    hops = levels[which.reshape(-1)]
    hops[~sources.any(axis=1)] = most + 2
    return hops


def _by_step(series: GraphSeries, rows: NDArray) -> Stratum:
    steps = rows.shape[1]
    size, unit = axis_unit(series.step_minutes or series.step_unit, steps)
    parts = np.array_split(np.arange(1, steps + 1), min(steps, MOST_GROUPS))
    labels = tuple(_span(part[0] * size, part[-1] * size) for part in parts)
    code = np.concatenate([np.full(len(part), number) for number, part in enumerate(parts)])
    return Stratum("step", "Step ahead", unit, labels, np.broadcast_to(code, rows.shape), by_node=False)


def _by_hour(series: GraphSeries, rows: NDArray) -> Stratum | None:
    times = target_times(series, rows)
    if times is None:
        return None
    return Stratum("hour", "Hour of the day", "", tuple(f"{hour:02d}" for hour in range(24)), times[0], by_node=False)


def _by_weekday(series: GraphSeries, rows: NDArray) -> Stratum | None:
    times = target_times(series, rows)
    if times is None:
        return None
    return Stratum("weekday", "Day of the week", "", WEEKDAYS, times[1], by_node=False)


def _by_degree(series: GraphSeries, count: int) -> Stratum:
    nodes = series.num_nodes
    source, target = series.edge_index.cpu().numpy()
    keys = np.unique(target[source != target] * nodes + source[source != target])
    degree = np.bincount(keys // nodes, minlength=nodes)
    values = np.unique(degree)
    if len(values) > 6:  # quarters of the nodes; a bound is the largest degree of its group
        bounds = np.unique(np.quantile(degree, [0.25, 0.5, 0.75, 1.0], method="inverted_cdf"))
    else:
        bounds = values
    code = np.searchsorted(bounds, degree)
    labels = tuple(
        _span(float(degree[code == number].min()), float(degree[code == number].max())) for number in range(len(bounds))
    )
    codes = np.broadcast_to(code, (count, nodes))
    return Stratum("degree", "Neighbours in the graph", "neighbours that a node hears", labels, codes, by_node=True)


def _by_incident(series: GraphSeries, now: NDArray) -> Stratum | None:
    if "incidents" not in series.extra:
        return None
    incidents = series.extra["incidents"].cpu().numpy()
    if incidents.ndim != 2 or incidents.shape[1] < 3:
        return None
    sources = np.zeros((len(now), series.num_nodes), dtype=bool)
    for node, first, end in incidents[:, :3].astype(np.int64):
        sources[(first <= now) & (now < end), node] = True
    return _by_hops(series, sources, "incident", "Distance to an incident that is going on")


def _by_missing_sensor(series: GraphSeries, test: Windows | JoinedWindows, now: NDArray) -> Stratum | None:
    observed = test.store.observed(torch.from_numpy(now).to(test.device))
    if observed is None:
        return None
    missing = ~observed[..., 0].cpu().numpy()
    return _by_hops(series, missing, "missing-sensor", "Distance to a sensor whose value is missing")


def _by_hops(series: GraphSeries, sources: Bool[np.ndarray, "W N"], name: str, title: str) -> Stratum:
    labels = (*(str(hop) for hop in range(MOST_HOPS + 1)), f"{MOST_HOPS + 1}+", "none")
    codes = hops_to_nearest(series.edge_index, sources, MOST_HOPS)
    return Stratum(name, title, "hops", labels, codes, by_node=True)


def _by_level(series: GraphSeries, test: Windows | JoinedWindows, now: NDArray) -> Stratum | None:
    last = test.store.filled[torch.from_numpy(now).to(test.device), :, 0].cpu().numpy()  # [W, N]
    bounds = _quarters(series.values[series.split.train.start : series.split.train.stop, :, 0].cpu().numpy())
    known = np.isfinite(bounds[0])
    codes = sum((last > bound).astype(np.int8) for bound in bounds)
    codes = np.where(known, codes, np.int8(-1))
    if series.unit.strip().lower() in SPEED_UNITS:
        labels, title = ("congested", "slow", "fast", "free flow"), "Congestion"
        return Stratum("congestion", title, "quarters of a node's training speeds", labels, codes, by_node=True)
    labels = ("lowest quarter", "second", "third", "highest quarter")
    return Stratum("level", "Level of the series", "of a node's training values", labels, codes, by_node=True)


def _quarters(train: Float[np.ndarray, "L N"]) -> Float[np.ndarray, "3 N"]:
    """The three quartiles of each node's observed values; NaN for a node with few, or with one value throughout."""
    ordered = np.sort(train, axis=0)  # NaN last
    count = np.isfinite(train).sum(axis=0)
    places = np.floor(np.outer([0.25, 0.5, 0.75], np.maximum(count - 1, 0))).astype(np.int64)
    bounds = np.take_along_axis(ordered, places, axis=0)
    largest = np.take_along_axis(ordered, np.maximum(count - 1, 0)[None], axis=0)[0]
    bounds[:, (count < LEAST_TRAINING_VALUES) | (ordered[0] == largest)] = np.nan
    return bounds


def _by_missing_history(test: Windows | JoinedWindows, now: NDArray) -> Stratum | None:
    if test.store.observed_bits is None:
        return None
    first = int(now.min()) - test.history + 1
    rows = torch.arange(first, int(now.max()) + 1, device=test.device)
    observed = test.store.observed(rows)
    assert observed is not None  # for the type checker: the store has bits
    missing = np.zeros((len(rows) + 1, observed.size(1)), dtype=np.int32)
    np.cumsum(~observed[..., 0].cpu().numpy(), axis=0, out=missing[1:])
    share = (missing[now - first + 1] - missing[now - first + 1 - test.history]) / test.history
    labels = ("none", "up to 10 %", "10 to 50 %", "above 50 %")
    codes = np.searchsorted([0.0, 0.1, 0.5], share).astype(np.int8)
    return Stratum("missing-history", "Missing share of the history", "", labels, codes, by_node=True)


def _span(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g}–{high:g}"
