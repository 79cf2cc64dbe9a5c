"""`spmm`: values and gradients of every backend against the reference, and everything that autograd may ask for."""

import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric import EdgeIndex

from gnnkit._optional import is_available
from gnnkit.ops import compress, spmm, use_backend

needs_scatter = pytest.mark.skipif(not is_available("torch_scatter"), reason="torch-scatter is not installed")
needs_numba = pytest.mark.skipif(not is_available("numba"), reason="numba is not installed")
BACKENDS = ["torch", "dense", pytest.param("scatter", marks=needs_scatter), pytest.param("numba", marks=needs_numba)]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
EDGES = torch.tensor([[0, 1, 2, 2, 3], [1, 1, 0, 3, 3]])


def gradients(backend: str, edges: Tensor, x: Tensor, weight: Tensor | None, num_dst: int, reduce: str = "sum"):
    inputs = [tensor.detach().clone().requires_grad_() for tensor in (x, weight) if tensor is not None]
    with use_backend(backend):
        out = spmm(edges, inputs[0], inputs[1] if weight is not None else None, num_dst=num_dst, reduce=reduce)
        if out.requires_grad:  # the reference of a graph without edges depends on nothing
            out.backward(torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view(out.shape))
    grads = [torch.zeros_like(tensor) if tensor.grad is None else tensor.grad for tensor in inputs]
    return [out.detach(), *grads]


def agree(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for mine, truth in zip(found, expected, strict=True):
        assert mine.shape == truth.shape
        scale = max(truth.abs().max().item(), 1e-30) if truth.numel() else 1.0
        torch.testing.assert_close(mine.double(), truth.double(), rtol=0, atol=tolerance * scale)


def test_by_hand() -> None:
    x = torch.tensor([[1.0, 0.0], [10.0, 1.0], [100.0, 2.0], [1000.0, 3.0]])
    weight = torch.tensor([1.0, 2.0, 3.0, 0.5, 1.0])
    assert spmm(EDGES, x, weight).tolist() == [[300.0, 6.0], [21.0, 2.0], [0.0, 0.0], [1050.0, 4.0]]
    assert spmm(EDGES, x).tolist() == [[100.0, 2.0], [11.0, 1.0], [0.0, 0.0], [1100.0, 5.0]]
    assert spmm(EDGES, x, reduce="mean").tolist() == [[100.0, 2.0], [5.5, 0.5], [0.0, 0.0], [550.0, 2.5]]


@pytest.mark.usefixtures("poison")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("channels", [0, 3])
def test_values_and_gradients(
    awkward: tuple[Tensor, int, int], backend: str, dtype: torch.dtype, channels: int
) -> None:
    edges, num_src, num_dst = awkward
    torch.manual_seed(0)
    x, weight = torch.randn(2, num_src, channels).double(), torch.randn(edges.size(1)).double()
    for given_weight in (weight, None):
        truth = gradients("reference", edges, x, given_weight, num_dst)
        cast = None if given_weight is None else given_weight.to(dtype)
        agree(gradients(backend, edges, x.to(dtype), cast, num_dst), truth, TOLERANCE[dtype])
    truth = gradients("reference", edges, x, weight, num_dst, "mean")
    agree(gradients(backend, edges, x.to(dtype), weight.to(dtype), num_dst, "mean"), truth, TOLERANCE[dtype])


@settings(max_examples=30, deadline=None)
@given(st.data())
@pytest.mark.parametrize("backend", BACKENDS)
def test_random_graphs(backend: str, data: st.DataObject) -> None:
    num_src, num_dst = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    count = data.draw(st.integers(0, 60))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**30)))
    edges = torch.stack([torch.randint(n, (count,), generator=generator) for n in (num_src, num_dst)])
    x = torch.randn(num_src, data.draw(st.integers(1, 40)), generator=generator, dtype=torch.float64)
    weight = torch.randn(count, generator=generator, dtype=torch.float64)
    truth = gradients("reference", edges, x, weight, num_dst)
    agree(gradients(backend, edges, x, weight, num_dst), truth, 1e-12)


@needs_numba
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [1, 3, 4, 7, 8, 9, 16, 20, 31, 64, 71, 128, 141])
def test_kernels_of_any_number_of_vectors(monkeypatch: pytest.MonkeyPatch, channels: int, dtype: torch.dtype) -> None:
    from gnnkit.ops.spmm import numba as numba_backend

    torch.manual_seed(0)
    edges, weight = torch.randint(0, 20, (2, 100)), torch.randn(100).double()
    edges[1] %= 17  # three nodes hear nobody
    x = torch.randn(3, 20, channels).double()
    for cache in (1 << 20, 0):  # with and without asking for rows ahead
        monkeypatch.setattr(numba_backend, "_CACHE_BYTES", cache)
        bound = 1e-5 if dtype == torch.float32 else 1e-12
        found = gradients("numba", edges, x.to(dtype), weight.to(dtype), 20)
        agree(found, gradients("reference", edges, x, weight, 20), bound)
        with use_backend("numba"):
            unweighted = spmm(edges, x.to(dtype))
        with use_backend("reference"):
            torch.testing.assert_close(unweighted.double(), spmm(edges, x), rtol=bound, atol=bound)


@needs_numba
def test_nothing_beside_the_rows_is_read() -> None:
    x = torch.full((4, 12), float("nan"))
    x[1] = 1.0
    with use_backend("numba"):
        out = spmm(torch.tensor([[1, 1, 2], [0, 0, 3]]), x, torch.tensor([0.5, 2.0, 1.0]))
    assert out[0].tolist() == [2.5] * 12
    assert (out[1:3] == 0).all()
    assert out[3].isnan().all()


def test_every_form_of_a_graph_gives_the_same() -> None:
    x, weight = torch.randn(4, 3), torch.rand(5)
    dense = torch.zeros(4, 4).index_put((EDGES[1], EDGES[0]), weight)
    expected = dense @ x
    uncoalesced = torch.sparse_coo_tensor(EDGES.flip(0), weight, (4, 4))
    forms = [dense.to_sparse_csr(), dense.to_sparse_coo(), dense.to_sparse_csc(), uncoalesced]
    for form in forms:
        torch.testing.assert_close(spmm(form, x), expected)
    for form in (EDGES, EdgeIndex(EDGES, sparse_size=(4, 4)), compress(EDGES, 4, 4), EDGES.int()):
        torch.testing.assert_close(spmm(form, x, weight), expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_gradient_of_a_gradient(backend: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, dtype=torch.float64, requires_grad=True)
    with use_backend(backend):
        assert torch.autograd.gradcheck(lambda x, w: spmm(EDGES, x, w), (x, weight))
        assert torch.autograd.gradgradcheck(lambda x, w: spmm(EDGES, x, w), (x, weight))
        assert torch.autograd.gradgradcheck(lambda x: spmm(EDGES, x, weight.detach()), (x,))


def test_transforms_take_the_native_path() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(4, 2).double(), torch.randn(5).double()
    dense = torch.zeros(4, 4).double().index_put((EDGES[1], EDGES[0]), weight, accumulate=True)
    jacobian = torch.func.jacrev(lambda x: spmm(EDGES, x, weight))(x)
    torch.testing.assert_close(jacobian, torch.einsum("ij,cd->icjd", dense, torch.eye(2).double()))
    torch.testing.assert_close(torch.func.jacfwd(lambda x: spmm(EDGES, x, weight))(x), jacobian)
    batch = torch.randn(3, 4, 2).double()
    torch.testing.assert_close(torch.func.vmap(lambda x: spmm(EDGES, x, weight))(batch), dense @ batch)
    weights = torch.randn(3, 5).double()
    one_by_one = torch.stack([spmm(EDGES, x, w) for w in weights])
    torch.testing.assert_close(torch.func.vmap(lambda w: spmm(EDGES, x, w))(weights), one_by_one)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        tangent = torch.autograd.forward_ad.unpack_dual(spmm(EDGES, dual, weight)).tangent
    torch.testing.assert_close(tangent, dense @ torch.ones_like(x))


def test_half_precision_and_inference_mode() -> None:
    x, weight = torch.randn(4, 3), torch.rand(5)
    expected = spmm(EDGES, x, weight)
    half = spmm(EDGES, x.bfloat16(), weight.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), expected, atol=0.05, rtol=0.05)
    assert spmm(EDGES, x, weight.double()).dtype == torch.float64
    with torch.inference_mode():
        assert torch.equal(spmm(EDGES, x, weight), expected)
        assert torch.equal(spmm(EDGES.clone(), x.clone(), weight.clone()), expected)


@needs_numba
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_no_less_exact_than_step_by_step(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    edges, x, weight = torch.randint(0, 60, (2, 900)), torch.randn(2, 60, 17).to(dtype), torch.randn(900).to(dtype)
    truth = gradients("torch", edges, x.double(), weight.double(), 60)
    errors = {}
    for backend in ("numba", "torch"):
        found = gradients(backend, edges, x, weight, 60)
        assert all(tensor.dtype == dtype for tensor in found)
        errors[backend] = [(mine.double() - exact).abs().mean() for mine, exact in zip(found, truth, strict=True)]
    assert all(mine <= other for mine, other in zip(errors["numba"], errors["torch"], strict=True)), errors
    with use_backend("numba"):
        assert spmm(edges, x).dtype == dtype


def test_an_in_place_change_of_edges_or_weights_is_seen() -> None:
    edges, weight, x = EDGES.clone(), torch.ones(5), torch.tensor([[1.0], [10.0], [100.0], [1000.0]])
    for backend in ("auto", "dense", "torch"):
        edges[0, 0], weight[1] = 0, 1.0
        with use_backend(backend):
            assert spmm(edges, x, weight)[1].item() == 11.0
            weight[1] = 2.0
            assert spmm(edges, x, weight)[1].item() == 21.0
            edges[0, 0] = 3
            assert spmm(edges, x, weight)[1].item() == 1020.0


@needs_numba
def test_two_runs_are_bit_equal_and_two_threads_agree() -> None:
    torch.manual_seed(0)
    edges = torch.randint(0, 3000, (2, 60_000))
    x, weight = torch.randn(3000, 24), torch.randn(60_000)
    expected = gradients("numba", edges, x, weight, 3000)
    again = gradients("numba", edges, x, weight, 3000)
    assert all(torch.equal(a, b) for a, b in zip(expected, again, strict=True))
    results: dict[int, list[list[Tensor]]] = {0: [], 1: []}

    def work(name: int) -> None:
        for _ in range(5):
            results[name].append(gradients("numba", edges, x, weight, 3000))

    threads = [threading.Thread(target=work, args=(name,)) for name in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results[0]) == len(results[1]) == 5
    for found in results[0] + results[1]:
        assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_the_operator_is_well_formed() -> None:
    x = torch.randn(4, 2, requires_grad=True)
    weight = torch.randn(5, requires_grad=True)
    torch.library.opcheck(torch.ops.gnnkit.spmm.default, (EDGES, x, weight, 4))
    torch.library.opcheck(torch.ops.gnnkit.spmm.default, (EDGES, torch.randn(2, 4, 2, requires_grad=True), None, 4))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiles_without_a_graph_break(backend: str) -> None:
    def loss(x: Tensor, weight: Tensor) -> Tensor:
        return spmm(EDGES, x.relu(), weight, reduce="mean").square().sum()

    inputs = [torch.randn(4, 3).double().requires_grad_(), torch.randn(5).double().requires_grad_()]
    expected = torch.autograd.grad(loss(*inputs), inputs)
    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True, backend=backend)
    for found, truth in zip(torch.autograd.grad(compiled(*inputs), inputs), expected, strict=True):
        torch.testing.assert_close(found, truth)


def test_exports_with_any_number_of_nodes() -> None:
    class Model(torch.nn.Module):
        def forward(self, edges: Tensor, x: Tensor) -> Tensor:
            return spmm(edges, x)

    nodes, count = torch.export.Dim("nodes", min=2), torch.export.Dim("edges", min=2)
    program = torch.export.export(Model(), (EDGES, torch.randn(4, 3)), dynamic_shapes=({1: count}, {0: nodes}))
    edges, x = torch.tensor([[0, 6, 5], [6, 1, 1]]), torch.randn(7, 3)
    torch.testing.assert_close(program.module()(edges, x), spmm(edges, x))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((EDGES, torch.ones(4)), r"x has shape \[4\]"),
        ((EDGES, torch.ones(4, 2, dtype=torch.int64)), "dtype torch.int64: features are floating point"),
        ((EDGES, torch.ones(4, 2), torch.ones(4)), r"weight has shape \[4\], but the graph has 5 edges"),
        ((EDGES, torch.ones(3, 2)), "row 0 of edge_index holds node 3, but num_src=3"),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        spmm(*arguments)


def test_an_unknown_reduction() -> None:
    with pytest.raises(ValueError, match="reduce='max' is not known"):
        spmm(EDGES, torch.ones(4, 2), reduce="max")  # pyright: ignore[reportArgumentType]
