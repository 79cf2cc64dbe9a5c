"""GATLayer takes what PyG's GATConv takes: other types, shapes, layouts, and other modules in the place of its own."""

import io

import pytest
import torch
from torch_geometric.nn import GATConv

from gnnkit.layers import GATLayer


def twins(*args, dtype=torch.float64, **kwargs):
    """A layer and PyG's, with the same weights; the bias is not left at zero."""
    conv = GATConv(*args, **kwargs).to(dtype)
    if conv.bias is not None:
        torch.nn.init.normal_(conv.bias)
    layer = GATLayer(*args, **kwargs).to(dtype)
    layer.load_state_dict(conv.state_dict())
    return layer, conv


GRAPH = torch.tensor([[0, 1, 2, 3, 0, 2, 2], [1, 2, 3, 0, 2, 2, 1]])


def inputs(nodes=4, edge_dim=3):
    return torch.randn(nodes, 4, dtype=torch.float64), torch.randn(7, edge_dim, dtype=torch.float64)


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("return_attention_weights", [None, True])
def test_edge_features_without_edge_dim_play_no_part_and_that_is_said(loops, return_attention_weights):
    layer, conv = twins(4, 3, heads=2, add_self_loops=loops)
    x, edge_attr = inputs()
    with pytest.warns(UserWarning, match="edge_attr plays no part: the layer was made without edge_dim") as said:
        out = layer(x, GRAPH, edge_attr, return_attention_weights=return_attention_weights)
    assert said[0].filename == __file__
    expected = conv(x, GRAPH, edge_attr, return_attention_weights=return_attention_weights)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(out, conv(x, GRAPH, return_attention_weights=return_attention_weights))


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("layout", [torch.sparse_csr, torch.sparse_coo, torch.sparse_csc])
def test_a_sparse_graph_counts_targets_without_features(loops, layout, assert_near):
    layer, conv = twins((4, 5), 3, heads=2, add_self_loops=loops)
    x, size = inputs(nodes=5)[0], (5, 3)
    edges = torch.tensor([[0, 1, 2, 4, 4], [0, 0, 2, 1, 2]])
    adj_t = torch.sparse_coo_tensor(edges.flip(0), torch.ones(5).double(), (3, 5)).coalesce()
    out = layer((x, None), adj_t.to_sparse(layout=layout))
    assert_near(out, conv((x, None), adj_t.to_sparse_csr()), "as PyG")
    assert_near(out, layer((x, None), edges, size=size), "as the edge list")


@pytest.mark.parametrize("kind", [torch.int64, torch.bool])
def test_whole_numbers_as_edge_features_beside_self_loops(kind, assert_near):
    layer, conv = twins(4, 3, heads=2, edge_dim=3, dtype=torch.float32)
    x, edge_attr = torch.randn(4, 4), torch.randint(0, 2, (7, 3)).to(kind)
    assert_near(layer(x, GRAPH, edge_attr), conv(x, GRAPH, edge_attr), "as PyG")


def test_edge_features_with_an_axis_of_one(assert_same):
    layer, conv = twins(4, 3, heads=2, edge_dim=3)
    x, edge_attr = inputs()
    assert_same(layer, conv, x, GRAPH, edge_attr.unsqueeze(1))


def weight_norm(lin, width):
    return torch.nn.utils.parametrizations.weight_norm(lin)


def own_forward(lin, width):
    lin.forward = lambda x: torch.nn.functional.linear(x, lin.weight).tanh()
    return lin


MAPS = {
    "Linear": lambda lin, width: torch.nn.Linear(width, 6),
    "MLP": lambda lin, width: torch.nn.Sequential(torch.nn.Linear(width, 5), torch.nn.Tanh(), torch.nn.Linear(5, 6)),
    "weight norm": weight_norm,
    "forward": own_forward,
}


@pytest.mark.parametrize("change", MAPS.values(), ids=MAPS)
@pytest.mark.parametrize("name", ["lin", "lin_src", "lin_dst", "lin_edge", "res"])
def test_another_map_in_the_place_of_a_layers_own(name, change, assert_same):
    bipartite = name in ("lin_src", "lin_dst")
    layer, conv = twins((4, 4) if bipartite else 4, 3, heads=2, edge_dim=3, residual=True, dtype=torch.float32)
    for made in (layer, conv):
        torch.manual_seed(3)
        setattr(made, name, change(getattr(made, name), 3 if name == "lin_edge" else 4))
    x, edge_attr = inputs()
    assert_same(layer.double(), conv.double(), (x, x.clone()) if bipartite else x, GRAPH, edge_attr)


@pytest.mark.parametrize("edge_dim", [None, 3])
def test_autocast_gives_the_types_of_pyg(edge_dim):
    layer, conv = twins(4, 3, heads=2, edge_dim=edge_dim, bias=False, dtype=torch.float32)
    x, edge_attr = (part.float() for part in inputs())
    with torch.autocast("cpu", torch.bfloat16):
        out, expected = (made(x, GRAPH, None if edge_dim is None else edge_attr) for made in (layer, conv))
    assert out.dtype == expected.dtype
    torch.testing.assert_close(out, expected, rtol=2e-2, atol=2e-2)


def test_features_of_another_type_than_the_weights_are_named():
    with pytest.raises(ValueError, match=r"features are of type torch.float64, the layer's weights of torch.float32"):
        GATLayer(4, 3)(torch.randn(4, 4).double(), GRAPH)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_torchscript_is_refused_with_the_ways_that_there_are():
    nested = torch.nn.Sequential(GATLayer(4, 3))
    for module in (GATLayer(4, 3), nested):
        with pytest.raises(NotImplementedError, match=r"TorchScript cannot compile GATLayer, .*torch\.compile"):
            torch.jit.script(module)
    with pytest.raises(RuntimeError):
        torch.jit.script(GATConv(4, 3))


def test_edge_features_that_play_no_part_compile_without_a_graph_break():
    layer, _ = twins(4, 3)
    x, edge_attr = inputs()
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, GRAPH, edge_attr), layer(x, GRAPH))


def test_second_derivatives_by_features_that_are_not_contiguous():
    layer, conv = twins(6, 3, heads=2)
    layer.lin = conv.lin = torch.nn.Identity()
    leaf = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    found = []
    for made in (layer, conv):
        first = torch.autograd.grad(made(leaf.t(), GRAPH).tanh().square().sum(), leaf, create_graph=True)[0]
        found.append((first, torch.autograd.grad(first.square().sum(), leaf)[0]))
    torch.testing.assert_close(*found)


class Shares(torch.nn.Sequential):
    """A map whose output is of single precision under autocast too."""

    def __init__(self):
        super().__init__(torch.nn.Linear(4, 6), torch.nn.Softmax(dim=-1))


@pytest.mark.parametrize("weights", [None, True])
@pytest.mark.parametrize("edge_dim", [None, 3])
def test_autocast_does_not_round_what_a_map_left_in_single_precision(edge_dim, weights):
    layer, conv = twins(4, 3, heads=2, edge_dim=edge_dim, dtype=torch.float32)
    layer.lin = conv.lin = Shares()
    x, edge_attr = (part.float() for part in inputs())
    found = []
    for made in (layer, conv):
        with torch.autocast("cpu", torch.bfloat16):
            out = made(x, GRAPH, None if edge_dim is None else edge_attr, return_attention_weights=weights)
        out = out if weights is None else out[0]
        found.append((out, *torch.autograd.grad(out.square().sum(), [made.att_src, made.lin[0].weight])))
    torch.testing.assert_close(*found, rtol=1e-2, atol=1e-2)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_trace_can_be_saved():
    layer, _ = twins(4, 3, heads=2)
    x, file = inputs()[0], io.BytesIO()
    torch.jit.save(torch.jit.trace(layer, (x, GRAPH)), file)
    file.seek(0)
    torch.testing.assert_close(torch.jit.load(file)(2 * x, GRAPH), layer(2 * x, GRAPH))


@pytest.mark.parametrize("options", [{}, {"concat": False}, {"residual": True}], ids=str)
def test_what_comes_out_may_be_written_into(options):
    layer, conv = twins(4, 3, heads=2, bias=False, **options)
    found = []
    for made in (layer, conv):
        leaf = inputs()[0].requires_grad_()
        torch.manual_seed(0)
        leaf.data.normal_()
        found.append(torch.autograd.grad(made(leaf, GRAPH).relu_().square().sum(), leaf)[0])
    torch.testing.assert_close(*found)
