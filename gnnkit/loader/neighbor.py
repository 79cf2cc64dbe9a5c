"""PyG's neighbour loaders on gnnkit's sampler."""

from __future__ import annotations

import inspect
from typing import Any

from torch_geometric.data import HeteroData
from torch_geometric.loader import LinkNeighborLoader as PyGLinkNeighborLoader
from torch_geometric.loader import NeighborLoader as PyGNeighborLoader

from gnnkit.loader.sampler import NeighborSampler

__all__ = ["LinkNeighborLoader", "NeighborLoader"]

_OF_SAMPLER = (
    *("replace", "subgraph_type", "disjoint", "temporal_strategy", "time_attr", "weight_attr", "is_sorted", "directed"),
)


def _bind(loader: type, *args: Any, **options: Any) -> dict[str, Any]:
    """The arguments of a PyG loader by name, with gnnkit's sampler among them."""
    named = dict(inspect.signature(loader).bind(*args, **options).arguments)
    named |= named.pop("kwargs", {})
    if named.get("input_time") is not None and named.get("time_attr") is None:
        raise ValueError("input_time is given, but time_attr is not: say which attribute holds the times")
    if loader is PyGNeighborLoader:
        _check_seeds(named["data"], named.get("input_nodes"))
    if named.get("neighbor_sampler") is None:
        given = {name: named[name] for name in _OF_SAMPLER if name in named}
        share = named.get("num_workers", 0) > 0
        named["neighbor_sampler"] = NeighborSampler(named["data"], named["num_neighbors"], share_memory=share, **given)
    return named


def _check_seeds(data: Any, input_nodes: Any) -> None:
    """Check what kind of nodes the seeds of a `HeteroData` are."""
    if not isinstance(data, HeteroData):
        return
    kind = input_nodes[0] if isinstance(input_nodes, tuple | list) and input_nodes else input_nodes
    if not isinstance(kind, str) or kind not in data.node_types:
        given = repr(kind) if kind is None or isinstance(kind, str) else type(kind).__name__
        raise ValueError(
            f"input_nodes says {given}; of a HeteroData it is a kind of nodes, {', '.join(data.node_types)}, or a pair "
            "of a kind and the seeds"
        )


class NeighborLoader(PyGNeighborLoader):
    """`torch_geometric.loader.NeighborLoader`, with its arguments and batches, without pyg-lib and torch-sparse.

    Args:
        *args: PyG's: `data` (a `Data`, a `HeteroData`, or a pair of feature store and graph store), `num_neighbors`
            (how many of each node's neighbours a hop takes, -1 for all; a dict by edge type, too), `input_nodes` (the
            seeds; default: all), and the others.
        **options: The same by name, and those of torch's `DataLoader`.

    Example:
        >>> import torch
        >>> from torch_geometric.data import Data
        >>> graph = Data(x=torch.eye(3), edge_index=torch.tensor([[0, 1], [1, 2]]))
        >>> next(iter(NeighborLoader(graph, [2, 2], input_nodes=torch.tensor([2])))).n_id.tolist()
        [2, 1, 0]
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(**_bind(PyGNeighborLoader, *args, **options))


class LinkNeighborLoader(PyGLinkNeighborLoader):
    """`torch_geometric.loader.LinkNeighborLoader`, with its arguments and batches, without pyg-lib and torch-sparse.

    Args:
        *args: PyG's: `data`, `num_neighbors`, `edge_label_index` (the seeds; default: all edges), and the others.
        **options: The same by name, and those of torch's `DataLoader`.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(**_bind(PyGLinkNeighborLoader, *args, **options))
