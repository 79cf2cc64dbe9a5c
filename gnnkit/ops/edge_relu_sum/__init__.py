"""The sum over neighbours of the positive part of features plus an edge's own."""

from gnnkit.ops.edge_relu_sum.front import edge_relu_sum

__all__ = ["edge_relu_sum"]
