"""Graphs that are awkward, and what the ops' tests have in common."""

import pytest
import torch

GRAPHS = {
    "empty": (torch.empty(2, 0, dtype=torch.int64), 0, 0),
    "no edges": (torch.empty(2, 0, dtype=torch.int64), 4, 4),
    "isolated nodes": (torch.tensor([[0, 1], [5, 5]]), 7, 7),
    "one node with all edges": (torch.stack([torch.arange(40) % 9, torch.full((40,), 3)]), 9, 9),
    "duplicate edges and self-loops": (torch.tensor([[0, 0, 1, 1, 2], [1, 1, 1, 1, 0]]), 3, 3),
    "non-contiguous": (torch.tensor([[2, 0], [0, 1], [1, 2], [2, 2]]).t(), 3, 3),
    "int32": (torch.tensor([[2, 0, 1, 2], [0, 1, 2, 1]], dtype=torch.int32), 3, 3),
    "bipartite": (torch.tensor([[0, 4, 4, 2], [1, 0, 1, 1]]), 5, 2),
}


@pytest.fixture(params=list(GRAPHS))
def awkward(request: pytest.FixtureRequest) -> tuple[torch.Tensor, int, int]:
    """(edges, number of sources, number of targets)."""
    return GRAPHS[request.param]


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uninitialised memory is NaN: whoever reads it before writing is found out."""
    plain = torch.empty

    def empty(*size, **options):
        tensor = plain(*size, **options)
        return tensor.fill_(float("nan")) if tensor.is_floating_point() else tensor.fill_(-(2**30))

    monkeypatch.setattr(torch, "empty", empty)
