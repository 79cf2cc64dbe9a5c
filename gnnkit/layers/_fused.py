"""Graph convolution on `gnnkit.ops`: when that is allowed, and the graph with its self-loops and normalised weights.

A layer runs its hooks (`message`, `aggregate`, ...) one after the other only where somebody may look at them or has put
others in their place. Everywhere else one op does it all, and the numbers are the same.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch_geometric.nn.aggr import MaxAggregation, MeanAggregation, MinAggregation, SumAggregation
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.utils import add_remaining_self_loops

from gnnkit.layers._checks import check_graph_input
from gnnkit.layers._linear import is_autocast, is_plain
from gnnkit.ops import CompressedGraph, remember, spmm
from gnnkit.ops.backends import Situation
from gnnkit.ops.dispatch import choose, load_backend, requested_backend
from gnnkit.ops.structure.compress import is_one_pass, is_sorted_anew, sort_edges
from gnnkit.ops.structure.edges import plain
from gnnkit.ops.structure.fingerprint import fingerprint
from gnnkit.ops.tracing import is_traced, is_transformed

# Numbers that are gathered, E x C, up to which one thread in one call is faster than several threads in many.
MOST_WORK_OF_A_CALL = 1_000_000

_HOOK_NAMES = (
    "message",
    "message_and_aggregate",
    "aggregate",
    "update",
    "edge_update",
    "edge_updater",
    "_prepare_graph",
)
_HOOKS = frozenset(_HOOK_NAMES)

# What PyG makes of a name. Anything else in the place of `aggr_module` is the user's.
_AGGREGATIONS = {
    "add": SumAggregation,
    "sum": SumAggregation,
    "mean": MeanAggregation,
    "max": MaxAggregation,
    "min": MinAggregation,
}


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
    if _are_replaced(layer, traced) or (not traced and torch.jit.is_tracing()):  # pyright: ignore[reportPrivateImportUsage]
        return False
    if traced and not torch.compiler.is_dynamo_compiling() and torch.onnx.is_in_onnx_export():
        return False  # ONNX knows torch's operators alone
    if edge_index.layout == torch.strided:
        return edge_index.dtype in (torch.int64, torch.int32)
    return (
        not traced
        and not edge_index.requires_grad
        and layer.flow == "source_to_target"
        and (edge_index.layout == torch.sparse_csr or edge_index.is_coalesced())
        and edge_index.values().dim() == 1
    )


def _are_replaced(layer: Any, traced: bool) -> bool:
    """Whether somebody has put other hooks, or another `propagate`, into the layer itself."""
    if traced:  # in the words that a compiler knows
        return any(name in layer.__dict__ for name in _HOOK_NAMES)
    propagate = vars(layer).get("propagate")  # PyG's own is put back there after an explanation
    mine = propagate is None or getattr(propagate, "__module__", "").endswith("_propagate")
    return not mine or not _HOOKS.isdisjoint(vars(layer))


def towards_targets(edge_index: Tensor, flow: str) -> Tensor:
    """The edges as a plain tensor whose row 0 sends."""
    edges = plain(edge_index)
    return edges if flow == "source_to_target" else edges.flip(0)


# --- graph convolution ---


def convolve(layer: Any, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None) -> Tensor:
    """A `GCNLayer`'s output but for its bias: A X W, the narrower of X and X W being summed."""
    dtype = x.dtype
    # The values of a sparse graph are its weights.
    weight = edge_weight if edge_index.layout == torch.strided else edge_index
    first = _sums_first(layer, x, weight)
    if not first:
        x = layer.lin(x)
    out = neighbour_sums(layer, x, edge_index, edge_weight, dtype)
    return layer.lin(out) if first else out


def neighbour_sums(
    layer: Any, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None, dtype: torch.dtype | None = None
) -> Tensor:
    """A X, with the self-loops and the normalisation (of type `dtype`, by default that of X) that a layer asks for."""
    return add_up(prepare(layer, x, edge_index, edge_weight, dtype), x)


Prepared = tuple[Any, Tensor | None, Tensor | None]


def add_up(prepared: Prepared, x: Tensor) -> Tensor:
    """A X, of what `prepare` has made.

    Autocast is for a layer's maps: sums over neighbours have the type of what is summed, whatever computes them.
    """
    if is_autocast(x):
        with torch.autocast(x.device.type, enabled=False):
            return add_up(prepared, x)
    graph, weight, own = prepared
    made_here = weight is not None and isinstance(graph, CompressedGraph) and weight is graph.weight
    if weight is not None and made_here and weight.dtype == x.dtype and weight.device == x.device:
        # All that `ops.spmm` would check is so.
        name, run = chosen("spmm", x.device.type, x.dtype, requested_backend("spmm"))
        small = x.dim() == 2 and weight.numel() * x.size(1) <= MOST_WORK_OF_A_CALL
        if name == "numba" and small and x.dtype in (torch.float32, torch.float64):
            from gnnkit.ops.spmm.numba_nodes import node_sum

            return node_sum(graph, x)
        return run(graph, x, weight)
    out = spmm(graph, x, weight)
    return out if own is None else out + own.unsqueeze(-1) * x


@lru_cache
def chosen(op: str, device: str, dtype: torch.dtype, request: str) -> tuple[str, Any]:
    """The backend of an op, with its callable, where `request` is this thread's wish."""
    name = choose(op, Situation(device, dtype), request).backend
    return name, load_backend(op, name)


def prepare(
    layer: Any, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None, dtype: torch.dtype | None = None
) -> Prepared:
    """The graph and its weights; while tracing the self-loops' weights `[N]` by themselves."""
    cached = layer._cached_edge_index if layer.normalize else None
    if is_traced():
        # What is made once per graph is out of a tracer's sight; the layer's own cache is not filled there.
        if cached is not None:
            return towards_targets(cached[0], layer.flow), cached[1], None
        graph = towards_targets(edge_index, layer.flow)
        if layer.normalize:
            return graph, *_weights_of_static_shape(layer, graph, edge_weight, x)
        return graph, edge_weight, None
    size, dtype = x.size(-2), dtype or x.dtype
    if layer.normalize and layer.cached and cached is None:
        check_graph_input(edge_index, (size, size))
        cached = layer._cached_edge_index = normalise_once(layer, edge_index, edge_weight, size, dtype)
    if cached is not None:
        edge_index, edge_weight = cached
        if edge_index.layout != torch.strided:
            return edge_index, edge_weight, None
        return _cached(layer, edge_index, edge_weight, x, dtype)
    if layer.normalize:
        return _weighted(layer, edge_index, edge_weight, x, dtype, loops=layer.add_self_loops, normalise=True)
    if edge_index.layout != torch.strided:
        return edge_index, edge_weight, None
    return _weighted(layer, edge_index, edge_weight, x, dtype, loops=False, normalise=False)


def _cached(layer: Any, edge_index: Tensor, edge_weight: Tensor | None, x: Tensor, dtype: torch.dtype) -> Prepared:
    """The layer's cached graph, sorted: kept with the layer, and compared with what it was made of."""
    edges = plain(edge_index)
    if edge_weight is None or edge_weight.requires_grad or not is_one_pass(edges):
        return _weighted(layer, edge_index, edge_weight, x, dtype, loops=False, normalise=False)
    mark = (fingerprint(edges), fingerprint(edge_weight), edges.shape, x.size(-2), dtype, edge_weight.dtype)
    kept = vars(layer).get("_sorted_graph")
    if kept is None or kept[0] != mark:
        with torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext():
            kept = mark, _weighted(layer, edge_index, edge_weight, x, dtype, loops=False, normalise=False)[0]
        layer._sorted_graph = kept
    return kept[1], kept[1].weight, None


def normalise_once(
    layer: Any, edge_index: Tensor, edge_weight: Tensor | None, num_nodes: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor | None]:
    """What PyG's layers keep where they are `cached`: the edges with self-loops, and their normalised weights."""
    # Not as inference tensors: the next step may be one of training.
    with torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext():
        return gcn_norm(  # pyright: ignore[reportReturnType]
            edge_index, edge_weight, num_nodes, layer.improved, layer.add_self_loops, layer.flow, dtype
        )


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


def _weighted(
    layer: Any,
    edge_index: Tensor,
    edge_weight: Tensor | None,
    x: Tensor,
    dtype: torch.dtype,
    *,
    loops: bool,
    normalise: bool,
) -> Prepared:
    """The sorted graph and its weights, with self-loops and the weights of `gcn_norm` where they are asked for."""
    num_nodes, improved, flow = x.size(-2), layer.improved, layer.flow
    edges = plain(edge_index)
    trained = edge_weight is not None and edge_weight.requires_grad
    one_pass = is_one_pass(edges) and dtype in (torch.float32, torch.float64) and x.device.type == "cpu"
    if edge_weight is not None:
        one_pass &= edge_weight.dtype == dtype and edge_weight.dim() == 1 and edge_weight.device.type == "cpu"
    compiled = one_pass and not trained and (normalise or edge_weight is not None)

    def weigh() -> Any:
        if not normalise:
            return edges, edge_weight
        return gcn_norm(edges, edge_weight, num_nodes, improved, loops, flow, dtype)

    def sort() -> CompressedGraph:
        check_graph_input(edge_index, (num_nodes, num_nodes))
        looped = add_remaining_self_loops(edges, None, 1.0, num_nodes)[0] if loops else edges
        return sort_edges(towards_targets(looped, flow), num_nodes, num_nodes)

    transposed = x.requires_grad and torch.is_grad_enabled()

    def build() -> CompressedGraph:
        if compiled:
            from gnnkit.ops.structure.numba_build import build_weighted_graph

            graph = build_weighted_graph(
                edges,
                edge_weight,
                num_nodes,
                dtype,
                fill=(2.0 if improved else 1.0) if loops else None,
                normalise=normalise,
                flow=flow,
                transposed=transposed,
            )
            if graph is not None:
                return graph
        if edge_index.layout != torch.strided:
            adjacency = weigh()[0]
            graph = sort_edges(adjacency, num_nodes, num_nodes)
            weight = adjacency._values() if adjacency.layout == torch.sparse_coo else adjacency.values()
        else:
            graph, weight = sort(), weigh()[1]
        # In the kernels' order, so that no call has to bring them into it; and a copy, not the user's memory.
        weight = weight.clone() if graph.perm is None else weight.index_select(0, graph.perm)
        return CompressedGraph(num_nodes, num_nodes, graph.rowptr, graph.col, None, weight)

    if compiled and is_sorted_anew(edges):
        graph = build()
        return graph, graph.weight, None
    if trained or (edge_weight is None and not normalise):
        graph = sort() if is_sorted_anew(edges) else remember(("sorted", num_nodes, loops, flow), (edge_index,), sort)
        return graph, weigh()[1], None
    tensors = (edge_index,) if edge_weight is None else (edge_index, edge_weight)
    graph = remember(("weighted", num_nodes, improved, loops, normalise, flow, dtype), tensors, build)
    return graph, graph.weight, None


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
        # As in PyG: "improved" is a matter of given weights alone.
        fill = weight.new_full((num_nodes + 1,), 2.0 if layer.improved and edge_weight is not None else 1.0)
        own = fill.scatter(0, slot, weight)[:num_nodes]
        weight = weight.masked_fill(is_loop, 0.0)
        degree = degree + own
    root = degree.index_add(0, target, weight).pow(-0.5)
    root = root.masked_fill(root == torch.inf, 0.0)
    weight = root.index_select(0, source) * weight * root.index_select(0, target)
    return weight, None if own is None else root * own * root
