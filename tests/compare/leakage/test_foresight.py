"""Features that tell of the future are found, whatever they are a form of, and others are not."""

import dataclasses

import numpy as np
import pytest
import torch

from gnnkit.compare.leakage.audit import LeakError, audit
from gnnkit.compare.leakage.foresight import telling_features
from gnnkit.data import GraphSeries, chronological_split, make_windows

REACH = 23


def autoregression(rng, rows, nodes, coefficient):
    noise = rng.standard_normal((rows + 50, nodes))
    for row in range(1, rows + 50):
        noise[row] += coefficient * noise[row - 1]
    return noise[50:]


def later(target, ahead):
    return np.concatenate([target[ahead:], target[-ahead:]])


def series_of(target, *features, season=None):
    values = torch.tensor(np.stack([target, *features], axis=-1), dtype=torch.float32)
    nodes = torch.arange(values.size(1))
    return GraphSeries(
        name="made",
        values=values,
        node_names=tuple(f"n{node}" for node in nodes.tolist()),
        edge_index=torch.stack([nodes, nodes.roll(1)]),
        edge_weight=torch.ones(len(nodes)),
        step_minutes=60.0,
        season=season,
        split=chronological_split(len(values), (0.7, 0.1, 0.2)),
    )


def on_rows(part, target, rng):
    """A feature that is noise but in some of the rows, where it is the target three rows later."""
    feature = rng.standard_normal(target.shape) * target.std()
    first = int(part * len(target))
    feature[first:] = later(target, 3)[first:]
    return feature


LEAKS = {
    "copy": lambda target, rng: later(target, 3),
    "scaled down": lambda target, rng: 7 - 0.01 * later(target, 12),
    "square": lambda target, rng: later(target + 20, 3) ** 2,
    "square of both signs": lambda target, rng: later(target, 3) ** 2,
    "exponential": lambda target, rng: np.exp(later(target, 2)),
    "mean of the next 12": lambda target, rng: np.mean([later(target, k) for k in range(1, 13)], axis=0),
    "a neighbour's": lambda target, rng: np.roll(later(target, 3), 1, axis=1),
    "in the last third": lambda target, rng: on_rows(2 / 3, target, rng),
    "in the test rows": lambda target, rng: on_rows(0.8, target, rng),
    "at one node": lambda target, rng: np.where(np.arange(5) == 2, later(target, 3), rng.standard_normal(target.shape)),
}


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("leak", LEAKS)
def test_planted_leaks_are_found(leak, noise):
    if (leak, noise) == ("mean of the next 12", 0.3):
        pytest.skip("so much noise hides a mean of 12: what it tells of any one of them is below the share that warns")
    rng = np.random.default_rng(int(10 * noise))
    target = autoregression(rng, 500, 5, 0.9 if noise else 0.5)
    feature = LEAKS[leak](target, rng)
    feature = feature + noise * feature.std() * rng.standard_normal(feature.shape)
    found = telling_features(series_of(target, rng.standard_normal(target.shape), feature), REACH)
    assert [one.feature for one in found] == [2]


def test_what_is_told_is_told_right():
    rng = np.random.default_rng(0)
    target = autoregression(rng, 500, 5, 0.9)
    own = telling_features(series_of(target, later(target, 5)), REACH)[0]
    assert (own.node, own.lead, own.sizes, own.is_leak) == (own.target, 5, False, True)
    assert own.beside > 0.99
    other = telling_features(series_of(target, np.roll(later(target, 5), 1, axis=1)), REACH)[0]
    assert ((other.target + 1) % 5, other.lead) == (other.node, 5)
    sizes = telling_features(series_of(target, later(target, 5) ** 2), REACH)[0]
    assert (sizes.lead, sizes.sizes) == (5, True)
    third = telling_features(series_of(target, on_rows(2 / 3, target, rng)), REACH)[0]
    assert third.stretch in ("the last third of the rows", "the test rows")


def clock(rows, nodes, period):
    return np.repeat((np.arange(rows) % period / period)[:, None], nodes, axis=1)


CLEAN = {
    "clock": lambda target, rng: [clock(*target.shape, 24), clock(*target.shape, 168)],
    "covariates of their own": lambda target, rng: [
        autoregression(rng, *target.shape, 0.95),
        rng.standard_normal(target.shape),
    ],
    "the present and the past": lambda target, rng: [
        np.concatenate([target[:1], target[:-1]]),
        np.diff(target, axis=0, prepend=target[:1]),
        np.cumsum(target, axis=0),
        np.exp(-target / 3) + 0.2 * rng.standard_normal(target.shape),
    ],
    "a flag and a constant": lambda target, rng: [
        np.repeat((rng.random(target.shape[0]) < 0.1)[:, None], target.shape[1], axis=1).astype(float),
        np.ones(target.shape),
    ],
}


@pytest.mark.parametrize("season", [None, 24])
@pytest.mark.parametrize("clean", CLEAN)
def test_clean_features_are_left_alone(clean, season):
    flagged = 0
    for case in range(5):
        rng = np.random.default_rng([7, case])
        target = autoregression(rng, 400, 4, 0.8)
        if season:
            target = target + 2 * np.sin(2 * np.pi * np.arange(400) / season)[:, None]
        flagged += bool(telling_features(series_of(target, *CLEAN[clean](target, rng), season=season), REACH))
    assert flagged == 0


def test_weather_that_drives_the_target_of_its_own_row_is_left_alone():
    flagged = 0
    for case in range(10):
        rng = np.random.default_rng([8, case])
        weather = autoregression(rng, 500, 4, 0.9)
        target = autoregression(rng, 500, 4, 0.6) + weather
        flagged += bool(telling_features(series_of(target, weather), REACH))
    assert flagged == 0


def test_gaps_and_silent_nodes_are_no_sign():
    rng = np.random.default_rng(0)
    target, feature = autoregression(rng, 300, 4, 0.8), rng.standard_normal((300, 4))
    target[rng.random(target.shape) < 0.3] = np.nan
    target[:, 1], feature[:, 2], feature[100:, 3] = np.nan, np.nan, np.nan
    assert telling_features(series_of(target, feature), REACH) == []
    leaking = series_of(target, later(target, 2))
    assert telling_features(leaking, REACH)[0].lead == 2


@pytest.mark.parametrize("rows", [12, 30, 61])
def test_short_series_are_looked_at_without_a_crash(rows):
    rng = np.random.default_rng(0)
    target = rng.standard_normal((rows, 3))
    assert telling_features(series_of(target, rng.standard_normal((rows, 3))), 5) == []


def audited(target, feature, **options):
    series = series_of(target, feature)
    return audit(series, make_windows(series, history=12, horizon=3), **options)


def test_what_hardly_leaves_anything_open_fails_and_less_warns():
    rng = np.random.default_rng(1)
    target = autoregression(rng, 500, 4, 0.8)
    leak = later(target, 3)
    near = leak + 0.03 * rng.standard_normal(leak.shape)
    with pytest.raises(
        LeakError, match=r"^leak \(foresight\): feature 1 of node 'n\d' tells its own target 3 rows later"
    ):
        audited(target, near)
    allowed = {found["cause"]: found for found in audited(target, near, allow=["foresight"])}
    assert allowed["foresight"]["status"] == "allowed"
    vague = {
        found["cause"]: found for found in audited(target, leak + leak.std() * 0.5 * rng.standard_normal(leak.shape))
    }
    assert vague["foresight"]["status"] == "warning"
    assert vague["foresight"]["detail"].endswith(" by the past alone): is it known at the time of the forecast?")
    clean = {found["cause"]: found for found in audited(target, rng.standard_normal(target.shape))}
    assert clean["foresight"]["status"] == "passed"
    assert "no feature tells 25% or more of what the past leaves open" in clean["foresight"]["detail"]


def test_without_features_there_is_nothing_to_check():
    rng = np.random.default_rng(1)
    series = series_of(autoregression(rng, 200, 3, 0.8))
    found = {one["cause"]: one for one in audit(series, make_windows(series, history=6, horizon=3))}
    assert found["foresight"]["detail"] == "There is no feature beside the target."
    assert telling_features(dataclasses.replace(series, season=24), REACH) == []


def test_no_more_is_said_than_was_looked_at():
    rng = np.random.default_rng(2)

    def said(rows, feature):
        series = series_of(autoregression(rng, rows, 3, 0.8), feature(rows))
        found = audit(series, make_windows(series, history=4, horizon=2, reach_back=True))
        return next(one["detail"] for one in found if one["cause"] == "foresight")

    def noise(rows):
        return rng.standard_normal((rows, 3))

    assert said(42, noise) == (
        "Held against targets up to 5 rows later, of their own node and of others, over all rows, no feature tells "
        "25% or more of what the past leaves open, but for what tells as much of the target of its own row, or "
        "repeats itself."
    )
    assert said(41, noise) == "Features were not held against later targets: 41 rows are too few for that."
    assert "over all rows and over parts of them, no feature" in said(400, noise)
