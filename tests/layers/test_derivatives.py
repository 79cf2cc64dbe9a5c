"""Derivatives of derivatives of every layer, its inputs being functions of one leaf: as forces and penalties take them.

Held to PyG's twin where there is one, else to the same layer on the ops' definitions; and to differences.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch_geometric.nn as pyg
from torch import Tensor, nn
from torch.autograd.functional import hessian, jacobian

from gnnkit._optional import is_available
from gnnkit.layers import (
    ChebyshevLayer,
    DAGNNLayer,
    DiffusionLayer,
    GATLayer,
    GATv2Layer,
    GCN2Layer,
    GCNLayer,
    MixHopLayer,
    NodeClassifier,
    PairNorm,
    RelationalGCNLayer,
    TransformerLayer,
    mixing_matrix,
    transition_matrices,
)
from gnnkit.ops import use_backend
from gnnkit.temporal import A3TGCN, TGCN, TGCNCell

NODES = 7
EDGES = torch.tensor([[0, 1, 2, 2, 3, 0, 0, 5, 5, 4], [1, 1, 0, 3, 3, 3, 3, 0, 5, 2]])  # an edge twice, loops, a leaf
KINDS = torch.tensor([0, 1, 1, 0, 2, 0, 1, 2, 0, 1])
GENERATOR = torch.Generator().manual_seed(0)
LEAF = torch.randn(NODES, 4, dtype=torch.float64, generator=GENERATOR)
DIRECTION = torch.randn(NODES, 4, dtype=torch.float64, generator=GENERATOR)


def lengths(leaf: Tensor) -> Tensor:
    return torch.exp(-(leaf[EDGES[0]] - leaf[EDGES[1]]).square().sum(-1))


def features(leaf: Tensor) -> Tensor:
    return torch.stack([lengths(leaf), (leaf[EDGES[0]] * leaf[EDGES[1]]).sum(-1)], dim=-1)


def steps(leaf: Tensor) -> Tensor:
    return torch.stack([leaf[:, :2], leaf[:, 2:].sin(), leaf[:, :2] * leaf[:, 2:]])[None]  # [1, 3, N, 2]


Layer = tuple[Callable[[], nn.Module], Callable[[], nn.Module] | None, Callable[[Any, Tensor], Tensor]]
LAYERS: dict[str, Layer] = {
    "GCN": (lambda: GCNLayer(4, 3), lambda: pyg.GCNConv(4, 3), lambda m, t: m(t.sin(), EDGES)),
    "GCN, wide": (lambda: GCNLayer(4, 9), lambda: pyg.GCNConv(4, 9), lambda m, t: m(t.sin(), EDGES, lengths(t))),
    "GCN, weights": (lambda: GCNLayer(4, 3), lambda: pyg.GCNConv(4, 3), lambda m, t: m(t, EDGES, lengths(t))),
    "GCN, not normalised": (
        lambda: GCNLayer(4, 3, normalize=False),
        lambda: pyg.GCNConv(4, 3, normalize=False),
        lambda m, t: m(t, EDGES, lengths(t)),
    ),
    "GCN2": (
        lambda: GCN2Layer(4, 0.1, 0.5, 1),
        lambda: pyg.GCN2Conv(4, 0.1, 0.5, 1),
        lambda m, t: m(t.sin(), t.cos(), EDGES, lengths(t)),
    ),
    "GAT": (lambda: GATLayer(4, 3, 2), lambda: pyg.GATConv(4, 3, 2), lambda m, t: m(t.sin(), EDGES)),
    "GAT, edge features": (
        lambda: GATLayer(4, 3, 2, edge_dim=2, concat=False, residual=True),
        lambda: pyg.GATConv(4, 3, 2, edge_dim=2, concat=False, residual=True),
        lambda m, t: m(t, EDGES, features(t)),
    ),
    "GAT, two kinds": (
        lambda: GATLayer((4, 2), 3, add_self_loops=False),
        lambda: pyg.GATConv((4, 2), 3, add_self_loops=False),
        lambda m, t: m((t, t[:, :2].cos()), EDGES),
    ),
    "GATv2, edge features": (
        lambda: GATv2Layer(4, 3, 2, edge_dim=2, concat=False, residual=True),
        lambda: pyg.GATv2Conv(4, 3, 2, edge_dim=2, concat=False, residual=True),
        lambda m, t: m(t, EDGES, features(t)),
    ),
    "Transformer, edge features": (
        lambda: TransformerLayer(4, 3, 2, edge_dim=2, beta=True),
        lambda: pyg.TransformerConv(4, 3, 2, edge_dim=2, beta=True),
        lambda m, t: m(t, EDGES, features(t)),
    ),
    "RGCN": (lambda: RelationalGCNLayer(4, 3, 3), lambda: pyg.RGCNConv(4, 3, 3), lambda m, t: m(t.sin(), EDGES, KINDS)),
    "RGCN, bases": (
        lambda: RelationalGCNLayer(4, 3, 3, num_bases=2, aggr="add"),
        lambda: pyg.RGCNConv(4, 3, 3, num_bases=2, aggr="add"),
        lambda m, t: m(t.sin(), EDGES, KINDS),
    ),
    "RGCN, blocks": (
        lambda: RelationalGCNLayer(4, 6, 3, num_blocks=2),
        lambda: pyg.RGCNConv(4, 6, 3, num_blocks=2),
        lambda m, t: m(t.sin(), EDGES, KINDS),
    ),
    "RGCN, weights": (lambda: RelationalGCNLayer(4, 3, 3), None, lambda m, t: m(t, EDGES, KINDS, lengths(t))),
    "DAGNN": (lambda: DAGNNLayer(4, 3), None, lambda m, t: m(t.sin(), EDGES, lengths(t))),
    "MixHop": (lambda: MixHopLayer(4, 3), None, lambda m, t: m(t, mixing_matrix((t.sin() @ t.t()).exp()))),
    "diffusion": (
        lambda: DiffusionLayer(4, 3, matrices=2),
        None,
        lambda m, t: m(t, transition_matrices(EDGES, lengths(t), t)),
    ),
    "Chebyshev": (lambda: ChebyshevLayer(4, 3), None, lambda m, t: m(t, t.sin() @ t.t())),
    "PairNorm": (lambda: PairNorm(), None, lambda m, t: m(t.sin())),
    "node classifier": (
        lambda: NodeClassifier(4, 5, 3, activation="elu").eval(),
        None,
        lambda m, t: m(t, EDGES, lengths(t)),
    ),
    "T-GCN cell": (lambda: TGCNCell(2, 3), None, lambda m, t: m.run(steps(t), EDGES, lengths(t))),
    "T-GCN cell, state": (
        lambda: TGCNCell(2, 3, graph_convolution="input_and_state"),
        None,
        lambda m, t: m.run(steps(t), EDGES, lengths(t)),
    ),
    "T-GCN": (lambda: TGCN(2, 3, 2), None, lambda m, t: m(steps(t), EDGES, lengths(t))),
    "A3T-GCN": (lambda: A3TGCN(2, 3, 2), None, lambda m, t: m(steps(t), EDGES, lengths(t))),
}
OPS_BACKENDS = [
    pytest.param(name, marks=pytest.mark.skipif(not there, reason=f"{name} is not installed"))
    for name, there in {
        "auto": True, "torch": True, "dense": True, "numba": is_available("numba"),
        "scatter": is_available("torch_scatter"),
    }.items()
]  # fmt: skip


def on(backend: str) -> use_backend:
    """Ask for a backend where an op has it: attention has no dense one, and only spmm and attention are asked."""
    return use_backend(backend, "spmm") if backend == "dense" else use_backend(backend, "spmm", "edge_attention")


def twins(name: str) -> tuple[nn.Module, nn.Module]:
    build, build_twin, _ = LAYERS[name]
    torch.manual_seed(0)
    layer = build().double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    if build_twin is None:
        return layer, layer
    twin = build_twin().double()
    twin.load_state_dict(layer.state_dict())
    return layer, twin


def energy(name: str, layer: nn.Module, leaf: Tensor) -> Tensor:
    return LAYERS[name][2](layer, leaf).tanh().square().sum()


class Energy(nn.Module):
    """`energy` as a module, for `functional_call`."""

    def __init__(self, name: str, layer: nn.Module) -> None:
        super().__init__()
        self.name, self.layer = name, layer

    def forward(self, leaf: Tensor) -> Tensor:
        return energy(self.name, self.layer, leaf)


def derivatives(name: str, layer: nn.Module, *, at: Tensor = LEAF) -> list[Tensor]:
    """The first derivative plainly and for a second one, and the second along a direction: by the leaf, by weights."""
    leaf = at.clone().requires_grad_()
    inputs = [leaf, *(parameter for _, parameter in sorted(layer.named_parameters()))]
    plain = torch.autograd.grad(energy(name, layer, leaf), inputs, allow_unused=True)
    first = torch.autograd.grad(energy(name, layer, leaf), inputs, create_graph=True, allow_unused=True)
    second = torch.autograd.grad((first[0] * DIRECTION).sum(), inputs, allow_unused=True)
    grads = zip(inputs * 3, plain + first + second, strict=True)
    found = [torch.zeros_like(tensor) if grad is None else grad.detach() for tensor, grad in grads]
    for mine, same in zip(found[: len(inputs)], found[len(inputs) : 2 * len(inputs)], strict=True):
        torch.testing.assert_close(same, mine, rtol=0, atol=1e-12)
    return found


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("backend", OPS_BACKENDS)
def test_first_and_second_derivatives(name: str, backend: str) -> None:
    layer, twin = twins(name)
    with on(backend):
        found = derivatives(name, layer)
    with use_backend("auto" if layer is not twin else "reference", "spmm", "edge_attention", "gated_recurrence"):
        expected = derivatives(name, twin)
    for i, (mine, truth) in enumerate(zip(found, expected, strict=True)):
        scale = max(1.0, truth.abs().max().item())
        torch.testing.assert_close(mine, truth, rtol=0, atol=1e-11 * scale, msg=f"{name}: derivative {i}")


@pytest.mark.parametrize("name", LAYERS)
def test_the_second_derivative_is_that_of_differences(name: str) -> None:
    layer, _ = twins(name)
    count, step = 1 + len(list(layer.parameters())), 1e-6
    second = derivatives(name, layer)[2 * count]
    ends = [derivatives(name, layer, at=LEAF + sign * step * DIRECTION)[0] for sign in (1, -1)]
    differences = (ends[0] - ends[1]) / (2 * step)
    assert second.abs().max() > 1e-3
    torch.testing.assert_close(second, differences, rtol=0, atol=1e-6 * max(1.0, second.abs().max().item()))


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("backend", [b for b in OPS_BACKENDS if b.values[0] in ("auto", "numba")])
def test_many_gradients_at_once(name: str, backend: str) -> None:
    layer, twin = twins(name)
    run = LAYERS[name][2]
    with on(backend):
        found = jacobian(lambda t: run(layer, t), LEAF, vectorize=True)
        curvature = hessian(lambda t: energy(name, layer, t), LEAF, vectorize=True)
    torch.testing.assert_close(found, jacobian(lambda t: run(twin, t), LEAF), rtol=0, atol=1e-10)
    expected = hessian(lambda t: energy(name, twin, t), LEAF)
    torch.testing.assert_close(curvature, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", LAYERS)
def test_transforms(name: str) -> None:
    layer, twin = twins(name)
    run = LAYERS[name][2]
    many = torch.stack([LEAF, LEAF.sin(), LEAF * 2])
    one_by_one = torch.stack([run(twin, leaf) for leaf in many])
    torch.testing.assert_close(torch.func.vmap(lambda t: run(layer, t))(many), one_by_one, rtol=0, atol=1e-11)
    expected = jacobian(lambda t: run(twin, t), LEAF)
    torch.testing.assert_close(torch.func.jacrev(lambda t: run(layer, t))(LEAF), expected, rtol=0, atol=1e-10)
    along = torch.einsum("...nf,nf->...", expected, DIRECTION)
    tangent = torch.func.jvp(lambda t: run(layer, t), (LEAF,), (DIRECTION,))[1]
    torch.testing.assert_close(tangent, along, rtol=0, atol=1e-10)
    weights = dict(layer.named_parameters())
    if weights:
        wrapped = Energy(name, layer)
        by_weights = torch.func.grad(lambda w: torch.func.functional_call(wrapped, w, (LEAF,)))(
            {f"layer.{key}": value for key, value in weights.items()}
        )
        plain = torch.autograd.grad(energy(name, layer, LEAF), list(weights.values()), allow_unused=True)
        for (key, mine), truth in zip(by_weights.items(), plain, strict=True):
            expected = torch.zeros_like(mine) if truth is None else truth
            torch.testing.assert_close(mine, expected, rtol=0, atol=1e-11, msg=key)


@pytest.mark.parametrize(
    ("layer", "twin", "arguments"),
    [
        (GCNLayer, pyg.GCNConv, (4, 3, False, False, False, False)),
        (GATLayer, pyg.GATConv, (4, 3, 2, True, 0.2, 0.0, False)),
    ],
)
def test_edge_lists_of_a_vmap(layer: type, twin: type, arguments: tuple) -> None:
    torch.manual_seed(0)
    many, x = torch.randint(NODES, (3, 2, 20)), torch.randn(3, NODES, 4)
    mine, other = layer(*arguments), twin(*arguments)
    other.load_state_dict(mine.state_dict())
    expected = torch.stack([other(a, edges) for a, edges in zip(x, many, strict=True)])
    torch.testing.assert_close(torch.func.vmap(mine)(x, many), expected)
    torch.testing.assert_close(
        torch.func.vmap(mine, in_dims=(None, 0))(x[0], many), torch.stack([other(x[0], edges) for edges in many])
    )
