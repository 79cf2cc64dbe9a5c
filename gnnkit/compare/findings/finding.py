"""What a finding is: one thing that a comparison finds, keeps, shows and explains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar, cast, get_args

from pydantic import TypeAdapter

from gnnkit.compare.evidence import Evidence
from gnnkit.compare.report.sections import Section, Statement
from gnnkit.compare.results import Results

__all__ = ["OMITTED", "Finding", "Headline"]

T = TypeVar("T")


@dataclass(frozen=True)
class Headline:
    """What a reader is told at the head of each report.

    Args:
        title: over the sentences; without one they are what must be known before all else.
        statements: the sentences.
        folded: True: a page that can fold them does, and what cannot leaves them out.
    """

    title: str
    statements: list[Statement]
    folded: bool = False


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
        section: results → its part of the report; None where there is none.
        headlines: results → what a reader is told first, at the head of each report.
        method: results → sentences on how it was found, with their sources.
        after_figures: True: its section stands behind the figures, with the checks (default False).
        in_paper: True: the table that its section shows first is among those for a paper (default False).
        older: JSON values of results that were judged by the older rules → those of today.

    Example:
        >>> import gnnkit.compare.findings as findings
        >>> [finding.name for finding in findings.FINDINGS][:3]
        ['significance', 'ranks', 'ablation']
    """

    name: str
    kind: Any
    find: Callable[[Evidence], T]
    section: Callable[[Results], Section | None] = lambda results: None
    headlines: Callable[[Results], list[Headline]] = lambda results: []
    method: Callable[[Results], list[str]] = lambda results: []
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

    @cached_property
    def _reader(self) -> TypeAdapter[T]:
        return TypeAdapter(self.kind)
