"""Conformal quantiles, their levels, and the score of a predictive distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

__all__ = ["conformal_margin", "conformal_offsets", "crps_from_pinball", "interval_bounds", "interval_levels"]


def interval_levels(coverage: float) -> tuple[float, ...]:
    """The levels of every predictive distribution: .05, .1, .2 … .9, .95, and the bounds of the interval.

    Args:
        coverage: nominal coverage of the interval, inside (0, 1).

    Returns:
        The levels, rising; the .5 is among them, as quantile heads need it.

    Raises:
        ValueError: the coverage is not inside (0, 1).

    Example:
        >>> interval_levels(0.8)
        (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    """
    return tuple(sorted({0.05, *(k / 10 for k in range(1, 10)), 0.95, *interval_bounds(coverage)}))


def interval_bounds(coverage: float) -> tuple[float, float]:
    """The levels α / 2 and 1 − α / 2 of the interval with a coverage of 1 − α.

    Raises:
        ValueError: the coverage is not inside (0, 1).

    Example:
        >>> interval_bounds(0.9)
        (0.05, 0.95)
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage is {coverage}; give a share inside (0, 1), such as 0.9")
    low = round((1 - coverage) / 2, 12)
    return low, round(1 - low, 12)


def conformal_offsets(residuals: Float[np.ndarray, " n"], levels: Sequence[float]) -> Float[np.ndarray, " L"]:
    """Quantiles of residuals with the correction for their finite number; infinite where there are too few.

    Args:
        residuals: of the calibration, n of them, in any order.
        levels: inside (0, 1).

    Returns:
        The ⌊τ (n + 1)⌋-th smallest for τ below .5 (−∞ where that is the 0-th), the ⌈τ (n + 1)⌉-th from .5 on (∞ where
        that is the (n + 1)-th).

    Example:
        >>> conformal_offsets(np.arange(1.0, 20.0), [0.05, 0.5, 0.95, 0.99])  # n = 19
        array([ 1., 10., 19., inf])
    """
    ordered = np.sort(residuals)
    places = []
    for level in levels:
        # A thousandth of a place: .95 · 20 is not 19 in binary.
        place = level * (len(ordered) + 1)
        places.append(math.floor(place + 1e-3) if level < 0.5 else math.ceil(place - 1e-3))
    padded = np.concatenate([[-np.inf], ordered, [np.inf]])
    return padded[places]


def conformal_margin(outside: Float[np.ndarray, " n"], coverage: float) -> float:
    """How far an interval must move out so that it would have held the share `coverage` of n values.

    Args:
        outside: how far each value lies outside the interval; negative inside.
        coverage: 1 − α.

    Returns:
        The ⌈(1 − α) (n + 1)⌉-th smallest of them; infinite where that is the (n + 1)-th.

    Example:
        >>> conformal_margin(np.arange(1.0, 10.0), 0.8)  # n = 9
        8.0
    """
    place = math.ceil(coverage * (len(outside) + 1) - 1e-3)
    return float(np.partition(outside, place - 1)[place - 1]) if place <= len(outside) else math.inf


def crps_from_pinball(levels: Sequence[float], pinball: Sequence[float]) -> float:
    """The continuous ranked probability score from mean pinball losses ρ_τ.

    CRPS = 2 ∫₀¹ ρ_τ dτ, by trapezoids between the levels, with ρ = 0 at 0 and 1. For a calibrated forecast the loss is
    concave in τ, so this is a little low: by 1% for a normal distribution and the levels of `interval_levels(0.9)`.

    Args:
        levels: rising, inside (0, 1).
        pinball: the loss at each level.

    Source:
        Gneiting & Ranjan, "Comparing density forecasts using threshold- and quantile-weighted scoring rules" (2011).

    Example:
        >>> crps_from_pinball([0.5], [1.0])
        1.0
    """
    return float(2 * np.trapezoid([0.0, *pinball, 0.0], [0.0, *levels, 1.0]))
