"""What is wrong with a spec, in words."""

import pytest

from gnnkit.compare import make_spec
from gnnkit.settings.problems import SpecProblems, key_text, nearest, one_line


def test_up_to_three_faults_are_on_the_line():
    assert one_line(["a"]) == "a"
    assert one_line(["a", "b", "c"]) == "a; b; c"
    assert one_line(["a", "b", "c", "d", "e"]) == "a; b; c; and 2 more"


def test_keys_are_written_without_the_numbers_of_items():
    assert key_text(("models", 2)) == "models"
    assert key_text(("settings", "gru", "dropout")) == "settings.gru.dropout"
    assert key_text(()) == ""


def test_the_nearest_name_or_all_of_them():
    assert nearest("LSTN", ["lstm", "gru"]) == "; did you mean 'lstm'? Known: lstm, gru"
    assert nearest("xyz", ["lstm", "gru"]) == "; choose from lstm, gru"


def test_a_field_may_have_several_faults():
    error = SpecProblems([(("gru",), "one"), (("tgcn", "x"), "two")])
    assert (str(error), error.problems) == ("one; two", ((("gru",), "one"), (("tgcn", "x"), "two")))


def test_make_spec_names_every_fault_at_once():
    with pytest.raises(ValueError) as caught:
        make_spec(epochs=0, loss="rmse", models=["lstn", "xyzzy"], seeds=3, split=(1, 2))
    text = str(caught.value)
    assert text.startswith("split: (1, 2) is too short: there is no value 3; epochs: 0 is not allowed: ")
    assert text.endswith("; and 3 more")
    with pytest.raises(ValueError, match=r"^seeds: 3 is not a list; write \[0, 1, 2\]$"):
        make_spec(seeds=3)
    with pytest.raises(ValueError, match=r"^settings\.gru: 3 is not allowed: give a table of names and values$"):
        make_spec(settings={"gru": 3})
    with pytest.raises(ValueError, match=r"^horizons: 6 is not a list; write \[6\]$"):
        make_spec(horizons=6)
    with pytest.raises(ValueError, match=r"^hidden: there is no such setting; did you mean 'hidden_channels'\?$"):
        make_spec(hidden=6)
    with pytest.raises(
        ValueError, match=r"^xyz: there is no such setting; choose from data, data_root, .*, confidence$"
    ):
        make_spec(xyz=3)
