"""GCNLayer takes what PyG's GCNConv takes: other types, shapes, layouts, and other modules in the place of its own."""

import io

import pytest
import torch
import torch.nn.utils.prune
from torch_geometric.nn import GCNConv

from gnnkit.graph import to_csr
from gnnkit.layers import GCNLayer


def twins(*args, dtype=torch.float64, **kwargs):
    """A layer and PyG's, with the same weights; the bias is not left at zero."""
    conv = GCNConv(*args, **kwargs).to(dtype)
    if conv.bias is not None:
        torch.nn.init.normal_(conv.bias)
    layer = GCNLayer(*args, **kwargs).to(dtype)
    layer.load_state_dict(conv.state_dict())
    return layer, conv


CHANNELS = pytest.mark.parametrize("channels", [(6, 3), (3, 6)], ids=["narrower", "wider"])
GRAPH = torch.tensor([[0, 1, 2, 3, 0, 2, 2], [1, 2, 3, 0, 2, 2, 1]])
WEIGHT = torch.tensor([0.5, 2.0, 1.0, 3.0, 0.25, 4.0, 1.5])


@CHANNELS
@pytest.mark.parametrize("settings_", [{}, {"normalize": False}, {"flow": "target_to_source"}], ids=str)
def test_weights_in_a_column_are_the_weights(channels, settings_, assert_same):
    layer, conv = twins(*channels, **settings_)
    x, weight = torch.randn(4, channels[0], dtype=torch.float64), WEIGHT.double().view(-1, 1)
    assert_same(layer, conv, x, GRAPH, weight)
    assert_same(layer, conv, torch.stack([x, -x]), GRAPH, weight)


@CHANNELS
@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (1,), ()], ids=str)
def test_weights_that_are_not_normalised_come_in_any_shape(channels, shape, assert_same):
    layer, conv = twins(*channels, normalize=False)
    weight = WEIGHT.double().view(shape) if len(shape) == 2 else torch.tensor(1.5).double().view(shape)
    assert_same(layer, conv, torch.randn(4, channels[0], dtype=torch.float64), GRAPH, weight)


@CHANNELS
@pytest.mark.parametrize("kind", [torch.int64, torch.int32, torch.uint8, torch.bool, torch.float64, torch.complex64])
def test_weights_of_other_types_that_are_not_normalised(channels, kind):
    layer, conv = twins(*channels, normalize=False, dtype=torch.float32)
    x, weight = torch.randn(4, channels[0]), WEIGHT.to(kind)
    out, expected = layer(x, GRAPH, weight), conv(x, GRAPH, weight)
    assert out.dtype == expected.dtype
    torch.testing.assert_close(out, expected)


@CHANNELS
@pytest.mark.parametrize(
    ("module", "weight"),
    [
        (torch.float32, torch.float64),
        (torch.float64, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float16),
        (torch.float32, torch.complex64),
    ],
)
def test_types_mix_as_in_pyg(channels, module, weight):
    layer, conv = twins(*channels, dtype=module)
    x, grads = torch.randn(4, channels[0], dtype=module), []
    for made in (layer, conv):
        leaf, weights = x.clone().requires_grad_(), WEIGHT.to(weight, copy=True).requires_grad_()
        out = made(leaf, GRAPH, weights)
        grads.append((out, *torch.autograd.grad(out.abs().double().square().sum(), [leaf, weights, made.lin.weight])))
    near = {} if module.itemsize > 2 else {"rtol": 3e-2, "atol": 3e-2}
    for got, expected in zip(*grads, strict=True):
        assert got.dtype == expected.dtype
        torch.testing.assert_close(got, expected, **near)


@CHANNELS
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_autocast_gives_the_types_of_pyg(channels, bias, weight):
    layer, conv = twins(*channels, bias=bias, dtype=torch.float32)
    x = torch.randn(4, channels[0])
    with torch.autocast("cpu", torch.bfloat16):
        out, expected = layer(x, GRAPH, weight), conv(x, GRAPH, weight)
    assert out.dtype == expected.dtype
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)


class Adapter(torch.nn.Module):
    """A map and a low-rank one beside it, as LoRA writes it."""

    def __init__(self, base, channels):
        super().__init__()
        self.base = base
        self.down, self.up = torch.nn.Linear(channels[0], 2, bias=False), torch.nn.Linear(2, channels[1], bias=False)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))


def set_forward(lin, channels):
    lin.forward = lambda x: torch.nn.functional.linear(x, lin.weight).relu()
    return lin


def set_bias(lin, channels):
    lin.bias = torch.nn.Parameter(torch.ones(channels[1]))
    return lin


def prune(lin, channels):
    lin.weight = torch.nn.Parameter(lin.weight.detach()[:, : channels[0]].clone())
    return lin


MAPS = {
    "Linear": lambda lin, channels: torch.nn.Linear(*channels),
    "Identity": lambda lin, channels: torch.nn.Identity(),
    "MLP": lambda lin, channels: torch.nn.Sequential(torch.nn.Linear(*channels), torch.nn.Tanh()),
    "LoRA": Adapter,
    "weight norm": lambda lin, channels: torch.nn.utils.parametrizations.weight_norm(lin),
    "pruned by mask": lambda lin, channels: torch.nn.utils.prune.random_unstructured(lin, "weight", 0.5),
    "forward": set_forward,
    "bias": set_bias,
}


@CHANNELS
@pytest.mark.parametrize("change", MAPS.values(), ids=MAPS)
def test_another_map_in_the_place_of_lin(channels, change, assert_same):
    layer, conv = twins(*channels, dtype=torch.float32, bias=False)
    for made in (layer, conv):
        torch.manual_seed(3)
        made.lin = change(made.lin, channels)
    assert_same(layer.double(), conv.double(), torch.randn(4, channels[0], dtype=torch.float64), GRAPH, WEIGHT.double())


def test_a_map_whose_columns_were_taken_out_takes_as_many_features(assert_same):
    layer, conv = twins(6, 3)
    for made in (layer, conv):
        made.lin = prune(made.lin, (4, 3))
    assert_same(layer, conv, torch.randn(4, 4, dtype=torch.float64), GRAPH)
    with pytest.raises(ValueError, match="x has 5 features per node, the layer was made for 4"):
        layer(torch.randn(4, 5, dtype=torch.float64), GRAPH)


@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated:DeprecationWarning")
def test_a_quantised_map():
    layer, conv = twins(6, 3, dtype=torch.float32)
    for made in (layer, conv):
        torch.manual_seed(3)
        made.lin = torch.nn.Linear(6, 3)
    x = torch.randn(4, 6)
    quantised = [torch.ao.quantization.quantize_dynamic(made, {torch.nn.Linear}) for made in (layer, conv)]
    assert type(quantised[0].lin) is not torch.nn.Linear
    torch.testing.assert_close(quantised[0](x, GRAPH), quantised[1](x, GRAPH))


@CHANNELS
@pytest.mark.parametrize("settings_", [{}, {"add_self_loops": False}, {"normalize": False}], ids=str)
def test_csc_is_csr(channels, settings_):
    layer, _ = twins(*channels, **settings_)
    x = torch.randn(4, channels[0], dtype=torch.float64)
    adj_t = to_csr(GRAPH, WEIGHT.double(), 4)
    torch.testing.assert_close(layer(x, adj_t.to_sparse_csc()), layer(x, adj_t), rtol=1e-12, atol=1e-12)


def test_weights_beside_a_sparse_graph_play_no_part_and_that_is_said():
    layer, conv = twins(6, 3)
    x, adj_t = torch.randn(4, 6, dtype=torch.float64), to_csr(GRAPH, WEIGHT.double(), 4)
    with pytest.warns(UserWarning, match="edge_weight plays no part beside a sparse adj_t") as said:
        out = layer(x, adj_t, torch.ones(adj_t.values().numel()))
    assert said[0].filename == __file__
    torch.testing.assert_close(out, conv(x, adj_t, torch.ones(adj_t.values().numel())))


@CHANNELS
def test_a_positive_node_dim_counts_from_the_front(channels, assert_same):
    layer, conv = twins(*channels, node_dim=1)
    assert_same(layer, conv, torch.randn(2, 4, channels[0], dtype=torch.float64), GRAPH, WEIGHT.double())


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("settings_", [{}, {"normalize": False}, {"aggr": "max"}], ids=str)
def test_torchscript_compiles_the_steps_and_a_file_holds_them(settings_):
    layer, conv = twins(6, 3, **settings_)
    x, file = torch.randn(4, 6, dtype=torch.float64), io.BytesIO()
    torch.jit.save(torch.jit.script(layer), file)
    file.seek(0)
    for arguments in ((x, GRAPH), (x, GRAPH, WEIGHT.double())):
        torch.testing.assert_close(torch.jit.load(file)(*arguments), conv(*arguments))
        file.seek(0)


@CHANNELS
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_types_on_a_small_graph(channels, weight, kind):
    layer, conv = twins(*channels, dtype=kind)
    x, found = torch.randn(4, channels[0]).to(kind), []
    for made in (layer, conv):
        leaf = x.clone().requires_grad_()
        out = made(leaf, GRAPH, None if weight is None else weight.to(kind))
        found.append((out, *torch.autograd.grad(out.float().square().sum(), [leaf, made.lin.weight])))
    for got, expected in zip(*found, strict=True):
        assert got.dtype == expected.dtype == kind
        torch.testing.assert_close(got, expected, rtol=5e-2, atol=5e-2)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("nodes", [4, 5000])
def test_weights_whose_sign_is_a_flag_of_the_view(normalize, nodes):
    layer, conv = twins(6, 3, normalize=normalize)
    x, edges = torch.randn(nodes, 6, dtype=torch.float64), GRAPH if nodes == 4 else torch.arange(nodes).expand(2, -1)
    value = -torch.rand(edges.size(1), dtype=torch.float64)
    twisted = torch.complex(value, value).conj().imag
    assert twisted.is_neg()
    for weight in (twisted, torch._neg_view(value)):
        torch.testing.assert_close(layer(x, edges, weight), conv(x, edges, weight))
    x = torch._neg_view(x)
    torch.testing.assert_close(layer(x, edges), conv(x, edges))
