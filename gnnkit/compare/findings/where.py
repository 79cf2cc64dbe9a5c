"""Where the error lives: when, where and in which windows two models differ, a graph and a sequence model for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from gnnkit.compare.conditions import BASE
from gnnkit.compare.errors import ErrorTable, PairSums, sum_errors
from gnnkit.compare.evidence import Evidence
from gnnkit.compare.findings.difference import interval_entries
from gnnkit.compare.findings.finding import Finding
from gnnkit.compare.findings.plots_where import heat_map, strata_plot, windows_plot
from gnnkit.compare.findings.strata import Stratum, make_strata, target_times
from gnnkit.compare.folds import JoinedWindows
from gnnkit.compare.report.tables import ahead, confidence_label, sample_size, score_places, with_unit
from gnnkit.compare.results import Results
from gnnkit.compare.scores import Outcome
from gnnkit.data import GraphSeries, Windows
from gnnkit.report.numbers import format_number
from gnnkit.report.sections import Drawing, Entry, Section, Sheet, Sheets, Statement
from gnnkit.statistics.groups import group_tests
from gnnkit.statistics.step_down import judge_family

__all__ = ["WHERE", "Group", "Heat", "JudgedStratum", "Where", "Win", "where_error_lives"]

LEAST_TARGETS = 100
"""A group with fewer observed targets is left out."""

LEAST_CELL = 6
"""A node with fewer observed targets at an hour has no colour in the heat map."""

MOST_HEAT_NODES = 300
PICKED_WINDOWS = 10


@dataclass(frozen=True)
class Group:
    """Targets of one kind: how many were observed, both models' MAE there, and the difference with its interval."""

    label: str
    observed: int
    graph: float
    sequence: float
    difference: float
    low: float | None
    high: float | None

    @property
    def clear(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class JudgedStratum:
    """One way to sort the targets, and what was found in its groups."""

    name: str
    title: str
    unit: str
    groups: list[Group]

    @property
    def head(self) -> str:
        """The title with the unit of the labels."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


@dataclass(frozen=True)
class Heat:
    """The difference at each node and hour of the day, `[node][hour]`; empty where the time is unknown."""

    nodes: list[str] = field(default_factory=list)
    hours: list[int] = field(default_factory=list)
    difference: list[list[float | None]] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True)
class Win:
    """A window in which one side wins by much, at the node that adds most: its history, the truth, both forecasts."""

    window: int
    row: int
    time: str | None
    difference: float
    node: str
    history: list[float | None]
    true: list[float | None]
    graph: list[float]
    sequence: list[float]


@dataclass(frozen=True)
class Where:
    """Where the errors of two models differ.

    Args:
        pair: names of the graph and of the sequence model.
        horizon: P.
        strata: the groups of targets.
        heat: nodes × hours of the day.
        windows: "graph" and "sequence" → the windows in which that side wins most.
        named: True: the pair is of forecasts by the order in which they were named, whatever made them (default
            False).
    """

    pair: tuple[str, str]
    horizon: int
    strata: list[JudgedStratum]
    heat: Heat
    windows: dict[str, list[Win]]
    named: bool = False


def where_error_lives(
    table: ErrorTable,
    pair: tuple[str, str],
    series: GraphSeries,
    test_windows: Windows | JoinedWindows,
    *,
    horizon: int,
    confidence: float,
    resamples: int,
) -> Where | None:
    """The difference in absolute error, best graph model − best sequence model, by time, place and state.

    The difference in a group of targets is a ratio of sums, Σ_w Σ |e| of one less that of the other over the group's
    observed targets, averaged over seeds; it is tested over the spans of the windows (`group_tests`), and all groups of
    one way to sort the targets are corrected together (`judge_family`), so that their intervals hold together.

    Args:
        table: the predictions of both models.
        pair: their names.
        series: the data.
        test_windows: its test windows.
        horizon: P; the steps 1 … P of the windows that hold P targets are looked at.
        confidence: of the intervals.
        resamples: draws of the correction.

    Returns:
        What was found: of `strata` (see `make_strata`) a group's `low` and `high` are None where it lies in fewer than
        3 spans, and one with fewer than 100 observed targets is left out; of `heat`, with more than 300 nodes, those
        with the largest differences, which `note` says; up to ten `windows` in which each wins most, without overlap of
        their targets, each with the node that adds most. None where no window holds P targets.
    """
    true, mask = table.true, table.mask
    count = test_windows.count(horizon)
    if not count or not mask[:count, :horizon].any():
        return None
    graph, sequence = (table.fits[name, BASE] for name in pair)  # seeds of each
    strata = make_strata(series, test_windows, count, horizon)
    rows = test_windows.target_rows(torch.arange(count, device=test_windows.device))[:, :horizon].cpu().numpy()
    times = target_times(series, rows)
    sums = sum_errors(table, pair, horizon, None if times is None else times[0])
    spans = table.spans(horizon)
    judged = [_judge(stratum, sums, spans, confidence, resamples) for stratum in strata]
    windows = {
        side: _pick(side, sums, graph, sequence, series, test_windows, true, mask, rows)
        for side in ("graph", "sequence")
    }
    return Where(pair, horizon, [each for each in judged if len(each.groups) > 1], _heat(series, sums), windows)


def _judge(
    stratum: Stratum, sums: PairSums, spans: Int[np.ndarray, " W"], confidence: float, draws: int
) -> JudgedStratum:
    errors, targets = (
        (sums.by_node, sums.node_targets) if stratum.by_node else (sums.by_step, sums.step_targets)
    )  # [S, W, A], [W, A]
    grouped = _by_group(stratum, targets)  # [W, K]
    kept = np.flatnonzero(grouped.sum(axis=0) >= LEAST_TARGETS)
    totals = np.stack([_by_group(stratum, seed) for seed in errors])[:, :, kept]  # [S, W, K]
    grouped, found, ours = grouped[:, kept], [], sums.seeds[0]
    if kept.size:
        observed = grouped.sum(axis=0)
        scores = totals.sum(axis=1) / observed  # [S, K]
        tests = group_tests(totals, grouped, sums.seeds, spans)
        several = [test for test in tests if test is not None]
        judged = iter(judge_family(several, confidence, draws=draws))
        bounds = [None if test is None else next(judged) for test in tests]
        found = [
            Group(
                label=stratum.labels[group],
                observed=int(observed[number]),
                graph=float(scores[:ours, number].mean()),
                sequence=float(scores[ours:, number].mean()),
                difference=float(sums.signs @ scores[:, number]),
                low=None if bound is None else bound.low,
                high=None if bound is None else bound.high,
            )
            for number, (group, bound) in enumerate(zip(kept, bounds, strict=True))
        ]
    return JudgedStratum(stratum.name, stratum.title, stratum.unit, found)


def _by_group(stratum: Stratum, values: Float[np.ndarray, "W A"]) -> Float[np.ndarray, "W K"]:
    windows, groups = len(values), len(stratum.labels) + 1
    # Targets of no group, −1, are counted at place 0 and dropped.
    keys = (stratum.codes.astype(np.int64) + 1) + groups * np.arange(windows)[:, None]
    return np.bincount(keys.ravel(), weights=values.ravel(), minlength=groups * windows).reshape(windows, groups)[:, 1:]


def _heat(series: GraphSeries, sums: PairSums) -> Heat:
    heat, targets = sums.heat, sums.heat_targets
    if heat is None or targets is None:
        return Heat()
    hours = np.flatnonzero(targets.any(axis=1))
    size = np.abs(heat.sum(axis=0)) / np.maximum(targets.sum(axis=0), 1)
    nodes = np.sort(np.argsort(-size, kind="stable")[:MOST_HEAT_NODES])
    cells = np.where(targets >= LEAST_CELL, heat / np.maximum(targets, 1), np.nan)
    left_out = series.num_nodes - len(nodes)
    note = f"The {len(nodes)} nodes with the largest differences; {left_out} others are left out."
    return Heat(
        nodes=[series.node_names[node] for node in nodes],
        hours=hours.tolist(),
        difference=[[None if np.isnan(v) else float(v) for v in cells[hours, node].tolist()] for node in nodes],
        note=note if left_out else "",
    )


def _pick(
    side: str,
    sums: PairSums,
    graph: Sequence[Outcome],
    sequence: Sequence[Outcome],
    series: GraphSeries,
    test: Windows | JoinedWindows,
    true: Tensor,
    mask: Tensor,
    rows: NDArray,
) -> list[Win]:
    """The windows in which one side wins most; one that is picked bars those that share a target row with it."""
    sign, horizon = (1.0 if side == "graph" else -1.0), rows.shape[1]
    by_node, targets = sums.node_difference, sums.node_targets.sum(axis=1)
    difference = by_node.sum(axis=1) / np.maximum(targets, 1)
    free = (targets >= np.median(targets) / 2) & (targets > 0) & (sign * difference < 0)
    picked: list[Win] = []
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
            Win(
                window=window,
                row=row,
                time=_time(series, row),
                difference=float(difference[window]),
                node=series.node_names[node],
                history=_values(test.store.filled[past, node, 0].cpu(), seen),
                true=_values(true[at], mask[at]),
                graph=torch.stack([o.predicted[at] for o in graph]).mean(dim=0).tolist(),
                sequence=torch.stack([o.predicted[at] for o in sequence]).mean(dim=0).tolist(),
            )
        )
    return picked


def _values(values: Tensor, seen: Tensor) -> list[float | None]:
    return [value if known else None for value, known in zip(values.tolist(), seen.tolist(), strict=True)]


def _time(series: GraphSeries, row: int) -> str | None:
    if series.start is None or series.step_minutes is None:
        return None
    return (series.start + pd.Timedelta(minutes=row * series.step_minutes)).isoformat()


def _find(evidence: Evidence) -> Where | None:
    if not evidence.beside or not evidence.judged:
        return None
    given = (evidence.table, evidence.beside, evidence.series, evidence.test)
    draws = {"confidence": evidence.spec.confidence, "resamples": evidence.spec.resamples}
    found = where_error_lives(*given, horizon=max(evidence.judged), **draws)
    return found and replace(found, named=evidence.pair is None)


def _section(results: Results, where: Where) -> Section | None:
    (graph, sequence), horizon = where.pair, where.horizon
    drawings: list[Drawing] = []
    if where.strata:
        caption = (
            f"{graph} − {sequence}, MAE up to {ahead(results, horizon)}, in groups of the test values, with "
            f"{confidence_label(results)} intervals; below zero {graph} is better. Filled, in the winner's colour: the "
            "interval excludes zero. Exploratory."
        )
        draw = partial(strata_plot, where=where)
        drawings.append(Drawing("strata", "By step, time, place and state", caption, draw, "full"))
    if any(value is not None for line in where.heat.difference for value in line):
        note = f" {where.heat.note}" if where.heat.note else ""
        caption = f"{graph} − {sequence} at each node and hour; orange: {graph} is better, blue: {sequence}.{note}"
        drawings.append(Drawing("heat", "Nodes × hours", caption, partial(heat_map, where=where), "full"))
    for side, winner in (("graph", graph), ("sequence", sequence)):
        if where.windows.get(side):
            title = f"The {len(where.windows[side])} windows in which {winner} wins most"
            caption = (
                "History and truth in grey, the forecasts in colour, at the node drawn; the number is the difference "
                f"{graph} − {sequence} over all nodes. Picked for their size: they show how, not how often."
            )
            draw = partial(windows_plot, where=where, side=side)
            drawings.append(Drawing(f"windows-{side}", title, caption, draw, "full"))
    if not drawings:
        return None
    why = "of their families the best on the validation rows"
    if where.named:
        why = "the only forecasts that were given" if sequence == "last-value" else "the first two that were named"
    told = f"{graph} beside {sequence}, {why}, up to "
    said = (Statement(f"{told}{ahead(results, horizon)}.", sample=sample_size(results, horizon, where.pair)),)
    choices = tuple((stratum.title, _sheet(results, stratum, graph, sequence)) for stratum in where.strata)
    sheets = (Sheets("The same as tables", choices, folded=True),) if choices else ()
    notes = ("Exploratory; the groups of each panel are corrected together.",) if choices else ()
    return Section("where", "Where the error lives", said, tuple(drawings), sheets, notes)


def _sheet(results: Results, stratum: JudgedStratum, graph: str, sequence: str) -> Sheet:
    places = score_places(results, max(results.horizons), "mae")
    heads = (stratum.head, graph, sequence, "difference", f"{confidence_label(results)} interval", "observed")
    lines = tuple(
        (
            Entry(group.label, float(number)),
            *(Entry(format_number(mae, places), mae) for mae in (group.graph, group.sequence)),
            *interval_entries(group, places),
            Entry(format_number(group.observed, 0), group.observed),
        )
        for number, group in enumerate(stratum.groups)
    )
    about = f"Exploratory: {with_unit('MAE', results)} by {stratum.title.lower()}; observed: target values"
    return Sheet(about, heads, lines)


def _method(results: Results) -> str:
    if results.by_older_rules:
        return ""
    return (
        f"Groups of targets ({confidence_label(results)} intervals, exploratory): the difference of two models in a "
        "group is tested over the same spans as all else, by Student's t whose degrees are the spans that the group's "
        "targets amount to; a group that lies in fewer than three has no interval. All groups of one panel are "
        "corrected together."
    )


WHERE = Finding("where", Where | None, _find, show=_section, method=_method)
