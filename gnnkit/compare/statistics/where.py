"""Where the error lives: when, where and in which windows the best graph and the best sequence model differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from gnnkit.compare.scores import Outcome
from gnnkit.compare.statistics.bootstrap import block_weights, kept_variance
from gnnkit.compare.statistics.strata import Stratum, make_strata, target_times
from gnnkit.data import GraphSeries, Windows

__all__ = ["best_by_validation", "effective_blocks", "where_error_lives"]

LEAST_TARGETS = 100
"""A group with fewer observed targets is left out."""

LEAST_BLOCKS = 3
"""A group that lies in fewer blocks of windows has no interval: nothing tells how it would differ another time."""

LEAST_CELL = 6
"""A node with fewer observed targets at an hour has no colour in the heat map."""

MOST_HEAT_NODES = 300
PICKED_WINDOWS = 10
CHUNK = 4_000_000
"""Errors that are held at once."""


def where_error_lives(
    outcomes: Sequence[Outcome],
    series: GraphSeries,
    test_windows: Windows,
    true: Float[Tensor, "W P N"],
    mask: Bool[Tensor, "W P N"],
    *,
    horizon: int,
    confidence: float,
    resamples: int,
) -> dict[str, Any]:
    """The difference in absolute error, best graph model − best sequence model, by time, place and state.

    Which are the best is chosen by the validation MAE, averaged over seeds; the test windows have no say. The
    difference in a group of targets is a ratio of sums, Σ_w Σ |e| of one less that of the other over the group's
    observed targets, averaged over seeds. Its interval is made as `paired_interval` does: blocks of history + horizon
    windows are resampled, the ratio is taken anew, and the noise between seeds is added. A group may lie in few blocks
    (an hour that comes once a day): with m the number of blocks that its targets amount to (`effective_blocks`),
    deviations are widened by √(m / (m − 1)), by what overlapping windows take from the variance that blocks show
    (`kept_variance`), and to Student's t with m − 1 degrees.

    The intervals are looked at one by one, without a correction for their number: of twenty groups in which nothing
    differs, one stands out at 95%.

    Args:
        outcomes: what was predicted; those under a condition other than the base, and baselines, are passed over.
        series: the data.
        test_windows: its test windows.
        true: their targets, in the data's unit; where nothing was observed, any finite number.
        mask: observed targets.
        horizon: P; the steps 1 … P of the windows that hold P targets are looked at.
        confidence: of the intervals.
        resamples: bootstrap draws.

    Returns:
        `Results.where`: `pair` (names of the graph and the sequence model), `horizon`, `strata` (see `make_strata`; a
        group's `low` and `high` are None where it lies in fewer than 3 blocks, and one with fewer than 100 observed
        targets is left out), `heat` (nodes × hours of the day; empty where the time is unknown; with more than 300
        nodes those with the largest differences, which `note` says), and `windows`: up to ten in which each wins most,
        without overlap of their targets, each with the node that adds most. Empty where a family is missing or no
        window holds P targets.
    """
    pair = best_by_validation(outcomes)
    count = test_windows.count(horizon)
    if pair is None or not count or not mask[:count, :horizon].any():
        return {}
    graph, sequence = ([o for o in outcomes if o.model == name and _counts(o)] for name in pair)
    strata = make_strata(series, test_windows, count, horizon)
    rows = test_windows.target_rows(torch.arange(count, device=test_windows.device))[:, :horizon].cpu().numpy()
    times = target_times(series, rows)
    sums = _sum_errors(graph, sequence, true, mask, count, horizon, None if times is None else times[0])
    block = max(1, min(test_windows.history + horizon, count // 3))
    draws = _Draws(block, block_weights(count, block=block, resamples=resamples), confidence)
    return {
        "pair": list(pair),
        "horizon": horizon,
        "strata": [found for stratum in strata if len((found := _judge(stratum, sums, draws))["groups"]) > 1],
        "heat": _heat(series, sums),
        "windows": {
            side: _pick(side, sums, graph, sequence, series, test_windows, true, mask, rows)
            for side in ("graph", "sequence")
        },
    }


def best_by_validation(outcomes: Sequence[Outcome]) -> tuple[str, str] | None:
    """The graph and the sequence model with the lowest validation MAE, a mean over seeds; None if a family is missing.

    Args:
        outcomes: what was predicted; those under a condition other than the base are passed over.
    """
    errors: dict[str, dict[str, list[float]]] = {"graph": {}, "sequence": {}}
    for outcome in outcomes:
        if _counts(outcome) and outcome.fitted is not None:
            errors[outcome.family].setdefault(outcome.model, []).append(outcome.fitted.best_val_mae)
    best = [min(found, key=lambda name: float(np.mean(found[name])), default=None) for found in errors.values()]
    return None if best[0] is None or best[1] is None else (best[0], best[1])


def _counts(outcome: Outcome) -> bool:
    return outcome.condition.is_base and outcome.fitted is not None and outcome.family in ("graph", "sequence")


@dataclass
class _Sums:
    """Sums of absolute errors (a row a seed, graph models first) and of observed targets, W windows each."""

    seeds: tuple[int, int]
    by_step: Float[np.ndarray, "S W P"]
    by_node: Float[np.ndarray, "S W N"]
    step_targets: Float[np.ndarray, "W P"]
    node_targets: Float[np.ndarray, "W N"]
    heat: Float[np.ndarray, "H N"] | None = None
    heat_targets: Float[np.ndarray, "H N"] | None = None
    signs: Float[np.ndarray, " S"] = field(init=False)

    def __post_init__(self) -> None:
        ours, theirs = self.seeds
        self.signs = np.array([1 / ours] * ours + [-1 / theirs] * theirs)

    @property
    def node_difference(self) -> Float[np.ndarray, "W N"]:
        """Summed error of the graph model less that of the other, averaged over seeds."""
        return np.tensordot(self.signs, self.by_node, axes=1)


def _sum_errors(
    graph: Sequence[Outcome],
    sequence: Sequence[Outcome],
    true: Tensor,
    mask: Tensor,
    count: int,
    horizon: int,
    hours: Int[np.ndarray, "W P"] | None,
) -> _Sums:
    """One pass over the predictions, some windows at a time."""
    outcomes, nodes = [*graph, *sequence], true.size(2)
    sums = _Sums(
        (len(graph), len(sequence)),
        np.zeros((len(outcomes), count, horizon)),
        np.zeros((len(outcomes), count, nodes), dtype=np.float32),
        np.zeros((count, horizon)),
        np.zeros((count, nodes)),
    )
    if hours is not None:
        sums.heat, sums.heat_targets = np.zeros((24, nodes)), np.zeros((24, nodes))
    size = max(1, CHUNK // (horizon * nodes))
    for first in range(0, count, size):
        part = slice(first, min(first + size, count))
        y, seen = true[part, :horizon], mask[part, :horizon].to(true.dtype)
        difference = torch.zeros_like(y)
        for number, outcome in enumerate(outcomes):
            error = (outcome.predicted[part, :horizon] - y).abs_().mul_(seen)
            sums.by_step[number, part] = error.sum(dim=2).numpy()
            sums.by_node[number, part] = error.sum(dim=1).numpy()
            difference.add_(error, alpha=float(sums.signs[number]))
        sums.step_targets[part], sums.node_targets[part] = seen.sum(dim=2).numpy(), seen.sum(dim=1).numpy()
        if hours is not None and sums.heat is not None and sums.heat_targets is not None:
            here = torch.from_numpy(hours[part] == np.arange(24)[:, None, None]).to(y.dtype).flatten(1)  # [24, w P]
            sums.heat += (here @ difference.flatten(0, 1)).numpy()
            sums.heat_targets += (here @ seen.flatten(0, 1)).numpy()
    return sums


@dataclass(frozen=True)
class _Draws:
    """The resamples of windows that all groups share."""

    block: int
    weights: Float[np.ndarray, "R W"]
    confidence: float


def _judge(stratum: Stratum, sums: _Sums, draws: _Draws) -> dict[str, Any]:
    errors, targets = (
        (sums.by_node, sums.node_targets) if stratum.by_node else (sums.by_step, sums.step_targets)
    )  # [S, W, A], [W, A]
    grouped = _by_group(stratum, targets)  # [W, K]
    totals = np.stack([_by_group(stratum, seed) for seed in errors])  # [S, W, K]
    observed = grouped.sum(axis=0)
    kept = np.flatnonzero(observed >= LEAST_TARGETS)
    if not kept.size:
        return {"groups": []}
    grouped, totals, observed = grouped[:, kept], totals[:, :, kept], observed[kept]
    scores = totals.sum(axis=1) / observed  # [S, K]
    low, high = _intervals(totals, grouped, scores, sums, draws)
    ours = sums.seeds[0]
    groups = [
        {
            "label": stratum.labels[group],
            "observed": int(observed[number]),
            "graph": float(scores[:ours, number].mean()),
            "sequence": float(scores[ours:, number].mean()),
            "difference": float(sums.signs @ scores[:, number]),
            "low": None if np.isnan(low[number]) else float(low[number]),
            "high": None if np.isnan(high[number]) else float(high[number]),
        }
        for number, group in enumerate(kept)
    ]
    return {"name": stratum.name, "title": stratum.title, "unit": stratum.unit, "groups": groups}


def _by_group(stratum: Stratum, values: Float[np.ndarray, "W A"]) -> Float[np.ndarray, "W K"]:
    windows, groups = len(values), len(stratum.labels) + 1
    # Targets of no group, −1, are counted at place 0 and dropped.
    keys = (stratum.codes.astype(np.int64) + 1) + groups * np.arange(windows)[:, None]
    return np.bincount(keys.ravel(), weights=values.ravel(), minlength=groups * windows).reshape(windows, groups)[:, 1:]


def _intervals(
    totals: Float[np.ndarray, "S W K"],
    targets: Float[np.ndarray, "W K"],
    scores: Float[np.ndarray, "S K"],
    sums: _Sums,
    draws: _Draws,
) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Bounds of each group's difference; NaN where a group lies in too few blocks."""
    weights, tail = draws.weights, (1 - draws.confidence) / 2
    blocks = effective_blocks(targets, draws.block)
    known = blocks >= LEAST_BLOCKS - 1e-9
    blocks = np.maximum(blocks, LEAST_BLOCKS)
    drawn = weights @ np.tensordot(sums.signs, totals, axes=1)  # [R, K]
    seen = weights @ targets
    # A resample without a target of the group has no difference, and does not count.
    nothing = np.where(known, np.full_like(drawn, np.nan), 0.0)
    drawn = np.divide(drawn, seen, out=nothing, where=(seen > 0) & known)
    ratio = stats.t.ppf(1 - tail, blocks - 1) / stats.norm.ppf(1 - tail)
    # What blocks lose because windows overlap: the same for a group as for all windows (`paired_interval`).
    windows = len(targets)
    lost = (1 - draws.block / windows) / kept_variance(windows, draws.block, draws.block // 2)
    deviations = (drawn - np.nanmean(drawn, axis=0)) * ratio * np.sqrt(blocks / (blocks - 1) * lost)
    rng = np.random.default_rng([0, 1])
    ours = sums.seeds[0]
    for part in (scores[:ours], scores[ours:]):
        if len(part) > 1:
            noise = rng.standard_t(len(part) - 1, size=(len(weights), 1))
            deviations += noise * part.std(axis=0, ddof=1) / np.sqrt(len(part))
    difference = sums.signs @ scores
    low, high = difference + np.nanquantile(deviations, [tail, 1 - tail], axis=0)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def effective_blocks(targets: Float[np.ndarray, "W K"], block: int) -> Float[np.ndarray, " K"]:
    """How many blocks of windows the targets of each group amount to; W / block for one that is evenly in all windows.

    With c_w the group's targets and S_s their sum in the run of `block` windows that begins at s, runs over the ends
    among them: (Σ_w c_w)² / Σ_s S_s², over what this is for c = 1, times W / block.

    Args:
        targets: of each window and group.
        block: neighbouring windows that stay together.

    Example:
        >>> often, once = np.ones(40), np.eye(40)[7]
        >>> effective_blocks(np.stack([often, once], axis=1), block=4).round(2)
        array([10.  ,  0.97])
    """
    windows = len(targets)
    even = np.ones((windows, 1))
    shares = []
    for counts in (np.asarray(targets, dtype=np.float64), even):
        total = np.concatenate([np.zeros((block, counts.shape[1])), counts, np.zeros((block, counts.shape[1]))])
        total = total.cumsum(axis=0)
        runs = total[block:] - total[:-block]
        shares.append(total[-1] ** 2 / np.maximum((runs**2).sum(axis=0), 1e-12))
    return shares[0] / shares[1] * windows / block


def _heat(series: GraphSeries, sums: _Sums) -> dict[str, Any]:
    heat, targets = sums.heat, sums.heat_targets
    if heat is None or targets is None:
        return {}
    hours = np.flatnonzero(targets.any(axis=1))
    size = np.abs(heat.sum(axis=0)) / np.maximum(targets.sum(axis=0), 1)
    nodes = np.sort(np.argsort(-size, kind="stable")[:MOST_HEAT_NODES])
    cells = np.where(targets >= LEAST_CELL, heat / np.maximum(targets, 1), np.nan)
    left_out = series.num_nodes - len(nodes)
    return {
        "nodes": [series.node_names[node] for node in nodes],
        "hours": hours.tolist(),
        "difference": [
            [None if np.isnan(value) else float(value) for value in cells[hours, node].tolist()] for node in nodes
        ],
        "note": f"The {len(nodes)} nodes with the largest differences; {left_out} others are left out."
        if left_out
        else "",
    }


def _pick(
    side: str,
    sums: _Sums,
    graph: Sequence[Outcome],
    sequence: Sequence[Outcome],
    series: GraphSeries,
    test: Windows,
    true: Tensor,
    mask: Tensor,
    rows: NDArray,
) -> list[dict[str, Any]]:
    """The windows in which one side wins most; one that is picked bars those that share a target row with it."""
    sign, horizon = (1.0 if side == "graph" else -1.0), rows.shape[1]
    by_node, targets = sums.node_difference, sums.node_targets.sum(axis=1)
    difference = by_node.sum(axis=1) / np.maximum(targets, 1)
    free = (targets >= np.median(targets) / 2) & (targets > 0) & (sign * difference < 0)
    picked: list[dict[str, Any]] = []
    for window in np.argsort(sign * difference, kind="stable").tolist():
        if len(picked) == PICKED_WINDOWS:
            break
        if not free[window]:
            continue
        free[max(0, window - horizon + 1) : window + horizon] = False
        node, row = int(np.argmin(sign * by_node[window])), int(rows[window, 0])
        past = torch.arange(row - test.lead - test.history + 1, row - test.lead + 1, device=test.device)
        observed = test.store.observed(past)
        seen = torch.ones(test.history, dtype=torch.bool) if observed is None else observed[:, node, 0].cpu()
        at = (window, slice(0, horizon), node)
        picked.append(
            {
                "window": window,
                "row": row,
                "time": _time(series, row),
                "difference": float(difference[window]),
                "node": series.node_names[node],
                "history": _values(test.store.filled[past, node, 0].cpu(), seen),
                "true": _values(true[at], mask[at]),
                "graph": torch.stack([o.predicted[at] for o in graph]).mean(dim=0).tolist(),
                "sequence": torch.stack([o.predicted[at] for o in sequence]).mean(dim=0).tolist(),
            }
        )
    return picked


def _values(values: Tensor, seen: Tensor) -> list[float | None]:
    return [value if known else None for value, known in zip(values.tolist(), seen.tolist(), strict=True)]


def _time(series: GraphSeries, row: int) -> str | None:
    if series.start is None or series.step_minutes is None:
        return None
    return (series.start + pd.Timedelta(minutes=row * series.step_minutes)).isoformat()
