"""Graphs that are awkward, and what the ops' tests have in common."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gnnkit._optional import is_available

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


@pytest.fixture
def run_kernels() -> Callable[..., None]:
    """Run a file of `kernels/` in a process of its own: before it is imported Triton must know whether to interpret."""
    if not is_available("triton"):
        pytest.skip("triton is not installed")

    def run(file: str, *, interpret: bool) -> None:
        path = str(Path(__file__).parent / "kernels" / file)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "ignore", "--durations=3", path]
        environment = {**os.environ, "TRITON_INTERPRET": str(int(interpret))}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
        assert " passed" in done.stdout
        assert " skipped" not in done.stdout

    return run


@pytest.fixture(params=["interpreter", pytest.param("cuda", marks=pytest.mark.gpu)])
def run_checks(request: pytest.FixtureRequest, run_kernels: Callable[..., None]) -> Callable[[str], None]:
    """Run a file of `kernels/` in Triton's interpreter, and on a GPU where there is one."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return lambda file: run_kernels(file, interpret=request.param == "interpreter")
