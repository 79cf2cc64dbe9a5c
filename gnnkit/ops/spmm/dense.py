"""`spmm` as one matrix product with the dense adjacency, for graphs of few nodes and many edges.

The adjacency is made anew in each call, which costs little beside a product that is worth it. A product also multiplies
what is no edge, by zero: where a value is infinite or no number, that would spread it to every node, so such calls take
the sparse way.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from gnnkit.ops.spmm.autograd import SpmmKernels
from gnnkit.ops.spmm.torch import spmm as native_spmm
from gnnkit.ops.spmm.torch import spmm_backward
from gnnkit.ops.structure.edges import EdgeList
from gnnkit.ops.structure.graph import CompressedGraph
from gnnkit.ops.tracing import is_batched, is_traced, is_transformed

__all__ = ["backward", "cell_product", "forward", "matrix_product", "spmm"]

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
    return all(math.isfinite(tensor.sum().item()) for tensor in tensors)


def _times(matrix: Tensor, x: Tensor) -> Tensor:
    channels = x.size(-1)
    if channels >= _MIN_COLUMNS or x.dim() == 2 or x.numel() == 0:
        return matrix @ x
    rows = x.transpose(-1, -2).reshape(-1, x.size(-2))  # a batch's channels one under the other
    return (rows @ matrix.t()).view(*x.shape[:-2], channels, matrix.size(0)).transpose(-1, -2).contiguous()


def forward(graph: CompressedGraph, x: Tensor, weight: Tensor | None) -> Tensor:
    """The product; see `gnnkit.ops.spmm`."""
    adjacency = _adjacency(graph, weight, x)
    return _times(adjacency, x) if _is_finite(adjacency, x) else native_spmm(graph, x, weight)


def backward(
    graph: CompressedGraph, grad: Tensor, x: Tensor, weight: Tensor | None, need_weight: bool
) -> tuple[Tensor, Tensor | None]:
    """Gradients with respect to `x` and, where it is needed, to `weight`."""
    adjacency = _adjacency(graph, weight, grad)
    if not _is_finite(adjacency, grad):
        return spmm_backward(graph, grad, x, weight, need_weight)
    grad_weight = None
    if need_weight:
        # All pairs of nodes: each is of its own two rows alone, whatever stands in the others.
        ends = (tensor.flatten(0, -3) if tensor.dim() > 2 else tensor.unsqueeze(0) for tensor in (grad, x))
        pairs = torch.einsum("bic,bjc->ij", *ends)
        grad_weight = pairs.flatten().index_select(0, _cells(graph))
    return _times(adjacency.t(), grad), grad_weight


spmm = SpmmKernels(forward, backward)


def matrix_product(matrix: Tensor, x: Tensor) -> Tensor:
    """A x for a constant matrix whose zeros are no edges: on a CPU they do not spread what is infinite or no number.

    Shape:
        matrix `[M, N]`, x `[N, D]` or `[B, N, D]` → `[M, D]` or `[B, M, D]`.
    """
    tracing = is_traced() or torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
    if x.device.type != "cpu" or matrix.requires_grad or tracing or is_transformed(matrix, x):
        return matrix @ x  # a GPU would be waited for, and a learnt matrix has no zeros
    return _MatrixProduct.apply(matrix, x)  # pyright: ignore[reportReturnType]


def _along_edges(matrix: Tensor, x: Tensor) -> Tensor:
    if _is_finite(x):
        return matrix @ x
    rows, columns = matrix.nonzero().t()
    return native_spmm(EdgeList(torch.stack([columns, rows]), *matrix.shape), x, matrix[rows, columns])


class _MatrixProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(matrix)
        return _along_edges(matrix, x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        back = ctx.saved_tensors[0].t().to(grad.dtype)  # under autocast the product is of a narrower type
        if is_batched(grad):
            return None, back @ grad
        return None, matrix_product(back, grad) if torch.is_grad_enabled() else _along_edges(back, grad)


def cell_product(filled: Tensor, x: Tensor, cells: Tensor, rows: int) -> Tensor:
    """Σ_b A_b x_b for learnt matrices: on a CPU a gradient that is infinite or no number goes along their cells alone.

    Args:
        filled: What stands in each cell of each A_b, `[cells, B]`; all else is zero.
        x: Finite values, `[N, B, D]`.
        cells: Places of the cells among M x N, each once.
        rows: M.

    Returns:
        `[M, D]`.
    """
    matrix = filled.new_zeros(rows * x.size(0), filled.size(1)).index_copy(0, cells, filled).view(rows, -1)
    x = x.flatten(0, 1)
    plain = is_traced() or torch.jit.is_tracing() or is_transformed(matrix, x)  # pyright: ignore[reportPrivateImportUsage]
    if plain or x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return matrix @ x
    return _CellProduct.apply(matrix, x, cells, filled.size(1))  # pyright: ignore[reportReturnType]


class _CellProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor, x: Tensor, cells: Tensor, bases: int) -> Tensor:
        ctx.save_for_backward(matrix, x, cells)
        ctx.bases = bases
        return matrix @ x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        matrix, x, cells = ctx.saved_tensors
        if is_batched(grad) or _is_finite(grad):
            return grad @ x.t(), matrix.t() @ grad, None, None
        places = (cells.unsqueeze(1) * ctx.bases + torch.arange(ctx.bases)).flatten()
        rows, columns = places.div(matrix.size(1), rounding_mode="floor"), places % matrix.size(1)
        along = matrix.flatten().index_select(0, places).unsqueeze(-1) * grad.index_select(0, rows)
        return grad @ x.t(), torch.zeros_like(x).index_add(0, columns, along), None, None
