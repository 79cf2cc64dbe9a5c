"""Attention over incoming edges whose logits are made of rows of both ends: GATv2's, and dot products."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric import EdgeIndex

from gnnkit.ops.backends import REFERENCE, TORCH, WITH_HALF, BackendEntry, register, situation_of
from gnnkit.ops.dispatch import backend_for
from gnnkit.ops.pair_attention.operators import pair_attention
from gnnkit.ops.pair_attention.options import PairInputs, PairOptions
from gnnkit.ops.structure.edges import as_graph, edge_tensor, with_sizes
from gnnkit.ops.structure.graph import CompressedGraph
from gnnkit.ops.tracing import is_traced, is_transformed

__all__ = ["dot_attention", "dynamic_attention"]

_Edges = Tensor | EdgeIndex | CompressedGraph

register(
    "pair_attention",
    __package__,
    BackendEntry("triton", ("cuda",), WITH_HALF, "triton"),
    BackendEntry("numba", ("cpu",), (torch.float64, *WITH_HALF), "numba"),
    TORCH,
    REFERENCE,
)


def dynamic_attention(
    graph: _Edges,
    x_src: Float[Tensor, "N K C"],
    x_dst: Float[Tensor, "M K C"],
    att: Float[Tensor, "K C"],
    edge_attr: Float[Tensor, "E D"] | None = None,
    edge_map: Float[Tensor, "D K C"] | None = None,
    *,
    negative_slope: float = 0.2,
    dropout: float = 0.0,
    training: bool = False,
) -> Float[Tensor, "M K C"]:
    """Average each node's neighbours with GATv2's attention weights.

        z[e]   = x_src[j] + x_dst[i] + Σ_d edge_attr[e, d] edge_map[d]          for each edge e: j → i
        a[e]   = softmax over the incoming edges of i of Σ_c att[c] leaky_relu(z[e, c])
        out[i] = Σ over incoming edges e of dropout(a[e]) * x_src[j]

    Nothing of size E × K × C is made on the compiled backends, forward or backward: of each edge they keep K numbers.
    To `use_backend` and `explain_backend` this op and `dot_attention` are one, `"pair_attention"`.

    Args:
        graph: Edges as `[2, E]` tensor, `EdgeIndex`, sparse tensor (row = target; its values are not looked at), or
            `CompressedGraph`.
        x_src: Features of the sources, K heads of C channels: part of the logit, and what is averaged.
        x_dst: Features of the targets.
        att: The vector that makes a head's logit.
        edge_attr: Features of the edges, in the order of the edges. Default: none.
        edge_map: Their linear map to the heads. Default: none.
        negative_slope: Slope of the leaky ReLU below zero. Default: 0.2.
        dropout: Share of the weights that is set to zero in training, as in `edge_attention`. Default: 0.
        training: Whether dropout acts. Default: False.

    Returns:
        The averages `[M, K, C]`, zero for a node without incoming edges.

    Raises:
        ValueError: A shape, type, device or `dropout` does not fit, or an edge names a node that is not there.
        RuntimeError: `use_backend` asked for a backend that cannot run this.

    Source:
        Brody et al., "How Attentive are Graph Attention Networks?", 2022, as PyG's `GATv2Conv` computes it.

    Example:
        >>> edges = torch.tensor([[0, 1], [2, 2]])
        >>> x = torch.tensor([[[1.0]], [[5.0]], [[0.0]]])
        >>> dynamic_attention(edges, x, x, torch.zeros(1, 1)).flatten()
        tensor([0., 0., 3.])
    """
    given = {"x_src": x_src, "x_dst": x_dst, "att": att, "edge_attr": edge_attr, "edge_map": edge_map}
    graph, given = _checked(graph, given, dropout, ("x_src", "x_dst"), {"att": tuple(x_src.shape[1:])})
    options = PairOptions.draw(negative_slope, dropout, training, x_src.device)
    inputs = PairInputs(*(given[name] for name in ("x_dst", "x_src")), None, *list(given.values())[2:])  # pyright: ignore
    return _run(graph, inputs, options, ("x_dst", "x_src", "value", "att", "edge_attr", "edge_map"))


def dot_attention(
    graph: _Edges,
    query: Float[Tensor, "M K C"],
    key: Float[Tensor, "N K C"],
    value: Float[Tensor, "N K C"],
    edge_attr: Float[Tensor, "E D"] | None = None,
    edge_map: Float[Tensor, "D K C"] | None = None,
    *,
    dropout: float = 0.0,
    training: bool = False,
) -> Float[Tensor, "M K C"]:
    """Average each node's neighbours with the weights of scaled dot-product attention.

        u[e]   = Σ_d edge_attr[e, d] edge_map[d]                                for each edge e: j → i
        a[e]   = softmax over the incoming edges of i of <query[i], key[j] + u[e]> / sqrt(C)
        out[i] = Σ over incoming edges e of dropout(a[e]) * (value[j] + u[e])

    u is not made: `edge_map` meets the queries and the averages, of which there is one a node.

    Args:
        graph: As for `dynamic_attention`.
        query: Of the targets, K heads of C channels.
        key: Of the sources.
        value: Of the sources.
        edge_attr: Features of the edges, in the order of the edges. Default: none.
        edge_map: Their linear map to the heads. Default: none.
        dropout: Share of the weights that is set to zero in training, as in `edge_attention`. Default: 0.
        training: Whether dropout acts. Default: False.

    Returns:
        The averages `[M, K, C]`, zero for a node without incoming edges.

    Raises:
        ValueError: A shape, type, device or `dropout` does not fit, or an edge names a node that is not there.
        RuntimeError: `use_backend` asked for a backend that cannot run this.

    Source:
        Shi et al., "Masked Label Prediction", 2021, as PyG's `TransformerConv` computes it.

    Example:
        >>> edges = torch.tensor([[0, 1], [2, 2]])
        >>> x = torch.tensor([[[1.0]], [[5.0]], [[0.0]]])
        >>> dot_attention(edges, x, x, x).flatten()
        tensor([0., 0., 3.])
    """
    given = {"key": key, "query": query, "value": value, "edge_attr": edge_attr, "edge_map": edge_map}
    graph, given = _checked(graph, given, dropout, ("key", "query"), {"value": tuple(key.shape)})
    key, query, value, edge_attr, edge_map = given.values()  # pyright: ignore[reportAssignmentType]
    channels = key.size(2)
    factor = 1 / math.sqrt(channels) if channels else 1.0
    options = PairOptions.draw(0.0, dropout, training, key.device, factor=factor)
    names = ("query", "key", "value", "att", "edge_attr", "edge_map")
    if edge_attr is None or edge_map is None:
        return _run(graph, PairInputs(query, key, value, None, None, None), options, names)
    query = torch.cat([query, torch.einsum("mkc,dkc->mkd", query, edge_map)], dim=2)
    out = _run(graph, PairInputs(query, key, value, None, edge_attr, None), options, names)
    return out[..., :channels] + torch.einsum("mkd,dkc->mkc", out[..., channels:], edge_map)


def _checked(
    graph: _Edges,
    given: dict[str, Tensor | None],
    dropout: float,
    ends: tuple[str, str],
    shapes: dict[str, tuple[int, ...]],
) -> tuple[Any, dict[str, Tensor | None]]:
    """The graph, and the tensors in one type, all of which fit it and one another."""
    if not 0 <= dropout <= 1:
        raise ValueError(f"dropout={dropout}: a share is 0 to 1")
    for name in ends:
        x: Any = given[name]
        if x.dim() != 3 or not x.dtype.is_floating_point:
            raise ValueError(
                f"{name} has shape {list(x.shape)} and dtype {x.dtype}: values are floating point, [nodes, K, C]"
            )
    source, target = (given[name] for name in ends)
    num_src, *per_node = source.shape  # pyright: ignore[reportOptionalMemberAccess]
    graph, num_dst, num_edges = with_sizes(graph, target.size(0), num_src)  # pyright: ignore[reportOptionalMemberAccess]
    edge_attr, edge_map = given["edge_attr"], given["edge_map"]
    if (edge_attr is None) != (edge_map is None):
        raise ValueError("edge_attr and edge_map go together: pass both, or none of them")
    shapes[ends[1]] = (num_dst, *per_node)
    if edge_attr is not None:
        features = edge_attr.size(1) if edge_attr.dim() == 2 else edge_map.size(0)  # pyright: ignore
        shapes |= {"edge_attr": (num_edges, features), "edge_map": (features, *per_node)}
    for name, shape in shapes.items():
        x = given[name]
        if tuple(x.shape) != shape:
            raise ValueError(
                f"{name} has shape {list(x.shape)}: with these nodes, edges, heads and channels it is {list(shape)}"
            )
    dtype = reduce(torch.promote_types, (x.dtype for x in given.values() if x is not None))
    return graph, {name: None if x is None else x.to(dtype) for name, x in given.items()}


def _run(graph: Any, inputs: PairInputs, options: PairOptions, names: tuple[str, ...]) -> Tensor:
    if is_traced() and not is_transformed():
        numbers = (options.negative_slope, options.dropout, options.factor)
        return pair_attention(edge_tensor(graph), *inputs, options.seed, *numbers)[0]
    edges = as_graph(graph, inputs.query.size(0), inputs.key.size(0), tuple(zip(names, inputs, strict=True)))
    situation = situation_of(edges, inputs.key, is_transformed(*inputs))
    return backend_for("pair_attention", situation)(inputs, edges, options)
