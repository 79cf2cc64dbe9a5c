"""Mini-batches of a large graph, with PyG's arguments and batches, without pyg-lib and torch-sparse."""

from gnnkit.loader.cluster import ClusterData, ClusterLoader
from gnnkit.loader.neighbor import LinkNeighborLoader, NeighborLoader
from gnnkit.loader.partition import PartitionLoader, partition_nodes
from gnnkit.loader.sampler import NeighborSampler

__all__ = [
    "ClusterData",
    "ClusterLoader",
    "LinkNeighborLoader",
    "NeighborLoader",
    "NeighborSampler",
    "PartitionLoader",
    "partition_nodes",
]
