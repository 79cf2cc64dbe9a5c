"""The segment ops as their definitions say, one segment at a time: the truth that the fast backends are held to."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["segment_max", "segment_mean", "segment_softmax", "segment_sum"]


def _segments(values: Tensor, index: Tensor, num_segments: int) -> list[Tensor]:
    return [values[index == segment] for segment in range(num_segments)]


def _stack(rows: list[Tensor], values: Tensor) -> Tensor:
    return torch.stack(rows) if rows else values.new_zeros(0, *values.shape[1:])


def segment_sum(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """Σ of each segment's values."""
    return _stack([part.sum(0) for part in _segments(values, index, num_segments)], values)


def segment_mean(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """Mean of each segment's values, 0 for an empty one."""
    return _stack([part.sum(0) / max(len(part), 1) for part in _segments(values, index, num_segments)], values)


def segment_max(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """Largest of each segment's values, 0 for an empty one; `amax` shares the gradient between equal ones."""
    parts = _segments(values, index, num_segments)
    return _stack([part.amax(0) if len(part) else part.sum(0) for part in parts], values)


def segment_softmax(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """Softmax within each segment."""
    result = torch.zeros_like(values)
    for segment in range(num_segments):
        members = (index == segment).nonzero().flatten()
        if len(members):
            result = result.index_put((members,), torch.softmax(values[members], dim=0))
    return result
