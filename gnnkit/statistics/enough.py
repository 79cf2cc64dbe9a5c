"""How many test windows a verdict needs: below that there are scores, and nothing that is said of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["fewest_spans", "is_enough", "separate_spans", "windows_needed"]


def fewest_spans(confidence: float) -> int:
    """The least n for which 2 / 2ⁿ ≤ 1 − confidence: spans of which a model must win every one to stand out by chance.

    A model that is as good as another wins all of n independent spans, or loses all of them, with the probability
    2 / 2ⁿ. Below this n no result whatever is rarer than 1 − confidence without an assumption on how errors are spread.

    Args:
        confidence: of the intervals of differences, inside (0, 1).

    Source:
        The sign test: Dixon and Mood, "The statistical sign test", 1946.

    Example:
        >>> fewest_spans(0.95), fewest_spans(0.99)
        (6, 8)
    """
    return math.ceil(1 - math.log2(1 - confidence) - 1e-9)


def separate_spans(counts: Sequence[float], horizon: int) -> int:
    """Test windows with an observed target of which no two share a target row.

    Args:
        counts: observed targets of each window, in order of time.
        horizon: P; windows fewer than P apart share a target row.

    Example:
        >>> separate_spans([1] * 7, 3), separate_spans([1, 0, 0, 0, 0, 1], 3), separate_spans([0, 0], 1)
        (3, 2, 0)
    """
    found, free = 0, 0
    for window, count in enumerate(counts):
        if count > 0 and window >= free:
            found, free = found + 1, window + horizon
    return found


def is_enough(counts: Sequence[float], horizon: int, confidence: float) -> bool:
    """Whether the windows hold `fewest_spans` spans without a common target row."""
    return separate_spans(counts, horizon) >= fewest_spans(confidence)


def windows_needed(horizon: int, confidence: float) -> int:
    """Windows in a row, all observed, that are enough.

    Example:
        >>> windows_needed(12, 0.95)
        61
    """
    return (fewest_spans(confidence) - 1) * horizon + 1
