"""All that is known when the last job of a comparison is over: what every finding is found from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch

from gnnkit.compare.errors import ErrorTable
from gnnkit.compare.folds import Fold, JoinedWindows, join_outcomes
from gnnkit.compare.jobs import Job
from gnnkit.compare.scores import Outcome
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.compare.store import StoredJob
from gnnkit.data import GraphSeries, Windows
from gnnkit.forecasting.baselines import BASELINES
from gnnkit.statistics.spans import span_numbers

__all__ = ["Evidence", "best_by_validation", "has_graph"]


@dataclass(frozen=True)
class Evidence:
    """All that is known when the last job is over.

    Args:
        spec: what was compared.
        series: the data as they were read.
        folds: the data of each fold under the base condition; one, without rolling origins.
        jobs: what was planned, in order.
        stored: what became of it.
        lost: jobs without a result, by key, and why.
        environment: of the run.
        audit: what the leakage audit found.
        budget: what the budget came to.
        inferred: what was inferred about the data.
        found: what findings have found so far, by name; `Finding.judge` fills it.
    """

    spec: FinalSpec
    series: GraphSeries
    folds: Sequence[Fold]
    jobs: Sequence[Job]
    stored: Mapping[Job, StoredJob]
    lost: Mapping[str, str]
    environment: dict[str, Any]
    audit: list[dict[str, Any]] = field(default_factory=list)
    budget: dict[str, Any] = field(default_factory=dict)
    inferred: list[str] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def outcomes(self) -> list[Outcome]:
        """What was predicted, under all conditions: baselines, then the fits."""
        return [join_outcomes(parts) for parts in self.by_fold]

    @cached_property
    def by_fold(self) -> list[list[Outcome]]:
        """The same, as one outcome for each fold; a fit that failed in one of them is left out."""
        found: dict[Any, list[Outcome]] = {}
        for name, predict in BASELINES.items():
            for series, (val, test) in ((fold.series, (fold.windows.val, fold.windows.test)) for fold in self.folds):
                outcome = Outcome(name, "baseline", 0, predict(series, test), None, validation=predict(series, val))
                found.setdefault(name, []).append(outcome)
        for job, stored in self.stored.items():
            if stored.outcome:
                found.setdefault((job.model, job.seed, job.condition), []).append(stored.outcome)
        return [parts for parts in found.values() if len(parts) == len(self.folds)]

    @cached_property
    def test(self) -> Windows | JoinedWindows:
        """The test windows of all folds."""
        parts = [fold.windows.test for fold in self.folds]
        return parts[0] if len(parts) == 1 else JoinedWindows(parts)

    @property
    def base(self) -> list[Outcome]:
        """What was predicted under the base condition."""
        return [outcome for outcome in self.outcomes if outcome.condition.is_base]

    @cached_property
    def counted(self) -> dict[int, int]:
        """Horizon P → number of leading test windows that hold P targets."""
        return {p: self.test.count(p) for p in self.spec.horizons}

    @cached_property
    def table(self) -> ErrorTable:
        """The errors of all fits."""
        return ErrorTable(self.outcomes, *self.test.targets(), self.counted, self._spans())

    def _spans(self) -> dict[int, np.ndarray]:
        """The span of each test window at each horizon."""
        parts = [fold.windows.test for fold in self.folds]
        found = {}
        for p in self.spec.horizons:
            rows = [part.target_rows(torch.arange(part.count(p)))[:, 0].cpu().numpy() for part in parts]
            found[p] = span_numbers(rows, season=self.series.season)
        return found

    @cached_property
    def pair(self) -> tuple[str, str] | None:
        """The graph and the sequence model that the validation rows chose.

        Without a graph there are no graph models to set against the others: all are compared by name alone.
        """
        return best_by_validation(self.base) if has_graph(self.series) else None

    @property
    def judged(self) -> list[int]:
        """The horizons whose windows are enough for a verdict."""
        return [p for p in self.spec.horizons if self.table.is_enough(p, self.spec.confidence)]


def has_graph(series: GraphSeries) -> bool:
    """Whether an edge of the graph joins two different nodes; loops and edges of weight 0 tell a node of no other."""
    source, target = series.edge_index
    return bool(((source != target) & (series.edge_weight != 0)).any())


def best_by_validation(outcomes: Sequence[Outcome]) -> tuple[str, str] | None:
    """The graph and the sequence model with the lowest validation MAE, a mean over seeds; None if a family is missing.

    Args:
        outcomes: what was predicted; those under a condition other than the base, and baselines, are passed over.
    """
    errors: dict[str, dict[str, list[float]]] = {"graph": {}, "sequence": {}}
    for outcome in outcomes:
        if outcome.condition.is_base and outcome.fitted is not None and outcome.family in errors:
            errors[outcome.family].setdefault(outcome.model, []).append(outcome.fitted.best_val_mae)
    best = [min(found, key=lambda name: float(np.mean(found[name])), default=None) for found in errors.values()]
    return None if best[0] is None or best[1] is None else (best[0], best[1])
