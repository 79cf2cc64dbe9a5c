"""Graphs: adjacency, normalisation, hop distances, receptive fields and the six-node graph."""

from typing import TYPE_CHECKING

from gnnkit._lazy import import_lazily

if TYPE_CHECKING:
    from gnnkit.graph.adjacency import from_dense, normalize_adjacency, set_self_loops, to_dense
    from gnnkit.graph.bottlenecks import Resistance, balanced_forman_curvature, effective_resistance
    from gnnkit.graph.checks import check_adj_t, check_edge_index, check_edge_weight, check_graph
    from gnnkit.graph.depth import DepthSuggestion, ReceptiveFields, receptive_field_sizes, suggest_depth
    from gnnkit.graph.diagnostics import LayerSmoothness, dirichlet_energy, mean_average_distance, smoothness_by_layer
    from gnnkit.graph.draw import draw_adjacency, draw_receptive_field
    from gnnkit.graph.draw_report import check_report_folder, draw_report, write_report
    from gnnkit.graph.formats import as_data, from_csr, from_networkx, to_csr, to_networkx
    from gnnkit.graph.generate import six_node_graph
    from gnnkit.graph.influence import count_hops, influence_by_hop
    from gnnkit.graph.near import correlations, gaussian_kernel, great_circle, nearest
    from gnnkit.graph.propagation import normalized_adjacency, propagate
    from gnnkit.graph.receptive import (
        hop_distances,
        k_hop_nodes,
        node_id,
        receptive_field,
        shortest_paths,
        updates_needed,
    )
    from gnnkit.graph.report import GraphReport, diameter_bounds, report_graph
    from gnnkit.graph.variants import GraphVariant, graph_variant
else:
    import_lazily(__name__)

__all__ = [
    "DepthSuggestion",
    "GraphReport",
    "GraphVariant",
    "LayerSmoothness",
    "ReceptiveFields",
    "Resistance",
    "as_data",
    "balanced_forman_curvature",
    "check_adj_t",
    "check_edge_index",
    "check_edge_weight",
    "check_graph",
    "check_report_folder",
    "correlations",
    "count_hops",
    "diameter_bounds",
    "dirichlet_energy",
    "draw_adjacency",
    "draw_receptive_field",
    "draw_report",
    "effective_resistance",
    "from_csr",
    "from_dense",
    "from_networkx",
    "gaussian_kernel",
    "graph_variant",
    "great_circle",
    "hop_distances",
    "influence_by_hop",
    "k_hop_nodes",
    "mean_average_distance",
    "nearest",
    "node_id",
    "normalize_adjacency",
    "normalized_adjacency",
    "propagate",
    "receptive_field",
    "receptive_field_sizes",
    "report_graph",
    "set_self_loops",
    "shortest_paths",
    "six_node_graph",
    "smoothness_by_layer",
    "suggest_depth",
    "to_csr",
    "to_dense",
    "to_networkx",
    "updates_needed",
    "write_report",
]
