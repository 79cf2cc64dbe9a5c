"""The report's first page: what was compared, score tables, and figures from elsewhere beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gnnkit.compare.findings import ABLATION, VERDICTS
from gnnkit.compare.findings.verdicts import PairVerdict
from gnnkit.compare.report.published import MARKS, PUBLISHED_NOTE, published_scores
from gnnkit.compare.report.tables import (
    METRIC_NAMES,
    SCORE_NAMES,
    base_rows,
    edges_in_words,
    families,
    horizon_label,
    step_of,
    untyped,
)
from gnnkit.compare.results import Results
from gnnkit.compare.scores import summarise
from gnnkit.report.numbers import DASH, decimals

__all__ = ["Cell", "Line", "ScoreTable", "facts", "headline", "published_view", "score_table"]

_HIGHER_IS_BETTER = ("accuracy", "r2", "var")


@dataclass(frozen=True)
class Cell:
    """One score of one model.

    Args:
        mean: Mean over seeds; NaN where there is none.
        std: Standard deviation over seeds; None for baselines and for a single seed.
        winner: True where the verdict says that this model is clearly the best.
        tied: True where the verdict does not set this model apart from the best one.
        loses: True where the mean is worse than the last value's.
    """

    mean: float
    std: float | None
    winner: bool
    tied: bool
    loses: bool

    @property
    def value(self) -> str:
        """All digits of the mean; empty where there is none."""
        return "" if math.isnan(self.mean) else repr(self.mean)

    @property
    def exact(self) -> str:
        """All digits of both; a dash where there is no mean."""
        return (self.value or DASH) + ("" if self.std is None else f" ± {self.std!r}")


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
        labels: The horizons in short words, such as "15 min".
        metrics: Keys of `METRIC_NAMES`.
        lines: One a model.
        windows: Test windows by horizon.
    """

    score: str
    horizons: tuple[int, ...]
    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    lines: tuple[Line, ...]
    windows: tuple[int, ...]

    @property
    def about(self) -> str:
        """What is scored."""
        return SCORE_NAMES[self.score]

    @cached_property
    def places(self) -> dict[str, int]:
        """Decimals that show four digits of each metric's smallest score; three of a percentage."""
        rows = [row for line in self.lines for row in line.cells]
        return {
            metric: decimals((row[at].mean for row in rows), 3 if metric == "mape" else 4)
            for at, metric in enumerate(self.metrics)
        }

    @property
    def heads(self) -> list[tuple[str, str]]:
        """Of each horizon its label, and its steps and windows."""
        sizes = zip(self.labels, self.horizons, self.windows, strict=True)
        return [(label, f"{_counted(steps, 'step')}, {_counted(count, 'window')}") for label, steps, count in sizes]

    @property
    def metric_names(self) -> list[str]:
        """What the metrics are called."""
        return [METRIC_NAMES[metric] for metric in self.metrics]


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
    summary: dict[Any, Any] = untyped(summarise(rows)).set_index(["model", "horizon", "metric"]).to_dict("index")
    standing = _standing(results, score)
    horizons = tuple(sorted(int(h) for h in rows["horizon"].unique()))
    lines = []
    for model, family in families(results).items():
        own = rows[rows["model"] == model]
        cells = []
        for horizon in horizons:
            line = []
            for metric in metrics:
                found = summary.get((model, horizon, metric))
                mean = math.nan if found is None else float(found["mean"])
                std = None if found is None or family == "baseline" or found["seeds"] <= 1 else float(found["std"])
                last = summary.get(("last-value", horizon, metric), {"mean": math.nan})["mean"]
                loses = mean < last if metric in _HIGHER_IS_BETTER else mean > last
                line.append(Cell(mean, std, *_place(standing.get((horizon, metric)), model), bool(loses)))
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
    labels = tuple(horizon_label(horizon, step_of(results)) for horizon in horizons)
    return ScoreTable(score, horizons, labels, tuple(metrics), tuple(lines), windows)


def _standing(results: Results, score: str) -> dict[tuple[int, str], PairVerdict]:
    """What is said of the best model in one score, by horizon and metric; the first verdict counts."""
    found = [each for each in VERDICTS.of(results) if isinstance(each, PairVerdict)]
    best = [each for each in found if (each.kind, each.score) == ("winner", score)]
    return {(each.horizon, each.metric): each for each in reversed(best)}


def _place(verdict: PairVerdict | None, model: str) -> tuple[bool, bool]:
    """Whether a model is clearly the best, and whether it is not told apart from the best."""
    if verdict is None:
        return False, False
    return verdict.clear and verdict.model == model, not verdict.clear and model in (
        verdict.model,
        *(verdict.tied or ()),
    )


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
        ("graph", edges_in_words(data)),
        ("compared", " × ".join(counts) + f", {_counted(len(kinds) - len(trained), 'baseline')}"),
        ("date", str(results.environment.get("date") or DASH)[:10]),
    ]


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


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
