import networkx as nx
import numpy as np
import pytest

from gnnkit.data.road_network import (
    build_corridors,
    build_isolated_roads,
    entrance_roads,
    flow_shares,
    sensor_graph,
)


@pytest.mark.parametrize("sensors", [1, 2, 7, 8, 9, 20, 64, 207])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_cell_has_one_way_in_and_one_way_out(sensors, seed):
    network, cells = build_corridors(sensors, np.random.default_rng(seed))
    assert len(cells) == sensors == len(set(cells.tolist()))
    source, target = network.cell_edges()
    ways_in = np.bincount(target, minlength=network.num_cells)
    ways_out = np.bincount(source, minlength=network.num_cells)
    ways_in[network.sources] += 1
    ways_out[network.sinks] += 1
    merged, forked = set(network.merges[:, 2].tolist()), set(network.diverges[:, 0].tolist())
    assert [cell for cell in range(network.num_cells) if ways_in[cell] != (2 if cell in merged else 1)] == []
    assert [cell for cell in range(network.num_cells) if ways_out[cell] != (2 if cell in forked else 1)] == []
    assert nx.is_weakly_connected(nx.DiGraph(list(zip(source.tolist(), target.tolist(), strict=True))))
    assert (network.road[cells] >= 0).all()


def test_every_vehicle_that_enters_leaves():
    network, _ = build_corridors(64, np.random.default_rng(0))
    shares = flow_shares(network)
    assert shares[network.sinks].sum(axis=0) == pytest.approx(np.ones(len(network.sources)))
    assert shares.min() >= -1e-12
    assert set(entrance_roads(network).tolist()) == set(range(4))


def test_sensor_graph_by_hand():
    network, _ = build_corridors(2, np.random.default_rng(0))
    assert network.road.max() == 0
    cells = np.array([0, 2, 4, 7])
    graph = sensor_graph(network, cells)
    assert graph.distance[0] == pytest.approx([0.0, 0.6, 1.2, 2.1])
    assert np.isinf(graph.distance[3, :3]).all()  # one-way
    assert graph.adjacency.nonzero()[0].tolist() == [0, 1, 2]
    assert graph.adjacency.nonzero()[1].tolist() == [1, 2, 3]
    pairs = dict(zip(map(tuple, graph.edge_index.T.tolist()), graph.edge_weight.tolist(), strict=True))
    assert pairs[0, 1] == pairs[1, 0] == pytest.approx(np.exp(-0.09))
    assert pairs[0, 3] == pairs[3, 0] == pytest.approx(np.exp(-((2.1 / 2) ** 2)))
    assert (0, 0) not in pairs


def test_far_sensors_are_not_joined():
    network, cells = build_corridors(64, np.random.default_rng(0))
    graph = sensor_graph(network, cells)
    assert graph.edge_weight.min() >= 0.1
    miles = np.minimum(graph.distance, graph.distance.T)[tuple(graph.edge_index)]
    assert miles.max() <= 2 * np.log(10) ** 0.5
    joined = nx.Graph(graph.edge_index.T.tolist())
    assert joined.number_of_nodes() == 64
    assert nx.is_connected(joined)


def test_next_sensor_is_never_behind_another():
    network, cells = build_corridors(64, np.random.default_rng(5))
    graph = sensor_graph(network, cells)
    for here, there in np.argwhere(graph.adjacency):
        through = graph.distance[here] + graph.distance[:, there]
        through[[here, there]] = np.inf
        assert through.min() >= graph.distance[here, there] - 1e-9


def test_isolated_roads_have_no_way_between_them():
    network, cells = build_isolated_roads(5, np.random.default_rng(0))
    graph = sensor_graph(network, cells)
    assert graph.edge_index.shape == (2, 0)
    assert not graph.adjacency.any()
    assert len(network.sources) == len(network.sinks) == 5
