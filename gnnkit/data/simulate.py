"""Simulated traffic: what sensors would report on generated freeways, with rush hours, incidents, noise and gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from gnnkit.data.cell_transmission import CAPACITY, CellTransmission, FloatArray, IntArray, RoadNetwork
from gnnkit.data.road_network import build_corridors, build_isolated_roads, entrance_roads, flow_shares, sensor_graph
from gnnkit.data.series import GraphSeries
from gnnkit.data.splits import chronological_split

__all__ = ["Incident", "simulate_speeds", "simulate_traffic"]

STEP_SECONDS = 15
ROW_MINUTES = 5
STEPS_PER_ROW = ROW_MINUTES * 60 // STEP_SECONDS
ROWS_PER_DAY = 24 * 60 // ROW_MINUTES
WARM_UP_ROWS = 12


@dataclass(frozen=True)
class Incident:
    """A cell that loses capacity for a while: rows `start` to `stop` - 1 keep the share `capacity` of it."""

    cell: int
    start: int
    stop: int
    capacity: float


def simulate_traffic(
    num_nodes: int = 64,
    days: int = 7,
    seed: int = 0,
    *,
    demand: float = 1.0,
    incidents_per_day: float | None = None,
    noise: float = 1.0,
    missing: float = 0.04,
    independent: bool = False,
) -> GraphSeries:
    """Simulate the speeds of road sensors by the cell transmission model, every 5 minutes.

    One-way freeways cross each other; vehicles enter at their beginnings and on-ramps and leave at off-ramps and ends.
    Demand has a morning and an evening peak (on weekends one flat hump), differs from day to day and by the minute.
    Where it exceeds the capacity of a merge, a narrow stretch or an incident, a queue grows upstream, over crossings
    too: a sensor downstream tells what comes. Each sensor reports the mean speed in its 0.3-mile cell over 5 minutes,
    with noise; some reports are missing, singly and for about an hour in a row.

    Args:
        num_nodes: Sensors, N; at least 1.
        days: Days, from a Thursday 00:00 on; at least 1. With 7, the last 20% of the rows hold working days.
        seed: Seed of everything random; the same seed gives the same bytes.
        demand: Factor on all demand; 1 gives daily queues.
        incidents_per_day: Mean number of incidents; default one per 12 sensors.
        noise: Factor on the sensors' noise; 1 is a deviation of about 1.5 mph.
        missing: Share of the reports that is missing, 0 to below 1.
        independent: True gives every sensor a road of its own, with its own demand (two peaks a day, at hours drawn
            for each road and day) and its own incidents: the graph stays the same and tells nothing.

    Returns:
        The series: speeds in mph, `[288 days, N, 1]`. Edges join sensors within about 3 miles along the road, both
        ways, for news travels with the vehicles downstream and with the queues upstream. `extra` has the truth:
        `speed` `[L, N]` without noise and gaps, `incidents` `[I, 4]` with rows (nearest sensor, first row, end row,
        capacity left), `road_miles` `[N, N]` the driving distance, `adjacency` `[N, N]` True where j is the next
        sensor after i (with `independent`, none is).

    Raises:
        ValueError: An argument is outside its range.

    Source:
        Daganzo, "The cell transmission model" (1994, 1995); network, demand and incidents are generated here.

    Example:
        >>> series = simulate_traffic(num_nodes=6, days=1, seed=1)
        >>> list(series.values.shape), series.unit, series.season
        ([288, 6, 1], 'mph', 288)
    """
    if incidents_per_day is None:
        incidents_per_day = num_nodes / 12
    _check(num_nodes, days, seed, demand, incidents_per_day, noise, missing)
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(5)]
    network, sensors = build_corridors(num_nodes, streams[0])
    graph, positions = sensor_graph(network, sensors), network.xy[sensors]
    adjacency, distance = graph.adjacency, graph.distance
    if independent:
        network, sensors = build_isolated_roads(num_nodes, streams[0])
        adjacency = np.zeros_like(adjacency)
        distance = np.where(np.eye(num_nodes, dtype=bool), 0.0, np.inf)

    rows = days * ROWS_PER_DAY
    arrivals = (_independent_demand if independent else _demand)(network, days, streams[1]) * demand
    incidents = _draw_incidents(network, sensors, days, incidents_per_day, streams[2], near=independent)
    speed = simulate_speeds(network, arrivals, incidents)[:, sensors]
    reports = _report(speed, noise, streams[3])
    reports[_gaps(reports.shape, missing, streams[4])] = np.nan

    nearest = [_nearest_sensor(network, sensors, incident.cell) for incident in incidents]
    record = [[node, i.start, i.stop, i.capacity] for node, i in zip(nearest, incidents, strict=True)]
    return GraphSeries(
        name="simulated",
        values=torch.from_numpy(reports.astype(np.float32)).unsqueeze(-1),
        edge_index=torch.from_numpy(graph.edge_index),
        edge_weight=torch.from_numpy(graph.edge_weight.astype(np.float32)),
        node_names=tuple(f"sensor {number:0{len(str(num_nodes - 1))}d}" for number in range(num_nodes)),
        split=chronological_split(rows),
        unit="mph",
        step_minutes=float(ROW_MINUTES),
        start=pd.to_datetime("2026-03-05"),
        season=ROWS_PER_DAY,
        positions=torch.from_numpy(positions.astype(np.float32)),
        source=f"cell transmission model on a generated road network, seed {seed}"
        + (", independent roads" if independent else ""),
        extra={
            "speed": torch.from_numpy(speed.astype(np.float32)),
            "incidents": torch.tensor(record, dtype=torch.float32).reshape(-1, 4),
            "road_miles": torch.from_numpy(distance.astype(np.float32)),
            "adjacency": torch.from_numpy(adjacency),
        },
    )


def simulate_speeds(network: RoadNetwork, arrivals: FloatArray, incidents: list[Incident]) -> FloatArray:
    """Run the cell transmission model and measure every cell's mean speed in each row.

    Speed is Edie's: miles driven over hours spent in the cell during the row; the free speed where nobody was there.

    Args:
        network: The roads.
        arrivals: Vehicles per hour at each entrance, `[rows, S]`. The first row is also used to fill the roads
            beforehand.
        incidents: Cells that lose capacity, and when.

    Returns:
        Miles per hour, `[rows, C]`.
    """
    model = CellTransmission(network, STEP_SECONDS)
    hours = STEP_SECONDS / 3600
    speeds = np.empty((len(arrivals), network.num_cells))
    for row in range(-WARM_UP_ROWS, len(arrivals)):
        np.copyto(model.capacity, model.full_capacity)
        for incident in incidents:
            if incident.start <= row < incident.stop:
                model.capacity[incident.cell] *= incident.capacity
        left, present = np.zeros(network.num_cells), np.zeros(network.num_cells)
        per_step = arrivals[max(row, 0)] * hours
        for _ in range(STEPS_PER_ROW):
            present += model.vehicles
            model.step(per_step)
            left += model.outflow
        if row >= 0:
            empty = present < 1e-9
            driven = left * network.cell_miles / (np.where(empty, 1.0, present) * hours)
            speeds[row] = np.where(empty, network.free_speed, driven)
    return speeds


def _demand(network: RoadNetwork, days: int, rng: np.random.Generator) -> FloatArray:
    """Vehicles per hour at each entrance and row: a daily profile, times random factors, `[rows, S]`."""
    count = len(network.sources)
    level = _peak_demand(network, rng)
    morning, evening = rng.uniform(0.75, 1.0, (2, count))
    hour = np.arange(ROWS_PER_DAY)[:, None] / ROWS_PER_DAY * 24
    daytime = 1 / (1 + np.exp(-(hour - 6.3) * 1.8)) - 1 / (1 + np.exp(-(hour - 20.5) * 1.1))
    peaks = morning * _bump(hour, 7.8, 1.0) + evening * _bump(hour, 17.2, 1.4)
    workday = 0.08 + 0.5 * daytime + 0.5 * peaks
    weekend = np.broadcast_to(0.08 + 0.55 * daytime * _bump(hour, 14.0, 5.5), workday.shape)
    profile = np.concatenate([weekend if day % 7 in (2, 3) else workday for day in range(days)])  # day 0: a Thursday
    city = np.repeat(rng.lognormal(0, 0.05, (days, 1)), ROWS_PER_DAY, axis=0)
    entrance = np.repeat(rng.lognormal(0, 0.06, (days, count)), ROWS_PER_DAY, axis=0)
    return level * profile * city * entrance * _flutter(len(profile), count, rng)


def _peak_demand(network: RoadNetwork, rng: np.random.Generator) -> FloatArray:
    """Vehicles per hour at each entrance, `[S]`: they ask each corridor's worst cell for 115 to 135% of what it can."""
    through = flow_shares(network)
    corridor = entrance_roads(network)
    level = CAPACITY * network.lanes[network.sources] * rng.uniform(0.4, 0.8, len(network.sources))
    wanted = rng.uniform(1.15, 1.35, network.road.max() + 1)
    for _ in range(30):  # corridors feed each other, so the levels settle by and by
        load = (through @ level) / (CAPACITY * network.lanes)
        worst = np.array([load[network.road == road].max() for road in range(len(wanted))])
        level *= (wanted / worst)[corridor] ** 0.7
    return level


def _independent_demand(network: RoadNetwork, days: int, rng: np.random.Generator) -> FloatArray:
    """Like `_demand`, with nothing in common between entrances, the time of day included."""
    count = len(network.sources)
    hour = np.arange(ROWS_PER_DAY)[:, None] / ROWS_PER_DAY * 24
    profile = []
    for _ in range(days):
        first, second = rng.uniform(0, 24, (2, count))
        profile.append(0.35 + 0.65 * np.maximum(_bump(hour, first, 0.9), _bump(hour, second, 1.2)))
    level = CAPACITY * network.lanes[network.sources] * rng.uniform(0.8, 0.95, count)
    entrance = np.repeat(rng.lognormal(0, 0.06, (days, count)), ROWS_PER_DAY, axis=0)
    return level * np.concatenate(profile) * entrance * _flutter(days * ROWS_PER_DAY, count, rng)


def _bump(hour: FloatArray, centre: float | FloatArray, width: float) -> FloatArray:
    return np.exp(-0.5 * ((hour - centre) / width) ** 2)


def _flutter(
    rows: int, count: int, rng: np.random.Generator, *, memory: float = 0.85, size: float = 0.06
) -> FloatArray:
    """Random factors around 1 that wander: exp of an AR(1) process."""
    shocks = rng.normal(0, size * (1 - memory**2) ** 0.5, (rows, count))
    shocks[0] /= (1 - memory**2) ** 0.5
    for row in range(1, rows):
        shocks[row] += memory * shocks[row - 1]
    return np.exp(shocks)


def _draw_incidents(
    network: RoadNetwork, sensors: IntArray, days: int, per_day: float, rng: np.random.Generator, *, near: bool
) -> list[Incident]:
    """Incidents at random places, by day mostly; with `near`, one or two cells after a sensor and at any hour."""
    places = np.concatenate([sensors + 1, sensors + 2]) if near else np.flatnonzero(network.road >= 0)
    incidents = []
    for day in range(days):
        for _ in range(rng.poisson(per_day)):
            hour = rng.uniform(0, 24) if near else rng.triangular(5.5, 14.0, 21.5)
            start = day * ROWS_PER_DAY + int(hour / 24 * ROWS_PER_DAY)
            length = max(2, round(rng.lognormal(np.log(45), 0.4) / ROW_MINUTES))
            incidents.append(Incident(int(rng.choice(places)), start, start + length, float(rng.uniform(0.3, 0.65))))
    return incidents


def _nearest_sensor(network: RoadNetwork, sensors: IntArray, cell: int) -> int:
    away = np.where(network.road[sensors] == network.road[cell], np.abs(sensors - cell), np.iinfo(np.int64).max)
    return int(away.argmin())


def _report(speed: FloatArray, noise: float, rng: np.random.Generator) -> FloatArray:
    """What the sensors say: white noise, and a calibration that drifts over hours; never below 3 mph."""
    drift = np.log(_flutter(len(speed), speed.shape[1], rng, memory=0.98, size=0.8))
    return np.maximum(speed + noise * (rng.normal(0, 1.2, speed.shape) + drift), 3.0)


def _gaps(shape: tuple[int, int], missing: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """True where a report is missing: about half of them single, half in runs of an hour on average."""
    gaps = rng.random(shape) < missing / 2
    starts = rng.random(shape) < missing / 2 / ROW_MINUTES / 2.4
    lengths = rng.geometric(1 / 12, shape)
    for row, node in np.argwhere(starts):
        gaps[row : row + lengths[row, node], node] = True
    return gaps


def _check(
    num_nodes: int, days: int, seed: int, demand: float, incidents_per_day: float, noise: float, missing: float
) -> None:
    for name, count, least in (("num_nodes", num_nodes, 1), ("days", days, 1), ("seed", seed, 0)):
        if not least <= count < float("inf") or count != int(count):
            raise ValueError(f"{name}={count}: must be a whole number from {least} on")
    for name, size in (("demand", demand), ("incidents_per_day", incidents_per_day), ("noise", noise)):
        if not 0 <= size < float("inf"):
            raise ValueError(f"{name}={size}: must be finite and not negative")
    if not 0 <= missing < 1:
        raise ValueError(f"missing={missing}: share of missing reports; must be from 0 to below 1")
