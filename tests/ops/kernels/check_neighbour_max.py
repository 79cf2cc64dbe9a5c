"""`neighbour_max` in Triton against the reference; whole numbers, so that there are ties and zeros."""

from functools import partial

import pytest
import torch
from torch import Tensor

from gnnkit.ops import neighbour_max


def whole(*shape: int) -> Tensor:
    return torch.randint(-2, 3, shape, generator=torch.Generator().manual_seed(0)).float()


@pytest.mark.usefixtures("poison")
def test_awkward_graphs(awkward: tuple[Tensor, int, int], device: str, agrees) -> None:
    edges, num_src, num_dst = awkward
    edges = edges.to(device)
    x, weight = whole(2, num_src, 3), whole(edges.size(1))
    for options in ({}, {"reduce": "min"}, {"ties": "first"}):
        call = partial(neighbour_max, edges, num_dst=num_dst, **options)
        agrees(call, [x, weight])
        agrees(call, [x])


@pytest.mark.usefixtures("poison", "short_pieces")
@pytest.mark.parametrize("shape", [(8, 1), (8, 16), (8, 130), (0, 8, 3)])
def test_sizes(shape: tuple[int, ...], edges: Tensor, agrees) -> None:
    for ties in ("shared", "first"):
        agrees(partial(neighbour_max, edges, num_dst=6, ties=ties), [whole(*shape), whole(70)])


@pytest.mark.usefixtures("poison", "short_pieces")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype, edges: Tensor, agrees) -> None:
    agrees(lambda x, w: neighbour_max(edges, x, w, num_dst=6), [whole(2, 8, 5), whole(70)], dtype)


@pytest.mark.usefixtures("short_pieces")
def test_two_runs_are_bit_equal(edges: Tensor, results) -> None:
    inputs = [torch.randn(8, 20), torch.randn(70)]
    one, two = (results(lambda x, w: neighbour_max(edges, x, w, num_dst=6), inputs) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.usefixtures("short_pieces")
def test_what_is_no_number(edges: Tensor, results, device: str) -> None:
    x = torch.randn(8, 4)
    x[0, 0], x[1, 1] = float("nan"), float("inf")
    out = results(lambda x: neighbour_max(edges, x, num_dst=6), [x])[0]
    expected = neighbour_max(edges.cpu(), x, num_dst=6)
    torch.testing.assert_close(out.cpu(), expected, equal_nan=True)
