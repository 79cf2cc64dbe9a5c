"""What a comparison's report says, in its order: verdict, evidence, figures, checks, caveats and protocol."""

from __future__ import annotations

from typing import NamedTuple

from gnnkit.compare.findings import FINDINGS
from gnnkit.compare.report.figures import main_drawings
from gnnkit.compare.report.protocol import caveats, protocol, rerun_command, spec_text
from gnnkit.compare.results import Results
from gnnkit.report.sections import Section

__all__ = ["Page", "page_of", "verdict_section"]


class Page(NamedTuple):
    """The parts of a report; the scores stand behind the verdict."""

    verdict: Section
    evidence: list[Section]
    figures: Section
    checks: list[Section]
    closing: list[Section]


def page_of(results: Results) -> Page:
    """The parts for which the results have something.

    Args:
        results: What a comparison found.

    Raises:
        ValueError: The results have no rows.
    """
    if results.rows.empty:
        raise ValueError("results.rows is empty: there is nothing to report; run at least one model or baseline")
    figures = Section("figures", "Errors, training, forecasts", drawings=tuple(main_drawings(results)))
    before, behind = (FINDINGS.sections(results, after_figures=after) for after in (False, True))
    return Page(verdict_section(results), before, figures, behind, _closing(results))


def verdict_section(results: Results) -> Section:
    """What must be known before any number, then each verdict in words."""
    told = FINDINGS.headlines(results)
    first = tuple(statement for group in told if not group.title for statement in group.statements)
    parts = tuple(
        Section(f"verdict-{number}", group.head, tuple(group.statements), folded=group.folded)
        for number, group in enumerate(told)
        if group.title
    )
    return Section("verdict", "Verdict", first, parts=parts)


def _closing(results: Results) -> list[Section]:
    """Caveats, and how to make the same again."""
    parts = [
        Section("methods", "Methods", bullets=tuple(FINDINGS.methods(results))),
        Section("inferred", "Inferred about the data", bullets=tuple(results.inferred)),
        *(Section(title.lower(), title, facts=tuple(entries)) for title, entries in protocol(results)),
        Section("spec", "What was asked for", code=spec_text(results), language="toml"),
        Section("command", "Run it again", code=rerun_command(results)),
    ]
    filled = tuple(part for part in parts if part.bullets or part.facts or part.code)
    return [
        Section("caveats", "Caveats", bullets=tuple(caveats(results))),
        Section("protocol", "How this was made", parts=filled),
    ]
