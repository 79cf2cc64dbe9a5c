"""Generated freeways: corridors that cross, ramps and connectors, sensors on them and the graph between the sensors."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gnnkit.data.cell_transmission import FloatArray, IntArray, RoadNetwork

__all__ = [
    "SensorGraph",
    "build_corridors",
    "build_isolated_roads",
    "entrance_roads",
    "flow_shares",
    "sensor_graph",
]

CELL_MILES = 0.3
CELLS_PER_SENSOR = 4
KERNEL_MILES = 2.0
SMALLEST_WEIGHT = 0.1


class _Builder:
    """Collects cells and junctions; corridors first, so that their cells have the low numbers."""

    def __init__(self) -> None:
        self.free_speed: list[float] = []
        self.lanes: list[float] = []
        self.road: list[int] = []
        self.xy: list[tuple[float, float]] = []
        self.sources: list[int] = []
        self.sinks: list[int] = []
        self.merges: list[tuple[int, int, int]] = []
        self.diverges: list[tuple[int, int, int]] = []
        self.turning: list[float] = []

    def add_cells(self, xy: FloatArray, *, speed: float, lanes: float, road: int = -1) -> range:
        first = len(self.lanes)
        self.free_speed += [speed] * len(xy)
        self.lanes += [lanes] * len(xy)
        self.road += [road] * len(xy)
        self.xy += [(float(x), float(y)) for x, y in xy]
        return range(first, first + len(xy))

    def add_diverge(self, boundary: int, side: int, turning: float) -> None:
        self.diverges.append((boundary - 1, boundary, side))
        self.turning.append(turning)

    def add_merge(self, boundary: int, side: int) -> None:
        self.merges.append((boundary - 1, side, boundary))

    def build(self) -> RoadNetwork:
        return RoadNetwork(
            cell_miles=CELL_MILES,
            free_speed=np.array(self.free_speed),
            lanes=np.array(self.lanes),
            sources=np.array(self.sources, dtype=np.int64),
            sinks=np.array(self.sinks, dtype=np.int64),
            merges=np.array(self.merges, dtype=np.int64).reshape(-1, 3),
            diverges=np.array(self.diverges, dtype=np.int64).reshape(-1, 3),
            turning=np.array(self.turning),
            road=np.array(self.road, dtype=np.int64),
            xy=np.array(self.xy),
        )


def build_corridors(num_sensors: int, rng: np.random.Generator) -> tuple[RoadNetwork, IntArray]:
    """Generate one-way freeways that cross like a grid, and place sensors on them.

    Eastbound and westbound corridors take turns, and so do northbound and southbound ones. Where two cross, a connector
    leads from each to the other; between crossings lie interchanges, an off-ramp and an on-ramp after it. Some
    stretches after an on-ramp are narrow: the bottlenecks at which the daily queues begin.

    Args:
        num_sensors: Sensors, N.
        rng: Source of all randomness.

    Returns:
        The network and the cell of each sensor, `[N]`, in order along the corridors.
    """
    corridors = 1 if num_sensors < 8 else max(2, round((num_sensors / 4) ** 0.5))
    across, along = corridors // 2, corridors - corridors // 2  # northbound or southbound; eastbound or westbound
    length = max(6, -(-num_sensors // corridors) * CELLS_PER_SENSOR)
    builder = _Builder()
    roads: list[range] = []
    sensors: list[int] = []
    for corridor in range(corridors):
        eastwest = corridor < along
        rank, peers = (corridor, along) if eastwest else (corridor - along, across)
        backwards = rank % 2 == 1
        offset = _crossing_cell(rank, peers, length) * CELL_MILES
        places = (np.arange(length)[:: -1 if backwards else 1] + 0.5) * CELL_MILES
        xy = np.stack([places, np.full(length, offset)], axis=1)
        cells = builder.add_cells(
            xy if eastwest else xy[:, ::-1], speed=rng.uniform(63, 70), lanes=float(rng.integers(4, 6)), road=corridor
        )
        builder.sources.append(cells[0])
        builder.sinks.append(cells[-1])
        roads.append(cells)
        count = num_sensors // corridors + (corridor < num_sensors % corridors)
        edges = np.linspace(0, length, count + 1).astype(int)
        sensors += [cells[int(rng.integers(low, high))] for low, high in pairwise(edges)]

    taken: list[set[int]] = [set() for _ in roads]
    for a in range(along):
        for b in range(across):
            first = _crossing_boundary(a, _crossing_cell(b, across, length), length)
            second = _crossing_boundary(b, _crossing_cell(a, along, length), length)
            for road, boundary in ((a, first), (along + b, second)):
                taken[road].update(range(boundary - 2, boundary + 5))
            ends = (roads[a][0] + first, roads[along + b][0] + second)
            _connect(builder, ends[0], ends[1], rng)
            _connect(builder, ends[1], ends[0], rng)
    for corridor, cells in enumerate(roads):
        _add_interchanges(builder, cells, taken[corridor], rng)
    network = builder.build()
    return _bend(network), np.array(sensors, dtype=np.int64)


def _crossing_cell(rank: int, peers: int, length: int) -> int:
    return round((rank + 1) / (peers + 1) * length)


def _crossing_boundary(rank: int, place: int, length: int) -> int:
    """Where a corridor forks before a crossing, counted in its own direction: odd corridors run backwards."""
    return min(max(length - place if rank % 2 else place, 2), length - 4)


def _connect(builder: _Builder, fork: int, other: int, rng: np.random.Generator) -> None:
    """Lead from the fork at one boundary, by two cells, into the other corridor two cells after its own fork."""
    start, end = np.array(builder.xy[fork]), np.array(builder.xy[other + 1])
    xy = start + (end - start) * np.array([[0.33], [0.67]])
    cells = builder.add_cells(xy, speed=50.0, lanes=1.5)
    builder.add_diverge(fork, cells[0], rng.uniform(0.1, 0.18))
    builder.add_merge(other + 2, cells[-1])


def _add_interchanges(builder: _Builder, cells: range, taken: set[int], rng: np.random.Generator) -> None:
    """Add an off-ramp, an on-ramp two cells later, and at every other one a narrow stretch after it."""
    boundary, narrow = int(rng.integers(3, 6)), bool(rng.integers(0, 2))
    while boundary + 5 <= len(cells):
        if not taken & {boundary, boundary + 1, boundary + 2}:
            here = cells[0] + boundary
            aside = np.array(builder.xy[here]) + 0.15
            off = builder.add_cells(aside[None], speed=40.0, lanes=1.2)
            builder.add_diverge(here, off[0], rng.uniform(0.06, 0.14))
            builder.sinks.append(off[0])
            on = builder.add_cells(aside[None] + 0.1, speed=40.0, lanes=1.0)
            builder.sources.append(on[0])
            builder.add_merge(here + 2, on[0])
            if narrow:
                for cell in (here + 3, here + 4):
                    builder.lanes[cell] *= 0.9
            narrow = not narrow
        boundary += int(rng.integers(6, 10))


def _bend(network: RoadNetwork) -> RoadNetwork:
    """Bend the map a little: straight grids look generated; distances along the road stay as they are."""
    x, y = network.xy.T
    width = max(float(np.ptp(network.xy)), 1.0)
    bent = np.stack(
        [x + 0.04 * width * np.sin(2.2 * y / width * np.pi), y + 0.05 * width * np.sin(1.7 * x / width * np.pi)]
    )
    network.xy[:] = bent.T
    return network


def build_isolated_roads(num_sensors: int, rng: np.random.Generator) -> tuple[RoadNetwork, IntArray]:
    """One short road for each sensor, joined to no other; its bottleneck lies just after the sensor.

    Args:
        num_sensors: Sensors, N.
        rng: Source of all randomness.

    Returns:
        The network and the cell of each sensor, `[N]`.
    """
    builder = _Builder()
    sensors = []
    for road in range(num_sensors):
        places = np.stack([np.arange(8) * CELL_MILES, np.full(8, float(road))], axis=1)
        cells = builder.add_cells(places, speed=rng.uniform(63, 70), lanes=float(rng.integers(3, 6)), road=road)
        builder.sources.append(cells[0])
        builder.sinks.append(cells[-1])
        builder.lanes[cells[6]] *= 0.85
        sensors.append(cells[4])
    return builder.build(), np.array(sensors, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class SensorGraph:
    """The graph between sensors, and the truth that it stands for.

    Attributes:
        edge_index: Both directions of every pair that is near along the road, `[2, E]`.
        edge_weight: exp(-(d / 2 miles)²), `[E]`, of the shorter of the two driving distances d.
        distance: Miles to drive from sensor i to sensor j, `[N, N]`; infinite where there is no way.
        adjacency: True where j is the next sensor that a vehicle meets after i, `[N, N]`.
    """

    edge_index: IntArray
    edge_weight: FloatArray
    distance: FloatArray
    adjacency: NDArray[np.bool_]


def sensor_graph(network: RoadNetwork, sensors: IntArray) -> SensorGraph:
    """Join sensors that are near each other along the road.

    Vehicles carry news downstream, and queues carry it upstream: every pair gets an edge each way, with the same weight
    exp(-(d / σ)²), σ = 2 miles, left out below 0.1 (3 miles).

    Args:
        network: The roads.
        sensors: Cell of each sensor, `[N]`.

    Returns:
        The graph.

    Source:
        The thresholded Gaussian kernel of the road distance is that of Li et al., DCRNN (2018); σ is fixed here.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    source, target = network.cell_edges()
    roads = csr_array((np.full(len(source), network.cell_miles), (source, target)), shape=(network.num_cells,) * 2)
    distance = np.asarray(dijkstra(roads, indices=sensors))[:, sensors]
    weight = np.exp(-((np.minimum(distance, distance.T) / KERNEL_MILES) ** 2))
    np.fill_diagonal(weight, 0.0)
    near = weight >= SMALLEST_WEIGHT
    return SensorGraph(np.stack(near.nonzero()), weight[near], distance, _next_sensors(network, sensors))


def flow_shares(network: RoadNetwork) -> FloatArray:
    """Share of the vehicles of each entrance that pass each cell when nothing queues, `[C, S]`.

    A vehicle that comes round twice counts twice.
    """
    from scipy.sparse import csc_array, csr_array, eye_array
    from scipy.sparse.linalg import splu

    source, target = network.cell_edges()
    share = np.ones(len(source))
    turning = {
        (int(cell), int(to)): part
        for (cell, ahead, side), b in zip(network.diverges, network.turning, strict=True)
        for to, part in ((ahead, 1 - b), (side, b))
    }
    for edge, pair in enumerate(zip(source.tolist(), target.tolist(), strict=True)):
        share[edge] = turning.get(pair, 1.0)
    size = network.num_cells
    # Flow x obeys x = A x + entrances, where A holds the share of each cell's vehicles that go on to each other one.
    system = csc_array(eye_array(size) - csr_array((share, (target, source)), shape=(size, size)))
    entrances = np.zeros((size, len(network.sources)))
    entrances[network.sources, np.arange(len(network.sources))] = 1.0
    return splu(system).solve(entrances)


def entrance_roads(network: RoadNetwork) -> IntArray:
    """Road that each entrance leads to, `[S]`: its own, or for an on-ramp that of the cell it merges into."""
    into = {int(side): int(cell) for _, side, cell in network.merges}
    return network.road[[into.get(int(cell), int(cell)) for cell in network.sources]]


def _next_sensors(network: RoadNetwork, sensors: IntArray) -> NDArray[np.bool_]:
    after: dict[int, list[int]] = {}
    for source, target in network.cell_edges().T.tolist():
        after.setdefault(source, []).append(target)
    number = {cell: sensor for sensor, cell in enumerate(sensors.tolist())}
    adjacency = np.zeros((len(sensors),) * 2, dtype=bool)
    for cell, sensor in number.items():
        ahead, seen = list(after.get(cell, ())), {cell}
        while ahead:
            here = ahead.pop()
            if here in seen:
                continue
            seen.add(here)
            if here in number:
                adjacency[sensor, number[here]] = True
            else:
                ahead += after.get(here, ())
    return adjacency
