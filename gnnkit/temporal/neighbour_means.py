"""The mean of those that a node hears, as a matrix that a rival multiplies with."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["neighbour_means"]

_SPARSE = 0.05
"""Share of all pairs below which a sparse product is faster than a dense one."""


def neighbour_means(windows: Any) -> list[Any]:
    """The weighted mean over the nodes that each node hears, and where edges have a direction, over those that hear it.

    Args:
        windows: have the graph; loops do not count.

    Returns:
        One or two matrices `[N, N]`, sparse or dense; the rows of nodes without a neighbour are zero.

    Example:
        >>> from types import SimpleNamespace
        >>> edges = {"edge_index": np.array([[0, 1], [2, 2]]), "edge_weight": np.array([1.0, 3.0])}
        >>> heard, hearing = neighbour_means(SimpleNamespace(node_names=("a", "b", "c"), **edges))
        >>> heard[2].tolist(), hearing[0].tolist()
        ([0.25, 0.75, 0.0], [0.0, 0.0, 1.0])
    """
    from scipy.sparse import csr_matrix, diags_array

    nodes, (source, target) = len(windows.node_names), windows.edge_index
    other = source != target
    weight = windows.edge_weight[other].astype(np.float64)
    heard: Any = csr_matrix((weight, (target[other], source[other])), shape=(nodes, nodes))
    turned = heard.T.tocsr()
    both = [heard] if abs(heard - turned).max() <= 1e-8 + 1e-5 * heard.max() else [heard, turned]
    sums = [np.asarray(each.sum(axis=1)).ravel() for each in both]
    shares = [np.divide(1.0, total, out=np.zeros(nodes), where=total > 0) for total in sums]
    found: list[Any] = [diags_array(share) @ each for share, each in zip(shares, both, strict=True)]
    return [each if each.nnz < _SPARSE * nodes**2 else each.toarray() for each in found]
