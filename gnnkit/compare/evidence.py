"""All that is known when the last job of a comparison is over: what every finding is found from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from gnnkit.compare.errors import ErrorTable
from gnnkit.compare.jobs import Job
from gnnkit.compare.scores import Outcome
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.compare.store import StoredJob
from gnnkit.data import GraphSeries, WindowSplits
from gnnkit.forecasting.baselines import BASELINES

__all__ = ["Evidence", "best_by_validation", "has_graph"]


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
        found: what findings have found so far, by name; `Finding.judge` fills it.
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
    found: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def outcomes(self) -> list[Outcome]:
        """What was predicted, under all conditions: baselines, then the fits."""
        test, val = self.windows.test, self.windows.val
        baselines = [
            Outcome(name, "baseline", 0, predict(self.series, test), None, validation=predict(self.series, val))
            for name, predict in BASELINES.items()
        ]
        return [*baselines, *(found.outcome for found in self.stored.values() if found.outcome)]

    @property
    def base(self) -> list[Outcome]:
        """What was predicted under the base condition."""
        return [outcome for outcome in self.outcomes if outcome.condition.is_base]

    @cached_property
    def counted(self) -> dict[int, int]:
        """Horizon P → number of leading test windows that hold P targets."""
        return {p: self.windows.test.count(p) for p in self.spec.horizons}

    @cached_property
    def table(self) -> ErrorTable:
        """The errors of all fits."""
        return ErrorTable(self.outcomes, *self.windows.test.targets(), self.counted)

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
