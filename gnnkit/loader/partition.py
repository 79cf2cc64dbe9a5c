"""Mini-batches of a graph that is too large for one step: breadth-first parts with their surroundings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from gnnkit.graph.checks import check_edge_index, check_graph
from gnnkit.ops import compress

__all__ = ["PartitionLoader", "partition_nodes"]


def partition_nodes(edge_index: Tensor, num_nodes: int, num_parts: int, *, seed: int = 0) -> Tensor:
    """Cut a graph into parts of equal size, each grown breadth-first from a node, so that few edges lead out of it.

    A part starts at the node next to the last one that is still free, and takes the free neighbours of what it has,
    level by level, directions left out of account, until it is full; where none is left it goes on elsewhere.

    Args:
        edge_index: Sources and targets.
        num_nodes: Node count N.
        num_parts: Number of parts, from 1 to N.
        seed: Of the first node. Default 0.

    Shape:
        `edge_index`: `[2, E]`; returned: `[N]`.

    Returns:
        The part of each node, from 0; sizes differ by one at most.

    Raises:
        ValueError: A malformed edge list, or `num_parts` out of range.

    Example:
        >>> path = torch.tensor([[0, 1, 2], [1, 2, 3]])
        >>> sorted(torch.bincount(partition_nodes(path, 4, 2)).tolist())
        [2, 2]
    """
    plain = check_edge_index(edge_index, num_nodes).long().cpu()
    if not 1 <= num_parts <= max(num_nodes, 1):
        raise ValueError(f"num_parts must be from 1 to the {num_nodes} nodes, got {num_parts}")
    graph = compress(torch.cat([plain, plain.flip(0)], dim=1), num_nodes, num_nodes)
    pointers, neighbours = graph.rowptr.numpy().astype(np.int64), graph.col.numpy()
    order = np.random.default_rng(seed).permutation(num_nodes)
    part = np.full(num_nodes, -1, dtype=np.int64)
    sizes = np.full(num_parts, num_nodes // num_parts)
    sizes[: num_nodes % num_parts] += 1
    frontier, cursor = np.empty(0, dtype=np.int64), 0
    for number, room in enumerate(sizes):
        # What the last part would have taken next lies beside it: beginning there leaves no holes.
        frontier = frontier[part[frontier] < 0][:1]
        while room > 0:
            if frontier.size == 0:
                while part[order[cursor]] >= 0:
                    cursor += 1
                frontier = order[cursor : cursor + 1]
            taken = frontier[:room]
            part[taken] = number
            room -= taken.size
            rest = frontier[taken.size :]
            spans = pointers[taken + 1] - pointers[taken]
            offsets = np.repeat(pointers[taken] - np.concatenate([[0], spans.cumsum()[:-1]]), spans)
            near = np.unique(neighbours[np.arange(spans.sum()) + offsets])
            frontier = np.concatenate([rest, near[part[near] < 0]])
    return torch.from_numpy(part)


class PartitionLoader:
    """Batches of a graph, each some breadth-first parts with the nodes around them, in a new order every epoch.

    A batch is a PyG `Data`: the induced subgraph of its own nodes and of those within `halo` hops before them, with
    every per-node entry of the graph, `n_id` (the nodes' ids in the graph) and `own_mask` (the nodes that the batch is
    for: each node of the graph is in exactly one batch of an epoch). With as many hops of halo as the model has layers,
    plus one where it divides by degrees, own nodes get the very output that they have on the whole graph.

    Args:
        data: The graph.
        num_parts: Number of parts.
        parts_per_batch: Parts in a batch. Default 1.
        halo: Hops of surroundings. Default 1.
        shuffle: Whether parts are put together anew every epoch. Default True.
        seed: Of parts and order. Default 0.

    Raises:
        ValueError: A malformed graph, or a number out of range.

    Source:
        Chiang et al., "Cluster-GCN" (2019), with breadth-first parts in the place of METIS's.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> batches = list(PartitionLoader(six_node_graph(), 3))
        >>> sorted(torch.cat([batch.n_id[batch.own_mask] for batch in batches]).tolist())
        [0, 1, 2, 3, 4, 5]
    """

    def __init__(
        self,
        data: Data,
        num_parts: int,
        *,
        parts_per_batch: int = 1,
        halo: int = 1,
        shuffle: bool = True,
        seed: int = 0,
    ):
        edge_index, self.num_nodes = check_graph(data)
        self.edge_index = edge_index.long()  # what is indexed with uint8 is masked
        if not 1 <= parts_per_batch <= num_parts:
            raise ValueError(f"parts_per_batch must be from 1 to num_parts, {num_parts}, got {parts_per_batch}")
        if halo < 0:
            raise ValueError(f"halo must be 0 or more hops, got {halo}")
        self.data = data
        self.part = partition_nodes(self.edge_index, self.num_nodes, num_parts, seed=seed)
        self.num_parts = num_parts
        self.parts_per_batch = parts_per_batch
        self.halo = halo
        self.shuffle = shuffle
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return -(-self.num_parts // self.parts_per_batch)

    def __iter__(self) -> Iterator[Data]:
        order = torch.arange(self.num_parts)
        if self.shuffle:
            order = torch.randperm(self.num_parts, generator=self.generator)
        for parts in order.split(self.parts_per_batch):
            yield self.batch(torch.isin(self.part, parts))

    def batch(self, own: Tensor) -> Data:
        """The batch for the nodes of a mask `[N]`."""
        source, target = self.edge_index
        inside = own.to(source.device)
        for _ in range(self.halo):
            reached = inside.clone()
            reached[source[inside[target]]] = True
            inside = reached
        nodes = inside.nonzero().view(-1)
        number = torch.empty(self.num_nodes, dtype=torch.long, device=source.device)
        number[nodes] = torch.arange(nodes.numel(), device=source.device)
        kept = inside[source] & inside[target]
        batch = Data(edge_index=number[self.edge_index[:, kept]], num_nodes=nodes.numel())
        for key, value in self.data.items():
            if key == "edge_index" or not isinstance(value, Tensor) or value.dim() == 0:
                continue
            if self.data.is_edge_attr(key):
                batch[key] = value[kept]
            elif self.data.is_node_attr(key):
                batch[key] = value.index_select(0, nodes) if value.layout == torch.strided else _rows(value, nodes)
        batch.n_id, batch.own_mask = nodes, own.to(nodes.device)[nodes]
        return batch


def _rows(matrix: Tensor, rows: Tensor) -> Tensor:
    """Rows of a sparse CSR matrix, as one."""
    start, stop = matrix.crow_indices()[rows], matrix.crow_indices()[rows + 1]
    counts = stop - start
    pointers = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    place = torch.arange(int(pointers[-1]), device=rows.device) + torch.repeat_interleave(start - pointers[:-1], counts)
    return torch.sparse_csr_tensor(
        pointers,
        matrix.col_indices()[place],
        matrix.values()[place],
        (rows.numel(), matrix.size(1)),
        check_invariants=False,
    )
