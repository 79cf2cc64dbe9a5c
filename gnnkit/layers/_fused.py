"""The layers on `gnnkit.ops`: when that is allowed, and the graph with its self-loops, made once per graph.

A layer runs its hooks (`message`, `aggregate`, ...) one after the other only where somebody may look at them or has put
others in their place. Everywhere else one op does it all, and the numbers are the same.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.nn.aggr import MeanAggregation, SumAggregation
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.typing import OptPairTensor
from torch_geometric.utils import add_remaining_self_loops, add_self_loops, remove_self_loops
from torch_geometric.utils.loop import compute_loop_attr

from gnnkit.layers._linear import is_autocast, is_plain
from gnnkit.ops import CompressedGraph, compress, edge_attention, remember, spmm
from gnnkit.ops._library import is_traced
from gnnkit.ops.structure import is_transformed

__all__ = [
    "attend",
    "attends_fused",
    "attention_logits",
    "convolve",
    "has_own_hooks",
    "neighbour_sums",
    "runs_fused",
    "to_edge_list",
    "with_loops",
]

_HOOKS = frozenset(
    ("message", "message_and_aggregate", "aggregate", "update", "edge_update", "edge_updater", "_prepare_graph")
)

# What PyG makes of a name. Anything else in the place of `aggr_module` is the user's.
_AGGREGATIONS = {"add": SumAggregation, "sum": SumAggregation, "mean": MeanAggregation}


# --- when ---


def has_own_hooks(kind: type, base: type) -> bool:
    """Tell whether a subclass of a layer has put something in the place of the layer's hooks or `propagate`."""
    for ancestor in kind.__mro__[: kind.__mro__.index(base)]:
        if _HOOKS.intersection(vars(ancestor)):
            return True
        # PyG writes a `propagate` of its own into every class; that one calls the hooks as ever.
        propagate = vars(ancestor).get("propagate")
        if propagate is not None and not propagate.__module__.endswith("_propagate"):
            return True
    return False


def runs_fused(
    layer: Any, edge_index: Tensor, *values: Tensor | None, aggregations: tuple[str, ...] = ("add", "sum")
) -> bool:
    """Tell whether a call may run as one op: nobody looks at the steps in between, and the kernels know the graph."""
    if layer._own_hooks or layer._explain or layer.decomposed_layers != 1 or layer.aggr not in aggregations:
        return False
    aggregation = layer._modules["aggr_module"]
    if (
        type(aggregation) is not _AGGREGATIONS[layer.aggr]
        or aggregation._forward_pre_hooks
        or aggregation._forward_hooks
        or "forward" in vars(aggregation)
        or layer._propagate_forward_pre_hooks
        or layer._propagate_forward_hooks
        or layer._message_forward_pre_hooks
        or layer._message_forward_hooks
        or layer._aggregate_forward_pre_hooks
        or layer._aggregate_forward_hooks
        or layer._message_and_aggregate_forward_pre_hooks
        or layer._message_and_aggregate_forward_hooks
        or layer._edge_update_forward_pre_hooks
        or layer._edge_update_forward_hooks
    ):
        return False
    for value in values:
        if value is not None and not value.is_floating_point():
            return False
    traced = is_traced()
    # A tracer's tensors are of a class of its own: under one it is the transforms alone that stand against the ops.
    if is_transformed(*(() if traced else values)) or edge_index.is_meta:
        return False
    if not traced and not (_HOOKS.isdisjoint(vars(layer)) and not torch.jit.is_tracing()):  # pyright: ignore
        return False
    if edge_index.layout == torch.strided:
        return edge_index.dtype in (torch.int64, torch.int32)
    return (
        not traced
        and not edge_index.requires_grad
        and layer.flow == "source_to_target"
        and (edge_index.layout == torch.sparse_csr or edge_index.is_coalesced())
        and edge_index.values().dim() == 1
    )


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


def _towards_targets(edge_index: Tensor, flow: str) -> Tensor:
    """The edges as a plain tensor whose row 0 sends."""
    edges = edge_index.as_tensor() if isinstance(edge_index, EdgeIndex) else edge_index
    return edges if flow == "source_to_target" else edges.flip(0)


# --- graph convolution ---


def convolve(layer: Any, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None) -> Tensor:
    """A `GCNLayer`'s output but for its bias: A X W, the narrower of X and X W being summed."""
    graph, edge_weight, own = _prepare(layer, x, edge_index, edge_weight)
    # The values of a sparse graph are its weights.
    weight = edge_weight if edge_index.layout == torch.strided else edge_index
    first = _sums_first(layer, x, weight)
    if not first:
        x = layer.lin(x)
    out = _sum(graph, x, edge_weight, own)
    return layer.lin(out) if first else out


def neighbour_sums(layer: Any, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None) -> Tensor:
    """A X, with the self-loops and the normalisation that a layer asks for."""
    graph, edge_weight, own = _prepare(layer, x, edge_index, edge_weight)
    return _sum(graph, x, edge_weight, own)


def _in_given_types(x: Tensor) -> AbstractContextManager:
    """Autocast is for a layer's maps: sums over neighbours have the type of what is summed, whatever computes them."""
    return torch.autocast(x.device.type, enabled=False) if is_autocast(x) else nullcontext()


def _sum(graph: Any, x: Tensor, edge_weight: Tensor | None, own: Tensor | None) -> Tensor:
    with _in_given_types(x):
        out = spmm(graph, x, edge_weight)
    return out if own is None else out + own.unsqueeze(-1) * x


def _prepare(
    layer: Any, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None
) -> tuple[Any, Tensor | None, Tensor | None]:
    """The graph and its weights; while tracing the self-loops' weights `[N]` by themselves."""
    if layer._cached_graph is not None and not is_traced():
        graph, edge_weight = layer._cached_graph
        if isinstance(graph, Tensor) and graph.layout == torch.strided:  # filled by a call with hooks
            graph = _towards_targets(graph, layer.flow)
        return graph, edge_weight, None
    if is_traced():
        # What is made once per graph is out of a tracer's sight; the layer's own cache is left alone as well.
        graph = _towards_targets(edge_index, layer.flow)
        if layer.normalize:
            return graph, *_weights_of_static_shape(layer, graph, edge_weight, x)
        return graph, edge_weight, None
    if layer.normalize:
        graph, edge_weight = _normalised(layer, edge_index, edge_weight, x.size(-2), x.dtype)
        if layer.cached:
            layer._cached_graph = (graph, edge_weight)
        return graph, edge_weight, None
    if layer.flow == "source_to_target":
        return edge_index, edge_weight, None
    size = x.size(-2)
    reverse = remember(
        ("reversed", size), (edge_index,), lambda: compress(_towards_targets(edge_index, layer.flow), size, size)
    )
    return reverse, edge_weight, None


def _sums_first(layer: Any, x: Tensor, weight: Tensor | None) -> bool:
    """Whether A X comes before the map: the sum costs its width, and backwards again where its input has a gradient."""
    if not is_plain(layer.lin) or x.layout != torch.strided:
        return False
    if (weight is not None and weight.dtype != x.dtype) or is_autocast(x):
        return False  # the map is to see features of the type that they were given in
    before, after = x.size(-1), layer.out_channels
    if torch.is_grad_enabled():
        before, after = before * (2 if x.requires_grad else 1), after * 2
    return before < after


def _normalised(
    layer: Any, edge_index: Tensor, edge_weight: Tensor | None, num_nodes: int, dtype: torch.dtype
) -> tuple[Any, Tensor | None]:
    """The graph with self-loops and the weights of `gcn_norm`, made once per graph and weights."""
    loops, flow = layer.add_self_loops, layer.flow
    settings = (num_nodes, layer.improved, loops, flow, dtype)
    plain = edge_index.as_tensor() if isinstance(edge_index, EdgeIndex) else edge_index

    def weigh() -> Any:
        return gcn_norm(plain, edge_weight, num_nodes, layer.improved, loops, flow, dtype)

    def sort() -> CompressedGraph:
        edges = add_remaining_self_loops(plain, None, 1.0, num_nodes)[0] if loops else edge_index
        if flow != "source_to_target":
            edges = _towards_targets(edges, flow)
        return compress(edges, num_nodes, num_nodes)

    def structure() -> CompressedGraph:
        return remember(("gcn structure", num_nodes, loops, flow), (edge_index,), sort)

    def build() -> tuple[CompressedGraph, Tensor]:
        if edge_index.layout != torch.strided:
            adjacency = weigh()[0]
            return compress(adjacency, num_nodes, num_nodes), adjacency._values() if _is_coo(adjacency) else (
                adjacency.values()
            )
        graph = structure()
        # In the kernels' order, so that no call has to bring them into it.
        weight = graph.to_csr_order(weigh()[1])
        return CompressedGraph(num_nodes, num_nodes, graph.rowptr, graph.col), weight

    if edge_weight is None:
        return remember(("gcn", *settings), (edge_index,), build)
    if edge_weight.requires_grad:
        return structure(), weigh()[1]
    return remember(("gcn", *settings), (edge_index, edge_weight), build)


def _is_coo(adjacency: Tensor) -> bool:
    return adjacency.layout == torch.sparse_coo


def _weights_of_static_shape(
    layer: Any, edges: Tensor, edge_weight: Tensor | None, x: Tensor
) -> tuple[Tensor, Tensor | None]:
    """`gcn_norm` in operators whose shapes do not depend on the edges: `[E]`, and `[N]` for the self-loops."""
    source, target = edges
    num_nodes = x.size(-2)
    weight = x.new_ones(edges.size(1)) if edge_weight is None else edge_weight
    own = None
    degree = weight.new_zeros(num_nodes)
    if layer.add_self_loops:
        is_loop = source == target
        slot = torch.where(is_loop, source, num_nodes)
        fill = weight.new_full((num_nodes + 1,), 2.0 if layer.improved else 1.0)
        own = fill.scatter(0, slot, weight)[:num_nodes]
        weight = weight.masked_fill(is_loop, 0.0)
        degree = degree + own
    root = degree.index_add(0, target, weight).pow(-0.5)
    root = root.masked_fill(root == torch.inf, 0.0)
    weight = root.index_select(0, source) * weight * root.index_select(0, target)
    return weight, None if own is None else root * own * root


def to_edge_list(graph: Any, weight: Tensor | None, flow: str) -> tuple[Tensor, Tensor | None]:
    """A layer's cached graph as `propagate` reads it."""
    if not isinstance(graph, CompressedGraph):
        return graph, weight
    edges = graph.edge_index
    return edges if flow == "source_to_target" else edges.flip(0), weight


# --- graph attention ---


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
        graph = with_loops(edge_index, num_src, num_dst, num_loops, layer.flow)
        edge_logits = None
        if edge_attr is not None and graph.num_edges > 0:
            if num_loops is not None:
                edge_attr = _with_loop_features(layer, edge_index, edge_attr, num_loops)
            edge_logits = _edge_logits(layer, edge_attr)
    alpha_src, alpha_dst = attention_logits(layer, source, target)
    with _in_given_types(source):
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


def attention_logits(layer: Any, source: Tensor, target: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Both halves of the score, `[N, K]` each: one matrix product, which leaves nothing of size N x K x C behind."""
    if target is source and source.dtype == layer.att_src.dtype:
        heads, channels = layer.heads, layer.out_channels
        both = torch.cat([layer.att_src, layer.att_dst]).permute(1, 2, 0)  # [K, C, 2]
        if heads > 1:
            both = torch.eye(heads, dtype=both.dtype, device=both.device)[:, None, None, :] * both.unsqueeze(-1)
        found = (source.reshape(-1, heads * channels) @ both.reshape(heads * channels, 2 * heads)).split(heads, 1)
        return found[0], found[1]
    alpha_dst = None if target is None else (target * layer.att_dst).sum(dim=-1)
    return (source * layer.att_src).sum(dim=-1), alpha_dst


def _edge_logits(layer: Any, edge_attr: Tensor) -> Tensor:
    """a_edge^T W_edge x_e, `[E, K]`, by way of a_edge^T W_edge, `[K, edge_dim]`."""
    edge_attr = edge_attr.view(-1, 1) if edge_attr.dim() == 1 else edge_attr
    lin = layer.lin_edge
    if not is_plain(lin):
        return (lin(edge_attr).view(-1, layer.heads, layer.out_channels) * layer.att_edge).sum(dim=-1)
    scores = (lin.weight.view(layer.heads, layer.out_channels, -1) * layer.att_edge.squeeze(0).unsqueeze(-1)).sum(1)
    return F.linear(edge_attr, scores)


def with_loops(edge_index: Tensor, num_src: int, num_dst: int, num_loops: int | None, flow: str) -> CompressedGraph:
    """The graph with one self-loop on each of the first nodes, sorted once per graph."""
    if num_loops is None and flow == "source_to_target":
        return compress(edge_index, num_dst, num_src)

    def build() -> CompressedGraph:
        if edge_index.layout == torch.strided:
            edges = _towards_targets(edge_index, flow)
        else:
            edges = compress(edge_index, num_dst, num_src).edge_index
        if num_loops is not None:
            edges = add_self_loops(remove_self_loops(edges)[0], num_nodes=num_loops)[0]
        return compress(edges, num_dst, num_src)

    return remember(("gat", num_src, num_dst, num_loops, flow), (edge_index,), build)


def _with_loop_features(layer: Any, edge_index: Tensor, edge_attr: Tensor, num_loops: int) -> Tensor:
    """The features of the edges of `with_loops`, in the order in which it was given them."""
    edges = edge_index.as_tensor() if isinstance(edge_index, EdgeIndex) else edge_index
    kept = remember("no self-loops", (edge_index,), lambda: (edges[0] != edges[1]).nonzero().view(-1))
    edge_attr = edge_attr.index_select(0, kept)
    loops = compute_loop_attr(edges.index_select(1, kept), edge_attr, num_loops, False, layer.fill_value)
    return torch.cat([edge_attr, loops])


def _graph_of_static_shape(
    layer: Any, edge_index: Tensor, edge_attr: Tensor | None, num_loops: int | None, h: OptPairTensor
) -> tuple[Tensor, Tensor | None]:
    """The graph with self-loops in shapes that do not depend on the edges: loops that were there weigh nothing."""
    edges = _towards_targets(edge_index, layer.flow)
    if num_loops is None:
        return edges, None if edge_attr is None else _edge_logits(layer, edge_attr)
    source, target = edges
    is_loop = source == target
    if edge_attr is not None:
        given = target if layer.flow == "source_to_target" else source
        slot = torch.where(is_loop | (given >= num_loops), num_loops, given)
        loops = compute_loop_attr(torch.stack([slot, slot]), edge_attr, num_loops + 1, False, layer.fill_value)[
            :num_loops
        ]
        edge_logits = _edge_logits(layer, torch.cat([edge_attr, loops]))
    else:
        edge_logits = h[0].new_zeros(edges.size(1) + num_loops, layer.heads)
    removed = torch.cat([is_loop, is_loop.new_zeros(num_loops)])
    # Every receiver that loses a loop here has one among the new ones, so no row is left without a finite logit.
    edge_logits = edge_logits.masked_fill(removed.unsqueeze(-1), -torch.inf)
    ones = torch.arange(num_loops, dtype=edges.dtype, device=edges.device)
    return torch.cat([edges, ones.expand(2, -1)], dim=1), edge_logits
