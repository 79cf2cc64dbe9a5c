"""`edge_attention` on torch-scatter, where it is installed."""

from __future__ import annotations

from torch import Tensor

from gnnkit.ops.attention.options import AttentionInputs, AttentionOptions
from gnnkit.ops.attention.torch import attend
from gnnkit.ops.segment.scatter import segment_softmax, segment_sum
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["edge_attention"]


def edge_attention(
    inputs: AttentionInputs, graph: CompressedGraph, options: AttentionOptions, return_weights: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """Softmax and sum with torch-scatter; see `gnnkit.ops.edge_attention`."""
    found = attend(inputs, graph, options, segment_softmax, segment_sum)
    return found if return_weights else found[0]
