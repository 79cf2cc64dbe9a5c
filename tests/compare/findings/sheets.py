"""What stands in the tables of a section."""

from typing import Any

from gnnkit.compare.findings import Finding
from gnnkit.compare.results import Results
from gnnkit.report.sections import Section, Sheet


def section_of(finding: Finding[Any], results: Results) -> Section:
    """The section of a finding that has one."""
    section = finding.section(results)
    assert section is not None
    return section


def sheet_of(section: Section, label: str) -> Sheet:
    """A table of the first kind, by its label."""
    return dict(section.sheets[0].choices)[label]


def line_of(sheet: Sheet, *names: str) -> dict[str, str]:
    """The line that begins with some words, as text by column."""
    line = next(line for line in sheet.lines if tuple(entry.text for entry in line[: len(names)]) == names)
    return dict(zip(sheet.columns, (entry.text for entry in line), strict=True))
