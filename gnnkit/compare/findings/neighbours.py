"""The quick look: do neighbours' values help ridge regression, and is anything left that they could explain?"""

from __future__ import annotations

from dataclasses import replace

from gnnkit.compare.evidence import Evidence, has_graph
from gnnkit.compare.findings.finding import Finding
from gnnkit.compare.neighbours.fits import MOST_BYTES, WITH, WITHOUT, fit_ridges, memory_of, too_large
from gnnkit.compare.neighbours.judged import judge_neighbours
from gnnkit.compare.neighbours.record import Neighbours
from gnnkit.compare.neighbours.section import METHOD, neighbours_section
from gnnkit.compare.report.tables import families, step_of
from gnnkit.compare.results import Results
from gnnkit.report.sections import Section

__all__ = ["NEIGHBOURS"]


def _find(evidence: Evidence) -> Neighbours | None:
    """Made of the series, on the windows of the comparison; nothing where nothing is trained, there is no graph, or it
    is not asked for.

    Finished fits of the two models are taken as they are, and the others are fitted.
    """
    spec, series = evidence.spec, evidence.series
    if not spec.quick_look or not evidence.jobs or not has_graph(series):
        return None
    needed = memory_of(spec, series)
    if needed > MOST_BYTES:
        text = f"The quick look was left out: {too_large(series, needed)}."
        return Neighbours(kind="left-out", sentence=text, answers=[], gains=[])
    return judge_neighbours(fit_ridges(spec, series, known=evidence.stored))


_APART = (
    "These tests are corrected together, apart from the planned questions; so p and interval of ridge-graph against "
    "ridge may differ from those among the verdicts, and where only one of them is clear, the planned one counts."
)


def _section(results: Results, found: Neighbours) -> Section:
    if found.answers and {WITHOUT, WITH} <= set(families(results)):
        found = replace(found, notes=[*found.notes, _APART])
    return neighbours_section(found, unit=results.data.unit, step=step_of(results), confidence=results.confidence)


NEIGHBOURS: Finding[Neighbours | None] = Finding("neighbours", Neighbours | None, _find, show=_section, method=METHOD)
