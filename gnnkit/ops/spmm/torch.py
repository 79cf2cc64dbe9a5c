"""`spmm` in torch's own operators: on any device and type, through every transform, to any order of derivative."""

from __future__ import annotations

from torch import Tensor

from gnnkit.ops.structure.edges import EdgeList
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["spmm", "spmm_backward"]

_Graph = CompressedGraph | EdgeList


def spmm(graph: _Graph, x: Tensor, weight: Tensor | None) -> Tensor:
    """Gather, weigh, add up; see `gnnkit.ops.spmm`."""
    sources, targets = graph.edge_index
    messages = x.index_select(-2, sources)
    if weight is not None:
        messages = messages * weight.unsqueeze(-1)
    return messages.new_zeros(*x.shape[:-2], graph.num_dst, x.size(-1)).index_add(-2, targets, messages)


def spmm_backward(
    graph: _Graph, grad: Tensor, x: Tensor, weight: Tensor | None, need_weight: bool
) -> tuple[Tensor, Tensor | None]:
    """Gradients of x and, where it is needed, of the weights, written out."""
    sources, targets = graph.edge_index
    gathered = grad.index_select(-2, targets)
    messages = gathered if weight is None else gathered * weight.unsqueeze(-1)
    grad_x = messages.new_zeros(*grad.shape[:-2], graph.num_src, grad.size(-1)).index_add(-2, sources, messages)
    if not need_weight:
        return grad_x, None
    products = (gathered * x.index_select(-2, sources)).sum(-1)
    return grad_x, products.reshape(-1, graph.num_edges).sum(0)
