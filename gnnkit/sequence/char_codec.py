"""Characters as numbers: the vocabulary of a text, and the way there and back."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

__all__ = ["CharCodec"]

# Characters that are turned into numbers at once: their code points take four bytes each, and no more are held.
_CHUNK = 1 << 20


class CharCodec:
    """The vocabulary of a text: character i is the i-th of `characters`, in the order of their code points.

    A text is looked up in a table of code points, a million characters at a time: no Python object is made per
    character.

    Args:
        characters: The vocabulary, each character once, sorted; `CharCodec.from_text` finds it.

    Raises:
        ValueError: The vocabulary is empty, unsorted, or names a character twice.

    Example:
        >>> codec = CharCodec.from_text("the same time")
        >>> codec.characters
        ' aehimst'
        >>> codec.encode("time").tolist()
        [7, 4, 5, 2]
        >>> codec.decode(codec.encode("time"))
        'time'
    """

    def __init__(self, characters: str) -> None:
        if not characters:
            raise ValueError("characters is empty; give the text that is to be written to CharCodec.from_text")
        if list(characters) != sorted(set(characters)):
            raise ValueError(f"characters must be sorted, each once, got {characters[:20]!r}; use CharCodec.from_text")
        self.characters = characters
        self._points = _code_points(characters)

    @classmethod
    def from_text(cls, text: str) -> CharCodec:
        """The vocabulary of a text.

        Raises:
            ValueError: The text is empty.
        """
        if not text:
            raise ValueError("text is empty: it has no characters to learn")
        seen = np.zeros(sys.maxunicode + 1, dtype=bool)
        for first in range(0, len(text), _CHUNK):
            seen[_code_points(text[first : first + _CHUNK])] = True
        return cls(_text(np.flatnonzero(seen)))

    def __len__(self) -> int:
        return len(self.characters)

    def __contains__(self, character: object) -> bool:
        return isinstance(character, str) and len(character) == 1 and character in self.characters

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CharCodec) and self.characters == other.characters

    def __hash__(self) -> int:
        return hash(self.characters)

    def encode(self, text: str, *, replacement: str | None = None) -> Int[Tensor, " T"]:
        """The numbers of a text's characters.

        Args:
            text: Any text, also an empty one.
            replacement: A character of the vocabulary that takes the place of unknown ones. Default None: they are an
                error.

        Returns:
            Whole numbers in as few bytes as the vocabulary needs: uint8 up to 256 characters, then int16 or int32.

        Raises:
            ValueError: A character is unknown (the message shows it and its place), or `replacement` is not one
                character of the vocabulary.
        """
        if replacement is not None and replacement not in self:
            raise ValueError(f"replacement must be one character that the model knows, got {replacement!r}")
        table = np.full(sys.maxunicode + 1, -1, dtype=np.int32)
        table[self._points] = np.arange(len(self))
        tokens = np.empty(len(text), dtype=self._dtype())
        for first in range(0, len(text), _CHUNK):
            chunk = table[_code_points(text[first : first + _CHUNK])]
            unknown = chunk < 0
            if unknown.any():
                if replacement is None:
                    raise self._unknown(text, first + int(unknown.argmax()))
                chunk[unknown] = self.characters.index(replacement)
            tokens[first : first + len(chunk)] = chunk
        return torch.from_numpy(tokens)

    def decode(self, tokens: Int[Tensor, " T"]) -> str:
        """The text that numbers stand for.

        Raises:
            ValueError: A number is outside the vocabulary, or `tokens` is not a vector.
        """
        numbers = tokens.cpu().numpy()
        if numbers.ndim != 1:
            raise ValueError(f"tokens must be a vector of character numbers, got shape {list(tokens.shape)}")
        if numbers.size and not 0 <= int(numbers.min()) <= int(numbers.max()) < len(self):
            raise ValueError(f"tokens must be from 0 to {len(self) - 1}, got {int(numbers.min())} ... {numbers.max()}")
        return _text(self._points[numbers])

    def __repr__(self) -> str:
        return f"CharCodec({self.characters!r})"

    def _dtype(self) -> Any:
        return np.uint8 if len(self) <= 2**8 else np.int16 if len(self) <= 2**15 else np.int32

    def _unknown(self, text: str, place: int) -> ValueError:
        line = text.count("\n", 0, place) + 1
        column = place - text.rfind("\n", 0, place)
        return ValueError(
            f"character {text[place]!r} (U+{ord(text[place]):04X}) at place {place + 1} (line {line}, column {column}) "
            f"is not among the {len(self)} that the model knows; leave it out, or name a replacement"
        )


def _code_points(text: str) -> np.ndarray:
    # Lone surrogates are no characters of any file, but a string can hold them: they are looked up like the rest.
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _text(points: np.ndarray) -> str:
    return points.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
