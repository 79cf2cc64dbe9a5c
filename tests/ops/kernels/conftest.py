"""What the checks of the Triton kernels share. They run where `run_checks` starts them, not with the other tests."""

import os
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gnnkit.ops import use_backend

# About the last digit at the scale of the largest value; the interpreter cuts bfloat16 off where a GPU rounds it.
TOLERANCE = {torch.float32: 4e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}

Call = Callable[..., Tensor]


@pytest.fixture(scope="session")
def device() -> str:
    """Where the kernels run: in the interpreter on the CPU, else on the GPU."""
    return "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"


def _results(backend: str, call: Call, inputs: list[Tensor | None], dtype: torch.dtype) -> list[Tensor]:
    """The value and every input's gradient, for the same seed and the same numbers from above on each backend."""
    leaves = [None if tensor is None else tensor.detach().clone().requires_grad_() for tensor in inputs]
    torch.manual_seed(7)
    with use_backend(backend):
        out = call(*leaves)
        if out.requires_grad:  # the reference of a graph without edges depends on nothing
            above = torch.linspace(-1, 2, out.numel(), dtype=torch.float64, device=out.device).to(dtype)
            out.backward(above.to(out.dtype).view(out.shape))
    grads = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves if leaf is not None]
    return [out.detach(), *grads]


@pytest.fixture
def results(device: str) -> Callable[[Call, list[Tensor | None]], list[Tensor]]:
    """The kernels' value and gradients."""

    def run(call: Call, inputs: list[Tensor | None]) -> list[Tensor]:
        given = [None if tensor is None else tensor.to(device) for tensor in inputs]
        return _results("triton", call, given, torch.float32)

    return run


@pytest.fixture
def agrees(device: str) -> Callable[..., None]:
    """Hold the kernels' value and gradients to those of the reference in float64, which gets the same numbers."""

    def check(call: Call, inputs: list[Tensor | None], dtype: torch.dtype = torch.float32, loose: float = 1.0) -> None:
        given = [None if tensor is None else tensor.to(device, dtype) for tensor in inputs]
        found = _results("triton", call, given, dtype)
        exact = [None if tensor is None else tensor.double() for tensor in given]
        expected = _results("reference", call, exact, dtype)
        for name, mine, truth in zip(("value", *range(len(given))), found, expected, strict=False):
            assert mine.dtype == dtype
            assert mine.shape == truth.shape
            if truth.numel():
                bound = loose * TOLERANCE[dtype] * max(truth.abs().max().item(), 0.1)
                assert (mine.double() - truth).abs().max().item() <= bound, f"{name} of {call}"

    return check


@pytest.fixture
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a few edges are cut already."""
    monkeypatch.setattr("gnnkit.ops.kernels.pieces.PIECE", 8)


@pytest.fixture
def edges(device: str) -> Tensor:
    """70 edges in no order, between 8 sources and 6 targets: some rows are in several pieces of 8."""
    generator = torch.Generator().manual_seed(0)
    sources = (torch.rand(70, generator=generator) ** 3 * 8).long()
    return torch.stack([sources, torch.randint(6, (70,), generator=generator)]).to(device)
