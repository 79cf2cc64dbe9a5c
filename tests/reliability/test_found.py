"""What fuzzing found, each once, in plain values."""

import numpy as np
import pytest
import torch
from torch_geometric.data import Data, HeteroData

from gnnkit import layers
from gnnkit.compare.forecasts.read import read_forecasts
from gnnkit.data import read_own, rolling_splits, simulate_traffic
from gnnkit.data.edges import read_edges
from gnnkit.graph import check_edge_index, check_edge_weight, correlations, receptive_field, six_node_graph, to_csr
from gnnkit.loader import NeighborLoader, PartitionLoader
from gnnkit.ops import spmm
from gnnkit.statistics.diebold_mariano import diebold_mariano
from gnnkit.statistics.paired import holm

EDGES = torch.tensor([[0, 1], [1, 2]])


@pytest.mark.parametrize("edges", [[[0], [5]], [[5], [0]], [[-1], [0]]])
def test_a_sampler_does_not_sort_edges_of_no_node(edges):
    # PyG sorts them into an array of the nodes' size: memory behind it was written to, and the process died later.
    with pytest.raises(ValueError, match=r"edge_index\[\d\] holds node id -?\d, allowed: 0 .. 2 \(3 \w+ nodes\)"):
        NeighborLoader(Data(x=torch.ones(3, 1), edge_index=torch.tensor(edges)), [1])


def test_nor_do_several_kinds_of_nodes():
    data = HeteroData()
    data["a"].x, data["b"].x = torch.ones(3, 1), torch.ones(2, 1)
    data["a", "to", "b"].edge_index = torch.tensor([[2], [1]])
    assert len(list(NeighborLoader(data, [1], input_nodes="b"))) == 2
    data["a", "to", "b"].edge_index = torch.tensor([[1], [2]])
    with pytest.raises(ValueError, match=r"edge_index\[1\] holds node id 2, allowed: 0 .. 1 \(2 target nodes\)"):
        NeighborLoader(data, [1], input_nodes="b")


@pytest.mark.parametrize("hops", [[], [1]])
@pytest.mark.parametrize("seed", [-1, 3])
def test_seeds_that_are_no_nodes_are_named(hops, seed):
    loader = NeighborLoader(Data(x=torch.ones(3, 1), edge_index=EDGES), hops, input_nodes=torch.tensor([seed]))
    with pytest.raises(ValueError, match=f"input_nodes holds {seed}, but there are 3 nodes"):
        next(iter(loader))


def test_parts_of_a_graph_with_edges_of_one_byte():
    # An index of uint8 is a mask.
    graph = six_node_graph()
    narrow = Data(x=torch.eye(6), edge_index=graph.edge_index.to(torch.uint8))
    wide = Data(x=torch.eye(6), edge_index=graph.edge_index)
    for one, other in zip(PartitionLoader(narrow, 2, halo=2), PartitionLoader(wide, 2, halo=2), strict=True):
        assert one.edge_index.tolist() == other.edge_index.tolist()
        assert one.n_id.tolist() == other.n_id.tolist()


@pytest.mark.parametrize("wrong", [1.5, -1, "3"])
def test_a_count_of_nodes_that_is_none(wrong):
    for ask in (check_edge_index, lambda edges, count: to_csr(edges, None, count)):
        with pytest.raises(ValueError, match=f"num_nodes must be a whole number from 0 on, got {wrong!r}"):
            ask(EDGES, wrong)


def test_what_is_no_tensor_is_told():
    with pytest.raises(ValueError, match=r"edge_weight must be a tensor, got list; use torch.tensor"):
        check_edge_weight([1.0, 2.0], 2)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"weight is a str: weights are a tensor \[2\]"):
        spmm(EDGES, torch.ones(3, 1), "a")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"x must be floating-point features \[..., N, F\], got int"):
        receptive_field(layers.GCNLayer(3, 2), 1, EDGES)  # pyright: ignore[reportArgumentType]


def test_correlations_of_no_rows_and_of_no_table():
    assert correlations(torch.empty(0, 2)).tolist() == [[0, 0], [0, 0]]
    assert correlations(torch.empty(5, 0)).shape == (0, 0)
    with pytest.raises(ValueError, match=r"values must be \[L, N\], .* got \[3\]"):
        correlations(torch.ones(3))


@pytest.mark.parametrize("layer", [layers.SAGELayer, layers.GraphConvLayer])
def test_what_a_layer_cannot_aggregate_with(layer):
    with pytest.raises(ValueError, match=r"aggr must be a name such as 'add' or 'mean', .* got 2"):
        layer(2, 2, 2)
    with pytest.raises(ValueError, match=r"in_channels must be a number of channels, got \[2\]"):
        layer([2], 1)


@pytest.mark.parametrize("layer", ["SAGELayer", "GraphConvLayer", "GCNLayer", "TAGLayer", "SGLayer"])
def test_channels_below_0(layer):
    with pytest.raises(ValueError, match="out_channels must be a number of channels, got -1"):
        getattr(layers, layer)(2, -1)
    with pytest.raises(ValueError, match="in_channels must be a number of channels, got -2"):
        getattr(layers, layer)(-2, 1)
    getattr(layers, layer)(-1, 1)  # waits for its first input


def test_channels_below_0_of_dense_layers():
    for make in (layers.MixHopLayer, layers.ChebyshevLayer, lambda a, b: layers.DiffusionLayer(a, b, matrices=1)):
        with pytest.raises(ValueError, match=r"in_channels must be a number of channels, got -1"):
            make(-1, 2)


def test_quantiles_of_no_axes(tmp_path):
    np.savez(tmp_path / "f.npz", forecasts=np.ones((2, 2, 3)), quantiles=np.float64(0.0))
    with pytest.raises(ValueError, match=r"f.npz\): quantiles have shape \[\]; give \[windows, steps, nodes, levels\]"):
        read_forecasts(tmp_path / "f.npz", "theirs", simulate_traffic(num_nodes=3, days=1))


def test_folds_without_end():
    with pytest.raises(ValueError, match=r"num_rows=inf: must be a whole number of at least 0"):
        rolling_splits(float("inf"), 1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="season=-1: must be a whole number of at least 0"):
        rolling_splits(100, 1, season=-1)


def test_tests_of_numbers_beyond_measure_and_of_tables():
    with pytest.raises(ValueError, match=r"p_values must be one p-value a test, got shape \[1, 3\]"):
        holm([[0.1, 0.2, 0.3]])  # pyright: ignore[reportArgumentType]
    draw = np.random.default_rng(0)
    large, other = draw.normal(size=(2, 8)) * 1e200, draw.normal(size=(2, 8)) * 1e200
    with pytest.raises(ValueError, match=r"scores have a variance of inf, whose square is no number"):
        diebold_mariano(large, other, np.ones(8), lag=2)


def test_edges_in_another_encoding(tmp_path):
    path = tmp_path / "e.csv"
    path.write_bytes("source,target\nKöln,Bonn\n".encode("cp1252"))
    assert read_edges(path).node_names == ("Köln", "Bonn")
    path.write_bytes(b"source,target\na\0b,c\n")
    with pytest.raises(ValueError, match=r"e.csv: not a text file"):
        read_edges(path)


def test_a_name_that_a_spreadsheet_would_compute_is_told(tmp_path):
    (tmp_path / "s.csv").write_text("=1+2,b\n" + "1,2\n3,4\n5,7\n" * 5)
    series = read_own(tmp_path / "s.csv")
    assert series.node_names == ("=1+2", "b")  # as it is: programs look for it by this name
    assert sum("the name '=1+2' begins like a formula" in note for note in series.notes) == 1
