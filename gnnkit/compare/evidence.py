"""All that is known when the last job of a comparison is over: what every finding is found from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gnnkit.compare.conditions import Condition
from gnnkit.compare.errors import ErrorTable
from gnnkit.compare.folds import Fold, JoinedWindows, join_outcomes
from gnnkit.compare.forecasts.align import Aligned
from gnnkit.compare.jobs import Job
from gnnkit.compare.questions import NO_GRAPH, Question, planned_questions
from gnnkit.compare.scores import Outcome
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.compare.store import StoredJob
from gnnkit.data import GraphSeries, Windows
from gnnkit.forecasting.baselines import BASELINES
from gnnkit.metrics import mae
from gnnkit.statistics.spans import span_numbers
from gnnkit.temporal import MODELS

__all__ = ["Evidence", "best_by_validation", "has_graph"]


@dataclass(frozen=True)
class Evidence:
    """All that is known when the last job is over.

    Args:
        spec: what was compared.
        series: the data as they were read.
        folds: the data of each fold under the base condition; one, without rolling origins. Where there are forecasts
            made elsewhere, its windows are those of them that are judged.
        jobs: what was planned, in order.
        stored: what became of it.
        lost: jobs without a result, by key, and why.
        environment: of the run.
        audit: what the leakage audit found.
        budget: what the budget came to.
        inferred: what was inferred about the data.
        aligned: forecasts made elsewhere; None: there are none.
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
    aligned: Aligned | None = None
    found: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def outcomes(self) -> list[Outcome]:
        """What was predicted, under all conditions: baselines, the fits, then forecasts made elsewhere."""
        return [join_outcomes(parts) for parts in self.by_fold]

    @cached_property
    def by_fold(self) -> list[list[Outcome]]:
        """The same, as one outcome for each fold; a fit that failed in one of them is left out."""
        found: dict[Any, list[Outcome]] = {}
        for name, predict in BASELINES.items():
            for fold in self.folds:
                predicted, validation = (predict(fold.series, part) for part in (fold.windows.test, fold.windows.val))
                outcome = Outcome(name, "baseline", 0, predicted, None, validation=validation)
                found.setdefault(name, []).append(outcome)
        for job, stored in self.stored.items():
            if stored.outcome:
                outcome = self.aligned.on_judged(stored.outcome) if self.aligned else stored.outcome
                found.setdefault((job.model, job.seed, job.condition), []).append(outcome)
        whole = [parts for parts in found.values() if len(parts) == len(self.folds)]
        return [*whole, *([outcome] for outcome in (self.aligned.outcomes if self.aligned else ()))]

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
        true, mask = self.test.targets()
        if self.aligned is not None and self.aligned.covered is not None:
            mask = self.aligned.covered
        return ErrorTable(self.outcomes, true, mask, self.counted, self._spans())

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
        if not has_graph(self.series):
            return None
        y, mask = zip(*(fold.windows.val.targets() for fold in self.folds), strict=True)
        return best_by_validation(self.base, torch.cat(y), torch.cat(mask))

    @cached_property
    def questions(self) -> list[Question]:
        """What was fixed before training, or is chosen on validation rows; none where there is no graph."""
        if not has_graph(self.series):
            return []
        validation: dict[str, list[float]] = {}
        for outcome in self.base:
            if outcome.fitted is not None:
                validation.setdefault(outcome.model, []).append(outcome.fitted.best_val_mae)
        there = {outcome.model for outcome in self.base if outcome.family != "baseline"}
        without = {outcome.model for outcome in self.outcomes if outcome.condition == Condition(adjacency=NO_GRAPH)}
        # Of forecasts made elsewhere a name says nothing.
        twins = {name: _twin(name) for name in self.table.models if name in validation}
        return planned_questions(
            self.pair,
            {name: twin for name, twin in twins.items() if twin in there},
            {name: float(np.mean(errors)) for name, errors in validation.items()},
            [name for name in self.table.models if name in there & without],
        )

    @cached_property
    def beside(self) -> tuple[str, str] | None:
        """The two models whose errors are laid beside each other: `pair`; without one, and where there are forecasts
        made elsewhere, the first two of these that were named, or the only one and the last value."""
        if self.pair or self.aligned is None:
            return self.pair
        first, *others = dict.fromkeys(outcome.model for outcome in self.aligned.outcomes)
        return first, (others or ["last-value"])[0]

    @property
    def judged(self) -> list[int]:
        """The horizons whose windows are enough for a verdict."""
        return [p for p in self.spec.horizons if self.table.is_enough(p, self.spec.confidence)]


def _twin(name: str) -> str:
    """The registry's name of the same model without neighbours; empty where there is none."""
    return (MODELS[name].graphless_twin or "") if name in MODELS else ""


def has_graph(series: GraphSeries) -> bool:
    """Whether an edge of the graph joins two different nodes; loops and edges of weight 0 tell a node of no other."""
    source, target = series.edge_index
    return bool(((source != target) & (series.edge_weight != 0)).any())


def best_by_validation(
    outcomes: Sequence[Outcome],
    true: Float[Tensor, "V P N"] | None = None,
    mask: Bool[Tensor, "V P N"] | None = None,
) -> tuple[str, str] | None:
    """The graph and the sequence model with the lowest validation MAE, a mean over seeds; None if a family is missing.

    A forecast made elsewhere has the MAE of its validation forecasts. Without these it can only be the one model of its
    family, which nothing has to choose: None where there are several.

    Args:
        outcomes: what was predicted; those under a condition other than the base, and baselines, are passed over.
        true, mask: the validation targets.
    """
    errors: dict[str, dict[str, list[float]]] = {"graph": {}, "sequence": {}}
    for outcome in outcomes:
        if outcome.condition.is_base and outcome.family in errors:
            found = math.nan
            if outcome.fitted is not None:
                found = outcome.fitted.best_val_mae
            elif outcome.validation is not None and true is not None and mask is not None:
                found = float(mae(outcome.validation, true, mask))
            errors[outcome.family].setdefault(outcome.model, []).append(found)
    best = [_lowest({name: float(np.mean(rows)) for name, rows in found.items()}) for found in errors.values()]
    return None if best[0] is None or best[1] is None else (best[0], best[1])


def _lowest(errors: Mapping[str, float]) -> str | None:
    if len(errors) > 1 and any(math.isnan(error) for error in errors.values()):
        return None
    return min(errors, key=lambda name: errors[name], default=None)
