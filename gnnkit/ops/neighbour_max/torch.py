"""`neighbour_max` in torch's own operators: on any device and type, through every transform, to any derivative."""

from __future__ import annotations

import torch
from torch import Tensor

from gnnkit.ops.autograd import Kernels, gradients
from gnnkit.ops.neighbour_max.options import MaxInputs, MaxOptions
from gnnkit.ops.structure.edges import EdgeList
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["NATIVE", "again", "neighbour_max"]

_Graph = CompressedGraph | EdgeList


def _messages(inputs: MaxInputs, graph: _Graph) -> Tensor:
    messages = inputs.x.index_select(-2, graph.edge_index[0])
    return messages if inputs.weight is None else messages * inputs.weight.unsqueeze(-1)


def _extremes(messages: Tensor, graph: _Graph, options: MaxOptions) -> tuple[Tensor, Tensor]:
    """The values taken `[..., M, C]`, 0 where there are none, and which messages `[..., E, C]` are equal to theirs."""
    targets = graph.edge_index[1]
    rows = targets.unsqueeze(-1).expand_as(messages)
    zeros = messages.new_zeros(*messages.shape[:-2], graph.num_dst, messages.size(-1))
    found = zeros.scatter_reduce(-2, rows, messages, "amax" if options.largest else "amin", include_self=False)
    taken = found.index_select(-2, targets)
    hits = (messages == taken) | messages.isnan()
    # Where no number is the largest all neighbours share, as each of them would have to be another for a number.
    return found, hits | taken.isnan() if options.shared else hits


def _positions(graph: _Graph) -> Tensor:
    """The CSR position of each of the user's edges, `[E]`."""
    order = torch.argsort(graph.edge_index[1], stable=True)
    return torch.empty_like(order).scatter_(0, order, torch.arange(order.numel(), device=order.device))


def _first(hits: Tensor, graph: _Graph) -> Tensor:
    """The smallest CSR position of each target's hits, `[..., M, C]`; that of none is the number of edges."""
    position = _positions(graph).unsqueeze(-1).expand_as(hits)
    none = position.new_full((*hits.shape[:-2], graph.num_dst, hits.size(-1)), graph.num_edges)
    rows = graph.edge_index[1].unsqueeze(-1).expand_as(hits)
    return none.scatter_reduce(-2, rows, torch.where(hits, position, graph.num_edges), "amin")


def _divisors(found: Tensor, hits: Tensor, graph: _Graph) -> Tensor:
    """By how many a gradient is divided: see the front for the one more of a zero."""
    count = torch.zeros_like(found).index_add(-2, graph.edge_index[1], hits.to(found.dtype))
    return count + (found == 0).to(found.dtype)


def neighbour_max(inputs: MaxInputs, graph: _Graph, options: MaxOptions) -> Tensor:
    """See `gnnkit.ops.neighbour_max`."""
    messages, targets = _messages(inputs, graph), graph.edge_index[1]
    found, hits = _extremes(messages.detach(), graph, options)
    if options.shared:
        count = _divisors(found, hits, graph).clamp(min=1).index_select(-2, targets)
        kept = torch.where(hits, messages, torch.zeros_like(messages)) / count
    else:
        first = _first(hits, graph).index_select(-2, targets) == _positions(graph).unsqueeze(-1)
        kept = torch.where(first, messages, torch.zeros_like(messages))
    out = torch.zeros_like(found).index_add(-2, targets, kept)
    # A sum of shares may be off by a rounding error, which is taken out of the value; infinities need not be.
    return torch.where(out.detach() == found, out, out + (found - out.detach()))


def again(
    grad: Tensor, inputs: MaxInputs, needed: tuple[bool, ...], graph: _Graph, options: MaxOptions
) -> list[Tensor | None]:
    """Gradients of x and the weights that can be differentiated in turn."""
    return gradients(lambda *parts: neighbour_max(MaxInputs(*parts), graph, options), inputs, grad, needed)


def _forward(inputs: MaxInputs, graph: _Graph, options: MaxOptions) -> tuple[Tensor, Tensor]:
    """The values taken, and the places of `options.shares`."""
    found, hits = _extremes(_messages(inputs, graph), graph, options)
    places = _first(hits, graph)
    if options.shared:
        count = _divisors(found, hits, graph).long()
        places = torch.where(count > 1, -1 - count, places)
    return found, places.to(torch.int64 if graph.num_edges >= 2**31 else torch.int32)


def _backward(grad, inputs, kept, needed, graph, options):
    return again(grad, inputs, needed, graph, options)


NATIVE = Kernels(_forward, _backward, again)
"""Torch's operators in the place of kernels."""
