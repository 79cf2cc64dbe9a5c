"""Graph attention over incoming edges: logits, softmax, dropout and weighted sum in one op."""

from __future__ import annotations

from functools import reduce
from typing import Literal, overload

import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric import EdgeIndex

from gnnkit.ops.attention.operators import edge_attention as edge_attention_op
from gnnkit.ops.attention.options import AttentionInputs, AttentionOptions
from gnnkit.ops.backends import FULL, REFERENCE, TORCH, WITH_HALF, BackendEntry, Situation, register, situation_of
from gnnkit.ops.dispatch import backend_for
from gnnkit.ops.structure.edges import as_graph, edge_tensor, with_sizes
from gnnkit.ops.structure.graph import CompressedGraph
from gnnkit.ops.tracing import is_traced, is_transformed

__all__ = ["edge_attention"]

_Edges = Tensor | EdgeIndex | CompressedGraph
_NAMES = ("x_src", "alpha_src", "alpha_dst", "edge_logits")


def _no_weights(situation: Situation) -> str | None:
    return "per-edge weights are asked for, and it does not hold any" if situation.weights else None


register(
    "edge_attention",
    __package__,
    BackendEntry("triton", ("cuda",), WITH_HALF, "triton", only_if=_no_weights),
    BackendEntry("numba", ("cpu",), (torch.float64, *WITH_HALF), "numba", only_if=_no_weights),
    TORCH,
    BackendEntry("scatter", ("cpu", "cuda"), FULL, "torch_scatter", automatic=False),
    REFERENCE,
)


@overload
def edge_attention(
    graph: _Edges, x_src: Tensor, alpha_src: Tensor, alpha_dst: Tensor | None = None,
    edge_logits: Tensor | None = None, *, num_dst: int | None = None, negative_slope: float = 0.2,
    dropout: float = 0.0, training: bool = False, return_weights: Literal[False] = False,
) -> Tensor: ...  # fmt: skip


@overload
def edge_attention(
    graph: _Edges, x_src: Tensor, alpha_src: Tensor, alpha_dst: Tensor | None = None,
    edge_logits: Tensor | None = None, *, num_dst: int | None = None, negative_slope: float = 0.2,
    dropout: float = 0.0, training: bool = False, return_weights: Literal[True],
) -> tuple[Tensor, Tensor]: ...  # fmt: skip


def edge_attention(
    graph: _Edges,
    x_src: Float[Tensor, "N K C"],
    alpha_src: Float[Tensor, "N K"],
    alpha_dst: Float[Tensor, "M K"] | None = None,
    edge_logits: Float[Tensor, "E K"] | None = None,
    *,
    num_dst: int | None = None,
    negative_slope: float = 0.2,
    dropout: float = 0.0,
    training: bool = False,
    return_weights: bool = False,
) -> Float[Tensor, "M K C"] | tuple[Tensor, Tensor]:
    """Average each node's neighbours with attention weights.

        z[e]   = alpha_src[j] + alpha_dst[i] + edge_logits[e]                  for each edge e: j → i
        a[e]   = softmax over the incoming edges of i of leaky_relu(z[e])
        out[i] = Σ over incoming edges e of dropout(a[e]) * x_src[j]

    Nothing of size E × K × C is made on the compiled backends: the forward pass reads the incoming edges once, the
    backward pass the outgoing ones.

    Args:
        graph: Edges as `[2, E]` tensor, `EdgeIndex`, sparse tensor (row = target; its values are not looked at), or
            `CompressedGraph`.
        x_src: Values of the source nodes, K heads of C channels.
        alpha_src: The sources' part of the logit.
        alpha_dst: The targets' part. Default: none.
        edge_logits: The edges' part, in the order of the edges. Default: none.
        num_dst: Number of target nodes M. Default: that of `alpha_dst`, else the graph's own where it has one, else N.
        negative_slope: Slope of the leaky ReLU below zero. Default: 0.2.
        dropout: Share of the weights that is set to zero in training, 0 to 1; the others grow by 1 / (1 - dropout). The
            mask is computed from one number drawn from torch's generator: `torch.manual_seed` repeats it. Default: 0.
        training: Whether dropout acts. Default: False.
        return_weights: True to return the weights too (after dropout, as PyG does); they are then held in memory, and
            the op runs on torch's operators. Default: False.

    Shape:
        x_src `[N, K, C]`, alpha_src `[N, K]`, alpha_dst `[M, K]`, edge_logits `[E, K]` → `[M, K, C]`; weights `[E, K]`.

    Returns:
        The averages, zero for a node without incoming edges; with `return_weights` the weights too, in edge order.

    Raises:
        ValueError: A shape, type, device or `dropout` does not fit, or an edge names a node that is not there.
        RuntimeError: `use_backend` asked for a backend that cannot run this.

    Source:
        Veličković et al., "Graph Attention Networks", 2018, as PyG's `GATConv` computes it.

    Example:
        >>> edges = torch.tensor([[0, 1], [2, 2]])
        >>> x = torch.tensor([[[1.0]], [[5.0]], [[0.0]]])
        >>> edge_attention(edges, x, torch.zeros(3, 1)).flatten()
        tensor([0., 0., 3.])
    """
    if not 0 <= dropout <= 1:
        raise ValueError(f"dropout={dropout}: a share is 0 to 1")
    if x_src.dim() != 3 or not x_src.dtype.is_floating_point:
        raise ValueError(
            f"x_src has shape {list(x_src.shape)} and dtype {x_src.dtype}: values are floating point, [N, K, C]"
        )
    num_src, heads = x_src.size(0), x_src.size(1)
    if num_dst is None and alpha_dst is not None:
        num_dst = alpha_dst.size(0)
    graph, num_dst, num_edges = with_sizes(graph, num_dst, num_src)
    for name, tensor, rows in (
        ("alpha_src", alpha_src, num_src),
        ("alpha_dst", alpha_dst, num_dst),
        ("edge_logits", edge_logits, num_edges),
    ):
        if tensor is not None and (tensor.dim() != 2 or tensor.size(0) != rows or tensor.size(1) != heads):
            raise ValueError(
                f"{name} has shape {list(tensor.shape)}: with these nodes, edges and heads it is [{rows}, {heads}]"
            )
    given = (x_src, alpha_src, alpha_dst, edge_logits)
    dtype = reduce(torch.promote_types, (tensor.dtype for tensor in given if tensor is not None))
    inputs = AttentionInputs(*(None if tensor is None else tensor.to(dtype) for tensor in given))  # pyright: ignore
    options = AttentionOptions.draw(negative_slope, dropout, training, x_src.device)

    if is_traced() and not is_transformed() and not return_weights:
        return edge_attention_op(edge_tensor(graph), *inputs, options.seed, num_dst, negative_slope, options.dropout)[0]

    edges = as_graph(graph, num_dst, num_src, tuple(zip(_NAMES, inputs, strict=True)))
    situation = situation_of(edges, inputs.x, is_transformed(*inputs), return_weights)
    run = backend_for("edge_attention", situation)
    return run(inputs, edges, options, True) if return_weights else run(inputs, edges, options)
