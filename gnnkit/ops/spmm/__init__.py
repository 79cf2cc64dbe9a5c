"""The weighted neighbour sum: a sparse matrix times node features."""

from gnnkit.ops.spmm.front import spmm

__all__ = ["spmm"]
