"""Two comparisons beside each other: what differs between them, and what came of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gnnkit.compare.report.html import TEMPLATES
from gnnkit.compare.report.page import verdict_section
from gnnkit.compare.report.protocol import plain_text
from gnnkit.compare.report.scores import facts
from gnnkit.compare.report.tables import base_rows, families, horizon_label, sample_size, step_of, with_unit
from gnnkit.compare.results import Results
from gnnkit.report.html import render_page, section_view
from gnnkit.report.numbers import DASH, decimals, format_number, signed
from gnnkit.report.sections import Entry, Sheet, Sheets, Statement
from gnnkit.statistics.paired import Judged
from gnnkit.statistics.step_down import judge_family

__all__ = ["differences", "score_sheets", "write_side_by_side"]

_METRICS = ("mae", "rmse")
_CONFIDENCE = 0.95
#: What makes two runs differ and is worth a line: data and environment; of the spec every field is.
_DATA = ("name", "source", "unit", "step_minutes", "season", "rows", "nodes", "missing_share", "split")
_ENVIRONMENT = (
    "data_hash",
    "code_hash",
    "commit",
    "gnnkit",
    "torch",
    "device",
    "hardware",
    "threads",
    "date",
    "wall_seconds",
)

_ANOTHER_SERIES = ("unit", "nodes", "step_minutes", "step_unit")
"""Facts in which two series differ whose errors say nothing of each other."""


def write_side_by_side(first: Results, second: Results, path: str | Path) -> Path:
    """Write two comparisons beside each other as one HTML file that opens offline.

    What differs in spec, data and code; each model's scores in both, with their difference at each horizon; the
    verdicts of both. Where both scored the same windows of the same data, a difference has its paired interval.

    Args:
        first: What one comparison found.
        second: What another found; differences are second − first.
        path: The file, a name that ends in .html; or a folder, made when it is missing, for `side-by-side.html`.

    Returns:
        The path of the file.

    Raises:
        ValueError: One of them has no rows, or `path` is a file that is no HTML page.

    Example:
        >>> write_side_by_side(Results.load("a"), Results.load("b"), "beside.html")  # doctest: +SKIP
    """
    for name, results in (("first", first), ("second", second)):
        if results.rows.empty:
            raise ValueError(f"{name}.rows is empty: there is nothing to set beside another run; give a run with rows")
    names = (f"first: {first.data.name}", f"second: {second.data.name}")
    sheets, statements = score_sheets(first, second)
    found = differences(first, second)
    text = render_page(
        TEMPLATES / "side_by_side.html.j2",
        {**families(first), **families(second)},
        names=names,
        facts=[facts(results) for results in (first, second)],
        differing=_differing_sheet(found, names) if found else None,
        scores=sheets,
        statements=statements,
        verdicts=[section_view(verdict_section(results), results, {}) for results in (first, second)],
    )
    path = _page_path(Path(path))
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def differences(first: Results, second: Results) -> list[tuple[str, str, str]]:
    """What differs between two runs in spec, data and code.

    Args:
        first: What one comparison found.
        second: What another found.

    Returns:
        Name, value in the first, value in the second; a dash where one has no value.
    """
    found = []
    for group, names in (("spec", None), ("data", _DATA), ("environment", _ENVIRONMENT)):
        ours, theirs = (
            dict(value if isinstance(value, dict) else vars(value))
            for value in (getattr(first, group), getattr(second, group))
        )
        for name in names or dict.fromkeys([*ours, *theirs]):
            if ours.get(name) != theirs.get(name):
                found.append(
                    (f"{group}: {name.replace('_', ' ')}", plain_text(ours.get(name)), plain_text(theirs.get(name)))
                )
    return found


def score_sheets(first: Results, second: Results) -> tuple[Sheets | None, list[Statement]]:
    """The scores of the models that both runs have, horizon by horizon.

    Args:
        first: What one comparison found.
        second: What another found.

    Returns:
        A table for each metric and each horizon that both have (None where there is none), and sentences on what can
        be read from them.
    """
    horizons = [horizon for horizon in first.horizons if horizon in second.horizons]
    models = [model for model in families(first) if model in families(second)]
    choices, statements = [], []
    minutes = step_of(first)
    paired = False
    for metric in _METRICS:
        for horizon in horizons:
            sheet, clear = _score_sheet(first, second, horizon, metric, models)
            if sheet.lines:
                choices.append((f"{horizon_label(horizon, minutes)}, {metric.upper()}", sheet))
            if clear is not None and metric == "mae":
                paired = True
                statements.append(
                    Statement(_sentence(clear, horizon_label(horizon, minutes)), bool(clear[0] or clear[1]))
                )
    if not choices:
        return None, [Statement("The two runs share no model at a common horizon, so no scores are compared.")]
    if not paired:
        why = (
            "The runs scored different windows or data, so the differences have no paired interval: they may come "
            "from the data alone."
        )
        if any(_too_few_windows(first, second, horizon) for horizon in horizons):
            why = "The windows are too few for a paired interval of the differences: these may be noise."
        elsewhere = [name for name in _ANOTHER_SERIES if getattr(first.data, name) != getattr(second.data, name)]
        if elsewhere:
            what = ", ".join(name.replace("_", " ") for name in elsewhere)
            why = (
                f"These are runs on different data ({what}): a lower error in one does not say that its models are "
                "better; compare each model with others of its own run."
            )
        statements.append(Statement(why, warning=True))
    for name, one, other in (("first", first, second), ("second", second, first)):
        only = [model for model in families(one) if model not in families(other)]
        if only:
            statements.append(Statement(f"Only in the {name}: {', '.join(only)}."))
    farthest = sum(label.endswith("MAE") for label, _ in choices) - 1
    return Sheets("Scores of both", tuple(choices), chosen=max(0, farthest)), statements


def _score_sheet(
    first: Results, second: Results, horizon: int, metric: str, models: list[str]
) -> tuple[Sheet, tuple[list[str], list[str]] | None]:
    """The table, and the models whose error is clearly lower or higher in the second, None where nothing is paired."""
    scores = [_scores(results, horizon, metric) for results in (first, second)]
    places = decimals((mean for table in scores for mean, _ in table.values()), 4)
    tests = _tests(first, second, horizon, metric, models)
    lines, lower, higher = [], [], []
    for model in models:
        if model not in scores[0] or model not in scores[1]:
            continue
        (ours, spread), (theirs, other_spread) = scores[0][model], scores[1][model]
        interval = (tests or {}).get(model)
        mark = ""
        if interval is not None and interval.clear:
            mark = "good" if interval.difference < 0 else "bad"
            (lower if interval.difference < 0 else higher).append(model)
        lines.append(
            (
                Entry(model),
                Entry(_with_spread(ours, spread, places), ours),
                Entry(_with_spread(theirs, other_spread, places), theirs),
                Entry(signed(theirs - ours, places), theirs - ours, mark),
                Entry(_bounds(interval, places), interval.low if interval else None),
                Entry(
                    f"{signed(100 * (theirs / ours - 1), 1)} %" if ours else DASH, theirs / ours - 1 if ours else None
                ),
            )
        )
    sizes = [sample_size(results, horizon, models) for results in (first, second)]
    about = f"Exploratory: {with_unit(metric.upper(), first)}, first: {sizes[0]}; second: {sizes[1]}; "
    about += "difference: second − first"
    heads = ("model", "first", "second", "difference", "95% interval", "relative")
    return Sheet(about, heads, tuple(lines)), None if tests is None else (lower, higher)


def _scores(results: Results, horizon: int, metric: str) -> dict[str, tuple[float, float | None]]:
    rows = base_rows(results)
    chosen = rows[(rows["horizon"] == horizon) & (rows["metric"] == metric) & (rows["score"] == "averaged")]
    found = {}
    for model, own in chosen.groupby("model", sort=False):
        values = own["value"].dropna()
        if len(values):
            found[str(model)] = (float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None)
    return found


def _tests(first: Results, second: Results, horizon: int, metric: str, models: list[str]) -> dict[str, Judged] | None:
    """What the test over spans says of second − first, corrected for the models, where both scored the same windows.

    None where they did not, or these are too few. A model that has the same errors in both is not asked about.
    """
    known = [m for m in models if all(found.errors.knows(m, horizon, metric) for found in (first, second))]
    if not known or not _same_windows(first, second, horizon) or _too_few_windows(first, second, horizon):
        return None
    compared = {}
    for model in known:
        ours, theirs = (results.errors.window_errors(model, horizon, metric) for results in (first, second))
        if not np.array_equal(ours, theirs, equal_nan=True):
            compared[model] = first.errors.compare(theirs, ours, horizon, metric)
    return dict(zip(compared, judge_family(list(compared.values()), _CONFIDENCE), strict=True))


def _same_windows(first: Results, second: Results, horizon: int) -> bool:
    tables = first.errors, second.errors
    if not all(horizon in table.horizons for table in tables):
        return False
    ours, theirs = (table.counts(horizon) for table in tables)
    same = np.array_equal(ours, theirs)
    return same and first.environment.get("data_hash") == second.environment.get("data_hash")


def _too_few_windows(first: Results, second: Results, horizon: int) -> bool:
    """Whether both scored the same windows, and these are not enough to judge."""
    return _same_windows(first, second, horizon) and not first.errors.is_enough(horizon, _CONFIDENCE)


def _sentence(clear: tuple[list[str], list[str]], ahead: str) -> str:
    lower, higher = clear
    parts = [f"clearly lower in the second: {', '.join(lower)}"] if lower else []
    parts += [f"clearly higher in the second: {', '.join(higher)}"] if higher else []
    said = "; ".join(parts) or "no model clearly differs between the two runs"
    return f"Exploratory: MAE up to {ahead} ahead: {said}."


def _page_path(path: Path) -> Path:
    if path.suffix == ".html" and not path.is_dir():
        return path
    if path.is_file():
        raise ValueError(f"path is {path}, a file that is no HTML page; give a name that ends in .html, or a folder")
    path.mkdir(parents=True, exist_ok=True)
    return path / "side-by-side.html"


def _differing_sheet(found: list[tuple[str, str, str]], names: tuple[str, str]) -> Sheet:
    lines = tuple(tuple(Entry(text) for text in line) for line in found)
    return Sheet("Everything that differs; what is not listed is the same", ("what", *names), lines, names=3)


def _with_spread(mean: float, spread: float | None, places: int) -> str:
    text = format_number(mean, places)
    return text if spread is None else f"{text} ± {format_number(spread, places)}"


def _bounds(interval: Judged | None, places: int) -> str:
    return DASH if interval is None else f"{signed(interval.low, places)} to {signed(interval.high, places)}"
