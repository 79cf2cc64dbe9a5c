"""Conformal quantiles and their levels, by hand."""

import math

import numpy as np
import pytest

from gnnkit.statistics.conformal import conformal_margin, conformal_offsets, interval_levels


def test_levels():
    assert interval_levels(0.9) == (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    assert interval_levels(0.5) == (0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95)
    with pytest.raises(ValueError, match=r"^coverage is 90; give a share inside \(0, 1\), such as 0.9$"):
        interval_levels(90)


def test_offsets_by_hand():
    """n = 9 residuals: place τ · 10, rounded away from the median; the 0-th and the 10-th are infinite."""
    residuals = np.array([5.0, 1, 9, 2, 8, 3, 7, 4, 6])
    levels = [0.05, 0.1, 0.25, 0.5, 0.55, 0.75, 0.9, 0.95]
    assert conformal_offsets(residuals, levels).tolist() == [-math.inf, 1, 2, 5, 6, 8, 9, math.inf]


def test_the_margin_is_the_place_of_the_coverage_among_one_value_more():
    """n = 9: place .8 · 10 = 8 exactly, .85 · 10 rounded up to 9, .95 · 10 is the tenth of nine."""
    outside = np.array([3.0, 1, 2, 9, 8, 7, 4, 5, 6])
    assert [conformal_margin(outside, coverage) for coverage in (0.8, 0.85, 0.95)] == [8, 9, math.inf]
