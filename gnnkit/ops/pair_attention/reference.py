"""`pair_attention` as its definition says, one node at a time: the truth that the fast backends are held to."""

from __future__ import annotations

import torch
from torch import Tensor

from gnnkit.ops.attention.torch import dropout_factor
from gnnkit.ops.pair_attention.options import PairInputs, PairOptions
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["pair_attention"]


def pair_attention(inputs: PairInputs, graph: CompressedGraph, options: PairOptions) -> Tensor:
    """out[i] = Σ_e a_e v_e, a = softmax over incoming edges of the logits."""
    query, key, value, att, edge_attr, edge_map = inputs
    sources, targets = graph.edge_index
    heads = key.size(1)
    factor = None if options.seed is None else dropout_factor(graph, options, heads, key.dtype)
    rows = []
    for i in range(graph.num_dst):
        edges = (targets == i).nonzero().flatten()
        if len(edges) == 0:
            rows.append(query.new_zeros(query.shape[1:]))
            continue
        per_head = []
        for k in range(heads):
            keys = values = key[sources[edges], k]
            if att is None:
                values = value[sources[edges], k]  # pyright: ignore[reportOptionalSubscript]
                if edge_attr is not None:
                    keys, values = (torch.cat([part, edge_attr[edges]], dim=1) for part in (keys, values))
                logits = options.factor * (keys @ query[i, k])
            else:
                z = query[i, k] + keys
                if edge_attr is not None and edge_map is not None:
                    z = z + edge_attr[edges] @ edge_map[:, k]
                logits = torch.where(z > 0, z, options.negative_slope * z) @ att[k]
            attention = torch.softmax(logits, dim=0)
            if factor is not None:
                attention = attention * factor[edges, k]
            per_head.append(attention @ values)
        rows.append(torch.stack(per_head) if per_head else query.new_zeros(query.shape[1:]))
    return torch.stack(rows) if rows else query.new_zeros(query.shape)
