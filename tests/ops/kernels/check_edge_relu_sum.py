"""`edge_relu_sum` in Triton against the reference."""

from functools import partial

import pytest
import torch
from torch import Tensor

from gnnkit.ops import edge_relu_sum


@pytest.mark.usefixtures("poison")
def test_awkward_graphs(awkward: tuple[Tensor, int, int], device: str, agrees) -> None:
    edges, num_src, num_dst = awkward
    torch.manual_seed(0)
    call = partial(edge_relu_sum, edges.to(device), num_dst=num_dst)
    agrees(call, [torch.randn(num_src, 3), torch.randn(edges.size(1), 3)])


@pytest.mark.usefixtures("poison", "short_pieces")
@pytest.mark.parametrize("channels", [1, 16, 130])
def test_sizes(channels: int, edges: Tensor, agrees) -> None:
    agrees(partial(edge_relu_sum, edges, num_dst=6), [torch.randn(8, channels), torch.randn(70, channels)])


@pytest.mark.usefixtures("poison", "short_pieces")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype, edges: Tensor, agrees) -> None:
    agrees(partial(edge_relu_sum, edges, num_dst=6), [torch.randn(8, 5), torch.randn(70, 5)], dtype)
