"""`edge_attention` as its definition says, one node at a time: the truth that the fast backends are held to."""

from __future__ import annotations

import torch
from torch import Tensor

from gnnkit.ops.attention.options import AttentionInputs, AttentionOptions
from gnnkit.ops.attention.torch import dropout_factor
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["edge_attention"]


def edge_attention(
    inputs: AttentionInputs, graph: CompressedGraph, options: AttentionOptions, return_weights: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """out[i] = Σ_e a_e x[j], a = softmax over incoming edges of leaky_relu(alpha_src[j] + alpha_dst[i] + logit_e)."""
    x, alpha_src, alpha_dst, edge_logits = inputs
    sources, targets = graph.edge_index
    factor = None if options.seed is None else dropout_factor(graph, options, x.size(1), x.dtype)
    rows, weights = [], x.new_zeros(graph.num_edges, x.size(1))
    for i in range(graph.num_dst):
        edges = (targets == i).nonzero().flatten()
        if len(edges) == 0:
            rows.append(x.new_zeros(x.shape[1:]))
            continue
        logits = alpha_src[sources[edges]]
        if alpha_dst is not None:
            logits = logits + alpha_dst[i]
        if edge_logits is not None:
            logits = logits + edge_logits[edges]
        logits = torch.where(logits > 0, logits, options.negative_slope * logits)
        attention = torch.softmax(logits, dim=0)
        if factor is not None:
            attention = attention * factor[edges]
        rows.append((attention[:, :, None] * x[sources[edges]]).sum(0))
        weights = weights.index_put((edges,), attention)
    out = torch.stack(rows) if rows else x.new_zeros(0, *x.shape[1:])
    return (out, weights) if return_weights else out
