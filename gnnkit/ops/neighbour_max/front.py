"""The largest or smallest of each node's neighbours, entry by entry."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric import EdgeIndex

from gnnkit.ops.backends import REFERENCE, TORCH, WITH_HALF, BackendEntry, register, situation_of
from gnnkit.ops.dispatch import backend_for
from gnnkit.ops.neighbour_max.operators import neighbour_max as max_op
from gnnkit.ops.neighbour_max.options import MaxInputs, MaxOptions
from gnnkit.ops.structure.edges import as_graph, edge_tensor, with_sizes
from gnnkit.ops.structure.graph import CompressedGraph
from gnnkit.ops.tracing import is_traced, is_transformed

__all__ = ["neighbour_max"]

register(
    "neighbour_max",
    __package__,
    BackendEntry("triton", ("cuda",), WITH_HALF, "triton"),
    BackendEntry("numba", ("cpu",), (torch.float64, *WITH_HALF), "numba"),
    TORCH,
    REFERENCE,
)


def neighbour_max(
    graph: Tensor | EdgeIndex | CompressedGraph,
    x: Float[Tensor, "... N C"],
    weight: Float[Tensor, " E"] | None = None,
    *,
    num_dst: int | None = None,
    reduce: Literal["max", "min"] = "max",
    ties: Literal["shared", "first"] = "shared",
) -> Float[Tensor, "... M C"]:
    """Take the largest (or smallest) of each node's neighbours, entry by entry.

        out[i, c] = max over edges e: j → i of weight[e] * x[j, c]          (reduce="min": the smallest)

    The derivatives are PyG's. With `ties="shared"`, those of its edge lists: the k neighbours that tie share the
    gradient equally, and where the value is exactly zero it is divided by k + 1, as in `torch.scatter_reduce`, whose
    zero at the start takes a share. With `ties="first"`, those of its sparse matrices: the first edge has all of it.

    Args:
        graph: Edges as `[2, E]` tensor, `EdgeIndex`, sparse tensor (row = target; its values are the weights unless
            `weight` is given), or `CompressedGraph`.
        x: Features of the source nodes; leading dimensions are batches on the same graph.
        weight: Weight of each edge, in the order of the edges. Default: 1 each (a sparse tensor: its values).
        num_dst: Number of target nodes M. Default: the graph's own number where it has one, else N.
        reduce: `"max"` (default) or `"min"`.
        ties: `"shared"` (default) or `"first"`.

    Shape:
        x `[..., N, C]`, weight `[E]` → `[..., M, C]`.

    Returns:
        The largest values; zero for a node without incoming edges, NaN where a neighbour has one.

    Raises:
        ValueError: A shape, type or device does not fit, `reduce` or `ties` is not known, or an edge names a missing
            node.
        RuntimeError: `use_backend` asked for a backend that cannot run this.

    Example:
        >>> edges = torch.tensor([[0, 1, 2], [1, 2, 1]])
        >>> neighbour_max(edges, torch.tensor([[1.0, -1.0], [10.0, -10.0], [100.0, -100.0]]))
        tensor([[  0.,   0.],
                [100.,  -1.],
                [ 10., -10.]])
    """
    if reduce not in ("max", "min"):
        raise ValueError(f'reduce={reduce!r} is not known: choose "max" or "min"')
    if ties not in ("shared", "first"):
        raise ValueError(f'ties={ties!r} is not known: choose "shared" or "first"')
    if x.dim() < 2 or not x.dtype.is_floating_point:
        raise ValueError(f"x has shape {list(x.shape)} and dtype {x.dtype}: features are floating point, [..., N, C]")
    num_src = x.size(-2)
    if weight is None and isinstance(graph, Tensor) and graph.layout != torch.strided:
        # COO tensors that are not coalesced keep their edges in the order in which `compress` reads them.
        weight = graph._values() if graph.layout == torch.sparse_coo else graph.values()
    graph, num_dst, num_edges = with_sizes(graph, num_dst, num_src)
    if weight is not None:
        if weight.dim() != 1 or weight.size(0) != num_edges:
            raise ValueError(
                f"weight has shape {list(weight.shape)}, but the graph has {num_edges} edges: weights are [{num_edges}]"
            )
        dtype = torch.promote_types(x.dtype, weight.dtype)
        x, weight = x.to(dtype), weight.to(dtype)

    options = MaxOptions(reduce == "max", ties == "shared")
    if is_traced() and not is_transformed():
        return max_op(edge_tensor(graph), x, weight, num_dst, options.largest, options.shared)[0]
    if not (torch.is_grad_enabled() and (x.requires_grad or (weight is not None and weight.requires_grad))):
        options = options._replace(keep=False)
    edges = as_graph(graph, num_dst, num_src, (("x", x), ("weight", weight)))
    backend = backend_for("neighbour_max", situation_of(edges, x, is_transformed(x, weight)))
    return backend(MaxInputs(x, weight), edges, options)
