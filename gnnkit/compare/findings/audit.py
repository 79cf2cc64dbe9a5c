"""What the checks for leaks found before anything was trained."""

from __future__ import annotations

from dataclasses import dataclass

from gnnkit.compare.evidence import Evidence
from gnnkit.compare.findings.finding import Finding, Headline
from gnnkit.compare.results import Results
from gnnkit.report.sections import Entry, Section, Sheet, Sheets, Statement

__all__ = ["AUDIT", "Check"]

_MARKS = {"passed": "good", "allowed": "bad", "warning": "open"}


@dataclass(frozen=True)
class Check:
    """One check: what it looks for, "passed", "allowed" (a leak that may be there) or "warning", and what it found."""

    cause: str
    status: str
    detail: str


def _find(evidence: Evidence) -> list[Check]:
    return [Check(**found) for found in evidence.audit]


def _headlines(results: Results, checks: list[Check]) -> list[Headline]:
    """Leaks that were allowed, and warnings."""
    heads = {"allowed": "Leak ({}), allowed by name: ", "warning": "Warning ({}): "}
    texts = [f"{heads[c.status].format(c.cause)}{c.detail}" for c in checks if c.status in heads]
    said = [Statement(text if text.endswith("?") else text.rstrip(".") + ".", warning=True) for text in texts]
    return [Headline("", said)]


def _section(results: Results, checks: list[Check]) -> Section:
    lines = tuple(
        (Entry(check.cause), Entry(check.status, mark=_MARKS.get(check.status, "")), Entry(check.detail))
        for check in checks
    )
    (headline,) = _headlines(results, checks)
    nothing = (
        f"Nothing was found by the checks that were made: {', '.join(check.cause for check in checks)}. What each "
        "looked at stands beside it; how the values and the graph came about before gnnkit read them was not checked."
    )
    said = tuple(headline.statements) or (Statement(nothing),)
    sheet = Sheet("Made before anything was trained", ("check", "result", "what was found"), lines, words=2)
    return Section("audit", "Leakage audit", said, (), (Sheets("Audit", (("all", sheet),)),))


AUDIT = Finding("audit", list[Check], _find, show=_section, tell=_headlines, after_figures=True)
