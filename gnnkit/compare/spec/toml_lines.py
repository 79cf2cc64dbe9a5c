"""Where each key of a TOML document stands: Python's reader gives values without their lines."""

from __future__ import annotations

import re
import tomllib

__all__ = ["key_lines"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}' + r"|'''.*?'{3,5}" + r'|"(?:[^"\\\n]|\\.)*"' + r"|'[^'\n]*'", re.DOTALL
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


def key_lines(text: str) -> dict[tuple[str | int, ...], int]:
    """The line of every key, table and list item of a TOML document.

    Args:
        text: a document that `tomllib.loads` accepts.

    Returns:
        Path → line, counted from 1. A path has the names of tables and keys, and the numbers of list items.

    Example:
        >>> key_lines("seeds = [\\n  1,\\n  2,\\n]\\n[settings.gru]\\ndropout = 0.1\\n")[("seeds", 1)]
        3
    """
    return _Reader(text).document()


class _Reader:
    """Walks over a document that is known to be right, and notes where its keys stand."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0
        self.lines: dict[tuple[str | int, ...], int] = {}

    def document(self) -> dict[tuple[str | int, ...], int]:
        table: tuple[str | int, ...] = ()
        counts: dict[tuple[str | int, ...], int] = {}
        self._skip()
        while self.place < len(self.text):
            if self.text[self.place] != "[":
                self._pair(table)
            else:
                start = self.place
                several = self.text.startswith("[[", start)
                self.place += 2 if several else 1
                table = self._key()
                self.place += 2 if several else 1
                if several:
                    counts[table] = counts.get(table, -1) + 1
                    table = (*table, counts[table])
                self._note(table, start)
            self._skip()
        return self.lines

    def _pair(self, table: tuple[str | int, ...]) -> None:
        start = self.place
        path = (*table, *self._key())
        self._note(path, start)
        self.place += 1  # the equals sign
        self._skip()
        self._value(path)

    def _key(self) -> tuple[str | int, ...]:
        """A key with its dots; the place is then behind it and the blanks after it."""
        parts: list[str | int] = []
        while True:
            self._skip()
            if string := _STRING.match(self.text, self.place):
                parts.append(tomllib.loads(f"key = {string[0]}")["key"])
                self.place = string.end()
            else:
                bare = _BARE.match(self.text, self.place)
                assert bare is not None, "key_lines: the document is not TOML"
                parts.append(bare[0])
                self.place = bare.end()
            self._skip()
            if not self.text.startswith(".", self.place):
                return tuple(parts)
            self.place += 1

    def _value(self, path: tuple[str | int, ...]) -> None:
        opening = self.text[self.place]
        if opening in "[{":
            self.place += 1
            self._skip()
            number = 0
            while self.text[self.place] not in "]}":
                if opening == "{":
                    self._pair(path)
                else:
                    self._note((*path, number), self.place)
                    self._value((*path, number))
                number += 1
                self._skip()
                if self.text[self.place] == ",":
                    self.place += 1
                    self._skip()
            self.place += 1
            return
        found = _STRING.match(self.text, self.place) or _SCALAR.match(self.text, self.place)
        assert found is not None, "key_lines: the document is not TOML"
        self.place = found.end()

    def _skip(self) -> None:
        blank = _BLANK.match(self.text, self.place)
        self.place = blank.end() if blank else self.place

    def _note(self, path: tuple[str | int, ...], place: int) -> None:
        line = self.text.count("\n", 0, place) + 1
        for length in range(1, len(path) + 1):  # a table that no line names stands where its first key does
            self.lines.setdefault(path[:length], line)
