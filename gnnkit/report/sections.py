"""What a report says, apart from how it looks: sections of sentences, tables and drawings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from gnnkit.report.numbers import DASH

__all__ = ["Drawing", "Entry", "Picture", "Section", "Sheet", "Sheets", "Statement"]


@dataclass(frozen=True)
class Entry:
    """One cell of a table.

    Args:
        text: What is shown.
        value: What the column is sorted by; None: the text, or nothing where the text is a dash.
        mark: "good", "bad" or "" (neither).
        verbatim: True for text that is shown as it is, its line ends visible.
    """

    text: str
    value: float | None = None
    mark: str = ""
    verbatim: bool = False

    @property
    def key(self) -> str:
        """The value that the page's script sorts by; empty sorts last."""
        if self.value is not None and math.isfinite(self.value):
            return repr(float(self.value))
        return "" if self.text == DASH else self.text

    @property
    def shown(self) -> str:
        """The text, with its line ends visible where it is verbatim."""
        return self.text.replace("\n", "↵") if self.verbatim else self.text


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

    @property
    def shown(self) -> Sheet:
        """The table that is shown first."""
        return self.choices[self.chosen][1]


@dataclass(frozen=True)
class Statement:
    """A sentence.

    Args:
        text: The sentence.
        clear: True or False where it is a verdict: clear, or within noise; None where it is neither.
        sample: What it stands on, e.g. "n = 380 windows, 3 seeds".
            Left out where the sentence itself says it.
        warning: True: a reader must not miss it.
        label: A word or two that stand before it, e.g. "15 min".
    """

    text: str
    clear: bool | None = None
    sample: str = ""
    warning: bool = False
    label: str = ""

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
        draw: Makes the figure from what the report is drawn from.
        size: "half" or "full": of the page's width.
        narrow: True for a full one that would be too wide for its content.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[Any], Figure]
    size: str = "half"
    narrow: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture that is a file beside the page.

    Args:
        name: Of the file, as the page's Markdown names it.
        label: What a screen reader says.
        folder: Where the file is; the HTML page holds what is in it.
    """

    name: str
    label: str
    folder: Path


@dataclass(frozen=True)
class Section:
    """One part of a report; whatever is empty leaves no trace.

    Args:
        name: Its anchor.
        title: Its headline.
        statements: Sentences, first of all.
        drawings: Figures, in HTML alone.
        sheets: Tables.
        notes: Sentences in small print.
        pictures: Figures that are files.
        bullets: Sentences of a list.
        facts: Names and values.
        code: Text that is shown as it is, e.g. a command.
        language: Of `code`.
        parts: Smaller sections inside, last of all.
        folded: For a part: closed until a reader opens it.
    """

    name: str
    title: str
    statements: tuple[Statement, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    sheets: tuple[Sheets, ...] = ()
    notes: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    bullets: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    code: str = ""
    language: str = ""
    parts: tuple[Section, ...] = ()
    folded: bool = False
