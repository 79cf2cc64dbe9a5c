"""Graph attention over incoming edges."""

from gnnkit.ops.attention.front import edge_attention

__all__ = ["edge_attention"]
