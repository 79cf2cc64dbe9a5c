"""The score table that the HTML report and the terminal share: cells of mean and deviation, with the winners marked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gnnkit.compare.conditions import Condition
from gnnkit.compare.results import Results
from gnnkit.compare.scores import summarise
from gnnkit.data.spans import Step, steps_in_words
from gnnkit.report.numbers import decimals

__all__ = [
    "FAMILIES_TITLE",
    "METRIC_NAMES",
    "SCORE_NAMES",
    "Cell",
    "Line",
    "ScoreTable",
    "base_rows",
    "best_models",
    "families",
    "floats",
    "horizon_label",
    "persistence_summary",
    "sample_size",
    "score_table",
    "step_of",
    "untyped",
    "with_unit",
]

_SHORT = {"minutes": "min", "minute": "min", "hours": "h", "hour": "h"}
METRIC_NAMES = {"mae": "MAE", "rmse": "RMSE", "mape": "MAPE", "accuracy": "Accuracy", "r2": "R²", "var": "Var"}
SCORE_NAMES = {"averaged": "all steps up to the horizon", "last-step": "the last step alone"}
FAMILY_ORDER = ("baseline", "sequence", "graph")
FAMILIES_TITLE = "Chosen on the validation rows: a graph model against a sequence model"


@dataclass(frozen=True)
class Cell:
    """One score of one model.

    Args:
        mean: Mean over seeds; NaN where there is none.
        std: Standard deviation over seeds; None for baselines and for a single seed.
        winner: True where the verdict says that this model is clearly the best.
        tied: True where the verdict does not set this model apart from the best one.
    """

    mean: float
    std: float | None
    winner: bool
    tied: bool


@dataclass(frozen=True)
class Line:
    """One model's row: `cells[i][j]` is the score at horizon i and metric j."""

    model: str
    family: str
    cells: tuple[tuple[Cell, ...], ...]
    parameters: int | None
    epoch_seconds: float | None
    seeds: int


@dataclass(frozen=True)
class ScoreTable:
    """Scores of all models, baselines first.

    Args:
        score: "averaged" or "last-step".
        horizons: Horizons in steps, ascending.
        metrics: Keys of `METRIC_NAMES`.
        lines: One a model.
        windows: Test windows by horizon.
    """

    score: str
    horizons: tuple[int, ...]
    metrics: tuple[str, ...]
    lines: tuple[Line, ...]
    windows: tuple[int, ...]

    def places(self, metric: str) -> int:
        """Decimals that show four digits of this metric's smallest score; three of a percentage."""
        index = self.metrics.index(metric)
        return decimals((cell[index].mean for line in self.lines for cell in line.cells), 3 if metric == "mape" else 4)


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
    """Family by model, in the order of display: baselines, sequence models, graph models, each as they came."""
    found = {str(model): results.family(model) for model in results.models}
    return {model: family for kind in FAMILY_ORDER for model, family in found.items() if family == kind}


def score_table(results: Results, score: str, metrics: Sequence[str] = ("mae", "rmse", "mape")) -> ScoreTable:
    """Bring the rows of one score into the form of a table.

    Args:
        results: What a comparison found.
        score: "averaged" (all steps 1 … horizon) or "last-step".
        metrics: Metrics of the columns.

    Returns:
        The table. A winner is marked only where a verdict for just this score, horizon and metric is clear.

    Raises:
        ValueError: The rows hold nothing for this score.
    """
    everything = base_rows(results)
    rows = everything[everything["score"] == score]
    if rows.empty:
        raise ValueError(
            f"score is {score!r}, the rows have {sorted(everything['score'].unique())}; ask for one of them"
        )
    summary = untyped(summarise(rows)).set_index(["model", "horizon", "metric"])
    horizons = tuple(sorted(int(h) for h in rows["horizon"].unique()))
    lines = []
    for model, family in families(results).items():
        own = rows[rows["model"] == model]
        cells = []
        for horizon in horizons:
            line = []
            for metric in metrics:
                key = (model, horizon, metric)
                found = summary.loc[key] if key in summary.index else None
                mean = math.nan if found is None else float(found["mean"])
                deviates = found is not None and family != "baseline" and found["seeds"] > 1
                winner, tied = _standing(results, score, horizon, metric, model)
                line.append(Cell(mean, float(found["std"]) if deviates and found is not None else None, winner, tied))
            cells.append(tuple(line))
        parameters, seconds = own["parameters"].max(), own["epoch_seconds"].median()
        trained = family != "baseline"
        lines.append(
            Line(
                model,
                family,
                tuple(cells),
                int(parameters) if trained and parameters == parameters else None,
                float(seconds) if trained and seconds == seconds else None,
                int(own["seed"].nunique()),
            )
        )
    windows = tuple(int(rows.loc[rows["horizon"] == horizon, "windows"].max()) for horizon in horizons)
    return ScoreTable(score, horizons, tuple(metrics), tuple(lines), windows)


def _standing(results: Results, score: str, horizon: int, metric: str, model: str) -> tuple[bool, bool]:
    for verdict in results.verdict("winner", horizon=horizon, metric=metric):
        if verdict.get("score", "averaged") != score:
            continue
        if verdict["clear"]:
            return verdict["model"] == model, False
        return False, model == verdict["model"] or model in verdict.get("tied", ())
    return False, False


def best_models(results: Results) -> dict[str, str]:
    """The model with the lowest averaged MAE at the largest horizon, for each family that has one.

    Args:
        results: What a comparison found.

    Returns:
        Model by family, in the order baseline, sequence, graph.
    """
    rows, horizon = base_rows(results), max(results.horizons)
    chosen = rows[(rows["horizon"] == horizon) & (rows["metric"] == "mae") & (rows["score"] == "averaged")]
    means = chosen.groupby(["family", "model"], sort=False)["value"].mean().dropna()
    return {kind: str(means[kind].idxmin()) for kind in FAMILY_ORDER if kind in means.index.get_level_values("family")}


def persistence_summary(results: Results, metric: str = "mae") -> list[tuple[int, list[str], list[str], list[str]]]:
    """Which models beat the last value, and which do not.

    Args:
        results: What a comparison found.
        metric: "mae" or "rmse", averaged over the steps.

    Returns:
        One tuple a horizon: the horizon, the models that are clearly better than the last value, those that are not
        clearly different from it, those that are clearly worse.
    """
    summary = []
    for horizon in results.horizons:
        found = results.verdict("persistence", horizon=horizon, metric=metric)
        better = [v["model"] for v in found if v["clear"] and v["difference"] < 0]
        worse = [v["model"] for v in found if v["clear"] and v["difference"] >= 0]
        open_ = [v["model"] for v in found if not v["clear"]]
        if found:
            summary.append((horizon, better, open_, worse))
    return summary


def sample_size(results: Results, horizon: int, models: Iterable[str]) -> str:
    """How much a claim about some models stands on.

    Args:
        results: What a comparison found.
        horizon: The claim's horizon in steps.
        models: The models that it is about; baselines have no seeds and are passed over.

    Returns:
        E.g. "n = 380 windows, 3 seeds".
    """
    rows = base_rows(results)
    rows = rows[rows["horizon"] == horizon]
    parts = []
    if rows["windows"].notna().any():
        parts.append(f"{int(rows['windows'].max()):,} windows")
    own = rows[rows["model"].isin(list(models)) & (rows["family"] != "baseline")]
    counts = sorted(set(own.groupby("model")["seed"].nunique().tolist()))
    if counts:
        seeds = " and ".join(str(int(count)) for count in counts)
        parts.append(f"{seeds} seed{'' if counts == [1] else 's'}")
    return f"n = {', '.join(parts)}" if parts else ""


def step_of(results: Results) -> Step:
    """What a step of the data is: minutes, or a unit like "month"; None: unknown."""
    return results.data.get("step_minutes") or results.data.get("step_unit") or None


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
    unit = results.data.get("unit")
    return f"{text} ({unit})" if unit else text
