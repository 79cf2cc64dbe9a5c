"""What written text is worth, in numbers: loops, copies from the book, and words that there are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

__all__ = ["copied_share", "identical_share", "longest_copy", "loop_period", "word_list", "word_share"]

# Letters, with apostrophes between them: "don't" is one word.
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def loop_period(text: str, *, repeats: int = 3, least: int = 20) -> int | None:
    """The period of the loop that a text ends in: the smallest p such that its end repeats every p characters.

    Args:
        text: Long enough to have come into the loop.
        repeats: How often the period must stand there in full. Default 3.
        least: How many characters the loop must cover at least. Default 20: three blanks are no loop.

    Returns:
        The period in characters; None where the text ends in no loop.

    Example:
        >>> loop_period("I said" + " to the same time" * 4)
        17
    """
    for period in range(1, len(text) // repeats + 1):
        need = max(repeats * period, least)
        if need <= len(text) and text[-need:-period] == text[-need + period :]:
            return period
    return None


def longest_copy(sample: str, book: str) -> str:
    """The longest run of a sample that stands word for word in the book; the first, where several are as long.

    Example:
        >>> longest_copy("it was the same time then", "at the same time")
        ' the same time'
    """
    best, length = 0, 0
    for first in range(len(sample)):
        # Only a longer run is of interest: each failure moves on by a character, each success makes the run longer.
        while first + length < len(sample) and sample[first : first + length + 1] in book:
            best, length = first, length + 1
    return sample[best : best + length]


def copied_share(sample: str, book: str, *, size: int = 20) -> float:
    """The share of a sample's strings of `size` characters that stand in the book.

    Args:
        sample: At least `size` characters.
        book: What it may be copied from.
        size: Default 20.

    Raises:
        ValueError: The sample is shorter.
    """
    strings = [sample[first : first + size] for first in range(len(sample) - size + 1)]
    if not strings:
        raise ValueError(f"a sample of {len(sample)} characters has no string of {size}; write longer samples")
    # A loop repeats itself: each string is looked for once.
    return sum(count for string, count in Counter(strings).items() if string in book) / len(strings)


def word_list(text: str) -> set[str]:
    """The words of a text, in lower case."""
    return {word.lower() for word in _WORD.findall(text)}


def word_share(sample: str, words: set[str]) -> float | None:
    """The share of a sample's words that are in a list; a word that the sample's end may cut is left out.

    Args:
        sample: Any text.
        words: As `word_list` gives them.

    Returns:
        The share; None where the sample has no whole word.

    Example:
        >>> word_share("The same tmie agai", word_list("at the same time again"))
        0.6666666666666666
    """
    found = [match.group().lower() for match in _WORD.finditer(sample) if match.end() < len(sample)]
    return sum(word in words for word in found) / len(found) if found else None


def identical_share(texts: Sequence[str]) -> float:
    """The share of texts that are the same as at least one other.

    Example:
        >>> identical_share(["of the", "of the", "and he", "to the"])
        0.5
    """
    counts = Counter(texts)
    return sum(count for count in counts.values() if count > 1) / len(texts)
