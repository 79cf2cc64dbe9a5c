"""Graph attention on `gnnkit.ops`: when that is allowed, and the graph with its self-loops; see `_fused`."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn import Parameter
from torch_geometric.typing import OptPairTensor
from torch_geometric.utils import add_self_loops, remove_self_loops
from torch_geometric.utils.loop import compute_loop_attr

from gnnkit.layers._attention_logits import attention_logits
from gnnkit.layers._checks import check_attention_ids, check_graph_input
from gnnkit.layers._fused import MOST_WORK_OF_A_CALL, chosen, runs_fused, towards_targets
from gnnkit.layers._linear import is_autocast, is_plain
from gnnkit.ops import CompressedGraph, edge_attention, remember
from gnnkit.ops.attention.options import AttentionOptions
from gnnkit.ops.dispatch import requested_backend
from gnnkit.ops.structure.compress import is_one_pass, is_sorted_anew, sort_edges
from gnnkit.ops.structure.edges import plain
from gnnkit.ops.tracing import is_traced


def attends_fused(
    layer: Any, h: OptPairTensor, edge_index: Tensor, edge_attr: Tensor | None, size: tuple[int, int] | None
) -> bool:
    """`runs_fused` for an attention layer; PyG's own words on a `size` that does not fit are left to PyG."""
    source, target = h
    if source is not target and layer.flow != "source_to_target":
        return False
    if size is not None and (size[0] != source.size(0) or (target is not None and size[1] != target.size(0))):
        return False
    return runs_fused(layer, edge_index, source, target, edge_attr)


def attend(
    layer: Any,
    h: OptPairTensor,
    edge_index: Tensor,
    edge_attr: Tensor | None,
    size: tuple[int, int] | None,
) -> Tensor:
    """A `GATLayer`'s sums `[N_dst, K, C]`, from the mapped features of sources and targets."""
    source, target = h
    num_src = source.size(0)
    num_dst = target.size(0) if target is not None else num_src if size is None else size[1]
    num_loops = None
    if layer.add_self_loops:
        num_loops = min(size) if size is not None else num_src if target is None else min(num_src, num_dst)
    if is_traced():
        graph, edge_logits = _graph_of_static_shape(layer, edge_index, edge_attr, num_loops, h)
    else:
        graph = with_loops(
            edge_index,
            num_src,
            num_dst,
            num_loops,
            layer.flow,
            ordered=edge_attr is not None,
            transposed=source.requires_grad and torch.is_grad_enabled(),
        )
        edge_logits = None
        if edge_attr is not None and graph.num_edges > 0:
            if num_loops is not None:
                edge_attr = with_loop_features(layer, edge_index, edge_attr, num_loops)
            edge_logits = _edge_logits(layer, edge_attr)
    out = average(layer, graph, h, edge_logits, num_dst)
    if out.requires_grad and layer.concat and layer.bias is None and layer.res is None:
        return out.clone()  # it is the user's, who may write into it: the backward pass has need of the op's own
    return out


def average(layer: Any, graph: Any, h: OptPairTensor, edge_logits: Tensor | None, num_dst: int) -> Tensor:
    """The op itself, in one call with the nodes' logits where the graph is small."""
    source, target = h
    if target is source and edge_logits is None and _is_small(graph, source, layer.att_src, layer.att_dst):
        from gnnkit.ops.attention.numba_nodes import node_attention

        options = AttentionOptions.draw(layer.negative_slope, layer.dropout, layer.training, source.device)
        return node_attention(graph, source, layer.att_src, layer.att_dst, options)
    alpha_src, alpha_dst = attention_logits(layer, source, target)
    # Autocast is for a layer's maps: averages have the type of what is averaged.
    with torch.autocast(source.device.type, enabled=False) if is_autocast(source) else nullcontext():
        return edge_attention(
            graph,
            source,
            alpha_src,
            alpha_dst,
            edge_logits,
            num_dst=num_dst,
            negative_slope=layer.negative_slope,
            dropout=layer.dropout,
            training=layer.training,
        )


def scores_of_nodes(
    layer: Any, h: OptPairTensor, edge_index: Tensor, size: tuple[int, int] | None
) -> tuple[Tensor, Tensor | None]:
    """What the steps one after the other begin with, once the ids are known to be right: no op looks at them there."""
    check_attention_ids(layer, h, edge_index, size)
    return attention_logits(layer, *h)


def replace_loops(
    layer: Any, h: OptPairTensor, edge_index: Tensor, edge_attr: Tensor | None, size: tuple[int, int] | None
) -> tuple[Tensor, Tensor | None]:
    """The edges with one self-loop on each node that is source and target at once, as the steps read them."""
    num_nodes = min(size) if size is not None else min(part.size(0) for part in h if part is not None)
    edge_index, edge_attr = remove_self_loops(edge_index, edge_attr)
    return add_self_loops(edge_index, edge_attr, fill_value=layer.fill_value, num_nodes=num_nodes)  # pyright: ignore


def _is_small(graph: Any, x: Tensor, *attention: Tensor) -> bool:
    """Whether all of it may be one compiled call: a small graph on the CPU, and no wish for another backend."""
    if not isinstance(graph, CompressedGraph):  # traced
        return False
    kind, (_, heads, channels) = x.dtype, x.shape
    if kind not in (torch.float32, torch.float64) or any(type(a) not in (Tensor, Parameter) for a in attention):
        return False
    if x.device.type != "cpu" or graph.col.dtype != torch.int32 or graph.device.type != "cpu":
        return False
    if any(a.dtype != kind or a.device != x.device for a in attention):
        return False
    if graph.num_edges * heads * channels > MOST_WORK_OF_A_CALL or graph.num_dst != graph.num_src:
        return False
    return chosen("edge_attention", "cpu", kind, requested_backend("edge_attention"))[0] == "numba"


def _edge_logits(layer: Any, edge_attr: Tensor) -> Tensor:
    """a_edge^T W_edge x_e, `[E, K]`, by way of a_edge^T W_edge, `[K, edge_dim]`."""
    edge_attr = edge_attr.view(-1, 1) if edge_attr.dim() == 1 else edge_attr
    lin = layer.lin_edge
    if not is_plain(lin):
        return (lin(edge_attr).view(-1, layer.heads, layer.out_channels) * layer.att_edge).sum(dim=-1)
    scores = (lin.weight.view(layer.heads, layer.out_channels, -1) * layer.att_edge.squeeze(0).unsqueeze(-1)).sum(1)
    return F.linear(edge_attr, scores)


def with_loops(
    edge_index: Tensor,
    num_src: int,
    num_dst: int,
    num_loops: int | None,
    flow: str,
    *,
    ordered: bool = True,
    transposed: bool = False,
) -> CompressedGraph:
    """The graph with one self-loop on each of the first nodes, sorted.

    Args:
        edge_index: The graph, in any format.
        num_src: Number of sources.
        num_dst: Number of targets.
        num_loops: On how many nodes; None leaves the edges as they are.
        flow: PyG's: which end sends.
        ordered: Whether anything is given per edge.
        transposed: Whether a backward pass is to follow.
    """
    given = plain(edge_index)
    one_pass = is_one_pass(given)

    def build() -> CompressedGraph:
        if one_pass:
            from gnnkit.ops.structure.numba_build import build_graph

            graph = build_graph(given, num_dst, num_src, num_loops, flow, transposed=transposed, ordered=ordered)
            if graph is not None:
                return graph
        sizes = (num_src, num_dst) if flow == "source_to_target" else (num_dst, num_src)
        check_graph_input(edge_index, sizes)
        if edge_index.layout == torch.strided:
            edges = towards_targets(edge_index, flow)
        else:
            edges = sort_edges(edge_index, num_dst, num_src).edge_index
        if num_loops is not None:
            edges = add_self_loops(remove_self_loops(edges)[0], num_nodes=num_loops)[0]
        graph = sort_edges(edges, num_dst, num_src)
        return graph if ordered else replace(graph, perm=None)

    if one_pass and is_sorted_anew(given):
        return build()
    return remember(("with loops", num_src, num_dst, num_loops, flow, ordered), (edge_index,), build)


def with_loop_features(layer: Any, edge_index: Tensor, edge_attr: Tensor, num_loops: int) -> Tensor:
    """The features of the edges of `with_loops`, in the order in which it was given them."""
    edges = plain(edge_index)
    kept = remember("no self-loops", (edge_index,), lambda: (edges[0] != edges[1]).nonzero().view(-1))
    edge_attr = edge_attr.index_select(0, kept)
    loops = compute_loop_attr(edges.index_select(1, kept), edge_attr, num_loops, False, layer.fill_value)
    return torch.cat([edge_attr, loops])


def _graph_of_static_shape(
    layer: Any, edge_index: Tensor, edge_attr: Tensor | None, num_loops: int | None, h: OptPairTensor
) -> tuple[Tensor, Tensor | None]:
    """The graph with self-loops in shapes that do not depend on the edges: loops that were there weigh nothing."""
    edges = towards_targets(edge_index, layer.flow)
    if num_loops is None:
        return edges, None if edge_attr is None else _edge_logits(layer, edge_attr)
    edges, edge_attr, removed = static_loops(layer, edges, edge_attr, num_loops)
    if edge_attr is not None:
        edge_logits = _edge_logits(layer, edge_attr)
    else:
        edge_logits = h[0].new_zeros(edges.size(1), layer.heads)
    # Every receiver that loses a loop here has one among the new ones, so no row is left without a finite logit.
    return edges, edge_logits.masked_fill(removed.unsqueeze(-1), -torch.inf)


def static_loops(
    layer: Any, edges: Tensor, edge_attr: Tensor | None, num_loops: int
) -> tuple[Tensor, Tensor | None, Tensor]:
    """The edges `[2, E + L]` with L new self-loops, their features, and which of them are self-loops to be left out."""
    source, target = edges
    is_loop = source == target
    if edge_attr is not None:
        given = target if layer.flow == "source_to_target" else source
        slot = torch.where(is_loop | (given >= num_loops), num_loops, given)
        loops = compute_loop_attr(torch.stack([slot, slot]), edge_attr, num_loops + 1, False, layer.fill_value)
        edge_attr = torch.cat([edge_attr, loops[:num_loops]])
    removed = torch.cat([is_loop, is_loop.new_zeros(num_loops)])
    ones = torch.arange(num_loops, dtype=edges.dtype, device=edges.device)
    return torch.cat([edges, ones.expand(2, -1)], dim=1), edge_attr, removed
