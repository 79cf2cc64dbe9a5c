"""Tests of the difference in groups of targets, against sums by hand."""

import numpy as np
import pytest
from scipy import stats

from gnnkit.statistics.groups import effective_spans, group_tests
from gnnkit.statistics.spans import compare_scores, span_score

SPANS = np.repeat(np.arange(6), 20)


def test_effective_spans():
    counts = np.array([[5.0, 1.0, 2.0], [5.0, 0.0, 2.0], [5.0, 0.0, 0.0], [5.0, 0.0, 0.0]])
    assert effective_spans(counts).tolist() == [4.0, 1.0, 2.0]


@pytest.mark.parametrize("seeds", [(1, 1), (3, 2)])
def test_a_group_in_all_windows_is_the_test_of_all_windows(seeds):
    rng = np.random.default_rng(0)
    errors = rng.gamma(4.0, size=(sum(seeds), 120))
    totals, targets = 7 * errors[..., None], np.full((120, 1), 7.0)
    (found,) = group_tests(totals, targets, seeds, SPANS)
    one, two = np.split(errors, [seeds[0]])
    expected = compare_scores(*(span_score(each, np.full(120, 7.0), SPANS) for each in (one, two)))
    assert found.test.difference == pytest.approx(expected.test.difference)
    assert found.test.deviation == pytest.approx(expected.test.deviation)
    assert found.test.p_value == pytest.approx(expected.test.p_value)
    assert found.parts == pytest.approx(expected.parts)


def test_a_group_in_too_few_spans_has_no_test():
    targets = np.zeros((120, 3))
    targets[:, 0], targets[:40, 1], targets[:60, 2] = 1.0, 1.0, 1.0
    totals = np.random.default_rng(1).gamma(4.0, size=(2, 120, 3)) * targets
    found = group_tests(totals, targets, (1, 1), SPANS)
    assert [test is None for test in found] == [False, True, False]
    assert found[2].test.degrees == pytest.approx(2.0)


def test_equal_models_are_told_apart_in_about_five_of_a_hundred_where_a_group_fills_spans_unevenly():
    rng = np.random.default_rng(2)
    targets = np.repeat(rng.integers(0, 9, size=(40, 1)), 3, axis=1).astype(float)
    targets[:, 1] *= np.arange(40) % 3 == 0
    called = []
    for _ in range(400):
        totals = targets + np.sqrt(targets) * rng.standard_normal((2, 40, 3))
        called += [each.test.p_value < 0.05 for each in group_tests(totals, targets, (1, 1), np.arange(40) // 5)]
    assert 0.02 < np.mean(called) < 0.08
    assert stats.t.isf(0.025, 7) > 2  # 8 spans
