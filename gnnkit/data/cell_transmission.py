"""The cell transmission model: how vehicles fill, queue on and leave a road network, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CellTransmission", "RoadNetwork"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CAPACITY = 2000.0  # vehicles per hour and lane
JAM_DENSITY = 190.0  # vehicles per mile and lane


@dataclass(frozen=True, eq=False)
class RoadNetwork:
    """Roads as runs of cells of one length, joined by merges and diverges.

    Cells that follow each other in number follow each other on the road, unless the first of them ends in a junction
    or an exit, or the second begins at a junction or an entrance.

    Args:
        cell_miles: Length of a cell.
        free_speed: Speed on the empty road, miles per hour, `[C]`.
        lanes: Lanes, `[C]`; 0.9 of a lane is a narrow one.
        sources: Cells that vehicles enter from outside, each behind a queue without limit, `[S]`.
        sinks: Cells that vehicles leave to the outside, `[X]`.
        merges: Rows (main cell, side cell, cell they flow into), `[M, 3]`.
        diverges: Rows (cell, main cell after it, side cell after it), `[D, 3]`.
        turning: Share of the vehicles that take the side cell at each diverge, `[D]`.
        road: Road number of each cell, `[C]`; ramps and connectors have -1.
        xy: Place of each cell on the map, miles, `[C, 2]`.
    """

    cell_miles: float
    free_speed: FloatArray
    lanes: FloatArray
    sources: IntArray
    sinks: IntArray
    merges: IntArray
    diverges: IntArray
    turning: FloatArray
    road: IntArray
    xy: FloatArray

    @property
    def num_cells(self) -> int:
        """Cells, C."""
        return len(self.lanes)

    def cell_edges(self) -> IntArray:
        """Pairs of cells (from, to) that vehicles drive between, `[2, Z]`."""
        follows = np.ones(self.num_cells - 1, dtype=bool)
        follows[[cell for cell in self.sinks if cell < self.num_cells - 1]] = False
        for ends in (self.merges[:, 0], self.merges[:, 1], self.diverges[:, 0]):
            follows[ends[ends < self.num_cells - 1]] = False
        plain = np.flatnonzero(follows)
        merges, diverges = self.merges, self.diverges
        sources = [plain, merges[:, 0], merges[:, 1], diverges[:, 0], diverges[:, 0]]
        targets = [plain + 1, merges[:, 2], merges[:, 2], diverges[:, 1], diverges[:, 2]]
        return np.stack([np.concatenate(sources), np.concatenate(targets)])


class CellTransmission:
    """Kinematic waves on a road network, by the cell transmission model.

    With n vehicles in a cell of length l, a triangular fundamental diagram (free speed v, capacity q, jam density k)
    and a step of d hours, a cell sends at most S = min(v n d / l, q d) and takes in at most
    R = min(q d, w (k l - n) d / l), where w = q / (k - q / v) is the speed of the wave that carries congestion
    upstream. Then

    - from a cell to the next one flow min(S, R);
    - at a merge with priority p of the main road flow main = min(S_m, max(R - S_s, p R)) and
      side = min(S_s, max(R - S_m, (1 - p) R)), p in proportion to capacity;
    - at a diverge, first in first out, flow y = min(S, R_m / (1 - b), R_s / b) in all, b y of it into the side road;
    - every cell changes by what flows in less what flows out: n ← n + in - out.

    Args:
        network: The roads.
        step_seconds: Length of a step, d; no vehicle may cross a cell in less.

    Raises:
        ValueError: `step_seconds` is so long that a vehicle crosses a cell in less.

    Source:
        C. F. Daganzo, "The cell transmission model", parts I (1994) and II (1995); the merge is written as min and max,
        which equals his median, and origins are vertical queues.
    """

    def __init__(self, network: RoadNetwork, step_seconds: float) -> None:
        hours = step_seconds / 3600
        self.crossing = network.free_speed * hours / network.cell_miles  # share of a free cell that leaves in a step
        if not 0 < self.crossing.max() <= 1:
            longest = network.cell_miles / network.free_speed.max() * 3600
            raise ValueError(
                f"step_seconds={step_seconds}: must be positive and at most {longest:.1f} s for these cells"
            )
        self.network = network
        self.full_capacity = network.lanes * CAPACITY * hours  # vehicles per step
        self.capacity = self.full_capacity.copy()
        self.jam = network.lanes * JAM_DENSITY * network.cell_miles  # vehicles
        wave_speed = CAPACITY / (JAM_DENSITY - CAPACITY / network.free_speed)
        self.wave = wave_speed * hours / network.cell_miles
        self.vehicles = np.zeros(network.num_cells)
        self.queue = np.zeros(len(network.sources))
        self.inflow = np.zeros(network.num_cells)
        self.outflow = np.zeros(network.num_cells)
        self._main, self._side, self._into = network.merges.T.copy()
        self._fork, self._ahead, self._turn = network.diverges.T.copy()
        self._straight = 1 - network.turning
        main, side = self.full_capacity[self._main], self.full_capacity[self._side]
        self._priority = main / (main + side)

    def step(self, demand: FloatArray) -> None:
        """Advance by one step.

        Args:
            demand: Vehicles that arrive at each entrance in this step, `[S]`.

        The vehicles in `vehicles` and `queue` change by what entered and left; `inflow` and `outflow` hold the step's
        flows.
        """
        network, inflow, outflow = self.network, self.inflow, self.outflow
        send = np.minimum(self.vehicles * self.crossing, self.capacity)
        take = np.minimum((self.jam - self.vehicles) * self.wave, self.capacity)
        np.minimum(send[:-1], take[1:], out=outflow[:-1])
        outflow[network.sinks] = send[network.sinks]

        room, main, side = take[self._into], send[self._main], send[self._side]
        share = self._priority * room
        from_main = np.minimum(main, np.maximum(room - side, share))
        from_side = np.minimum(side, np.maximum(room - main, room - share))
        outflow[self._main], outflow[self._side] = from_main, from_side

        turning = network.turning
        through = np.minimum(
            send[self._fork], np.minimum(take[self._ahead] / self._straight, take[self._turn] / turning)
        )
        outflow[self._fork] = through

        inflow[1:] = outflow[:-1]
        inflow[self._into] = from_main + from_side
        turned = through * turning
        inflow[self._turn] = turned
        inflow[self._ahead] = through - turned
        self.queue += demand
        entering = np.minimum(self.queue, take[network.sources])
        self.queue -= entering
        inflow[network.sources] = entering
        self.vehicles += inflow
        self.vehicles -= outflow

    @property
    def stock(self) -> float:
        """Vehicles on the roads and in the queues at the entrances."""
        return float(self.vehicles.sum() + self.queue.sum())

    @property
    def left(self) -> float:
        """Vehicles that left the network in the last step."""
        return float(self.outflow[self.network.sinks].sum())
