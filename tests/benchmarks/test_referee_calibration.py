"""Worlds whose graph helps or does not, and what is counted of them."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def calibration(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("referee_calibration")


def test_what_a_sensor_measures_comes_from_upstream_by_its_share(calibration):
    """The correlation with the sensor upstream, half an hour before, is √(share (1 − share)), and 0 elsewhere."""
    share, lagged, far = 0.3, [], []
    for seed in range(8):
        series = calibration.make_world("connected", share, seed)
        values = series.values[:, :, 0].double().numpy()
        day = values.reshape(calibration.DAYS, calibration.SEASON, -1)
        noise = (day - day.mean(axis=0)).reshape(values.shape)
        for node in range(calibration.SENSORS):
            later = noise[calibration.DELAY :, node]
            lagged.append(np.corrcoef(later, noise[: -calibration.DELAY, node - 1])[0, 1])
            far.append(np.corrcoef(later, noise[: -calibration.DELAY, node - 5])[0, 1])
    assert np.mean(lagged) == pytest.approx((share * (1 - share)) ** 0.5, abs=0.05)
    assert np.mean(far) == pytest.approx(0.0, abs=0.05)


def test_the_given_graph_is_the_ring_or_one_that_tells_nothing(calibration):
    for kind, step in (("connected", 1), ("independent", 1), ("shuffled", calibration.APART)):
        source, target = calibration.make_world(kind, 0.1, 0).edge_index.numpy()
        assert set(((target - source) % calibration.SENSORS).tolist()) == {step}
        assert sorted(target.tolist()) == list(range(calibration.SENSORS))


def test_every_world_is_asked_once_and_in_each_way(calibration):
    asked = list(calibration.cases())
    assert len({tuple(case.values()) for case in asked}) == len(asked)
    counts = {(c["world"], c["share"], c["folds"]): 0 for c in asked}
    for case in asked:
        counts[case["world"], case["share"], case["folds"]] += calibration.BATCH
    assert (counts["independent", 0.0, 3], counts["shuffled", 0.1, 1]) == (200, 100)
    assert len(list(calibration.cases(10))) == len(counts)


def rows(world, share, helps, count, folds=1):
    """Planned tests of two horizons, of which the first is clear in some worlds."""
    return [
        {"world": world, "share": share, "folds": folds, "seed": seed, "question": "families",
         "horizon": horizon, "model": "ridge-graph", "against": "ridge",
         "difference": -0.1 if seed < helps else 0.1, "score": 2.0, "clear": int(horizon == 3),
         "p": 0.01, "before": 0.2 if seed else 0.01, "before_alone": 0.01 * (seed + 1)}
        for seed in range(count) for horizon in (3, 12)
    ]  # fmt: skip


def test_a_world_counts_once_and_only_what_is_said_to_help(calibration):
    found = calibration.summary(pd.DataFrame(rows("independent", 0.0, 1, 20) + rows("connected", 0.3, 12, 20)))
    null, connected = found.to_dict("records")
    assert (null["now"], null["before"], null["worlds"]) == (0.05, 0.05, 20)
    assert (connected["now"], connected["before"]) == (0.6, 0.05)
    assert null["now_low"] < 0.05 < null["now_high"] < 0.26  # Clopper and Pearson
    assert connected["gain"] == pytest.approx(0.05 * (12 - 8) / 20)


def test_the_page_is_drawn_from_rows(calibration, tmp_path):
    facts = {"hardware": "a CPU", "torch": "2", "commit": "0123abc", "date": "2026-01-02"}
    table = pd.DataFrame(rows("independent", 0.0, 1, 20) + rows("connected", 0.3, 12, 20)).assign(**facts)
    text = calibration.page(table, tmp_path)
    assert '"helps" is said in at most 5.0 % (95% interval 0.1 to 24.9 %, 20 worlds)' in text
    assert "| connected | 30 % | one split | 20 |" in text
    assert (tmp_path / "referee_calibration.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_graph_that_helps_much_is_found_by_the_whole_pipeline(calibration):
    found = calibration.rows_of(calibration.judged("connected", 0.7, 3, 0))
    assert {row["horizon"] for row in found} == {3, 12}
    assert min(row["difference"] / row["score"] for row in found) < -0.05
    assert any(row["clear"] and row["difference"] < 0 for row in found)
