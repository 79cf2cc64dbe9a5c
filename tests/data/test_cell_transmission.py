import numpy as np
import pytest

from gnnkit.data.cell_transmission import CAPACITY, JAM_DENSITY, CellTransmission, RoadNetwork
from gnnkit.data.road_network import build_corridors

STEP = 15.0
HOURS = STEP / 3600


def network(lanes, *, sources=(0,), sinks, merges=(), diverges=(), turning=()) -> RoadNetwork:
    count = len(lanes)
    return RoadNetwork(
        cell_miles=0.3,
        free_speed=np.full(count, 60.0),
        lanes=np.array(lanes, dtype=float),
        sources=np.array(sources),
        sinks=np.array(sinks),
        merges=np.array(merges, dtype=np.int64).reshape(-1, 3),
        diverges=np.array(diverges, dtype=np.int64).reshape(-1, 3),
        turning=np.array(turning, dtype=float),
        road=np.zeros(count, dtype=np.int64),
        xy=np.zeros((count, 2)),
    )


def test_one_step_by_hand():
    """Sending min(v n d / l, q d), receiving min(q d, w (k l - n) d / l), flow the lesser of the two."""
    model = CellTransmission(network([1, 1, 1], sinks=[2]), STEP)
    model.vehicles[:] = [4.0, 50.0, 6.0]
    model.step(np.array([3.0]))
    crossing, capacity = 60 * HOURS / 0.3, CAPACITY * HOURS
    wave = CAPACITY / (JAM_DENSITY - CAPACITY / 60) * HOURS / 0.3
    into_1 = min(4 * crossing, capacity, (JAM_DENSITY * 0.3 - 50) * wave)
    into_2 = min(50 * crossing, capacity, (JAM_DENSITY * 0.3 - 6) * wave)
    left = min(6 * crossing, capacity)
    assert model.vehicles == pytest.approx([4 + 3 - into_1, 50 + into_1 - into_2, 6 + into_2 - left])
    assert into_1 == pytest.approx((JAM_DENSITY * 0.3 - 50) * wave)  # the jam, not the sender, decides here
    assert model.left == pytest.approx(left)
    assert model.queue.tolist() == [0.0]


def test_vehicles_are_conserved_at_every_step():
    roads, _ = build_corridors(32, np.random.default_rng(3))
    model = CellTransmission(roads, STEP)
    rng = np.random.default_rng(0)
    capacity = model.full_capacity[roads.sources]
    for step in range(3000):
        if step == 1000:  # jams on the whole network, then recovery
            model.capacity[rng.integers(0, roads.num_cells, 20)] *= 0.1
        if step == 2000:
            np.copyto(model.capacity, model.full_capacity)
        demand = capacity * rng.uniform(0, 1.6 if step < 2000 else 0.3, len(capacity))
        before = model.stock
        model.step(demand)
        change = demand.sum() - model.left
        assert abs(model.stock - before - change) <= 1e-9 * max(model.stock, 1.0)
        assert model.vehicles.min() >= 0
        assert (model.vehicles <= model.jam * (1 + 1e-12)).all()
        assert model.queue.min() >= 0
    assert model.left > 0


def test_free_flow_moves_at_the_free_speed():
    model = CellTransmission(network([2] * 40, sinks=[39]), STEP)
    for _ in range(2000):
        model.step(np.array([4.0]))
    assert model.outflow == pytest.approx(np.full(40, 4.0))
    speed = model.outflow * 0.3 / (model.vehicles * HOURS)
    assert speed == pytest.approx(np.full(40, 60.0))


def test_queue_behind_a_bottleneck_has_the_speed_of_the_fundamental_diagram():
    model = CellTransmission(network([2] * 20 + [1] * 5, sinks=[24]), STEP)
    for _ in range(4000):
        model.step(np.array([1.5 * CAPACITY * HOURS]))
    speed = model.outflow * 0.3 / (model.vehicles * HOURS)
    wave_speed = CAPACITY / (JAM_DENSITY - CAPACITY / 60)
    flow_per_lane = CAPACITY / 2
    congested = flow_per_lane / (JAM_DENSITY - flow_per_lane / wave_speed)
    assert speed[:20] == pytest.approx(np.full(20, congested), rel=1e-6)
    assert speed[21:] == pytest.approx(np.full(4, 60.0), rel=1e-6)
    assert model.queue[0] > 100


@pytest.mark.parametrize(
    ("main", "side", "expected"),
    [
        (3.0, 2.0, (3.0, 2.0)),  # room for all
        (50.0, 50.0, (2 / 3, 1 / 3)),  # both queue: shares by priority
        (50.0, 1.0, ("rest", 1.0)),  # the side road sends less than its share: the main road takes the rest
        (2.0, 50.0, (2.0, "rest")),
    ],
)
def test_merge_is_the_median_of_daganzo(main, side, expected):
    roads = network([2, 2, 1], sources=(0, 2), sinks=[1], merges=[(0, 2, 1)])
    model = CellTransmission(roads, STEP)
    model.vehicles[:] = np.array([main, 0.0, side]) / model.crossing
    room = model.capacity[1]
    send = np.minimum([main, side], model.capacity[[0, 2]])
    if "rest" in expected:
        pairs = zip(expected, expected[::-1], strict=True)
        wanted = np.minimum([room - other if flow == "rest" else flow for flow, other in pairs], send)
    elif main > room:
        wanted = np.array(expected) * room
    else:
        wanted = np.array(expected)
    model.step(np.zeros(2))
    assert model.outflow[[0, 2]] == pytest.approx(wanted)
    median = np.median([send[0], room - send[1], 2 / 3 * room]) if send.sum() > room else send[0]
    assert model.outflow[0] == pytest.approx(median)
    assert model.inflow[1] == pytest.approx(model.outflow[[0, 2]].sum())


def test_diverge_is_first_in_first_out():
    roads = network([2, 2, 1], sinks=[1, 2], diverges=[(0, 1, 2)], turning=[0.25])
    model = CellTransmission(roads, STEP)
    model.vehicles[:] = [12.0, 0.0, 0.0]
    model.step(np.zeros(1))
    through = min(12 * model.crossing[0], model.capacity[0])
    assert model.inflow[1:] == pytest.approx([0.75 * through, 0.25 * through])
    model.vehicles[:] = [12.0, 0.0, model.jam[2]]  # the side road is full: nobody gets past those who wait for it
    model.step(np.zeros(1))
    assert model.outflow[0] == 0.0


def test_step_must_not_outrun_a_cell():
    with pytest.raises(ValueError, match=r"step_seconds=19.0: must be positive and at most 18.0 s"):
        CellTransmission(network([1, 1], sinks=[1]), 19.0)
