"""GCN2Layer against PyG's GCN2Conv."""

import pytest
import torch
from torch_geometric.nn import GCN2Conv

from gnnkit.layers import GCN2Layer

SETTINGS = [
    {"alpha": 0.1},
    {"alpha": 0.3, "theta": 0.5, "layer": 4},
    {"alpha": 0.2, "theta": 0.5, "layer": 1, "shared_weights": False},
    {"alpha": 0.2, "normalize": False},
    {"alpha": 0.2, "add_self_loops": False},
    {"alpha": 0.2, "flow": "target_to_source"},
]


def twins(settings, dtype=torch.float64):
    conv, layer = GCN2Conv(4, **settings).to(dtype), GCN2Layer(4, **settings).to(dtype)
    layer.load_state_dict(conv.state_dict())
    return layer, conv


@pytest.mark.parametrize("settings", SETTINGS)
def test_same_output_and_gradients_as_pyg(graph, settings, assert_same):
    edge_index, num_nodes = graph
    layer, conv = twins(settings)
    x, x_0 = torch.randn(2, num_nodes, 4, dtype=torch.float64)
    assert_same(layer, conv, x, x_0, edge_index)
    assert_same(layer, conv, x, x_0, edge_index, torch.rand(edge_index.size(1), dtype=torch.float64) + 0.5)


def test_hooks_run_the_plain_path_with_the_same_numbers():
    edge_index = torch.tensor([[0, 1, 2], [1, 2, 0]])
    layer, _ = twins({"alpha": 0.1, "theta": 0.5, "layer": 2, "cached": True})
    x, x_0 = torch.randn(2, 3, 4, dtype=torch.float64)
    fused = layer(x, x_0, edge_index)
    seen = []
    layer.register_message_forward_hook(lambda *arguments: seen.append(1))
    torch.testing.assert_close(layer(x, x_0, edge_index), fused)
    assert seen == [1]


def test_sparse_graphs_and_batches():
    edge_index = torch.tensor([[0, 1, 2, 2], [1, 2, 0, 1]])
    layer, _ = twins({"alpha": 0.1, "theta": 0.5, "layer": 2})
    adj_t = torch.sparse_coo_tensor(edge_index.flip(0), torch.ones(4, dtype=torch.float64), (3, 3)).to_sparse_csr()
    x, x_0 = torch.randn(2, 3, 4, dtype=torch.float64)
    expected = layer(x, x_0, edge_index)
    torch.testing.assert_close(layer(x, x_0, adj_t), expected)
    both = layer(torch.stack([x, x_0]), torch.stack([x_0, x]), edge_index)
    torch.testing.assert_close(both[0], expected)


def test_propagate_is_generated():
    assert GCN2Layer(4, 0.1).propagate.__module__.endswith("_propagate")
    assert repr(GCN2Layer(4, 0.1)) == "GCN2Layer(4, alpha=0.1, beta=1.0)"


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="theta and layer must be given together"):
        GCN2Layer(4, 0.1, theta=0.5)
    layer = GCN2Layer(4, 0.1)
    edges = torch.tensor([[0], [1]])
    with pytest.raises(ValueError, match="x_0 must have as many nodes as x"):
        layer(torch.ones(3, 4), torch.ones(2, 4), edges)
    with pytest.raises(ValueError, match="x has 3 features per node"):
        layer(torch.ones(2, 3), torch.ones(2, 3), edges)
    with pytest.warns(UserWarning, match="beside a sparse adj_t"):
        layer(torch.ones(2, 4), torch.ones(2, 4), torch.eye(2).to_sparse_csr(), torch.ones(2))


GRAPH = torch.tensor([[0, 1, 2, 3, 0, 2, 2], [1, 2, 3, 0, 2, 2, 1]])
SHARED = pytest.mark.parametrize("shared", [True, False])


@SHARED
@pytest.mark.parametrize("theta", [0.5, 0.0, -0.5])
def test_longer_and_single_first_features_are_cut_and_repeated(shared, theta, assert_same):
    layer, conv = twins({"alpha": 0.3, "theta": theta, "layer": 1, "shared_weights": shared})
    x, x_0 = torch.randn(4, 4, dtype=torch.float64), torch.randn(6, 4, dtype=torch.float64)
    assert_same(layer, conv, x, x_0, GRAPH)
    out = layer(x, x_0[:1], GRAPH)
    torch.testing.assert_close(out, layer(x, x_0[:1].expand(4, 4), GRAPH))


@SHARED
def test_weights_in_a_column_and_of_other_types(shared, assert_same):
    layer, conv = twins({"alpha": 0.3, "theta": 0.5, "layer": 1, "shared_weights": shared})
    x, x_0 = torch.randn(2, 4, 4, dtype=torch.float64)
    weight = torch.rand(7, 1, dtype=torch.float64)
    assert_same(layer, conv, x, x_0, GRAPH, weight)
    layer, conv = twins({"alpha": 0.3, "normalize": False, "shared_weights": shared})
    for kind in (torch.int64, torch.bool):
        counts = torch.tensor([1, 2, 0, 3, 1, 1, 4]).to(kind)
        torch.testing.assert_close(layer(x, x_0, GRAPH, counts), conv(x, x_0, GRAPH, counts))


@SHARED
def test_autocast_gives_the_types_of_pyg(shared):
    layer, conv = twins({"alpha": 0.3, "theta": 0.5, "layer": 1, "shared_weights": shared}, torch.float32)
    x, x_0 = torch.randn(2, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        out, expected = layer(x, x_0, GRAPH), conv(x, x_0, GRAPH)
    assert out.dtype == expected.dtype
    torch.testing.assert_close(out, expected, rtol=2e-2, atol=2e-2)


def test_csc_is_csr():
    layer = GCN2Layer(4, 0.2)
    x, adj_t = torch.randn(4, 4), torch.sparse_coo_tensor(GRAPH.flip(0), torch.rand(7), (4, 4)).to_sparse_csr()
    torch.testing.assert_close(layer(x, x, adj_t.to_sparse_csc()), layer(x, x, adj_t))


@SHARED
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_torchscript_compiles_the_steps(shared):
    layer, conv = twins({"alpha": 0.3, "theta": 0.5, "layer": 1, "shared_weights": shared})
    x, x_0 = torch.randn(2, 4, 4, dtype=torch.float64)
    weight = torch.rand(7, dtype=torch.float64)
    torch.testing.assert_close(torch.jit.script(layer)(x, x_0, GRAPH, weight), conv(x, x_0, GRAPH, weight))
