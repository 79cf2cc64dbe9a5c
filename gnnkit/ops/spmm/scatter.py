"""`spmm` on torch-scatter, where it is installed."""

from __future__ import annotations

from torch import Tensor

from gnnkit._optional import optional_import
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["spmm"]

torch_scatter = optional_import("torch_scatter", purpose='backend "scatter"', extra="scatter")


def spmm(graph: CompressedGraph, x: Tensor, weight: Tensor | None) -> Tensor:
    """Gather, weigh, scatter; see `gnnkit.ops.spmm`."""
    sources, targets = graph.edge_index
    messages = x.index_select(-2, sources)
    if weight is not None:
        messages = messages * weight.unsqueeze(-1)
    return torch_scatter.scatter_sum(messages, targets, dim=-2, dim_size=graph.num_dst)
