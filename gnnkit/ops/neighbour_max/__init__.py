"""The largest or smallest of each node's neighbours, entry by entry."""

from gnnkit.ops.neighbour_max.front import neighbour_max

__all__ = ["neighbour_max"]
