"""`spmm` as its definition says, one edge at a time: slow, plain, the truth that the fast backends are held to."""

from __future__ import annotations

import torch
from torch import Tensor

from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["spmm"]


def spmm(graph: CompressedGraph, x: Tensor, weight: Tensor | None) -> Tensor:
    """out[i] = Σ over edges e: j → i of w_e x[j]."""
    sources, targets = graph.edge_index.tolist()
    rows = [x.new_zeros(*x.shape[:-2], x.size(-1)) for _ in range(graph.num_dst)]
    for edge, (j, i) in enumerate(zip(sources, targets, strict=True)):
        message = x[..., j, :]
        rows[i] = rows[i] + (message if weight is None else weight[edge] * message)
    return torch.stack(rows, dim=-2) if rows else x.new_zeros(*x.shape[:-2], 0, x.size(-1))
