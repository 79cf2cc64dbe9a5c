"""`dynamic_attention` and `dot_attention` in Triton against the reference, dropout included."""

import pytest
import torch
from torch import Tensor

from gnnkit.ops import CompressedGraph, compress, dot_attention, dynamic_attention, use_backend

OPS = [dynamic_attention, dot_attention]


def make(op, num_src: int, num_dst: int, num_edges: int, heads: int, channels: int, features: int = 0):
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    source, target = draw(num_src, heads, channels), draw(num_dst, heads, channels)
    is_dot = op is dot_attention
    parts = [target, source, draw(num_src, heads, channels)] if is_dot else [source, target, draw(heads, channels)]
    return [*parts, *([draw(num_edges, features), draw(features, heads, channels)] if features else [])]


@pytest.mark.usefixtures("poison")
@pytest.mark.parametrize("op", OPS)
def test_awkward_graphs(op, awkward: tuple[Tensor, int, int], device: str, agrees) -> None:
    edges, num_src, num_dst = awkward
    edges = edges.to(device)
    inputs = make(op, num_src, num_dst, edges.size(1), 2, 3, 2)
    options = {"dropout": 0.6, "training": True}
    agrees(lambda *inputs: op(edges, *inputs, **options), inputs)
    agrees(lambda *inputs: op(edges, *inputs), inputs[:3])


@pytest.mark.usefixtures("poison", "short_pieces")
@pytest.mark.parametrize(
    ("heads", "channels", "features"), [(8, 16, 3), (1, 7, 20), (2, 130, 1), (40, 1, 2), (2, 0, 0), (0, 3, 0)]
)
@pytest.mark.parametrize("op", OPS)
def test_sizes(op, heads: int, channels: int, features: int, edges: Tensor, agrees) -> None:
    options = {"dropout": 0.3, "training": True}
    # Of 130 channels of one size the logits are ten times as large, and so are their errors.
    inputs = make(op, 8, 6, 70, heads, channels, features)
    agrees(lambda *inputs: op(edges, *inputs, **options), inputs, loose=3.0)


@pytest.mark.usefixtures("poison", "short_pieces")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("op", OPS)
def test_half_precision(op, dtype: torch.dtype, edges: Tensor, agrees) -> None:
    # The logits' gradients are differences of products with the result, which is rounded.
    agrees(lambda *inputs: op(edges, *inputs), make(op, 8, 6, 70, 3, 7), dtype, loose=8.0)


@pytest.mark.parametrize("op", OPS)
def test_whole_rows_give_the_same_as_rows_in_pieces(op, edges: Tensor, agrees) -> None:
    agrees(lambda *inputs: op(edges, *inputs), make(op, 8, 6, 70, 2, 4, 2))


@pytest.mark.usefixtures("short_pieces")
@pytest.mark.parametrize("op", OPS)
def test_wide_indices_and_no_permutation(op, edges: Tensor, agrees) -> None:
    narrow = compress(edges, 6, 8)
    graph = CompressedGraph(8, 6, narrow.rowptr.long(), narrow.col.long())
    options = {"dropout": 0.3, "training": True}
    agrees(lambda *inputs: op(graph, *inputs, **options), make(op, 8, 6, 70, 2, 4, 2))


@pytest.mark.usefixtures("short_pieces")
@pytest.mark.parametrize("op", OPS)
def test_two_runs_are_bit_equal(op, edges: Tensor, results) -> None:
    def call(*inputs: Tensor) -> Tensor:
        return op(edges, *inputs, dropout=0.4, training=True)

    one, two = (results(call, make(op, 8, 6, 70, 2, 4, 2)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("op", OPS)
def test_a_missing_value_stays_with_those_who_hear_of_it(op, device: str) -> None:
    edges = torch.tensor([[0, 1, 2, 2], [0, 0, 1, 2]], device=device)
    inputs = [tensor.to(device) for tensor in make(op, 3, 3, 4, 2, 3)]
    inputs[0 if op is dynamic_attention else 1][1, 0, 1] = torch.nan
    with use_backend("triton"):
        out = op(edges, *inputs)
    assert out.isfinite().all(-1).tolist() == [[False, True], [True, True], [True, True]]
