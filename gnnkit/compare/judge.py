"""From what was predicted to what was found: rows, errors, findings."""

from __future__ import annotations

import dataclasses
import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from gnnkit.compare.evidence import Evidence
from gnnkit.compare.findings import FINDINGS
from gnnkit.compare.jobs import ablation_notes
from gnnkit.compare.leakage.audit import CAUSES
from gnnkit.compare.results import (
    CURVE_COLUMNS,
    ROW_COLUMNS,
    STEP_COLUMNS,
    DataFacts,
    Failure,
    Results,
    Traces,
)
from gnnkit.compare.scores import Outcome, score_rows
from gnnkit.forecasting.baselines import BASELINES, baseline_notes
from gnnkit.temporal import MODELS

__all__ = ["judge"]

TRACED_NODES = 4
TRACED_STEPS = 288
"""Where the season is unknown: a day of 5-minute steps."""


def judge(evidence: Evidence) -> Results:
    """Everything that follows from what was predicted, and from nothing else.

    The predictions lie in files that are mapped into memory; each is read when its turn comes.
    """
    spec, table = evidence.spec, evidence.table
    base = evidence.base
    return Results(
        spec=spec.to_json(),
        environment=evidence.environment,
        data=_describe(evidence),
        rows=_rows(evidence),
        curves=pd.DataFrame([row for outcome in base for row in _curve(outcome)], columns=CURVE_COLUMNS),
        step_errors=pd.DataFrame(table.per_step(), columns=STEP_COLUMNS),
        errors=table.of_base(),
        node_errors=table.per_node(),
        traces=_traces(evidence),
        notes=[
            *baseline_notes(evidence.folds[-1].series, evidence.folds[-1].windows.test),
            *ablation_notes(spec),
            *_tuning_notes(evidence),
            *_forecast_notes(evidence),
        ],
        failures=_failures(evidence),
        inferred=evidence.inferred,
        findings=FINDINGS.judge(evidence),
    )


def _tuning_notes(evidence: Evidence) -> list[str]:
    """A sentence where settings were searched for on other data than some of those that they are compared on."""
    if evidence.spec.budget != "trials" or all(job.condition.is_base for job in evidence.jobs):
        return []
    return [
        "Settings were tuned on the given graph, with all training rows and all inputs; the fits on other graphs, on "
        "shares of the training rows and with hidden inputs have the same settings, and no trials of their own."
    ]


def _forecast_notes(evidence: Evidence) -> list[str]:
    """What is not known of forecasts made elsewhere."""
    if evidence.aligned is None:
        return []
    outcomes = evidence.aligned.outcomes
    names = dict.fromkeys(outcome.model for outcome in outcomes)
    notes = [
        f"{', '.join(names)} {'was' if len(names) == 1 else 'were'} made elsewhere: what was seen in making them, test "
        f"rows perhaps among it, is not known here."
    ]
    bare = dict.fromkeys(o.model for o in outcomes if o.validation is None and o.quantiles is None)
    if bare:
        notes.append(
            f"No prediction intervals of {', '.join(bare)}: neither quantiles nor forecasts of validation rows "
            f"were given."
        )
    return notes


def _rows(evidence: Evidence) -> pd.DataFrame:
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
    targets = (evidence.table.true, evidence.table.mask, evidence.counted)
    rows: list[dict[str, Any]] = []
    # Numpy lets go of the interpreter while it sums: outcomes are scored side by side.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        scored = list(pool.map(lambda outcome: score_rows([outcome], *targets), evidence.outcomes))
    for outcome, own_rows in zip(evidence.outcomes, scored, strict=True):
        own: dict[str, Any] = dataclasses.asdict(outcome.condition)
        job = jobs.get((outcome.model, outcome.seed, outcome.condition))
        if job:
            own |= {"hidden_channels": job.hidden_channels, "trials": job.trials, **evidence.stored[job].made}
        rows += [shared | row | own for row in own_rows]
    return pd.DataFrame(rows, columns=ROW_COLUMNS)


def _failures(evidence: Evidence) -> list[Failure]:
    found = []
    for job in evidence.jobs:
        error = evidence.lost[job.key] if job.key in evidence.lost else evidence.stored[job].error
        if error is not None:
            place = [job.condition.label, f"fold {job.fold + 1}" if evidence.spec.folds > 1 else ""]
            found.append(Failure(job.model, job.seed, error, ", ".join(filter(None, place))))
    return found


def _curve(outcome: Outcome) -> list[dict[str, Any]]:
    records = outcome.fitted.epochs if outcome.fitted else []
    return [{"model": outcome.model, "seed": outcome.seed} | dataclasses.asdict(record) for record in records]


def _traces(evidence: Evidence) -> Traces:
    """Truth and predictions P steps ahead for a few nodes, over a season of the test rows; predictions over all seeds.

    The nodes are spread over the range of difficulty: from the one that persistence (the first model) predicts best to
    the one that it predicts worst.
    """
    table, series, test = evidence.table, evidence.series, evidence.test
    horizon = test.horizon
    (errors,) = table.per_node(table.models[:1]).values()
    known = sorted(
        (node for node, error in enumerate(errors) if error is not None), key=lambda node: errors[node] or 0.0
    )
    picks = np.linspace(0, len(known) - 1, min(TRACED_NODES, len(known))).round().astype(int)
    nodes = [known[pick] for pick in picks]
    length = min(test.count(horizon), series.season or TRACED_STEPS, 2 * TRACED_STEPS)
    at = (slice(0, length), horizon - 1, nodes)
    covered = None if evidence.aligned is None else evidence.aligned.covered
    predicted: dict[str, list[Tensor]] = {}
    for outcome in evidence.base:
        shown = outcome.predicted[at]
        if outcome.fitted is None and covered is not None:  # a forecast that is lacking is no zero
            shown = torch.where(covered[at], shown, math.nan)
        predicted.setdefault(outcome.model, []).append(shown)
    return Traces(
        nodes=[series.node_names[node] for node in nodes],
        rows=test.target_rows(torch.arange(length))[:, horizon - 1].tolist(),
        horizon=horizon,
        true=_by_node(torch.where(table.mask, table.true, math.nan)[at]),
        predicted={name: _by_node(torch.stack(found).mean(dim=0)) for name, found in predicted.items()},
    )


def _by_node(values: Float[Tensor, "S M"]) -> list[list[float | None]]:
    return [[None if math.isnan(value) else value for value in node] for node in values.T.tolist()]


def _target_only(evidence: Evidence) -> list[str]:
    """The models that see none of the covariates, where there are some."""
    if evidence.series.num_features == 1:
        return []
    models = dict.fromkeys(job.model for job in evidence.jobs)
    return [*BASELINES, *(model for model in models if MODELS[model].sees_target_alone)]


def _describe(evidence: Evidence) -> DataFacts:
    series = evidence.series
    rows = {part: [rows.start, rows.stop] for part, rows in series.split.parts.items()}
    if len(evidence.folds) > 1:
        parts = [(number, fold.series.split.parts) for number, fold in enumerate(evidence.folds, 1)]
        rows = {f"fold {n}, {part}": [r.start, r.stop] for n, split in parts for part, r in split.items()}
    edges = zip(*series.edge_index.tolist(), series.edge_weight.tolist(), strict=True)
    return DataFacts(
        name=series.name,
        source=series.source,
        unit=series.unit,
        step_minutes=series.step_minutes,
        step_unit=series.step_unit,
        season=series.season,
        start=None if series.start is None else series.start.isoformat(),
        rows=series.num_rows,
        nodes=series.num_nodes,
        features=series.num_features,
        missing_share=float(series.values[..., 0].isnan().double().mean()),
        split=series.split.label if len(evidence.folds) == 1 else f"rolling origins, {len(evidence.folds)} folds",
        split_rows=rows,
        node_names=list(series.node_names),
        positions=None if series.positions is None else series.positions.tolist(),
        edges=[list(edge) for edge in edges],
        graph_source=series.graph_source,
        covariates=list(series.covariates),
        known_ahead=list(series.known_names),
        target_only=_target_only(evidence),
    )
