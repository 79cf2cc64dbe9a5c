import math

import pytest
import torch

from gnnkit.temporal.curriculum import forced_share, next_input, only_near


@pytest.mark.parametrize(
    ("progress", "half", "expected"),
    [(0.0, 0.4, 2000 / 2001), (0.4, 0.4, 0.5), (0.2, 0.25, 0.8205651), (0.3, 0.25, 0.1794349), (1.0, 0.001, 0.0)],
)
def test_the_share_of_truth(progress, half, expected):
    assert forced_share(progress, half) == pytest.approx(expected, abs=1e-6)
    assert forced_share(None, half) == 0.0
    assert forced_share(progress, 0) == 0.0


def test_the_truth_is_read_where_it_was_observed():
    own, truth = torch.zeros(2, 2, 1), torch.tensor([[1.0, math.nan], [3.0, 4.0]])
    assert next_input(own, truth, 1.0).squeeze(-1).tolist() == [[1, 0], [3, 4]]
    assert next_input(own, truth, 0.0) is own
    assert next_input(own, None, 1.0) is own


def test_one_horizon_more_learns_at_a_time():
    for progress, learned in ((0.0, 1), (0.09, 1), (0.11, 2), (0.29, 3), (0.31, 4), (None, 4)):
        y = torch.ones(1, 4, 1, requires_grad=True)
        out = only_near(y, progress, 0.4)
        assert torch.equal(out, y)
        out.sum().backward()
        assert y.grad.flatten().tolist() == [1.0] * learned + [0.0] * (4 - learned)
    assert only_near(y, 0.0, 0) is y
