"""A small graph in one compiled pass: ids checked, self-loops put in, edges sorted both ways, weights normalised.

All of it takes some microseconds for some hundred edges: less than to find out whether a kept graph is still the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from gnnkit.ops.kernels.arithmetic import exact_product, exact_sum
from gnnkit.ops.kernels.cache import compiled
from gnnkit.ops.kernels.llvm import float32s, float64s, int32s, int64s
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["build_graph", "build_weighted_graph", "ends", "graph_pass"]

_MOST_NODES = 2**31 - 1


@cache
def graph_pass(wide: bool, double: bool) -> Callable[..., tuple[int, bool]]:
    """The pass for int64 or int32 ids, and for weights of float64 or float32."""
    ids = int64s if wide else int32s
    real, reals = (np.float64, float64s) if double else (np.float32, float32s)

    @compiled(wide, double)
    def build(
        sources, targets, step, edges, num_src, num_dst, loops, out, transposed, ordered, weights, weight_step, fill,
        weigh, normalise, mean, weight_out,
    ):  # fmt: skip
        """Return the number of edges, negative where an id is out of range, and whether they came sorted."""
        graph = int32s(out)
        source, target = np.empty(edges, np.int32), np.empty(edges, np.int32)
        kept, before, in_order = 0, 0, True
        for i in range(num_dst + 1):
            graph[i] = 0
        for e in range(edges):
            # The user's memory is read once: whoever writes there meanwhile cannot lead the sort astray.
            j, i = ids(sources)[e * step], ids(targets)[e * step]
            if j < 0 or j >= num_src or i < 0 or i >= num_dst:
                return -1, False
            source[e], target[e] = j, i
            in_order &= i >= before
            before = i
            if loops < 0 or i != j:
                graph[i + 1] += 1
                kept += 1
        count = kept + max(loops, 0)
        for i in range(num_dst):
            graph[i + 1] += graph[i] + (1 if i < loops else 0)
        col, perm = num_dst + 1, num_dst + 1 + count
        colptr = perm + (count if ordered else 0)
        row, perm_t = colptr + num_src + 1, colptr + num_src + 1 + count

        # The row pointers serve as the places to write to, and are moved back by one afterwards.
        position = 0
        for e in range(edges):
            j, i = source[e], target[e]
            if loops < 0 or i != j:
                place = graph[i]
                graph[i] = place + 1
                graph[col + place] = j
                if ordered:
                    graph[perm + place] = position
                if weigh:
                    reals(weight_out)[place] = reals(weights)[e * weight_step] if weights != 0 else real(1)
                position += 1
        for i in range(loops):
            place = graph[i]
            graph[i] = place + 1
            graph[col + place] = i
            if ordered:
                graph[perm + place] = position + i
            if weigh:
                reals(weight_out)[place] = real(fill) if weights != 0 else real(1)
        for i in range(num_dst, 0, -1):
            graph[i] = graph[i - 1]
        graph[0] = 0
        if weigh:
            weight = reals(weight_out)
            if weights != 0:
                for e in range(edges):  # a loop that was there keeps its weight, the last of several
                    i = target[e]
                    if i == source[e] and i < loops:
                        weight[graph[i + 1] - 1] = reals(weights)[e * weight_step]
            if normalise:
                root = np.empty(num_dst, real)
                # In PyG's order, to the last bit.
                for i in range(num_dst):
                    degree = real(0)
                    for p in range(graph[i], graph[i + 1]):
                        degree = exact_sum(degree, weight[p])
                    root[i] = real(0) if degree == 0 or degree == np.inf else real(1) / real(math.sqrt(degree))
                for i in range(num_dst):
                    for p in range(graph[i], graph[i + 1]):
                        weight[p] = exact_product(exact_product(root[graph[col + p]], weight[p]), root[i])
            if mean:
                for i in range(num_dst):
                    for p in range(graph[i], graph[i + 1]):
                        weight[p] /= real(graph[i + 1] - graph[i])

        if transposed:
            for j in range(num_src + 1):
                graph[colptr + j] = 0
            for p in range(count):
                graph[colptr + graph[col + p] + 1] += 1
            for j in range(num_src):
                graph[colptr + j + 1] += graph[colptr + j]
            for i in range(num_dst):
                for p in range(graph[i], graph[i + 1]):
                    j = graph[col + p]
                    place = graph[colptr + j]
                    graph[colptr + j] = place + 1
                    graph[row + place] = i
                    if weigh:
                        reals(weight_out)[count + place] = reals(weight_out)[p]
                    else:
                        graph[perm_t + place] = p
            for j in range(num_src, 0, -1):
                graph[colptr + j] = graph[colptr + j - 1]
            graph[colptr] = 0
        return count, in_order

    return build


def build_graph(
    edges: Tensor,
    num_dst: int,
    num_src: int,
    num_loops: int | None = None,
    flow: str = "source_to_target",
    *,
    transposed: bool = False,
    ordered: bool = True,
) -> CompressedGraph | None:
    """A compressed graph from an edge list.

    Args:
        edges: `[2, E]`, int64 or int32, in main memory.
        num_dst: Number of targets.
        num_src: Number of sources.
        num_loops: Loops are taken out, and one is put on each of the first so many nodes, after all other edges; None
            leaves the edges as they are.
        flow: As in PyG: which row of `edges` sends.
        transposed: Whether the outgoing edges are sorted now, or when they are asked for.
        ordered: Whether anything is given per edge: `perm` then says in which order.

    Returns:
        The graph, None where an id is out of range or does not fit into 32 bits.
    """
    if max(num_src, num_dst) > _MOST_NODES:
        return None
    loops = -1 if num_loops is None else num_loops
    most = edges.size(1) + max(loops, 0)
    outgoing = num_src + 1 + 2 * most if transposed else 0
    out = torch.empty(num_dst + 1 + most * (1 + ordered) + outgoing, dtype=torch.int32)
    count, in_order = graph_pass(edges.dtype == torch.int64, False)(
        *ends(edges, flow), edges.size(1), num_src, num_dst, loops, out.data_ptr(), transposed, ordered,
        0, 0, 0.0, False, False, False, 0,
    )  # fmt: skip
    if count < 0:
        return None
    sizes = [num_dst + 1, count]
    sizes += [count] if ordered else []
    sizes += [num_src + 1, count, count] if transposed else []
    parts = out.split_with_sizes([*sizes, out.numel() - sum(sizes)])
    graph = CompressedGraph(
        num_src, num_dst, parts[0], parts[1], parts[2] if ordered and not (in_order and loops < 0) else None
    )
    if transposed:
        graph.__dict__["_outgoing"] = parts[-4:-1]
    return graph


def build_weighted_graph(
    edges: Tensor,
    weight: Tensor | None,
    num_nodes: int,
    dtype: torch.dtype,
    *,
    fill: float | None,
    normalise: bool,
    mean: bool = False,
    num_dst: int | None = None,
    flow: str = "source_to_target",
    transposed: bool = False,
) -> CompressedGraph | None:
    """A compressed graph with its weights, as `gcn_norm` gives them: see `CompressedGraph.weight`.

    Args:
        edges: `[2, E]`, int64 or int32, in main memory.
        weight: `[E]`, of type `dtype`; None: 1 each.
        num_nodes: N, in a bipartite graph the number of sources.
        dtype: float32 or float64.
        fill: Weight of the self-loops that are put in where `weight` is given; None puts in none.
        normalise: Whether to divide by the square roots of the degrees at both ends.
        mean: Whether to divide by the number of the target's edges.
        num_dst: Number of targets of a bipartite graph, which has no loops to put in. Default: `num_nodes`.
        flow: As in PyG: which row of `edges` sends.
        transposed: Whether the outgoing edges are sorted now, or when they are asked for.

    Returns:
        The graph, None where an id is out of range or does not fit into 32 bits.
    """
    num_dst = num_nodes if num_dst is None else num_dst
    if max(num_nodes, num_dst) > _MOST_NODES:
        return None
    loops = -1 if fill is None else num_nodes
    most = edges.size(1) + max(loops, 0)
    out = torch.empty(num_dst + 1 + most + (num_nodes + 1 + most) * transposed, dtype=torch.int32)
    weights = torch.empty(most * (1 + transposed), dtype=dtype)
    given = (0, 0) if weight is None else (weight.data_ptr(), weight.stride(0))
    count, _ = graph_pass(edges.dtype == torch.int64, dtype == torch.float64)(
        *ends(edges, flow), edges.size(1), num_nodes, num_dst, loops, out.data_ptr(), transposed, False,
        *given, fill or 0.0, True, normalise, mean, weights.data_ptr(),
    )  # fmt: skip
    if count < 0:
        return None
    sizes = [num_dst + 1, count] + [num_nodes + 1, count] * transposed
    parts = out.split_with_sizes([*sizes, out.numel() - sum(sizes)])
    halves = weights.split_with_sizes([count] * (1 + transposed) + [weights.numel() - count * (1 + transposed)])
    graph = CompressedGraph(num_nodes, num_dst, parts[0], parts[1], None, halves[0])
    if transposed:
        graph.__dict__["_outgoing"] = (parts[2], parts[3], None)
        graph.__dict__["weight_t"] = halves[1]
    return graph


def ends(edges: Tensor, flow: str) -> tuple[int, int, int]:
    """Where the sources and the targets lie, and how far one is from the next."""
    first, (rows, step) = edges.data_ptr(), edges.stride()
    second = first + rows * edges.element_size()
    return (first, second, step) if flow == "source_to_target" else (second, first, step)
