"""What a report says, apart from how it looks: sections of sentences, tables and drawings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from gnnkit.compare.report.tables import DASH
from gnnkit.compare.report.theme import HoverFigure
from gnnkit.compare.results import Results

__all__ = ["Drawing", "Entry", "Section", "Sheet", "Sheets", "Statement"]


@dataclass(frozen=True)
class Entry:
    """One cell of a table.

    Args:
        text: What is shown.
        value: What the column is sorted by; None: the text, or nothing where the text is a dash.
        mark: "good", "bad" or "" (neither).
    """

    text: str
    value: float | None = None
    mark: str = ""

    @property
    def key(self) -> str:
        """The value that the page's script sorts by; empty sorts last."""
        if self.value is not None and math.isfinite(self.value):
            return repr(float(self.value))
        return "" if self.text == DASH else self.text


@dataclass(frozen=True)
class Sheet:
    """One table.

    Args:
        caption: What it holds, with n.
        columns: Heads; the first `names` of them hold words, all others numbers.
        lines: One tuple of entries a line.
        names: Columns of words, which stand first.
        words: Columns of words that stand last.
    """

    caption: str
    columns: tuple[str, ...]
    lines: tuple[tuple[Entry, ...], ...]
    names: int = 1
    words: int = 0


@dataclass(frozen=True)
class Sheets:
    """Tables of one kind, of which a page shows one at a time.

    Args:
        title: What all of them are.
        choices: Label and table; the first is shown.
        folded: True: closed until a reader opens it.
        chosen: Number of the table that is shown first.
    """

    title: str
    choices: tuple[tuple[str, Sheet], ...]
    folded: bool = False
    chosen: int = 0


@dataclass(frozen=True)
class Statement:
    """A sentence.

    Args:
        text: The sentence.
        clear: True or False where it is a verdict: clear, or within noise; None where it is neither.
        sample: What it stands on, e.g. "n = 380 windows, 3 seeds".
            Left out where the sentence itself says it.
        warning: True: a reader must not miss it.
    """

    text: str
    clear: bool | None = None
    sample: str = ""
    warning: bool = False

    def __post_init__(self) -> None:
        if "n = " in self.text:
            object.__setattr__(self, "sample", "")


@dataclass(frozen=True)
class Drawing:
    """A figure that is drawn when the page is made.

    Args:
        name: Unique in the page; letters, digits and dashes.
        title: Its headline.
        caption: What is to be seen.
        draw: Makes the figure.
        size: "half" or "full": of the page's width.
        narrow: True for a full one that would be too wide for its content.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[Results], HoverFigure]
    size: str = "half"
    narrow: bool = False


@dataclass(frozen=True)
class Section:
    """One part of a report; parts that are empty leave no trace.

    Args:
        name: Its anchor.
        title: Its headline.
        statements: Sentences, first of all.
        drawings: Figures.
        sheets: Tables.
        notes: Sentences in small print at the end.
    """

    name: str
    title: str
    statements: tuple[Statement, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    sheets: tuple[Sheets, ...] = ()
    notes: tuple[str, ...] = field(default=())
