import numpy as np
import pytest
import torch
from scipy import stats

from gnnkit.compare.leakage.scores import forward_filled, normal_scores


def test_scores_are_those_of_the_ranks():
    values = torch.tensor(np.random.default_rng(0).gamma(1.0, size=(101, 3)), dtype=torch.float32)
    ranks = stats.rankdata(values.numpy(), axis=0)
    expected = stats.norm.ppf(ranks / 102)
    expected = expected / expected.std(axis=0, ddof=1)
    np.testing.assert_allclose(normal_scores(values).numpy(), expected, atol=1e-4)


def test_monotone_forms_have_the_same_scores_and_equal_values_one():
    values = torch.tensor([[0.0], [3.0], [0.0], [1.0], [0.0]])
    scores = normal_scores(values)
    torch.testing.assert_close(scores, normal_scores(values.exp()))
    assert scores[0] == scores[2] == scores[4] < scores[3] < scores[1]
    assert normal_scores(torch.ones(5, 1)).eq(0).all()
    assert float(scores.mean()) == pytest.approx(0, abs=1e-6)


def test_gaps_hold_what_was_there_before():
    nan = float("nan")
    values = torch.tensor([[nan, 1.0, nan], [2.0, nan, nan], [nan, 3.0, nan]])
    assert forward_filled(values).tolist() == [[2.0, 1.0, 0.0], [2.0, 1.0, 0.0], [2.0, 3.0, 0.0]]
