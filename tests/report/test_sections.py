import pytest

from gnnkit.report.sections import Entry, Sheet, Sheets, Statement


@pytest.mark.parametrize(
    ("entry", "key"),
    [(Entry("1,234", 1234), "1234.0"), (Entry("gru"), "gru"), (Entry("–"), ""), (Entry("–", float("nan")), "")],
)
def test_what_a_column_is_sorted_by(entry, key):
    assert entry.key == key


def test_a_sentence_that_says_its_n_has_no_second_one():
    assert Statement("Better (n = 380 windows).", sample="n = 380 windows").sample == ""
    assert Statement("Better.", sample="n = 380 windows").sample == "n = 380 windows"


def test_the_chosen_table_is_shown():
    tables = [Sheet(name, ("model",), ()) for name in ("near", "far")]
    assert Sheets("Scores", (("15 min", tables[0]), ("60 min", tables[1])), chosen=1).shown is tables[1]
