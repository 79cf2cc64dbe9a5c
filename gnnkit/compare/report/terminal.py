"""The comparison's table on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gnnkit.compare.findings import FINDINGS
from gnnkit.compare.report.scores import Cell, Line, ScoreTable, score_table
from gnnkit.compare.report.tables import TARGET_ONLY, families
from gnnkit.compare.results import Results
from gnnkit.report.numbers import decimals, format_number
from gnnkit.report.terminal import WORDS_WIDTH, say, terminal_table

__all__ = ["render_terminal"]

_WIDE_HORIZONS = 2  # up to here MAPE has room
_PER_TABLE = 4


def render_terminal(results: Results, console: Console) -> None:
    """Print what was inferred, the averaged scores, the winners and the verdicts within 100 columns.

    One or two horizons are shown with MAE, RMSE and MAPE; more of them as "MAE ± deviation / RMSE", four to a table.

    Args:
        results: What a comparison found.
        console: Where to print.

    Raises:
        ValueError: The results have no rows of averaged scores.
    """
    table = score_table(results, "averaged")
    unit = f" ({results.data.unit})" if results.data.unit else ""
    wide = len(table.horizons) <= _WIDE_HORIZONS
    shape = "MAE, RMSE" + unit + ", MAPE (%)" if wide else f"MAE ± deviation / RMSE{unit}"
    for sentence in results.inferred:
        say(console, sentence, "dim")
    say(console, f"{results.data.name}: {shape}, averaged over all steps up to the horizon", "bold")
    step = len(table.horizons) if wide else _PER_TABLE
    for first in range(0, len(table.horizons), step):
        console.print(_rich_table(table, range(first, min(first + step, len(table.horizons))), wide))
    for sentence, style in _sentences(results, table):
        say(console, sentence, style)


def _rich_table(table: ScoreTable, horizons: range, wide: bool) -> Table:
    heads = ["model"]
    for at in horizons:
        for number, name in enumerate(table.metric_names if wide else ("",)):
            head = table.labels[at] if number == 0 else ""
            heads.append(f"{head}\n{name}" if wide else head)
    grid = terminal_table([*heads, *(("\nparams", "\ns/epoch") if wide else ("params", "s/ep"))])
    if any(line.target_only for line in table.lines):
        grid.columns[0].max_width = WORDS_WIDTH + len(_MARK)
    places = {metric: max(0, places - 1) for metric, places in table.places.items()}
    for index, line in enumerate(table.lines):
        cells = [text for at in horizons for text in _cells(table, line, at, places, wide)]
        following = table.lines[index + 1].family if index + 1 < len(table.lines) else line.family
        style = "dim" if line.family == "baseline" else ""
        seconds = line.epoch_seconds
        speed = format_number(seconds, decimals([seconds], 2) if seconds else 0)
        grid.add_row(
            Text(_shown(line.model) + (_MARK if line.target_only else "")),
            *cells,
            _count(line.parameters),
            speed,
            style=style,
            end_section=following != line.family,
        )
    return grid


_MARK = " †"
"""Behind the name of a model that sees no covariate."""


def _shown(model: str) -> str:
    """A name as long as the column: of a place, path/to/file.py:Class, the end tells the models apart."""
    return f"…{model[1 - WORDS_WIDTH :]}" if ":" in model and len(model) > WORDS_WIDTH else model


def _cells(table: ScoreTable, line: Line, at: int, places: dict[str, int], wide: bool) -> list[Text]:
    if wide:
        return [_score(cell, places[metric]) for metric, cell in zip(table.metrics, line.cells[at], strict=True)]
    cell = dict(zip(table.metrics, line.cells[at], strict=True))
    rmse = format_number(cell["rmse"].mean, places["rmse"])
    return [Text.assemble(_score(cell["mae"], places["mae"]), "/", (rmse, "bold green" if cell["rmse"].winner else ""))]


def _score(cell: Cell, places: int) -> Text:
    text = Text("*" if cell.winner else "", style="bold green" if cell.winner else "")
    text.append(format_number(cell.mean, places), style="bold green" if cell.winner else "")
    if cell.std is not None:
        # ".012" and not "0.012": the zero is worth a column.
        text.append("±" + format_number(cell.std, places).replace("0.", ".", 1), style="dim")
    return text


def _count(parameters: int | None) -> str:
    if parameters is None:
        return format_number(None, 0)
    if parameters < 10_000:
        return str(parameters)
    return f"{parameters / 1000:.0f}k" if parameters < 10_000_000 else f"{parameters / 1e6:.0f}M"


def _sentences(results: Results, table: ScoreTable) -> list[tuple[str, str]]:
    wide = len(table.horizons) <= _WIDE_HORIZONS
    # A narrow table stars the MAE alone.
    shown = [table.metrics.index(metric) for metric in (table.metrics if wide else ("mae",))]
    starred = any(row[at].winner for line in table.lines for row in line.cells for at in shown)
    nobody = f"No model is best{'' if wide else ' in MAE'} by more than the noise."
    legend = "* best, by more than the noise (exploratory)" if starred else nobody
    judged = any(cell.winner or cell.tied for line in table.lines for row in line.cells for cell in row)
    sentences = [(legend, "dim")] if judged else []
    sentences += [(f"† {TARGET_ONLY}", "dim")] if any(line.target_only for line in table.lines) else []
    # No mark stands for the answer: a tick beside "worse" would be read as a yes.
    for group in FINDINGS.headlines(results):
        for each in group.statements if not group.folded else ():
            text = f"Exploratory: {each.text}" if group.exploratory else each.text
            sentences.append((f"! {text}", "yellow") if each.warning else (f"• {text}", ""))
    if not any(family != "baseline" for family in families(results).values()):
        failed = bool(results.failures)
        sentences.append(("No fit came to its end: these are baselines." if failed else "Only baselines were run.", ""))
    return sentences
