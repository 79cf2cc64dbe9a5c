"""How differences and shortages are put in words and tables."""

from types import SimpleNamespace

import pytest

from gnnkit.compare.findings.difference import Difference, Words, interval_entries


def test_what_is_missing_is_said():
    assert Words(test_share=0.2).shortage([1], 1) == (
        "1 test window is too few to judge: at least 6 are needed (about 25 more rows), which hold 6 spans of 1 step "
        "without a common row."
    )
    assert Words().shortage([1] * 34, 7) == (
        "34 test windows are too few to judge: at least 36 are needed, which hold 6 spans of 7 steps without a common "
        "row."
    )


def test_a_difference_has_its_interval_only_where_it_was_tested():
    words = Words("mph", 5, 0.9)
    tested = Difference(difference=-0.123, low=-0.2, high=-0.04, clear=True, p=0.0004)
    assert words.difference(tested) == "-0.123 mph, 90% interval -0.2 to -0.04"
    assert words.difference_with_p(tested) == "difference -0.123 mph (90% interval -0.2 to -0.04, p < 0.001)"
    assert words.difference(Difference(difference=0.5)) == "+0.5 mph"
    assert words.ahead(3) == "up to 15 minutes (3 steps) ahead"
    assert [(entry.text, entry.mark) for entry in interval_entries(tested, 2)] == [
        ("−0.12", "good"), ("−0.20 to −0.04", "")
    ]  # fmt: skip
    assert [entry.text for entry in interval_entries(Difference(difference=0.5), 2)] == ["+0.50", "–"]
    assert [entry.text for entry in interval_entries(None, 2)] == ["–", "–"]


def powered(**figures):
    return SimpleNamespace(
        **{"difference": 0.1, "detectable": 0.2, "spans": 6, "spans_needed": 30, "scores": [2.1, 2.0], "seeds": 1}
        | figures
    )


def test_what_a_test_could_have_found_and_what_it_would_take():
    found = "A true difference of 0.2 (10%) would be found with a chance of 80%"
    needed = "; one as small as this with 30 spans of 20 test windows in place of 6"
    assert Words().power(powered(), windows=120) == f"{found}{needed}."
    rows = " (about 2,400 more rows)."
    assert Words(test_share=0.2).power(powered(), windows=120) == f"{found}{needed}{rows}"
    folds = " (about 800 more rows: 12 more folds as long)."
    assert Words(test_share=0.6, folds=3).power(powered(), windows=120) == f"{found}{needed}{folds}"
    assert Words().power(powered(spans_needed=6), windows=120) == f"{found}."


def test_more_windows_than_anybody_has_are_not_counted_out():
    said = Words(test_share=0.2).power(powered(spans_needed=601), windows=120)
    assert said.endswith("80%; one as small as this only with more than 100 times the test windows.")
    assert "in place of 6" in Words(test_share=0.2).power(powered(spans_needed=600), windows=120)


def test_large_figures_have_no_power_of_ten_and_equal_forecasts_no_interval():
    words = Words("m³/s")
    large = Difference(difference=-12345.0, low=-23456.0, high=-1234.0, clear=True, p=0.02)
    assert words.difference_with_p(large) == ("difference -12,300 m³/s (95% interval -23,500 to -1,230, p = 0.020)")
    assert words.value(132547264.0) == "132,500,000 m³/s"
    assert "A true difference of 310 m³/s (48%)" in words.power(
        powered(detectable=312.0, scores=[0, 650.0]), windows=120
    )
    same = Difference(difference=0.0, low=0.0, high=0.0, p=1.0)
    assert words.difference_with_p(same) == "no difference at all"


def test_more_rows_alone_do_not_lower_the_noise_between_seeds():
    said = Words().power(powered(spans_needed=None, seeds=3), windows=120)
    assert said.endswith("; one as small as this by no number of rows, but with more seeds.")
    assert Words().power(powered(spans_needed=None), windows=120).endswith("a chance of 80%.")
    assert Words().power(powered(detectable=0.0), windows=120) == ""


@pytest.mark.parametrize("low", [-0.2, -1e-3, -4e-7])
def test_a_clear_difference_is_never_printed_as_zero(low):
    row = Difference(difference=2 * low, low=3 * low, high=low, clear=True, p=0.01)
    difference, interval = (entry.text.replace("−", "-") for entry in interval_entries(row, 2))
    assert float(difference) < 0
    assert all(float(bound) < 0 for bound in interval.split(" to "))
