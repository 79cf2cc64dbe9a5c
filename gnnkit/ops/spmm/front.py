"""The weighted neighbour sum: a sparse matrix times node features."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric import EdgeIndex

from gnnkit.ops.backends import FULL, REFERENCE, TORCH, WITH_HALF, BackendEntry, Situation, register, situation_of
from gnnkit.ops.dispatch import backend_for
from gnnkit.ops.spmm.operators import spmm as spmm_op
from gnnkit.ops.structure.edges import as_graph, edge_tensor, with_sizes
from gnnkit.ops.structure.graph import CompressedGraph
from gnnkit.ops.tracing import is_traced, is_transformed

__all__ = ["spmm"]


# On a CPU thread the compiled kernel is faster than the product until a quarter of all entries are edges, and for fewer
# columns than these the matrix is not worth making.
_DENSE_MIN_DENSITY = 1 / 4
_DENSE_MIN_WIDTH = 256
_DENSE_MAX_ENTRIES = 256 * 256

# So few products (edges × columns) take less time than the call of a compiled kernel.
_KERNEL_MIN_PRODUCTS = 8192


def _small_and_dense(situation: Situation) -> str | None:
    if (entries := situation.num_dst * situation.num_src) == 0:
        return "the graph's size is zero or not known"
    if entries > _DENSE_MAX_ENTRIES:
        return f"the matrix would have {entries} entries, more than {_DENSE_MAX_ENTRIES}"
    if situation.num_edges < _DENSE_MIN_DENSITY * entries:
        few = f"fewer than one in {round(1 / _DENSE_MIN_DENSITY)}"
        return f"{situation.num_edges} of {entries} entries are edges, {few}"
    if situation.width < _DENSE_MIN_WIDTH:
        return f"the values have {situation.width} columns, fewer than {_DENSE_MIN_WIDTH}"
    return None


def _not_tiny(situation: Situation) -> str | None:
    products = situation.num_edges * situation.width
    if 0 < products < _KERNEL_MIN_PRODUCTS:
        return f"{products} products take less time than its call does (from {_KERNEL_MIN_PRODUCTS} on it is worth it)"
    return None


register(
    "spmm",
    __package__,
    BackendEntry("dense", ("cpu",), FULL, worth_if=_small_and_dense),
    BackendEntry("triton", ("cuda",), WITH_HALF, "triton"),
    BackendEntry("numba", ("cpu",), (torch.float64, *WITH_HALF), "numba", worth_if=_not_tiny),
    TORCH,
    BackendEntry("scatter", ("cpu", "cuda"), FULL, "torch_scatter", automatic=False),
    REFERENCE,
)


def spmm(
    graph: Tensor | EdgeIndex | CompressedGraph,
    x: Float[Tensor, "... N C"],
    weight: Float[Tensor, " E"] | None = None,
    *,
    num_dst: int | None = None,
    reduce: Literal["sum", "mean"] = "sum",
) -> Float[Tensor, "... M C"]:
    """Add up each node's neighbours, weighted.

        out[i] = Σ over edges e: j → i of weight[e] * x[j]          (reduce="mean": divided by their number)

    With A[i, j] the sum of the weights of the edges j → i this is out = A x.

    Args:
        graph: Edges as `[2, E]` tensor, `EdgeIndex`, sparse tensor (row = target; its values are the weights unless
            `weight` is given), or `CompressedGraph`.
        x: Features of the source nodes; leading dimensions are batches on the same graph.
        weight: Weight of each edge, in the order of the edges. Default: 1 each (a sparse tensor: its values).
        num_dst: Number of target nodes M. Default: the graph's own number where it has one, else N.
        reduce: `"sum"` (default) or `"mean"`.

    Shape:
        x `[..., N, C]`, weight `[E]` → `[..., M, C]`.

    Returns:
        The sums; zero for a node without incoming edges.

    Raises:
        ValueError: A shape, type or device does not fit, `reduce` is not known, or an edge names a missing node.
        RuntimeError: `use_backend` asked for a backend that cannot run this.

    Example:
        >>> edges = torch.tensor([[0, 1, 2], [1, 2, 1]])
        >>> spmm(edges, torch.tensor([[1.0], [10.0], [100.0]]), torch.tensor([1.0, 1.0, 0.5]))
        tensor([[ 0.],
                [51.],
                [10.]])
    """
    if reduce not in ("sum", "mean"):
        raise ValueError(f'reduce={reduce!r} is not known: choose "sum" or "mean"')
    if x.dim() < 2 or not x.dtype.is_floating_point:
        raise ValueError(f"x has shape {list(x.shape)} and dtype {x.dtype}: features are floating point, [..., N, C]")
    num_src = x.size(-2)
    if weight is None and isinstance(graph, Tensor) and graph.layout != torch.strided:
        # COO tensors that are not coalesced keep their edges in the order in which `compress` reads them.
        weight = graph._values() if graph.layout == torch.sparse_coo else graph.values()
    graph, num_dst, num_edges = with_sizes(graph, num_dst, num_src)
    if weight is not None:
        if not isinstance(weight, Tensor):
            raise ValueError(f"weight is a {type(weight).__name__}: weights are a tensor [{num_edges}]")
        if weight.dim() != 1 or weight.size(0) != num_edges:
            raise ValueError(
                f"weight has shape {list(weight.shape)}, but the graph has {num_edges} edges: weights are [{num_edges}]"
            )
        dtype = torch.promote_types(x.dtype, weight.dtype)
        x, weight = x.to(dtype), weight.to(dtype)

    if is_traced() and not is_transformed():
        edges = edge_tensor(graph)
        out = spmm_op(edges, x, weight, num_dst)
        if reduce == "mean":
            ones = x.new_ones(edges.size(1))
            out = out / x.new_zeros(num_dst).index_add(0, edges[1], ones).clamp(min=1).unsqueeze(-1)
        return out

    edges = as_graph(graph, num_dst, num_src, (("x", x), ("weight", weight)))
    out = backend_for("spmm", situation_of(edges, x, is_transformed(x, weight)))(edges, x, weight)
    return out if reduce == "sum" else out / edges.degree.clamp(min=1).to(x.dtype).unsqueeze(-1)
