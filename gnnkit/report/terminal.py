"""Tables and sentences on a terminal, at most 100 columns wide."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["say", "terminal_table"]

WIDTH = 100
WORDS_WIDTH = 18
"""Characters after which a column of words is cut."""


def terminal_table(heads: Sequence[str], words: Collection[int] = (0,)) -> Table:
    """An empty table: a rule below the heads, one blank between columns.

    Args:
        heads: Heads of the columns; a line end in one makes two lines.
        words: Columns that hold words and stand at the left; they are cut after 18 characters. Default: the first.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for at, head in enumerate(heads):
        if at in words:
            table.add_column(head, no_wrap=True, max_width=WORDS_WIDTH, overflow="ellipsis")
        else:
            table.add_column(head, justify="right", no_wrap=True)
    return table


def say(console: Console, text: str | Text, style: str = "") -> None:
    """Print a sentence, wrapped to the width; nothing in it is taken for markup.

    Args:
        console: Where to print.
        text: The sentence.
        style: Of rich, e.g. "dim".
    """
    console.print(Text(text, style=style) if isinstance(text, str) else text, width=min(console.width, WIDTH))
