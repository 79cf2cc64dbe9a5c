"""PyG's cluster batches on breadth-first parts."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch_geometric.loader import ClusterData as PyGClusterData
from torch_geometric.loader import ClusterLoader

from gnnkit.loader.partition import partition_nodes

# Among PyG's arguments after `num_parts`: recursive, save_dir, filename, log.
_PLACE_OF_LOG = 4

__all__ = ["ClusterData", "ClusterLoader"]


class ClusterData(PyGClusterData):
    """`torch_geometric.loader.ClusterData` whose parts are grown breadth-first, in the place of METIS's.

    Parts are of equal size, and cut more edges than METIS's do. Goes into PyG's `ClusterLoader`, which
    `gnnkit.loader` has under its name.

    Args:
        data: The graph.
        num_parts: Number of parts.
        *args: PyG's others, by place.
        **options: PyG's others, by name; `log` is False by default.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> parts = ClusterData(six_node_graph(), 2, log=False)
        >>> [part.num_nodes for part in parts]
        [3, 3]
    """

    def __init__(self, data: Any, num_parts: int, *args: Any, **options: Any) -> None:
        if len(args) < _PLACE_OF_LOG:
            options.setdefault("log", False)
        super().__init__(data, num_parts, *args, **options)

    def _metis(self, edge_index: Tensor, num_nodes: int) -> Tensor:
        return partition_nodes(edge_index, num_nodes, self.num_parts).to(edge_index.device)
