"""Sums, means and maxima over neighbours on `gnnkit.ops`, for layers on one set of nodes or on sources and targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric import EdgeIndex

from gnnkit.layers._anew import EXTREME, convolve_anew, is_small
from gnnkit.layers._checks import check_features, check_graph_input, check_weighted_graph, for_steps
from gnnkit.layers._fused import add_up, runs_fused, towards_targets
from gnnkit.layers._linear import Linear, is_autocast, is_plain
from gnnkit.ops import CompressedGraph, neighbour_max, remember, spmm
from gnnkit.ops.neighbour_max.options import MaxOptions
from gnnkit.ops.structure.compress import is_one_pass, is_sorted_anew, sort_edges
from gnnkit.ops.structure.edges import plain
from gnnkit.ops.tracing import is_traced

LINEAR = ("add", "sum", "mean")

# Features so many times as wide as what they are mapped to take longer to be read than to be multiplied.
_WIDE = 2

Pair = tuple[Tensor, Tensor | None]


def check_pair_call(
    layer: Any,
    x: Any,
    maps: Sequence[int | nn.Module],
    edge_index: Tensor,
    edge_weight: Tensor | None,
    size: tuple[int, int] | None,
) -> tuple[Pair, Tensor, Tensor | None, int]:
    """Check a call on nodes, or on sources and targets, and bring it into the form that the layers compute with.

    Args:
        layer: The layer.
        x: Features, or those of sources and targets.
        maps: What the features of sources and of targets go through, or their widths; 0 for any.
        edge_index, edge_weight, size: As the layer got them.

    Returns:
        Sources and targets, the graph and its weights (see `check_weighted_graph`), the number of targets.
    """
    if isinstance(x, Tensor):
        if not (edge_weight is None and _is_ordinary(x, maps, edge_index)):
            for width in maps:
                check_features(x, width)
        elif layer.node_dim == -2:
            return (x, x), edge_index, None, x.size(0)
        pair: Pair = (x, x)
    elif isinstance(x, tuple | list) and len(x) == 2:
        check_features(x[0], maps[0], name="x[0]")
        if x[1] is not None:
            check_features(x[1], maps[1], name="x[1]")
        pair = (x[0], x[1])
    else:
        raise ValueError(f"x must be a tensor [N, F] or a pair of tensors (sources, targets), got {type(x).__name__}")
    source, target = pair
    axis = layer.node_dim  # -2, unless somebody wants the steps on another
    num_dst = source.size(axis) if target is None else target.size(axis)
    is_sparse = isinstance(edge_index, Tensor) and edge_index.layout != torch.strided
    if target is None and size is not None:
        num_dst = size[1]
    elif target is None and is_sparse:
        num_dst = edge_index.size(0)
    elif target is None and isinstance(edge_index, EdgeIndex):
        says = edge_index.sparse_size(1 if layer.flow == "source_to_target" else 0)
        num_dst = num_dst if says is None else says
    if is_sparse and source.dim() != 2:
        raise ValueError(f"x must have shape [N, F] beside a sparse adj_t, got {list(source.shape)}; use an edge list")
    sizes = _sizes(source.size(axis), num_dst, layer.flow)
    edge_index, edge_weight = check_weighted_graph(edge_index, edge_weight, sizes, normalize=False, ids=False)
    return pair, edge_index, edge_weight, num_dst


def _is_ordinary(x: Tensor, maps: Sequence[int | nn.Module], edge_index: Any) -> bool:
    """Whether there is nothing to say of features `[N, F]` and an edge list: all that is checked otherwise, at once."""
    if type(edge_index) is not Tensor or edge_index.layout != torch.strided or x.dim() != 2:
        return False
    if x.dtype not in (torch.float32, torch.float64) or edge_index.dtype not in (torch.int64, torch.int32):
        return False
    width = x.size(1)
    for expected in maps:
        if expected != 0 and (type(expected) is not Linear or expected.in_channels != width):
            return False
    return edge_index.dim() == 2 and edge_index.size(0) == 2


def aggregates_fused(
    layer: Any, pair: Pair, edge_index: Tensor, edge_weight: Tensor | None, size: tuple[int, int] | None
) -> bool:
    """`runs_fused` for a layer on sources and targets; PyG's words on a `size` that does not fit are left to PyG."""
    source, target = pair
    if layer.node_dim not in (-2, source.dim() - 2):
        return False
    if source is not target and layer.flow != "source_to_target":
        return False
    if size is not None and (size[0] != source.size(-2) or (target is not None and size[1] != target.size(-2))):
        return False
    return runs_fused(layer, edge_index, source, target, edge_weight, aggregations=(*LINEAR, *EXTREME))


def check_ids(layer: Any, edge_index: Tensor, pair: Pair, num_dst: int) -> Tensor:
    """Check the node ids of a graph, where no op does it, and bring it into the form that the steps take."""
    check_graph_input(edge_index, _sizes(pair[0].size(layer.node_dim), num_dst, layer.flow))
    return for_steps(edge_index)


def _sizes(senders: int, receivers: int, flow: str) -> tuple[int, int]:
    """The nodes of each row of an edge list."""
    return (senders, receivers) if flow == "source_to_target" else (receivers, senders)


def aggregate(layer: Any, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None, num_dst: int) -> Tensor:
    """What each target hears of its neighbours, `[..., M, C]`, by the layer's `aggr`."""
    # Autocast is for a layer's maps: what is aggregated keeps its type.
    if is_autocast(x):
        with torch.autocast(x.device.type, enabled=False):
            return aggregate(layer, x, edge_index, edge_weight, num_dst)
    kind = layer.aggr
    if edge_weight is None:
        found = convolve_anew(layer, x, edge_index, num_dst)
        if found is not None:
            return found
    if kind in EXTREME:
        return _extreme(layer, x, edge_index, edge_weight, num_dst)
    reduce = "mean" if kind == "mean" else "sum"
    kept = not (is_traced() or edge_weight is not None) and x.dtype in (torch.float32, torch.float64)
    if edge_index.layout != torch.strided:
        if not kept or edge_index.values().dtype != x.dtype:
            return spmm(edge_index, x, num_dst=num_dst, reduce=reduce)
        graph = _sparse(edge_index, reduce)
        return add_up((graph, graph.weight, None), x)
    if not kept:
        return spmm(towards_targets(edge_index, layer.flow), x, edge_weight, num_dst=num_dst, reduce=reduce)
    graph = _counted(edge_index, x, num_dst, layer.flow, mean=reduce == "mean")
    return add_up((graph, graph.weight, None), x)


def _extreme(layer: Any, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None, num_dst: int) -> Tensor:
    """The largest (or smallest) of what is heard; edge lists share the gradient and sparse matrices do not, as PyG."""
    if edge_index.layout != torch.strided:
        return neighbour_max(edge_index, x, num_dst=num_dst, reduce=layer.aggr, ties="first")
    if edge_weight is None and is_small(x, edge_index, "neighbour_max"):
        from gnnkit.ops.neighbour_max.numba_nodes import node_max

        graph = _sorted(edge_index, x.size(-2), num_dst, layer.flow)
        if graph.col.dtype == torch.int32:
            return node_max(graph, x, MaxOptions(layer.aggr == "max", True))
    edges = towards_targets(edge_index, layer.flow)
    return neighbour_max(edges, x, edge_weight, num_dst=num_dst, reduce=layer.aggr)


def _sorted(edge_index: Tensor, num_src: int, num_dst: int, flow: str) -> CompressedGraph:
    """The sorted graph of a short edge list, for which nothing is given per edge."""
    edges = plain(edge_index)

    def build() -> CompressedGraph:
        from gnnkit.ops.structure.numba_build import build_graph

        graph = build_graph(edges, num_dst, num_src, None, flow, ordered=False)
        if graph is not None:
            return graph
        check_graph_input(edge_index, _sizes(num_src, num_dst, flow))
        return sort_edges(towards_targets(edges, flow), num_dst, num_src)

    if is_sorted_anew(edges):
        return build()
    return remember(("sorted pairs", num_src, num_dst, flow), (edge_index,), build)


def _counted(edge_index: Tensor, x: Tensor, num_dst: int, flow: str, *, mean: bool) -> CompressedGraph:
    """The sorted graph of an edge list; its weights are one over the number of a target's edges, or 1."""
    edges, num_src, dtype = plain(edge_index), x.size(-2), x.dtype
    one_pass = is_one_pass(edges) and x.device.type == "cpu"
    transposed = x.requires_grad and torch.is_grad_enabled()

    def build() -> CompressedGraph:
        if one_pass:
            from gnnkit.ops.structure.numba_build import build_weighted_graph

            graph = build_weighted_graph(
                edges, None, num_src, dtype, fill=None, normalise=False, mean=mean, num_dst=num_dst, flow=flow,
                transposed=transposed,
            )  # fmt: skip
            if graph is not None:
                return graph
        check_graph_input(edge_index, _sizes(num_src, num_dst, flow))
        return _weighted(sort_edges(towards_targets(edges, flow), num_dst, num_src), None, dtype, mean)

    if one_pass and is_sorted_anew(edges):
        return build()
    return remember(("counted", num_src, num_dst, flow, dtype, mean), (edge_index,), build)


def _sparse(adj_t: Tensor, reduce: str) -> CompressedGraph:
    """The sorted graph of a sparse matrix, whose values are its weights (divided by their number for a mean)."""

    def build() -> CompressedGraph:
        values = adj_t._values() if adj_t.layout == torch.sparse_coo else adj_t.values()
        return _weighted(sort_edges(adj_t, None, None), values, values.dtype, reduce == "mean")

    return remember(("sparse", reduce), (adj_t,), build)


def _weighted(graph: CompressedGraph, weight: Tensor | None, dtype: torch.dtype, mean: bool) -> CompressedGraph:
    if weight is None:
        weight = torch.ones(graph.num_edges, dtype=dtype, device=graph.device) if mean else None
    else:
        weight = weight.clone() if graph.perm is None else weight.index_select(0, graph.perm)
    if mean and weight is not None:
        weight = weight / graph.degree.to(dtype).index_select(0, graph.row_of_edge)
    return CompressedGraph(graph.num_src, graph.num_dst, graph.rowptr, graph.col, None, weight)


# --- with the maps of both sides ---


def convolve_pair(
    layer: Any,
    pair: Pair,
    edge_index: Tensor,
    edge_weight: Tensor | None,
    num_dst: int,
    neighbour_map: nn.Module,
    root_map: nn.Module | None,
) -> Tensor:
    """W_1 aggregate(x_j) + W_2 x_i: where the aggregation is linear, the narrower of x and W_1 x is aggregated."""
    source, target = pair
    target = None if root_map is None else target
    if maps_first(layer, source, edge_weight, neighbour_map):
        weight, bias = neighbour_map.weight, neighbour_map.bias
        if target is source and is_plain(root_map) and source.size(-1) >= _WIDE * weight.size(0):  # pyright: ignore
            # Wide features are read once for both products.
            both = F.linear(source, torch.cat([weight, root_map.weight]))  # pyright: ignore
            heard, own = both.chunk(2, dim=-1)
            out = aggregate(layer, heard, edge_index, edge_weight, num_dst) + own
            return out if bias is None else out + bias  # pyright: ignore
        out = aggregate(layer, F.linear(source, weight), edge_index, edge_weight, num_dst)  # pyright: ignore
        if target is not None and is_plain(root_map):
            return out + F.linear(target, root_map.weight, bias)  # pyright: ignore
        out = out if bias is None else out + bias  # pyright: ignore
    else:
        direct = is_plain(neighbour_map, biased=True) and _adds_product(neighbour_map.weight, source)  # pyright: ignore
        both = direct and target is source and is_plain(root_map) and root_map.weight.dtype == source.dtype  # pyright: ignore
        if direct and edge_weight is None and (both or target is None):
            own = root_map.weight if both else None  # pyright: ignore[reportOptionalMemberAccess]
            found = convolve_anew(layer, source, edge_index, num_dst, neighbour_map.weight, neighbour_map.bias, own)  # pyright: ignore
            if found is not None:
                return found
        out = neighbour_map(aggregate(layer, source, edge_index, edge_weight, num_dst))
        if direct and target is not None and is_plain(root_map) and _adds_product(out, target):
            return out.addmm_(target, root_map.weight.t())  # pyright: ignore
    return out if target is None or root_map is None else out + root_map(target)


def _adds_product(out: Tensor, x: Tensor) -> bool:
    """Whether a product can be added to a result in one step."""
    return out.dim() == x.dim() == 2 and out.dtype == x.dtype in (torch.float32, torch.float64) and not is_autocast(x)


def maps_first(layer: Any, x: Tensor, edge_weight: Tensor | None, lin: Any) -> bool:
    """Whether the map comes before the aggregation, which costs its width, and again backwards where it has one."""
    if layer.aggr not in LINEAR or not is_plain(lin, biased=True):
        return False
    before, after = x.size(-1), lin.weight.size(0)
    if torch.is_grad_enabled():
        before, after = before * (2 if x.requires_grad else 1), after * 2
    if after >= before or is_autocast(x):
        return False
    if x.dtype != lin.weight.dtype or x.dtype not in (torch.float32, torch.float64):
        return False
    return edge_weight is None or (edge_weight.dtype == x.dtype and not edge_weight.requires_grad)
