"""Graphs: adjacency, normalisation, hop distances, receptive fields and the six-node graph."""

from gnnkit.graph.adjacency import from_dense, normalize_adjacency, set_self_loops, to_dense
from gnnkit.graph.checks import check_adj_t, check_edge_index, check_edge_weight, check_graph
from gnnkit.graph.draw import draw_adjacency, draw_receptive_field
from gnnkit.graph.formats import from_csr, from_networkx, to_csr, to_networkx
from gnnkit.graph.generate import six_node_graph
from gnnkit.graph.propagation import normalized_adjacency, propagate
from gnnkit.graph.receptive import (
    hop_distances,
    k_hop_nodes,
    node_id,
    receptive_field,
    shortest_paths,
    updates_needed,
)

__all__ = [
    "check_adj_t",
    "check_edge_index",
    "check_edge_weight",
    "check_graph",
    "draw_adjacency",
    "draw_receptive_field",
    "from_csr",
    "from_dense",
    "from_networkx",
    "hop_distances",
    "k_hop_nodes",
    "node_id",
    "normalize_adjacency",
    "normalized_adjacency",
    "propagate",
    "receptive_field",
    "set_self_loops",
    "shortest_paths",
    "six_node_graph",
    "to_csr",
    "to_dense",
    "to_networkx",
    "updates_needed",
]
