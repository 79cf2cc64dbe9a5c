"""`edge_relu_sum` as its definition says, one edge at a time: the truth that the fast backends are held to."""

from __future__ import annotations

import torch
from torch import Tensor

from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["edge_relu_sum"]


def edge_relu_sum(inputs: tuple[Tensor, Tensor], graph: CompressedGraph) -> Tensor:
    """out[i] = Σ over edges e: j → i of max(x[j] + a[e], 0)."""
    x, edges = inputs
    rows = [x.new_zeros(x.size(-1)) for _ in range(graph.num_dst)]
    for edge, (j, i) in enumerate(graph.edge_index.t().tolist()):
        rows[i] = rows[i] + (x[j] + edges[edge]).relu()
    return torch.stack(rows) if rows else x.new_zeros(0, x.size(-1))
