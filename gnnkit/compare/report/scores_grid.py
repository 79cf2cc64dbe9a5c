"""The scores of a comparison as a table on the terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from gnnkit.compare.report.scores import Cell, Line, ScoreTable
from gnnkit.report.numbers import decimals, format_number
from gnnkit.report.terminal import WORDS_WIDTH, terminal_table

__all__ = ["is_wide", "scores_grid"]

_WIDE_HORIZONS = 2  # up to here MAPE has room


def is_wide(table: ScoreTable) -> bool:
    """Whether each metric has a column of its own: up to two horizons."""
    return len(table.horizons) <= _WIDE_HORIZONS


def scores_grid(table: ScoreTable, horizons: range, *, close: bool = False, costs: bool = True) -> Table:
    """The scores at some horizons, a line a model: MAE, RMSE and MAPE, or more briefly where horizons are many.

    Args:
        table: Scores of all models.
        horizons: Places in the table's horizons.
        close: True leaves out the empty lines: above, below and between families (default False).
        costs: Whether parameters and seconds an epoch are shown (default True).
    """
    wide = is_wide(table)
    heads = ["model"]
    for at in horizons:
        for number, name in enumerate(table.metric_names if wide else ("",)):
            head = table.labels[at] if number == 0 else ""
            heads.append(f"{head}\n{name}" if wide else head)
    tail = () if not costs else ("\nparams", "\ns/epoch") if wide else ("params", "s/ep")
    grid = terminal_table([*heads, *tail])
    grid.show_edge = not close
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
            *((_count(line.parameters), speed) if costs else ()),
            style=style,
            end_section=following != line.family and not close,
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
