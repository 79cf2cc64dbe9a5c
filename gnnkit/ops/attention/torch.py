"""`edge_attention` in torch's own operators: on any device and type, through every transform, to any derivative."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from gnnkit.ops.attention.options import AttentionInputs, AttentionOptions
from gnnkit.ops.autograd import Kernels
from gnnkit.ops.segment.torch import segment_largest, segment_softmax, segment_sum
from gnnkit.ops.structure.edges import EdgeList
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = [
    "NATIVE",
    "attend",
    "dropout_factor",
    "edge_attention",
    "edge_attention_backward",
]

_LOW = 0xFFFFFFFF

_Graph = CompressedGraph | EdgeList


def _mix(bits: Tensor) -> Tensor:
    """`kernels.arithmetic.mix` in int64: products may wrap around, their lower 32 bits are right all the same."""
    bits = bits & _LOW
    bits = ((bits ^ (bits >> 16)) * 0x7FEB352D) & _LOW
    bits = ((bits ^ (bits >> 15)) * 0x846CA68B) & _LOW
    return bits ^ (bits >> 16)


def dropout_factor(graph: _Graph, options: AttentionOptions, heads: int, dtype: torch.dtype) -> Tensor:
    """Dropout's factor of each edge and head, `[E, K]` in the user's order: 0, or one over the share that is kept.

    An edge is known by its CSR position, so these are the numbers of every backend.
    """
    seed: Tensor = options.seed  # pyright: ignore[reportAssignmentType]
    position = torch.arange(graph.num_edges, device=graph.device)
    low, high = seed & _LOW, (seed >> 32) & _LOW
    key = _mix((position & _LOW) + low) ^ high ^ (position >> 32)
    bits = _mix(key[:, None] + torch.arange(heads, device=graph.device) * 0x9E3779B9)
    return graph.to_user_order((bits >= options.threshold).to(dtype) * options.scale)


def _logits(graph: _Graph, inputs: AttentionInputs) -> Tensor:
    """z of each edge, before the leaky ReLU, `[E, K]` in the user's order."""
    sources, targets = graph.edge_index
    logits = inputs.alpha_src.index_select(0, sources)
    if inputs.alpha_dst is not None:
        logits = logits + inputs.alpha_dst.index_select(0, targets)
    return logits if inputs.edge_logits is None else logits + inputs.edge_logits


def attend(
    inputs: AttentionInputs,
    graph: _Graph,
    options: AttentionOptions,
    softmax: Callable[[Tensor, Tensor, int], Tensor] = segment_softmax,
    total: Callable[[Tensor, Tensor, int], Tensor] = segment_sum,
) -> tuple[Tensor, Tensor]:
    """PyG's steps one after the other, made of a softmax and a sum over segments.

    Returns:
        The averages `[M, K, C]`, and the weights `[E, K]` in the user's order, dropout done.
    """
    sources, targets = graph.edge_index
    logits = functional.leaky_relu(_logits(graph, inputs), options.negative_slope)
    weights = softmax(logits, targets, graph.num_dst)
    if options.seed is not None:
        weights = weights * dropout_factor(graph, options, weights.size(1), weights.dtype)
    return total(weights.unsqueeze(-1) * inputs.x.index_select(0, sources), targets, graph.num_dst), weights


def edge_attention(
    inputs: AttentionInputs, graph: _Graph, options: AttentionOptions, return_weights: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """See `gnnkit.ops.edge_attention`."""
    found = attend(inputs, graph, options)
    return found if return_weights else found[0]


def _forward(inputs: AttentionInputs, graph: _Graph, options: AttentionOptions) -> tuple[Tensor, Tensor]:
    """`edge_attention` and each row's largest logit and inverse sum, `[num_dst, 2, K]`."""
    logits, targets = functional.leaky_relu(_logits(graph, inputs), options.negative_slope), graph.edge_index[1]
    largest = segment_largest(logits, targets, graph.num_dst)
    total = segment_sum((logits - largest.index_select(0, targets)).exp(), targets, graph.num_dst)
    stats = torch.stack([largest, torch.where(total == 0, torch.zeros_like(total), 1 / total)], dim=1)
    # Not in half precision: the backward pass would subtract another number than this one did.
    return attend(inputs, graph, options)[0], stats.to(torch.promote_types(inputs.x.dtype, torch.float32))


def edge_attention_backward(
    grad: Tensor, inputs: AttentionInputs, needed: tuple[bool, ...], graph: _Graph, options: AttentionOptions
) -> tuple[Tensor | None, ...]:
    """Gradients of x, alpha_src, alpha_dst and edge_logits, written out; they can be differentiated in turn."""
    sources, targets = graph.edge_index
    dtype, exact = inputs.x.dtype, torch.promote_types(inputs.x.dtype, torch.float32)
    inputs = AttentionInputs(*(None if part is None else part.to(exact) for part in inputs))  # pyright: ignore
    x, alpha_src, alpha_dst, edge_logits = inputs
    z = _logits(graph, inputs)
    weights = segment_softmax(functional.leaky_relu(z, options.negative_slope), targets, graph.num_dst)
    gathered = grad.to(exact).index_select(0, targets)
    dots, kept = (gathered * x.index_select(0, sources)).sum(-1), weights
    if options.seed is not None:
        factor = dropout_factor(graph, options, weights.size(1), exact)
        kept, dots = weights * factor, dots * factor
    grad_x = gathered.new_zeros(x.shape).index_add(0, sources, kept.unsqueeze(-1) * gathered)
    # The row's mean is that of the same products: where one edge has all the weight, both cancel exactly.
    means = segment_sum(weights * dots, targets, graph.num_dst)
    change = weights * (dots - means.index_select(0, targets))
    change = torch.where(z > 0, change, options.negative_slope * change)
    grad_src = change.new_zeros(alpha_src.shape).index_add(0, sources, change)
    grad_dst = None if alpha_dst is None else change.new_zeros(alpha_dst.shape).index_add(0, targets, change)
    found = (grad_x, grad_src, grad_dst, None if edge_logits is None else change)
    return tuple(None if tensor is None else tensor.to(dtype) for tensor in found)


def _backward(grad, inputs, kept, needed, graph, options):
    return edge_attention_backward(grad, inputs, needed, graph, options)


NATIVE = Kernels(_forward, _backward, edge_attention_backward)
"""Torch's operators in the place of kernels: `forward` gives the averages and, `[num_dst, 2, K]` and float32 where x is
half, each row's largest logit and one over its sum of exponentials."""
