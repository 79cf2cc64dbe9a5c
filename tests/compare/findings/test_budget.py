from gnnkit.compare.findings import BUDGET
from tests.compare.findings.sheets import line_of, section_of


def test_budget_counts_every_trial(rich_results):
    section = section_of(BUDGET, rich_results())
    assert section.statements[0].text == "Every model has 18,000 parameters, within 2%."
    line = line_of(section.sheets[0].choices[0][1], "bilstm")
    assert (line["width"], line["parameters"], line["tuning trials"], line["epochs"]) == ("32", "18,010", "4", "30.0")
    trials = section.sheets[1]
    assert trials.title == "All 20 tuning trials"
    assert trials.folded
    chosen = [line for line in trials.choices[0][1].lines if line[4].text == "chosen"]
    assert len(chosen) == 5
    assert chosen[0][5].text == "learning_rate 0.01"
