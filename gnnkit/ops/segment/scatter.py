"""The segment ops on torch-scatter, where it is installed."""

from __future__ import annotations

from torch import Tensor

from gnnkit._optional import optional_import
from gnnkit.ops.segment import torch as native

__all__ = ["segment_mean", "segment_softmax", "segment_sum"]

torch_scatter = optional_import("torch_scatter", purpose='backend "scatter"', extra="scatter")


def segment_sum(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """See `gnnkit.ops.segment_sum`."""
    return torch_scatter.scatter_sum(values, index, dim=0, dim_size=num_segments)


def segment_mean(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """See `gnnkit.ops.segment_mean`."""
    return torch_scatter.scatter_mean(values, index, dim=0, dim_size=num_segments)


def segment_softmax(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """See `gnnkit.ops.segment_softmax`."""
    # Not torch-scatter's own: its maximum has a derivative, which cancels out, and no batching rule.
    return native.segment_softmax(values, index, num_segments, segment_sum)
