"""The weighted neighbour sum: a sparse matrix times node features."""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric import EdgeIndex

from gnnkit.ops import _library
from gnnkit.ops._torch import EdgeList, as_edge_list
from gnnkit.ops.backends import Situation
from gnnkit.ops.dispatch import choose_installed, load_backend
from gnnkit.ops.structure import CompressedGraph, compress, is_transformed

__all__ = ["spmm"]


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
    is_sparse = isinstance(graph, Tensor) and graph.layout != torch.strided
    if is_sparse and weight is None:
        weight = _values(graph)
    if isinstance(graph, CompressedGraph) or is_sparse:
        graph = compress(graph, num_dst, num_src)
        num_dst, num_edges = graph.num_dst, graph.num_edges
    else:
        num_dst, num_edges = _default_targets(graph, num_dst, num_src), graph.size(-1)
    if weight is not None:
        if weight.dim() != 1 or weight.size(0) != num_edges:
            raise ValueError(
                f"weight has shape {list(weight.shape)}, but the graph has {num_edges} edges: weights are [{num_edges}]"
            )
        dtype = torch.promote_types(x.dtype, weight.dtype)
        x, weight = x.to(dtype), weight.to(dtype)

    if _library.is_traced() and not is_transformed():
        edges = graph.edge_index if isinstance(graph, CompressedGraph) else graph
        edges = edges.as_tensor() if isinstance(edges, EdgeIndex) else edges
        out = _library.spmm(edges, x, weight, num_dst)
        if reduce == "mean":
            ones = x.new_ones(edges.size(1))
            out = out / x.new_zeros(num_dst).index_add(0, edges[1], ones).clamp(min=1).unsqueeze(-1)
        return out

    edges = as_edge_list(graph, num_dst, num_src) or compress(graph, num_dst, num_src)
    _check_device(edges, x, weight)
    out = load_backend("spmm", choose_installed("spmm", _situation(edges, x, weight)).backend)(edges, x, weight)
    return out if reduce == "sum" else out / edges.degree.clamp(min=1).to(x.dtype).unsqueeze(-1)


def _situation(graph: CompressedGraph | EdgeList, x: Tensor, weight: Tensor | None) -> Situation:
    width = x.numel() // graph.num_src if graph.num_src else 0
    sizes = (graph.num_dst, graph.num_src, graph.num_edges)
    return Situation(x.device.type, x.dtype, is_transformed(x, weight), False, *sizes, 0, width)


def _values(adjacency: Any) -> Tensor:
    # COO tensors that are not coalesced keep their edges in the order in which `compress` reads them.
    return adjacency._values() if adjacency.layout == torch.sparse_coo else adjacency.values()


def _default_targets(graph: Tensor | EdgeIndex, num_dst: int | None, num_src: int) -> int:
    if num_dst is None and isinstance(graph, EdgeIndex):
        num_dst = graph.sparse_size(1)
    return num_src if num_dst is None else num_dst


def _check_device(graph: CompressedGraph | EdgeList, x: Tensor, weight: Tensor | None) -> None:
    for name, tensor in (("x", x), ("weight", weight)):
        if tensor is not None and tensor.device != graph.device:
            raise ValueError(
                f"{name} is on {tensor.device}, the graph on {graph.device}: move them to one device with .to(...)"
            )
