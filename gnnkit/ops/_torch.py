"""The ops in torch's own operators: on any device and type, through every transform, to any order of derivative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue, reportMissingModuleSource]
from torch.nn import functional
from torch_geometric import EdgeIndex

from gnnkit.ops.structure import CompressedGraph

if TYPE_CHECKING:
    from gnnkit.ops._function import AttentionOptions

__all__ = [
    "EdgeList",
    "as_edge_list",
    "attention_weights",
    "dropout_factor",
    "edge_attention",
    "edge_attention_backward",
    "edge_attention_forward",
    "logits_before_slope",
    "segment_largest",
    "segment_max",
    "segment_mean",
    "segment_softmax",
    "segment_sum",
    "spmm",
    "spmm_backward",
    "weighted_sum",
]

_LOW = 0xFFFFFFFF


@dataclass(frozen=True, eq=False)
class EdgeList:
    """A graph whose edges cannot be looked at: those of a tracer, or of a `torch.func` transform such as `vmap`.

    Args:
        edge_index: Sources and targets, `[2, E]`.
        num_dst, num_src: Numbers of targets and sources.
    """

    edge_index: Tensor
    num_dst: int
    num_src: int

    @property
    def num_edges(self) -> int:
        """E."""
        return self.edge_index.size(1)

    @property
    def device(self) -> torch.device:
        """The device of the edges."""
        return self.edge_index.device

    @property
    def degree(self) -> Tensor:
        """Number of incoming edges of each target, `[num_dst]`."""
        targets = self.edge_index[1]
        return targets.new_zeros(self.num_dst).index_add(0, targets, torch.ones_like(targets))

    def to_user_order(self, values: Tensor) -> Tensor:
        """Bring values `[E, ...]` from the order in which `compress` would sort the edges to the user's."""
        order = torch.argsort(self.edge_index[1], stable=True)
        return torch.zeros_like(values).index_copy(0, order, values)


def as_edge_list(graph: object, num_dst: int, num_src: int) -> EdgeList | None:
    """The edges of a call inside a `torch.func` transform, None for any other: there nothing can be sorted.

    Args:
        graph: What a caller gave as the graph.
        num_dst, num_src: Numbers of targets and sources.

    Returns:
        The edge list, or None.
    """
    if _functorch.maybe_current_level() is None or not isinstance(graph, Tensor) or graph.layout != torch.strided:
        return None
    edges = graph.as_tensor() if isinstance(graph, EdgeIndex) else graph
    return EdgeList(edges.long(), num_dst, num_src)


_Graph = CompressedGraph | EdgeList


def _expand(per_edge: Tensor, like: Tensor) -> Tensor:
    return per_edge.reshape(-1, *(1 for _ in range(like.dim() - 1)))


# --- the weighted neighbour sum ---


def spmm(graph: _Graph, x: Tensor, weight: Tensor | None) -> Tensor:
    """Gather, weigh, add up; see `gnnkit.ops.spmm`."""
    sources, targets = graph.edge_index
    messages = x.index_select(-2, sources)
    if weight is not None:
        messages = messages * weight.unsqueeze(-1)
    return messages.new_zeros(*x.shape[:-2], graph.num_dst, x.size(-1)).index_add(-2, targets, messages)


def spmm_backward(
    graph: _Graph, grad: Tensor, x: Tensor, weight: Tensor | None, need_weight: bool
) -> tuple[Tensor, Tensor | None]:
    """Gradients of x and, where it is needed, of the weights, written out."""
    sources, targets = graph.edge_index
    gathered = grad.index_select(-2, targets)
    messages = gathered if weight is None else gathered * weight.unsqueeze(-1)
    grad_x = messages.new_zeros(*grad.shape[:-2], graph.num_src, grad.size(-1)).index_add(-2, sources, messages)
    if not need_weight:
        return grad_x, None
    products = (gathered * x.index_select(-2, sources)).sum(-1)
    return grad_x, products.reshape(-1, graph.num_edges).sum(0)


# --- attention ---


def _mix(bits: Tensor) -> Tensor:
    """`_numba_math.mix` in int64: products may wrap around, their lower 32 bits are right all the same."""
    bits = bits & _LOW
    bits = ((bits ^ (bits >> 16)) * 0x7FEB352D) & _LOW
    bits = ((bits ^ (bits >> 15)) * 0x846CA68B) & _LOW
    return bits ^ (bits >> 16)


def dropout_factor(graph: _Graph, heads: int, dropout: float, seed: Tensor, dtype: torch.dtype) -> Tensor:
    """Dropout's factor for each edge and head, 0 or one over the share that is kept: the numbers of every backend.

    Args:
        graph: The graph; an edge is known by its CSR position.
        heads: K.
        dropout: Share that is dropped.
        seed: int64 scalar.
        dtype: Type of the factors.

    Returns:
        `[E, K]` in the user's order.
    """
    position = torch.arange(graph.num_edges, device=graph.device)
    low, high = seed & _LOW, (seed >> 32) & _LOW
    key = _mix((position & _LOW) + low) ^ high ^ (position >> 32)
    bits = _mix(key[:, None] + torch.arange(heads, device=graph.device) * 0x9E3779B9)
    scale = 0.0 if dropout >= 1 else 1 / (1 - dropout)
    kept = bits >= min(round(dropout * 2**32), 2**32 - 1)
    return graph.to_user_order(kept.to(dtype) * scale)


def logits_before_slope(
    graph: _Graph,
    alpha_src: Tensor,
    alpha_dst: Tensor | None,
    edge_logits: Tensor | None,
) -> Tensor:
    sources, targets = graph.edge_index
    logits = alpha_src.index_select(0, sources)
    if alpha_dst is not None:
        logits = logits + alpha_dst.index_select(0, targets)
    return logits if edge_logits is None else logits + edge_logits


def attention_weights(
    graph: _Graph,
    alpha_src: Tensor,
    alpha_dst: Tensor | None,
    edge_logits: Tensor | None,
    options: AttentionOptions,
) -> Tensor:
    """The weights `[E, K]` in the user's order, dropout done."""
    logits = functional.leaky_relu(
        logits_before_slope(graph, alpha_src, alpha_dst, edge_logits), options.negative_slope
    )
    weights = segment_softmax(logits, graph.edge_index[1], graph.num_dst)
    if options.seed is None:
        return weights
    return weights * dropout_factor(graph, weights.size(1), options.dropout, options.seed, weights.dtype)


def edge_attention(
    graph: _Graph,
    x: Tensor,
    alpha_src: Tensor,
    alpha_dst: Tensor | None,
    edge_logits: Tensor | None,
    options: AttentionOptions,
    return_weights: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """PyG's steps one after the other; see `gnnkit.ops.edge_attention`."""
    weights = attention_weights(graph, alpha_src, alpha_dst, edge_logits, options)
    out = weighted_sum(graph, x, weights)
    return (out, weights) if return_weights else out


def weighted_sum(graph: _Graph, x: Tensor, weights: Tensor) -> Tensor:
    """Σ over incoming edges of `weights[e, k] * x[j, k, :]`."""
    sources, targets = graph.edge_index
    messages = weights.unsqueeze(-1) * x.index_select(0, sources)
    return messages.new_zeros(graph.num_dst, *x.shape[1:]).index_add(0, targets, messages)


def edge_attention_forward(
    graph: _Graph,
    x: Tensor,
    alpha_src: Tensor,
    alpha_dst: Tensor | None,
    edge_logits: Tensor | None,
    options: AttentionOptions,
) -> tuple[Tensor, Tensor]:
    """`edge_attention` and each row's largest logit and inverse sum, `[num_dst, 2, K]`."""
    logits = functional.leaky_relu(
        logits_before_slope(graph, alpha_src, alpha_dst, edge_logits), options.negative_slope
    )
    targets = graph.edge_index[1]
    largest = segment_largest(logits, targets, graph.num_dst)
    total = segment_sum((logits - largest.index_select(0, targets)).exp(), targets, graph.num_dst)
    inverse = torch.where(total == 0, torch.zeros_like(total), 1 / total)
    weights = attention_weights(graph, alpha_src, alpha_dst, edge_logits, options)
    out = weighted_sum(graph, x, weights)
    # Not in half precision: the backward pass would subtract another number than this one did.
    return out, torch.stack([largest, inverse], dim=1).to(torch.promote_types(x.dtype, torch.float32))


def edge_attention_backward(
    graph: _Graph,
    grad: Tensor,
    x: Tensor,
    alpha_src: Tensor,
    alpha_dst: Tensor | None,
    edge_logits: Tensor | None,
    options: AttentionOptions,
) -> tuple[Tensor | None, ...]:
    """Gradients of x, alpha_src, alpha_dst and edge_logits, written out; they can be differentiated in turn."""
    sources, targets = graph.edge_index
    dtype, exact = x.dtype, torch.promote_types(x.dtype, torch.float32)
    grad, x, alpha_src = grad.to(exact), x.to(exact), alpha_src.to(exact)
    alpha_dst, edge_logits = (None if part is None else part.to(exact) for part in (alpha_dst, edge_logits))
    z = logits_before_slope(graph, alpha_src, alpha_dst, edge_logits)
    weights = segment_softmax(functional.leaky_relu(z, options.negative_slope), targets, graph.num_dst)
    gathered = grad.index_select(0, targets)
    dots, kept = (gathered * x.index_select(0, sources)).sum(-1), weights
    if options.seed is not None:
        factor = dropout_factor(graph, weights.size(1), options.dropout, options.seed, exact)
        kept, dots = weights * factor, dots * factor
    grad_x = grad.new_zeros(x.shape).index_add(0, sources, kept.unsqueeze(-1) * gathered)
    # The row's mean is that of the same products: where one edge has all the weight, both cancel exactly.
    means = segment_sum(weights * dots, targets, graph.num_dst)
    change = weights * (dots - means.index_select(0, targets))
    change = torch.where(z > 0, change, options.negative_slope * change)
    grad_src = change.new_zeros(alpha_src.shape).index_add(0, sources, change)
    grad_dst = None if alpha_dst is None else change.new_zeros(alpha_dst.shape).index_add(0, targets, change)
    found = (grad_x, grad_src, grad_dst, None if edge_logits is None else change)
    return tuple(None if tensor is None else tensor.to(dtype) for tensor in found)


# --- segments ---


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


def segment_softmax(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """See `gnnkit.ops.segment_softmax`."""
    # The largest value cancels out, so it is a constant for the derivative.
    weights = (values - segment_largest(values, index, num_segments).index_select(0, index)).exp()
    return weights / (segment_sum(weights, index, num_segments) + 1e-16).index_select(0, index)
