"""The best graph model against the best sequence model under conditions: little data, hidden inputs."""

import pytest

from gnnkit.compare.scores import Outcome
from gnnkit.compare.statistics.ablation import judge_conditions
from tests.compare.statistics.outcomes import HISTORY, MASK, TRUE, WINDOWS, hard, outcome


def conditions(outcomes, windows=None, **options):
    given = {"history": HISTORY, "unit": "mph", "step_minutes": 5.0, "resamples": 200}
    return judge_conditions(outcomes, TRUE, MASK, windows or {2: WINDOWS}, **(given | options))


def both(graph, sequence, **condition) -> list[Outcome]:
    """A graph model and a sequence model under a condition."""
    return [outcome("gcn", graph, **condition), outcome("gru", sequence, family="sequence", **condition)]


def test_learning_curve_by_hand():
    base = hard(0)
    found = conditions(both(base, base + 0.5) + both(base + 2, base + 1, train_share=0.1))
    level = float(base.mean())
    assert [(row["axis"], row["value"], row["graph"], row["sequence"], row["clear"]) for row in found] == [
        ("train_share", 0.1, "gcn", "gru", True),
        ("train_share", 1.0, "gcn", "gru", True),
    ]
    assert [row["difference"] for row in found] == pytest.approx([1.0, -0.5], rel=1e-4)
    assert [row["graph_mae"] for row in found] == pytest.approx([level + 2, level], rel=1e-5)
    assert [row["sequence_mae"] for row in found] == pytest.approx([level + 1, level + 0.5], rel=1e-5)
    assert found[0]["sentence"] == (
        "With 10% of the training rows, up to 10 minutes (2 steps) ahead, the graph does not help: gcn "
        f"({level + 2:.4g} mph) against gru ({level + 1:.4g} mph), difference +1 mph, 95% interval +1 to +1 (n = 120 "
        "test windows, one seed)."
    )
    assert (
        "With 100% of the training rows, up to 10 minutes (2 steps) ahead, the graph helps: gcn" in found[1]["sentence"]
    )


def test_validation_picks_the_pair_and_the_test_rows_do_not():
    better_on_test = outcome("tgcn", 0.5, val_mae=3.0, hidden_share=0.5)
    chosen = [outcome("gcn", hard(s), seed=s, val_mae=1.0 + s, hidden_share=0.5) for s in (0, 1)]  # mean 1.5
    rivals = [
        outcome("gru", hard(3), family="sequence", val_mae=2.0, hidden_share=0.5),
        outcome("lstm", hard(4), family="sequence", val_mae=1.9, hidden_share=0.5),
    ]
    found = conditions([better_on_test, *chosen, *rivals, *both(1.0, 1.0)])
    assert [(row["value"], row["graph"], row["sequence"]) for row in found] == [
        (0.0, "gcn", "gru"),
        (0.5, "gcn", "lstm"),
    ]
    assert "With 50% of the inputs hidden" in found[1]["sentence"]
    assert "it is not shown that the graph helps" in found[1]["sentence"]
    assert "2 seeds" in found[1]["sentence"]
    assert (found[0]["difference"], found[0]["clear"]) == (0.0, False)


def test_axes_do_not_mix_and_missing_families_are_left_out():
    base = both(1.0, 1.0)
    assert conditions(base) == []
    assert conditions([*base, outcome("gcn", 1.0, adjacency="random")]) == []
    lonely = conditions([*base, outcome("gcn", 1.0, train_share=0.2), *both(1.0, 1.0, hidden_share=0.25)])
    assert [(row["axis"], row["value"]) for row in lonely] == [
        ("train_share", 1.0),
        ("hidden_share", 0.0),
        ("hidden_share", 0.25),
    ]
    crossed = conditions([*base, *both(1.0, 1.0, hidden_share=0.25, train_share=0.5)])
    assert crossed == []
    baseline = outcome("last-value", 0.0, family="baseline")
    horizons = conditions([baseline, *base, *both(1.0, 1.0, train_share=0.5)], {1: WINDOWS, 2: WINDOWS - 1})
    assert [(row["value"], row["horizon"]) for row in horizons] == [(0.5, 1), (0.5, 2), (1.0, 1), (1.0, 2)]
