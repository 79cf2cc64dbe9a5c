"""Models, horizons and numbers, as all parts of a report name and write them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gnnkit.compare.conditions import Condition
from gnnkit.compare.results import DataFacts, Results
from gnnkit.data.spans import Step, steps_in_words
from gnnkit.report.numbers import decimals

__all__ = [
    "METRIC_NAMES",
    "SCORE_NAMES",
    "TARGET_ONLY",
    "ahead",
    "base_rows",
    "best_models",
    "confidence_label",
    "edges_in_words",
    "families",
    "floats",
    "horizon_label",
    "sample_size",
    "sample_sizes",
    "score_places",
    "shown_models",
    "step_of",
    "untyped",
    "with_unit",
]

_SHORT = {"minutes": "min", "minute": "min", "hours": "h", "hour": "h"}
METRIC_NAMES = {"mae": "MAE", "rmse": "RMSE", "mape": "MAPE", "accuracy": "Accuracy", "r2": "R²", "var": "Var"}
SCORE_NAMES = {"averaged": "all steps up to the horizon", "last-step": "the last step alone"}
TARGET_ONLY = "sees the target alone, and none of the covariates"
"""What a dagger beside a model says."""
FAMILY_ORDER = ("baseline", "forecast", "sequence", "graph")


def untyped(table: pd.DataFrame) -> Any:
    """The table itself, for code that selects from it: pandas' annotations allow a Series where a number comes out."""
    return table


def base_rows(results: Results) -> Any:
    """The rows of the main tables: those of the data as they are, under no other condition."""
    rows = untyped(results.rows)
    for column, base in dataclasses.asdict(Condition()).items():
        if column in rows:
            rows = rows[rows[column].isna() | (rows[column] == base)]
    return rows


def families(results: Results) -> dict[str, str]:
    """Family by model, in the order of display: baselines, forecasts made elsewhere, sequence and graph models."""
    first = untyped(results.rows).drop_duplicates("model")
    found = dict(zip(first["model"].map(str), first["family"].map(str), strict=True))
    return {model: family for kind in FAMILY_ORDER for model, family in found.items() if family == kind}


def best_models(results: Results) -> dict[str, str]:
    """The model with the lowest averaged MAE at the largest horizon, for each family that has one.

    Returns:
        Model by family, in the order baseline, forecast, sequence, graph.
    """
    rows, horizon = base_rows(results), max(results.horizons)
    chosen = rows[(rows["horizon"] == horizon) & (rows["metric"] == "mae") & (rows["score"] == "averaged")]
    means = chosen.groupby(["family", "model"], sort=False)["value"].mean().dropna()
    return {kind: str(means[kind].idxmin()) for kind in FAMILY_ORDER if kind in means.index.get_level_values("family")}


def shown_models(results: Results) -> list[str]:
    """The models that figures of one or two draw: the best of each family that is no baseline, a sequence model before
    a graph model; without any, the best baseline. Forecasts made elsewhere are drawn where one family is missing.

    Args:
        results: What a comparison found.
    """
    best = best_models(results)
    pair = [best[kind] for kind in ("sequence", "graph") if kind in best]
    if len(pair) < 2 and "forecast" in best:
        pair = [best["forecast"], *pair]
    return pair or [best["baseline"]]


def sample_size(results: Results, horizon: int, models: Iterable[str]) -> str:
    """How much a claim about some models stands on.

    Args:
        horizon: The claim's horizon in steps.
        models: The models that it is about; baselines have no seeds and are passed over.

    Returns:
        E.g. "n = 380 windows, 3 seeds".
    """
    return sample_sizes(results)(horizon, models)


def sample_sizes(results: Results) -> Callable[[int, Iterable[str]], str]:
    """`sample_size` for many claims about the same results, whose rows are looked through once."""
    rows = base_rows(results)
    windows = rows.groupby("horizon")["windows"].max().dropna().to_dict()
    trained = rows[rows["family"] != "baseline"]
    seeds = trained.groupby(["horizon", "model"])["seed"].nunique().to_dict()

    def size(horizon: int, models: Iterable[str]) -> str:
        parts = [f"{int(windows[horizon]):,} windows"] if horizon in windows else []
        counts = sorted({int(seeds[horizon, model]) for model in models if (horizon, model) in seeds})
        if counts:
            parts.append(f"{' and '.join(map(str, counts))} seed{'' if counts == [1] else 's'}")
        return f"n = {', '.join(parts)}" if parts else ""

    return size


def step_of(results: Results) -> Step:
    """What a step of the data is: minutes, or a unit like "month"; None: unknown."""
    return results.data.step_minutes or results.data.step_unit or None


def horizon_label(steps: int, step: Step) -> str:
    """A horizon in short words, in time where the length of a step is known.

    Args:
        steps: Steps ahead.
        step: Minutes of a step, or its unit; None when unknown.

    Returns:
        E.g. "15 min", "2 h", "3 days" or "3 steps".

    Example:
        >>> horizon_label(3, 5), horizon_label(2, 60), horizon_label(4, 10080), horizon_label(1, None)
        ('15 min', '2 h', '4 weeks', '1 step')
        >>> horizon_label(2, "month")
        '2 months'
    """
    number, _, unit = steps_in_words(steps, step).partition(" ")
    return f"{number} {_SHORT.get(unit, unit)}"


def floats(values: Iterable[float | None]) -> NDArray[np.float64]:
    """An array of numbers in which None is NaN."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def with_unit(text: str, results: Results) -> str:
    """An axis' or column's name with the data's unit behind it, where it has one."""
    return f"{text} ({results.data.unit})" if results.data.unit else text


def ahead(results: Results, horizon: int) -> str:
    """A horizon in short words, such as "15 min ahead"."""
    return f"{horizon_label(horizon, step_of(results))} ahead"


def confidence_label(results: Results) -> str:
    """The confidence of the intervals, such as "95%"."""
    return f"{100 * results.confidence:g}%"


def score_places(results: Results, horizon: int, metric: str) -> int:
    """Decimals that show four digits of the horizon's scores."""
    rows = untyped(results.rows)
    return decimals(rows.loc[(rows["horizon"] == horizon) & (rows["metric"] == metric), "value"].tolist(), 4)


def edges_in_words(data: DataFacts) -> str:
    """The edges between two nodes; loops, which tell a node of itself alone, are counted apart.

    Example:
        >>> edges_in_words(DataFacts("ring", edges=[[0, 0, 1.0], [0, 1, 1.0], [1, 0, 1.0]]))
        '2 edges and 1 loop'
    """
    loops = sum(edge[0] == edge[1] for edge in data.edges)
    edges = len(data.edges) - loops
    text = f"{edges:,} edge{'' if edges == 1 else 's'}"
    return f"{text} and {loops:,} loop{'' if loops == 1 else 's'}" if loops else text
