"""The comparison's report: one HTML file that opens anywhere."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gnnkit.compare.findings import FINDINGS
from gnnkit.compare.report.figures import draw_all, main_drawings
from gnnkit.compare.report.protocol import caveats, protocol, rerun_command, spec_text
from gnnkit.compare.report.scores import facts, headline, published_view, score_table, table_view
from gnnkit.compare.report.sections import Section
from gnnkit.compare.report.tables import (
    DASH,
    SCORE_NAMES,
    families,
    format_number,
    step_of,
)
from gnnkit.compare.report.theme import model_styles, theme_variables
from gnnkit.compare.results import Results

__all__ = ["page", "render_html", "write_report"]


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
    minutes = step_of(results)
    scores = [score for score in SCORE_NAMES if score in set(results.rows["score"])]
    shown = [
        [_view(results, section) for section in FINDINGS.sections(results, after_figures=after)]
        for after in (False, True)
    ]
    return page(
        "report.html.j2",
        families(results),
        headline=headline(results),
        data=results.data,
        facts=facts(results),
        headlines=FINDINGS.headlines(results),
        main_tables=[table_view(score_table(results, score), minutes) for score in scores],
        more_tables=[table_view(score_table(results, score, ("accuracy", "r2", "var")), minutes) for score in scores],
        unit=results.data.unit,
        figures=draw_all(results, main_drawings(results)),
        evidence=shown[0],
        checks=shown[1],
        published=published_view(results),
        inferred=results.inferred,
        methods=FINDINGS.methods(results),
        protocol=protocol(results),
        spec=spec_text(results),
        command=rerun_command(results),
        caveats=caveats(results),
    )


def page(template: str, kinds: dict[str, str], **content: Any) -> str:
    """A whole page in the report's look.

    Args:
        template: A file of the package's templates.
        kinds: Family by model, for the models' colours.
        **content: What the template asks for.

    Returns:
        The HTML document.
    """
    styles = model_styles(kinds)
    return (
        _templates()
        .get_template(template)
        .render(
            styles=styles,
            families=kinds,
            light=Markup(theme_variables(styles, dark=False)),
            dark=Markup(theme_variables(styles, dark=True)),
            dash=DASH,
            **content,
        )
    )


def _view(results: Results, section: Section) -> dict[str, Any]:
    return {"section": section, "figures": draw_all(results, section.drawings)}


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(number=format_number)
    return environment
