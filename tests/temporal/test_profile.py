"""Profiles of a season: means by hand, those of other cycles, smoothing, weeks."""

import numpy as np
import pandas as pd
import pytest

from gnnkit.temporal.profile import Profile, deviations, last_values, node_levels, season_lengths
from tests.temporal.rivals import made, parts


def test_levels_and_deviations_are_those_of_the_windows_rows():
    values = np.arange(60, dtype=float).reshape(30, 2)
    values[10, 1] = np.nan
    train, _, _ = parts(made(values, edges=()), history=3, horizon=1)
    level = node_levels(train)
    np.testing.assert_allclose(level[0], values[2:20, 0].mean())
    np.testing.assert_allclose(level[1], np.nanmean(values[2:20, 1]))
    found = deviations(train, level)
    assert found.shape == (len(train) + 2, 2)
    np.testing.assert_allclose(found[:, 0], values[:20, 0] - level[0])
    assert found[10, 1] == values[9, 1] - level[1]  # a gap holds what was before it
    np.testing.assert_allclose(last_values(train)[:, 0, 0], values[2:20, 0])


def test_a_profile_is_the_mean_at_each_position_and_in_training_that_of_the_other_cycles():
    season = np.array([0.0, 3, 6, 9])
    noise = np.random.default_rng(0).standard_normal((40, 1))
    values = np.tile(season, 10)[:, None] + noise
    values[9] = np.nan
    train, _, _ = parts(made(values, edges=(), season=4), history=3, horizon=1)
    rows = train.rows
    level = node_levels(train)
    profile = Profile.of(train, 4, level)
    seen = rows[np.isfinite(values[rows, 0])]
    for position in range(4):
        expected = values[seen[seen % 4 == position], 0].mean() - level[0]
        np.testing.assert_allclose(profile.at(np.array([position]))[0, 0], expected, rtol=1e-5)
    row = 13
    others = seen[(seen % 4 == row % 4) & (seen // 4 != row // 4)]
    np.testing.assert_allclose(
        profile.at(np.array([row]), training=True)[0, 0], values[others, 0].mean() - level[0], rtol=1e-5
    )


def test_a_long_season_is_smoothed_and_a_short_one_is_not():
    values = np.zeros((96 * 4, 1))
    values[10::96] = 1.0
    train, _, _ = parts(made(values, edges=(), season=96), history=2, horizon=1)
    profile = Profile.of(train, 96, np.zeros(1))
    np.testing.assert_allclose(profile.table[8:13, 0], 0.2, rtol=1e-6)  # two rows to either side
    assert np.abs(profile.table[14:]).max() < 1e-12


@pytest.mark.parametrize(
    ("days", "step", "expected"), [(10, 60, [24]), (24, 60, [24, 168]), (24, None, [24]), (24, 30, [24])]
)
def test_a_week_is_tried_where_the_season_is_a_day_and_there_are_two(days, step, expected):
    start = None if step is None else pd.Timestamp("2024-01-01")
    series = made(np.zeros((days * 24, 2)), edges=(), season=24, step_minutes=step, start=start)
    train, _, _ = parts(series)
    assert season_lengths(train, seasonal=True) == expected
    assert season_lengths(train, seasonal=False) == [1]
    assert season_lengths(parts(made(np.zeros((90, 2)), edges=()))[0], seasonal=True) == [1]
