import pytest

from gnnkit.data.spans import a_step, axis_unit, every_step, steps_in_words


@pytest.mark.parametrize(
    ("steps", "step", "words"),
    [
        (1, 10080.0, "1 week"),
        (4, 10080.0, "4 weeks"),
        (1, 20160.0, "2 weeks"),
        (7, 1440.0, "7 days"),
        (1, 60.0, "1 hour"),
        (36, 60.0, "36 hours"),
        (12, 5.0, "60 minutes"),
        (24, 5.0, "2 hours"),
        (3, 0.5, "1.5 minutes"),
        (1, 0.25, "15 seconds"),
        (3, "month", "3 months"),
        (3, "2 months", "6 months"),
        (8, "working hour", "8 working hours"),
        (2, "15 working minutes", "30 working minutes"),
        (2, None, "2 steps"),
        (2, "", "2 steps"),
    ],
)
def test_steps_are_said_in_the_unit_of_the_step(steps, step, words):
    assert steps_in_words(steps, step) == words


def test_a_step_and_how_often_there_is_one():
    assert [a_step(minutes, "") for minutes in (5, 60, 120, 1440, 10080)] == [
        *("5 minutes", "an hour", "2 hours", "a day", "a week")
    ]
    assert every_step(60, "") == "a row an hour"
    assert every_step(20160, "") == "a row every 2 weeks"
    assert every_step(None, "quarter") == "a row a quarter"


def test_an_axis_has_small_numbers():
    assert axis_unit(10080.0, 12) == (1.0, "weeks")
    assert axis_unit(1440.0, 12) == (1.0, "days")
    assert axis_unit(15.0, 96) == (0.25, "hours")
    assert axis_unit(60.0, 200) == (1 / 24, "days")
    assert axis_unit("quarter", 4) == (1.0, "quarters")
