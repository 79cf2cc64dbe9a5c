"""`edge_attention`: values and gradients of every backend against the reference, dropout included."""

import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.nn import GATConv

from gnnkit._optional import is_available
from gnnkit.ops import compress, edge_attention, use_backend

needs_scatter = pytest.mark.skipif(not is_available("torch_scatter"), reason="torch-scatter is not installed")
needs_numba = pytest.mark.skipif(not is_available("numba"), reason="numba is not installed")
BACKENDS = ["torch", pytest.param("scatter", marks=needs_scatter), pytest.param("numba", marks=needs_numba)]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
EDGES = torch.tensor([[0, 1, 2, 2, 3, 0], [1, 1, 0, 3, 3, 3]])


def make(edges: Tensor, num_src: int, num_dst: int, heads: int, channels: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(num_src, heads, channels), (num_src, heads), (num_dst, heads), (edges.size(1), heads)]
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def gradients(backend: str, edges: Tensor, inputs: list[Tensor | None], num_dst: int, **options) -> list[Tensor]:
    leaves = [None if tensor is None else tensor.detach().clone().requires_grad_() for tensor in inputs]
    torch.manual_seed(7)
    with use_backend(backend):
        out = edge_attention(edges, *leaves, num_dst=num_dst, **options)
        if out.requires_grad:  # the reference of a graph without edges depends on nothing
            out.backward(torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view(out.shape))
    grads = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves if leaf is not None]
    return [out.detach(), *grads]


def cast(inputs: list[Tensor | None], dtype: torch.dtype) -> list[Tensor | None]:
    return [None if tensor is None else tensor.to(dtype) for tensor in inputs]


def agree(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for mine, truth in zip(found, expected, strict=True):
        assert mine.shape == truth.shape
        scale = max(truth.abs().max().item(), 1e-1) if truth.numel() else 1.0
        torch.testing.assert_close(mine.double(), truth.double(), rtol=0, atol=tolerance * scale)


def test_by_hand() -> None:
    x = torch.tensor([[[1.0]], [[2.0]], [[4.0]], [[8.0]]])
    alpha_src = torch.tensor([[0.0], [1.0], [-5.0], [0.0]])
    out = edge_attention(EDGES, x, alpha_src, torch.zeros(4, 1)).flatten()
    e, low = torch.e, torch.exp(torch.tensor(-1.0)).item()
    expected = [4.0, (1.0 + 2.0 * e) / (1.0 + e), 0.0, (1.0 + 4.0 * low + 8.0) / (2.0 + low)]
    torch.testing.assert_close(out, torch.tensor(expected))


@pytest.mark.usefixtures("poison")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("channels", [0, 3])
def test_values_and_gradients(
    awkward: tuple[Tensor, int, int], backend: str, dtype: torch.dtype, channels: int
) -> None:
    edges, num_src, num_dst = awkward
    x, source, target, logits = make(edges, num_src, num_dst, 2, channels)
    for inputs in ([x, source, target, logits], [x, source, target, None], [x, source, None, None]):
        truth = gradients("reference", edges, inputs, num_dst)
        agree(gradients(backend, edges, cast(inputs, dtype), num_dst), truth, TOLERANCE[dtype])
    options = {"dropout": 0.4, "training": True, "negative_slope": 0.1}
    truth = gradients("reference", edges, [x, source, target, logits], num_dst, **options)
    agree(
        gradients(backend, edges, cast([x, source, target, logits], dtype), num_dst, **options), truth, TOLERANCE[dtype]
    )


@needs_numba
@pytest.mark.parametrize(("heads", "channels"), [(8, 8), (1, 16)])
def test_kernels_for_constant_sizes(monkeypatch: pytest.MonkeyPatch, heads: int, channels: int) -> None:
    monkeypatch.setattr("gnnkit.ops.attention.numba_kernels._MIN_WORK_FOR_CONSTANT", 0)
    torch.manual_seed(0)
    edges = torch.randint(0, 20, (2, 150))
    x, source, target, logits = make(edges, 20, 20, heads, channels)
    for given_logits in (logits, None):
        for options in ({}, {"dropout": 0.3, "training": True}):
            inputs = [x, source, target, given_logits]
            truth = gradients("reference", edges, inputs, 20, **options)
            agree(gradients("numba", edges, cast(inputs, torch.float32), 20, **options), truth, 1e-5)


@settings(max_examples=30, deadline=None)
@given(st.data())
@pytest.mark.parametrize("backend", BACKENDS)
def test_random_graphs(backend: str, data: st.DataObject) -> None:
    num_src, num_dst = data.draw(st.integers(1, 10)), data.draw(st.integers(1, 10))
    count = data.draw(st.integers(0, 50))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**30)))
    edges = torch.stack([torch.randint(n, (count,), generator=generator) for n in (num_src, num_dst)])
    inputs = make(edges, num_src, num_dst, data.draw(st.integers(1, 3)), data.draw(st.integers(1, 5)))
    agree(gradients(backend, edges, inputs, num_dst), gradients("reference", edges, inputs, num_dst), 1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_large_masked_and_missing_logits(backend: str) -> None:
    x = torch.tensor([[[1.0]], [[3.0]], [[5.0]]])
    edges = torch.tensor([[0, 1, 2], [0, 0, 1]])
    with use_backend(backend):
        large = edge_attention(edges, x, torch.tensor([[1e4], [1e4], [0.0]]))
        assert large.flatten().tolist() == [2.0, 5.0, 0.0]
        masked = edge_attention(edges, x, torch.zeros(3, 1), None, torch.tensor([[0.0], [-torch.inf], [0.0]]))
        assert masked.flatten().tolist() == [1.0, 5.0, 0.0]
        missing = edge_attention(edges, x, torch.tensor([[torch.nan], [0.0], [0.0]])).flatten()
        assert missing[0].isnan()
        assert missing[1:].tolist() == [5.0, 0.0]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("heads", [1, 3, 8])
@pytest.mark.parametrize("options", [{}, {"dropout": 0.4, "training": True}])
def test_saturated_logits_have_no_gradient(
    monkeypatch: pytest.MonkeyPatch, backend: str, heads: int, options: dict
) -> None:
    torch.manual_seed(0)
    edges = torch.cat([torch.randint(0, 40, (2, 200)), torch.arange(40).expand(2, -1)], dim=1).unique(dim=1)
    once, copies = edges.size(1), 0 if options else 60  # of two copies a mask may take one: then there is a gradient
    edges = torch.cat([edges, edges[:, :copies]], dim=1)  # both have half of the weight
    for channels, smallest in ((5, 1 << 30), (8, 0)):  # kernels for any number of channels, and for this one
        monkeypatch.setattr("gnnkit.ops.attention.numba_kernels._MIN_WORK_FOR_CONSTANT", smallest)
        x, source, target, logits = (1e6 * tensor for tensor in make(edges, 40, 40, heads, channels))
        logits[once:] = logits[:copies]
        for inputs in ([x, source, target, logits], [x, source, target, None]):
            truth = gradients("torch", edges, inputs, 40, **options)
            found = gradients(backend, edges, cast(inputs, torch.float32), 40, **options)
            agree(found[:2], truth[:2], 1e-5)
            for mine, exact in zip(found[2:], truth[2:], strict=True):
                assert (mine[exact == 0] == 0).all()
                assert (exact == 0).float().mean() > 0.9


def test_equals_pyg() -> None:
    torch.manual_seed(0)
    conv = GATConv(5, 4, heads=3, add_self_loops=False).double()
    x = torch.randn(4, 5, dtype=torch.float64)
    values = conv.lin(x).view(4, 3, 4)
    out = edge_attention(EDGES, values, (values * conv.att_src).sum(-1), (values * conv.att_dst).sum(-1))
    torch.testing.assert_close(out.flatten(1) + conv.bias, conv(x, EDGES), atol=1e-12, rtol=0)


@pytest.mark.parametrize("backend", ["torch", pytest.param("scatter", marks=needs_scatter), "reference"])
def test_weights_are_returned_and_differentiable(backend: str) -> None:
    inputs = [tensor.requires_grad_() for tensor in make(EDGES, 4, 4, 2, 3)]
    with use_backend(backend):
        out, weights = edge_attention(EDGES, *inputs, return_weights=True)
    assert weights.shape == (6, 2)
    sums = torch.zeros(4, 2, dtype=torch.float64).index_add(0, EDGES[1], weights)
    torch.testing.assert_close(sums, torch.tensor([[1.0] * 2, [1.0] * 2, [0.0] * 2, [1.0] * 2]).double())
    again = torch.zeros(4, 2, 3).double().index_add(0, EDGES[1], weights[:, :, None] * inputs[0][EDGES[0]])
    torch.testing.assert_close(out, again)
    assert torch.autograd.grad(weights[0].sum(), inputs[1])[0].abs().sum() > 0


def test_the_automatic_choice_returns_weights_too() -> None:
    out, weights = edge_attention(EDGES, *make(EDGES, 4, 4, 2, 3), return_weights=True)
    torch.testing.assert_close(out, edge_attention(EDGES, *make(EDGES, 4, 4, 2, 3)))
    assert weights.min() > 0


def test_dropout_drops_its_share_and_is_repeated_by_the_seed() -> None:
    edges = torch.stack([torch.zeros(20_000, dtype=torch.int64), torch.arange(20_000)])
    x, alpha = torch.ones(1, 4, 1), torch.zeros(1, 4)
    options = {"num_dst": 20_000, "dropout": 0.25, "training": True}
    torch.manual_seed(3)
    first, second = edge_attention(edges, x, alpha, **options), edge_attention(edges, x, alpha, **options)
    torch.manual_seed(3)
    assert torch.equal(edge_attention(edges, x, alpha, **options), first)
    assert not torch.equal(first, second)
    torch.testing.assert_close(first.unique(), torch.tensor([0.0, 4 / 3]))
    kept = (first > 0).float()[:, :, 0]
    torch.testing.assert_close(kept.mean(0), torch.full((4,), 0.75), atol=0.015, rtol=0)
    # Heads, and neighbouring edges, are dropped independently of each other.
    correlation = torch.corrcoef(torch.cat([kept.t()[:, 1:], kept.t()[:, :-1]]))
    assert (correlation - torch.eye(8)).abs().max() < 0.04
    assert torch.equal(edge_attention(edges, x, alpha, num_dst=20_000, dropout=0.25), torch.ones(20_000, 4, 1))
    assert edge_attention(edges, x, alpha, num_dst=20_000, dropout=1.0, training=True).abs().max() == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_gradient_of_a_gradient(backend: str) -> None:
    inputs = tuple(tensor.requires_grad_() for tensor in make(EDGES, 4, 4, 1, 2))

    def run(*tensors: Tensor) -> Tensor:
        torch.manual_seed(1)
        return edge_attention(EDGES, *tensors, dropout=0.2, training=True)

    with use_backend(backend):
        assert torch.autograd.gradcheck(run, inputs)
        assert torch.autograd.gradgradcheck(run, inputs)


def test_transforms_take_the_native_path() -> None:
    x, source, target, logits = make(EDGES, 4, 4, 2, 3)
    jacobian = torch.func.jacrev(lambda a: edge_attention(EDGES, x, a, target, logits))(source)
    plain = torch.autograd.functional.jacobian(lambda a: edge_attention(EDGES, x, a, target, logits), source)
    torch.testing.assert_close(jacobian, plain)
    torch.testing.assert_close(torch.func.jacfwd(lambda a: edge_attention(EDGES, x, a, target, logits))(source), plain)
    batch = torch.randn(3, *x.shape, dtype=torch.float64)
    one_by_one = torch.stack([edge_attention(EDGES, x, source, target) for x in batch])
    torch.testing.assert_close(torch.func.vmap(lambda x: edge_attention(EDGES, x, source, target))(batch), one_by_one)
    sources = torch.randn(3, *source.shape, dtype=torch.float64)
    one_by_one = torch.stack([edge_attention(EDGES, x, a, target) for a in sources])
    torch.testing.assert_close(torch.func.vmap(lambda a: edge_attention(EDGES, x, a, target))(sources), one_by_one)
    per_sample = torch.func.vmap(torch.func.grad(lambda a: edge_attention(EDGES, x, a, target).square().sum()))(sources)
    leaf = sources[1].clone().requires_grad_()
    edge_attention(EDGES, x, leaf, target).square().sum().backward()
    torch.testing.assert_close(per_sample[1], leaf.grad)


def test_half_precision_and_inference_mode() -> None:
    inputs = cast(make(EDGES, 4, 4, 2, 3), torch.float32)
    expected = edge_attention(EDGES, *inputs)
    half = edge_attention(EDGES, *cast(inputs, torch.bfloat16))
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), expected, atol=0.05, rtol=0.05)
    with torch.inference_mode():
        assert torch.equal(edge_attention(EDGES, *inputs), expected)


@needs_numba
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_no_less_exact_than_step_by_step(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    edges = torch.randint(0, 60, (2, 900))
    inputs = cast(make(edges, 60, 60, 2, 16), dtype)
    truth = gradients("torch", edges, cast(inputs, torch.float64), 60)
    errors = {}
    for backend in ("numba", "torch"):
        found = gradients(backend, edges, inputs, 60)
        assert all(tensor.dtype == dtype for tensor in found)
        errors[backend] = [(mine.double() - exact).abs().mean() for mine, exact in zip(found, truth, strict=True)]
    assert all(mine <= other for mine, other in zip(errors["numba"], errors["torch"], strict=True)), errors


def test_an_in_place_change_of_the_edges_is_seen() -> None:
    edges, x = torch.tensor([[0, 1], [2, 2]]), torch.tensor([[[1.0]], [[5.0]], [[9.0]]])
    assert edge_attention(edges, x, torch.zeros(3, 1))[2].item() == 3.0
    edges[0, 0] = 2
    assert edge_attention(edges, x, torch.zeros(3, 1))[2].item() == 7.0


@needs_numba
def test_two_runs_are_bit_equal_and_two_threads_agree() -> None:
    torch.manual_seed(0)
    edges = torch.randint(0, 3000, (2, 60_000))
    inputs = cast(make(edges, 3000, 3000, 2, 8), torch.float32)
    expected = gradients("numba", edges, inputs, 3000)
    results: list[list[Tensor]] = [gradients("numba", edges, inputs, 3000)]

    def work() -> None:
        for _ in range(4):
            leaves = [tensor.clone().requires_grad_() for tensor in inputs]
            out = edge_attention(compress(edges, 3000, 3000), *leaves)
            out.backward(torch.linspace(-1, 2, out.numel()).view(out.shape))
            results.append([out.detach(), *(leaf.grad for leaf in leaves)])

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 9
    for found in results:
        assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_the_operator_is_well_formed() -> None:
    x, source, target, logits = (tensor.float().requires_grad_() for tensor in make(EDGES, 4, 4, 2, 3))
    operator = torch.ops.gnnkit.edge_attention.default
    torch.library.opcheck(operator, (EDGES, x, source, target, logits, torch.tensor(5), 4, 0.2, 0.3))
    torch.library.opcheck(operator, (EDGES, x, source, None, None, None, 4, 0.2, 0.0))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiles_without_a_graph_break(backend: str) -> None:
    def loss(*inputs: Tensor) -> Tensor:
        return edge_attention(EDGES, *inputs).square().sum()

    inputs = [tensor.requires_grad_() for tensor in make(EDGES, 4, 4, 2, 3)]
    expected = torch.autograd.grad(loss(*inputs), inputs)
    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True, backend=backend)
    for found, truth in zip(torch.autograd.grad(compiled(*inputs), inputs), expected, strict=True):
        torch.testing.assert_close(found, truth)


def test_compiled_dropout_uses_one_mask_in_both_passes() -> None:
    def total(x: Tensor) -> Tensor:
        return edge_attention(EDGES, x, torch.zeros(4, 1), dropout=0.5, training=True).sum()

    torch._dynamo.reset()
    compiled = torch.compile(total, fullgraph=True, backend="aot_eager")
    x = torch.randn(4, 1, 1, requires_grad=True)
    for _ in range(10):
        out = compiled(x)
        # Linear in x: with one mask the gradient gives back the value.
        torch.testing.assert_close((torch.autograd.grad(out, x)[0] * x).sum(), out)


def test_exports_with_any_number_of_nodes() -> None:
    class Model(torch.nn.Module):
        def forward(self, edges: Tensor, x: Tensor, alpha: Tensor) -> Tensor:
            return edge_attention(edges, x, alpha, alpha)

    nodes, count = torch.export.Dim("nodes", min=2), torch.export.Dim("edges", min=2)
    example = (EDGES, torch.randn(4, 2, 3), torch.randn(4, 2))
    program = torch.export.export(Model(), example, dynamic_shapes=({1: count}, {0: nodes}, {0: nodes}))
    edges, x, alpha = torch.tensor([[0, 6, 5], [6, 1, 1]]), torch.randn(7, 2, 3), torch.randn(7, 2)
    torch.testing.assert_close(program.module()(edges, x, alpha), edge_attention(edges, x, alpha, alpha))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"dropout": 1.5}, "dropout=1.5: a share is 0 to 1"),
        ({"x_src": torch.ones(4, 2)}, r"x_src has shape \[4, 2\]"),
        ({"alpha_src": torch.ones(4, 3)}, r"alpha_src has shape \[4, 3\]: .* it is \[4, 2\]"),
        ({"alpha_dst": torch.ones(3, 2), "num_dst": 4}, r"alpha_dst has shape \[3, 2\]: .* it is \[4, 2\]"),
        ({"edge_logits": torch.ones(6)}, r"edge_logits has shape \[6\]: .* it is \[6, 2\]"),
    ],
)
def test_what_is_wrong_is_said(change: dict, text: str) -> None:
    arguments = {"graph": EDGES, "x_src": torch.ones(4, 2, 3), "alpha_src": torch.ones(4, 2), **change}
    with pytest.raises(ValueError, match=text):
        edge_attention(**arguments)
