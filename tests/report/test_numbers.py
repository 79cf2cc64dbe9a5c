import math

from gnnkit.report.numbers import decimals, format_number, format_p, signed


def test_as_many_decimals_as_say_something():
    assert [decimals([3.06, 12.0]), decimals([0.0171]), decimals([1520.0]), decimals([0.0, math.nan])] == [3, 5, 0, 3]


def test_a_true_minus_and_a_dash_where_there_is_none():
    assert format_number(-1234.5678, 2) == "−1,234.57"
    assert format_number(math.nan, 2) == format_number(None, 0) == format_number(math.inf, 1) == "–"
    assert format_p(math.nan) == signed(None, 2) == "–"


def test_a_difference_that_is_nothing_has_no_sign():
    assert [signed(0.126, 2), signed(-0.126, 2), signed(-0.001, 2)] == ["+0.13", "−0.13", "0.00"]


def test_a_number_that_no_decimal_shows_is_no_zero():
    assert format_number(7.98e-10, 6) == "8.0e−10"
    assert format_number(-7.98e-10, 5) == "−8.0e−10"
    assert signed(7.98e-10, 6) == "+8.0e−10"
    assert signed(-7.98e-10, 2) == "0.00"  # beside numbers of two decimals it is nothing
    assert (format_number(0.0, 6), signed(0.0, 6)) == ("0.000000", "0.000000")
