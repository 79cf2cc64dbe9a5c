"""Which backend runs an op: a pure choice among what there is (see `backends`), and the caller's wish.

`choose` is a pure function of the op, the situation of one call, the request and the modules that are installed.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Collection
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, lru_cache
from types import MappingProxyType, TracebackType
from typing import Any

import torch

from gnnkit._optional import is_available
from gnnkit.ops.backends import BACKEND_NAMES, BACKENDS, BackendEntry, Situation
from gnnkit.ops.structure.compress import compress
from gnnkit.ops.tracing import is_transformed

__all__ = ["Choice", "backend_for", "choose", "explain_backend", "load_backend", "requested_backend", "use_backend"]


@dataclass(frozen=True)
class Choice:
    """The backend that runs an op in a situation, and why.

    Args:
        op: The op's name.
        backend: The backend's name.
        reason: One clause in plain words.
        passed_over: What would have been preferred, and what spoke against it.
    """

    op: str
    backend: str
    reason: str
    passed_over: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.op} runs on {self.backend!r}: {self.reason}"]
        lines += [f"  not {name!r}: {reason}" for name, reason in self.passed_over]
        return "\n".join(lines)


def _check_name(what: str, name: str, known: Collection[str], kind: str) -> None:
    if name not in known:
        near = get_close_matches(str(name), known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{what}={name!r} is not {kind}: choose one of {', '.join(known)}{hint}")


def _entries(op: str) -> tuple[BackendEntry, ...]:
    _check_name("op", op, sorted(BACKENDS), "an op of gnnkit.ops")
    return BACKENDS[op]


def _against(
    entry: BackendEntry, situation: Situation, available: Callable[[str], bool], *, explicit: bool
) -> str | None:
    """The reason against an entry, None where it can run."""
    interpreted = entry.name == "triton" and explicit and os.environ.get("TRITON_INTERPRET") == "1"
    if entry.devices and situation.device not in entry.devices and not interpreted:
        return f"it runs on {' and '.join(entry.devices)}, not on {situation.device}"
    if entry.dtypes is not None and situation.dtype not in entry.dtypes:
        kinds = ", ".join(str(dtype).removeprefix("torch.") for dtype in entry.dtypes)
        return f"it takes {kinds}, not {str(situation.dtype).removeprefix('torch.')}"
    if situation.transforms and not entry.transforms:
        return "torch.func transforms, forward-mode derivatives and tensor subclasses do not go through it"
    if entry.needs and not available(entry.needs):
        return f"{entry.needs} is not installed"
    reason = entry.only_if(situation) if entry.only_if is not None else None
    if reason is None and entry.worth_if is not None and not explicit:
        reason = entry.worth_if(situation)
    return reason


def choose(
    op: str,
    situation: Situation,
    request: str = "auto",
    *,
    available: Callable[[str], bool] = is_available,
) -> Choice:
    """Choose the backend of an op: a pure function of its arguments.

    Args:
        op: The op's name, a key of `BACKENDS`.
        situation: Device, type and size of the call.
        request: A backend's name, or `"auto"`.
        available: Tells whether a module is installed.

    Returns:
        The choice with its reason.

    Raises:
        ValueError: `op` or `request` is not known.
        RuntimeError: The requested backend cannot run this call (or no backend can): the text says why.

    Example:
        >>> choose("spmm", Situation(transforms=True)).backend
        'torch'
    """
    entries = _entries(op)
    _check_name("backend", request, BACKEND_NAMES, "known")
    names = [entry.name for entry in entries]
    if request != "auto":
        if request not in names:
            raise RuntimeError(
                f"use_backend({request!r}): {op} has no such backend. It has {', '.join(names)}; ask for one of these, "
                f'or name the ops that are meant, as in use_backend({request!r}, "spmm")'
            )
        entry = entries[names.index(request)]
        reason = _against(entry, situation, available, explicit=True)
        if reason is not None:
            raise RuntimeError(
                f"use_backend({request!r}): {op} cannot run there, because {reason}. "
                f'Call use_backend("auto") to let gnnkit choose'
            )
        return Choice(op, request, "it was asked for with use_backend")

    passed_over: list[tuple[str, str]] = []
    for entry in entries:
        if not entry.automatic:
            continue
        reason = _against(entry, situation, available, explicit=False)
        if reason is None:
            kind = str(situation.dtype).removeprefix("torch.")
            why = f"the first in the order of preference that can run {kind} on {situation.device}"
            return Choice(op, entry.name, why, tuple(passed_over))
        passed_over.append((entry.name, reason))
    reasons = "; ".join(f"{name}: {reason}" for name, reason in passed_over)
    raise RuntimeError(f"{op} has no backend for this call ({reasons})")


@cache
def load_backend(op: str, backend: str) -> Callable[..., Any]:
    """Import the callable that runs `op` on `backend`; its arguments are those of the op's front after all checks.

    Raises:
        ValueError: There is no such op, or it has no such backend.
        ImportError: The backend's library is not installed.
    """
    for entry in _entries(op):
        if entry.name == backend:
            return getattr(importlib.import_module(entry.module), op)
    raise ValueError(f"backend={backend!r}: {op} has {', '.join(entry.name for entry in _entries(op))}")


_EVERY_OP = "*"
_requests: ContextVar[MappingProxyType[str, str]] = ContextVar("gnnkit_requests", default=MappingProxyType({}))


def requested_backend(op: str) -> str:
    """The backend that `use_backend` asked for in this thread, `"auto"` where it asked for none."""
    requests = _requests.get()
    return requests.get(op) or requests.get(_EVERY_OP, "auto")


# `is_available` looks along the import path each time, so what it says is remembered with the choice.
_is_installed = cache(is_available)


@lru_cache(maxsize=1024)
def _load_chosen(op: str, situation: Situation, request: str) -> Callable[..., Any]:
    return load_backend(op, choose(op, situation, request, available=_is_installed).backend)


def backend_for(op: str, situation: Situation) -> Callable[..., Any]:
    """The callable that runs an op, by this thread's request and what is installed; it stands in front of every call.

    Raises:
        RuntimeError: The requested backend cannot run this call.
    """
    return _load_chosen(op, situation, requested_backend(op))


class use_backend:
    """Ask for one backend, for good or for the length of a `with` block.

    The request holds for the thread (more exactly: the `contextvars` context) that makes it. A request that cannot run
    is an error of the op that is then called: nothing is quietly run elsewhere.

    Args:
        backend: `"numba"`, `"torch"`, `"scatter"`, `"triton"`, `"dense"`, `"reference"`, or `"auto"`: gnnkit chooses.
        *ops: The ops that are meant, e.g. `"spmm"`; all of them if none is named.

    Raises:
        ValueError: The backend or an op is not known.

    Example:
        >>> with use_backend("reference"):
        ...     requested_backend("spmm")
        'reference'
        >>> requested_backend("spmm")
        'auto'
    """

    def __init__(self, backend: str, *ops: str) -> None:
        _check_name("backend", backend, BACKEND_NAMES, "known")
        for op in ops:
            _entries(op)
        before = _requests.get()
        kept = dict(before) if ops else {}
        kept.update(dict.fromkeys(ops or (_EVERY_OP,), backend))
        self._token = _requests.set(MappingProxyType(kept))

    def __enter__(self) -> use_backend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _requests.reset(self._token)


def explain_backend(op: str, *tensors: torch.Tensor, graph: Any = None, **situation: Any) -> Choice:
    """Say which backend would run an op on these inputs, and why; nothing is run.

    Args:
        op: The op's name.
        *tensors: Values as they would be passed; the first gives device and type.
        graph: The graph as it would be passed; its size decides for or against a dense product.
        **situation: Fields of `Situation` that are not to be read from the inputs, e.g. `device="cuda"` or, for an op
            that takes values of several batches, `width`.

    Returns:
        The choice; `str()` of it is a text for people.

    Raises:
        ValueError: `op` is not known.
        RuntimeError: The backend that `use_backend` asked for cannot run this.

    Example:
        >>> print(explain_backend("spmm", torch.ones(4, 2), transforms=True))  # doctest: +ELLIPSIS
        spmm runs on 'torch': the first in the order of preference that can run float32 on cpu
          not 'dense': torch.func transforms, forward-mode derivatives and tensor subclasses do not go through it
          ...
    """
    fields: dict[str, Any] = {}
    if tensors:
        fields |= {"device": tensors[0].device.type, "dtype": tensors[0].dtype, "transforms": is_transformed(*tensors)}
    if graph is not None:
        compressed = compress(graph)
        if tensors and tensors[0].dim() > 1:
            fields["width"] = tensors[0].numel() // max(compressed.num_src, 1)
        fields |= {"num_dst": compressed.num_dst, "num_src": compressed.num_src, "num_edges": compressed.num_edges}
    return choose(op, Situation(**(fields | situation)), requested_backend(op))
