"""The comparison's table on the terminal."""

from __future__ import annotations

import math
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gnnkit.compare.comparison import Comparison
from gnnkit.compare.findings import FINDINGS
from gnnkit.compare.report.scores import Line, ScoreTable, score_table
from gnnkit.compare.report.scores_grid import is_wide, scores_grid
from gnnkit.compare.report.tables import TARGET_ONLY, families
from gnnkit.compare.results import Results
from gnnkit.report.sections import Statement
from gnnkit.report.terminal import say

__all__ = ["render_terminal"]

_PER_TABLE = 4
_LINES, _COLUMNS = 24, 80
"""Of the last screen; two of its lines are those of the report's place and of the prompt."""


def render_terminal(results: Results, console: Console) -> None:
    """Print what was inferred and found within 100 columns, and last a screen of 24 lines and 80 columns.

    The last screen has the answer, and below it the averaged scores. One or two horizons are shown with MAE, RMSE and
    MAPE; more of them as "MAE ± deviation / RMSE", four to a table. Scores that do not fit the screen come before it,
    and it has those at the longest horizons of the models with the lowest MAE.

    Args:
        results: What a comparison found.
        console: Where to print.

    Raises:
        ValueError: The results have no rows of averaged scores.
    """
    table = score_table(results, "averaged")
    unit = f" ({results.data.unit})" if results.data.unit else ""
    shape = "MAE, RMSE" + unit + ", MAPE (%)" if is_wide(table) else f"MAE ± deviation / RMSE{unit}"
    title = Text(f"{results.data.name}: {shape}, averaged over all steps up to the horizon", style="bold")
    answer = Comparison.of(results).verdict()
    told, legend = _told(results, answer), _legend(results, table)
    mark, style = ("!", "bold yellow") if answer in _warnings(results) else ("•", "bold green")
    head = [Text(f"{mark} {answer}", style=style), title]
    room = _LINES - 2 - sum(_height(text) for text in (*head, *legend))
    shown, grid = _for_a_screen(table, room)
    for sentence in results.inferred:
        say(console, sentence, "dim")
    if not shown:
        say(console, title)
        step = len(table.horizons) if is_wide(table) else _PER_TABLE
        for first in range(0, len(table.horizons), step):
            console.print(scores_grid(table, range(first, min(first + step, len(table.horizons)))))
    for text in told:
        say(console, text)
    for text in head:
        console.print(text, width=min(console.width, _COLUMNS))
    if grid is not None:
        console.print(grid)
    for text in legend:
        console.print(text, width=min(console.width, _COLUMNS))


def _height(text: Text) -> int:
    """Lines on the last screen."""
    console = Console(width=_COLUMNS)
    return len(console.render_lines(text, console.options))


def _for_a_screen(table: ScoreTable, room: int) -> tuple[bool, Table | None]:
    """Whether all scores fit into so many lines, and a table of them, or of the most telling ones."""
    heads = 3 if is_wide(table) else 2
    whole = range(len(table.horizons))
    if not is_wide(table) and len(whole) > _PER_TABLE:
        whole = whole[-_PER_TABLE:]
    fewer = [whole[first:] for first in range(len(whole))]
    tried = [(whole, True), *((horizons, False) for horizons in fewer)]
    fits = [each for each in tried if _width(scores_grid(table, each[0], costs=each[1])) <= _COLUMNS]
    horizons, costs = (fits or tried[-1:])[0]
    if room - heads < 2:
        return False, None
    lines = _best(table, room - heads)
    all_there = (len(lines), len(horizons)) == (len(table.lines), len(table.horizons)) and costs
    return all_there, scores_grid(replace(table, lines=lines), horizons, close=True, costs=costs)


def _width(grid: Table) -> int:
    return Console(width=10 * _COLUMNS).measure(grid).maximum


def _best(table: ScoreTable, most: int) -> tuple[Line, ...]:
    """The models with the lowest MAE at the longest horizon, in the table's order."""

    def error(line: Line) -> float:
        mean = line.cells[-1][table.metrics.index("mae")].mean
        return math.inf if math.isnan(mean) else mean

    kept = sorted(range(len(table.lines)), key=lambda place: error(table.lines[place]))[:most]
    return tuple(table.lines[place] for place in sorted(kept))


def _legend(results: Results, table: ScoreTable) -> list[Text]:
    """What the marks in the table mean."""
    # A narrow table stars the MAE alone.
    wide = is_wide(table)
    shown = [table.metrics.index(metric) for metric in (table.metrics if wide else ("mae",))]
    starred = any(row[at].winner for line in table.lines for row in line.cells for at in shown)
    nobody = f"No model is best{'' if wide else ' in MAE'} by more than the noise."
    judged = any(cell.winner or cell.tied for line in table.lines for row in line.cells for cell in row)
    found = ["* best, by more than the noise (exploratory)" if starred else nobody] if judged else []
    found += [f"† {TARGET_ONLY}"] if any(line.target_only for line in table.lines) else []
    return [Text(sentence, style="dim") for sentence in found]


def _said(results: Results) -> list[Statement]:
    return [statement for group in FINDINGS.headlines(results) if not group.folded for statement in group.statements]


def _warnings(results: Results) -> set[str]:
    return {each.text for each in _said(results) if each.warning}


def _told(results: Results, answer: str) -> list[Text]:
    """What was found beside the answer."""
    # No mark stands for the answer: a tick beside "worse" would be read as a yes.
    found = []
    for group in FINDINGS.headlines(results):
        for each in group.statements if not group.folded else ():
            text = f"Exploratory: {each.text}" if group.exploratory else each.text
            if answer not in (each.text, text):
                found.append(Text(f"! {text}", style="yellow") if each.warning else Text(f"• {text}"))
    if not any(family != "baseline" for family in families(results).values()):
        failed = bool(results.failures)
        found.append(Text("No fit came to its end: these are baselines." if failed else "Only baselines were run."))
    return found
