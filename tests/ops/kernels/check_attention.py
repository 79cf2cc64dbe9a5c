"""`edge_attention` in Triton against the reference, dropout included."""

import pytest
import torch
from torch import Tensor

from gnnkit.ops import CompressedGraph, compress, edge_attention, use_backend


def make(num_src: int, num_dst: int, num_edges: int, heads: int, channels: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(num_src, heads, channels), (num_src, heads), (num_dst, heads), (num_edges, heads)]
    return [torch.randn(shape, generator=generator) for shape in shapes]


@pytest.mark.usefixtures("poison")
def test_awkward_graphs(awkward: tuple[Tensor, int, int], device: str, agrees) -> None:
    edges, num_src, num_dst = awkward
    edges = edges.to(device)
    x, source, target, logits = make(num_src, num_dst, edges.size(1), 2, 3)
    options = {"dropout": 0.6, "training": True, "negative_slope": 0.1}
    agrees(lambda *inputs: edge_attention(edges, *inputs, num_dst=num_dst, **options), [x, source, target, logits])
    agrees(lambda *inputs: edge_attention(edges, *inputs, num_dst=num_dst), [x, source, target, None])
    agrees(lambda *inputs: edge_attention(edges, *inputs, num_dst=num_dst), [x, source])


@pytest.mark.usefixtures("poison", "short_pieces")
@pytest.mark.parametrize(("heads", "channels"), [(8, 16), (1, 7), (2, 130), (40, 1), (2, 0), (0, 3)])
def test_sizes(heads: int, channels: int, edges: Tensor, agrees) -> None:
    options = {"dropout": 0.3, "training": True}
    agrees(lambda *inputs: edge_attention(edges, *inputs, **options), make(8, 6, 70, heads, channels))


@pytest.mark.usefixtures("poison", "short_pieces")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype, edges: Tensor, agrees) -> None:
    # The logits' gradients are differences of products with the result, which is rounded.
    agrees(lambda *inputs: edge_attention(edges, *inputs), make(8, 6, 70, 3, 7), dtype, loose=8.0)


def test_whole_rows_give_the_same_as_rows_in_pieces(edges: Tensor, agrees) -> None:
    agrees(lambda *inputs: edge_attention(edges, *inputs), make(8, 6, 70, 2, 4))


@pytest.mark.usefixtures("short_pieces")
def test_wide_indices_and_no_permutation(edges: Tensor, agrees) -> None:
    narrow = compress(edges, 6, 8)
    graph = CompressedGraph(8, 6, narrow.rowptr.long(), narrow.col.long())
    options = {"dropout": 0.3, "training": True}
    agrees(lambda *inputs: edge_attention(graph, *inputs, **options), make(8, 6, 70, 2, 4))


@pytest.mark.parametrize("short", [True, False])
def test_large_masked_and_missing_logits(short: bool, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if short:
        monkeypatch.setattr("gnnkit.ops.kernels.pieces.PIECE", 1)
    x = torch.tensor([[[1.0]], [[3.0]], [[5.0]]], device=device)
    edges = torch.tensor([[0, 1, 2], [0, 0, 1]], device=device)
    low = -torch.inf

    def run(source: list[list[float]], logits: list[list[float]] | None = None) -> Tensor:
        given = None if logits is None else torch.tensor(logits, device=device)
        return edge_attention(edges, x, torch.tensor(source, device=device), None, given).flatten()

    with use_backend("triton"):
        assert run([[1e4], [1e4], [0.0]]).tolist() == [2.0, 5.0, 0.0]
        assert run([[0.0], [0.0], [0.0]], [[0.0], [low], [0.0]]).tolist() == [1.0, 5.0, 0.0]
        assert run([[0.0], [0.0], [0.0]], [[low], [0.0], [0.0]]).tolist() == [3.0, 5.0, 0.0]
        for missing in (run([[torch.nan], [0.0], [0.0]]), run([[low], [low], [0.0]])):
            assert missing[0].isnan()
            assert missing[1:].tolist() == [5.0, 0.0]


def test_dropout_drops_what_the_other_backends_drop(device: str) -> None:
    # One edge a target, in no order: a weight is 0, or one over the share that is kept.
    targets = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    edges = torch.stack([torch.zeros_like(targets), targets]).to(device)
    x, alpha = torch.ones(1, 4, 1, device=device), torch.zeros(1, 4, device=device)

    def run(backend: str, dropout: float) -> Tensor:
        torch.manual_seed(11)
        with use_backend(backend):
            return edge_attention(edges, x, alpha, num_dst=40, dropout=dropout, training=True)

    found = run("triton", 0.7)
    assert torch.equal(found == 0, run("torch", 0.7) == 0)
    torch.testing.assert_close(found.unique(), torch.tensor([0.0, 1 / 0.3], device=device))
    assert run("triton", 1.0).abs().max() == 0


@pytest.mark.usefixtures("short_pieces")
def test_two_runs_are_bit_equal(edges: Tensor, results) -> None:
    def call(*inputs: Tensor) -> Tensor:
        return edge_attention(edges, *inputs, dropout=0.4, training=True)

    one, two = (results(call, make(8, 6, 70, 2, 4)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_operator_is_well_formed(dtype: torch.dtype, device: str) -> None:
    edges = torch.tensor([[0, 1, 2, 2, 3, 0], [1, 1, 0, 3, 3, 3]], device=device)
    inputs = [tensor.to(device, dtype).requires_grad_() for tensor in make(4, 4, 6, 2, 3)]
    with use_backend("triton"):
        seed = torch.tensor(5, device=device)
        torch.library.opcheck(torch.ops.gnnkit.edge_attention.default, (edges, *inputs, seed, 4, 0.2, 0.3))


def test_a_gradient_of_a_gradient(device: str, edges: Tensor) -> None:
    def second(backend: str) -> list[Tensor]:
        generator = torch.Generator().manual_seed(1)
        leaf = torch.randn(8, 3, generator=generator, dtype=torch.float64).to(device)
        leaf = (leaf.float() if backend == "triton" else leaf).requires_grad_()
        with use_backend(backend):
            x = torch.stack([leaf.sin(), leaf], dim=1)
            out = edge_attention(edges, x, leaf[:, :2], leaf[:6, 1:] * 2, num_dst=6)
            (grad,) = torch.autograd.grad(out.square().sum(), leaf, create_graph=True)
            return [grad.detach().double(), torch.autograd.grad(grad.square().sum(), leaf)[0].double()]

    for mine, truth in zip(second("triton"), second("reference"), strict=True):
        assert (mine - truth).abs().max() <= 2e-5 * truth.abs().max()
