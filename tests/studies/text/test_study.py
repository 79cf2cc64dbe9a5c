import json
import shutil
from statistics import fmean

import pandas as pd
import pytest

from gnnkit.studies.text.measures import identical_share, longest_copy, loop_period, word_list, word_share
from gnnkit.studies.text.study import STARTS, study_rows, study_texts


@pytest.fixture(scope="module")
def study(trained, tmp_path_factory):
    """A study of two models: the trained one, and the same under another name."""
    root = tmp_path_factory.mktemp("study")
    shutil.copytree(trained, root / "twin")
    seen = []
    options = {
        "samples": 6,
        "length": 80,
        "seed": 3,
        "device": "cpu",
        "starts": ["He said", "It"],
        "on_run": seen.append,
    }
    document = study_texts([trained, root / "twin"], root / "out", **options)
    assert seen == ["model", "twin"]
    return root / "out", document


def test_it_writes_page_tables_rows_and_figures(study):
    out, document = study
    names = ["curves.png", "report.html", "report.md", "rows.csv", "study.json"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert json.loads((out / "study.json").read_text(encoding="utf-8")) == document
    assert [run["name"] for run in document["runs"]] == ["model", "twin"]
    assert "## model: small" in (out / "report.md").read_text(encoding="utf-8")


def test_stages_are_greedy_samples_with_their_loops(study):
    run = study[1]["runs"][0]
    assert [(s["kind"], s["third"]) for s in run["stages"]] == [
        (k, n) for k in ("steps", "accuracy") for n in (1, 2, 3)
    ]
    assert [stage["step"] for stage in run["stages"][:3]] == [40, 80, 120]
    firsts = [text[0] for text in run["stages"][0]["samples"]]
    for stage in run["stages"]:
        assert len(stage["samples"]) == 5
        assert {len(text) for text in stage["samples"]} == {50}
        assert [text[0] for text in stage["samples"]] == firsts
        # Behind the trained length, as far as is shown.
        assert stage["identical_share"] == identical_share([text[12:] for text in stage["samples"]])
        for period, loop in zip(stage["periods"], stage["loops"], strict=True):
            assert (period is None) == (loop is None)
            assert loop is None or len(loop) == period
            assert loop is None or loop_period(loop * 40) is not None
    assert run["stages"][2]["samples"] == run["stages"][5]["samples"]


def test_rules_are_measured(study, trained):
    run = study[1]["runs"][0]
    rules = {rule["rule"]: rule for rule in run["rules"]}
    assert list(rules) == ["greedy", "τ = 0.5", "τ = 1", "τ = 2", "held-out text"]
    assert rules["τ = 0.5"]["word_share"] < rules["τ = 2"]["word_share"]
    book = (trained / "book.txt").read_text()
    seen = book[:7200]
    for rule in rules.values():
        assert len(rule["longest"]) == rule["longest_max"] == max(rule["longest_each"])
        assert rule["longest"] in seen
        assert rule["longest_mean"] == fmean(rule["longest_each"])
        assert len(longest_copy(rule["samples"][0], seen)) == rule["longest_each"][0]
        assert 0 <= rule["copied_share"] <= 1
    for label in ("τ = 0.5", "τ = 1", "τ = 2"):  # five are shown, six are measured
        samples = rules[label]["samples"]
        assert len(set(samples)) == 5
        assert {len(text) for text in samples} == {81}
        assert len(rules[label]["longest_each"]) == 6
    assert word_share(rules["τ = 1"]["samples"][0], word_list(book)) is not None
    assert rules["held-out text"]["samples"][0] == book[7200 : 7200 + rules["held-out text"]["characters"]]
    assert rules["held-out text"]["word_share"] is None


def test_samples_begin_with_any_character_of_the_book(study, trained):
    book = set((trained / "book.txt").read_text())
    run = study[1]["runs"][0]
    firsts = {text[0] for rule in run["rules"][:-1] for text in rule["samples"]}
    assert firsts <= book
    assert any(not character.isalpha() for character in firsts)
    assert [text[0] for text in run["stages"][0]["samples"]] == [text[0] for text in run["rules"][1]["samples"]]


def test_sentences_are_finished(study):
    run = study[1]["runs"][0]
    assert [(one["start"], one["rule"]) for one in run["finished"]] == [
        (start, rule) for start in ("He said", "It") for rule in ("τ = 2", "greedy")
    ]
    assert all(one["text"][:-1].count(".") == 0 for one in run["finished"])
    assert run["left_out"] == []


def test_rows_hold_every_figure(study):
    out, document = study
    rows = study_rows(document)
    assert len(pd.read_csv(out / "rows.csv")) == len(rows)

    def value(what, measure):
        return rows[(rows["run"] == "twin") & (rows["what"] == what) & (rows["measure"] == measure)]["value"].item()

    run = document["runs"][1]
    assert value("training", "test_bits") == run["row"]["test_bits"]
    assert value("τ = 2", "copied_share") == run["rules"][3]["copied_share"]
    assert value("greedy at 3/3 of the steps", "step") == 120
    behind = rows.groupby("what", sort=False)[["samples", "length"]].first()
    assert behind.loc["training"].isna().all()
    assert behind.loc["greedy at 1/3 of the steps"].tolist() == [5, 601]
    assert behind.loc["τ = 2"].tolist() == [6, 81]
    assert behind.loc["held-out text"].tolist() == [6, run["rules"][-1]["characters"]]
    assert {"samples", "length", "trained_on", "hardware", "threads", "commit", "torch"} <= set(rows.columns)


def test_the_reports_starts_are_left_out_where_a_character_is_missing(trained, tmp_path):
    document = study_texts([trained], tmp_path / "out", samples=1, length=40, device="cpu")
    run = document["runs"][0]
    codec = set((trained / "book.txt").read_text())
    missing = [start for start in STARTS if set(start) - codec]
    assert run["left_out"] == missing != []
    assert {one["start"] for one in run["finished"]} == set(STARTS) - set(missing)
    # The same folder may be written to again.
    study_texts([trained], tmp_path / "out", samples=1, length=40, device="cpu")


def test_bad_input(trained, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="samples must be a whole number of at least 1, got 0"):
        study_texts([trained], out, samples=0)
    with pytest.raises(ValueError, match="length must be at least 40, got 39"):
        study_texts([trained], out, length=39)
    with pytest.raises(ValueError, match="two folders have the same name: model, model; rename one"):
        study_texts([trained, trained], out)
    with pytest.raises(ValueError, match=r"character 'Ω'"):
        study_texts([trained], out, starts=["Ω"], device="cpu")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        study_texts([tmp_path / "nowhere"], out)
    assert not out.exists()
    with pytest.raises(ValueError, match="model holds other files"):
        study_texts([trained], trained, device="cpu")


def test_a_book_that_was_changed_behind_the_model_is_refused(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "model")
    book = tmp_path / "model" / "book.txt"
    book.write_text(book.read_text(encoding="utf-8").replace("house", "horse"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"book.txt is not the text that its model was trained on \(SHA-256"):
        study_texts([tmp_path / "model"], tmp_path / "out", samples=2, length=60, device="cpu", starts=["He said"])
