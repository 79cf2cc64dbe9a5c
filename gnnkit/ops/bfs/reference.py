"""`hop_levels` by a queue, one source after the other: the truth that the other backends are held to."""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor

from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["hop_levels"]


def hop_levels(graph: CompressedGraph, sources: Tensor, max_hops: int, dtype: torch.dtype) -> tuple[Tensor, int]:
    """See `gnnkit.ops.hop_levels`; beside the levels comes the greatest of them."""
    pointers, targets = graph.colptr.tolist(), graph.row.tolist()
    rows = []
    for source in sources.tolist():
        levels = [-1] * graph.num_dst
        levels[source] = 0
        queue = deque([source])
        while queue:
            node = queue.popleft()
            if levels[node] == max_hops:
                continue
            for neighbour in targets[pointers[node] : pointers[node + 1]]:
                if levels[neighbour] < 0:
                    levels[neighbour] = levels[node] + 1
                    queue.append(neighbour)
        rows.append(levels)
    found = torch.tensor(rows, dtype=torch.int64, device=graph.device).reshape(len(rows), graph.num_dst)
    return found.to(dtype), int(found.max()) if found.numel() else 0
