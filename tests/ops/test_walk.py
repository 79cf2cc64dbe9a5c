"""A new op, from the files that it takes: written into a package of its own, it has all that gnnkit's ops have."""

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gnnkit._optional import is_available
from gnnkit.ops import explain_backend, use_backend
from gnnkit.ops.backends import BACKENDS, TORCH, BackendEntry, Situation, _backends, register
from gnnkit.ops.dispatch import choose, load_backend

FILES = {
    "__init__.py": """
from walk.square_norm.front import square_norm

__all__ = ["square_norm"]
""",
    "front.py": """
from torch import Tensor
from gnnkit.ops.backends import FULL, REFERENCE, TORCH, BackendEntry, Situation, register
from gnnkit.ops.dispatch import backend_for
from gnnkit.ops.tracing import is_traced, is_transformed
from walk.square_norm.torch import square_norm as native

register(
    "square_norm",
    __package__,
    BackendEntry("triton", ("cuda",), FULL[:1], "triton"),
    BackendEntry("numba", ("cpu",), FULL, "numba"),
    TORCH,
    BackendEntry("scatter", needs="a_package_that_is_not_there", automatic=False),
    REFERENCE,
)

def square_norm(x: Tensor) -> Tensor:
    if x.dim() != 2:
        raise ValueError(f"x has shape {list(x.shape)}: it is [N, C]")
    if is_traced():  # a compiler knows torch's operators; an operator of one's own is an `operators.py` more
        return native((x,))
    return backend_for("square_norm", Situation(x.device.type, x.dtype, is_transformed(x)))((x,))
""",
    "reference.py": """
import torch

def square_norm(inputs):
    return torch.stack([sum(value * value for value in row) for row in inputs[0]])
""",
    "torch.py": """
from gnnkit.ops.autograd import Kernels, gradients

def square_norm(inputs):
    return inputs[0].square().sum(1)

def of_kernels(forward, backward):
    return Kernels(forward, backward, lambda grad, inputs, needed: gradients(lambda x: square_norm((x,)), inputs, grad))
""",
    "numba.py": """
import torch
from gnnkit.ops.kernels.cache import compiled
from walk.square_norm.torch import of_kernels

@compiled()
def add_up(x, out):
    for i in range(x.shape[0]):
        total = out[i] * 0
        for c in range(x.shape[1]):
            total += x[i, c] * x[i, c]
        out[i] = total

@compiled()
def scale(grad, x, out):
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            out[i, c] = 2 * grad[i] * x[i, c]

def forward(inputs):
    out = torch.zeros(inputs[0].size(0), dtype=inputs[0].dtype)
    add_up(inputs[0].detach().numpy(), out.numpy())
    return (out,)

def backward(grad, inputs, kept, needed):
    out = torch.empty_like(inputs[0])
    scale(grad.contiguous().numpy(), inputs[0].detach().numpy(), out.numpy())
    return (out,)

square_norm = of_kernels(forward, backward)
""",
    "triton.py": """
import torch
import triton
import triton.language as tl
from gnnkit.ops.kernels.pieces import launch, power_of_two
from walk.square_norm.torch import of_kernels

@triton.jit
def _add_up(x, out, CHANNELS: tl.constexpr, BLOCK: tl.constexpr):
    c = tl.arange(0, BLOCK)
    row = tl.load(x + tl.program_id(0) * CHANNELS + c, mask=c < CHANNELS, other=0.0)
    tl.store(out + tl.program_id(0), tl.sum(row * row, 0))

def forward(inputs):
    x = inputs[0].contiguous()
    out = x.new_empty(x.size(0))
    launch(_add_up, x.size(0), x, out, CHANNELS=x.size(1), BLOCK=power_of_two(x.size(1), 1 << 20))
    return (out,)

def backward(grad, inputs, kept, needed):
    return (2 * grad.unsqueeze(1) * inputs[0],)

square_norm = of_kernels(forward, backward)
""",
}
X = torch.tensor([[1.0, 2.0, 2.0], [0.0, -3.0, 4.0]], dtype=torch.float64)
BEST = "numba" if is_available("numba") else "torch"
INSTALLED = ["reference", "torch", *(["numba"] if is_available("numba") else [])]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("op") / "walk" / "square_norm"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")
    for name, source in FILES.items():
        (folder / name).write_text(source)
    return folder


@pytest.fixture(scope="module")
def square_norm(folder: Path) -> Iterator[Callable[[Tensor], Tensor]]:
    sys.path.insert(0, str(folder.parents[1]))
    yield importlib.import_module("walk.square_norm").square_norm
    sys.path.remove(str(folder.parents[1]))
    _backends.pop("square_norm")


def test_an_op_takes_nine_files_at_most() -> None:
    # With these: gnnkit/ops/__init__.py, where its name stands, tests/ops/test_….py, tests/ops/kernels/check_….py.
    assert len(FILES) + 3 <= 9


def test_it_is_dispatched(square_norm) -> None:
    assert explain_backend("square_norm", X).backend == BEST
    assert square_norm(X).tolist() == [9.0, 25.0]
    assert choose("square_norm", Situation("cuda"), available=lambda name: True).backend == "triton"
    assert [entry.name for entry in BACKENDS["square_norm"]] == ["triton", "numba", "torch", "scatter", "reference"]
    assert load_backend("square_norm", "torch").__module__ == "walk.square_norm.torch"
    with pytest.raises(ValueError, match=r"op='square_norn' is not an op.*did you mean 'square_norm'"):
        explain_backend("square_norn")


@pytest.mark.parametrize("backend", INSTALLED)
def test_every_backend_can_be_asked_for_and_differentiated_twice(square_norm, backend: str) -> None:
    x = X.clone().requires_grad_()
    with use_backend(backend, "square_norm"):
        assert explain_backend("square_norm", x).reason == "it was asked for with use_backend"
        out = square_norm(x)
        assert out.tolist() == [9.0, 25.0]
        (grad,) = torch.autograd.grad(out.sum(), x, create_graph=True)
        torch.testing.assert_close(grad.detach(), 2 * X)
        torch.testing.assert_close(torch.autograd.grad(grad.square().sum(), x)[0], 8 * X)
        assert torch.autograd.gradcheck(square_norm, (x,), check_batched_grad=True)
        assert torch.autograd.gradgradcheck(square_norm, (x,))


def test_transforms_and_compilers_go_through_torch(square_norm) -> None:
    rows = torch.func.vmap(torch.func.grad(lambda x: square_norm(x[None])[0]))(X)
    torch.testing.assert_close(rows, 2 * X)
    compiled = torch.compile(square_norm, backend="eager", fullgraph=True)
    assert compiled(X).tolist() == [9.0, 25.0]


def test_what_cannot_run_says_why(square_norm) -> None:
    with use_backend("scatter"), pytest.raises(RuntimeError, match="a_package_that_is_not_there is not installed"):
        square_norm(X)
    with use_backend("triton"), pytest.raises(RuntimeError, match="square_norm cannot run there, because it runs on"):
        square_norm(X)
    with use_backend("dense"), pytest.raises(RuntimeError, match="square_norm has no such backend"):
        square_norm(X)
    with pytest.raises(RuntimeError, match="numba is not installed"):
        choose("square_norm", Situation(), "numba", available=lambda name: False)


def test_a_name_is_registered_once(square_norm) -> None:
    with pytest.raises(ValueError, match=r"op='spmm' is registered by gnnkit.ops.spmm: elsewhere must give its op ano"):
        register("spmm", "elsewhere", TORCH)
    with pytest.raises(ValueError, match="backend='numbra' of cube_norm is not known: choose of reference, torch"):
        register("cube_norm", "elsewhere", BackendEntry("numbra"))
    assert "cube_norm" not in BACKENDS


INTERPRETED = """
import torch
from gnnkit.ops import use_backend
from walk.square_norm import square_norm
x = torch.tensor([[1.0, 2.0, 2.0], [0.0, -3.0, 4.0]], requires_grad=True)
with use_backend("triton", "square_norm"):
    out = square_norm(x)
    out.sum().backward()
print(out.tolist(), x.grad.tolist())
"""


@pytest.mark.slow
@pytest.mark.skipif(not is_available("triton"), reason="triton is not installed")
def test_its_triton_kernel_runs_in_the_interpreter(folder: Path) -> None:
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(folder.parents[1]), *sys.path])
    done = subprocess.run([sys.executable, "-c", INTERPRETED], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[9.0, 25.0] [[2.0, 4.0, 4.0], [0.0, -6.0, 8.0]]"
