"""The table of errors: hand-computed means, what conditions hold apart, and what is kept without the predictions."""

import math

import numpy as np
import pytest
import torch

from gnnkit.compare.conditions import Condition
from gnnkit.compare.errors import ErrorTable, sum_errors
from gnnkit.compare.scores import Outcome

TRUE = torch.zeros(3, 2, 2)
MASK = torch.tensor([[[1, 1], [1, 0]], [[0, 0], [0, 1]], [[1, 1], [1, 1]]], dtype=torch.bool)
PREDICTED = torch.tensor([[[1.0, -3], [2, 9]], [[9, 9], [9, 4]], [[1, 1], [1, 1]]])


def table(*more):
    outcomes = [
        Outcome("last-value", "baseline", 0, PREDICTED, None),
        Outcome("gru", "sequence", 3, PREDICTED, None),
        Outcome("gru", "sequence", 5, 2 * PREDICTED, None),
        *more,
    ]
    return ErrorTable(outcomes, TRUE, MASK, {1: 3, 2: 2})


def test_errors_of_windows_by_hand():
    found = table()
    assert found.horizons == [1, 2]
    assert found.counts(2).tolist() == [3, 1]
    assert found.counts(1).tolist() == [2, 0, 2]
    assert found.window_errors("gru", 2).tolist() == [[2, 4], [4, 8]]
    assert found.window_errors("gru", 2, "rmse").tolist() == [[(1 + 9 + 4) / 3, 16], [(4 + 36 + 16) / 3, 64]]
    np.testing.assert_array_equal(found.window_errors("last-value", 1), [[2, math.nan, 1]])
    assert found.scores("gru", 2).tolist() == [(6 + 4) / 4, 5]
    assert found.score("gru", 2, "rmse") == pytest.approx(1.5 * math.sqrt(30 / 4))


def test_errors_of_steps_and_nodes_are_of_the_longest_horizon():
    found = table()
    assert found.per_node(["gru"]) == {"gru": [1.5 * 1.5, 1.5 * 3.5]}
    steps = [(row["seed"], row["step"], row["mae"]) for row in found.per_step() if row["model"] == "gru"]
    assert steps == [(3, 1, 2), (3, 2, 3), (5, 1, 4), (5, 2, 6)]
    nothing = ErrorTable([Outcome("gru", "sequence", 0, PREDICTED, None)], TRUE, MASK & False, {2: 2})
    assert nothing.per_node() == {"gru": [None, None]}


def test_a_condition_is_a_fit_of_its_own():
    hidden = Condition(hidden_share=0.5)
    found = table(
        Outcome("gru", "sequence", 3, 10 * PREDICTED, None, hidden), Outcome("gcn", "graph", 0, PREDICTED, None, hidden)
    )
    assert found.models == ["last-value", "gru"]
    assert found.seeds("gru") == [3, 5]
    assert found.seeds("gru", hidden) == [3]
    assert found.window_errors("gru", 2, condition=hidden).tolist() == [[20, 40]]
    assert found.window_errors("gru", 2).tolist() == [[2, 4], [4, 8]]
    with pytest.raises(KeyError):
        found.window_errors("gcn", 2)


def test_what_is_kept_needs_no_predictions():
    whole = table()
    kept = whole.of_base()
    assert kept.to_json()["window_errors"]["gru"]["2"] == [3, 6]
    assert kept.to_json()["window_counts"] == {"1": [2, 0, 2], "2": [3, 1]}
    assert (kept.fits, kept.models, kept.horizons) == ({}, ["last-value", "gru"], [1, 2])
    for metric in ("mae", "rmse"):
        assert kept.scores("gru", 2, metric).tolist() == whole.scores("gru", 2, metric).tolist()
    assert kept.knows("gru", 2, "rmse")
    assert not kept.knows("gru", 3, "rmse")
    assert not kept.knows("gcn", 2, "rmse")


def test_sums_of_two_models():
    found = sum_errors(table(), ("gru", "last-value"), 2, np.array([[0, 1], [1, 2]]))
    assert found.seeds == (2, 1)
    assert found.by_step.tolist() == [[[4, 2], [0, 4]], [[8, 4], [0, 8]], [[4, 2], [0, 4]]]
    assert found.by_node[0].tolist() == [[3, 3], [0, 4]]
    assert found.step_targets.tolist() == [[2, 1], [0, 1]]
    assert found.node_difference.tolist() == [[1.5, 1.5], [0, 2]]
    assert found.heat is not None
    assert found.heat[:3].tolist() == [[0.5, 1.5], [1, 0], [0, 2]]


def test_where_long_gaps_leave_few_spans_the_windows_that_are_there_are_cut_into_some():
    counts = {1: [1] * 12 + [0] * 600}
    errors = {"gru": {1: [[1.0] * 612]}, "gcn": {1: [[2.0, 2.5] * 306]}}
    table = ErrorTable.of_windows(errors, errors, counts, {"gru": "sequence", "gcn": "graph"})
    assert table.spans(1)[:12].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert len(table.span_score("gcn", 1).parts) == 6
