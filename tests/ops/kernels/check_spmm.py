"""`spmm` in Triton against the reference."""

import pytest
import torch
from torch import Tensor

from gnnkit.ops import CompressedGraph, compress, explain_backend, spmm, use_backend


@pytest.mark.usefixtures("poison")
@pytest.mark.parametrize("channels", [0, 3])
def test_awkward_graphs(awkward: tuple[Tensor, int, int], channels: int, device: str, agrees) -> None:
    edges, num_src, num_dst = awkward
    edges = edges.to(device)
    torch.manual_seed(0)
    x, weight = torch.randn(2, num_src, channels), torch.randn(edges.size(1))
    agrees(lambda x, w: spmm(edges, x, w, num_dst=num_dst), [x, weight])
    agrees(lambda x: spmm(edges, x, num_dst=num_dst), [x])
    agrees(lambda x, w: spmm(edges, x, w, num_dst=num_dst, reduce="mean"), [x, weight])


@pytest.mark.usefixtures("poison", "short_pieces")
@pytest.mark.parametrize("shape", [(8, 1), (8, 16), (8, 130), (2, 1, 8, 5), (0, 8, 3)])
def test_sizes(shape: tuple[int, ...], edges: Tensor, agrees) -> None:
    torch.manual_seed(0)
    agrees(lambda x, w: spmm(edges, x, w, num_dst=6), [torch.randn(shape), torch.randn(70)])


@pytest.mark.usefixtures("poison", "short_pieces")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype, edges: Tensor, agrees) -> None:
    agrees(lambda x, w: spmm(edges, x, w, num_dst=6), [torch.randn(2, 8, 5), torch.randn(70)], dtype)


def test_whole_rows_give_the_same_as_rows_in_pieces(edges: Tensor, agrees) -> None:
    agrees(lambda x, w: spmm(edges, x, w, num_dst=6), [torch.randn(8, 20), torch.randn(70)])


@pytest.mark.usefixtures("short_pieces")
def test_wide_indices(edges: Tensor, agrees) -> None:
    narrow = compress(edges, 6, 8)
    assert narrow.perm is not None
    long = CompressedGraph(8, 6, narrow.rowptr.long(), narrow.col.long(), narrow.perm.long())
    agrees(lambda x, w: spmm(long, x, w), [torch.randn(8, 4), torch.randn(70)])


@pytest.mark.usefixtures("short_pieces")
def test_a_graph_in_order_has_no_permutation(edges: Tensor, agrees) -> None:
    graph = compress(edges, 6, 8)
    ordered = CompressedGraph(8, 6, graph.rowptr, graph.col)
    agrees(lambda x, w: spmm(ordered, x, w), [torch.randn(8, 4), torch.randn(70)])


def test_layouts_do_not_matter(edges: Tensor, agrees) -> None:
    agrees(lambda x, w: spmm(edges, x.t(), w[::2], num_dst=6), [torch.randn(6, 8), torch.randn(140)])


@pytest.mark.usefixtures("short_pieces")
def test_two_runs_are_bit_equal(edges: Tensor, results) -> None:
    inputs = [torch.randn(8, 20), torch.randn(70)]
    one, two = (results(lambda x, w: spmm(edges, x, w, num_dst=6), inputs) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_a_change_of_the_weights_is_seen(edges: Tensor, device: str) -> None:
    x, weight = torch.ones(8, 1, device=device), torch.ones(70, device=device)
    with use_backend("triton"):
        before = spmm(edges, x, weight, num_dst=6)
        weight.mul_(2)
        assert torch.equal(spmm(edges, x, weight, num_dst=6), 2 * before)


def test_the_operator_is_well_formed(device: str) -> None:
    edges = torch.tensor([[0, 1, 2, 2, 3], [1, 1, 0, 3, 3]], device=device)
    x = torch.randn(4, 2, device=device, requires_grad=True)
    weight = torch.randn(5, device=device, requires_grad=True)
    with use_backend("triton"):
        assert explain_backend("spmm", x).backend == "triton"
        torch.library.opcheck(torch.ops.gnnkit.spmm.default, (edges, x, weight, 4))


def test_a_gradient_of_a_gradient(device: str, edges: Tensor) -> None:
    def second(backend: str) -> list[Tensor]:
        generator = torch.Generator().manual_seed(1)
        leaf = torch.randn(8, 3, generator=generator, dtype=torch.float64).to(device)
        leaf = (leaf.float() if backend == "triton" else leaf).requires_grad_()
        weight = (leaf[edges[0]] * leaf[edges[1]]).sum(-1).tanh()
        with use_backend(backend):
            out = spmm(edges, leaf.sin(), weight, num_dst=6)
            (grad,) = torch.autograd.grad(out.square().sum(), leaf, create_graph=True)
            return [grad.detach().double(), torch.autograd.grad(grad.square().sum(), leaf)[0].double()]

    for mine, truth in zip(second("triton"), second("reference"), strict=True):
        assert (mine - truth).abs().max() <= 2e-5 * truth.abs().max()
