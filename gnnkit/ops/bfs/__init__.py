"""Breadth-first levels from many sources at once."""

from gnnkit.ops.bfs.front import hop_levels

__all__ = ["hop_levels"]
