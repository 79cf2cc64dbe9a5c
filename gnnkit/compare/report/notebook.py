"""The verdict and the scores as a piece of HTML, for the output of a notebook's cell."""

from __future__ import annotations

from pathlib import Path

from gnnkit.compare.report.scores import facts, headline, score_table, table_view
from gnnkit.compare.report.tables import families, step_of
from gnnkit.compare.results import Results
from gnnkit.report.html import render_page

__all__ = ["render_notebook"]

_TEMPLATE = Path(__file__).parent / "templates" / "notebook.html.j2"


def render_notebook(results: Results, verdict: str) -> str:
    """A line of verdict and a table of MAE and RMSE, in the colours of the page that it stands on.

    Args:
        results: What a comparison found.
        verdict: The line.

    Returns:
        HTML without scripts or anything from elsewhere; its colours are those around it, dark or bright.
    """
    scored = "averaged" in set(results.rows["score"])
    tables = [table_view(score_table(results, "averaged", ("mae", "rmse")), step_of(results))] if scored else []
    return render_page(
        _TEMPLATE,
        families(results),
        headline=headline(results),
        data=results.data,
        facts=facts(results),
        verdict=verdict,
        tables=tables,
        failures=results.failures,
    )
