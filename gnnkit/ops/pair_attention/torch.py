"""`pair_attention` in torch's own operators: on any device and type, through every transform, to any derivative."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from gnnkit.ops.attention.torch import dropout_factor
from gnnkit.ops.autograd import Kernels, gradients
from gnnkit.ops.pair_attention.options import PairInputs, PairOptions
from gnnkit.ops.segment.torch import segment_largest, segment_softmax, segment_sum
from gnnkit.ops.structure.edges import EdgeList
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["NATIVE", "attend", "pair_attention", "pair_attention_backward"]

_Graph = CompressedGraph | EdgeList


def _logits_and_values(graph: _Graph, inputs: PairInputs, options: PairOptions) -> tuple[Tensor, Tensor]:
    """Of each edge the logits `[E, K]` and what is averaged `[E, K, C (+ D)]`, in the user's order."""
    sources, targets = graph.edge_index
    query, key, value, att, edge_attr, edge_map = inputs
    mine, other = query.index_select(0, targets), key.index_select(0, sources)
    if att is None:
        averaged = value.index_select(0, sources)  # pyright: ignore[reportOptionalMemberAccess]
        if edge_attr is not None:
            repeated = edge_attr.unsqueeze(1).expand(-1, key.size(1), -1)
            other, averaged = torch.cat([other, repeated], -1), torch.cat([averaged, repeated], -1)
        return (mine * other).sum(-1) * options.factor, averaged
    z = mine + other
    if edge_attr is not None:
        z = z + (edge_attr @ edge_map.flatten(1)).view(z.shape)  # pyright: ignore[reportOptionalMemberAccess]
    return (functional.leaky_relu(z, options.negative_slope) * att).sum(-1), other


def attend(inputs: PairInputs, graph: _Graph, options: PairOptions) -> Tensor:
    """PyG's steps one after the other; see `pair_attention`'s front."""
    targets = graph.edge_index[1]
    logits, values = _logits_and_values(graph, inputs, options)
    weights = segment_softmax(logits, targets, graph.num_dst)
    if options.seed is not None:
        weights = weights * dropout_factor(graph, options, weights.size(1), weights.dtype)
    return segment_sum(weights.unsqueeze(-1) * values, targets, graph.num_dst)


def pair_attention(inputs: PairInputs, graph: _Graph, options: PairOptions) -> Tensor:
    """See `gnnkit.ops.dynamic_attention` and `gnnkit.ops.dot_attention`."""
    return attend(inputs, graph, options)


def pair_attention_backward(
    grad: Tensor, inputs: PairInputs, needed: tuple[bool, ...], graph: _Graph, options: PairOptions
) -> list[Tensor | None]:
    """Gradients of all that there is; they can be differentiated in turn."""

    def attention(*given: Tensor | None) -> Tensor:
        dtype = inputs.key.dtype
        exact = torch.promote_types(dtype, torch.float32)
        wide = PairInputs(*(None if part is None else part.to(exact) for part in given))  # pyright: ignore
        return attend(wide, graph, options).to(dtype)

    return gradients(attention, inputs, grad, needed)


def _forward(inputs: PairInputs, graph: _Graph, options: PairOptions) -> tuple[Tensor, Tensor]:
    """The averages and each row's largest logit and inverse sum, `[num_dst, 2, K]`."""
    logits, targets = _logits_and_values(graph, inputs, options)[0], graph.edge_index[1]
    largest = segment_largest(logits, targets, graph.num_dst)
    total = segment_sum((logits - largest.index_select(0, targets)).exp(), targets, graph.num_dst)
    stats = torch.stack([largest, torch.where(total == 0, torch.zeros_like(total), 1 / total)], dim=1)
    return attend(inputs, graph, options), stats.to(torch.promote_types(inputs.key.dtype, torch.float32))


def _backward(grad, inputs, kept, needed, graph, options):
    return pair_attention_backward(grad, inputs, needed, graph, options)


NATIVE = Kernels(_forward, _backward, pair_attention_backward)
"""Torch's operators in the place of kernels."""
