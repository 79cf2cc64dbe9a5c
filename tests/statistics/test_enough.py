"""How many windows a verdict needs."""

import itertools

import numpy as np
import pytest

from gnnkit.statistics.diebold_mariano import diebold_mariano
from gnnkit.statistics.enough import fewest_spans, is_enough, separate_spans, windows_needed


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95, 0.99, 0.999])
def test_the_fewest_spans_are_those_of_the_sign_test(confidence):
    count = fewest_spans(confidence)
    assert 2 / 2**count <= 1 - confidence + 1e-12 < 2 / 2 ** (count - 1) + 1e-12
    assert fewest_spans(0.95) == 6
    assert fewest_spans(0.75) == 3  # 2 / 2³ is just 25%


def test_spans_share_no_target_row():
    for case in range(50):
        rng = np.random.default_rng(case)
        counts, horizon = (rng.random(rng.integers(1, 10)) < 0.7).astype(int).tolist(), int(rng.integers(1, 4))
        seen = [window for window, count in enumerate(counts) if count]
        most = max(
            len(some)
            for size in range(len(seen) + 1)
            for some in itertools.combinations(seen, size)
            if all(b - a >= horizon for a, b in itertools.pairwise(some))
        )
        assert separate_spans(counts, horizon) == most


@pytest.mark.parametrize("horizon", [1, 3, 12])
def test_the_windows_needed_are_just_enough(horizon):
    needed = windows_needed(horizon, 0.95)
    assert is_enough([4] * needed, horizon, 0.95)
    assert not is_enough([4] * (needed - 1), horizon, 0.95)
    assert not is_enough([4] * (needed - 1) + [0] * 50, horizon, 0.95)


def test_so_many_observed_windows_are_always_enough():
    """However gaps lie between them: W observed windows hold at least W / P spans."""
    for case in range(50):
        rng = np.random.default_rng(case)
        counts = np.zeros(80)
        counts[rng.choice(80, windows_needed(3, 0.95), replace=False)] = 1
        assert is_enough(counts.tolist(), 3, 0.95)


@pytest.mark.parametrize("spans", [6, 8])
def test_just_enough_windows_seldom_call_equal_models_different(spans):
    """300 pairs of equal forecasts with heavy-tailed errors, at horizon 3, on the fewest windows that are judged."""
    wrong = 0
    for case in range(300):
        noise = np.random.default_rng([spans, case]).standard_t(4, (2, 3 * spans))
        loss = np.abs(noise[:, :-2]) + np.abs(noise[:, 1:-1]) + np.abs(noise[:, 2:])
        assert is_enough([1] * loss.shape[1], 3, 0.95)
        wrong += diebold_mariano(loss[1], loss[0], np.ones(loss.shape[1]), lag=2).p_value < 0.05
    assert wrong <= 0.09 * 300  # 5%, and two standard errors and a half
