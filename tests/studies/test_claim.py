"""A study's folder takes no results that were made from something else."""

import json

import pytest

from gnnkit.studies.claim import check_claim, claim_folder, read_json

MADE_FROM = {"data": "cora", "settings": {"epochs": 3, "patience": None}, "graph": {"x": "a" * 64, "y": "b" * 64}}


def claim(out, finished=True, **changes):
    claim_folder(out, "run.json", {**MADE_FROM, **changes}, "a run", finished=lambda: finished)


def test_the_same_goes_on(tmp_path):
    claim(tmp_path / "out")
    claim(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "run.json").read_text()) == MADE_FROM
    check_claim(tmp_path / "out", "run.json", {"data": "cora"}, "a run", finished=lambda: True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data": "pubmed"},
            r'holds a run with another data \("cora" there, and "pubmed" now\): repeat that, or give an',
        ),
        (
            {"settings": {"epochs": 4}},
            r"another settings \(epochs is 3 there, and 4 now; patience is null there, and not on",
        ),
        (
            {"graph": {"x": "c" * 64, "y": "b" * 64}},
            r"another graph \(x is SHA-256 aaaaaaaaaaaa… there, and SHA-256 cccccccccccc… now\): repeat",
        ),
        ({"gnnkit": "9"}, r'another gnnkit \(not on record there, and "9" now\)'),
        (
            {"data": "x", "settings": {}},
            r"another data \(.*\) and settings \(epochs is 3 there, and not on record now;",
        ),
    ],
)
def test_what_differs_is_named(tmp_path, changes, message):
    claim(tmp_path / "out")
    with pytest.raises(ValueError, match=message):
        claim(tmp_path / "out", **changes)
    assert json.loads((tmp_path / "out" / "run.json").read_text()) == MADE_FROM
    # Without a result nothing can be mixed.
    claim(tmp_path / "out", finished=False, **changes)
    assert json.loads((tmp_path / "out" / "run.json").read_text()) == {**MADE_FROM, **changes}


def test_files_that_are_none_of_a_study(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds other files; give a new or an empty folder"):
        claim(tmp_path)
    with pytest.raises(ValueError, match=r"note.txt is a file; give a folder"):
        claim(tmp_path / "note.txt")
    (tmp_path / "run.json").write_text('{"data":')
    with pytest.raises(ValueError, match=r"run.json is damaged"):
        claim(tmp_path)
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(ValueError, match=r"run.json is damaged; give another folder"):
        claim(tmp_path)
    with pytest.raises(ValueError, match=r"note.txt is damaged"):
        read_json(tmp_path / "note.txt")
