"""What a search draws a setting from, in plain data: `(0.0, 0.5)`, `("log", 1e-4, 1e-2)` or `("choice", 8, 16)`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Choice", "Interval", "read_range"]

_FORMS = '[low, high], ["log", low, high] or ["choice", one, other, …]'


@dataclass(frozen=True)
class Interval:
    """Numbers from `low` to `high`, both among them; whole ones where both are whole.

    Args:
        low, high: the ends.
        log: True: each factor is as likely as the next, in place of each difference.
    """

    low: float
    high: float
    log: bool = False

    @property
    def ends(self) -> tuple[Any, ...]:
        """What the model has to accept."""
        return (self.low, self.high)

    def holding(self, value: Any) -> Interval | None:
        """This one, made so wide that a value is in it; None where no such interval holds the value."""
        whole = all(_is_whole(end) for end in self.ends)
        if not (_is_whole(value) if whole else _is_number(value)) or (self.log and value <= 0):
            return None
        value = value if whole else float(value)
        return Interval(min(self.low, value), max(self.high, value), self.log)


@dataclass(frozen=True)
class Choice:
    """Values, each as likely as the next.

    Args:
        values: two or more texts, numbers or truth values.
    """

    values: tuple[Any, ...]

    @property
    def ends(self) -> tuple[Any, ...]:
        """What the model has to accept."""
        return self.values

    def holding(self, value: Any) -> Choice | None:
        """This one with a value among its own; None where a value is no text, number or truth value."""
        if value in self.values:
            return self
        return Choice((value, *self.values)) if isinstance(value, (str, int, float)) else None


def read_range(declared: Any) -> Interval | Choice:
    """Read what a model, or a spec, says that a setting is drawn from.

    Args:
        declared: `(low, high)`; `("log", low, high)`, both above 0; or `("choice", one, other, …)`. A list will do.

    Raises:
        ValueError: it is none of these.

    Example:
        >>> read_range((1, 3)), read_range(["log", 1e-4, 1e-2])
        (Interval(low=1, high=3, log=False), Interval(low=0.0001, high=0.01, log=True))
    """
    wrong = f"{declared!r} is no range; give {_FORMS}"
    if isinstance(declared, str) or not isinstance(declared, Sequence):
        raise ValueError(wrong)
    kind, *rest = declared if declared and isinstance(declared[0], str) else ("even", *declared)
    if kind == "choice":
        values = tuple(rest)
        if (
            len(values) < 2
            or len(set(values)) < len(values)
            or not all(isinstance(v, (str, int, float)) for v in values)
        ):
            raise ValueError(f"{declared!r} needs two or more different texts, numbers or truth values behind 'choice'")
        return Choice(values)
    if kind not in ("even", "log") or len(rest) != 2 or not all(map(_is_number, rest)):
        raise ValueError(wrong)
    low, high = rest
    if not low < high or (kind == "log" and low <= 0):
        least = "0 < low < high" if kind == "log" else "low < high"
        raise ValueError(f"{declared!r} is not allowed: give {least}")
    if not (_is_whole(low) and _is_whole(high)):
        low, high = float(low), float(high)
    return Interval(low, high, kind == "log")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
