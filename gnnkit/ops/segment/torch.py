"""The segment ops in torch's own operators: on any device and type, through every transform."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["segment_largest", "segment_max", "segment_mean", "segment_softmax", "segment_sum"]


def _expand(per_edge: Tensor, like: Tensor) -> Tensor:
    return per_edge.reshape(-1, *(1 for _ in range(like.dim() - 1)))


def segment_sum(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """See `gnnkit.ops.segment_sum`."""
    return values.new_zeros(num_segments, *values.shape[1:]).index_add(0, index, values)


def segment_mean(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """See `gnnkit.ops.segment_mean`."""
    ones = torch.ones(index.numel(), dtype=values.dtype, device=values.device)
    count = torch.zeros(num_segments, dtype=values.dtype, device=values.device).index_add(0, index, ones)
    total = segment_sum(values, index, num_segments)
    return total / _expand(count.clamp(min=1), total)


def segment_largest(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """The largest value of each segment, 0 for an empty one; a constant as far as derivatives go."""
    values = values.detach()
    rows = _expand(index, values).expand_as(values)
    return values.new_zeros(num_segments, *values.shape[1:]).scatter_reduce(0, rows, values, "amax", include_self=False)


def segment_max(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """See `gnnkit.ops.segment_max`."""
    largest = segment_largest(values, index, num_segments)
    # Not the derivative of scatter_reduce: the zero that a segment starts from would get a share of a maximum of zero.
    hits = (values.detach() == largest.index_select(0, index)) & values.detach().isfinite()
    zeros = torch.zeros_like(largest)
    count = zeros.index_add(0, index, hits.to(values.dtype)).clamp(min=1)
    # Zero in value, one in derivative: it stays exact, where a mean of equal values may be off by a rounding error.
    shares = torch.where(hits, values - values.detach(), torch.zeros_like(values)) / count.index_select(0, index)
    return largest + zeros.index_add(0, index, shares)


def segment_softmax(
    values: Tensor, index: Tensor, num_segments: int, total: Callable[..., Tensor] = segment_sum
) -> Tensor:
    """See `gnnkit.ops.segment_softmax`; `total` is the sum that it is made of."""
    # The largest value cancels out, so it is a constant for the derivative.
    weights = (values - segment_largest(values, index, num_segments).index_select(0, index)).exp()
    return weights / (total(weights, index, num_segments) + 1e-16).index_select(0, index)
