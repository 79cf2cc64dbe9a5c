"""Sparse kernels: one public function each, a plain reference, and fast backends behind it."""

from gnnkit.ops.attention import edge_attention
from gnnkit.ops.bfs import hop_levels
from gnnkit.ops.dispatch import Choice, explain_backend, use_backend
from gnnkit.ops.edge_relu_sum import edge_relu_sum
from gnnkit.ops.grouped import grouped_matmul
from gnnkit.ops.neighbour_max import neighbour_max
from gnnkit.ops.pair_attention import dot_attention, dynamic_attention
from gnnkit.ops.recurrence import gated_recurrence
from gnnkit.ops.segment import segment_max, segment_mean, segment_softmax, segment_sum
from gnnkit.ops.spmm import spmm
from gnnkit.ops.structure.compress import compress
from gnnkit.ops.structure.graph import CompressedGraph
from gnnkit.ops.structure.remembered import forget, remember

__all__ = [
    "Choice",
    "CompressedGraph",
    "compress",
    "dot_attention",
    "dynamic_attention",
    "edge_attention",
    "edge_relu_sum",
    "explain_backend",
    "forget",
    "gated_recurrence",
    "grouped_matmul",
    "hop_levels",
    "neighbour_max",
    "remember",
    "segment_max",
    "segment_mean",
    "segment_softmax",
    "segment_sum",
    "spmm",
    "use_backend",
]
