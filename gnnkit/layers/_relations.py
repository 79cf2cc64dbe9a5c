"""What `RelationalGCNLayer` derives from a typed graph, once a graph: pairs of node and relation, and shares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gnnkit.ops import CompressedGraph, compress, remember

_untraced: Any = torch.compiler.disable  # what is remembered for a graph is out of a tracer's sight

# Few distinct (target, source) cells among many edges, in a graph that is nearly complete: dense matrices then hold
# the sums over relations, and take fewer operations than the edges do.
_PARALLEL_EDGES, _DENSE_SHARE = 4, 8


@dataclass(frozen=True)
class NodePairs:
    """The pairs (node, relation) that occur at one end of a graph's edges, by relation.

    Shape:
        node, relation `[P]`: what each pair is of; pair `[E]`: the pair of each edge.
    """

    node: Tensor
    relation: Tensor
    pair: Tensor

    @property
    def num_pairs(self) -> int:
        """P."""
        return self.node.numel()


@_untraced
def type_range(edge_type: Tensor) -> tuple[int, int]:
    """Smallest and largest relation; (0, -1) where there is no edge."""

    def look() -> tuple[int, int]:
        low, high = torch.aminmax(edge_type)
        return int(low), int(high)

    if edge_type.numel() == 0:
        return 0, -1
    # On a GPU each look waits for the device.
    return look() if edge_type.device.type == "cpu" else remember("type range", (edge_type,), look)


def check_types(edge_type: Tensor, num_edges: int, num_relations: int) -> Tensor:
    """Check the relations of edges, and return them as int32 or int64; an export cannot look at the numbers."""
    if edge_type.shape != (num_edges,) or edge_type.is_floating_point() or edge_type.is_complex():
        got = f"{edge_type.dtype} {list(edge_type.shape)}"
        raise ValueError(f"edge_type must hold integers [{num_edges}], one for each edge, got {got}")
    edge_type = edge_type if edge_type.dtype == torch.int32 else edge_type.long()
    if torch.compiler.is_exporting():
        return edge_type
    low, high = type_range(edge_type)
    if low < 0 or high >= num_relations:
        raise ValueError(f"edge_type holds {min(low, 0) or high}, relations are 0 to {num_relations - 1}")
    return edge_type


def are_ids(x: Tensor, count: int) -> bool:
    """Tell whether all of x are from 0 to count - 1."""
    return x.numel() == 0 or 0 <= int(x.min()) <= int(x.max()) < count


def relation_edges(
    edges: Tensor,
    edge_type: Tensor,
    edge_weight: Tensor | None,
    sizes: tuple[int, int],
    num_relations: int,
    mean: bool,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor | None]:
    """The edges from all pairs (relation, source) to the targets, and what `edge_shares` gives, for an export.

    They are in operators whose shapes do not depend on which pairs occur.
    """
    num_src, num_dst = sizes
    source, target, kind = edges[0].long(), edges[1].long(), edge_type.long()
    graph = torch.stack([kind * num_src + source, target])
    if not mean:
        return graph, edge_weight
    pair = kind * num_dst + target
    ones = torch.ones(edges.size(1), dtype=dtype, device=edges.device)
    counts = ones.new_zeros(num_relations * num_dst).index_add(0, pair, ones)
    share = counts.index_select(0, pair).reciprocal()
    return graph, share if edge_weight is None else share * edge_weight


def map_all(x: Tensor, weight: Tensor) -> Tensor:
    """Map every row, or id, by every relation's weights: `[R N, C]`, relation by relation."""
    if not x.is_floating_point():
        return weight.index_select(1, x).flatten(0, 1)
    if weight.dim() == 4:  # blocks, [R, K, F / K, C / K]
        parts = x.view(-1, weight.size(1), weight.size(2)).transpose(0, 1)  # [K, N, F / K]
        return (parts.unsqueeze(0) @ weight).transpose(1, 2).flatten(2).flatten(0, 1)
    return (x.unsqueeze(0) @ weight).flatten(0, 1)


@_untraced
def node_pairs(edges: Tensor, edge_type: Tensor, num_relations: int, end: int) -> NodePairs:
    """The pairs of an edge's source (`end=0`) or target (`end=1`) and its relation."""

    def build() -> NodePairs:
        nodes = edges[end].long()
        count = int(nodes.max()) + 1 if nodes.numel() else 1
        if num_relations * count <= 8 * max(nodes.numel(), 1_000_000):  # a mark a possible pair beats sorting the edges
            keys = edge_type.long() * count + nodes
            there = torch.zeros(num_relations * count, dtype=torch.bool, device=keys.device)
            there[keys] = True
            unique, pair = there.nonzero().squeeze(1), (there.cumsum(0) - 1)[keys]
        else:
            unique, pair = torch.unique(edge_type.long() * count + nodes, return_inverse=True)
        relation = unique.div(count, rounding_mode="floor")
        return NodePairs(unique - relation * count, relation, pair)

    return remember(("node pairs", num_relations, end), (edges, edge_type), build)


@_untraced
def messages(edges: Tensor, edge_type: Tensor, num_relations: int, num_dst: int) -> CompressedGraph:
    """The graph from pairs (source, relation) to targets, an edge for each edge."""

    def build() -> CompressedGraph:
        pairs = node_pairs(edges, edge_type, num_relations, 0)
        return compress(torch.stack([pairs.pair, edges[1].long()]), num_dst=num_dst, num_src=pairs.num_pairs)

    return remember(("messages", num_relations, num_dst), (edges, edge_type), build)


@_untraced
def edge_shares(
    edges: Tensor,
    edge_type: Tensor,
    edge_weight: Tensor | None,
    num_relations: int,
    *,
    mean: bool,
    dtype: torch.dtype,
) -> Tensor | None:
    """What each message is multiplied by: its weight, over the target's number of edges of that relation for a mean."""
    if not mean:
        return edge_weight

    def build() -> Tensor:
        targets = node_pairs(edges, edge_type, num_relations, 1)
        counts = torch.bincount(targets.pair, minlength=targets.num_pairs)
        return counts.to(dtype).reciprocal().index_select(0, targets.pair)

    share = remember(("share", num_relations, dtype), (edges, edge_type), build)
    return share if edge_weight is None else share * edge_weight


@dataclass(frozen=True)
class PairSums:
    """`edges`: from relations to the distinct (target, source) cells, an edge for each edge; `cell`: theirs."""

    edges: CompressedGraph
    cell: Tensor


@_untraced
def is_dense(edges: Tensor, num_src: int, num_dst: int) -> bool:
    """Tell whether matrices over all (target, source) are worth it: many parallel edges, few empty cells."""
    cells = num_src * num_dst
    if edges.size(1) == 0 or edges.size(1) * _DENSE_SHARE < _PARALLEL_EDGES * cells:
        return False

    def count() -> int:
        there = torch.zeros(cells, dtype=torch.bool, device=edges.device)
        there[_cells(edges, num_src)] = True
        return int(there.sum())

    distinct = remember(("distinct", num_src, num_dst), (edges,), count)
    return cells <= _DENSE_SHARE * distinct and edges.size(1) >= _PARALLEL_EDGES * distinct


@_untraced
def is_finite(x: Tensor) -> bool:
    """Tell whether features surely are finite: a dense matrix would spread what is not to every node."""
    return x.device.type != "cpu" or not x.is_floating_point() or math.isfinite(x.sum().item())


@_untraced
def dense_sums(edges: Tensor, edge_type: Tensor, num_relations: int, num_src: int) -> PairSums:
    """The graph that sums over the relations of parallel edges."""

    def build() -> PairSums:
        cell, distinct = torch.unique(_cells(edges, num_src), return_inverse=True)
        graph = compress(torch.stack([edge_type.long(), distinct]), num_dst=cell.numel(), num_src=num_relations)
        return PairSums(graph, cell)

    return remember(("pair sums", num_relations, num_src), (edges, edge_type), build)


def _cells(edges: Tensor, num_src: int) -> Tensor:
    return edges[1].long() * num_src + edges[0]
