"""The sum over neighbours of the positive part of features plus an edge's own."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric import EdgeIndex

from gnnkit.ops.backends import REFERENCE, TORCH, WITH_HALF, BackendEntry, register, situation_of
from gnnkit.ops.dispatch import backend_for
from gnnkit.ops.edge_relu_sum.operators import edge_relu_sum as sum_op
from gnnkit.ops.structure.edges import as_graph, edge_tensor, with_sizes
from gnnkit.ops.structure.graph import CompressedGraph
from gnnkit.ops.tracing import is_traced, is_transformed

__all__ = ["edge_relu_sum"]

register(
    "edge_relu_sum",
    __package__,
    BackendEntry("triton", ("cuda",), WITH_HALF, "triton"),
    BackendEntry("numba", ("cpu",), (torch.float64, *WITH_HALF), "numba"),
    TORCH,
    REFERENCE,
)


def edge_relu_sum(
    graph: Tensor | EdgeIndex | CompressedGraph,
    x: Float[Tensor, "N C"],
    edges: Float[Tensor, "E C"],
    *,
    num_dst: int | None = None,
) -> Float[Tensor, "M C"]:
    """Add up, over each node's neighbours, the positive part of their features plus the edge's.

        out[i] = Σ over edges e: j → i of max(x[j] + edges[e], 0)

    Nothing is made for each edge but the gradient of `edges`.

    Args:
        graph: Edges as `[2, E]` tensor, `EdgeIndex`, sparse tensor (row = target; values play no part), or
            `CompressedGraph`.
        x: Features of the source nodes.
        edges: Features of the edges, in the order of the edges.
        num_dst: Number of target nodes M. Default: the graph's own number where it has one, else N.

    Shape:
        x `[N, C]`, edges `[E, C]` → `[M, C]`.

    Returns:
        The sums; zero for a node without incoming edges.

    Raises:
        ValueError: A shape, type or device does not fit, or an edge names a missing node.
        RuntimeError: `use_backend` asked for a backend that cannot run this.

    Example:
        >>> edges = torch.tensor([[0, 1], [1, 1]])
        >>> edge_relu_sum(edges, torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [-5.0]]))
        tensor([[0.],
                [4.]])
    """
    if x.dim() != 2 or not x.dtype.is_floating_point:
        raise ValueError(f"x has shape {list(x.shape)} and dtype {x.dtype}: features are floating point, [N, C]")
    num_src = x.size(0)
    graph, num_dst, num_edges = with_sizes(graph, num_dst, num_src)
    if edges.shape != (num_edges, x.size(1)) or not edges.dtype.is_floating_point:
        raise ValueError(
            f"edges has shape {list(edges.shape)} and dtype {edges.dtype}: it is floating point, one row of x's "
            f"{x.size(1)} features for each of the {num_edges} edges"
        )
    dtype = torch.promote_types(x.dtype, edges.dtype)
    x, edges = x.to(dtype), edges.to(dtype)
    if is_traced() and not is_transformed():
        return sum_op(edge_tensor(graph), x, edges, num_dst)
    found = as_graph(graph, num_dst, num_src, (("x", x), ("edges", edges)))
    return backend_for("edge_relu_sum", situation_of(found, x, is_transformed(x, edges)))((x, edges), found)
