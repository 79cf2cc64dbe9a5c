"""All findings of a comparison, in the order of the report, and the walks over them."""

from __future__ import annotations

from typing import Any

from gnnkit.compare.findings.ablation import ABLATION
from gnnkit.compare.findings.audit import AUDIT
from gnnkit.compare.findings.budget import BUDGET
from gnnkit.compare.findings.conditions import CONDITIONS
from gnnkit.compare.findings.finding import Finding, Headline
from gnnkit.compare.findings.intervals import INTERVALS
from gnnkit.compare.findings.ranks import RANKS
from gnnkit.compare.findings.significance import SIGNIFICANCE
from gnnkit.compare.findings.verdicts import VERDICTS
from gnnkit.compare.findings.where import WHERE
from gnnkit.compare.report.sections import Section
from gnnkit.compare.results import Results

__all__ = ["FINDINGS", "headlines", "sections"]

FINDINGS: list[Finding[Any]] = [
    *(SIGNIFICANCE, RANKS, ABLATION, VERDICTS, CONDITIONS, WHERE),
    *(INTERVALS, BUDGET, AUDIT),
]
"""All findings. One that is added here is found, kept in `results.json`, shown in every report and explained."""


def headlines(results: Results) -> list[Headline]:
    """What a reader is told first: what must be known before all else, then the rest by its title."""
    found = [each for finding in FINDINGS for each in finding.headlines(results) if each.statements]
    return sorted(found, key=lambda each: each.title != "")


def sections(results: Results, *, after_figures: bool | None = None) -> list[Section]:
    """The sections of a report.

    Args:
        results: what a comparison found.
        after_figures: those behind the figures, or those before them; None: both.
    """
    chosen = [finding for finding in FINDINGS if after_figures in (None, finding.after_figures)]
    return [section for finding in chosen if (section := finding.section(results)) is not None]
