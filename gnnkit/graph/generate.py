"""Small graphs to think with: the six nodes on which message passing is explained."""

from __future__ import annotations

import torch
from torch_geometric.data import Data

from gnnkit.graph.adjacency import from_dense

__all__ = ["six_node_graph"]

_MATRIX = ("110011", "110100", "001100", "011101", "100010", "100101")
_POSITIONS = ((1.0, 1.0), (2.0, 2.0), (4.0, 1.0), (3.0, 1.0), (0.0, 1.0), (2.0, 0.0))


def six_node_graph(*, self_loops: bool = True) -> Data:
    """The undirected graph of six nodes A to F, on which news from C needs four updates to reach E.

        E - A - B - D - C
             \\     /
              - F -

    Args:
        self_loops: True (default) keeps the ones on the diagonal, as the matrix is printed; False leaves them out.

    Returns:
        A PyG `Data` with `edge_index` `[2, 18]` (12 without self-loops), `edge_weight` of ones, `num_nodes` 6,
        `node_names` `("A", ..., "F")` and `pos` `[6, 2]` for drawing.

    Source:
        The course report from which gnnkit grew, section 3.2.

    Example:
        >>> graph = six_node_graph()
        >>> graph.num_nodes, graph.num_edges, graph.node_names[2]
        (6, 18, 'C')
    """
    matrix = torch.tensor([[float(entry) for entry in row] for row in _MATRIX])
    edge_index, edge_weight = from_dense(matrix, self_loops="keep" if self_loops else "remove")
    return Data(
        edge_index=edge_index,
        edge_weight=edge_weight,
        num_nodes=len(_MATRIX),
        node_names=tuple("ABCDEF"),
        pos=torch.tensor(_POSITIONS),
    )
