"""Attention over incoming edges whose logits are made of rows of both ends: GATv2's, and dot products."""

from gnnkit.ops.pair_attention.front import dot_attention, dynamic_attention

__all__ = ["dot_attention", "dynamic_attention"]
