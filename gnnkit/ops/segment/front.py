"""Sums, means, maxima and softmax over groups of rows."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnnkit.ops.backends import FULL, REFERENCE, TORCH, BackendEntry, Situation, register
from gnnkit.ops.dispatch import backend_for
from gnnkit.ops.segment import torch as native
from gnnkit.ops.tracing import is_traced, is_transformed, is_wrapped

__all__ = ["segment_max", "segment_mean", "segment_softmax", "segment_sum"]

_SCATTER = BackendEntry("scatter", ("cpu", "cuda"), FULL, "torch_scatter")
for _op in ("segment_sum", "segment_mean", "segment_softmax"):
    register(_op, __package__, _SCATTER, TORCH, REFERENCE)
# torch-scatter takes a segment that holds nothing but -inf for an empty one, so the maximum does without it.
register("segment_max", __package__, TORCH, REFERENCE)

Values = Float[Tensor, "E ..."]
Segments = Float[Tensor, "S ..."]


def segment_sum(
    values: Values,
    index: Int[Tensor, " E"] | None = None,
    *,
    ptr: Int[Tensor, " S1"] | None = None,
    num_segments: int | None = None,
) -> Segments:
    """Add up the rows of each segment.

        out[s] = Σ over rows e with index[e] = s of values[e]

    Args:
        values: Rows to add up.
        index: Segment of each row, in any order. Either this or `ptr`.
        ptr: Where each segment begins, for rows that lie together: segment s is `values[ptr[s] : ptr[s + 1]]`.
        num_segments: Number of segments S. Default: the largest index plus one; with `ptr` its length minus one.

    Shape:
        values `[E, ...]`, index `[E]`, ptr `[S + 1]` → `[S, ...]`.

    Returns:
        The sums, zero for an empty segment.

    Raises:
        ValueError: Neither or both of `index` and `ptr` are given, a shape or type is wrong, an index is out of range.
        RuntimeError: `use_backend` asked for a backend that cannot run this.

    Example:
        >>> segment_sum(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0, 2, 0]))
        tensor([4., 0., 2.])
    """
    return _run("segment_sum", values, index, ptr, num_segments)


def segment_mean(
    values: Values,
    index: Int[Tensor, " E"] | None = None,
    *,
    ptr: Int[Tensor, " S1"] | None = None,
    num_segments: int | None = None,
) -> Segments:
    """Average the rows of each segment.

        out[s] = mean over rows e with index[e] = s of values[e]

    Arguments, shapes and errors are those of `segment_sum`.

    Returns:
        The means, zero for an empty segment.

    Example:
        >>> segment_mean(torch.tensor([1.0, 2.0, 3.0]), ptr=torch.tensor([0, 2, 2, 3]))
        tensor([1.5000, 0.0000, 3.0000])
    """
    return _run("segment_mean", values, index, ptr, num_segments)


def segment_max(
    values: Values,
    index: Int[Tensor, " E"] | None = None,
    *,
    ptr: Int[Tensor, " S1"] | None = None,
    num_segments: int | None = None,
) -> Segments:
    """Take the largest of the rows of each segment, entry by entry.

        out[s] = max over rows e with index[e] = s of values[e]

    Entries that tie for the largest share its gradient equally, on every backend.

    Arguments, shapes and errors are those of `segment_sum`.

    Returns:
        The maxima, zero for an empty segment (as in PyG).

    Example:
        >>> segment_max(torch.tensor([-1.0, -2.0, -3.0]), torch.tensor([0, 2, 0]))
        tensor([-1.,  0., -2.])
    """
    return _run("segment_max", values, index, ptr, num_segments)


def segment_softmax(
    values: Values,
    index: Int[Tensor, " E"] | None = None,
    *,
    ptr: Int[Tensor, " S1"] | None = None,
    num_segments: int | None = None,
) -> Values:
    """Softmax within each segment.

        out[e] = exp(values[e]) / Σ over rows f with index[f] = index[e] of exp(values[f])

    The segment's largest value is taken off first, so that large values do not overflow.

    The arguments and errors are those of `segment_sum`.

    Shape:
        values `[E, ...]`, index `[E]`, ptr `[S + 1]` → `[E, ...]`.

    Returns:
        Weights that add up to 1 in each segment.

    Example:
        >>> segment_softmax(torch.tensor([0.0, 7.0, 0.0]), torch.tensor([0, 2, 0]))
        tensor([0.5000, 1.0000, 0.5000])
    """
    return _run("segment_softmax", values, index, ptr, num_segments)


def _run(op: str, values: Tensor, index: Tensor | None, ptr: Tensor | None, num_segments: int | None) -> Tensor:
    if (index is None) == (ptr is None):
        raise ValueError(f"{op}: pass either index or ptr, {'not both' if index is not None else 'one of them'}")
    if values.dim() == 0 or not values.dtype.is_floating_point:
        raise ValueError(
            f"values has shape {list(values.shape)} and dtype {values.dtype}: it is floating point, [E, ...]"
        )
    # Nobody can look at the numbers of a tracer or of a transform.
    given = ptr if index is None else index
    traced = is_traced() or (given is not None and is_wrapped(given))
    if ptr is not None:
        index, num_segments = _from_ptr(ptr, values.size(0), num_segments, traced)
    else:
        index, num_segments = _check_index(index, values.size(0), num_segments, traced)  # pyright: ignore[reportArgumentType]
    if traced:
        # Torch's operators are what a compiler knows how to fuse.
        return getattr(native, op)(values, index, num_segments)
    situation = Situation(values.device.type, values.dtype, is_transformed(values))
    return backend_for(op, situation)(values, index, num_segments)


def _from_ptr(ptr: Tensor, rows: int, num_segments: int | None, traced: bool) -> tuple[Tensor, int]:
    if ptr.dim() != 1 or ptr.numel() == 0 or ptr.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"ptr has shape {list(ptr.shape)} and dtype {ptr.dtype}: it is int32 or int64, [S + 1]")
    segments = ptr.numel() - 1
    if num_segments is not None and num_segments != segments:
        raise ValueError(f"num_segments={num_segments}, but ptr has {segments} segments: leave num_segments out")
    sizes = ptr.diff()
    if not traced and (int(ptr[0]) != 0 or int(ptr[-1]) != rows or bool((sizes < 0).any())):
        raise ValueError(
            f"ptr goes from {int(ptr[0])} to {int(ptr[-1])}: it begins with 0, never falls "
            f"and ends with the {rows} rows of values"
        )
    return torch.repeat_interleave(torch.arange(segments, device=ptr.device), sizes, output_size=rows), segments


def _check_index(index: Tensor, rows: int, num_segments: int | None, traced: bool) -> tuple[Tensor, int]:
    if index.dim() != 1 or index.size(0) != rows or index.dtype not in (torch.int32, torch.int64):
        raise ValueError(
            f"index has shape {list(index.shape)} and dtype {index.dtype}: it is int32 or int64, "
            f"one for each of the {rows} rows of values"
        )
    if traced:
        if num_segments is None:
            raise ValueError(
                "num_segments is not given: torch.compile and torch.func need it, as the shape may not depend on data"
            )
        return index.long(), num_segments
    low, high = (int(end) for end in torch.aminmax(index)) if rows else (0, -1)
    num_segments = high + 1 if num_segments is None else num_segments
    if low < 0 or high >= num_segments:
        raise ValueError(
            f"index holds {low if low < 0 else high}, but num_segments={num_segments}: "
            f"segments are 0 to num_segments - 1"
        )
    return index.long(), num_segments
