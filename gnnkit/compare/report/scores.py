"""The report's first page: what was compared, score tables, and figures from elsewhere beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gnnkit.compare.findings import ABLATION, VERDICTS
from gnnkit.compare.findings.verdicts import PairVerdict
from gnnkit.compare.report.published import MARKS, PUBLISHED_NOTE, published_scores
from gnnkit.compare.report.tables import METRIC_NAMES, SCORE_NAMES, base_rows, families, horizon_label, step_of, untyped
from gnnkit.compare.results import Results
from gnnkit.compare.scores import summarise
from gnnkit.data.spans import Step
from gnnkit.report.numbers import DASH, decimals, format_number

__all__ = ["Cell", "Line", "ScoreTable", "facts", "headline", "published_view", "score_table", "table_view"]


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
    """One model's row: `cells[i][j]` is the score at horizon i and metric j.

    `target_only`: whether there are covariates, and the model sees none of them.
    """

    model: str
    family: str
    cells: tuple[tuple[Cell, ...], ...]
    parameters: int | None
    epoch_seconds: float | None
    seeds: int
    target_only: bool = False


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
                model in results.data.target_only,
            )
        )
    windows = tuple(int(rows.loc[rows["horizon"] == horizon, "windows"].max()) for horizon in horizons)
    return ScoreTable(score, horizons, tuple(metrics), tuple(lines), windows)


def _standing(results: Results, score: str, horizon: int, metric: str, model: str) -> tuple[bool, bool]:
    asked = ("winner", horizon, metric, score)
    for verdict in VERDICTS.of(results):
        if isinstance(verdict, PairVerdict) and (verdict.kind, verdict.horizon, verdict.metric, verdict.score) == asked:
            tied = not verdict.clear and model in (verdict.model, *(verdict.tied or ()))
            return verdict.clear and verdict.model == model, tied
    return False, False


def headline(results: Results) -> str:
    """What the report is asked: of the graph only where a model was trained with and without it."""
    return "Does the graph help?" if ABLATION.of(results) else "Which model is better?"


def facts(results: Results) -> list[tuple[str, str]]:
    """The strip under the title: what was compared, in five numbers."""
    data, kinds = results.data, families(results)
    trained = [model for model, family in kinds.items() if family != "baseline"]
    all_rows = base_rows(results)
    seeds = all_rows.loc[all_rows["model"].isin(trained), "seed"].nunique()
    counts = _counted(len(trained), "model"), _counted(seeds, "seed")
    rows = f"{data.rows:,} rows" if data.rows is not None else "rows unknown"
    if (step := step_of(results)) is not None:
        rows += f" of {horizon_label(1, step)}"
    return [
        ("data", data.name),
        ("size", f"{DASH if data.nodes is None else data.nodes} nodes × {rows}"),
        ("graph", f"{len(data.edges):,} edges"),
        ("compared", " × ".join(counts) + f", {_counted(len(kinds) - len(trained), 'baseline')}"),
        ("date", str(results.environment.get("date") or DASH)[:10]),
    ]


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def table_view(table: ScoreTable, minutes: Step) -> dict[str, Any]:
    places = {metric: table.places(metric) for metric in table.metrics}
    last_value = next((line for line in table.lines if line.model == "last-value"), None)
    lines = []
    for line in table.lines:
        cells = []
        for at, row in enumerate(line.cells):
            reference = last_value.cells[at] if last_value else (None,) * len(row)
            for metric, cell, base in zip(table.metrics, row, reference, strict=True):
                cells.append(_cell_view(metric, cell, places[metric], None if line is last_value else base))
        lines.append({"line": line, "cells": cells})
    horizons = [
        {
            "label": horizon_label(steps, minutes),
            "about": ", ".join(_counted(*pair) for pair in ((steps, "step"), (windows, "window"))),
        }
        for steps, windows in zip(table.horizons, table.windows, strict=True)
    ]
    metrics = [METRIC_NAMES[metric] for metric in table.metrics]
    return {
        "score": table.score,
        "about": SCORE_NAMES[table.score],
        "horizons": horizons,
        "metrics": metrics,
        "lines": lines,
    }


def _cell_view(metric: str, cell: Cell, places: int, base: Cell | None) -> dict[str, Any]:
    higher_is_better = metric in ("accuracy", "r2", "var")
    loses = base is not None and (cell.mean < base.mean if higher_is_better else cell.mean > base.mean)
    exact = DASH if math.isnan(cell.mean) else repr(cell.mean)
    return {
        "mean": format_number(cell.mean, places),
        "std": None if cell.std is None else format_number(cell.std, places),
        "value": "" if math.isnan(cell.mean) else repr(cell.mean),
        "exact": exact if cell.std is None else f"{exact} ± {cell.std!r}",
        "winner": cell.winner,
        "tied": cell.tied,
        "loses": loses,
    }


def published_view(results: Results) -> dict[str, Any] | None:
    """The reference figures by model and minutes, and this run's averaged scores at the same minutes."""
    scores = published_scores(results.data.name)
    step = step_of(results)
    if not scores:
        return None
    minutes = sorted({score.minutes for score in scores})
    models = list(dict.fromkeys(score.model for score in scores))
    given = [
        (model, [next((s for s in scores if (s.model, s.minutes) == (model, m)), None) for m in minutes])
        for model in models
    ]
    table = score_table(results, "averaged", ("rmse", "mae")) if "averaged" in set(results.rows["score"]) else None
    own = []
    for line in table.lines if table and step else ():
        by_minutes = {round(h * float(step or 0)): cells for h, cells in zip(table.horizons, line.cells, strict=True)}  # pyright: ignore[reportOptionalMemberAccess]
        own.append((line, [by_minutes.get(m) for m in minutes]))
    used = sorted({score.mark for score in scores})
    return {
        "minutes": minutes,
        "given": given,
        "own": own,
        "marks": {m: MARKS[m] for m in used},
        "note": PUBLISHED_NOTE,
    }
