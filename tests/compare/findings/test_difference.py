"""How differences and shortages are put in words and tables."""

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


def test_more_rows_alone_do_not_lower_the_noise_between_seeds():
    assert Words().power(0.2, 2.0, 0.1).endswith("; this one, in 4 times the rows.")
    assert Words().power(0.2, 2.0, 0.1, seeds=3).endswith("; this one, in 4 times the rows and seeds.")
