"""What a finding is: one thing that a comparison finds, keeps, shows and explains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar, cast, get_args

from pydantic import TypeAdapter

from gnnkit.compare.evidence import Evidence
from gnnkit.compare.results import Results
from gnnkit.report.sections import Section, Statement

__all__ = ["OMITTED", "Finding", "Findings", "Headline"]

T = TypeVar("T")


@dataclass(frozen=True)
class Headline:
    """What a reader is told at the head of each report.

    Args:
        title: over the sentences; without one they are what must be known before all else.
        statements: the sentences.
        folded: True: a page that can fold them does, and what cannot leaves them out.
        exploratory: True: not among the questions that were fixed before training, which is said wherever they stand.
    """

    title: str
    statements: list[Statement]
    folded: bool = False
    exploratory: bool = False

    @property
    def head(self) -> str:
        """The title, and whether what follows is exploratory."""
        return (
            f"Exploratory: {self.title[0].lower()}{self.title[1:]}" if self.exploratory and self.title else self.title
        )


OMITTED = {"omit": True}
"""Metadata of a row's field that is None for most rows, and is not written then."""


@dataclass(frozen=True)
class Finding(Generic[T]):
    """One thing that a comparison finds.

    A module of this room holds one: the rows as frozen dataclasses, and how they are found, shown and explained. It is
    one of a comparison once it stands in `FINDINGS`. In `results.json` its rows stand under its name.

    Args:
        name: of its rows, in `Results.findings` and in `results.json`.
        kind: of what is found: `list[Row]`, or `Record | None`.
        find: evidence → rows; an empty list, or None, where there is nothing to say.
        show: results and what was found → its part of the report; None where there is none.
        tell: the same → what a reader is told first, at the head of each report.
        method: how it was found, in sentences with their sources, for any results or for these.
        after_figures: True: its section stands behind the figures, with the checks (default False).
        in_paper: True: the table that its section shows first is among those for a paper (default False).
        older: JSON values of results that were judged by the older rules → those of today.

    Example:
        >>> import gnnkit.compare.findings as findings
        >>> [finding.name for finding in findings.FINDINGS][:3]
        ['neighbours', 'significance', 'ranks']
    """

    name: str
    kind: Any
    find: Callable[[Evidence], T]
    show: Callable[[Results, Any], Section | None] = lambda results, found: None
    tell: Callable[[Results, Any], list[Headline]] = lambda results, found: []
    method: str | Callable[[Results], str] = ""
    after_figures: bool = False
    in_paper: bool = False
    older: Callable[[Any], Any] = lambda value: value

    def judge(self, evidence: Evidence) -> T:
        """What is found from the evidence; found once, whoever asks."""
        if self.name not in evidence.found:
            evidence.found[self.name] = self.find(evidence)
        return evidence.found[self.name]

    def of(self, results: Results) -> T:
        """What was found, as typed rows, of results that were just found or that were loaded.

        Raises:
            ValueError: `results.json` has something else under this name.
        """
        found: Any = results.findings.get(self.name)
        if not found:  # nothing: [] for rows, {} for a record; or results of a gnnkit that did not know of it
            found = None if type(None) in get_args(self.kind) else []
        elif isinstance(found, dict) or (isinstance(found, list) and isinstance(found[0], dict)):
            found = self._reader.validate_python(self.older(found) if results.by_older_rules else found)
            results.findings[self.name] = found
        return cast(T, found)

    def section(self, results: Results) -> Section | None:
        """Its part of the report; None where nothing was found."""
        found = self.of(results)
        return self.show(results, found) if found else None

    def headlines(self, results: Results) -> list[Headline]:
        """What a reader is told first."""
        return [each for each in self.tell(results, self.of(results)) if each.statements]

    def methods(self, results: Results) -> str:
        """How it was found; empty where nothing was."""
        if not self.of(results):
            return ""
        return self.method if isinstance(self.method, str) else self.method(results)

    @cached_property
    def _reader(self) -> TypeAdapter[T]:
        return TypeAdapter(self.kind)


class Findings(list[Finding[Any]]):
    """Findings in the order of the report; one that is appended is found, kept, shown in every report and explained."""

    def judge(self, evidence: Evidence) -> dict[str, Any]:
        """What all of them find, by name."""
        return {each.name: each.judge(evidence) for each in self}

    def headlines(self, results: Results) -> list[Headline]:
        """What a reader is told first: what must be known before all else, what was planned, what is exploratory."""
        told = [told for each in self for told in each.headlines(results)]
        return sorted(told, key=lambda told: (told.title != "", told.exploratory))

    def sections(self, results: Results, *, after_figures: bool | None = None) -> list[Section]:
        """The sections of a report: those behind the figures, or those before them; None: both."""
        chosen = [each for each in self if after_figures in (None, each.after_figures)]
        return [section for each in chosen if (section := each.section(results)) is not None]

    def methods(self, results: Results) -> list[str]:
        """How the numbers came about, in sentences with their sources."""
        return [sentence for each in self if (sentence := each.methods(results))]
