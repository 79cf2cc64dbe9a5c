"""`neighbour_max` as its definition says, one target at a time: the truth that the fast backends are held to."""

from __future__ import annotations

import torch
from torch import Tensor

from gnnkit.ops.neighbour_max.options import MaxInputs, MaxOptions
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["neighbour_max"]


def neighbour_max(inputs: MaxInputs, graph: CompressedGraph, options: MaxOptions) -> Tensor:
    """out[i] = max over edges e: j → i of w_e x[j]; 0 of none."""
    x, weight = inputs
    messages: list[list[Tensor]] = [[] for _ in range(graph.num_dst)]
    order = range(graph.num_edges) if graph.perm is None else graph.perm.tolist()
    edges = graph.edge_index.t().tolist()
    for edge in order:
        j, i = edges[edge]
        messages[i].append(x[..., j, :] if weight is None else weight[edge] * x[..., j, :])
    rows = [_taken(torch.stack(heard), options) if heard else torch.zeros_like(x[..., 0, :]) for heard in messages]
    return torch.stack(rows, dim=-2) if rows else x.new_zeros(*x.shape[:-2], 0, x.size(-1))


def _taken(heard: Tensor, options: MaxOptions) -> Tensor:
    """The largest (smallest) of the first dimension, with the gradient that the front describes."""
    value = heard.detach().amax(0) if options.largest else heard.detach().amin(0)
    hits = (heard.detach() == value) | heard.isnan()
    if options.shared:
        hits = hits | value.isnan()
        count = hits.sum(0) + (value == 0)
        return torch.where(hits, heard, torch.zeros_like(heard)).div(count).sum(0)
    first = hits & (hits.cumsum(0) == 1)
    return torch.where(first, heard, torch.zeros_like(heard)).sum(0)
