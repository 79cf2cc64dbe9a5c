"""What backends there are: for every op its backends in the order of preference, with what each of them needs.

An op says so itself, in the `front.py` of its folder. A backend is the module of that folder which has its name and, in
it, what has the op's name; it is not imported before it is chosen (see `dispatch`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "BACKENDS",
    "BACKEND_NAMES",
    "FULL",
    "REFERENCE",
    "TORCH",
    "WITH_HALF",
    "BackendEntry",
    "Situation",
    "register",
    "situation_of",
]

BACKEND_NAMES = ("auto", "reference", "torch", "dense", "scatter", "numba", "triton")

FULL = (torch.float32, torch.float64)
WITH_HALF = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class BackendEntry:
    """One way to run one op: its name and what it needs.

    Args:
        name: The backend's name, one of `BACKEND_NAMES` without `"auto"`; that of its module, too.
        devices: Device types that it runs on; empty means any.
        dtypes: Floating types that it takes; None means any.
        needs: The package that must be installed; empty means none.
        transforms: Whether `torch.func` transforms, forward-mode derivatives and tensor subclasses go through it.
        automatic: Whether the automatic choice may take it.
        only_if: A further condition on the situation, which returns the reason against or None.
        worth_if: The same for what is a matter of speed and not of ability: who asks for the backend gets it.
        module: Where its callable is, under the op's name; `register` fills it in.
    """

    name: str
    devices: tuple[str, ...] = ()
    dtypes: tuple[torch.dtype, ...] | None = None
    needs: str = ""
    transforms: bool = False
    automatic: bool = True
    only_if: Callable[[Situation], str | None] | None = None
    worth_if: Callable[[Situation], str | None] | None = None
    module: str = ""


TORCH = BackendEntry("torch", transforms=True)
REFERENCE = BackendEntry("reference", automatic=False)


@dataclass(frozen=True)
class Situation:
    """What a choice depends on: one call of one op.

    Args:
        device: Device type of the values, e.g. `"cpu"`.
        dtype: Their type.
        transforms: True inside a `torch.func` transform, under forward-mode derivatives or for a tensor subclass.
        weights: True where the call gives back per-edge weights that can be differentiated.
        num_dst, num_src, num_edges: The graph's size; 0 where there is none.
        width: Columns of the values, over all batches; 0 where it is not known.
        hidden: Channels of a recurrence's state; 0 where there is none.
    """

    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    transforms: bool = False
    weights: bool = False
    num_dst: int = 0
    num_src: int = 0
    num_edges: int = 0
    hidden: int = 0
    width: int = 0


def situation_of(graph: Any, x: Tensor, transforms: bool = False, weights: bool = False) -> Situation:
    """The situation of an op on the nodes of a graph, whose sources have the values x."""
    width = x.numel() // graph.num_src if graph.num_src else 0
    sizes = (graph.num_dst, graph.num_src, graph.num_edges)
    return Situation(x.device.type, x.dtype, transforms, weights, *sizes, 0, width)


_backends: dict[str, tuple[BackendEntry, ...]] = {}

BACKENDS: Mapping[str, tuple[BackendEntry, ...]] = MappingProxyType(_backends)
"""op -> its backends, the preferred first; `register` adds to it."""


def register(op: str, package: str | None, *backends: BackendEntry) -> None:
    """Say what backends an op has.

    Args:
        op: The op's name; each backend's module has a callable of that name.
        package: The package that has a module for each backend: `__package__` of the op's front.
        *backends: The backends, the preferred first.

    Raises:
        ValueError: A backend's name is not known, or another package has an op of that name.

    Example:
        `tests/ops/test_walk.py` has a whole op; a backend's name must be a known one.

        >>> register("halve", "my_ops.halve", BackendEntry("nunba"))
        Traceback (most recent call last):
        ValueError: backend='nunba' of halve is not known: choose of reference, torch, dense, scatter, numba, triton
    """
    entries = tuple(replace(entry, module=f"{package}.{entry.name}") for entry in backends)
    for entry in entries:
        if entry.name not in BACKEND_NAMES[1:]:
            raise ValueError(f"backend={entry.name!r} of {op} is not known: choose of {', '.join(BACKEND_NAMES[1:])}")
    before = _backends.get(op)
    if before is not None and before[0].module.rpartition(".")[0] != package:
        raise ValueError(
            f"op={op!r} is registered by {before[0].module.rpartition('.')[0]}: {package} must give its op another name"
        )
    _backends[op] = entries
