import pytest

from gnnkit.compare.report.evidence import (
    ablation_section,
    conditions_section,
    evidence,
    significance_section,
    where_section,
)


def sheet_of(section, label):
    return dict(section.sheets[0].choices)[label]


def line_of(sheet, *names):
    line = next(line for line in sheet.lines if tuple(entry.text for entry in line[: len(names)]) == names)
    return dict(zip(sheet.columns, (entry.text for entry in line), strict=True))


def test_nothing_found_is_no_section(fake_results):
    assert evidence(fake_results()) == []


def test_each_test_has_its_interval_p_values_effect_and_skill(rich_results):
    results = rich_results()
    chosen = {"horizon": 12, "metric": "mae", "model": "gru", "against": "last-value"}
    numbers = {"difference": -0.2, "low": -0.3, "high": -0.1, "clear": True, "dm": -2.5, "p": 0.0123}
    numbers |= {"effect": -0.8, "skill": 0.048}
    next(test for test in results.significance if chosen.items() <= test.items()).update(numbers)
    section = significance_section(results)
    sheet = sheet_of(section, "60 min, MAE")
    assert sheet.caption == "MAE (mph) up to 60 min ahead; n = 380 windows, 3 seeds"
    assert line_of(sheet, "against last-value", "gru", "last-value") == {
        "question": "against last-value", "model": "gru", "against": "last-value", "difference": "−0.200",
        "95% interval": "−0.300 to −0.100",
        "p": ".012", "pairs": "5", "DM": "−2.50", "effect": "−0.80", "skill": "+4.8 %"}  # fmt: skip
    assert section.sheets[0].choices[section.sheets[0].chosen][0] == "60 min, MAE"
    assert len(section.notes) == 1  # what a p is corrected for; no test stands beside it that decides nothing


def test_only_clear_differences_are_coloured(rich_results):
    for section in evidence(rich_results()):
        for sheets in section.sheets:
            for _, sheet in sheets.choices:
                at = sheet.columns.index("difference")
                for line in sheet.lines:
                    if " to " not in line[at + 1].text:
                        continue
                    low, high = line[at + 1].text.replace("−", "-").split(" to ")
                    clear = float(low) > 0 or float(high) < 0
                    expected = "" if not clear else "good" if float(high) < 0 else "bad"
                    assert line[at].mark == expected or abs(float(low)) < 2e-3 or abs(float(high)) < 2e-3


def test_ablation_has_the_sentence_and_a_line_for_each_graph(rich_results):
    results = rich_results()
    section = ablation_section(results)
    assert section.statements[0].text == results.ablation["sentence"]
    assert section.statements[0].clear
    assert section.statements[0].sample == "n = 380 windows, 3 seeds"
    sheet = sheet_of(section, "all")
    assert line_of(sheet, "tgcn", "given")["difference"] == "–"
    assert line_of(sheet, "tgcn", "shuffled")["p"] == ".016"
    results.ablation = {
        "horizon": 12,
        "rows": [],
        "tests": [],
        "verdict": "open",
        "sentence": "Open. n = 3.",
        "notes": ["x"],
    }
    section = ablation_section(results)
    assert (section.sheets, section.drawings, section.notes) == ((), (), ("x",))
    assert not section.statements[0].clear
    assert section.statements[0].sample == ""  # the sentence has its n


def test_conditions_have_a_curve_for_each_axis_that_was_run(rich_results):
    results = rich_results()
    section = conditions_section(results)
    assert [drawing.name for drawing in section.drawings] == ["train-share", "hidden-share"]
    line = line_of(sheet_of(section, "Learning curve"), "10")
    assert (line["MAE graph"], line["MAE sequence"], line["difference"]) == ("5.500", "5.800", "−0.300")
    results.conditions = [point for point in results.conditions if point["axis"] == "hidden_share"]
    assert [drawing.name for drawing in conditions_section(results).drawings] == ["hidden-share"]


def test_where_has_only_what_is_there(rich_results):
    results = rich_results()
    assert [drawing.name for drawing in where_section(results).drawings] == [
        "strata", "heat", "windows-graph", "windows-sequence"]  # fmt: skip
    results.where["heat"] |= {"note": "The 300 nodes with the largest differences; 7 others are left out."}
    caption = where_section(results).drawings[1].caption
    assert caption.endswith("blue: gru. The 300 nodes with the largest differences; 7 others are left out.")
    results.where |= {"heat": {}, "windows": {"graph": [], "sequence": []}}
    assert [drawing.name for drawing in where_section(results).drawings] == ["strata"]
    results.where["strata"] = []
    assert where_section(results) is None


@pytest.mark.parametrize("count", [4, 5])
def test_at_most_four_rank_diagrams(rich_results, count):
    section = significance_section(rich_results(horizons=tuple(range(1, count + 1))))
    names = [drawing.name for drawing in section.drawings if drawing.name.startswith("ranks")]
    assert names == [f"ranks-{h}-mae" for h in ((1, 2, 3, 4) if count == 4 else (1, 5))]


def test_sentences_of_conditions_are_those_of_the_farthest_horizon(rich_results):
    results = rich_results()
    results.conditions += [point | {"horizon": 3, "sentence": "Nearer."} for point in results.conditions]
    section = conditions_section(results)
    assert len(section.statements) == 7
    assert "Nearer." not in {said.text for said in section.statements}
    assert {drawing.size for drawing in section.drawings} == {"full"}
    assert len(sheet_of(section, "Learning curve").lines) == 8
