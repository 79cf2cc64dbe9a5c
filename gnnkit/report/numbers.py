"""Numbers as they are printed: as many decimals as say something, a true minus, a dash where there is none."""

from __future__ import annotations

import math
from collections.abc import Iterable

__all__ = ["DASH", "decimals", "format_number", "format_p", "in_digits", "signed"]

DASH = "–"
_MANY = 5
"""Decimals from which on a zero would hide a number."""


def decimals(values: Iterable[float], digits: int = 4) -> int:
    """Decimals that show `digits` digits of the smallest of some values that is not zero.

    Args:
        values: Numbers; NaN and zero are left out.
        digits: Digits wanted.

    Returns:
        0 to 6.

    Example:
        >>> decimals([3.06, 12.5]), decimals([0.0171]), decimals([1520.0]), decimals([math.nan])
        (3, 5, 0, 3)
    """
    sizes = [abs(value) for value in values if math.isfinite(value) and value != 0]
    if not sizes:
        return digits - 1
    return min(6, max(0, digits - 1 - math.floor(math.log10(min(sizes)))))


def format_number(value: float | None, places: int) -> str:
    """A number with fixed decimals and a true minus sign; a dash where there is none.

    What no decimal shows, though there are many, has a power of ten.

    Example:
        >>> format_number(1234.5, 1), format_number(7.98e-10, 6), format_number(0.0, 6), format_number(0.0004, 3)
        ('1,234.5', '8.0e−10', '0.000000', '0.000')
    """
    if value is None or not math.isfinite(value):
        return DASH
    return _fixed(value, f",.{places}f", "", places)


def _fixed(value: float, form: str, sign: str, places: int) -> str:
    text = f"{value:{form}}"
    if value and places >= _MANY and not text.strip("+-0."):
        text = f"{value:{sign}.1e}"
    return text.replace("-", "−")


def in_digits(value: float, digits: int, *, plus: bool = False) -> str:
    """A number in a sentence: so many digits that say something, and a power of ten only where it is very small.

    Example:
        >>> in_digits(310.2, 2), in_digits(-12345.6, 3), in_digits(0.0456, 2, plus=True), in_digits(3e-7, 2)
        ('310', '-12,300', '+0.046', '3e-07')
    """
    text = f"{value:{'+' if plus else ''}.{digits}g}"
    if "e+" not in text or not math.isfinite(value):
        return text
    return f"{float(text):{'+' if plus else ''},.0f}"


def signed(value: float | None, places: int) -> str:
    """A difference: fixed decimals with its sign, a true minus; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return DASH
    text = _fixed(value, f"+,.{places}f", "+", places)
    return text if text.strip("+−0.") else text[1:]  # nothing is left: a zero, which has no sign


def format_p(value: float | None) -> str:
    """A p value as papers print it; a dash where there is none.

    Example:
        >>> format_p(0.0312), format_p(0.00001), format_p(None)
        ('.031', '< .001', '–')
    """
    if value is None or not math.isfinite(value):
        return DASH
    if value < 0.001:
        return "< .001"
    return f"{value:.3f}".removeprefix("0")
