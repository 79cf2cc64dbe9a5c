"""The best graph model against the best sequence model under conditions: little data, hidden inputs."""

import pytest

from gnnkit.compare.errors import ErrorTable
from gnnkit.compare.findings import CONDITIONS
from gnnkit.compare.findings.conditions import judge_conditions
from gnnkit.compare.findings.difference import Words
from gnnkit.compare.scores import Outcome
from tests.compare.findings.outcomes import MASK, TRUE, WINDOWS, hard, outcome
from tests.compare.findings.sheets import line_of, section_of, sheet_of


def conditions(outcomes, windows=None, **options):
    given = {"unit": "mph", "step_minutes": 5.0}
    return judge_conditions(ErrorTable(outcomes, TRUE, MASK, windows or {2: WINDOWS}), Words(**(given | options)))


def both(graph, sequence, **condition) -> list[Outcome]:
    """A graph model and a sequence model under a condition."""
    return [outcome("gcn", graph, **condition), outcome("gru", sequence, family="sequence", **condition)]


def test_learning_curve_by_hand():
    base = hard(0)
    found = conditions(both(base, base + 0.5) + both(base + 2, base + 1, train_share=0.1))
    level = float(base.mean())
    assert [(row.axis, row.value, row.graph, row.sequence, row.clear) for row in found] == [
        ("train_share", 0.1, "gcn", "gru", True),
        ("train_share", 1.0, "gcn", "gru", True),
    ]
    assert [row.difference for row in found] == pytest.approx([1.0, -0.5], rel=1e-4)
    assert [row.graph_mae for row in found] == pytest.approx([level + 2, level], rel=1e-5)
    assert [row.sequence_mae for row in found] == pytest.approx([level + 1, level + 0.5], rel=1e-5)
    assert found[0].sentence == (
        f"With 10% of the training rows, up to 10 minutes (2 steps) ahead, gcn ({level + 2:.4g} mph) is worse than "
        f"gru ({level + 1:.4g} mph): difference +1 mph (95% interval +1 to +1, p < 0.001) (n = 120 test windows, "
        "one seed). One seed: the noise between seeds is not in the interval."
    )
    assert " mph) is better than gru (" in found[1].sentence


def test_validation_picks_the_pair_and_the_test_rows_do_not():
    better_on_test = outcome("tgcn", 0.5, val_mae=3.0, hidden_share=0.5)
    chosen = [outcome("gcn", hard(s), seed=s, val_mae=1.0 + s, hidden_share=0.5) for s in (0, 1)]  # mean 1.5
    rivals = [
        outcome("gru", hard(3), family="sequence", val_mae=2.0, hidden_share=0.5),
        outcome("lstm", hard(4), family="sequence", val_mae=1.9, hidden_share=0.5),
    ]
    found = conditions([better_on_test, *chosen, *rivals, *both(1.0, 1.0)])
    assert [(row.value, row.graph, row.sequence) for row in found] == [
        (0.0, "gcn", "gru"),
        (0.5, "gcn", "lstm"),
    ]
    assert "With 50% of the inputs hidden" in found[1].sentence
    assert " is not told apart from " in found[1].sentence
    assert "2 seeds" in found[1].sentence
    assert (found[0].difference, found[0].clear) == (0.0, False)


def test_axes_do_not_mix_and_missing_families_are_left_out():
    base = both(1.0, 1.0)
    assert conditions(base) == []
    assert conditions([*base, outcome("gcn", 1.0, adjacency="random")]) == []
    lonely = conditions([*base, outcome("gcn", 1.0, train_share=0.2), *both(1.0, 1.0, hidden_share=0.25)])
    assert [(row.axis, row.value) for row in lonely] == [
        ("train_share", 1.0),
        ("hidden_share", 0.0),
        ("hidden_share", 0.25),
    ]
    crossed = conditions([*base, *both(1.0, 1.0, hidden_share=0.25, train_share=0.5)])
    assert crossed == []
    baseline = outcome("last-value", 0.0, family="baseline")
    horizons = conditions([baseline, *base, *both(1.0, 1.0, train_share=0.5)], {1: WINDOWS, 2: WINDOWS - 1})
    assert [(row.value, row.horizon) for row in horizons] == [(0.5, 1), (0.5, 2), (1.0, 1), (1.0, 2)]


def test_too_few_windows_have_errors_and_no_interval():
    found = conditions(both(1.0, 1.5) + both(2.0, 1.0, train_share=0.1), {2: 9}, test_share=0.2)
    assert [(row.low, row.high, row.p, row.clear, row.difference) for row in found] == [
        (None, None, None, False, 1.0), (None, None, None, False, -0.5),
    ]  # fmt: skip
    assert found[0].sentence == (
        "With 10% of the training rows, up to 10 minutes (2 steps) ahead, gcn (2 mph) beside gru (1 mph): 9 test "
        "windows are too few to judge: at least 11 are needed (about 10 more rows), which hold 6 spans of 2 steps "
        "without a common row."
    )


def test_conditions_have_a_curve_for_each_axis_that_was_run(rich_results):
    results = rich_results()
    section = section_of(CONDITIONS, results)
    assert [drawing.name for drawing in section.drawings] == ["train-share", "hidden-share"]
    line = line_of(sheet_of(section, "Learning curve"), "10")
    assert (line["MAE graph"], line["MAE sequence"], line["difference"]) == ("5.500", "5.800", "−0.300")
    results.findings["conditions"] = [point for point in results.findings["conditions"] if point.axis == "hidden_share"]
    assert [drawing.name for drawing in section_of(CONDITIONS, results).drawings] == ["hidden-share"]


def test_sentences_of_conditions_are_those_of_the_farthest_horizon(rich_results):
    results = rich_results()
    results.findings["conditions"] += [
        point | {"horizon": 3, "sentence": "Nearer."} for point in results.findings["conditions"]
    ]
    section = section_of(CONDITIONS, results)
    assert len(section.statements) == 7
    assert "Nearer." not in {said.text for said in section.statements}
    assert {drawing.size for drawing in section.drawings} == {"full"}
    assert len(sheet_of(section, "Learning curve").lines) == 8
