"""`spmm` as one matrix product with the dense adjacency, for graphs of few nodes and many edges.

The adjacency is made anew in each call, which costs little beside a product that is worth it. A product also multiplies
what is no edge, by zero: where a value is infinite or no number, that would spread it to every node, so such calls take
the sparse way.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gnnkit.ops import _torch
from gnnkit.ops._function import SpmmKernels
from gnnkit.ops.structure import CompressedGraph

__all__ = ["backward", "forward", "spmm"]

# A batched product with matrices of fewer columns than this is many times slower than one product of all rows.
_MIN_COLUMNS = 16


def _cells(graph: CompressedGraph) -> Tensor:
    sources, targets = graph.edge_index
    return targets * graph.num_src + sources


def _adjacency(graph: CompressedGraph, weight: Tensor | None, x: Tensor) -> Tensor:
    """The sums of parallel edges' weights, `[num_dst, num_src]`."""
    values = x.new_ones(graph.num_edges) if weight is None else weight
    empty = x.new_zeros(graph.num_dst * graph.num_src)
    return empty.index_add(0, _cells(graph), values).view(graph.num_dst, graph.num_src)


def _is_finite(*tensors: Tensor) -> bool:
    """Whether all numbers surely are: a sum of finite ones may overflow, but none hides a NaN or an infinity."""
    return all(bool(tensor.sum().isfinite()) for tensor in tensors)


def _times(matrix: Tensor, x: Tensor) -> Tensor:
    channels = x.size(-1)
    if channels >= _MIN_COLUMNS or x.dim() == 2 or x.numel() == 0:
        return matrix @ x
    rows = x.transpose(-1, -2).reshape(-1, x.size(-2))  # a batch's channels one under the other
    return (rows @ matrix.t()).view(*x.shape[:-2], channels, matrix.size(0)).transpose(-1, -2).contiguous()


def forward(graph: CompressedGraph, x: Tensor, weight: Tensor | None) -> Tensor:
    """The product; see `gnnkit.ops.spmm`."""
    adjacency = _adjacency(graph, weight, x)
    return _times(adjacency, x) if _is_finite(adjacency, x) else _torch.spmm(graph, x, weight)


def backward(
    graph: CompressedGraph, grad: Tensor, x: Tensor, weight: Tensor | None, need_weight: bool
) -> tuple[Tensor, Tensor | None]:
    """Gradients with respect to `x` and, where it is needed, to `weight`."""
    adjacency = _adjacency(graph, weight, grad)
    if not _is_finite(adjacency, grad):
        return _torch.spmm_backward(graph, grad, x, weight, need_weight)
    grad_weight = None
    if need_weight:
        # All pairs of nodes: each is of its own two rows alone, whatever stands in the others.
        ends = (tensor.flatten(0, -3) if tensor.dim() > 2 else tensor.unsqueeze(0) for tensor in (grad, x))
        pairs = torch.einsum("bic,bjc->ij", *ends)
        grad_weight = pairs.flatten().index_select(0, _cells(graph))
    return _times(adjacency.t(), grad), grad_weight


spmm = SpmmKernels(forward, backward)
