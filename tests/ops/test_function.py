"""Derivatives of derivatives, and many at once: every op on every backend, its inputs being functions of one leaf."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import jacobian

from gnnkit._optional import is_available
from gnnkit.ops import (
    dot_attention,
    dynamic_attention,
    edge_attention,
    gated_recurrence,
    grouped_matmul,
    segment_max,
    segment_mean,
    segment_softmax,
    segment_sum,
    spmm,
    use_backend,
)

NODES = 6
EDGES = torch.tensor([[0, 1, 2, 2, 3, 0, 0, 5, 5], [1, 1, 0, 3, 3, 3, 3, 0, 5]])  # an edge twice, a loop, a lonely node
GROUPS = torch.tensor([1, 0, 3, 1, 1, 3])
GENERATOR = torch.Generator().manual_seed(0)
MAPS = torch.randn(12, 3, 6, dtype=torch.float64, generator=GENERATOR)
LEAF = torch.randn(NODES, 3, dtype=torch.float64, generator=GENERATOR)
DIRECTION = torch.randn(NODES, 3, dtype=torch.float64, generator=GENERATOR)


def of_edges(leaf: Tensor, columns: int) -> Tensor:
    return ((leaf[EDGES[0]] - leaf[EDGES[1]]) @ MAPS[0, :, :columns]).sin()


def attention(leaf: Tensor, parts: str, **options) -> Tensor:
    torch.manual_seed(3)
    x = (leaf @ MAPS[1]).view(NODES, 2, 3)
    target = leaf @ MAPS[3, :, :2] if "t" in parts else None
    logits = of_edges(leaf, 2) if "e" in parts else None
    return edge_attention(EDGES, x, leaf @ MAPS[2, :, :2], target, logits, **options)


def dynamic(leaf: Tensor, **options) -> Tensor:
    torch.manual_seed(3)
    source, target = ((leaf @ MAPS[n]).view(NODES, 2, 3) for n in (1, 2))
    att, edge_map = (leaf.t() @ leaf @ MAPS[3]).view(3, 2, 3)[0], (leaf[:2] @ MAPS[4]).sin().view(2, 2, 3)
    return dynamic_attention(EDGES, source, target, att, of_edges(leaf, 2), edge_map, **options)


def products(leaf: Tensor, **options) -> Tensor:
    torch.manual_seed(3)
    query, key, value = ((leaf @ MAPS[n]).view(NODES, 2, 3) for n in (1, 2, 3))
    edge_map = (leaf[:2] @ MAPS[4]).sin().view(2, 2, 3)
    return dot_attention(EDGES, query, key, value, of_edges(leaf, 2), edge_map, **options)


def recurrence(leaf: Tensor, **options) -> Tensor:
    steps = torch.stack([leaf, leaf.roll(1, 0), leaf.sin()])[None, :2]  # [1, 2, N, 3]
    mixed = leaf.t() @ leaf / NODES
    inputs, states = mixed @ MAPS[4], mixed[:2] @ MAPS[5]
    return gated_recurrence(steps, (leaf @ MAPS[6, :, :2])[None], inputs, states, mixed.flatten()[:6], **options)


def blocks(leaf: Tensor) -> Tensor:
    weight = torch.stack([(leaf.t() @ leaf / NODES) @ MAPS[7 + r, :, :4] for r in range(4)])
    return grouped_matmul(leaf, GROUPS, weight)


OPS: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "spmm": ("spmm", lambda t: spmm(EDGES, t @ MAPS[0], of_edges(t, 1)[:, 0])),
    "spmm, weights of the leaf alone": ("spmm", lambda t: spmm(EDGES, LEAF @ MAPS[0], of_edges(t, 1)[:, 0])),
    "spmm, values of the leaf alone": ("spmm", lambda t: spmm(EDGES, t @ MAPS[0], of_edges(LEAF, 1)[:, 0])),
    "spmm without weights": ("spmm", lambda t: spmm(EDGES, t @ MAPS[0])),
    "spmm, mean": ("spmm", lambda t: spmm(EDGES, t @ MAPS[0], of_edges(t, 1)[:, 0], reduce="mean")),
    "spmm, batched": (
        "spmm",
        lambda t: spmm(EDGES, torch.stack([t @ MAPS[0], t.cos() @ MAPS[1]])[:, None], of_edges(t, 1)[:, 0]),
    ),
    "attention": ("edge_attention", lambda t: attention(t, "te")),
    "attention of sources": ("edge_attention", lambda t: attention(t, "")),
    "attention, dropout": ("edge_attention", lambda t: attention(t, "te", dropout=0.4, training=True)),
    "attention, another slope": ("edge_attention", lambda t: attention(t, "t", negative_slope=-0.5)),
    "dynamic attention": ("pair_attention", dynamic),
    "dynamic attention, dropout": ("pair_attention", lambda t: dynamic(t, dropout=0.4, training=True)),
    "dot attention": ("pair_attention", products),
    "segment_sum": ("segment_sum", lambda t: segment_sum(t @ MAPS[0], GROUPS, num_segments=5)),
    "segment_mean": ("segment_mean", lambda t: segment_mean(t @ MAPS[0], GROUPS, num_segments=5)),
    "segment_max": ("segment_max", lambda t: segment_max(t @ MAPS[0], GROUPS, num_segments=5)),
    "segment_softmax": ("segment_softmax", lambda t: segment_softmax(t @ MAPS[0], GROUPS, num_segments=5)),
    "recurrence": ("gated_recurrence", recurrence),
    "recurrence, last state": ("gated_recurrence", lambda t: recurrence(t, return_sequence=False)),
    "grouped_matmul": ("", blocks),
}
BACKENDS = {
    "spmm": ["torch", "dense", "numba", "scatter"],
    "edge_attention": ["torch", "numba", "scatter"],
    "pair_attention": ["torch", "numba"],
    "gated_recurrence": ["torch", "numba"],
    "segment_max": ["torch"],
    "": ["auto"],
}
INSTALLED = {"numba": is_available("numba"), "scatter": is_available("torch_scatter")}
TABLE = [
    pytest.param(
        name, backend, id=f"{name} on {backend}",
        marks=pytest.mark.skipif(not INSTALLED.get(backend, True), reason=f"{backend} is not installed"),
    )
    for name, (op, _) in OPS.items()
    for backend in BACKENDS.get(op, ["torch", "scatter"])
]  # fmt: skip
over_the_table = pytest.mark.parametrize(("name", "backend"), TABLE)


def energy(name: str, leaf: Tensor) -> Tensor:
    return OPS[name][1](leaf).tanh().square().sum()


def slope(name: str, at: Tensor, *, create_graph: bool) -> tuple[Tensor, Tensor]:
    leaf = at.clone().requires_grad_()
    (grad,) = torch.autograd.grad(energy(name, leaf), leaf, create_graph=create_graph)
    return grad, leaf


def derivatives(name: str) -> list[Tensor]:
    """First, second and third derivative along a direction."""
    found, (grad, leaf) = [], slope(name, LEAF, create_graph=True)
    for order in range(3):
        found.append(grad.detach())
        if order < 2 and grad.requires_grad:
            (grad,) = torch.autograd.grad((grad * DIRECTION).sum(), leaf, create_graph=True, allow_unused=True)
            grad = torch.zeros_like(leaf) if grad is None else grad
    return found


@over_the_table
def test_three_derivatives_are_those_of_the_definition(name: str, backend: str) -> None:
    with use_backend(backend):
        found, plain = derivatives(name), slope(name, LEAF, create_graph=False)[0]
    with use_backend("reference" if OPS[name][0] else "auto"):
        expected = derivatives(name)
    torch.testing.assert_close(found[0], plain, rtol=0, atol=1e-13)
    for order, (mine, truth) in enumerate(zip(found, expected, strict=True), 1):
        torch.testing.assert_close(mine, truth, rtol=0, atol=1e-12 * max(1.0, truth.abs().max().item()), msg=f"{order}")


@over_the_table
def test_the_second_derivative_is_that_of_differences(name: str, backend: str) -> None:
    step = 1e-6
    with use_backend(backend):
        second = derivatives(name)[1]
        ends = [slope(name, LEAF + sign * step * DIRECTION, create_graph=False)[0] for sign in (1, -1)]
    differences = (ends[0] - ends[1]) / (2 * step)
    assert second.abs().max() > 1e-3
    torch.testing.assert_close(second, differences, rtol=0, atol=1e-7 * max(1.0, second.abs().max().item()))


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@over_the_table
def test_many_gradients_at_once(name: str, backend: str) -> None:
    run = OPS[name][1]
    with use_backend(backend):
        expected = jacobian(run, LEAF)
        torch.testing.assert_close(jacobian(run, LEAF, vectorize=True), expected, rtol=0, atol=1e-12)
        leaf = LEAF.clone().requires_grad_()
        out = run(leaf)
        above = torch.randn(4, *out.shape, dtype=torch.float64)
        one_by_one = torch.stack([torch.autograd.grad(out, leaf, v, retain_graph=True)[0] for v in above])
        for create_graph in (False, True):
            (found,) = torch.autograd.grad(
                out, leaf, above, retain_graph=True, is_grads_batched=True, create_graph=create_graph
            )
            torch.testing.assert_close(found, one_by_one, rtol=0, atol=1e-12)
        found = torch.func.vmap(lambda v: torch.autograd.grad(out, leaf, v, retain_graph=True)[0])(above)
        torch.testing.assert_close(found, one_by_one, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@over_the_table
def test_hessians_of_every_kind(name: str, backend: str) -> None:
    def function(leaf: Tensor) -> Tensor:
        return energy(name, leaf)

    with use_backend(backend):
        one_by_one = torch.autograd.functional.hessian(function, LEAF)
        at_once = torch.autograd.functional.hessian(function, LEAF, vectorize=True)
    assert isinstance(one_by_one, Tensor)
    torch.testing.assert_close(at_once, one_by_one, rtol=0, atol=1e-11)
    if "dropout" in name:
        return  # torch.func asks how its random numbers are meant, as it does of torch's own dropout
    torch.testing.assert_close(torch.func.hessian(function)(LEAF), one_by_one, rtol=0, atol=1e-11)
    torch.testing.assert_close(torch.func.jacrev(torch.func.jacrev(function))(LEAF), one_by_one, rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    "name",
    [
        "spmm", "spmm, batched", "attention", "attention, dropout", "attention of sources", "dynamic attention",
        "dynamic attention, dropout", "dot attention",
    ],
)  # fmt: skip
def test_the_operators_of_compiled_graphs_can_be_differentiated_twice(name: str) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(OPS[name][1], backend="eager")

    def second(function: Callable[[Tensor], Tensor]) -> list[Tensor]:
        leaf = LEAF.clone().requires_grad_()
        (grad,) = torch.autograd.grad(function(leaf).tanh().square().sum(), leaf, create_graph=True)
        above, again = torch.autograd.grad((grad * DIRECTION).sum(), leaf, create_graph=True)[0], []
        again = torch.autograd.grad(above.square().sum(), leaf)[0]
        return [grad.detach(), above.detach(), again]

    with use_backend("reference"):
        expected = second(OPS[name][1])
    for mine, truth in zip(second(compiled), expected, strict=True):
        torch.testing.assert_close(mine, truth, rtol=0, atol=1e-11 * max(1.0, truth.abs().max().item()))


def test_the_operators_of_gradients_are_well_formed() -> None:
    x, grad = (torch.randn(4, 2, requires_grad=True) for _ in range(2))
    weight = torch.randn(5, requires_grad=True)
    edges = torch.tensor([[0, 1, 2, 2, 3], [1, 1, 0, 3, 3]])
    for arguments in ((edges, grad, x, weight, True), (edges, grad, x, weight, False), (edges, grad, x, None, False)):
        torch.library.opcheck(torch.ops.gnnkit.spmm_backward.default, arguments)
    x, grad = (torch.randn(4, 2, 3, requires_grad=True) for _ in range(2))
    source, target = (torch.randn(4, 2, requires_grad=True) for _ in range(2))
    logits, seed = torch.randn(5, 2, requires_grad=True), torch.tensor(5)
    out, stats = torch.ops.gnnkit.edge_attention(edges, x, source, target, logits, seed, 4, 0.2, 0.3)
    arguments = (edges, grad, x, source, target, logits, out.detach(), stats, seed, 0.2, 0.3, True, True)
    torch.library.opcheck(torch.ops.gnnkit.edge_attention_backward.default, arguments)
    edge_attr, edge_map, att = (torch.randn(s, requires_grad=True) for s in ((5, 2), (2, 2, 3), (2, 3)))
    inputs = (x, grad.detach().clone().requires_grad_(), None, att, edge_attr, edge_map)
    out, stats = torch.ops.gnnkit.pair_attention(edges, *inputs, seed, 0.2, 0.3, 1.0)
    needed = [part is not None for part in inputs]
    arguments = (edges, grad, *inputs, out.detach(), stats, seed, 0.2, 0.3, 1.0, needed)
    torch.library.opcheck(torch.ops.gnnkit.pair_attention_backward.default, arguments)


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_graph_of_gradients_keeps_what_it_needs_alone(create_graph: bool) -> None:
    if not is_available("numba"):
        pytest.skip("numba is not installed")
    kept: list[torch.Size] = []
    hooks = torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape) or t, lambda t: t)
    with hooks, use_backend("numba"):
        x, weight = LEAF.clone().requires_grad_(), torch.ones(EDGES.size(1), dtype=torch.float64)
        out = spmm(EDGES, x, weight)
        assert (NODES, 3) not in kept  # linear in x: without the weights' gradient its values are free to go
        kept.clear()
        torch.autograd.grad(out, x, torch.ones_like(out), create_graph=create_graph)
        assert kept == []


@pytest.mark.parametrize("seen", [torch.int64, torch.int32])
def test_edges_of_a_vmap(seen: torch.dtype) -> None:
    many = torch.stack([EDGES, EDGES.flip(0), EDGES.roll(1, 1).roll(1, 0)]).to(seen)
    values = torch.stack([LEAF, LEAF.sin(), LEAF * 2])
    alpha = values[:, :, :1]
    calls: list[Callable[[Tensor, Tensor, Tensor], Tensor]] = [
        lambda edges, x, a: spmm(edges, x),
        lambda edges, x, a: spmm(edges, x, of_edges(x, 1)[:, 0], reduce="mean"),
        lambda edges, x, a: edge_attention(edges, x[:, None], a, a),
        lambda edges, x, a: dynamic_attention(edges, x[:, None], x[:, None], LEAF[:1]),
        lambda edges, x, a: segment_softmax(x, edges[0, :NODES].long(), num_segments=NODES),
        lambda edges, x, a: torch.func.grad(lambda x: spmm(edges, x, of_edges(x, 1)[:, 0]).square().sum())(x),
    ]
    for call in calls:
        one_by_one = torch.stack([call(*each) for each in zip(many, values, alpha, strict=True)])
        torch.testing.assert_close(torch.func.vmap(call)(many, values, alpha), one_by_one, rtol=0, atol=1e-12)
    only_edges = torch.func.vmap(lambda edges: spmm(edges, LEAF))(many)
    torch.testing.assert_close(only_edges, torch.stack([spmm(edges, LEAF) for edges in many]), rtol=0, atol=1e-12)
