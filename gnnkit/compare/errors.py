"""The one table of errors that every statistic asks: model × seed × window × step × node, under each condition."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gnnkit.compare.conditions import BASE, Adjacency, Condition
from gnnkit.compare.scores import Outcome
from gnnkit.metrics import mae, rmse
from gnnkit.statistics.bootstrap import seed_scores
from gnnkit.statistics.enough import is_enough
from gnnkit.statistics.spans import (
    FEWEST_SEASONS,
    SPANS,
    Compared,
    SpanScore,
    compare_scores,
    span_numbers,
    span_score,
)

__all__ = ["METRICS", "ErrorTable", "Fit", "PairSums", "sum_errors"]

METRICS = ("mae", "rmse")
"""Of errors in windows: mean absolute ones, and mean squared ones, whose scores are rooted."""

CHUNK = 4_000_000
"""Errors of single targets that are held at once."""

Fit = tuple[str, Condition]
"""A model, and the data that it was trained on."""


class ErrorTable:
    """The errors of all fits on the test windows.

    Predictions lie in files that are mapped into memory. A fit's errors are made from them when they are asked for, and
    only their means are kept: one number for each seed, window, horizon and metric.

    Args:
        outcomes: what was predicted, all seeds and conditions.
        true: test targets in the data's unit.
        mask: observed targets.
        windows: horizon P → number of leading windows that hold P targets; only those are scored.
        spans: horizon P → the span of each of those windows, over whose means models are tested; None: parts of equal
            length (`gnnkit.statistics.spans`).

    Example:
        >>> outcome = Outcome("gru", "sequence", 0, torch.ones(4, 2, 3), None)
        >>> table = ErrorTable([outcome], torch.zeros(4, 2, 3), torch.ones(4, 2, 3, dtype=torch.bool), {2: 3})
        >>> table.window_errors("gru", 2)
        array([[1., 1., 1.]])
    """

    def __init__(
        self,
        outcomes: Sequence[Outcome],
        true: Float[Tensor, "W P N"],
        mask: Bool[Tensor, "W P N"],
        windows: Mapping[int, int],
        spans: Mapping[int, Int[np.ndarray, " W"]] | None = None,
    ) -> None:
        self.true, self.mask, self._spans = true, mask, dict(spans or {})
        self.fits: dict[Fit, list[Outcome]] = {}
        for outcome in outcomes:
            self.fits.setdefault((outcome.model, outcome.condition), []).append(outcome)
        self.families = {o.model: o.family for o in outcomes if o.condition.is_base}
        self.horizons = sorted(windows)
        self._counts = {p: mask[: windows[p], :p].sum(dim=(1, 2)).double().numpy() for p in self.horizons}
        self._errors: dict[Fit, dict[tuple[int, str], np.ndarray]] = {}
        self._span_scores: dict[tuple[str, int, str], SpanScore] = {}

    @classmethod
    def of_windows(
        cls,
        absolute: Mapping[str, Mapping[Any, Any]],
        squared: Mapping[str, Mapping[Any, Any]],
        counts: Mapping[Any, Any],
        families: Mapping[str, str],
        spans: Mapping[Any, Any] | None = None,
    ) -> ErrorTable:
        """A table of the base condition from its means, without the predictions: it knows windows, not steps and nodes.

        Args:
            absolute: mean absolute errors, `[model][horizon]` → `[seed][window]`; None or NaN where none was observed.
            squared: mean squared errors, the same way.
            counts: observed targets, `[horizon]` → `[window]`.
            families: of the models.
            spans: the span of each window, the same way; None: parts of equal length.
        """
        table = cls([], torch.zeros(0, 0, 0), torch.zeros(0, 0, 0, dtype=torch.bool), {})
        table.families, table.horizons = dict(families), sorted(int(p) for p in counts)
        table._counts = {int(p): np.array(found, dtype=np.float64) for p, found in counts.items()}
        table._spans = {int(p): np.array(found, dtype=np.int64) for p, found in (spans or {}).items()}
        for model in absolute:
            tables = zip(METRICS, (absolute[model], squared.get(model, {})), strict=True)
            table._errors[model, BASE] = {
                (int(p), metric): np.array(found, dtype=np.float64)
                for metric, errors in tables
                for p, found in errors.items()
            }
        return table

    def of_base(self) -> ErrorTable:
        """The means of the base condition alone, which need no predictions."""
        absolute, squared = (
            {model: {p: self.window_errors(model, p, metric) for p in self.horizons} for model in self.models}
            for metric in METRICS
        )
        return self.of_windows(
            absolute, squared, self._counts, self.families, {p: self.spans(p) for p in self.horizons}
        )

    def knows(self, model: str, horizon: int, metric: str) -> bool:
        """Whether the table of the base condition has these errors."""
        return horizon in self._counts and (horizon, metric) in self._errors.get((model, BASE), {})

    @property
    def models(self) -> list[str]:
        """The models that were fitted under the base condition, in the order in which they came."""
        return list(self.families)

    def seeds(self, model: str, condition: Condition = BASE) -> list[int]:
        """The seed of each row of the errors of a fit."""
        return [outcome.seed for outcome in self.fits[model, condition]]

    def counts(self, horizon: int) -> Float[np.ndarray, " W"]:
        """Observed targets in each window."""
        return self._counts[horizon]

    def is_enough(self, horizon: int, confidence: float) -> bool:
        """Whether there are windows enough for a verdict."""
        return is_enough(self._counts[horizon].tolist(), horizon, confidence)

    def window_errors(
        self, model: str, horizon: int, metric: str = "mae", condition: Condition = BASE
    ) -> Float[np.ndarray, "S W"]:
        """Mean absolute ("mae") or mean squared ("rmse") error in each window over the steps 1 … P, a row a seed.

        NaN where a window has no observed target.
        """
        fit = model, condition
        if fit not in self._errors:
            rows = [self._means(outcome) for outcome in self.fits[fit]]
            self._errors[fit] = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
        return self._errors[fit][horizon, metric]

    def scores(
        self, model: str, horizon: int, metric: str = "mae", condition: Condition = BASE
    ) -> Float[np.ndarray, " S"]:
        """The score of each seed."""
        errors = self.window_errors(model, horizon, metric, condition)
        return seed_scores(errors, self._counts[horizon], squared=metric == "rmse")

    def score(self, model: str, horizon: int, metric: str = "mae", condition: Condition = BASE) -> float:
        """The mean over seeds of the score."""
        return float(self.scores(model, horizon, metric, condition).mean())

    def spans(self, horizon: int) -> Int[np.ndarray, " W"]:
        """The span of each window, over whose means models are tested."""
        if horizon not in self._spans:
            self._spans[horizon] = span_numbers([np.arange(len(self._counts[horizon]))])
        seen = self._counts[horizon] > 0
        if len(np.unique(self._spans[horizon][seen])) < FEWEST_SEASONS:  # long gaps: parts of what is there
            self._spans[horizon] = np.maximum(np.cumsum(seen) - 1, 0) * SPANS // max(1, int(seen.sum()))
        return self._spans[horizon]

    def span_score(self, model: str, horizon: int, metric: str = "mae") -> SpanScore:
        """The score of a model under the base condition, span by span."""
        key = model, horizon, metric
        if key not in self._span_scores:
            self._span_scores[key] = self._by_span(self.window_errors(model, horizon, metric), horizon, metric)
        return self._span_scores[key]

    def compare(
        self, a: Float[np.ndarray, "S W"], b: Float[np.ndarray, "Z W"], horizon: int, metric: str = "mae"
    ) -> Compared:
        """The test of two errors on the windows of a horizon."""
        return compare_scores(*(self._by_span(errors, horizon, metric) for errors in (a, b)))

    def paired_errors(
        self, model: str, adjacency: Adjacency, horizon: int, *, without: Collection[int] = ()
    ) -> tuple[Float[np.ndarray, "S W"], Float[np.ndarray, "S W"]] | None:
        """Absolute errors of a model on the given graph and on another, row by row of one seed.

        A seed has the same first weights and the same order of batches on every graph: what is luck in them cancels.

        Args:
            model, adjacency, horizon: which model, the other graph, and P.
            without: seeds that are left out.

        Returns:
            None where no seed was trained on both.
        """
        conditions = BASE, Condition(adjacency=adjacency)
        if any((model, condition) not in self.fits for condition in conditions):
            return None
        given, other = (self.seeds(model, condition) for condition in conditions)
        both = [seed for seed in other if seed in given and seed not in without]
        if not both:
            return None
        ours, theirs = (self.window_errors(model, horizon, condition=condition) for condition in conditions)
        return ours[[given.index(seed) for seed in both]], theirs[[other.index(seed) for seed in both]]

    def _by_span(self, errors: Float[np.ndarray, "S W"], horizon: int, metric: str) -> SpanScore:
        return span_score(errors, self._counts[horizon], self.spans(horizon), squared=metric == "rmse")

    def per_step(self) -> list[dict[str, Any]]:
        """MAE and RMSE of every single step under the base condition, on the windows of the largest horizon."""
        true, mask, rows = *self._longest(), []
        for outcome in self._base():
            for step in range(true.size(1)):
                triple = (outcome.predicted[: len(true), step], true[:, step], mask[:, step])
                figures = {"mae": mae(*triple), "rmse": rmse(*triple)}
                rows.append({"model": outcome.model, "seed": outcome.seed, "step": step + 1} | figures)
        return rows

    def per_node(self, models: Sequence[str] | None = None) -> dict[str, list[float | None]]:
        """Mean absolute error of every node at the largest horizon, averaged over seeds; None where nothing is known.

        Args:
            models: those that are asked for; None: all of the base condition.
        """
        true, mask = self._longest()
        seen = mask.sum(dim=(0, 1)).numpy()  # [N]
        found = {}
        for model in self.models if models is None else models:
            means = []
            for outcome in self.fits[model, BASE]:
                error = torch.where(mask, outcome.predicted[: len(true)] - true, 0.0).abs()
                means.append(error.sum(dim=(0, 1), dtype=torch.float64).numpy() / np.maximum(seen, 1))
            found[model] = [float(v) if n else None for v, n in zip(np.mean(means, axis=0), seen, strict=True)]
        return found

    def to_json(self) -> dict[str, Any]:
        """The means over windows of the base condition, as `results.json` has them."""
        known = {model: found for (model, condition), found in self._errors.items() if condition.is_base}
        absolute, squared = (
            {model: {str(p): errors.tolist() for (p, kind), errors in found.items() if kind == metric}
             for model, found in known.items()}
            for metric in METRICS
        )  # fmt: skip
        # Windows without a target are the same for all seeds.
        mean = {m: {p: np.mean(rows, axis=0).tolist() for p, rows in found.items()} for m, found in absolute.items()}
        counts = {str(p): found.astype(int).tolist() for p, found in self._counts.items()}
        spans = {str(p): self.spans(p).tolist() for p in self.horizons}
        names = ("window_errors", "seed_window_errors", "seed_window_squared", "window_counts", "window_spans")
        return dict(zip(names, (mean, absolute, squared, counts, spans), strict=True))

    def _base(self) -> list[Outcome]:
        return [outcome for (_, condition), found in self.fits.items() if condition.is_base for outcome in found]

    def _longest(self) -> tuple[Tensor, Tensor]:
        count = len(self._counts[self.horizons[-1]])
        return self.true[:count], self.mask[:count]

    def _means(self, outcome: Outcome) -> dict[tuple[int, str], np.ndarray]:
        error = torch.where(self.mask, outcome.predicted - self.true, 0.0).double()
        found = {}
        for horizon, counts in self._counts.items():
            part = error[: len(counts), :horizon]
            nothing = np.full(len(counts), np.nan)
            for metric, total in zip(METRICS, (part.abs(), part.square()), strict=True):
                summed = total.sum(dim=(1, 2)).numpy()
                found[horizon, metric] = np.divide(summed, counts, out=nothing.copy(), where=counts > 0)
        return found


@dataclass
class PairSums:
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


def sum_errors(
    table: ErrorTable, pair: tuple[str, str], horizon: int, hours: Int[np.ndarray, "W P"] | None
) -> PairSums:
    """Sum the errors of two models in one pass over their predictions, some windows at a time.

    Args:
        table: has their predictions under the base condition.
        pair: their names, the graph model first.
        horizon: P; the steps 1 … P of the windows that hold P targets count.
        hours: of the day of each target; None where they are unknown.
    """
    graph, sequence = (table.fits[name, BASE] for name in pair)
    true, mask, count = table.true, table.mask, len(table.counts(horizon))
    outcomes, nodes = [*graph, *sequence], table.true.size(2)
    sums = PairSums(
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
