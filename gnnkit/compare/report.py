"""The comparison's report: one HTML file that opens anywhere, and the same table on the terminal."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from gnnkit.compare import plots
from gnnkit.compare.published import MARKS, PUBLISHED_NOTE, published_scores
from gnnkit.compare.results import Results
from gnnkit.compare.tables import (
    DASH,
    METRIC_NAMES,
    SCORE_NAMES,
    Cell,
    ScoreTable,
    best_models,
    families,
    format_number,
    horizon_label,
    persistence_summary,
    score_table,
    untyped,
)
from gnnkit.compare.terminal import render_terminal
from gnnkit.compare.theme import inline_svg, model_styles, theme_variables

__all__ = ["caveats", "render_html", "render_terminal", "rerun_command", "write_report"]

#: From this many seeds on a paired test over seeds can reach 5% (Wilcoxon, two-sided: 2 · 2⁻ⁿ ≤ .05).
_SEEDS_FOR_A_TEST = 6
#: Flags whose name is not the spec's.
_FLAGS = {"horizons": "horizon", "hidden_channels": "hidden"}


def write_report(results: Results, path: str | Path) -> Path:
    """Write the report of a comparison: one HTML file without any request to elsewhere.

    Verdict in words first, then the scores, figures, protocol and caveats. The same results give the same bytes.

    Args:
        results: What a comparison found.
        path: The file; its directory must be there.

    Returns:
        The path.

    Raises:
        ValueError: The results have no rows.

    Example:
        >>> write_report(Results.load("gnnkit-compare"), "gnnkit-compare/report.html")  # doctest: +SKIP
    """
    path = Path(path)
    path.write_text(render_html(results), encoding="utf-8", newline="\n")
    return path


def render_html(results: Results) -> str:
    """The report's text, as `write_report` writes it.

    Args:
        results: What a comparison found.

    Returns:
        A whole HTML document.

    Raises:
        ValueError: The results have no rows.
    """
    if results.rows.empty:
        raise ValueError("results.rows is empty: there is nothing to report; run at least one model or baseline")
    styles = model_styles(families(results))
    minutes = results.data.get("step_minutes")
    scores = [score for score in SCORE_NAMES if score in set(results.rows["score"])]
    own_positions = results.data.get("positions") is not None
    return _template().render(
        results=results,
        data=results.data,
        environment=results.environment,
        styles=styles,
        light=Markup(theme_variables(styles, dark=False)),
        dark=Markup(theme_variables(styles, dark=True)),
        families=families(results),
        facts=_facts(results),
        verdicts=_verdicts(results),
        persistence=[(horizon_label(h, minutes), *rest) for h, *rest in persistence_summary(results)],
        main_tables=[_table_view(score_table(results, score), minutes) for score in scores],
        more_tables=[_table_view(score_table(results, score, ("accuracy", "r2", "var")), minutes) for score in scores],
        unit=str(results.data.get("unit") or ""),
        figures=_figures(results, own_positions),
        published=_published_view(results),
        protocol=_protocol(results),
        command=rerun_command(results),
        caveats=caveats(results),
        dash=DASH,
    )


@cache
def _template() -> Any:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(number=format_number)
    return environment.get_template("report.html.j2")


def _facts(results: Results) -> list[tuple[str, str]]:
    """The strip under the title: what was compared, in five numbers."""
    data, kinds = results.data, families(results)
    trained = [model for model, family in kinds.items() if family != "baseline"]
    all_rows = untyped(results.rows)
    seeds = all_rows.loc[all_rows["model"].isin(trained), "seed"].nunique()
    counts = _counted(len(trained), "model"), _counted(seeds, "seed")
    rows = f"{data['rows']:,} rows" if data.get("rows") is not None else "rows unknown"
    if data.get("step_minutes"):
        rows += f" of {horizon_label(1, data['step_minutes'])}"
    return [
        ("data", str(data.get("name", ""))),
        ("size", f"{data.get('nodes', DASH)} nodes × {rows}"),
        ("graph", f"{len(data.get('edges') or []):,} edges"),
        ("compared", " × ".join(counts) + f", {_counted(len(kinds) - len(trained), 'baseline')}"),
        ("date", str(results.environment.get("date") or DASH)[:10]),
    ]


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _verdicts(results: Results) -> dict[str, list[dict[str, Any]]]:
    """The verdicts on MAE by kind, horizons ascending, and all the rest for the fold-out."""
    view: dict[str, list[dict[str, Any]]] = {"graph": [], "winner": [], "rest": []}
    # Summaries put several comparisons into one sentence: they have no single answer, and the report makes its own.
    single = [verdict for verdict in results.verdicts if "clear" in verdict]
    for verdict in sorted(single, key=lambda v: int(v["horizon"])):
        headline = verdict["metric"] == "mae" and verdict["kind"] in ("graph", "winner")
        view[verdict["kind"] if headline else "rest"].append(verdict)
    return view


def _table_view(table: ScoreTable, minutes: float | None) -> dict[str, Any]:
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


def _figures(results: Results, own_positions: bool) -> list[dict[str, Any]]:
    styles, best = model_styles(families(results)), best_models(results)
    pair = " and ".join(best[kind] for kind in ("sequence", "graph") if kind in best) or best.get("baseline", "")
    farthest = horizon_label(max(results.horizons), results.data.get("step_minutes"))
    where = (
        "at the data's own positions" if own_positions else "laid out by the graph's edges (no positions were given)"
    )
    edges = len(plots.drawn_edges(results))
    shown = f" The {edges:,} strongest edges are drawn." if edges == plots.MAX_EDGES else ""
    drawings: list[tuple[str, str, str, Callable[[Results], Figure], str]] = [
        (
            *("steps", "Error by step ahead", "half", plots.error_by_step),
            "Each step scored alone, on the windows of the largest horizon. Lines: mean over seeds; bands: ± one "
            "standard deviation. Greys are baselines.",
        ),
        (
            *("training", "Training curves", "half", plots.training_curves),
            "Validation error after each epoch, in the data's unit. Thin: one seed; thick: mean; the mark is the epoch "
            "whose weights were kept.",
        ),
        (
            *("traces", "True against predicted", "full", plots.traces),
            f"Predictions {farthest} ahead of {pair}, over about a day of the test rows.",
        ),
        (
            *("map", "Where the error lives", "full", plots.error_map),
            f"Mean absolute error of each node up to {farthest} ahead, nodes {where}.{shown}",
        ),
    ]
    alone = not {"sequence", "graph"} <= set(best)
    return [
        {
            "name": name,
            "title": title,
            "size": size,
            "caption": caption,
            "single": name == "map" and alone,
            "svg": Markup(inline_svg(draw(results), name, styles, label=f"{title}. {caption}")),
        }
        for name, title, size, draw, caption in drawings
    ]


def _published_view(results: Results) -> dict[str, Any] | None:
    """The reference figures by model and minutes, and this run's averaged scores at the same minutes."""
    scores = published_scores(str(results.data.get("name", "")))
    step = results.data.get("step_minutes")
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


def _protocol(results: Results) -> list[tuple[str, list[tuple[str, str]]]]:
    """What was run, as headed lists of name and value."""
    data, environment = results.data, results.environment
    missing = data.get("missing_share")
    split_rows = data.get("split_rows") or {}
    about = [
        ("name", str(data.get("name", ""))),
        ("source", str(data.get("source") or DASH)),
        ("unit", str(data.get("unit") or "not given")),
        ("missing", DASH if missing is None else f"{100 * float(missing):.2f} % of the values"),
        ("hash", str(environment.get("data_hash") or DASH)),
        ("split", str(data.get("split") or DASH)),
        *((f"{part} rows", f"{int(rows[0]):,} to {int(rows[1]) - 1:,}") for part, rows in split_rows.items()),
    ]
    residual = bool(results.spec.get("residual"))
    rules = [
        ("form", f"every model predicts {'the change from the last value' if residual else 'the value itself'}"),
        ("scaling", "fitted on the observed values of the training rows alone"),
        ("choice of epoch", "lowest validation MAE; test rows are read once, for the scores"),
        ("scores", "in the data's unit; every observed value weighs the same, missing ones are not scored"),
        ("deviation", "standard deviation over seeds (n − 1); none for baselines, which have no seed"),
    ]
    asked = [(key, _plain(value)) for key, value in results.spec.items() if value is not None and key != "command"]
    machine = [(key.replace("_", " "), _plain(value)) for key, value in environment.items() if key != "data_hash"]
    return [("Data", about), ("Protocol", rules), ("Asked for", asked), ("Environment", machine)]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} = {_plain(item)}" for key, item in value.items() if item is not None) or DASH
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(item) for item in value) or DASH
    return DASH if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def rerun_command(results: Results) -> str:
    """The command that makes this comparison again.

    Args:
        results: What a comparison found.

    Returns:
        `spec["command"]` where the run noted it, else the command put together from the spec's fields.
    """
    spec = results.spec
    if spec.get("command"):
        return str(spec["command"])
    words = ["gnnkit", "compare"]
    for key, value in spec.items():
        if key == "data_options":
            words += [word for name, option in (value or {}).items() for word in ("--data-option", f"{name}={option}")]
        elif value is not None and value != []:
            flag = _FLAGS.get(key, key).replace("_", "-")
            if isinstance(value, bool):
                words.append(f"--{flag}" if value else f"--no-{flag}")
            else:
                words += [f"--{flag}", _flag_value(key, value)]
    return shlex.join(words)


def _flag_value(key: str, value: Any) -> str:
    if not isinstance(value, (list, tuple)):
        return str(value)
    if key == "seeds" and list(value) == list(range(len(value))):
        return str(len(value))  # a lone number is a count of seeds
    return ",".join(str(item) for item in value) + ("," if key == "seeds" and len(value) == 1 else "")


def caveats(results: Results) -> list[str]:
    """What a reader must hold against the numbers, as far as the results themselves show it.

    Args:
        results: What a comparison found.

    Returns:
        Sentences; the results' own notes come first.
    """
    rows = untyped(results.rows)
    trained = rows[rows["family"] != "baseline"]
    found = list(results.notes)
    found += [f"{f['model']} with seed {f['seed']} failed and has no row: {f['error']}" for f in results.failures]
    seeds = int(trained["seed"].nunique())
    if not trained.empty and seeds == 1:
        found.append("One seed: how far a model's score moves from one initialisation to the next is not known here.")
    elif not trained.empty and seeds < _SEEDS_FOR_A_TEST:
        found.append(
            f"{seeds} seeds: a deviation over so few is itself uncertain, and no test over fewer than "
            f"{_SEEDS_FOR_A_TEST} seeds can reach 5%."
        )
    late = _still_improving(results)
    if late:
        found.append(
            f"Best epoch within the last tenth of the budget: {', '.join(late)}. More epochs may improve these rows."
        )
    windows = int(rows["windows"].min()) if rows["windows"].notna().any() else 0
    found.append(
        f"One data set and one split by time: at least {windows:,} test windows, which overlap and so are not "
        "independent. Other months or other places may rank the models differently."
    )
    missing = results.data.get("missing_share") or 0
    if missing > 0:
        found.append(
            f"{100 * float(missing):.2f} % of the values are missing: filled from the past as input, never scored."
        )
    if rows.loc[rows["metric"] == "mape", "value"].isna().any():
        found.append(f"MAPE has no value where no true value differs from zero; it is shown as {DASH}.")
    if results.data.get("positions") is None:
        found.append("The data give no positions: distances on the map mean nothing beyond the graph's edges.")
    return found


def _still_improving(results: Results) -> list[str]:
    late, rows = [], untyped(results.rows)
    for model, family in families(results).items():
        own = rows[rows["model"] == model]
        if family != "baseline" and (own["best_epoch"] >= 0.9 * own["epochs"]).mean() > 0.5 and own["epochs"].max() > 1:
            late.append(model)
    return late
