"""Attention of rows of both ends (GATv2's, Transformer's) on `gnnkit.ops`: when that is allowed, and on which edges."""

from __future__ import annotations

import math
from contextlib import nullcontext
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn import Parameter

from gnnkit.layers._attend import static_loops, with_loop_features, with_loops
from gnnkit.layers._fused import MOST_WORK_OF_A_CALL, chosen, runs_fused, towards_targets
from gnnkit.layers._linear import is_autocast, is_plain
from gnnkit.ops import CompressedGraph, dot_attention, dynamic_attention
from gnnkit.ops.dispatch import requested_backend
from gnnkit.ops.pair_attention.options import PairInputs, PairOptions
from gnnkit.ops.tracing import is_traced


def pairs_fused(layer: Any, edge_index: Tensor, edge_attr: Tensor | None, *rows: Tensor) -> bool:
    """`runs_fused` for a layer whose edges' features, where there are any, go through a plain linear map."""
    if edge_attr is not None and not is_plain(layer.lin_edge):
        return False
    return runs_fused(layer, edge_index, *rows, edge_attr)


def attend_dynamically(layer: Any, source: Tensor, target: Tensor, edge_index: Tensor, edge_attr: Tensor | None):
    """A `GATv2Layer`'s sums `[N_dst, K, C]`, from the mapped features of sources and targets."""
    num_loops = min(source.size(0), target.size(0)) if layer.add_self_loops else None
    graph, edge_attr, spare = _edges(layer, source, target, edge_index, edge_attr, num_loops)
    att = layer.att.squeeze(0)
    if edge_attr is None and _is_small(graph, source, target, att):
        options = PairOptions.draw(layer.negative_slope, layer.dropout, layer.training, source.device)
        return _node_pairs()(graph, PairInputs(target, source, None, att, None, None), options)
    if spare:
        target = F.pad(target, (0, 0, 0, 0, 0, 1))
    with _without_autocast(source):
        out = dynamic_attention(
            graph,
            source,
            target,
            att,
            edge_attr,
            _edge_map(layer, edge_attr),
            negative_slope=layer.negative_slope,
            dropout=layer.dropout,
            training=layer.training,
        )
    return out[:-1] if spare else out


def attend_by_products(
    layer: Any, query: Tensor, key: Tensor, value: Tensor, edge_index: Tensor, edge_attr: Tensor | None
) -> Tensor:
    """A `TransformerLayer`'s sums `[N_dst, K, C]`."""
    graph, edge_attr, _ = _edges(layer, key, query, edge_index, edge_attr, None)
    if edge_attr is None and _is_small(graph, key, query, value):
        factor = 1 / math.sqrt(layer.out_channels)
        options = PairOptions.draw(0.0, layer.dropout, layer.training, key.device, factor=factor)
        return _node_pairs()(graph, PairInputs(query, key, value, None, None, None), options)
    edges = _of_type(key, edge_attr, _edge_map(layer, edge_attr))
    with _without_autocast(key):
        return dot_attention(
            graph,
            query,
            key,
            value,
            *edges,
            dropout=layer.dropout,
            training=layer.training,
        )


def _of_type(x: Tensor, *parts: Tensor | None) -> list[Tensor | None]:
    """What goes through the edges' map, under autocast in the type that the other maps have given."""
    return [part if part is None or not is_autocast(x) else part.to(x.dtype) for part in parts]


def _edges(
    layer: Any,
    source: Tensor,
    target: Tensor,
    edge_index: Tensor,
    edge_attr: Tensor | None,
    num_loops: int | None,
) -> tuple[Any, Tensor | None, bool]:
    """The graph with its self-loops, the features of its edges, and whether a target was put at its end.

    That spare one takes the self-loops that were there while a tracer looks on, who knows no number of edges but E.
    """
    if edge_attr is not None and edge_attr.dim() == 1:
        edge_attr = edge_attr.view(-1, 1)
    if is_traced():
        edges = towards_targets(edge_index, layer.flow)
        if num_loops is None:
            return edges, edge_attr, False
        edges, edge_attr, removed = static_loops(layer, edges, edge_attr, num_loops)
        ends = torch.where(removed, target.size(0), edges[1])
        return torch.stack([edges[0], ends]), edge_attr, True
    grows = (source.requires_grad or target.requires_grad) and torch.is_grad_enabled()
    graph = with_loops(
        edge_index,
        source.size(0),
        target.size(0),
        num_loops,
        layer.flow,
        ordered=edge_attr is not None,
        transposed=grows,
    )
    if edge_attr is not None and num_loops is not None:
        edge_attr = with_loop_features(layer, edge_index, edge_attr, num_loops)
    return graph, edge_attr, False


def _is_small(graph: Any, x: Tensor, *others: Tensor) -> bool:
    """Whether all that the op would look at is so, on a graph whose step is made of calls and not of numbers."""
    if not isinstance(graph, CompressedGraph):  # traced
        return False
    kind = x.dtype
    if kind not in (torch.float32, torch.float64) or x.device.type != "cpu" or graph.device.type != "cpu":
        return False
    for other in others:
        if type(other) not in (Tensor, Parameter) or other.dtype != kind or other.device != x.device:
            return False
    if graph.num_edges * x.size(1) * x.size(2) > MOST_WORK_OF_A_CALL or graph.col.dtype != torch.int32:
        return False
    return chosen("pair_attention", "cpu", kind, requested_backend("pair_attention"))[0] == "numba"


@cache
def _node_pairs() -> Any:
    from gnnkit.ops.pair_attention.numba_nodes import node_pairs

    return node_pairs


def _edge_map(layer: Any, edge_attr: Tensor | None) -> Tensor | None:
    """The edges' linear map as `[D, K, C]`."""
    return None if edge_attr is None else layer.lin_edge.weight.t().view(-1, layer.heads, layer.out_channels)


def _without_autocast(x: Tensor) -> Any:
    """Autocast is for a layer's maps: averages have the type of what is averaged."""
    return torch.autocast(x.device.type, enabled=False) if is_autocast(x) else nullcontext()
