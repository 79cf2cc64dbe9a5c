"""RelationalGCNLayer: equal to PyG's RGCNConv on every route; values by hand; what it says to wrong input."""

import pytest
import torch
from torch_geometric.nn import FastRGCNConv, RGCNConv

from gnnkit.layers import RelationalGCNLayer
from gnnkit.layers._relations import is_dense

WEIGHTS = {"full": {}, "basis": {"num_bases": 3}, "blocks": {"num_blocks": 2}}
RELATIONS = 4


def twins(*args, dtype=torch.float64, peer=RGCNConv, **kwargs):
    """A layer and PyG's with the same weights."""
    # PyG makes its output in the default type.
    torch.set_default_dtype(dtype)
    conv = peer(*args, **kwargs)
    torch.nn.init.normal_(conv.bias)
    layer = RelationalGCNLayer(*args, **kwargs)
    torch.set_default_dtype(torch.float32)
    layer.load_state_dict(conv.state_dict())
    return layer, conv


@pytest.fixture(autouse=True)
def double():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class Watched(RelationalGCNLayer):
    """Has a hook of its own, so that it may not run fused."""

    def message(self, x_j, edge_weight):
        return x_j if edge_weight is None else edge_weight.view(-1, 1) * x_j


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("aggr", ["mean", "add", "max"])
def test_equals_pyg(graph, weights, aggr, assert_same):
    edge_index, num_nodes = graph
    edge_type = torch.randint(RELATIONS, (edge_index.size(1),))
    layer, conv = twins(6, 4, RELATIONS, aggr=aggr, **weights)
    torch.set_default_dtype(torch.float64)
    assert_same(layer, conv, torch.randn(num_nodes, 6), edge_index, edge_type)


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("aggr", ["mean", "add"])
def test_hooks_give_the_same(graph, weights, aggr, assert_same):
    edge_index, num_nodes = graph
    edge_type = torch.randint(RELATIONS, (edge_index.size(1),))
    layer = RelationalGCNLayer(6, 4, RELATIONS, aggr=aggr, **weights)
    watched = Watched(6, 4, RELATIONS, aggr=aggr, **weights)
    watched.load_state_dict(layer.state_dict())
    assert_same(layer, watched, torch.randn(num_nodes, 6), edge_index, edge_type, torch.rand(edge_index.size(1)))


@pytest.mark.parametrize("kind", [RGCNConv, FastRGCNConv])
@pytest.mark.parametrize("weights", [{}, {"num_bases": 3}], ids=["full", "basis"])
@pytest.mark.parametrize("aggr", ["mean", "add"])
def test_a_crowded_graph_takes_the_dense_route_to_the_same_numbers(kind, weights, aggr, assert_same):
    edge_index, edge_type = torch.randint(7, (2, 600)), torch.randint(30, (600,))
    assert is_dense(edge_index, 7, 7)
    layer, conv = twins(6, 4, 30, aggr=aggr, peer=kind, **weights)
    torch.set_default_dtype(torch.float64)
    assert_same(layer, conv, torch.randn(7, 6), edge_index, edge_type)
    assert_same(layer, conv, None, edge_index % 6, edge_type)


@pytest.mark.parametrize("weights", [{}, {"num_bases": 2}], ids=["full", "basis"])
@pytest.mark.parametrize("aggr", ["mean", "add", "max"])
def test_ids_in_place_of_features(weights, aggr, assert_same):
    edge_index, edge_type = torch.tensor([[0, 1, 2, 3, 3], [1, 2, 3, 0, 2]]), torch.tensor([0, 1, 1, 3, 1])
    layer, conv = twins(5, 4, RELATIONS, aggr=aggr, **weights)
    torch.set_default_dtype(torch.float64)
    assert_same(layer, conv, torch.tensor([4, 0, 2, 2]), edge_index, edge_type)


def test_sources_and_targets_of_two_kinds(assert_same):
    edge_index, edge_type = torch.tensor([[0, 4, 4, 2], [1, 0, 1, 1]]), torch.tensor([0, 0, 2, 0])
    layer, conv = twins((6, 3), 4, RELATIONS)
    torch.set_default_dtype(torch.float64)
    assert_same(layer, conv, (torch.randn(5, 6), torch.randn(2, 3)), edge_index, edge_type)


def test_the_other_flow_is_the_reversed_graph(graph):
    edge_index, num_nodes = graph
    edge_type = torch.randint(RELATIONS, (edge_index.size(1),))
    layer = RelationalGCNLayer(6, 4, RELATIONS)
    other = RelationalGCNLayer(6, 4, RELATIONS, flow="target_to_source")
    other.load_state_dict(layer.state_dict())
    x = torch.randn(num_nodes, 6)
    torch.testing.assert_close(other(x, edge_index, edge_type), layer(x, edge_index.flip(0), edge_type))


def test_by_hand():
    layer = RelationalGCNLayer(1, 1, 2, root_weight=False, bias=False)
    layer.weight.data = torch.tensor([[[2.0]], [[10.0]]])
    x = torch.tensor([[1.0], [3.0], [5.0]])
    edge_index, edge_type = torch.tensor([[0, 1, 0], [2, 2, 2]]), torch.tensor([0, 0, 1])
    # node 2: relation 0: 2 * mean(1, 3) = 4; relation 1: 10 * 1
    assert layer(x, edge_index, edge_type).flatten().tolist() == [0.0, 0.0, 14.0]
    weighted = layer(x, edge_index, edge_type, torch.tensor([1.0, 0.0, 0.5]))
    assert weighted.flatten().tolist() == [0.0, 0.0, 2 * 1 / 2 + 10 * 0.5]


def test_propagate_is_generated():
    assert RelationalGCNLayer(2, 2, 1).propagate.__module__.endswith("_propagate")


def test_gradcheck():
    edge_index, edge_type = torch.tensor([[0, 1, 2, 0], [1, 2, 0, 2]]), torch.tensor([0, 1, 1, 0])
    layer = RelationalGCNLayer(3, 2, 2, num_bases=2)

    def call(x, weight, comp, edge_weight):
        parameters = {"weight": weight, "comp": comp}
        return torch.func.functional_call(layer, parameters, (x, edge_index, edge_type, edge_weight))

    inputs = (torch.randn(3, 3), layer.weight.detach(), layer.comp.detach(), torch.rand(4))
    assert torch.autograd.gradcheck(call, [value.clone().requires_grad_() for value in inputs])


BAD = {
    "both": (lambda: RelationalGCNLayer(4, 4, 2, num_bases=1, num_blocks=2), "exclude each other"),
    "blocks": (lambda: RelationalGCNLayer(4, 3, 2, num_blocks=2), "must divide in_channels=4 and out_channels=3"),
    "relations": (lambda: RelationalGCNLayer(4, 4, 0), "num_relations must be 1 or more"),
    "type": (lambda: call(kinds=torch.tensor([0, 2])), "edge_type holds 2, relations are 0 to 1"),
    "types": (
        lambda: call(kinds=torch.tensor([0])),
        r"edge_type must hold integers \[2\], one for each edge, got torch.int64 \[1\]",
    ),
    "width": (lambda: call(x=torch.zeros(3, 5)), "x has 5 features"),
    "node": (lambda: call(edges=torch.tensor([[0, 1], [1, 3]])), "3"),
    "ids": (lambda: call(x=torch.tensor([0, 4, 1])), "ids"),
    "blocks of ids": (lambda: RelationalGCNLayer(4, 4, 2, num_blocks=2)(None, EDGES, KINDS), "block-diagonal"),
    "weight": (lambda: call(weight=torch.ones(3)), "edge_weight"),
}
EDGES, KINDS = torch.tensor([[0, 1], [1, 2]]), torch.tensor([0, 1])


def call(x=None, edges=EDGES, kinds=KINDS, weight=None):
    return RelationalGCNLayer(4, 4, 2)(torch.zeros(3, 4) if x is None else x, edges, kinds, weight)


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_nan_does_not_reach_nodes_without_an_edge_to_it():
    torch.manual_seed(0)
    edges, kinds = torch.randint(1, 6, (2, 200)), torch.randint(5, (200,))  # dense enough for matrices over all pairs
    conv = RGCNConv(4, 3, 5, num_bases=2)
    layer = RelationalGCNLayer(4, 3, 5, num_bases=2)
    layer.load_state_dict(conv.state_dict())
    x = torch.randn(6, 4)
    x[0] = float("nan")  # nobody's neighbour
    out = layer(x, edges, kinds)
    assert out[0].isnan().all()
    torch.testing.assert_close(out[1:], conv(x, edges, kinds)[1:])


def test_repr_and_sizes_are_pygs():
    for channels in (4, (4, 3)):
        layer, conv = twins(channels, 5, RELATIONS)
        assert repr(layer) == repr(conv).replace("RGCNConv", "RelationalGCNLayer")
        assert (layer.in_channels, layer.in_channels_l) == (conv.in_channels, conv.in_channels_l)


@pytest.mark.parametrize("kind", [torch.int32, torch.int16, torch.uint8, torch.bool])
def test_relations_of_any_integer_type(kind):
    layer, x = RelationalGCNLayer(4, 4, 2), torch.randn(3, 4)
    torch.testing.assert_close(layer(x, EDGES, KINDS.to(kind)), layer(x, EDGES, KINDS))


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_types_come_out_as_in_pyg(weights, kind):
    torch.set_default_dtype(torch.float32)
    layer, conv = (made.to(kind) for made in twins(4, 6, RELATIONS, **weights, dtype=torch.float32))
    x, edges, kinds = torch.randn(5, 4).to(kind), torch.randint(5, (2, 20)), torch.randint(RELATIONS, (20,))
    out, expected = layer(x, edges, kinds), conv(x, edges, kinds)
    assert out.dtype == expected.dtype == torch.float32
    torch.testing.assert_close(out, expected, rtol=5e-2, atol=5e-2)


def test_torchscript_is_refused_with_the_ways_that_there_are():
    with pytest.raises(NotImplementedError, match=r"TorchScript cannot compile RelationalGCNLayer, .*torch\.compile"):
        torch.jit.script(torch.nn.Sequential(RelationalGCNLayer(4, 4, 2)))


def test_an_incoming_nan_reaches_the_sources_of_that_node_alone():
    edges = torch.tensor([[i, j] for i in range(6) for j in range(6) if (i + j) % 2 == 0]).t().repeat(1, 8)
    kinds = torch.arange(8).repeat_interleave(edges.size(1) // 8)
    assert is_dense(edges, 6, 6)
    layer, conv = twins(4, 3, 8, num_bases=2)
    torch.set_default_dtype(torch.float64)
    x, above = torch.randn(6, 4, requires_grad=True), torch.randn(6, 3)
    for value in (float("nan"), float("inf")):
        above[1, 2] = value
        for create in (False, True):
            found, expected = (
                torch.autograd.grad(made(x, edges, kinds), x, above, create_graph=create)[0] for made in (layer, conv)
            )
            assert found[::2].isfinite().all()
            assert not found[1::2].isfinite().any()
            torch.testing.assert_close(found[::2], expected[::2])
