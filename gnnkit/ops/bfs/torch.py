"""`hop_levels` in torch's own operators: one sparse product a level, for some sources at once."""

from __future__ import annotations

import torch
from torch import Tensor

from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["hop_levels"]

# Numbers of one frontier matrix [N, sources].
_FRONTIER_SIZE = 16 * 1024 * 1024


def hop_levels(graph: CompressedGraph, sources: Tensor, max_hops: int, dtype: torch.dtype) -> tuple[Tensor, int]:
    """See `gnnkit.ops.hop_levels`; beside the levels comes the greatest of them."""
    nodes = graph.num_dst
    ones = torch.ones(graph.num_edges, device=graph.device)
    # Parallel edges may stay: that there is one is all that counts, so the sparse tensor need not be coalesced.
    edges = torch.stack([graph.row_of_edge.long(), graph.col.long()])
    adjacency = torch.sparse_coo_tensor(edges, ones, (nodes, nodes), check_invariants=False, is_coalesced=True)
    levels = torch.full((sources.numel(), nodes), -1, dtype=dtype, device=graph.device)
    deepest = 0
    at_once = max(1, _FRONTIER_SIZE // max(nodes, 1))
    for first in range(0, sources.numel(), at_once):
        part = sources[first : first + at_once]
        frontier = torch.zeros(nodes, part.numel(), device=graph.device)
        frontier[part, torch.arange(part.numel(), device=graph.device)] = 1
        unseen = frontier == 0
        found = torch.where(unseen, -1, 0)
        level = 0
        while level < max_hops:
            fresh = (adjacency @ frontier > 0) & unseen
            if not fresh.any():
                break
            level += 1
            unseen &= ~fresh
            found.masked_fill_(fresh, level)
            frontier = fresh.float()
        levels[first : first + at_once] = found.t().to(dtype)
        deepest = max(deepest, level)
    return levels, deepest
