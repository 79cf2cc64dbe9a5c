import random

import pytest

from gnnkit.studies.text.measures import (
    copied_share,
    identical_share,
    longest_copy,
    loop_period,
    word_list,
    word_share,
)


def test_the_period_is_the_smallest_that_repeats_three_times():
    assert loop_period("He said " + "to the same time " * 3) == 17
    assert loop_period("He said " + "to the same time " * 2) is None
    assert loop_period("x" * 30) == 1
    assert loop_period("ab" * 30) == 2  # and not 4
    assert loop_period("ab" * 30 + "a") == 2  # wherever in the loop it ends
    assert loop_period("ab" * 30 + "c") is None
    assert loop_period("and then   ") is None  # three blanks are no loop
    assert loop_period("abcdefg" * 3) == 7
    assert loop_period("ab" * 4, repeats=2, least=4) == 2
    assert loop_period("") is None


@pytest.mark.parametrize("period", [1, 2, 7, 33, 199])
def test_the_period_of_a_loop_behind_other_text(period):
    draw = random.Random(period)
    loop = "".join(draw.sample([chr(200 + k) for k in range(200)], period))
    assert loop_period("something else" + loop * (600 // period + 3)) == period


def test_the_longest_copy_is_that_of_trying_all():
    draw = random.Random(0)
    book = "".join(draw.choices("abc", k=300))
    for _ in range(30):
        sample = "".join(draw.choices("abc", k=40))
        runs = [sample[i:j] for i in range(40) for j in range(i + 1, 41) if sample[i:j] in book]
        assert longest_copy(sample, book) == max(runs, key=len)
    assert longest_copy("xyz", book) == ""
    assert longest_copy(book[50:90], book) == book[50:90]
    assert longest_copy("", book) == ""


def test_the_share_of_copied_strings():
    book = "It was the best of times, it was the worst of times."
    assert copied_share(book[3:30], book) == 1.0
    # Of 21 strings of 20 the first is there, and each other holds a "#".
    assert copied_share(book[:20] + "#" * 20, book) == pytest.approx(1 / 21)
    assert copied_share("abcab", "xxabc", size=3) == pytest.approx(1 / 3)
    # A string that comes twice counts twice.
    assert copied_share("abcabc", "xxabc", size=3) == pytest.approx(2 / 4)
    with pytest.raises(ValueError, match="a sample of 19 characters has no string of 20"):
        copied_share("x" * 19, book)


def test_words():
    words = word_list("Don’t say “can't”: twenty_two, Æther-like 42!")
    assert words == {"don’t", "say", "can't", "twenty", "two", "æther", "like"}
    assert word_share("Say DON’T zzz.", words) == pytest.approx(2 / 3)
    assert word_share("say zz", words) == 1.0  # the last may be cut
    assert word_share("say", words) is None
    assert word_share("... 42", words) is None


def test_identical_texts():
    assert identical_share(["a", "b", "a", "a", "c"]) == pytest.approx(3 / 5)
    assert identical_share(["a", "b"]) == 0.0
