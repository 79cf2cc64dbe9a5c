import math

import numpy as np
import pytest
import torch

from gnnkit.graph import correlations, gaussian_kernel, great_circle, nearest


def test_distances_on_the_earth():
    # A degree along a meridian or the equator is π R / 180; at 60° north a degree of longitude is half of it.
    degree = math.pi * 6371.0088 / 180
    places = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, -179.5], [90.0, 17.0], [-90.0, 4.0]])
    found = great_circle(places)
    assert found[0, 1].item() == pytest.approx(degree)
    assert found[0, 2].item() == pytest.approx(degree)
    assert found[2, 3].item() == pytest.approx(179.5 * degree)  # over the antimeridian, not 180.5 degrees round
    assert found[4, 5].item() == pytest.approx(180 * degree)
    assert torch.equal(found, found.T)
    assert found.diagonal().tolist() == [0.0] * 6
    north = great_circle(torch.tensor([[60.0, 10.0], [60.0, 10.01]], dtype=torch.float64))[0, 1].item()
    assert north == pytest.approx(0.005 * degree, rel=1e-6)


def test_the_kernel_of_three_places_by_hand():
    # Places at 0, 3 and 4 on a line: distances 3, 4 and 1, mean 8/3, σ² = 14/9.
    distance = torch.tensor([3.0, 4.0, 1.0], dtype=torch.float64)
    expected = [0.0, 0.0, math.exp(-9 / 14)]  # exp(−9 · 9/14) and exp(−16 · 9/14) are below .1
    assert gaussian_kernel(distance).tolist() == pytest.approx(expected)
    assert gaussian_kernel(distance, 0.0).tolist() == pytest.approx(
        [math.exp(-81 / 14), math.exp(-72 / 7), expected[2]]
    )
    assert gaussian_kernel(torch.tensor([2.0, 2.0])).tolist() == [1.0, 1.0]
    assert gaussian_kernel(torch.zeros(0)).tolist() == []


def test_nearest_joins_both_ways_and_never_what_is_apart():
    line = torch.tensor([0.0, 1.0, 3.0, 9.0])
    distance = (line[:, None] - line).abs()
    assert nearest(distance, 1).nonzero().tolist() == [[0, 1], [1, 0], [1, 2], [2, 1], [2, 3], [3, 2]]
    assert nearest(distance, 9).sum() == 12  # all pairs
    distance[3], distance[:, 3] = torch.inf, torch.inf
    assert not nearest(distance, 2)[3].any()
    assert nearest(torch.zeros(3, 3), 1).nonzero().tolist() == [[0, 1], [0, 2], [1, 0], [2, 0]]  # of equals the first


def test_correlations_are_numpy_s_over_common_rows():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 4)) @ rng.normal(size=(4, 4)) + 1e6
    values[:, 3] = 7
    assert correlations(torch.from_numpy(values[:, :3])).numpy() == pytest.approx(np.corrcoef(values[:, :3].T))
    assert correlations(torch.from_numpy(values))[3].tolist() == [0.0] * 4
    gaps = values.copy()
    gaps[:10, 0], gaps[30:, 1] = np.nan, np.nan
    expected = np.corrcoef(values[10:30, 0], values[10:30, 1])[0, 1]
    assert correlations(torch.from_numpy(gaps))[0, 1].item() == pytest.approx(expected)
    gaps[:33, 2] = np.nan
    assert correlations(torch.from_numpy(gaps))[2].tolist() == [0.0] * 4  # seven rows tell nothing
