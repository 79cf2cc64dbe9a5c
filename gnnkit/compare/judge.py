"""From what was predicted to what was found: rows, errors, verdicts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from gnnkit.compare.jobs import Job, ablation_notes
from gnnkit.compare.leakage.audit import CAUSES
from gnnkit.compare.results import CURVE_COLUMNS, ROW_COLUMNS, STEP_COLUMNS, Results
from gnnkit.compare.scores import Outcome, node_errors, score_rows, step_rows, traces, window_errors
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.compare.statistics.ablation import judge_ablation, judge_conditions
from gnnkit.compare.statistics.enough import is_enough
from gnnkit.compare.statistics.intervals import interval_levels, score_intervals
from gnnkit.compare.statistics.ranks import critical_difference
from gnnkit.compare.statistics.significance import significance
from gnnkit.compare.statistics.verdicts import verdicts
from gnnkit.compare.statistics.where import best_by_validation, where_error_lives
from gnnkit.compare.store import StoredJob
from gnnkit.data import GraphSeries, WindowSplits
from gnnkit.forecasting.baselines import BASELINES, baseline_notes

__all__ = ["Evidence", "has_graph", "judge"]


@dataclass(frozen=True)
class Evidence:
    """All that is known when the last job is over.

    Args:
        spec: what was compared.
        series: the data as they were read.
        windows: those of the base condition.
        jobs: what was planned, in order.
        stored: what became of it.
        lost: jobs without a result, by key, and why.
        environment: of the run.
        audit: what the leakage audit found.
        budget: what the budget came to.
        inferred: what was inferred about the data.
    """

    spec: FinalSpec
    series: GraphSeries
    windows: WindowSplits
    jobs: Sequence[Job]
    stored: Mapping[Job, StoredJob]
    lost: Mapping[str, str]
    environment: dict[str, Any]
    audit: list[dict[str, Any]] = field(default_factory=list)
    budget: dict[str, Any] = field(default_factory=dict)
    inferred: list[str] = field(default_factory=list)


def has_graph(series: GraphSeries) -> bool:
    """Whether an edge of the graph joins two different nodes; loops and edges of weight 0 tell a node of no other."""
    source, target = series.edge_index
    return bool(((source != target) & (series.edge_weight != 0)).any())


def judge(evidence: Evidence) -> Results:
    """Everything that follows from what was predicted, and from nothing else.

    The predictions lie in files that are mapped into memory; each is read when its turn comes.
    """
    spec, series, windows = evidence.spec, evidence.series, evidence.windows
    true, mask = windows.test.targets()
    counted = {p: windows.test.count(p) for p in spec.horizons}
    longest = windows.test.count(max(spec.horizons))
    baselines = [
        Outcome(name, "baseline", 0, predict(series, windows.test), None, validation=predict(series, windows.val))
        for name, predict in BASELINES.items()
    ]
    outcomes = [*baselines, *(found.outcome for found in evidence.stored.values() if found.outcome)]
    base = [outcome for outcome in outcomes if outcome.condition.is_base]
    absolute, squared, counts = window_errors(base, true, mask, counted)
    families = {outcome.model: outcome.family for outcome in base}
    share = len(series.split.test) / series.num_rows
    words = {
        "unit": series.unit,
        "step_minutes": series.step_minutes or series.step_unit or None,
        "confidence": spec.confidence,
    }
    words |= {"test_share": share}
    judged = [p for p in spec.horizons if is_enough(counts[str(p)], p, spec.confidence)]
    intervals = score_intervals(
        base,
        true,
        mask,
        *windows.val.targets(),
        counted,
        coverage=spec.coverage,
        levels=interval_levels(spec.coverage),
    )
    # Without a graph there are no graph models to set against the others: all are compared by name alone.
    pair = best_by_validation(base) if has_graph(series) else None
    asked = {"history": spec.history, "confidence": spec.confidence, "pair": pair}
    tests = significance(absolute, squared, counts, families, **asked)
    ranks = [
        critical_difference(absolute, counts, families, horizon=p, history=spec.history, alpha=1 - spec.confidence)
        for p in judged
    ]
    where = {}
    if pair and judged:
        draws = {"confidence": spec.confidence, "resamples": spec.resamples}
        where = where_error_lives(base, series, windows.test, true, mask, horizon=max(judged), **draws)
    return Results(
        spec=spec.to_json(),
        environment=evidence.environment,
        data=_describe(series),
        rows=_rows(evidence, outcomes, true, mask, counted),
        curves=pd.DataFrame([row for outcome in base for row in _curve(outcome)], columns=CURVE_COLUMNS),
        step_errors=pd.DataFrame(step_rows(base, true[:longest], mask[:longest]), columns=STEP_COLUMNS),
        window_errors={name: {p: _mean(table) for p, table in found.items()} for name, found in absolute.items()},
        seed_window_errors=absolute,
        seed_window_squared=squared,
        window_counts=counts,
        node_errors=node_errors(base, true[:longest], mask[:longest]),
        traces=traces(base, series, windows.test, true, mask),
        verdicts=verdicts(absolute, squared, counts, families, **{**words, **asked}, tests=tests),
        notes=[*baseline_notes(series, windows.test), *ablation_notes(spec), *_tuning_notes(evidence)],
        failures=_failures(evidence),
        significance=tests,
        ablation=judge_ablation(outcomes, true, mask, counted, **words),
        conditions=judge_conditions(outcomes, true, mask, counted, **words) if pair else [],
        ranks=[found for found in ranks if found],
        where=where,
        intervals=intervals,
        audit=evidence.audit,
        budget=evidence.budget,
        inferred=evidence.inferred,
    )


def _tuning_notes(evidence: Evidence) -> list[str]:
    """A sentence where settings were searched for on other data than some of those that they are compared on."""
    if evidence.spec.budget != "trials" or all(job.condition.is_base for job in evidence.jobs):
        return []
    return [
        "Settings were tuned on the given graph, with all training rows and all inputs; the fits on other graphs, on "
        "shares of the training rows and with hidden inputs have the same settings, and no trials of their own."
    ]


def _rows(
    evidence: Evidence, outcomes: Sequence[Outcome], true: Tensor, mask: Tensor, counted: Mapping[int, int]
) -> pd.DataFrame:
    """The rows of all outcomes, those of the base condition first."""
    place = evidence.environment
    # What is only suspected labels the rows too, with a question mark.
    marks = {("allowed", cause): cause for cause in CAUSES}
    marks |= {("warning", cause): f"{cause}?" for cause in ("foresight", "graph")}
    keys = [(finding["status"], finding["cause"]) for finding in evidence.audit]
    leaks = [marks[key] for key in keys if key in marks]
    shared = {"data": evidence.series.name, "data_hash": place["data_hash"], "history": evidence.spec.history}
    shared |= {"leak": "+".join(leaks), "hidden_channels": 0, "trials": 0}
    shared |= {key: place[key] for key in ("device", "hardware", "threads", "torch", "gnnkit", "commit", "date")}
    jobs = {(job.model, job.seed, job.condition): job for job in evidence.stored}
    rows: list[dict[str, Any]] = []
    for outcome in outcomes:
        own: dict[str, Any] = dataclasses.asdict(outcome.condition)
        job = jobs.get((outcome.model, outcome.seed, outcome.condition))
        if job:
            own |= {"hidden_channels": job.hidden_channels, "trials": job.trials, **evidence.stored[job].made}
        rows += [shared | row | own for row in score_rows([outcome], true, mask, counted)]
    return pd.DataFrame(rows, columns=ROW_COLUMNS)


def _failures(evidence: Evidence) -> list[dict[str, Any]]:
    found = []
    for job in evidence.jobs:
        error = evidence.lost[job.key] if job.key in evidence.lost else evidence.stored[job].error
        if error is not None:
            found.append({"model": job.model, "seed": job.seed, "condition": job.condition.label, "error": error})
    return found


def _curve(outcome: Outcome) -> list[dict[str, Any]]:
    records = outcome.fitted.epochs if outcome.fitted else []
    return [{"model": outcome.model, "seed": outcome.seed} | dataclasses.asdict(record) for record in records]


def _mean(per_seed: list[list[float | None]]) -> list[float | None]:
    """Mean over seeds of every window; the windows without a target are the same for all seeds."""
    return [None if column[0] is None else float(np.mean(column)) for column in zip(*per_seed, strict=True)]


def _describe(series: GraphSeries) -> dict[str, Any]:
    edges = zip(*series.edge_index.tolist(), series.edge_weight.tolist(), strict=True)
    return {
        "name": series.name,
        "source": series.source,
        "unit": series.unit,
        "step_minutes": series.step_minutes,
        "step_unit": series.step_unit,
        "season": series.season,
        "start": None if series.start is None else series.start.isoformat(),
        "rows": series.num_rows,
        "nodes": series.num_nodes,
        "features": series.num_features,
        "missing_share": float(series.values[..., 0].isnan().double().mean()),
        "split": series.split.label,
        "split_rows": {part: [rows.start, rows.stop] for part, rows in series.split.parts.items()},
        "node_names": list(series.node_names),
        "positions": None if series.positions is None else series.positions.tolist(),
        "edges": [list(edge) for edge in edges],
    }
