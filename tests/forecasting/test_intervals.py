"""Intervals from the errors of validation windows, by hand."""

import numpy as np
import pytest
import torch

from gnnkit.forecasting.intervals import KEPT_LEVELS, conformal_table, interval_offsets, node_scale


def test_node_scale():
    mask = torch.ones(100, 2, 3, dtype=torch.bool)
    mask[:, :, 2] = False
    error = torch.tensor([1.0, -3.0, 9.0]).expand(100, 2, 3)
    # Mean 2, κ = 4 · 2 · 2 = 16; nodes 0 and 1 have 200 targets, node 2 none.
    expected = torch.tensor([(200 + 32) / 216, (600 + 32) / 216, 2.0])
    torch.testing.assert_close(node_scale(error, mask), expected)
    assert node_scale(torch.zeros(5, 1, 2), torch.ones(5, 1, 2, dtype=torch.bool)).tolist() == [1.0, 1.0]


def test_quantiles_of_errors_are_scaled_to_the_node():
    """Node 1 errs twice as far as node 0: the same ranks, twice the width; n = 18 targets a step."""
    errors = torch.tensor([-4.0, -3, -2, -1, 0, 1, 2, 3, 4]).view(9, 1, 1)
    true = torch.cat([errors, 2 * errors], dim=2)
    scale, offsets = conformal_table(
        true, torch.zeros(9, 1, 2), torch.ones(9, 1, 2, dtype=torch.bool), (0.1, 0.5, 0.99)
    )
    # Σ|e| is 20 and 40, mean 60 / 18, κ = 4.
    expected = [(20 + 4 * 60 / 18) / 13, (40 + 4 * 60 / 18) / 13]
    assert scale.tolist() == pytest.approx(expected)
    # Ranks ⌊.1 · 19⌋ = 1 and ⌈.5 · 19⌉ = 10; ⌈.99 · 19⌉ = 19 is beyond the 18 targets.
    assert offsets.tolist() == [[pytest.approx(-8 / expected[1]), pytest.approx(0), np.inf]]


def test_every_coverage_in_whole_percent_is_kept():
    levels, quantiles = torch.tensor(KEPT_LEVELS), torch.tensor([KEPT_LEVELS]) - 0.5
    for percent in range(1, 100):
        below, above = interval_offsets(levels, quantiles, percent / 100)
        assert above.item() - below.item() == pytest.approx(percent / 100, abs=1e-6)
    for coverage, message in (
        (90, r"^coverage is 90; give a share from 0\.01 to 0\.99, e\.g\. 0\.9$"),
        (0.955, r"^coverage is 0\.955; give whole percent, e\.g\. 0\.9\d$"),
    ):
        with pytest.raises(ValueError, match=message):
            interval_offsets(levels, quantiles, coverage)
