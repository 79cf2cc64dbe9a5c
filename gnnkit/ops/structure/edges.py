"""Edges as they came: plain tensors of any format, and graphs that cannot be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from gnnkit.ops.structure.compress import compress
from gnnkit.ops.structure.graph import CompressedGraph
from gnnkit.ops.tracing import is_in_transform

__all__ = ["EdgeList", "as_graph", "edge_tensor", "plain", "with_sizes"]


@dataclass(frozen=True, eq=False)
class EdgeList:
    """A graph whose edges cannot be looked at: those of a tracer, or of a `torch.func` transform such as `vmap`.

    Args:
        edge_index: Sources and targets, `[2, E]`.
        num_dst, num_src: Numbers of targets and sources.
    """

    edge_index: Tensor
    num_dst: int
    num_src: int

    @property
    def num_edges(self) -> int:
        """E."""
        return self.edge_index.size(1)

    @property
    def device(self) -> torch.device:
        """The device of the edges."""
        return self.edge_index.device

    @property
    def degree(self) -> Tensor:
        """Number of incoming edges of each target, `[num_dst]`."""
        targets = self.edge_index[1]
        return targets.new_zeros(self.num_dst).index_add(0, targets, torch.ones_like(targets))

    def to_user_order(self, values: Tensor) -> Tensor:
        """Bring values `[E, ...]` from the order in which `compress` would sort the edges to the user's."""
        order = torch.argsort(self.edge_index[1], stable=True)
        return torch.zeros_like(values).index_copy(0, order, values)


def plain(edge_index: Tensor) -> Tensor:
    """An `EdgeIndex` as the tensor that it is; anything else as it is."""
    return edge_index.as_tensor() if isinstance(edge_index, EdgeIndex) else edge_index


def edge_tensor(graph: Tensor | CompressedGraph) -> Tensor:
    """The edges `[2, E]` of a graph, for an operator that takes no other form."""
    return graph.edge_index if isinstance(graph, CompressedGraph) else plain(graph)


def with_sizes(graph: Tensor | EdgeIndex | CompressedGraph, num_dst: int | None, num_src: int) -> tuple[Any, int, int]:
    """What a caller gave as graph, a sparse one compressed, with its numbers of targets and edges.

    The number of targets is what the caller said, else the graph's own where it has one, else `num_src`.
    """
    if not isinstance(graph, Tensor) or graph.layout != torch.strided:
        graph = compress(graph, num_dst, num_src)
        return graph, graph.num_dst, graph.num_edges
    if num_dst is None and isinstance(graph, EdgeIndex):
        num_dst = graph.sparse_size(1)
    return graph, num_src if num_dst is None else num_dst, graph.size(-1)


def as_graph(
    graph: Tensor | CompressedGraph, num_dst: int, num_src: int, values: tuple[tuple[str, Tensor | None], ...]
) -> CompressedGraph | EdgeList:
    """A graph as backends take it: compressed, or inside a `torch.func` transform, where nothing can be sorted, a list.

    Args:
        graph, num_dst, num_src: From `with_sizes`.
        values: Names of arguments, and the tensors that must be on the graph's device; a `ValueError` where one is not.
    """
    if is_in_transform() and isinstance(graph, Tensor) and graph.layout == torch.strided:
        found = EdgeList(plain(graph).long(), num_dst, num_src)
    else:
        found = compress(graph, num_dst, num_src)
    device = found.device
    for name, tensor in values:
        if tensor is not None and tensor.device != device:
            raise ValueError(
                f"{name} is on {tensor.device}, the graph on {device}: move them to one device with .to(...)"
            )
    return found
