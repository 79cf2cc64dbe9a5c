"""PyG's neighbour sampler on gnnkit's ops: no pyg-lib, no torch-sparse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import torch
from torch import Tensor
from torch_geometric import typing as pyg
from torch_geometric.data import Data, HeteroData
from torch_geometric.sampler import HeteroSamplerOutput, SamplerOutput
from torch_geometric.sampler import NeighborSampler as PyGNeighborSampler
from torch_geometric.sampler.base import NumNeighbors, SubgraphType

from gnnkit.graph.checks import check_edge_index
from gnnkit.ops.sample import draw_neighbors, number_nodes

__all__ = ["NeighborSampler"]


class NeighborSampler(PyGNeighborSampler):
    """Neighbours drawn hop by hop around seeds, as `torch_geometric.sampler.NeighborSampler` with pyg-lib draws them.

    Every set of neighbours is equally likely (or likely by weight). Nodes stand in the order in which they are met,
    seeds first, so that PyG's `trim_to_layer` can be used. Draws come from torch's generator: `torch.manual_seed` and a
    `DataLoader`'s generator fix them.

    Args:
        data: A `Data`, a `HeteroData`, or a pair of feature store and graph store.
        num_neighbors: How many of each node's neighbours a hop takes, -1 for all; by edge type where there are some.
        *args: PyG's others, by place.
        **options: PyG's others, by name: `replace`, `disjoint`, `subgraph_type`, `time_attr` (of nodes or edges: a node
            sees nothing that is later than its seed), `temporal_strategy`, `weight_attr`, `is_sorted`,
            `share_memory`, `sample_direction`.

    Raises:
        ValueError: `num_neighbors` or `temporal_strategy` is unknown, an edge leads to no node, or the graph is an
            `adj_t` of torch's; in sampling, edges have times but seeds have none, or a seed is no node.
        NotImplementedError: An induced subgraph of several node types or of separate trees, as in PyG.

    Source:
        Hamilton et al., "Inductive representation learning on large graphs", 2017.
    """

    # A tensor, or several by type: PyG's `data_type` says which.
    colptr: Any
    row: Any
    num_nodes: Any
    node_types: Any
    node_time: Any
    edge_time: Any
    edge_weight: Any

    def __init__(self, data: Any, num_neighbors: Any, *args: Any, **options: Any) -> None:
        _check_counts(num_neighbors)
        _refuse_adj_t(data)
        _check_edges(data)
        with _as_if_pyg_lib_were_there():
            super().__init__(data, num_neighbors, *args, **options)
        if self.temporal_strategy not in ("uniform", "last"):
            raise ValueError(f"temporal_strategy is {self.temporal_strategy!r}; choose 'uniform' or 'last'")
        if self.subgraph_type == SubgraphType.induced and (self.is_hetero or self.disjoint):
            raise NotImplementedError(
                "subgraph_type='induced' is for graphs of one kind of nodes, without disjoint and times: "
                "choose 'directional' or 'bidirectional'"
            )

    def _sample(
        self,
        seed: Any,
        seed_time: Any = None,
        **kwargs: Any,
    ) -> SamplerOutput | HeteroSamplerOutput:
        """Called by PyG's `sample_from_nodes` and `sample_from_edges`."""
        if isinstance(seed, dict):
            return self._sample_types(seed, seed_time)
        kind = "node"
        relation = (kind, self.colptr, self.row, kind)
        times = None if seed_time is None else {kind: seed_time}
        grown = _Growth(
            {kind: seed},
            {kind: int(self.num_nodes)},
            disjoint=self.disjoint,
            until=self._until({kind: seed}, times, None if self.node_time is None else {kind: self.node_time}),
        )
        induced = self.subgraph_type == SubgraphType.induced
        counts: Any = self.num_neighbors.get_mapped_values()
        for count in counts:
            begins = grown.begin_hop()
            grown.grow("edges", relation, count, begins, **self._how(self.node_time, self.edge_time, self.edge_weight))
        row, col, edge = grown.induced(relation) if induced else grown.edges("edges")
        if self.sample_direction == "backward":
            row, col = col, row
        nodes = grown.num_nodes[kind]
        return SamplerOutput(
            node=grown.nodes[kind],
            row=row,
            col=col,
            edge=edge,
            batch=grown.batch[kind] if self.disjoint else None,
            num_sampled_nodes=None if induced else nodes,
            num_sampled_edges=None if induced else grown.num_edges.get("edges", []),
        )

    def _sample_types(self, seed: dict[str, Tensor], seed_time: dict[str, Tensor] | None) -> HeteroSamplerOutput:
        grown = _Growth(
            {kind: seed.get(kind, torch.empty(0, dtype=torch.int64)) for kind in self.node_types},
            self.num_nodes,
            disjoint=self.disjoint,
            until=self._until(seed, seed_time, self.node_time),
        )
        counts: Any = self.num_neighbors.get_mapped_values(self.edge_types)
        names = {kind: self.to_rel_type[kind] for kind in self.edge_types}
        for hop in range(self.num_neighbors.num_hops):
            begins = grown.begin_hop()
            for kind, name in names.items():
                count = counts[name][hop] if isinstance(counts, dict) else counts[hop]
                relation = (kind[0], self.colptr_dict[name], self.row_dict[name], kind[-1])
                times = (self.node_time or {}).get(kind[0])
                how = self._how(times, (self.edge_time or {}).get(name), (self.edge_weight or {}).get(name))
                grown.grow(name, relation, count, begins, **how)
        backward = self.sample_direction == "backward"
        rows, cols, edges, amounts = {}, {}, {}, {}
        for kind, name in names.items():
            key = self.to_restored_edge_type[kind] if backward else kind
            row, col, edges[key] = grown.edges(name)
            rows[key], cols[key] = (col, row) if backward else (row, col)
            amounts[key] = grown.num_edges.get(name, [])
        return HeteroSamplerOutput(
            node=grown.nodes,
            row=rows,
            col=cols,
            edge=edges,
            batch=grown.batch if self.disjoint else None,
            num_sampled_nodes=grown.num_nodes,
            num_sampled_edges=amounts,
        )

    def _how(self, node_time: Tensor | None, edge_time: Tensor | None, weight: Tensor | None) -> dict[str, Any]:
        return {
            "replace": self.replace,
            "node_time": node_time,
            "edge_time": edge_time,
            "weight": weight,
            "last": self.temporal_strategy == "last",
        }

    def _until(
        self, seed: dict[str, Tensor], seed_time: dict[str, Tensor] | None, node_time: dict[str, Tensor] | None
    ) -> dict[str, Tensor] | None:
        """The time of each seed, by its kind: given, or its own."""
        if not self.is_temporal:
            return None
        if seed_time is not None:
            return seed_time
        if node_time is None:
            raise ValueError("edges have times, but seeds have none: pass input_time, a time for each of input_nodes")
        return {kind: node_time[kind][nodes] for kind, nodes in seed.items()}


class _Growth:
    """A sampled graph that grows hop by hop. Ids are `tree · N + node`, where every seed has a tree of its own."""

    def __init__(
        self,
        seeds: Mapping[str, Tensor],
        sizes: Mapping[str, int],
        *,
        disjoint: bool,
        until: Mapping[str, Tensor] | None,
    ) -> None:
        self.sizes, self.disjoint = dict(sizes), disjoint
        self.nodes = {kind: nodes.long() for kind, nodes in seeds.items()}
        for kind, nodes in self.nodes.items():
            if nodes.numel() and not 0 <= int(nodes.min()) <= int(nodes.max()) < self.sizes[kind]:
                wrong = int(nodes.min() if nodes.min() < 0 else nodes.max())
                raise ValueError(f"input_nodes holds {wrong}, but there are {self.sizes[kind]} nodes")
        self.batch: dict[str, Tensor] = {}
        trees, times = 0, []
        for kind, nodes in self.nodes.items():
            self.batch[kind] = torch.arange(trees, trees + nodes.numel())
            trees += nodes.numel()
            if until is not None and nodes.numel():
                times.append(until[kind])
        self.until = None if until is None else torch.cat(times) if times else torch.empty(0)
        self.num_nodes = {kind: [nodes.numel()] for kind, nodes in self.nodes.items()}
        self.num_edges: dict[str, list[int]] = {}
        self._parts: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {}
        self._begins = dict.fromkeys(self.nodes, 0)

    def begin_hop(self) -> dict[str, tuple[int, int]]:
        """From where to where the nodes stand that were met in the hop before, by kind."""
        spans = {kind: (self._begins[kind], nodes.numel()) for kind, nodes in self.nodes.items()}
        self._begins = {kind: nodes.numel() for kind, nodes in self.nodes.items()}
        for amounts in self.num_nodes.values():
            amounts.append(0)
        return spans

    def grow(
        self,
        name: str,
        relation: tuple[str, Tensor, Tensor, str],
        count: int,
        spans: Mapping[str, tuple[int, int]],
        *,
        node_time: Tensor | None,
        edge_time: Tensor | None,
        last: bool,
        **how: Any,
    ) -> None:
        """Draw edges of one relation to the nodes that were met in the hop before."""
        source, colptr, row, target = relation
        begin, end = spans[target]
        at, tree = self.nodes[target][begin:end], self.batch[target][begin:end]
        if self.until is not None and (node_time is not None or edge_time is not None):
            how["time"] = edge_time if node_time is None else node_time[row]
            how["until"] = self.until[tree]
            how["last"] = last
        seed = int(torch.randint(1 << 62, ()))
        positions, numbers = draw_neighbors(colptr, at, count, seed=seed, **how)
        owner = torch.repeat_interleave(torch.arange(begin, end), numbers)
        found = row[positions].long()
        trees = self.batch[target][owner] if self.disjoint else None
        places, new = number_nodes(self._ids(source), found if trees is None else trees * self.sizes[source] + found)
        if trees is None:
            self.nodes[source] = torch.cat([self.nodes[source], new])
            self.batch[source] = torch.cat([self.batch[source], new])  # not read
        else:
            self.nodes[source] = torch.cat([self.nodes[source], new % self.sizes[source]])
            self.batch[source] = torch.cat([self.batch[source], new // self.sizes[source]])
        self.num_nodes[source][-1] += new.numel()
        self.num_edges.setdefault(name, []).append(positions.numel())
        self._parts.setdefault(name, []).append((places, owner, positions))

    def edges(self, name: str) -> tuple[Tensor, Tensor, Tensor]:
        """Sources, targets (as places) and positions of all edges of a relation that were drawn."""
        parts = self._parts.get(name, [])
        none = torch.empty(0, dtype=torch.int64)
        row, col, edge = (torch.cat(each) for each in zip(*parts, strict=True)) if parts else (none, none, none)
        return row, col, edge

    def induced(self, relation: tuple[str, Tensor, Tensor, str]) -> tuple[Tensor, Tensor, Tensor]:
        """The same for all edges between the nodes that were met."""
        kind, colptr, row, _ = relation
        nodes = self.nodes[kind]
        positions, numbers = draw_neighbors(colptr, nodes, -1, seed=0)
        owner = torch.repeat_interleave(torch.arange(nodes.numel()), numbers)
        places, _ = number_nodes(nodes, row[positions].long())
        inside = places < nodes.numel()
        return places[inside], owner[inside], positions[inside]

    def _ids(self, kind: str) -> Tensor:
        return self.batch[kind] * self.sizes[kind] + self.nodes[kind] if self.disjoint else self.nodes[kind]


def _check_counts(num_neighbors: Any) -> None:
    """Check how many neighbours each hop takes: a list, or one for each kind of edges."""
    if isinstance(num_neighbors, NumNeighbors):
        return
    kinds = list(num_neighbors.values()) if isinstance(num_neighbors, Mapping) else [num_neighbors]
    for counts in kinds:
        if not isinstance(counts, list | tuple) or not all(
            isinstance(count, Integral) and not isinstance(count, bool) and int(count) >= -1 for count in counts
        ):
            raise ValueError(
                f"num_neighbors holds {counts!r}: it is a list of whole numbers, one for each hop, -1 for all"
            )


def _refuse_adj_t(data: Any) -> None:
    """Say of a graph that is a sparse tensor of torch what PyG, which cannot cut parts out of it, would not."""
    stores = data.edge_stores if isinstance(data, Data | HeteroData) else []
    if any(isinstance(store.get("adj_t"), Tensor) for store in stores):
        raise ValueError(
            "data.adj_t is a sparse tensor of torch, of which no batches are cut: give the graph as data.edge_index"
        )


def _check_edges(data: Any) -> None:
    """Check that edges lead from node to node: PyG sorts them into an array of the nodes' size without a look."""
    if isinstance(data, Data):
        if data.edge_index is not None:
            check_edge_index(data.edge_index, data.num_nodes)
    elif isinstance(data, HeteroData):
        for kind in data.edge_types:
            if "edge_index" in data[kind]:
                sizes = (data[kind[0]].num_nodes, data[kind[-1]].num_nodes)
                check_edge_index(data[kind].edge_index, None if None in sizes else sizes)


@contextmanager
def _as_if_pyg_lib_were_there() -> Iterator[None]:
    """PyG's sampler asks what its libraries can do while it is made; gnnkit's ops can do all of it."""
    names = ("WITH_PYG_LIB", "WITH_EDGE_TIME_NEIGHBOR_SAMPLE", "WITH_WEIGHTED_NEIGHBOR_SAMPLE")
    former = {name: getattr(pyg, name) for name in names}
    try:
        for name in names:
            setattr(pyg, name, True)
        yield
    finally:
        for name, value in former.items():
            setattr(pyg, name, value)
