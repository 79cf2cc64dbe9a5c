"""Mean ranks over blocks: hand-computed values, and SciPy's Friedman test."""

import numpy as np
import pytest
from scipy import stats

from gnnkit.statistics.ranks import block_scores, mean_ranks, separate_blocks


def test_mean_ranks_and_groups_worked_out_by_hand():
    scores = np.tile([3.0, 1.0, 2.0, 4.0], (6, 1))
    found = mean_ranks(scores)
    assert (found.order, found.mean, found.blocks) == ((1, 2, 0, 3), (1.0, 2.0, 3.0, 4.0), 6)
    # q₀.₀₅ of 4 models is 2.569 (Demšar's table): 2.569 · √(4 · 5 / 36).
    assert found.critical_difference == pytest.approx(2.569 * np.sqrt(20 / 36), abs=1e-3)
    assert found.groups == ((0, 2), (1, 3), (2, 4))
    assert found.friedman_p == pytest.approx(stats.friedmanchisquare(*scores.T).pvalue)


@pytest.mark.parametrize("models", [2, 3, 10, 40])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.5])
def test_the_critical_difference_is_of_the_studentised_range(models, alpha):
    found = mean_ranks(np.tile(np.arange(float(models)), (5, 1)), alpha=alpha).critical_difference
    range_ = stats.studentized_range.ppf(1 - alpha, models, np.inf)
    assert found == pytest.approx(range_ / np.sqrt(2) * np.sqrt(models * (models + 1) / 30), rel=1e-6)


def test_ties_share_their_mean_rank_as_in_scipy():
    scores = np.random.default_rng(0).integers(0, 3, (30, 5)).astype(float)
    found = mean_ranks(scores)
    mean = stats.rankdata(scores, axis=1).mean(axis=0)
    assert sorted(found.mean) == pytest.approx(sorted(mean))
    assert found.friedman_p == pytest.approx(stats.friedmanchisquare(*scores.T).pvalue)


def test_blocks_share_no_target_row_and_are_scored_by_their_counts():
    counts = np.ones(12)
    counts[6:] = 0
    assert separate_blocks(np.ones(12), 2, 3) == [slice(0, 4), slice(5, 9)]
    assert separate_blocks(counts, 2, 3) == [slice(0, 4), slice(5, 9)]
    counts[5] = 0
    assert separate_blocks(counts, 2, 3) == [slice(0, 4)]
    errors = np.array([[1.0, 4.0, 9.0], [4.0, 4.0, 4.0]])
    weights = np.array([1.0, 1.0, 0.0])
    assert block_scores(errors, weights, [slice(0, 3)], squared=True).tolist() == [(np.sqrt(2.5) + 2) / 2]
