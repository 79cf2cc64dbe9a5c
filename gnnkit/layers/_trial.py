"""A layer against its counterpart on the inputs that an example gives it: the same numbers, and which is faster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from gnnkit.layers._swap import to_gnnkit, to_pyg

# Rounds of each side, taken in turns; a step of some seconds is not taken so often.
_ROUNDS, _LONGEST = 15, 2.0

# What the layers keep of the first graph, which is not to be that of an example.
_CACHES = ("_cached_edge_index", "_cached_adj_t", "_cached_x", "_sorted_graph")


# How far outputs and gradients may be apart, relative to the largest of a tensor's numbers.
_TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 3e-2, torch.float16: 5e-3}

# A layer that takes as long as PyG's is kept: only one that is slower by more than what clocks are wrong by is not.
SLOWER = 1.05


@dataclass(frozen=True)
class Call:
    """One call of a layer: its arguments, with tensors that are leaves."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def run_example(model: nn.Module, example: Any) -> Any:
    """Call a model: a tuple holds positional arguments, a dict those by name, all else is the only one."""
    torch.manual_seed(0)  # whatever a model draws, it draws the same each time
    if isinstance(example, dict):
        return model(**example)
    return model(*example) if isinstance(example, tuple) else model(example)


@contextmanager
def at_rest(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, and nothing that is kept or counted afterwards: caches, gradients, random numbers."""
    modules = list(model.modules())
    training = [module.training for module in modules]
    caches = [{name: vars(module)[name] for name in _CACHES if name in vars(module)} for module in modules]
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    try:
        with torch.random.fork_rng(), torch.enable_grad():
            model.eval()
            yield
    finally:
        for module, was, kept in zip(modules, training, caches, strict=True):
            module.training = was
            for name in _CACHES:
                if name in kept:
                    vars(module)[name] = kept[name]
                else:
                    vars(module).pop(name, None)
        for parameter, gradient in gradients:
            parameter.grad = gradient


def record(model: nn.Module, example: Any, layers: Sequence[nn.Module]) -> dict[nn.Module, Call]:
    """The first call of each layer that the example reaches."""
    found: dict[nn.Module, Call] = {}

    def keep(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        found.setdefault(layer, Call(*tree_map(_leaf, (args, kwargs))))

    handles = [layer.register_forward_pre_hook(keep, with_kwargs=True) for layer in layers]
    try:
        run_example(model, example)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _leaf(value: Any) -> Any:
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.layout != torch.strided:
        return value
    return value.detach().clone().requires_grad_(value.requires_grad)


def results(function: Callable[[], Any], inputs: Any, parameters: Sequence[Tensor]) -> list[Tensor | None]:
    """The outputs, and the gradients of the floating-point inputs and of the parameters."""
    outputs = [part for part in tree_leaves(function()) if isinstance(part, Tensor) and part.is_floating_point()]
    wanted = [part for part in (*tree_leaves(inputs), *parameters) if isinstance(part, Tensor) and part.requires_grad]
    learnt = [part for part in outputs if part.requires_grad]
    if not learnt or not wanted:
        return list(outputs)
    above = [torch.linspace(-1, 2, part.numel(), device=part.device).to(part.dtype).view(part.shape) for part in learnt]
    return [*outputs, *torch.autograd.grad(learnt, wanted, above, allow_unused=True)]


def difference(found: Sequence[Tensor | None], expected: Sequence[Tensor | None]) -> float:
    """The largest difference, relative to the largest number of each tensor; infinite where shapes do not fit."""
    if len(found) != len(expected):
        return float("inf")
    scales = [float(part.detach().abs().max()) for part in expected if part is not None and part.numel()]
    floor, largest = 1e-3 * max(scales, default=0.0), 0.0
    for mine, truth in zip(found, expected, strict=True):
        # A gradient of zero, and one that is not there, are the same to an optimiser.
        mine = torch.zeros_like(truth) if mine is None and truth is not None else mine
        truth = torch.zeros_like(mine) if truth is None and mine is not None else truth
        if mine is None or truth is None or truth.numel() == 0:
            continue
        if mine.shape != truth.shape or mine.dtype != truth.dtype:
            return float("inf")
        mine, truth = mine.detach().double(), truth.detach().double()
        if not torch.equal(mine.isnan(), truth.isnan()):
            return float("inf")
        apart = torch.where(mine == truth, 0.0, (mine - truth).abs()).nan_to_num(0.0, posinf=float("inf"))
        largest = max(largest, float(apart.max()) / max(float(truth.nan_to_num().abs().max()), floor, 1e-30))
    return largest


Side = tuple[Callable[[], Any], Callable[[], Any]]


def seconds(sides: Sequence[Side], device: torch.device) -> list[float]:
    """The shortest time of each side, all of them in turns; a side is what is done first, and what is timed.

    The shortest is what other work on the machine spoils least.
    """
    taken: list[list[float]] = [[] for _ in sides]
    for number in range(_ROUNDS + 1):
        for (prepare, run), times in zip(sides, taken, strict=True):
            prepare()
            start = time.perf_counter()
            run()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if number > 0:  # the first call compiles, and sorts the graph
                times.append(time.perf_counter() - start)
        if taken[0] and sum(sum(times) for times in taken) > _LONGEST:
            break
    return [min(times) for times in taken]


def stands(layer: Any, call: Any) -> tuple[str, float | None]:
    """Why a layer is not to be swapped (empty for nothing), and how much faster it is."""
    parameters = [parameter for parameter in layer.parameters() if parameter.requires_grad]
    twin = copy(layer)  # with the same parameters

    def run(one: Any) -> list[Any]:
        torch.manual_seed(0)
        return results(lambda: one(*call.args, **call.kwargs), (call.args, call.kwargs), parameters)

    expected = run(layer)
    to_gnnkit(twin)
    try:
        apart = difference(run(twin), expected)
        if apart > tolerance(expected):
            return f"outputs or gradients would be {apart:.1e} apart", None
        slow, fast = seconds(
            [(lambda: None, lambda: run(layer)), (lambda: None, lambda: run(twin))], device_of(expected)
        )
    except Exception as error:  # whatever PyG takes and gnnkit refuses: the layer stays as it is
        return f"gnnkit's says: {error}", None
    finally:
        to_pyg(twin)
    if fast > SLOWER * slow:
        return f"it would be slower ({fast * 1e3:.2f} ms, PyG's {slow * 1e3:.2f} ms)", None
    return "", slow / fast


def tolerance(tensors: list[Any]) -> float:
    return max([_TOLERANCE.get(part.dtype, 1e-5) for part in tensors if part is not None], default=1e-5)


def device_of(tensors: list[Any]) -> torch.device:
    return next((part.device for part in tensors if part is not None), torch.device("cpu"))
