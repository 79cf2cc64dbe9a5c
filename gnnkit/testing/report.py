"""What was found of a forecaster: a line for each check, and the table of them."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gnnkit.report.terminal import terminal_table

__all__ = ["Check", "CheckReport", "Found", "Outcome"]

Outcome = Literal["ok", "fault", "says", "not checked"]
_STYLES: dict[Outcome, str] = {"ok": "green", "fault": "bold red", "says": "cyan", "not checked": "yellow"}


class Found(NamedTuple):
    """What one check says of a model: how it ended, and what was seen."""

    outcome: Outcome
    seen: str


@dataclass(frozen=True)
class Check:
    """One line of a report.

    Args:
        name: What was checked.
        outcome: `"ok"`, `"fault"` (the model breaks the contract), `"says"` (worth knowing, and allowed) or
            `"not checked"` (another fault stands in the way).
        seen: What was seen, in a sentence.
    """

    name: str
    outcome: Outcome
    seen: str


@dataclass(frozen=True)
class CheckReport:
    """All lines of one forecaster; `str` of it is the table.

    Args:
        model: What the forecaster is called.
        checks: The lines, in the order in which they were made.

    Example:
        >>> report = CheckReport("mine", (Check("call", "ok", "It runs."), Check("gradients", "fault", "No gradient.")))
        >>> report.summary, report["gradients"].seen
        ('mine: 1 ok, 1 fault (gradients)', 'No gradient.')
    """

    model: str
    checks: tuple[Check, ...]

    def __getitem__(self, name: str) -> Check:
        """The line of a check.

        Raises:
            KeyError: There is no check of this name.
        """
        found = {check.name: check for check in self.checks}
        if name not in found:
            raise KeyError(f"there is no check {name!r}; choose from {', '.join(found)}")
        return found[name]

    @property
    def faults(self) -> tuple[Check, ...]:
        """The lines that say how the model breaks the contract."""
        return tuple(check for check in self.checks if check.outcome == "fault")

    @property
    def summary(self) -> str:
        """One line: how many lines ended how, and the names of the faults."""
        counts = Counter(check.outcome for check in self.checks)
        parts = []
        for outcome in _STYLES:
            if counts[outcome]:
                word = "faults" if outcome == "fault" and counts[outcome] > 1 else outcome
                names = f" ({', '.join(check.name for check in self.faults)})" if outcome == "fault" else ""
                parts.append(f"{counts[outcome]} {word}{names}")
        return f"{self.model}: {', '.join(parts)}"

    def table(self) -> Table:
        """The table for a terminal."""
        table = terminal_table(("check", "outcome"), words=(0, 1))
        table.add_column("what was seen", overflow="fold")
        for check in self.checks:
            table.add_row(check.name, Text(check.outcome, style=_STYLES[check.outcome]), Text(check.seen))
        return table

    def __str__(self) -> str:
        text = io.StringIO()
        console = Console(file=text, width=100, color_system=None)
        console.print(self.table())
        return "\n".join(line.rstrip() for line in [self.summary, *text.getvalue().splitlines()])
