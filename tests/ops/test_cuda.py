"""Every public op on a GPU: values and every input's gradient against the reference, on the awkward graphs."""

import pytest
import torch
from torch import Tensor

from gnnkit.ops import (
    edge_attention,
    gated_recurrence,
    hop_levels,
    segment_max,
    segment_mean,
    segment_softmax,
    segment_sum,
    spmm,
    use_backend,
)

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12, torch.bfloat16: 5e-2}


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def results(call, inputs: list[Tensor]) -> list[Tensor]:
    leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    out = call(*leaves)
    if out.requires_grad:  # the reference of a graph without edges depends on nothing
        above = torch.linspace(-1, 2, out.numel(), dtype=torch.float64).view(out.shape)
        out.backward(above.to(out))
    grads = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]
    return [tensor.detach().cpu().double() for tensor in (out, *grads)]


def agree(on_gpu, on_cpu, inputs: list[Tensor], dtype: torch.dtype) -> None:
    rounded = [tensor.to(dtype) for tensor in inputs]
    found = results(on_gpu, [tensor.cuda() for tensor in rounded])
    with use_backend("reference"):
        expected = results(on_cpu, [tensor.double() for tensor in rounded])
    for mine, truth in zip(found, expected, strict=True):
        assert mine.shape == truth.shape
        if truth.numel():
            assert (mine - truth).abs().max() <= TOLERANCE[dtype] * max(truth.abs().max().item(), 0.1)


@DTYPES
def test_spmm(awkward: tuple[Tensor, int, int], dtype: torch.dtype) -> None:
    edges, num_src, num_dst = awkward
    on_gpu = edges.cuda()
    inputs = [draw(2, num_src, 3), draw(edges.size(1))]
    for reduce in ("sum", "mean"):
        agree(
            lambda x, w, how=reduce: spmm(on_gpu, x, w, num_dst=num_dst, reduce=how),
            lambda x, w, how=reduce: spmm(edges, x, w, num_dst=num_dst, reduce=how),
            inputs,
            dtype,
        )


@DTYPES
def test_edge_attention(awkward: tuple[Tensor, int, int], dtype: torch.dtype) -> None:
    edges, num_src, num_dst = awkward
    on_gpu = edges.cuda()
    inputs = [draw(num_src, 2, 3), draw(num_src, 2), draw(num_dst, 2), draw(edges.size(1), 2)]
    agree(
        lambda *given: edge_attention(on_gpu, *given),
        lambda *given: edge_attention(edges, *given, num_dst=num_dst),
        inputs,
        dtype,
    )


def test_dropout_is_the_same_on_every_backend() -> None:
    edges = torch.randint(50, (2, 400)).cuda()
    x, source, target = draw(50, 2, 4).float().cuda(), draw(50, 2).float().cuda(), draw(50, 2).float().cuda()
    found = []
    for backend in ("auto", "torch"):
        torch.manual_seed(3)
        with use_backend(backend):
            found.append(edge_attention(edges, x, source, target, dropout=0.5, training=True))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)


@DTYPES
@pytest.mark.parametrize("op", [segment_sum, segment_mean, segment_max, segment_softmax])
def test_segments(op, dtype: torch.dtype) -> None:
    index = torch.tensor([3, 0, 3, 1, 0, 3])
    on_gpu = index.cuda()
    agree(
        lambda values: op(values, on_gpu, num_segments=5),
        lambda values: op(values, index, num_segments=5),
        [draw(6, 2)],
        dtype,
    )


@DTYPES
@pytest.mark.parametrize("return_sequence", [True, False])
@pytest.mark.parametrize("size", [(2, 3, 40, 3, 64), (1, 1, 5, 20, 7), (2, 0, 3, 1, 4), (1, 2, 3, 1, 130)], ids=str)
def test_gated_recurrence(size: tuple[int, ...], return_sequence: bool, dtype: torch.dtype) -> None:
    batch, steps, nodes, features, hidden = size
    inputs = [
        draw(batch, steps, nodes, features),
        draw(batch, nodes, hidden),
        draw(features, 3 * hidden) / features**0.5,
        draw(hidden, 3 * hidden) / hidden**0.5,
        draw(3 * hidden),
    ]

    def call(*given: Tensor) -> Tensor:
        return gated_recurrence(*given, return_sequence=return_sequence)

    agree(call, call, inputs, dtype)


@pytest.mark.parametrize("max_hops", [None, 2])
def test_hop_levels(max_hops: int | None) -> None:
    graph, sources = torch.randint(200, (2, 700)), torch.randint(200, (70,))
    with use_backend("reference"):
        expected = hop_levels(graph, sources, 200, max_hops=max_hops)
    assert torch.equal(hop_levels(graph.cuda(), sources, 200, max_hops=max_hops).cpu(), expected)
