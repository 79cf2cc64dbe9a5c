"""The ops as their definitions say, one node at a time: slow, plain, the truth that the fast backends are held to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gnnkit.ops._torch import dropout_factor
from gnnkit.ops.structure import CompressedGraph

if TYPE_CHECKING:
    from gnnkit.ops._function import AttentionOptions

__all__ = ["edge_attention", "segment_max", "segment_mean", "segment_softmax", "segment_sum", "spmm"]


def spmm(graph: CompressedGraph, x: Tensor, weight: Tensor | None) -> Tensor:
    """out[i] = Σ over edges e: j → i of w_e x[j]."""
    sources, targets = graph.edge_index.tolist()
    rows = [x.new_zeros(*x.shape[:-2], x.size(-1)) for _ in range(graph.num_dst)]
    for edge, (j, i) in enumerate(zip(sources, targets, strict=True)):
        message = x[..., j, :]
        rows[i] = rows[i] + (message if weight is None else weight[edge] * message)
    return torch.stack(rows, dim=-2) if rows else x.new_zeros(*x.shape[:-2], 0, x.size(-1))


def edge_attention(
    graph: CompressedGraph,
    x: Tensor,
    alpha_src: Tensor,
    alpha_dst: Tensor | None,
    edge_logits: Tensor | None,
    options: AttentionOptions,
    return_weights: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """out[i] = Σ_e a_e x[j], a = softmax over incoming edges of leaky_relu(alpha_src[j] + alpha_dst[i] + logit_e)."""
    sources, targets = graph.edge_index
    factor = None
    if options.seed is not None:
        factor = dropout_factor(graph, x.size(1), options.dropout, options.seed, x.dtype)
    rows, weights = [], x.new_zeros(graph.num_edges, x.size(1))
    for i in range(graph.num_dst):
        edges = (targets == i).nonzero().flatten()
        if len(edges) == 0:
            rows.append(x.new_zeros(x.shape[1:]))
            continue
        logits = alpha_src[sources[edges]]
        if alpha_dst is not None:
            logits = logits + alpha_dst[i]
        if edge_logits is not None:
            logits = logits + edge_logits[edges]
        logits = torch.where(logits > 0, logits, options.negative_slope * logits)
        attention = torch.softmax(logits, dim=0)
        if factor is not None:
            attention = attention * factor[edges]
        rows.append((attention[:, :, None] * x[sources[edges]]).sum(0))
        weights = weights.index_put((edges,), attention)
    out = torch.stack(rows) if rows else x.new_zeros(0, *x.shape[1:])
    return (out, weights) if return_weights else out


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
