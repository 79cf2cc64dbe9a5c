"""The comparison's report: one HTML file that opens anywhere."""

from __future__ import annotations

from pathlib import Path

from gnnkit.compare.report.page import page_of
from gnnkit.compare.report.scores import facts, headline, published_view, score_table
from gnnkit.compare.report.tables import SCORE_NAMES, TARGET_ONLY, families
from gnnkit.compare.results import Results
from gnnkit.report.html import render_page, section_view

__all__ = ["TEMPLATES", "render_html", "write_report"]

TEMPLATES = Path(__file__).parent / "templates"


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
    """The HTML document that `write_report` writes."""
    page, kinds = page_of(results), families(results)
    scores = [score for score in SCORE_NAMES if score in set(results.rows["score"])]
    return render_page(
        TEMPLATES / "report.html.j2",
        kinds,
        headline=headline(results),
        data=results.data,
        facts=facts(results),
        verdict=section_view(page.verdict, results, kinds),
        main_tables=[score_table(results, score) for score in scores],
        more_tables=[score_table(results, score, ("accuracy", "r2", "var")) for score in scores],
        unit=results.data.unit,
        target_only=TARGET_ONLY,
        evidence=[section_view(section, results, kinds) for section in page.evidence],
        figures=section_view(page.figures, results, kinds),
        checks=[section_view(section, results, kinds) for section in page.checks],
        published=published_view(results),
        closing=[section_view(section, results, kinds) for section in page.closing],
    )
