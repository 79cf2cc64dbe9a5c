"""The report's first page: what was compared, verdicts, score tables, and figures from elsewhere beside them."""

from __future__ import annotations

import math
from typing import Any

from gnnkit.compare.report.published import MARKS, PUBLISHED_NOTE, published_scores
from gnnkit.compare.report.tables import (
    METRIC_NAMES,
    SCORE_NAMES,
    Cell,
    ScoreTable,
    base_rows,
    families,
    horizon_label,
    sample_size,
    score_table,
    step_of,
)
from gnnkit.compare.results import Results
from gnnkit.data.spans import Step
from gnnkit.report.numbers import DASH, format_number
from gnnkit.report.sections import Statement

__all__ = ["facts", "headline", "published_view", "table_view", "verdict_view"]


def headline(results: Results) -> str:
    """What the report is asked: of the graph only where a model was trained with and without it."""
    return "Does the graph help?" if results.ablation.get("sentence") else "Which model is better?"


def facts(results: Results) -> list[tuple[str, str]]:
    """The strip under the title: what was compared, in five numbers."""
    data, kinds = results.data, families(results)
    trained = [model for model, family in kinds.items() if family != "baseline"]
    all_rows = base_rows(results)
    seeds = all_rows.loc[all_rows["model"].isin(trained), "seed"].nunique()
    counts = _counted(len(trained), "model"), _counted(seeds, "seed")
    rows = f"{data['rows']:,} rows" if data.get("rows") is not None else "rows unknown"
    if (step := step_of(results)) is not None:
        rows += f" of {horizon_label(1, step)}"
    return [
        ("data", str(data.get("name", ""))),
        ("size", f"{data.get('nodes', DASH)} nodes × {rows}"),
        ("graph", f"{len(data.get('edges') or []):,} edges"),
        ("compared", " × ".join(counts) + f", {_counted(len(kinds) - len(trained), 'baseline')}"),
        ("date", str(results.environment.get("date") or DASH)[:10]),
    ]


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def verdict_view(results: Results) -> dict[str, list[Statement]]:
    """The verdicts on MAE by kind, horizons ascending, and all the rest for the fold-out."""
    view: dict[str, list[Statement]] = {"families": [], "winner": [], "too-few": [], "rest": []}
    for verdict in results.verdicts:
        if verdict["kind"] == "too-few":
            view["too-few"].append(Statement(str(verdict["sentence"]), warning=True))
    # Summaries put several comparisons into one sentence: they have no single answer, and the report makes its own.
    single = [verdict for verdict in results.verdicts if "clear" in verdict and "model" in verdict]
    for verdict in sorted(single, key=lambda v: int(v["horizon"])):
        headline = verdict["metric"] == "mae" and verdict["kind"] in ("families", "winner")
        sample = sample_size(results, int(verdict["horizon"]), (verdict["model"], verdict["against"]))
        statement = Statement(str(verdict["sentence"]), bool(verdict["clear"]), sample)
        view[verdict["kind"] if headline else "rest"].append(statement)
    return view


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
    scores = published_scores(str(results.data.get("name", "")))
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
