"""Neighbours drawn at random, and the numbers of nodes in the order in which they are met."""

from gnnkit.ops.sample.front import draw_neighbors, number_nodes

__all__ = ["draw_neighbors", "number_nodes"]
