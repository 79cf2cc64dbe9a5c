"""NaN and infinity: a value goes along edges and nowhere else, forwards and backwards, on every backend, at any size.

What is planted is where a comparison finds it: the ops are held to their definitions entry by entry, with NaN equal to
NaN and infinities equal in sign.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gnnkit._optional import is_available
from gnnkit.ops import edge_attention, grouped_matmul, segment_mean, segment_softmax, segment_sum, spmm, use_backend

NAN, INF = float("nan"), float("inf")
INSTALLED = {"numba": is_available("numba"), "scatter": is_available("torch_scatter")}


def installed(*backends: str) -> list:
    return [
        pytest.param(name, marks=pytest.mark.skipif(not INSTALLED.get(name, True), reason=f"no {name}"))
        for name in backends
    ]


def run(backend: str, call, inputs: list[Tensor], above: Tensor) -> list[Tensor]:
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    with use_backend(backend):
        out = call(*leaves)
        grads = torch.autograd.grad(out, leaves, above.view(out.shape), allow_unused=True)
    zeros = (torch.zeros_like(leaf) for leaf in leaves)
    return [out.detach(), *(zero if grad is None else grad for zero, grad in zip(zeros, grads, strict=True))]


def plant(data: st.DataObject, tensor: Tensor, where: str) -> Tensor:
    """Put up to three NaN, infinities or zeros somewhere."""
    flat = tensor.flatten().clone()
    for _ in range(data.draw(st.integers(0, 3), label=where)):
        flat[data.draw(st.integers(0, flat.numel() - 1))] = data.draw(st.sampled_from([NAN, INF, -INF, 0.0]))
    return flat.view(tensor.shape)


def agree(found: list[Tensor], expected: list[Tensor]) -> None:
    for mine, truth in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, truth, rtol=1e-10, atol=1e-10, equal_nan=True)


@settings(max_examples=40, deadline=None)
@given(st.data())
@pytest.mark.parametrize("backend", installed("torch", "dense", "numba", "scatter", "auto"))
def test_spmm(backend: str, data: st.DataObject) -> None:
    nodes, count, channels = (data.draw(st.integers(1, top)) for top in (7, 30, 18))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**30)))
    edges = torch.randint(nodes, (2, count), generator=generator)
    batch = data.draw(st.sampled_from([(), (1,), (2, 16)]))
    x, above = (torch.randn(*batch, nodes, channels, generator=generator, dtype=torch.float64) for _ in range(2))
    weight = torch.randn(count, generator=generator, dtype=torch.float64)
    x, above, weight = (plant(data, tensor, name) for tensor, name in ((x, "x"), (above, "grad"), (weight, "weight")))
    for inputs in ([x, weight], [x]):

        def call(*tensors: Tensor) -> Tensor:
            return spmm(edges, *tensors)

        agree(run(backend, call, inputs, above), run("reference", call, inputs, above))


@settings(max_examples=40, deadline=None)
@given(st.data())
@pytest.mark.parametrize("backend", installed("torch", "numba", "scatter"))
def test_attention(backend: str, data: st.DataObject) -> None:
    nodes, count, heads, channels = (data.draw(st.integers(1, top)) for top in (7, 25, 2, 10))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**30)))
    edges = torch.randint(nodes, (2, count), generator=generator)
    shapes = [(nodes, heads, channels), (nodes, heads), (nodes, heads), (count, heads)]
    x, source, target, logits = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)
    above = torch.randn(nodes, heads, channels, generator=generator, dtype=torch.float64)
    x, above = plant(data, x, "x"), plant(data, above, "grad")
    source, logits = plant(data, source, "logits of sources"), plant(data, logits, "logits of edges")

    def call(*tensors: Tensor) -> Tensor:
        return edge_attention(edges, *tensors)

    inputs = [x, source, target, logits]
    found, expected = run(backend, call, inputs, above), run("reference", call, inputs, above)
    torch.testing.assert_close(found[0], expected[0], rtol=1e-10, atol=1e-10, equal_nan=True)
    # Infinity times zero weight, and what of it is left in a gradient, is NaN by one way of summing and not by another:
    # what holds by every way is that rows and columns without anything that is not finite are right.
    sources, targets = edges
    finite_row = torch.ones(nodes, dtype=torch.bool)
    touched = ~(
        x[sources].isfinite().flatten(1).all(1)
        & above[targets].isfinite().flatten(1).all(1)
        & (source[sources] + target[targets] + logits).isfinite().all(1)
    )
    finite_row[targets[touched]] = False
    clean = torch.ones(nodes, dtype=torch.bool)
    clean[sources[~finite_row[targets]]] = False
    for mine, truth, rows in zip(found[1:], expected[1:], (clean, clean, finite_row, finite_row[targets]), strict=True):
        assert truth[rows].isfinite().all()
        torch.testing.assert_close(mine[rows], truth[rows], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("backend", installed("torch", "numba", "scatter"))
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_a_logit_stays_in_its_row_as_in_pyg(backend: str, bad: float) -> None:
    from torch_geometric.utils import softmax

    edges = torch.tensor([[0, 1, 2, 3, 1, 2], [0, 0, 1, 1, 2, 3]])
    x, logits = torch.randn(4, 1, 9, dtype=torch.float64), torch.randn(6, 1, dtype=torch.float64)
    for place in (0, 4):  # one among others, and one alone
        planted = logits.clone()
        planted[place] = bad
        inputs = [x, planted]

        def fused(x: Tensor, logits: Tensor) -> Tensor:
            return edge_attention(edges, x, x.new_zeros(4, 1), None, logits, negative_slope=1.0)

        def stepwise(x: Tensor, logits: Tensor) -> Tensor:
            weights = softmax(logits, edges[1], num_nodes=4)
            return x.new_zeros(4, 1, 9).index_add(0, edges[1], weights[:, :, None] * x[edges[0]])

        above = torch.ones(4, 1, 9, dtype=torch.float64)
        agree(run(backend, fused, inputs, above), run("auto", stepwise, inputs, above))


@pytest.mark.parametrize("nodes", [5, 32, 33, 200, 300])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_size_that_is_chosen_for(nodes: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(nodes)
    for count in (nodes, nodes * nodes // 3):
        for width in (1, 300):
            edges = torch.randint(1, nodes, (2, count), generator=generator)  # node 0 has no edge
            x = torch.randn(nodes, width, generator=generator).to(dtype).requires_grad_()
            planted = torch.ones(nodes, 1)
            planted[0] = NAN
            out = spmm(edges, x * planted.to(dtype))
            assert out.isfinite().all()
            above = torch.ones(nodes, width)
            above[0] = INF
            (grad,) = torch.autograd.grad(spmm(edges, x), x, above.to(dtype))
            assert grad.isfinite().all()


@pytest.mark.parametrize("backend", installed("torch", "scatter"))
def test_segments(backend: str) -> None:
    values = torch.tensor([[1.0], [NAN], [2.0], [INF], [3.0]])
    index = torch.tensor([0, 1, 0, 3, 4])
    with use_backend(backend):
        assert segment_sum(values, index).flatten()[[0, 2, 4]].tolist() == [3.0, 0.0, 3.0]
        assert segment_sum(values, index)[1].isnan()
        assert segment_mean(values, index).flatten()[[0, 2, 3, 4]].tolist() == [1.5, 0.0, INF, 3.0]
        weights = segment_softmax(values, index).flatten()
    torch.testing.assert_close(weights[[0, 2, 4]], torch.tensor([0.26894143, 0.7310586, 1.0]))
    assert weights[[1, 3]].isnan().all()


def test_a_group_without_nan_has_a_gradient() -> None:
    x = torch.ones(9, 2)
    x[0] = NAN  # of group 1; tiles have room for more rows than group 0 has
    group = torch.tensor([1, 0, 0, 0, 0, 1, 1, 2, 2])
    weight = torch.ones(3, 2, 2, requires_grad=True)
    out = grouped_matmul(x, group, weight)
    assert out[1:].isfinite().all()
    (grad,) = torch.autograd.grad(out, weight, torch.ones_like(out))
    assert grad[1].isnan().all()
    assert grad[0].tolist() == [[4.0, 4.0], [4.0, 4.0]]
    assert grad[2].tolist() == [[2.0, 2.0], [2.0, 2.0]]
