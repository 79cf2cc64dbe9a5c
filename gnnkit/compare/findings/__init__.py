"""What a comparison finds: each module holds one finding, and `FINDINGS` is all of them."""

from gnnkit.compare.findings.ablation import ABLATION
from gnnkit.compare.findings.audit import AUDIT
from gnnkit.compare.findings.budget import BUDGET
from gnnkit.compare.findings.conditions import CONDITIONS
from gnnkit.compare.findings.finding import Finding, Findings, Headline
from gnnkit.compare.findings.intervals import INTERVALS
from gnnkit.compare.findings.neighbours import NEIGHBOURS
from gnnkit.compare.findings.ranks import RANKS
from gnnkit.compare.findings.significance import SIGNIFICANCE
from gnnkit.compare.findings.variance import VARIANCE
from gnnkit.compare.findings.verdicts import VERDICTS
from gnnkit.compare.findings.where import WHERE

__all__ = [
    "ABLATION",
    "AUDIT",
    "BUDGET",
    "CONDITIONS",
    "FINDINGS",
    "INTERVALS",
    "NEIGHBOURS",
    "RANKS",
    "SIGNIFICANCE",
    "VARIANCE",
    "VERDICTS",
    "WHERE",
    "Finding",
    "Findings",
    "Headline",
]

FINDINGS = Findings(
    [NEIGHBOURS, SIGNIFICANCE, RANKS, ABLATION, VERDICTS, CONDITIONS, WHERE, VARIANCE, INTERVALS, BUDGET, AUDIT]
)
"""All findings of a comparison, in the order of the report."""
