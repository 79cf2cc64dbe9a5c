"""The ops on torch-scatter, where it is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional

from gnnkit._optional import optional_import
from gnnkit.ops import _torch
from gnnkit.ops.structure import CompressedGraph

if TYPE_CHECKING:
    from gnnkit.ops._function import AttentionOptions

__all__ = ["edge_attention", "segment_mean", "segment_softmax", "segment_sum", "spmm"]

torch_scatter = optional_import("torch_scatter", purpose='backend "scatter"', extra="scatter")


def spmm(graph: CompressedGraph, x: Tensor, weight: Tensor | None) -> Tensor:
    """Gather, weigh, scatter; see `gnnkit.ops.spmm`."""
    sources, targets = graph.edge_index
    messages = x.index_select(-2, sources)
    if weight is not None:
        messages = messages * weight.unsqueeze(-1)
    return torch_scatter.scatter_sum(messages, targets, dim=-2, dim_size=graph.num_dst)


def edge_attention(
    graph: CompressedGraph,
    x: Tensor,
    alpha_src: Tensor,
    alpha_dst: Tensor | None,
    edge_logits: Tensor | None,
    options: AttentionOptions,
    return_weights: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Softmax and sum with torch-scatter; see `gnnkit.ops.edge_attention`."""
    sources, targets = graph.edge_index
    logits = _torch.logits_before_slope(graph, alpha_src, alpha_dst, edge_logits)
    logits = functional.leaky_relu(logits, options.negative_slope)
    weights = segment_softmax(logits, targets, graph.num_dst)
    if options.seed is not None:
        weights = weights * _torch.dropout_factor(graph, x.size(1), options.dropout, options.seed, x.dtype)
    messages = weights.unsqueeze(-1) * x.index_select(0, sources)
    out = torch_scatter.scatter_sum(messages, targets, dim=0, dim_size=graph.num_dst)
    return (out, weights) if return_weights else out


def segment_sum(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """See `gnnkit.ops.segment_sum`."""
    return torch_scatter.scatter_sum(values, index, dim=0, dim_size=num_segments)


def segment_mean(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """See `gnnkit.ops.segment_mean`."""
    return torch_scatter.scatter_mean(values, index, dim=0, dim_size=num_segments)


def segment_softmax(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """See `gnnkit.ops.segment_softmax`."""
    # Not torch-scatter's own: its maximum has a derivative, which cancels out, and no batching rule.
    weights = (values - _torch.segment_largest(values, index, num_segments).index_select(0, index)).exp()
    return weights / (segment_sum(weights, index, num_segments) + 1e-16).index_select(0, index)
