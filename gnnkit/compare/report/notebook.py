"""The verdict and the scores as a piece of HTML, for the output of a notebook's cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gnnkit.compare.report.scores import Cell, facts, headline, score_table
from gnnkit.compare.report.tables import METRIC_NAMES, SCORE_NAMES, families, horizon_label, step_of
from gnnkit.compare.results import Results
from gnnkit.report.html import render_page
from gnnkit.report.numbers import decimals, format_number

__all__ = ["render_notebook"]

_TEMPLATE = Path(__file__).parent / "templates" / "notebook.html.j2"
_METRICS = ("mae", "rmse")


def render_notebook(results: Results, verdict: str) -> str:
    """A line of verdict and a table of MAE and RMSE, in the colours of the page that it stands on.

    Args:
        results: What a comparison found.
        verdict: The line.

    Returns:
        HTML without scripts or anything from elsewhere; its colours are those around it, dark or bright.
    """
    return render_page(
        _TEMPLATE,
        families(results),
        headline=headline(results),
        facts=facts(results),
        verdict=verdict,
        table=_table(results) if "averaged" in set(results.rows["score"]) else None,
        failures=results.failures,
    )


def _table(results: Results) -> dict[str, Any]:
    """What the template shows of the scores: titles, and a line a model."""
    table = score_table(results, "averaged", _METRICS)
    places = [decimals((row[at].mean for line in table.lines for row in line.cells), 4) for at in range(len(_METRICS))]
    labels = [horizon_label(horizon, step_of(results)) for horizon in table.horizons]
    return {
        "about": f"{results.data.unit or 'in the unit of the data'}, over {SCORE_NAMES['averaged']}",
        "heads": [f"{METRIC_NAMES[metric]}, {label}" for label in labels for metric in _METRICS],
        "lines": [
            (line, [_cell(cell, places[at]) for row in line.cells for at, cell in enumerate(row)])
            for line in table.lines
        ],
    }


def _cell(cell: Cell, places: int) -> dict[str, Any]:
    return {
        "mean": format_number(cell.mean, places),
        "std": None if cell.std is None else format_number(cell.std, places),
        "winner": cell.winner,
    }
