"""The ridge regressions of the quick look: without neighbours, with those of the given graph, and of shuffled ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gnnkit.compare.conditions import BASE, Condition
from gnnkit.compare.evidence import Evidence
from gnnkit.compare.folds import Fold
from gnnkit.compare.jobs import Job, job_windows, run_job
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.compare.store import StoredJob
from gnnkit.data import GraphSeries
from gnnkit.settings.quick import SHUFFLES

__all__ = [
    "MOST_BYTES",
    "ONE_GRAPH",
    "SHUFFLED",
    "WITH",
    "WITHOUT",
    "fit_ridges",
    "memory_of",
    "shuffle_seeds",
    "too_large",
]

WITHOUT, WITH = "ridge", "ridge-graph"
"""The two models; with no edge the second is the first."""
SHUFFLED = Condition(adjacency="shuffled")
MOST_BYTES = 8 * 2**30
"""Of forecasts and errors, above which nothing is fitted."""
ONE_GRAPH = "Every shuffle of this graph is the graph itself, so nothing tells its edges from any others."
_TRIES = 4
"""Shuffles that are tried for each one that is wanted."""


def memory_of(spec: FinalSpec, series: GraphSeries, shuffles: int = SHUFFLES) -> int:
    """About how many bytes the forecasts of all fits and their errors take; regressions hold no table of all inputs."""
    forecasts = series.num_rows * series.num_nodes * max(spec.horizons)
    return forecasts * (4 * (2 + shuffles) + 24)


def too_large(series: GraphSeries, needed: int) -> str:
    """Why nothing is fitted, in words."""
    size = f"{series.num_rows:,} rows of {series.num_nodes:,} nodes"
    return (
        f"ridge regression on {size} needs about {needed / 2**30:.0f} GB of memory, more than {MOST_BYTES / 2**30:.0f}"
    )


def shuffle_seeds(series: GraphSeries, wanted: int = SHUFFLES) -> list[int]:
    """Seeds with which a shuffled graph is another one than the given; fewer than wanted where the graph has few.

    Example:
        >>> from dataclasses import replace
        >>> from gnnkit.data import simulate_traffic
        >>> series = simulate_traffic(num_nodes=4, days=1)
        >>> pairs = torch.combinations(torch.arange(4)).T
        >>> complete = replace(series, edge_index=torch.cat([pairs, pairs.flip(0)], dim=1), edge_weight=torch.ones(12))
        >>> len(shuffle_seeds(series, 3)), shuffle_seeds(complete, 3)
        (3, [])
    """
    from gnnkit.graph import graph_variant  # PyG: a judgement of forecasts needs none

    given = _sorted(series.edge_index, series.edge_weight)
    found: list[int] = []
    for seed in range(_TRIES * wanted):
        other = _sorted(*graph_variant(series.edge_index, series.edge_weight, series.num_nodes, "shuffled", seed=seed))
        if not all(torch.equal(one, two) for one, two in zip(given, other, strict=True)):
            found.append(seed)
        if len(found) == wanted:
            break
    return found


def fit_ridges(
    spec: FinalSpec,
    series: GraphSeries,
    *,
    shuffles: int = SHUFFLES,
    known: Mapping[Job, StoredJob] | None = None,
) -> Evidence:
    """Fit ridge regressions in every fold of a comparison; the graph is all that differs.

    Args:
        spec: what is compared, nothing open.
        series: from `gnnkit.compare.folds.settle_folds`.
        shuffles: graphs with permuted nodes.
        known: finished jobs, among which are perhaps some of these; those with settings of their own are not.

    Returns:
        Evidence that holds these jobs alone.

    Raises:
        ValueError: a regression does not fit into memory, or a fold is too short.
    """
    needed = memory_of(spec, series, shuffles)
    if needed > MOST_BYTES:
        raise ValueError(f"{series.name}: {too_large(series, needed)}; give fewer rows or nodes, or a shorter horizon")
    own = spec.model_copy(update={"settings": {}, "models": (WITHOUT, WITH), "intervals": "conformal"})
    folds = [Fold(*job_windows(own, series, fold=number)) for number in range(own.folds)]
    named = [(WITHOUT, 0, BASE), (WITH, 0, BASE), *((WITH, seed, SHUFFLED) for seed in shuffle_seeds(series, shuffles))]
    there = _plain(known or {})
    stored: dict[Job, StoredJob] = {}
    for model, seed, condition in named:
        for fold in range(own.folds):
            job = Job(model, seed, condition, hidden_channels=0, fold=fold)
            found = there.get(_place(job))
            if found is None:
                outcome, seconds = run_job(own, series, job)
                found = StoredJob(outcome, None, seconds, {})
            stored[job] = found
    return Evidence(own, series, folds, list(stored), stored, {}, {})


def _plain(known: Mapping[Job, StoredJob]) -> dict[Any, StoredJob]:
    """The jobs that were run as those here would be."""
    return {
        _place(job): found
        for job, found in known.items()
        if job.model in (WITHOUT, WITH) and found.outcome is not None and not job.settings and not job.trial
    }


def _place(job: Job) -> tuple[str, Any, Condition, int]:
    """What tells these jobs apart: nothing is drawn in a ridge regression, but for the graph."""
    return job.model, job.seed if job.condition == SHUFFLED else None, job.condition, job.fold


def _sorted(edge_index: Tensor, edge_weight: Tensor) -> tuple[Tensor, Tensor]:
    """Edges and weights in an order that is the same for the same graph; loops stay where they are in none."""
    other = (edge_index[0] != edge_index[1]) & (edge_weight != 0)
    edge_index, edge_weight = edge_index[:, other], edge_weight[other]
    order = torch.argsort(edge_index[0] * (edge_index.max() + 1 if edge_index.numel() else 1) + edge_index[1])
    return edge_index[:, order], edge_weight[order]
