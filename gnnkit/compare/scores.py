"""Predictions of one comparison → rows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from jaxtyping import Bool, Float
from torch import Tensor

from gnnkit.compare.conditions import BASE, Condition
from gnnkit.forecasting.scores import forecast_scores
from gnnkit.training import FitResult

__all__ = ["Outcome", "score_rows", "summarise"]


@dataclass(frozen=True)
class Outcome:
    """What one model predicted with one seed under one condition, all in the data's unit.

    Args:
        model: its name.
        family: "baseline", "sequence", "graph", or "forecast" where nobody says how it was made.
        seed: 0 for baselines.
        predicted: test windows, [W, P, N]; the median, where quantiles were predicted.
        fitted: how it was trained; None for baselines and for forecasts made elsewhere.
        condition: what was changed about the data.
        validation: validation windows, [V, P, N].
        quantiles: test windows, [W, P, N, Q].
        validation_quantiles: validation windows, [V, P, N, Q].
        levels: of the quantiles; empty: those that the comparison asks for.
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
    levels: tuple[float, ...] = ()


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
        about |= _training_columns(outcome)
        rows += [about | row for row in forecast_scores(outcome.predicted, true, mask, windows)]
    return rows


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


def _training_columns(outcome: Outcome) -> dict[str, Any]:
    fitted = outcome.fitted
    if fitted is None:
        none = 0 if outcome.family == "baseline" else math.nan  # of a forecast made elsewhere nothing is known
        nothing = dict.fromkeys(("epoch_seconds", "wall_seconds", "peak_memory_mb"), math.nan)
        return {"parameters": none, "epochs": none, "best_epoch": none} | nothing
    return {
        "parameters": fitted.parameters,
        "epochs": len(fitted.epochs),
        "best_epoch": fitted.best_epoch,
        "epoch_seconds": fitted.epoch_seconds,
        "wall_seconds": fitted.wall_seconds,
        "peak_memory_mb": fitted.peak_memory_mb,
    }
