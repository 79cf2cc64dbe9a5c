import os
from functools import cache

import numpy as np
import pytest
import torch

from gnnkit.data import GraphSeries, SeriesStore, simulate_traffic
from gnnkit.data.cell_transmission import CAPACITY, CellTransmission, RoadNetwork
from gnnkit.data.simulate import Incident, simulate_speeds


@cache
def week(independent: bool = False) -> GraphSeries:
    return simulate_traffic(independent=independent)


def test_a_week_of_64_sensors_is_40_000_steps_of_a_thousand_cells(monkeypatch):
    """Seconds of work, whatever else the machine does: no second run of the network, and no finer steps."""
    cells = []

    def step(model, arrivals, real=CellTransmission.step):
        cells.append(len(model.vehicles))
        real(model, arrivals)

    monkeypatch.setattr(CellTransmission, "step", step)
    series = simulate_traffic(seed=1)
    assert len(cells) == (2016 + 12) * 20
    assert max(cells) < 1000
    assert series.values.shape == (2016, 64, 1)
    assert (series.unit, series.step_minutes, series.season) == ("mph", 5.0, 288)
    assert str(series.start) == "2026-03-05 00:00:00"
    assert series.positions is not None
    assert series.positions.shape == (64, 2)
    assert {name: list(value.shape) for name, value in series.extra.items() if name != "incidents"} == {
        "speed": [2016, 64],
        "road_miles": [64, 64],
        "adjacency": [64, 64],
    }


def test_the_seed_decides_every_byte():
    one, again, other = (simulate_traffic(num_nodes=9, days=1, seed=seed) for seed in (4, 4, 5))
    assert one.digest() == again.digest() != other.digest()
    assert one.values.numpy().tobytes() == again.values.numpy().tobytes()
    assert all(torch.equal(one.extra[name], again.extra[name]) for name in one.extra)


def test_it_looks_like_traffic():
    series = week()
    speed = series.extra["speed"]
    by_hour = speed.view(7, 24, 12, 64).mean(dim=(2, 3))
    working, weekend = by_hour[[0, 1, 4, 5, 6]].mean(dim=0), by_hour[[2, 3]].mean(dim=0)
    assert working[:5].min() > 60  # nights are free
    assert working[7:10].min() < working[12].item() - 3  # a morning and an evening peak
    assert working[17:20].min() < working[12].item() - 3
    assert weekend.min() > working.min() + 3
    assert 0.03 < (speed < 45).float().mean() < 0.25
    observed = series.values[~series.values.isnan()]
    assert 3 <= observed.min() < 20
    assert 65 < observed.max() < 80
    assert 8 < observed.std() < 20


def test_reports_have_noise_and_gaps():
    series = week()
    missing = series.values[..., 0].isnan()
    assert 0.03 < missing.float().mean() < 0.05
    after_gap = missing[1:][missing[:-1]].float().mean()
    assert 0.3 < after_gap < 0.8  # singles and runs: a gap is far likelier after a gap
    error = (series.values[..., 0] - series.extra["speed"])[~missing]
    assert abs(error.mean()) < 0.2
    assert 1.0 < error.std() < 2.0
    clean = simulate_traffic(num_nodes=4, days=1, noise=0, missing=0)
    assert torch.equal(clean.values[..., 0], clean.extra["speed"].clamp(min=3.0))


def test_incidents_are_recorded_where_they_slow_traffic():
    quiet = simulate_traffic(num_nodes=32, days=2, incidents_per_day=0, seed=2)
    busy = simulate_traffic(num_nodes=32, days=2, incidents_per_day=12, seed=2)
    assert quiet.extra["incidents"].shape == (0, 4)
    incidents = busy.extra["incidents"]
    assert len(incidents) > 10
    assert ((incidents[:, 3] >= 0.3) & (incidents[:, 3] <= 0.65)).all()
    difference = busy.extra["speed"] - quiet.extra["speed"]
    assert difference.min() < -30
    before = int(incidents[:, 1].min())
    assert difference[:before].abs().max() == 0


def test_a_shock_wave_travels_upstream():
    cells = 40
    road = RoadNetwork(
        cell_miles=0.3,
        free_speed=np.full(cells, 65.0),
        lanes=np.full(cells, 3.0),
        sources=np.array([0]),
        sinks=np.array([cells - 1]),
        merges=np.zeros((0, 3), dtype=np.int64),
        diverges=np.zeros((0, 3), dtype=np.int64),
        turning=np.zeros(0),
        road=np.zeros(cells, dtype=np.int64),
        xy=np.zeros((cells, 2)),
    )
    arrivals = np.full((72, 1), 0.75 * 3 * CAPACITY)
    speed = simulate_speeds(road, arrivals, [Incident(cell=35, start=10, stop=72, capacity=0.4)])
    slow = speed < 40
    upstream = np.arange(33, 5, -3)
    first = np.array([slow[:, cell].argmax() for cell in upstream])
    assert slow[:, upstream].any(axis=0).all()
    assert (np.diff(first) >= 0).all()  # each sensor further upstream slows down later
    assert first[-1] > first[0]
    wave = (upstream[0] - upstream[-1]) * 0.3 / ((first[-1] - first[0]) * 5 / 60)
    density_queue, density_free = 190 - 0.4 * 2000 / (2000 / (190 - 2000 / 65)), 0.75 * 2000 / 65
    theory = (0.75 - 0.4) * 2000 / (density_queue - density_free)
    assert 0 < wave < 65
    assert wave == pytest.approx(theory, rel=0.1)
    assert (speed[:, 36:] > 64.9).all()  # downstream of it the road is free


def test_speed_of_an_empty_road_is_the_free_speed():
    roads = simulate_traffic(num_nodes=3, days=1, demand=0.0, noise=0, missing=0).extra["speed"]
    assert (roads == roads[0]).all()
    assert (roads >= 63).all()


def regression_error(series: GraphSeries, horizon: int, hops: int) -> float:
    """Test RMSE of least squares on a sensor's own past and the weighted means over its neighbours, 1 … hops away."""
    filled = SeriesStore.from_series(series).filled[..., 0].double().numpy()
    mean = filled[: series.split.train.stop].mean(axis=0)
    weight = np.zeros((series.num_nodes,) * 2)
    source, target = series.edge_index.numpy()
    weight[target, source] = series.edge_weight.numpy()
    weight /= weight.sum(axis=1, keepdims=True)
    features = [filled - mean]
    for _ in range(hops):
        features.append(features[-1] @ weight.T)

    def table(rows: range) -> tuple[np.ndarray, np.ndarray]:
        now = np.arange(rows.start + 11, rows.stop - horizon)
        x = np.stack([feature[now - lag] for feature in features for lag in (0, 1, 2, 3, 5, 8, 11)], axis=-1)
        y = series.values[now + horizon, :, 0].double().numpy() - mean
        return x[~np.isnan(y)], y[~np.isnan(y)]

    x, y = table(series.split.train)
    fitted = np.linalg.lstsq(x, y, rcond=None)[0]
    x, y = table(series.split.test)
    return float(np.sqrt(np.mean((x @ fitted - y) ** 2)))


@pytest.mark.parametrize(("horizon", "gain"), [(3, 0.07), (6, 0.07), (9, 0.05), (12, 0.04)])
def test_neighbours_tell_something_about_the_future(horizon, gain):
    own = regression_error(week(), horizon, hops=0)
    with_neighbours = regression_error(week(), horizon, hops=2)
    assert with_neighbours < (1 - gain) * own


@pytest.mark.parametrize("horizon", [3, 6, 9, 12])
def test_neighbours_tell_nothing_on_independent_roads(horizon):
    series = week(independent=True)
    own = regression_error(series, horizon, hops=0)
    assert regression_error(series, horizon, hops=2) == pytest.approx(own, rel=0.005)
    assert not series.extra["adjacency"].any()
    assert torch.equal(series.edge_index, week().edge_index)  # the graph is the same, and tells nothing


@pytest.mark.parametrize("num_nodes", [1, 2, 5, 8, 13])
@pytest.mark.parametrize("independent", [False, True])
def test_small_networks(num_nodes, independent):
    series = simulate_traffic(num_nodes=num_nodes, days=1, independent=independent)
    assert series.values.shape == (288, num_nodes, 1)
    assert series.edge_index.size(1) > 0 or num_nodes == 1
    assert len(set(series.node_names)) == num_nodes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_nodes": 0}, "num_nodes=0"),
        ({"days": 1.5}, "days=1.5"),
        ({"seed": -1}, "seed=-1"),
        ({"demand": -1.0}, "demand=-1.0"),
        ({"incidents_per_day": float("inf")}, "incidents_per_day=inf"),
        ({"noise": float("nan")}, "noise=nan"),
        ({"missing": 1.0}, "missing=1.0"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        simulate_traffic(**changes)


def test_nothing_is_read_from_the_environment(monkeypatch):
    before = simulate_traffic(num_nodes=3, days=1).digest()
    monkeypatch.setitem(os.environ, "GNNKIT_DATA", "/no/such/folder")
    np.random.seed(1)  # noqa: NPY002
    assert simulate_traffic(num_nodes=3, days=1).digest() == before
