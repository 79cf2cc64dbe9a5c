"""What backends there are: for every op a table in the order of preference, with what each backend needs.

Each entry names its callable as `"module:function"`, so that nothing is imported before it is chosen (see `dispatch`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

__all__ = ["BACKENDS", "BACKEND_NAMES", "BackendEntry", "Situation"]

BACKEND_NAMES = ("auto", "reference", "torch", "dense", "scatter", "numba", "triton")

_ANY_DTYPE = None
_FULL = (torch.float32, torch.float64)
_WITH_HALF = (torch.float32, torch.float16, torch.bfloat16)
_ALL = (torch.float64, *_WITH_HALF)

# On a CPU thread the compiled kernel is faster than the product until a quarter of all entries are edges, and for fewer
# columns than these the matrix is not worth making.
DENSE_MIN_DENSITY = 1 / 4
DENSE_MIN_WIDTH = 256
DENSE_MAX_ENTRIES = 256 * 256

# So few products (edges × columns) take less time than the call of a compiled kernel.
KERNEL_MIN_PRODUCTS = 8192

# A wider state does not stay in the registers of a program.
TRITON_MAX_HIDDEN = 128


@dataclass(frozen=True)
class BackendEntry:
    """One way to run one op: where its callable is and what it needs.

    Args:
        name: The backend's name, one of `BACKEND_NAMES` without `"auto"`.
        target: `"module:function"`, imported when it is first chosen.
        devices: Device types that it runs on; empty means any.
        dtypes: Floating types that it takes; None means any.
        needs: The module that must be installed; empty means none.
        transforms: Whether `torch.func` transforms, forward-mode derivatives and tensor subclasses go through it.
        automatic: Whether the automatic choice may take it.
        only_if: A further condition on the situation, which returns the reason against or None.
        worth_if: The same for what is a matter of speed and not of ability: who asks for the backend gets it.
    """

    name: str
    target: str
    devices: tuple[str, ...] = ()
    dtypes: tuple[torch.dtype, ...] | None = _ANY_DTYPE
    needs: str = ""
    transforms: bool = False
    automatic: bool = True
    only_if: Callable[[Situation], str | None] | None = None
    worth_if: Callable[[Situation], str | None] | None = None


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


def _no_weights(situation: Situation) -> str | None:
    return "per-edge weights are asked for, and it does not hold any" if situation.weights else None


def _small_and_dense(situation: Situation) -> str | None:
    if (entries := situation.num_dst * situation.num_src) == 0:
        return "the graph's size is zero or not known"
    if entries > DENSE_MAX_ENTRIES:
        return f"the matrix would have {entries} entries, more than {DENSE_MAX_ENTRIES}"
    if situation.num_edges < DENSE_MIN_DENSITY * entries:
        few = f"fewer than one in {round(1 / DENSE_MIN_DENSITY)}"
        return f"{situation.num_edges} of {entries} entries are edges, {few}"
    if situation.width < DENSE_MIN_WIDTH:
        return f"the values have {situation.width} columns, fewer than {DENSE_MIN_WIDTH}"
    return None


def _not_tiny(situation: Situation) -> str | None:
    products = situation.num_edges * situation.width
    if 0 < products < KERNEL_MIN_PRODUCTS:
        return f"{products} products take less time than its call does (from {KERNEL_MIN_PRODUCTS} on it is worth it)"
    return None


def _narrow(situation: Situation) -> str | None:
    too_wide = f"the state has {situation.hidden} channels, more than {TRITON_MAX_HIDDEN}"
    return too_wide if situation.hidden > TRITON_MAX_HIDDEN else None


def _graph_op(name: str, compiled: BackendEntry) -> tuple[BackendEntry, ...]:
    kernels = name.removeprefix("edge_")
    return (
        BackendEntry(
            "triton", f"gnnkit.ops._triton_{kernels}:{name}", ("cuda",), _WITH_HALF, "triton", only_if=_no_weights
        ),
        compiled,
        BackendEntry("torch", f"gnnkit.ops._torch:{name}", transforms=True),
        BackendEntry(
            "scatter", f"gnnkit.ops._scatter:{name}", ("cpu", "cuda"), _FULL, "torch_scatter", automatic=False
        ),
        BackendEntry("reference", f"gnnkit.ops._reference:{name}", automatic=False),
    )


def _segment_op(name: str) -> tuple[BackendEntry, ...]:
    return (
        BackendEntry("scatter", f"gnnkit.ops._scatter:{name}", ("cpu", "cuda"), _FULL, "torch_scatter"),
        BackendEntry("torch", f"gnnkit.ops._torch:{name}", transforms=True),
        BackendEntry("reference", f"gnnkit.ops._reference:{name}", automatic=False),
    )


BACKENDS: dict[str, tuple[BackendEntry, ...]] = {
    "spmm": (
        BackendEntry("dense", "gnnkit.ops._dense:spmm", ("cpu",), _FULL, worth_if=_small_and_dense),
        *_graph_op(
            "spmm", BackendEntry("numba", "gnnkit.ops._numba_spmm:spmm", ("cpu",), _ALL, "numba", worth_if=_not_tiny)
        ),
    ),
    "edge_attention": _graph_op(
        "edge_attention",
        BackendEntry(
            "numba", "gnnkit.ops._numba_attention:edge_attention", ("cpu",), _ALL, "numba", only_if=_no_weights
        ),
    ),
    "segment_sum": _segment_op("segment_sum"),
    "segment_mean": _segment_op("segment_mean"),
    # torch-scatter takes a segment that holds nothing but -inf for an empty one, so the maximum does without it.
    "segment_max": _segment_op("segment_max")[1:],
    "segment_softmax": _segment_op("segment_softmax"),
    "gated_recurrence": (
        BackendEntry(
            "triton", "gnnkit.ops._triton_recurrence:gated_recurrence", ("cuda",), _WITH_HALF, "triton", only_if=_narrow
        ),
        BackendEntry("numba", "gnnkit.ops._numba_recurrence:gated_recurrence", ("cpu",), _FULL, "numba"),
        BackendEntry("torch", "gnnkit.ops._torch_recurrence:gated_recurrence", transforms=True),
        BackendEntry("reference", "gnnkit.ops._reference_recurrence:gated_recurrence", automatic=False),
    ),
    "hop_levels": (
        BackendEntry("triton", "gnnkit.ops._triton_bfs:hop_levels", ("cuda",), needs="triton"),
        BackendEntry("numba", "gnnkit.ops._numba_bfs:hop_levels", ("cpu",), needs="numba"),
        BackendEntry("torch", "gnnkit.ops._torch_bfs:hop_levels"),
        BackendEntry("reference", "gnnkit.ops._reference_bfs:hop_levels", automatic=False),
    ),
}
"""op -> its backends, the preferred first. A new backend is a new entry; nothing else has to know of it."""
