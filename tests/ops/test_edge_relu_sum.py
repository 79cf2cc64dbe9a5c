"""`edge_relu_sum`: values and gradients of every backend against the reference, and what autograd may ask."""

import pytest
import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from gnnkit._optional import is_available
from gnnkit.ops import compress, edge_relu_sum, use_backend

needs_numba = pytest.mark.skipif(not is_available("numba"), reason="numba is not installed")
BACKENDS = ["torch", pytest.param("numba", marks=needs_numba)]
EDGES = torch.tensor([[0, 1, 2, 2, 3], [1, 1, 0, 3, 3]])


def gradients(backend: str, graph: Tensor, x: Tensor, edges: Tensor, num_dst: int):
    inputs = [tensor.detach().clone().requires_grad_() for tensor in (x, edges)]
    with use_backend(backend):
        out = edge_relu_sum(graph, *inputs, num_dst=num_dst)
        if out.requires_grad:  # the reference of a graph without edges depends on nothing
            out.backward(torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view(out.shape))
    return [out.detach(), *(torch.zeros_like(t) if t.grad is None else t.grad for t in inputs)]


def agree(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for mine, truth in zip(found, expected, strict=True):
        torch.testing.assert_close(mine.double(), truth.double(), rtol=tolerance, atol=tolerance)


@pytest.mark.usefixtures("poison")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("channels", [0, 3, 19])
def test_values_and_gradients(awkward: tuple[Tensor, int, int], backend: str, dtype, channels: int) -> None:
    graph, num_src, num_dst = awkward
    torch.manual_seed(0)
    x, edges = torch.randn(num_src, channels).double(), torch.randn(graph.size(1), channels).double()
    if graph.numel():  # a sum that is exactly zero has no gradient
        x[graph[0, 0]], edges[0] = 1.0, -1.0
    truth = gradients("reference", graph, x, edges, num_dst)
    found = gradients(backend, graph, x.to(dtype), edges.to(dtype), num_dst)
    agree(found, truth, 1e-5 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_gradient_of_a_gradient_and_what_is_no_number(backend: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    edges = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    with use_backend(backend):
        assert torch.autograd.gradcheck(lambda x, e: edge_relu_sum(EDGES, x, e), (x, edges))
        assert torch.autograd.gradgradcheck(lambda x, e: edge_relu_sum(EDGES, x.sin(), e.sin()), (x, edges))
        x = torch.ones(4, 2)
        x[3] = float("nan")
        out = edge_relu_sum(EDGES, x, torch.zeros(5, 2))
    assert out[:3].tolist() == [[1.0, 1.0], [2.0, 2.0], [0.0, 0.0]]
    assert out[3].isnan().all()


@needs_numba
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    graph, x, edges = torch.randint(0, 60, (2, 900)), torch.randn(60, 17).to(dtype), torch.randn(900, 17).to(dtype)
    found = gradients("numba", graph, x, edges, 60)
    assert all(tensor.dtype == dtype for tensor in found)
    agree(found, gradients("torch", graph, x.double(), edges.double(), 60), 5e-2)


def test_every_form_of_a_graph_and_transforms() -> None:
    x, edges = torch.randn(4, 3), torch.randn(5, 3)
    expected = edge_relu_sum(EDGES, x, edges)
    for form in (EdgeIndex(EDGES, sparse_size=(4, 4)), compress(EDGES, 4, 4), EDGES.int()):
        torch.testing.assert_close(edge_relu_sum(form, x, edges), expected)
    mapped = torch.func.vmap(lambda x: edge_relu_sum(EDGES, x, edges))(torch.stack([x, -x]))
    torch.testing.assert_close(mapped, torch.stack([expected, edge_relu_sum(EDGES, -x, edges)]))


def test_the_operator_is_well_formed_compiles_and_exports() -> None:
    x, edges = torch.randn(4, 2, requires_grad=True), torch.randn(5, 2, requires_grad=True)
    torch.library.opcheck(torch.ops.gnnkit.edge_relu_sum.default, (EDGES, x, edges, 4))

    class Model(torch.nn.Module):
        def forward(self, x: Tensor, edges: Tensor) -> Tensor:
            return edge_relu_sum(EDGES, x.sin(), edges)

    model, expected = Model(), edge_relu_sum(EDGES, x.sin(), edges)
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")(x, edges)
    torch.testing.assert_close(compiled, expected)
    truth = torch.autograd.grad(expected.square().sum(), (x, edges))
    for found, exact in zip(torch.autograd.grad(compiled.square().sum(), (x, edges)), truth, strict=True):
        torch.testing.assert_close(found, exact)
    torch.testing.assert_close(torch.export.export(model, (x, edges)).module()(x, edges), expected)


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ValueError, match=r"x has shape \[4\]"):
        edge_relu_sum(EDGES, torch.ones(4), torch.ones(5, 1))
    with pytest.raises(
        ValueError, match=r"edges has shape \[5, 3\] .* one row of x's 2 features for each of the 5 edges"
    ):
        edge_relu_sum(EDGES, torch.ones(4, 2), torch.ones(5, 3))
    with pytest.raises(ValueError, match="row 0 of edge_index holds node 3, but num_src=3"):
        edge_relu_sum(EDGES, torch.ones(3, 2), torch.ones(5, 2))
