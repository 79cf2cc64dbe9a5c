from gnnkit.cli.options import parse_missing


def test_missing_values_are_repeated_or_stand_between_commas():
    assert parse_missing(["-200", "9999, M"]) == [-200.0, 9999.0, "M"]
    assert parse_missing([]) is None
    assert parse_missing(None) is None


def test_missing_values_that_json_has_not_stay_texts():
    assert parse_missing(["nan,inf", "-200"]) == ["nan", "inf", -200.0]
