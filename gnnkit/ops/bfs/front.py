"""Breadth-first levels from many sources at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor
from torch_geometric import EdgeIndex

from gnnkit.ops.backends import REFERENCE, BackendEntry, Situation, register
from gnnkit.ops.dispatch import backend_for
from gnnkit.ops.structure.compress import compress
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["hop_levels"]

_DTYPES = (torch.int16, torch.int32)

register(
    "hop_levels",
    __package__,
    BackendEntry("triton", ("cuda",), needs="triton"),
    BackendEntry("numba", ("cpu",), needs="numba"),
    BackendEntry("torch"),
    REFERENCE,
)


def hop_levels(
    graph: Tensor | EdgeIndex | CompressedGraph,
    sources: Int[Tensor, " S"] | Sequence[int],
    num_nodes: int | None = None,
    *,
    max_hops: int | None = None,
    dtype: torch.dtype = torch.int16,
) -> Int[Tensor, "S N"]:
    """Count the hops from each of many sources to every node, along the direction of the messages.

        level[s, s] = 0,   level[s, i] = 1 + min over edges j → i of level[s, j],   -1 where no path leads to i

    The CPU kernel searches from 64 sources with each machine word, so its time for a thousand sources is near that of a
    few searches and of writing the result, `2 S N` bytes.

    Args:
        graph: Edges j → i as `[2, E]` tensor (row 0: j, row 1: i), `EdgeIndex`, sparse tensor (row = target) or
            `CompressedGraph`. Weights are not looked at.
        sources: Nodes to start from; a node may stand there more than once.
        num_nodes: N. Default: the sparse size, else the largest node's number plus one.
        max_hops: Nodes that are farther away get -1. Default: no limit.
        dtype: `torch.int16` or `torch.int32`, which a graph deeper than 32767 hops needs. Default: `torch.int16`.

    Shape:
        sources `[S]`, result `[S, N]`.

    Returns:
        The levels, on the graph's device.

    Raises:
        ValueError: A source is not a node, the graph is bipartite, `max_hops` is negative or `dtype` is another type.
        OverflowError: A level does not fit into `dtype`.

    Source:
        Then et al., The more the merrier: efficient multi-source graph traversal, 2014; the change of direction: Beamer
        et al., Direction-optimizing breadth-first search, 2012. Levels as bit planes, written once, are gnnkit's own.

    Example:
        >>> path = torch.tensor([[0, 1, 2], [1, 2, 3]])
        >>> hop_levels(path, [0, 2]).tolist()
        [[0, 1, 2, 3], [-1, -1, 0, 1]]
    """
    if dtype not in _DTYPES:
        raise ValueError(
            f"dtype={dtype}: levels are torch.int16 or torch.int32; convert the result with .to() afterwards"
        )
    if max_hops is not None and max_hops < 0:
        raise ValueError(f"max_hops={max_hops}: it is 0 or more, or None for no limit")
    if not isinstance(sources, Tensor):
        sources = torch.tensor(list(sources), dtype=torch.int64)
    if sources.dim() != 1 or sources.is_floating_point() or sources.is_complex() or sources.dtype == torch.bool:
        raise ValueError(
            f"sources has shape {list(sources.shape)} and type {sources.dtype}: it is a list of node numbers [S]; "
            f"a mask becomes one with mask.nonzero().flatten()"
        )
    if torch.compiler.is_compiling() and type(graph) is Tensor and num_nodes is not None:
        return _hop_levels_op(graph, sources.long(), num_nodes, max_hops, dtype)
    compressed = compress(graph, num_nodes, num_nodes)
    if compressed.num_src != compressed.num_dst:
        raise ValueError(
            f"the graph leads from {compressed.num_src} source nodes to {compressed.num_dst} others: hops need one set "
            f"of nodes; pass a square graph"
        )
    nodes = compressed.num_dst
    sources = sources.to(compressed.device, torch.int64).contiguous()
    if sources.numel():
        low, high = (int(end) for end in torch.aminmax(sources))
        if low < 0 or high >= nodes:
            raise ValueError(
                f"sources holds node {low if low < 0 else high}, but the graph has {nodes} nodes, 0 to {nodes - 1}; "
                f"pass num_nodes if there are more"
            )
    backend = backend_for("hop_levels", Situation(compressed.device.type))
    hops = max(nodes, 1) if max_hops is None else min(max_hops, max(nodes, 1))
    levels, deepest = backend(compressed, sources, hops, dtype)
    if deepest > torch.iinfo(dtype).max:
        raise OverflowError(
            f"a node is more than {torch.iinfo(dtype).max} hops away, which {dtype} cannot hold: "
            f"pass dtype=torch.int32, or max_hops"
        )
    return levels


@torch.library.custom_op("gnnkit::hop_levels", mutates_args=())
def _hop_levels_op(
    edge_index: Tensor, sources: Tensor, num_nodes: int, max_hops: int | None, dtype: torch.dtype
) -> Tensor:
    return hop_levels(edge_index, sources, num_nodes, max_hops=max_hops, dtype=dtype)


@_hop_levels_op.register_fake
def _(edge_index: Tensor, sources: Tensor, num_nodes: int, max_hops: int | None, dtype: torch.dtype) -> Tensor:
    return edge_index.new_empty((sources.shape[0], num_nodes), dtype=dtype)
