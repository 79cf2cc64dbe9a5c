"""Ranges in plain data."""

import pytest

from gnnkit.settings.ranges import Choice, Interval, read_range


def test_three_forms():
    assert read_range((0, 0.5)) == Interval(0.0, 0.5)
    assert read_range([1, 3]) == Interval(1, 3)
    assert read_range(("log", 1e-4, 1)) == Interval(1e-4, 1.0, log=True)
    assert read_range(["choice", "a", "b"]) == Choice(("a", "b"))


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (0.5, r'^0.5 is no range; give \[low, high\], \["log", low, high\] or \["choice", one, other, …\]$'),
        ("log", "^'log' is no range"),
        ((1, 2, 3), r"^\(1, 2, 3\) is no range"),
        (("lin", 1, 2), "is no range"),
        ((2, 1), r"^\(2, 1\) is not allowed: give low < high$"),
        (("log", 0, 1), "is not allowed: give 0 < low < high$"),
        ((0.0, float("nan")), "is no range"),
        ((False, True), "is no range"),
        (("choice", 1), "needs two or more different texts, numbers or truth values behind 'choice'$"),
        (("choice", "a", "a"), "needs two or more different"),
    ],
)
def test_what_is_no_range_is_named(declared, message):
    with pytest.raises(ValueError, match=message):
        read_range(declared)


def test_a_range_is_widened_where_it_can_be():
    assert Interval(1, 3).holding(5) == Interval(1, 5)
    assert Interval(1, 3).holding(2.5) is None
    assert Interval(0.1, 1.0, log=True).holding(0.0) is None
    assert Interval(0.1, 1.0).holding(0) == Interval(0.0, 1.0)
    assert Choice((1, 2)).holding(2) == Choice((1, 2))
    assert Choice((1, 2)).holding(3) == Choice((3, 1, 2))
    assert Choice((1, 2)).holding(None) is None
