import dataclasses

from gnnkit.compare.findings import BUDGET
from gnnkit.compare.findings.plots_trials import trial_curves
from tests.compare.findings.sheets import line_of, section_of


def test_budget_counts_every_trial(rich_results):
    section = section_of(BUDGET, rich_results())
    assert section.statements[0].text == "Every model has 18,000 parameters, within 2%."
    line = line_of(section.sheets[0].choices[0][1], "bilstm")
    assert (line["width"], line["parameters"], line["tuning trials"], line["epochs"]) == ("32", "18,010", "4", "30.0")
    trials = section.sheets[1]
    assert trials.title == "All 20 tuning trials"
    assert trials.folded
    chosen = [line for line in trials.choices[0][1].lines if line[5].text == "chosen"]
    assert len(chosen) == 5
    assert chosen[0][6].text == "learning_rate 0.01"


def test_the_figure_of_trials_marks_those_that_ended_early_or_went_astray(rich_results):
    results = rich_results()
    budget = BUDGET.of(results)
    model = budget.tuning[0].model
    values = [3.0, 2.0, 2.5, 40.0]
    trials = [
        dataclasses.replace(
            budget.tuning[0], model=model, trial=number, val_mae=mae, pruned=number == 3, chosen=number == 2
        )
        for number, mae in enumerate(values, start=1)
    ]
    (axes,) = trial_curves(results, trials).axes
    dots = [line for line in axes.lines if line.get_linestyle() == "None"]
    assert [line.get_ydata()[0] for line in dots] == [3.0, 2.0, 2.5, 6.0]  # the last one lies above the axis
    assert [line.get_marker() == "^" for line in dots] == [False, False, False, True]
    assert [line.get_markerfacecolor() == "none" for line in dots] == [False, False, True, False]
    (best,) = [line for line in axes.lines if line.get_linestyle() == "-"]
    assert list(best.get_ydata()) == [3.0, 2.0, 2.0, 2.0]
    section = section_of(BUDGET, results)
    assert [drawing.name for drawing in section.drawings] == ["trials"]
