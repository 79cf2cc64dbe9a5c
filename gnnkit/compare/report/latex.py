"""Tables of a comparison for a paper: LaTeX with booktabs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from gnnkit.compare.findings import FINDINGS
from gnnkit.compare.report.scores import Cell, Line, ScoreTable, score_table
from gnnkit.compare.report.tables import TARGET_ONLY
from gnnkit.compare.results import Results
from gnnkit.report.latex import escape_latex, latex_sheet, latex_table
from gnnkit.report.numbers import format_number

__all__ = ["render_latex", "write_latex"]

_PER_TABLE = 4
"""Horizons side by side."""
_METRICS = ("mae", "rmse")


def write_latex(results: Results, path: str | Path) -> Path:
    """Write the tables of a comparison as a LaTeX file to be read with `\\input`; it needs the package booktabs.

    The scores with their deviations, the lowest in each column in bold; then, where the results have them, the paired
    tests, the ablation and the prediction intervals of the largest horizon.

    Args, Returns: As `gnnkit.compare.report.html.write_report`.

    Raises:
        ValueError: The results have no rows of averaged scores.
    """
    path = Path(path)
    path.write_text(render_latex(results), encoding="utf-8", newline="\n")
    return path


def render_latex(results: Results) -> str:
    """One table environment after the other, as `write_latex` writes them."""
    table = score_table(results, "averaged", _METRICS)
    parts = ["% Made by gnnkit compare; needs \\usepackage{booktabs}."]
    for first in range(0, len(table.horizons), _PER_TABLE):
        chosen = range(first, min(first + _PER_TABLE, len(table.horizons)))
        parts.append(_scores(results, table, chosen, "scores" if first == 0 else f"scores-{first // _PER_TABLE + 1}"))
    for finding in FINDINGS:
        section = finding.section(results) if finding.in_paper else None
        if section is not None and section.sheets:
            sheets = section.sheets[0]
            parts += latex_sheet(sheets.shown, section.name, f"{escape_latex(sheets.title)}. ")
    return "\n\n".join(parts) + "\n"


def _scores(results: Results, table: ScoreTable, chosen: range, label: str) -> str:
    metrics = table.metrics
    unit = f" in {escape_latex(results.data.unit)}" if results.data.unit else ""
    caption = (
        f"Errors on {escape_latex(results.data.name)}{unit}, averaged over all steps up to the "
        r"horizon: mean $\pm$ standard deviation over seeds. Bold: lowest mean of the column; $\star$: lowest by more "
        "than the noise (exploratory)."
    )
    if any(line.target_only for line in table.lines):
        caption += rf" $\dagger$: {TARGET_ONLY}."
    groups = " & ".join(rf"\multicolumn{{{len(metrics)}}}{{c}}{{{escape_latex(table.labels[at])}}}" for at in chosen)
    rules = " ".join(
        rf"\cmidrule(lr){{{2 + len(metrics) * number}-{1 + len(metrics) * (number + 1)}}}"
        for number in range(len(chosen))
    )
    heads = " & ".join(name for _ in chosen for name in table.metric_names)
    lowest = {
        (at, column): _lowest(line.cells[at][column] for line in table.lines) for at in chosen for column in (0, 1)
    }
    body = []
    for number, line in enumerate(table.lines):
        if number and line.family != table.lines[number - 1].family:
            body.append(r"\midrule")
        body.append(_score_line(line, table, chosen, lowest))
    content = [rf" & {groups} \\", rules, rf"model & {heads} \\", r"\midrule", *body]
    return latex_table("l" + "r" * (len(chosen) * len(metrics)), content, caption, label)


def _score_line(line: Line, table: ScoreTable, chosen: range, lowest: dict[tuple[int, int], float]) -> str:
    cells = []
    for at in chosen:
        for column, metric in enumerate(table.metrics):
            cell = line.cells[at][column]
            text = escape_latex(format_number(cell.mean, table.places[metric]))
            text = rf"\textbf{{{text}}}" if cell.mean == lowest[at, column] else text
            text += r"$^\star$" if cell.winner else ""
            text += rf" $\pm$ {format_number(cell.std, table.places[metric])}" if cell.std is not None else ""
            cells.append(text)
    model = escape_latex(line.model) + (r"$^\dagger$" if line.target_only else "")
    return rf"{model} & {' & '.join(cells)} \\"


def _lowest(cells: Iterable[Cell]) -> float:
    return min((cell.mean for cell in cells if not math.isnan(cell.mean)), default=math.nan)
