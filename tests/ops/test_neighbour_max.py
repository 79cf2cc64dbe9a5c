"""`neighbour_max`: values and gradients of every backend against the reference and PyG, and what autograd may ask."""

import pytest
import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.utils import scatter, spmm

from gnnkit._optional import is_available
from gnnkit.ops import compress, neighbour_max, use_backend

needs_numba = pytest.mark.skipif(not is_available("numba"), reason="numba is not installed")
BACKENDS = ["torch", pytest.param("numba", marks=needs_numba)]
EDGES = torch.tensor([[0, 1, 2, 2, 3], [1, 1, 0, 3, 3]])


def gradients(backend: str, edges: Tensor, x: Tensor, weight: Tensor | None, num_dst: int, **options: str):
    inputs = [tensor.detach().clone().requires_grad_() for tensor in (x, weight) if tensor is not None]
    with use_backend(backend):
        out = neighbour_max(edges, inputs[0], inputs[1] if weight is not None else None, num_dst=num_dst, **options)  # pyright: ignore
        if out.requires_grad:  # the reference of a graph without edges depends on nothing
            out.backward(torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view(out.shape))
    return [out.detach(), *(torch.zeros_like(t) if t.grad is None else t.grad for t in inputs)]


def agree(found: list[Tensor], expected: list[Tensor], tolerance: float = 1e-12) -> None:
    for mine, truth in zip(found, expected, strict=True):
        torch.testing.assert_close(mine.double(), truth.double(), rtol=tolerance, atol=tolerance, equal_nan=True)


def test_by_hand() -> None:
    x = torch.tensor([[1.0, 0.0], [10.0, -1.0], [100.0, -2.0], [1000.0, -3.0]])
    assert neighbour_max(EDGES, x).tolist() == [[100.0, -2.0], [10.0, 0.0], [0.0, 0.0], [1000.0, -2.0]]
    assert neighbour_max(EDGES, x, reduce="min").tolist() == [[100.0, -2.0], [1.0, -1.0], [0.0, 0.0], [100.0, -3.0]]
    weight = torch.tensor([1.0, -1.0, 0.5, 2.0, 0.1])
    assert neighbour_max(EDGES, x, weight)[1].tolist() == [1.0, 1.0]


@pytest.mark.usefixtures("poison")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("backend", BACKENDS)
def test_values_and_gradients(awkward: tuple[Tensor, int, int], backend: str, dtype: torch.dtype) -> None:
    edges, num_src, num_dst = awkward
    torch.manual_seed(0)
    for channels in (0, 3):
        # Small whole numbers: many ties, many zeros, and sums that are exact.
        x = torch.randint(-2, 3, (2, num_src, channels)).double()
        weight = torch.randint(-2, 3, (edges.size(1),)).double()
        # Each kernel is compiled by itself: not every one of them for both types.
        for options in ({}, {"reduce": "min"}, {"ties": "first"}) if dtype == torch.float64 else ({},):
            for given in (None,) if "reduce" in options else (None, weight):
                truth = gradients("reference", edges, x, given, num_dst, **options)
                cast = None if given is None else given.to(dtype)
                tolerance = 1e-12 if dtype == torch.float64 else 1e-5
                agree(gradients(backend, edges, x.to(dtype), cast, num_dst, **options), truth, tolerance)


@needs_numba
@pytest.mark.parametrize("channels", [1, 4, 9, 16, 31, 71, 141])
def test_kernels_of_any_number_of_vectors(monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
    from gnnkit.ops.neighbour_max import numba as numba_backend

    torch.manual_seed(0)
    edges = torch.randint(0, 20, (2, 100))
    edges[1] %= 17  # three nodes hear nobody
    # Each kernel is compiled by itself: with and without asking for rows ahead, not for every type.
    for dtype, cache, options in (
        (torch.float32, 0, {}),
        (torch.float32, 1 << 20, {"ties": "first"}),
        (torch.float64, 1 << 20, {}),
    ):
        x = torch.randint(-3, 4, (20, channels)).to(dtype)
        monkeypatch.setattr(numba_backend, "_CACHE_BYTES", cache)
        agree(
            gradients("numba", edges, x, None, 20, **options),
            gradients("reference", edges, x.double(), None, 20, **options),
            1e-5,
        )
        with torch.no_grad(), use_backend("numba"):  # nothing is kept
            out = neighbour_max(edges, x, num_dst=20)
        assert torch.equal(out, gradients("numba", edges, x, None, 20)[0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_ties_zeros_and_infinities_are_pygs(backend: str) -> None:
    edges = torch.tensor([[0, 1, 2, 1], [3, 3, 3, 0]])
    inf = float("inf")
    x = torch.tensor([[0.0, 1, 2, inf], [0.0, 1, 3, 1], [-1.0, 1, 3, -inf], [0.0, 0, 0, 0]], requires_grad=True)
    expected = scatter(x[edges[0]], edges[1], 0, 4, "max")
    (truth,) = torch.autograd.grad(expected.sum(), x)
    with use_backend(backend):
        out = neighbour_max(edges, x)
        assert torch.equal(out, expected)
        torch.testing.assert_close(torch.autograd.grad(out.sum(), x)[0], truth)
        # PyG's sparse matrices give all of it to the first.
        adj_t = torch.sparse_csr_tensor(
            torch.tensor([0, 1, 1, 1, 4]), torch.tensor([1, 0, 1, 2]), torch.ones(4), (4, 4)
        )
        (truth,) = torch.autograd.grad(spmm(adj_t, x, "max").sum(), x)
        torch.testing.assert_close(torch.autograd.grad(neighbour_max(adj_t, x, ties="first").sum(), x)[0], truth)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_no_number_goes_along_edges_alone(backend: str) -> None:
    x = torch.full((4, 12), float("nan"))
    x[1] = 1.0
    x.requires_grad_()
    with use_backend(backend):
        out = neighbour_max(torch.tensor([[1, 1, 2], [0, 0, 3]]), x)
    assert out[:3].tolist() == [[1.0] * 12, [0.0] * 12, [0.0] * 12]
    assert out[3].isnan().all()
    (grad,) = torch.autograd.grad(out[:3].sum(), x)
    assert grad[:2].tolist() == [[0.0] * 12, [1.0] * 12]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("ties", ["shared", "first"])
def test_a_gradient_of_a_gradient(backend: str, ties) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, dtype=torch.float64, requires_grad=True)

    def call(x: Tensor, w: Tensor) -> Tensor:
        return neighbour_max(EDGES, x, w, ties=ties)

    with use_backend(backend):
        assert torch.autograd.gradcheck(call, (x, weight))
        assert torch.autograd.gradgradcheck(call, (x, weight))
        out = neighbour_max(EDGES, x, ties=ties).square().sum()
        (plain,) = torch.autograd.grad(out, x, retain_graph=True)
        assert torch.equal(torch.autograd.grad(out, x, create_graph=True)[0].detach(), plain)


def test_transforms_take_the_native_path() -> None:
    torch.manual_seed(0)
    batch = torch.randn(3, 4, 2).double()
    one_by_one = torch.stack([neighbour_max(EDGES, x) for x in batch])
    torch.testing.assert_close(torch.func.vmap(lambda x: neighbour_max(EDGES, x))(batch), one_by_one)
    torch.testing.assert_close(neighbour_max(EDGES, batch), one_by_one)
    jacobian = torch.func.jacrev(lambda x: neighbour_max(EDGES, x))(batch[0])
    x = batch[0].clone().requires_grad_()
    expected = torch.autograd.functional.jacobian(lambda x: neighbour_max(EDGES, x), x)
    torch.testing.assert_close(jacobian, expected)


@needs_numba
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    edges, x = torch.randint(0, 60, (2, 900)), torch.randn(2, 60, 17).to(dtype)
    found = gradients("numba", edges, x, None, 60)
    assert all(tensor.dtype == dtype for tensor in found)
    # Half numbers tie often, which single ones of the same value do as well.
    agree(found, gradients("reference", edges, x.double(), None, 60), 2e-2)
    weight = torch.randn(900).to(dtype)
    found = gradients("numba", edges, x, weight, 60)
    agree(found[:1], gradients("reference", edges, x.double(), weight.double(), 60)[:1], 2e-2)


def test_every_form_of_a_graph_gives_the_same() -> None:
    x, weight = torch.randn(4, 3), torch.rand(5)
    expected = neighbour_max(EDGES, x, weight)
    dense = torch.zeros(4, 4).index_put((EDGES[1], EDGES[0]), weight)
    for form in (dense.to_sparse_csr(), dense.to_sparse_coo(), dense.to_sparse_csc()):
        torch.testing.assert_close(neighbour_max(form, x), expected)
    for form in (EDGES, EdgeIndex(EDGES, sparse_size=(4, 4)), compress(EDGES, 4, 4), EDGES.int()):
        torch.testing.assert_close(neighbour_max(form, x, weight), expected)


def test_the_operator_is_well_formed() -> None:
    x, weight = torch.randn(4, 2, requires_grad=True), torch.randn(5, requires_grad=True)
    torch.library.opcheck(torch.ops.gnnkit.neighbour_max.default, (EDGES, x, weight, 4, True, True))
    torch.library.opcheck(torch.ops.gnnkit.neighbour_max.default, (EDGES, x, None, 4, False, False))


def test_compiles_and_exports() -> None:
    def loss(x: Tensor, weight: Tensor) -> Tensor:
        return neighbour_max(EDGES, x.sin(), weight).square().sum()

    inputs = [torch.randn(4, 3).double().requires_grad_(), torch.randn(5).double().requires_grad_()]
    expected = torch.autograd.grad(loss(*inputs), inputs)
    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for found, truth in zip(torch.autograd.grad(compiled(*inputs), inputs), expected, strict=True):
        torch.testing.assert_close(found, truth)

    class Model(torch.nn.Module):
        def forward(self, edges: Tensor, x: Tensor) -> Tensor:
            return neighbour_max(edges, x)

    nodes, count = torch.export.Dim("nodes", min=2), torch.export.Dim("edges", min=2)
    program = torch.export.export(Model(), (EDGES, torch.randn(4, 3)), dynamic_shapes=({1: count}, {0: nodes}))
    edges, x = torch.tensor([[0, 6, 5], [6, 1, 1]]), torch.randn(7, 3)
    torch.testing.assert_close(program.module()(edges, x), neighbour_max(edges, x))


@needs_numba
def test_two_runs_are_bit_equal() -> None:
    torch.manual_seed(0)
    edges, x = torch.randint(0, 2000, (2, 30_000)), torch.randn(2000, 40)
    one, two = (gradients("numba", edges, x, torch.ones(30_000), 2000) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        ((EDGES, torch.ones(4)), {}, r"x has shape \[4\]"),
        ((EDGES, torch.ones(4, 2), torch.ones(4)), {}, r"weight has shape \[4\], but the graph has 5 edges"),
        ((EDGES, torch.ones(3, 2)), {}, "row 0 of edge_index holds node 3, but num_src=3"),
        ((EDGES, torch.ones(4, 2)), {"reduce": "sum"}, 'reduce=\'sum\' is not known: choose "max" or "min"'),
        ((EDGES, torch.ones(4, 2)), {"ties": "last"}, 'ties=\'last\' is not known: choose "shared" or "first"'),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple, options: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        neighbour_max(*arguments, **options)
