"""`dynamic_attention` and `dot_attention`: values and gradients of every backend against the reference."""

import threading

import pytest
import torch
from torch import Tensor
from torch_geometric.nn import GATv2Conv

from gnnkit._optional import is_available
from gnnkit.ops import CompressedGraph, compress, dot_attention, dynamic_attention, use_backend

needs_numba = pytest.mark.skipif(not is_available("numba"), reason="numba is not installed")
BACKENDS = ["torch", pytest.param("numba", marks=needs_numba)]
TOLERANCE = {torch.float32: 5e-5, torch.float64: 1e-12}
EDGES = torch.tensor([[0, 1, 2, 2, 3, 0], [1, 1, 0, 3, 3, 3]])
OPS = [dynamic_attention, dot_attention]
Inputs = list[Tensor | None]


def make(op, edges: Tensor, num_src: int, num_dst: int, heads: int, channels: int, features: int = 0) -> Inputs:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    source, target = draw(num_src, heads, channels), draw(num_dst, heads, channels)
    parts = [source, target, draw(heads, channels)]
    if op is dot_attention:
        parts = [target, source, draw(num_src, heads, channels)]
    edge = [draw(edges.size(1), features), draw(features, heads, channels)] if features else [None, None]
    return [*parts, *edge]


def gradients(op, backend: str, edges, inputs: Inputs, **options) -> list[Tensor]:
    leaves = [None if tensor is None else tensor.detach().clone().requires_grad_() for tensor in inputs]
    torch.manual_seed(7)
    with use_backend(backend):
        out = op(edges, *leaves, **options)
        if out.requires_grad:  # the reference of a graph without edges depends on nothing
            out.backward(torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view(out.shape))
    grads = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves if leaf is not None]
    return [out.detach(), *grads]


def cast(inputs: Inputs, dtype: torch.dtype) -> Inputs:
    return [None if tensor is None else tensor.to(dtype) for tensor in inputs]


def agree(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for mine, truth in zip(found, expected, strict=True):
        assert mine.shape == truth.shape
        scale = max(truth.abs().max().item(), 1e-1) if truth.numel() else 1.0
        torch.testing.assert_close(mine.double(), truth.double(), rtol=0, atol=tolerance * scale)


@pytest.mark.usefixtures("poison")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("op", OPS)
def test_values_and_gradients(op, awkward: tuple[Tensor, int, int], backend: str, dtype: torch.dtype) -> None:
    edges, num_src, num_dst = awkward
    for channels, features in ((5, 2), (3, 0), (0, 0)):
        inputs = make(op, edges, num_src, num_dst, 2, channels, features)
        for options in ({}, {"dropout": 0.4, "training": True}):
            truth = gradients(op, "reference", edges, inputs, **options)
            agree(gradients(op, backend, edges, cast(inputs, dtype), **options), truth, TOLERANCE[dtype])


@needs_numba
@pytest.mark.parametrize("op", OPS)
def test_kernels_for_constant_sizes_and_several_blocks_and_chunks(op, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnnkit.ops.attention.numba_kernels._MIN_WORK_FOR_CONSTANT", 0)
    monkeypatch.setattr("gnnkit.ops.structure.chunks._MIN_CHUNK_WORK", 0)
    monkeypatch.setattr("gnnkit.ops.pair_attention.numba._MOST_OF_ONE_CHUNK", 0)
    generator = torch.Generator().manual_seed(0)
    edges = torch.randint(0, 20, (2, 3000), generator=generator)
    for features in (3, 0):
        inputs = make(op, edges, 20, 20, 8, 8, features)
        for options in ({}, {"dropout": 0.3, "training": True}):
            truth = gradients(op, "torch", edges, inputs, **options)
            agree(gradients(op, "numba", edges, cast(inputs, torch.float32), **options), truth, 2e-5)


@needs_numba
@pytest.mark.parametrize("op", OPS)
def test_wide_indices_and_edges_that_need_no_order(op) -> None:
    narrow = compress(EDGES, 4, 4)
    graph = CompressedGraph(4, 4, narrow.rowptr.long(), narrow.col.long())
    inputs = make(op, EDGES, 4, 4, 2, 3, 2)
    agree(gradients(op, "numba", graph, inputs), gradients(op, "reference", graph, inputs), 1e-12)


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.5, -0.5])
def test_every_slope(slope: float) -> None:
    inputs = make(dynamic_attention, EDGES, 4, 4, 2, 3)
    found, truth = (gradients(dynamic_attention, b, EDGES, inputs, negative_slope=slope) for b in ("auto", "reference"))
    agree(found, truth, 1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("options", [{}, {"dropout": 0.4, "training": True}], ids=["plain", "dropout"])
def test_saturated_logits_have_no_gradient(op, backend: str, options: dict) -> None:
    torch.manual_seed(0)
    edges = torch.cat([torch.randint(0, 40, (2, 200)), torch.arange(40).expand(2, -1)], dim=1).unique(dim=1)
    if not options:  # of two copies a mask may take one: then there is a gradient
        edges = torch.cat([edges, edges[:, :60]], dim=1)  # both have half of the weight
    inputs = [None if tensor is None else 1e3 * tensor for tensor in make(op, edges, 40, 40, 3, 5)]
    truth = gradients(op, "torch", edges, inputs, **options)
    found = gradients(op, backend, edges, cast(inputs, torch.float32), **options)
    agree(found[:1], truth[:1], 1e-5)
    # Of the logits' own inputs, the rows that have a value of their own (or the vector) set aside.
    for mine, exact in zip(found[1:3], truth[1:3], strict=True):
        assert (mine[exact == 0] == 0).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("op", OPS)
def test_missing_and_infinite_values_stay_with_those_who_hear_of_them(op, backend: str) -> None:
    edges = torch.tensor([[0, 1, 2, 2], [0, 0, 1, 2]])
    for value in (torch.nan, torch.inf):
        inputs = make(op, edges, 3, 3, 2, 3)
        clean = gradients(op, "reference", edges, inputs)
        inputs[0 if op is dynamic_attention else 2][1, 0, 1] = value  # of a source
        out, *grads = gradients(op, backend, edges, inputs)
        assert torch.equal(out.isfinite().all(-1), torch.tensor([[False, True]] + [[True, True]] * 2))
        torch.testing.assert_close(out[1:], clean[0][1:])
        torch.testing.assert_close(grads[0][2:], clean[1][2:])
        torch.testing.assert_close(grads[1][2:], clean[2][2:])


def test_dynamic_attention_equals_pyg() -> None:
    torch.manual_seed(0)
    conv = GATv2Conv(5, 4, heads=3, add_self_loops=False, edge_dim=2, bias=False).double()
    x, edge_attr = torch.randn(4, 5).double(), torch.randn(6, 2).double()
    left, right = conv.lin_l(x).view(4, 3, 4), conv.lin_r(x).view(4, 3, 4)
    edge_map = conv.lin_edge.weight.t().reshape(2, 3, 4)
    out = dynamic_attention(EDGES, left, right, conv.att[0], edge_attr, edge_map)
    torch.testing.assert_close(out.flatten(1), conv(x, EDGES, edge_attr), atol=1e-12, rtol=0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("op", OPS)
def test_a_gradient_of_a_gradient_of_inputs_that_depend_on_one_leaf(op, backend: str) -> None:
    inputs = make(op, EDGES, 4, 4, 2, 2, 1)
    maps = [torch.randn(3, tensor.numel(), dtype=torch.float64) for tensor in inputs if tensor is not None]
    leaf = torch.randn(3, dtype=torch.float64, requires_grad=True)

    def run(leaf: Tensor) -> Tensor:
        torch.manual_seed(1)
        given = [(leaf.sin() @ m).view(t.shape) for m, t in zip(maps, inputs, strict=True)]  # pyright: ignore
        return op(EDGES, *given, dropout=0.2, training=True)

    with use_backend(backend):
        assert torch.autograd.gradgradcheck(run, (leaf,))
        total = run(leaf).square().sum()
        plain = torch.autograd.grad(total, leaf, retain_graph=True)[0]
        torch.testing.assert_close(torch.autograd.grad(total, leaf, create_graph=True)[0], plain)


@pytest.mark.parametrize("op", OPS)
def test_transforms_take_the_native_path(op) -> None:
    first, *others = make(op, EDGES, 4, 4, 2, 3, 2)

    def run(x: Tensor) -> Tensor:
        return op(EDGES, x, *others)

    plain = torch.autograd.functional.jacobian(run, first)
    torch.testing.assert_close(torch.func.jacrev(run)(first), plain)
    torch.testing.assert_close(torch.func.jacfwd(run)(first), plain)
    batch = torch.randn(3, *first.shape, dtype=torch.float64)
    torch.testing.assert_close(torch.func.vmap(run)(batch), torch.stack([run(x) for x in batch]))
    grads = torch.func.vmap(torch.func.grad(lambda x: run(x).square().sum()))(batch)
    leaf = batch[1].clone().requires_grad_()
    torch.testing.assert_close(grads[1], torch.autograd.grad(run(leaf).square().sum(), leaf)[0])
    many = torch.autograd.grad(run(leaf), leaf, torch.randn(5, 4, 2, 3).double(), is_grads_batched=True)[0]
    assert many.shape == (5, *first.shape)


@pytest.mark.parametrize("features", [0, 2])
@pytest.mark.parametrize("op", OPS)
def test_batches_of_gradients_are_those_one_after_the_other(op, features: int) -> None:
    leaves = [None if part is None else part.requires_grad_() for part in make(op, EDGES, 4, 4, 2, 3, features)]
    wanted = [leaf for leaf in leaves if leaf is not None]
    above = torch.randn(5, 4, 2, 3, dtype=torch.float64)
    out = op(EDGES, *leaves)
    many = torch.autograd.grad(out, wanted, above, is_grads_batched=True, retain_graph=True)
    for number in range(5):
        for found, expected in zip(
            many, torch.autograd.grad(out, wanted, above[number], retain_graph=True), strict=True
        ):
            torch.testing.assert_close(found[number], expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("nodes", [0, 3])
def test_a_gradient_of_a_gradient_without_edges(op, backend: str, nodes: int) -> None:
    none = torch.empty(2, 0, dtype=torch.int64)
    leaves = [part.requires_grad_() for part in make(op, none, nodes, nodes, 2, 3, 2) if part is not None]
    with use_backend(backend):
        grads = torch.autograd.grad(op(none, *leaves).sum(), leaves, create_graph=True, allow_unused=True)
    assert all(grad is None or not grad.any() for grad in grads)


@needs_numba
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("op", OPS)
def test_half_precision_is_no_less_exact_than_step_by_step(op, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    edges = torch.randint(0, 60, (2, 600))
    inputs = cast(make(op, edges, 60, 60, 2, 16), dtype)
    truth = gradients(op, "torch", edges, cast(inputs, torch.float64))
    errors = {}
    for backend in ("numba", "torch"):
        found = gradients(op, backend, edges, inputs)
        assert all(tensor.dtype == dtype for tensor in found)
        errors[backend] = [(mine.double() - exact).abs().mean() for mine, exact in zip(found, truth, strict=True)]
    assert all(mine <= 1.05 * other for mine, other in zip(errors["numba"], errors["torch"], strict=True)), errors


@needs_numba
@pytest.mark.parametrize("op", OPS)
def test_two_runs_are_bit_equal_and_two_threads_agree(op) -> None:
    edges = torch.randint(0, 3000, (2, 60_000), generator=torch.Generator().manual_seed(0))
    inputs = cast(make(op, edges, 3000, 3000, 8, 8), torch.float32)
    expected = gradients(op, "numba", edges, inputs)
    results: list[list[Tensor]] = []

    def work() -> None:
        for _ in range(2):
            leaves = [None if tensor is None else tensor.clone().requires_grad_() for tensor in inputs]
            out = op(compress(edges, 3000, 3000), *leaves)
            out.backward(torch.linspace(-1, 2, out.numel()).view(out.shape))
            results.append([out.detach(), *(leaf.grad for leaf in leaves if leaf is not None)])

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for found in results:
        assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


@pytest.mark.parametrize("features", [2, 0])
def test_the_operator_is_well_formed(features: int) -> None:
    operator, seed = torch.ops.gnnkit.pair_attention.default, torch.tensor(5)
    source, target, att, *edge = (
        None if t is None else t.float().requires_grad_() for t in make(dynamic_attention, EDGES, 4, 4, 2, 3, features)
    )
    torch.library.opcheck(operator, (EDGES, target, source, None, att, *edge, seed, 0.2, 0.3, 1.0))
    query, key, value, *_ = (
        t.float().requires_grad_() for t in make(dot_attention, EDGES, 4, 4, 2, 3) if t is not None
    )
    query = torch.randn(4, 2, 3 + features, requires_grad=True)
    torch.library.opcheck(operator, (EDGES, query, key, value, None, edge[0], None, None, 0.0, 0.0, 0.5))


@pytest.mark.parametrize("op", OPS)
def test_compiles_without_a_graph_break_to_second_order(op) -> None:
    def penalty(*inputs: Tensor) -> Tensor:
        return op(EDGES, *inputs).square().sum()

    inputs = [tensor.requires_grad_() for tensor in make(op, EDGES, 4, 4, 2, 3, 2) if tensor is not None]
    expected = torch.autograd.grad(penalty(*inputs), inputs)
    torch._dynamo.reset()
    compiled = torch.compile(penalty, fullgraph=True, backend="aot_eager")
    for found, truth in zip(torch.autograd.grad(compiled(*inputs), inputs), expected, strict=True):
        torch.testing.assert_close(found, truth)


@pytest.mark.parametrize("op", OPS)
def test_exports_with_any_number_of_edges(op) -> None:
    class Model(torch.nn.Module):
        def forward(self, edges: Tensor, *inputs: Tensor) -> Tensor:
            return op(edges, *inputs)

    count, inputs = torch.export.Dim("edges", min=2), make(op, EDGES, 4, 4, 2, 3)[:3]
    program = torch.export.export(Model(), (EDGES, *inputs), dynamic_shapes=({1: count}, (None,) * 3))
    torch.testing.assert_close(program.module()(EDGES[:, :4], *inputs), op(EDGES[:, :4], *inputs))


@pytest.mark.parametrize(
    ("op", "place", "given", "text"),
    [
        (
            dynamic_attention,
            0,
            torch.ones(4, 2),
            r"x_src has shape \[4, 2\] and dtype torch.float32: .* \[nodes, K, C\]",
        ),
        (dynamic_attention, 1, torch.ones(4, 2, 5), r"x_dst has shape \[4, 2, 5\]: .* it is \[4, 2, 3\]"),
        (dynamic_attention, 2, torch.ones(2, 4), r"att has shape \[2, 4\]: .* it is \[2, 3\]"),
        (dynamic_attention, 3, torch.ones(5, 2), r"edge_attr has shape \[5, 2\]: .* it is \[6, 2\]"),
        (dynamic_attention, 3, torch.ones(6), r"edge_attr has shape \[6\]: .* it is \[6, 2\]"),
        (dynamic_attention, 4, torch.ones(3, 2, 3), r"edge_map has shape \[3, 2, 3\]: .* it is \[2, 2, 3\]"),
        (dynamic_attention, 4, None, "edge_attr and edge_map go together"),
        (dot_attention, 0, torch.ones(4, 2, 3).long(), r"query has shape \[4, 2, 3\] and dtype torch.int64"),
        (dot_attention, 2, torch.ones(4, 2, 4), r"value has shape \[4, 2, 4\]: .* it is \[4, 2, 3\]"),
    ],
)
def test_what_is_wrong_is_said(op, place: int, given: Tensor | None, text: str) -> None:
    inputs = cast(make(op, EDGES, 4, 4, 2, 3, 2), torch.float32)
    inputs[place] = given
    with pytest.raises(ValueError, match=text):
        op(EDGES, *inputs)
    with pytest.raises(ValueError, match=r"dropout=1.5: a share is 0 to 1"):
        op(EDGES, *make(op, EDGES, 4, 4, 2, 3), dropout=1.5)
