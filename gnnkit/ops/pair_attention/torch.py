"""`pair_attention` in torch's own operators: on any device and type, through every transform, to any derivative."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from gnnkit.ops.attention.torch import dropout_factor
from gnnkit.ops.autograd import Kernels
from gnnkit.ops.pair_attention.options import PairInputs, PairOptions
from gnnkit.ops.segment.torch import segment_largest, segment_softmax, segment_sum
from gnnkit.ops.structure.edges import EdgeList
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["NATIVE", "attend", "pair_attention", "pair_attention_backward"]

_Graph = CompressedGraph | EdgeList


def _ends(graph: _Graph, inputs: PairInputs) -> tuple[Tensor, Tensor, Tensor]:
    """Of each edge, in the user's order: the query's row, the key's, and what is averaged, `[E, K, C (+ D)]`.

    With `att` the second is z, the sum before the leaky ReLU.
    """
    sources, targets = graph.edge_index
    query, key, value, att, edge_attr, edge_map = inputs
    mine, other = query.index_select(0, targets), key.index_select(0, sources)
    if att is None:
        averaged = value.index_select(0, sources)  # pyright: ignore[reportOptionalMemberAccess]
        if edge_attr is not None:
            repeated = edge_attr.unsqueeze(1).expand(-1, key.size(1), -1)
            other, averaged = torch.cat([other, repeated], -1), torch.cat([averaged, repeated], -1)
        return mine, other, averaged
    z = mine + other
    if edge_attr is not None:
        z = z + (edge_attr @ _as_matrix(edge_map)).reshape(z.shape)  # pyright: ignore
    return mine, z, other


def _as_matrix(rows: Tensor) -> Tensor:
    """`[R, K, C]` as `[R, K C]`, in words that suit no rows, and batches of gradients."""
    return rows.reshape(rows.size(0), rows.size(1) * rows.size(2))


def _logits(inputs: PairInputs, options: PairOptions, mine: Tensor, other: Tensor) -> Tensor:
    if inputs.att is None:
        return (mine * other).sum(-1) * options.factor
    return (functional.leaky_relu(other, options.negative_slope) * inputs.att).sum(-1)


def attend(inputs: PairInputs, graph: _Graph, options: PairOptions) -> Tensor:
    """PyG's steps one after the other; see `pair_attention`'s front."""
    targets = graph.edge_index[1]
    mine, other, values = _ends(graph, inputs)
    weights = segment_softmax(_logits(inputs, options, mine, other), targets, graph.num_dst)
    if options.seed is not None:
        weights = weights * dropout_factor(graph, options, weights.size(1), weights.dtype)
    return segment_sum(weights.unsqueeze(-1) * values, targets, graph.num_dst)


def pair_attention(inputs: PairInputs, graph: _Graph, options: PairOptions) -> Tensor:
    """See `gnnkit.ops.dynamic_attention` and `gnnkit.ops.dot_attention`."""
    return attend(inputs, graph, options)


def pair_attention_backward(
    grad: Tensor, inputs: PairInputs, needed: tuple[bool, ...], graph: _Graph, options: PairOptions
) -> tuple[Tensor | None, ...]:
    """Gradients of all that there is, written out; they can be differentiated in turn."""
    sources, targets = graph.edge_index
    dtype, exact = inputs.key.dtype, torch.promote_types(inputs.key.dtype, torch.float32)
    inputs = PairInputs(*(None if part is None else part.to(exact) for part in inputs))  # pyright: ignore
    query, key, _, att, edge_attr, edge_map = inputs
    mine, other, values = _ends(graph, inputs)
    weights = segment_softmax(_logits(inputs, options, mine, other), targets, graph.num_dst)
    gathered = grad.to(exact).index_select(0, targets)
    dots, kept = (gathered * values).sum(-1), weights
    if options.seed is not None:
        factor = dropout_factor(graph, options, weights.size(1), exact)
        kept, dots = weights * factor, dots * factor
    # The row's mean is that of the same products: where one edge has all the weight, both cancel exactly.
    means = segment_sum(weights * dots, targets, graph.num_dst)
    change = (weights * (dots - means.index_select(0, targets))).unsqueeze(-1)
    of_values = kept.unsqueeze(-1) * gathered

    def total(of_edges: Tensor, ends: Tensor, like: Tensor) -> Tensor:
        return of_edges.new_zeros(like.shape).index_add(0, ends, of_edges)

    grad_value = grad_att = grad_edge = grad_map = None
    if att is None:
        of_mine, of_other = options.factor * change * other, options.factor * change * mine
        channels = key.size(2)
        if edge_attr is not None:
            grad_edge = (of_other + of_values)[..., channels:].sum(1)
            # Not a slice: one of everything is a view that batches of gradients do not know.
            of_values, of_other = of_values.narrow(-1, 0, channels), of_other.narrow(-1, 0, channels)
        grad_value, grad_key = total(of_values, sources, key), total(of_other, sources, key)
    else:
        steps = torch.where(other > 0, change, options.negative_slope * change)
        of_mine, grad_att = steps * att, (steps * other).sum(0)
        grad_key = total(of_mine + of_values, sources, key)
        if edge_attr is not None and edge_map is not None:
            rows = _as_matrix(of_mine)
            grad_edge = rows @ _as_matrix(edge_map).t()
            grad_map = (edge_attr.t() @ rows).reshape(edge_map.shape)
    found = (total(of_mine, targets, query), grad_key, grad_value, grad_att, grad_edge, grad_map)
    return tuple(None if part is None else part.to(dtype) for part in found)


def _forward(inputs: PairInputs, graph: _Graph, options: PairOptions) -> tuple[Tensor, Tensor]:
    """The averages and each row's largest logit and inverse sum, `[num_dst, 2, K]`."""
    mine, other, _ = _ends(graph, inputs)
    logits, targets = _logits(inputs, options, mine, other), graph.edge_index[1]
    largest = segment_largest(logits, targets, graph.num_dst)
    total = segment_sum((logits - largest.index_select(0, targets)).exp(), targets, graph.num_dst)
    stats = torch.stack([largest, torch.where(total == 0, torch.zeros_like(total), 1 / total)], dim=1)
    return attend(inputs, graph, options), stats.to(torch.promote_types(inputs.key.dtype, torch.float32))


def _backward(grad, inputs, kept, needed, graph, options):
    return pair_attention_backward(grad, inputs, needed, graph, options)


NATIVE = Kernels(_forward, _backward, pair_attention_backward)
"""Torch's operators in the place of kernels."""
