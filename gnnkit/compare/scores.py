"""Predictions of one comparison → rows, errors per window, step and node, and traces to draw."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gnnkit.compare.conditions import BASE, Condition
from gnnkit.data import GraphSeries, Windows
from gnnkit.forecasting.scores import forecast_scores
from gnnkit.metrics import mae, rmse
from gnnkit.training import FitResult

__all__ = ["Outcome", "node_errors", "score_rows", "step_rows", "summarise", "traces", "window_errors"]

TRACED_NODES = 4
TRACED_STEPS = 288
"""Where the season is unknown: a day of 5-minute steps."""


@dataclass(frozen=True)
class Outcome:
    """What one model predicted with one seed under one condition, all in the data's unit.

    Args:
        model: its name.
        family: "baseline", "sequence" or "graph".
        seed: 0 for baselines.
        predicted: test windows, [W, P, N]; the median, where quantiles were predicted.
        fitted: how it was trained; None for baselines.
        condition: what was changed about the data.
        validation: validation windows, [V, P, N].
        quantiles: test windows, [W, P, N, Q].
        validation_quantiles: validation windows, [V, P, N, Q].
    """

    model: str
    family: str
    seed: int
    predicted: Tensor
    fitted: FitResult | None
    condition: Condition = BASE
    validation: Tensor | None = None
    quantiles: Tensor | None = None
    validation_quantiles: Tensor | None = None


def score_rows(
    outcomes: Sequence[Outcome],
    true: Float[Tensor, "W P N"],
    mask: Bool[Tensor, "W P N"],
    windows: Mapping[int, int],
) -> list[dict[str, Any]]:
    """One dict for each outcome, horizon, score and metric.

    Args:
        outcomes: what was predicted.
        true: targets in the data's unit.
        mask: observed targets.
        windows: horizon P → number of leading windows that hold P targets; only those are scored.

    Returns:
        Dicts with the columns of `Results.rows` that depend on the outcome.
    """
    rows = []
    for outcome in outcomes:
        about = {"model": outcome.model, "family": outcome.family, "seed": outcome.seed}
        about |= _training_columns(outcome.fitted)
        rows += [about | row for row in forecast_scores(outcome.predicted, true, mask, windows)]
    return rows


def window_errors(
    outcomes: Sequence[Outcome],
    true: Float[Tensor, "W P N"],
    mask: Bool[Tensor, "W P N"],
    windows: Mapping[int, int],
) -> tuple[dict[str, dict[str, list]], dict[str, dict[str, list]], dict[str, list[int]]]:
    """Mean absolute and mean squared error of every window over the steps 1 … P.

    Args: as `score_rows`.

    Returns:
        `[model][str(P)]` → [seed][window] of absolute and of squared errors, None where a window has no observed
        target; and `[str(P)]` → observed targets of each window.
    """
    absolute: dict[str, dict[str, list]] = {}
    squared: dict[str, dict[str, list]] = {}
    counts = {str(p): mask[:n, :p].sum(dim=(1, 2)).tolist() for p, n in windows.items()}
    for outcome in outcomes:
        error = torch.where(mask, outcome.predicted - true, 0.0).double()
        for horizon, count in windows.items():
            key, part = str(horizon), error[:count, :horizon]
            for table, total in ((absolute, part.abs().sum(dim=(1, 2))), (squared, part.square().sum(dim=(1, 2)))):
                means = [t / n if n else None for t, n in zip(total.tolist(), counts[key], strict=True)]
                table.setdefault(outcome.model, {}).setdefault(key, []).append(means)
    return absolute, squared, counts


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds of every score under the base condition.

    Args:
        rows: `Results.rows`; those under another condition are left out.

    Returns:
        A table with the columns model, family, horizon, score, metric, mean, std (n − 1 in the denominator; NaN for a
        single seed and for baselines) and seeds, models in the order of `rows`.
    """
    for column, base in dataclasses.asdict(BASE).items():
        if column in rows:
            rows = rows.loc[rows[column].isna() | (rows[column] == base)]
    keys = ["model", "family", "horizon", "score", "metric"]
    return rows.groupby(keys, sort=False)["value"].agg(mean="mean", std="std", seeds="count").reset_index()


def step_rows(
    outcomes: Sequence[Outcome], true: Float[Tensor, "W P N"], mask: Bool[Tensor, "W P N"]
) -> list[dict[str, Any]]:
    """MAE and RMSE of every single step ahead.

    Args:
        outcomes: what was predicted; the first W windows are read.
        true: targets of the windows that hold all steps.
        mask: observed targets.
    """
    rows = []
    for outcome in outcomes:
        for step in range(true.size(1)):
            triple = (outcome.predicted[: len(true), step], true[:, step], mask[:, step])
            figures = {"mae": mae(*triple), "rmse": rmse(*triple)}
            rows.append({"model": outcome.model, "seed": outcome.seed, "step": step + 1} | figures)
    return rows


def node_errors(
    outcomes: Sequence[Outcome], true: Float[Tensor, "W P N"], mask: Bool[Tensor, "W P N"]
) -> dict[str, list[float | None]]:
    """Mean absolute error of every node, averaged over seeds; None for a node without an observed target.

    Args: as `step_rows`.
    """
    seen = mask.sum(dim=(0, 1)).numpy()  # [N]
    table: dict[str, list[np.ndarray]] = {}
    for outcome in outcomes:
        error = torch.where(mask, outcome.predicted[: len(true)] - true, 0.0).abs().sum(dim=(0, 1), dtype=torch.float64)
        table.setdefault(outcome.model, []).append(error.numpy() / np.maximum(seen, 1))
    return {
        name: [float(v) if n else None for v, n in zip(np.mean(found, axis=0), seen, strict=True)]
        for name, found in table.items()
    }


def traces(
    outcomes: Sequence[Outcome],
    series: GraphSeries,
    test: Windows,
    true: Float[Tensor, "W P N"],
    mask: Bool[Tensor, "W P N"],
) -> dict[str, Any]:
    """Truth and predictions P steps ahead for a few nodes, over a season of the test rows.

    The nodes are spread over the range of difficulty: from the one that persistence (the first outcome) predicts best
    to the one that it predicts worst.

    Args:
        outcomes: what was predicted.
        series: where node names and the season are from.
        test: the test windows.
        true: targets of all test windows.
        mask: observed targets.

    Returns:
        The dict that `Results.traces` describes; predictions are averaged over seeds.
    """
    horizon = test.horizon
    count = test.count(horizon)
    errors = next(iter(node_errors(outcomes[:1], true[:count], mask[:count]).values()))
    known = sorted(
        (node for node, error in enumerate(errors) if error is not None), key=lambda node: errors[node] or 0.0
    )
    picks = np.linspace(0, len(known) - 1, min(TRACED_NODES, len(known))).round().astype(int)
    nodes = [known[pick] for pick in picks]
    length = min(count, series.season or TRACED_STEPS, 2 * TRACED_STEPS)
    rows = test.target_rows(torch.arange(length))[:, horizon - 1].tolist()
    truth = torch.where(mask, true, math.nan)[:length, horizon - 1, nodes]
    predicted: dict[str, list[Tensor]] = {}
    for outcome in outcomes:
        predicted.setdefault(outcome.model, []).append(outcome.predicted[:length, horizon - 1, nodes])
    return {
        "nodes": [series.node_names[node] for node in nodes],
        "rows": rows,
        "horizon": horizon,
        "true": _by_node(truth),
        "predicted": {name: _by_node(torch.stack(found).mean(dim=0)) for name, found in predicted.items()},
    }


def _by_node(values: Float[Tensor, "S M"]) -> list[list[float | None]]:
    return [[None if math.isnan(value) else value for value in node] for node in values.T.tolist()]


def _training_columns(fitted: FitResult | None) -> dict[str, Any]:
    if fitted is None:
        nothing = dict.fromkeys(("epoch_seconds", "wall_seconds", "peak_memory_mb"), math.nan)
        return {"parameters": 0, "epochs": 0, "best_epoch": 0} | nothing
    return {
        "parameters": fitted.parameters,
        "epochs": len(fitted.epochs),
        "best_epoch": fitted.best_epoch,
        "epoch_seconds": fitted.epoch_seconds,
        "wall_seconds": fitted.wall_seconds,
        "peak_memory_mb": fitted.peak_memory_mb,
    }
