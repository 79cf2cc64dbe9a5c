"""Where each key of a TOML document stands: Python's reader gives values without their lines."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from itertools import product
from typing import Any

__all__ = ["key_lines"]

# What a document that is cut off behind a line may lack: the end of a text, and of lists and tables in each other.
_ENDINGS = [
    quotes + "".join(brackets)
    for quotes in ("", '"""', "'''")
    for depth in range(5)
    for brackets in product("]}", repeat=depth)
]


def key_lines(text: str) -> dict[tuple[str | int, ...], int]:
    """The line of every key, table and list item of a TOML document: the first line with which it is there.

    Args:
        text: a document that `tomllib.loads` accepts.

    Returns:
        Path → line, counted from 1. A path has the names of tables and keys, and the numbers of list items.

    Example:
        >>> key_lines("seeds = [\\n  1,\\n  2,\\n]\\n[settings.gru]\\ndropout = 0.1\\n")[("seeds", 1)]
        3
    """
    found: dict[tuple[str | int, ...], int] = {}
    lines = text.split("\n")
    for number in range(1, len(lines) + 1):
        head = "\n".join(lines[:number])
        for ending in _ENDINGS:
            try:
                document = tomllib.loads(f"{head}\n{ending}")
            except tomllib.TOMLDecodeError:
                continue
            for path in _paths(document):
                found.setdefault(path, number)
            break
    return found


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from _paths(item, (*path, key))
