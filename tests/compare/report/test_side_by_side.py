import re
from dataclasses import replace

import numpy as np
import pytest

from gnnkit.compare.errors import ErrorTable
from gnnkit.compare.report.side_by_side import differences, score_sheets, write_side_by_side
from gnnkit.statistics.step_down import judge_family


def with_windows(results, shift, windows=None):
    """Errors of 389 to 380 windows for `gru` alone, `shift` higher than a common noise."""
    rng = np.random.default_rng(0)
    errors = {horizon: shift + rng.random((3, 392 - horizon)) for horizon in results.horizons}
    squared = {horizon: found**2 for horizon, found in errors.items()}
    counts = {horizon: [50] * (392 - horizon if windows is None else windows) for horizon in errors}
    results.errors = ErrorTable.of_windows({"gru": errors}, {"gru": squared}, counts, {"gru": "sequence"})
    return results


def lines(sheets, label):
    sheet = dict(sheets.choices)[label]
    return {line[0].text: [entry.text for entry in line[1:]] for line in sheet.lines}


def test_differences_name_what_is_not_the_same(fake_results):
    first, second = fake_results(), fake_results()
    assert differences(first, second) == []
    second.spec |= {"epochs": 60, "residual": True}
    second.data.nodes = 30
    second.environment["commit"] = "4567def"
    assert differences(first, second) == [
        ("spec: epochs", "30", "60"),
        ("spec: residual", "–", "True"),
        ("data: nodes", "24", "30"),
        ("environment: commit", "0123abc", "4567def"),
    ]


def test_scores_and_their_difference_by_hand(fake_results):
    first, second = fake_results(horizons=(3, 6)), fake_results(horizons=(3, 12))
    for results, values in ((first, [2.0, 2.1, 2.2]), (second, [1.8, 1.9, 2.0])):
        rows = results.rows
        chosen = (rows["model"] == "gru") & (rows["horizon"] == 3) & (rows["metric"] == "mae")
        rows.loc[chosen & (rows["score"] == "averaged"), "value"] = values
    sheets, said = score_sheets(first, second)
    assert [label for label, _ in sheets.choices] == ["15 min, MAE", "15 min, RMSE"]
    assert lines(sheets, "15 min, MAE")["gru"] == ["2.100 ± 0.100", "1.900 ± 0.100", "−0.200", "–", "−9.5 %"]
    assert "no paired interval" in said[-1].text
    assert said[-1].warning


def test_the_same_windows_give_a_paired_interval(fake_results):
    first, second = with_windows(fake_results(), 3.0), with_windows(fake_results(), 2.5)
    sheets, said = score_sheets(first, second)
    errors = [results.errors.window_errors("gru", 3) for results in (second, first)]
    (found,) = judge_family([first.errors.compare(*errors, 3)], 0.95)
    words = lines(sheets, "15 min, MAE")["gru"][3]
    assert words == f"−{-found.low:.3f} to −{-found.high:.3f}"
    assert said[0].text == "Exploratory: MAE up to 15 min ahead: clearly lower in the second: gru."
    assert said[0].clear
    same = score_sheets(first, first)
    assert lines(same[0], "15 min, MAE")["gru"][3] == "–"
    assert same[1][0].text == "Exploratory: MAE up to 15 min ahead: no model clearly differs between the two runs."
    second.environment["data_hash"] = "other"
    assert "no paired interval" in score_sheets(first, second)[1][-1].text


def test_nothing_in_common_is_said(fake_results):
    sheets, said = score_sheets(fake_results(horizons=(3,)), fake_results(horizons=(6,)))
    assert sheets is None
    assert said[0].text == "The two runs share no model at a common horizon, so no scores are compared."


def test_models_of_one_run_alone_are_named(fake_results):
    first = fake_results(models={"gru": ("sequence", 3.0), "gcn": ("graph", 4.0)})
    second = fake_results(models={"gru": ("sequence", 3.0), "tgcn": ("graph", 2.9)})
    words = [said.text for said in score_sheets(first, second)[1]]
    assert words[-2:] == ["Only in the first: gcn.", "Only in the second: tgcn."]


def test_the_page_has_both_verdicts_and_opens_offline(fake_results, tmp_path):
    first, second = fake_results(), fake_results(name="<mine>")
    second.findings["verdicts"][0]["sentence"] = "A verdict of the second."
    page = write_side_by_side(first, second, tmp_path / "both")
    assert page == tmp_path / "both" / "side-by-side.html"
    text = page.read_text()
    assert text.count("At 15 minutes ahead, tgcn has the lowest MAE") == 1
    assert "A verdict of the second." in text
    assert "&lt;mine&gt;" in text
    assert "<mine>" not in text
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    assert write_side_by_side(first, second, tmp_path / "x.html") == tmp_path / "x.html"


def test_refusals(fake_results, tmp_path):
    results, empty = fake_results(), fake_results()
    empty.rows = empty.rows.iloc[:0]
    with pytest.raises(ValueError, match=r"second.rows is empty.*give a run with rows"):
        write_side_by_side(results, empty, tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"notes.txt, a file that is no HTML page; give a name that ends in .html"):
        write_side_by_side(results, results, tmp_path / "notes.txt")


def test_too_few_windows_are_the_reason_that_is_given(fake_results):
    first, second = (  # 15 windows hold five spans of three steps
        with_windows(fake_results(horizons=(3,)), shift, windows=15) for shift in (3.0, 2.5)
    )
    said = score_sheets(first, second)[1]
    assert said[-1].text == "The windows are too few for a paired interval of the differences: these may be noise."
    assert said[-1].warning


def test_errors_of_two_data_sets_are_not_read_as_better_and_worse(fake_results):
    first, second = fake_results(horizons=(3,)), fake_results(horizons=(3,))
    second.data = replace(second.data, unit="km/h", nodes=7)
    said = score_sheets(first, second)[1]
    assert said[-1].text.startswith("These are runs on different data (unit, nodes): a lower error in one does not say")
    assert said[-1].warning
