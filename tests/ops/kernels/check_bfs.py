"""`hop_levels` in Triton against a queue."""

import pytest
import torch

from gnnkit.ops import use_backend
from gnnkit.ops.bfs import hop_levels


# nodes, edges, sources: whole and broken words, none and more sources than nodes
@pytest.mark.parametrize("size", [(1, 0, 1), (10, 20, 3), (9, 0, 5), (12, 25, 32), (12, 15, 65), (7, 9, 0)], ids=str)
def test_random_graphs(size: tuple[int, int, int], device: str) -> None:
    nodes, edges, count = size
    torch.manual_seed(0)
    graph, sources = torch.randint(nodes, (2, edges), device=device), torch.randint(nodes, (count,))
    for max_hops, dtype in ((None, torch.int16), (2, torch.int32)):
        with use_backend("reference"):
            expected = hop_levels(graph, sources, nodes, max_hops=max_hops, dtype=dtype)
        with use_backend("triton"):
            found = hop_levels(graph, sources, nodes, max_hops=max_hops, dtype=dtype)
        assert found.dtype == dtype
        assert torch.equal(found, expected)


def test_a_hub_is_done_when_all_have_seen_it(device: str) -> None:
    others = torch.arange(1, 40, device=device)
    hub = torch.zeros_like(others)
    graph = torch.cat([torch.stack([others, hub]), torch.stack([hub, others])], dim=1)
    with use_backend("triton"):
        found = hop_levels(graph, [0, 5, 39], 41)
    for row, source in zip(found.tolist(), (0, 5, 39), strict=True):
        expected = [0 if node == source else 1 if 0 in (node, source) else 2 for node in range(40)]
        assert row == [*expected, -1]


def test_long_paths(device: str) -> None:
    path = torch.stack([torch.arange(11), torch.arange(1, 12)]).to(device)
    with use_backend("triton"):
        assert hop_levels(path, [0, 8]).tolist() == [list(range(12)), [-1] * 8 + list(range(4))]
