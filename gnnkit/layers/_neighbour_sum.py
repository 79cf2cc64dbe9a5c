"""What the layers that add up weighted neighbours share: the cached graph, the steps one after the other."""

import typing
from dataclasses import dataclass

from torch import Tensor
from torch_geometric.nn import MessagePassing
from torch_geometric.typing import Adj
from torch_geometric.utils import spmm

from gnnkit.layers._checks import check_graph_input, for_steps
from gnnkit.layers._fused import normalise_once


@dataclass(frozen=True)
class Propagation:
    """How a layer without a cached graph normalises: what `_fused.prepare` asks of a layer."""

    flow: str
    add_self_loops: bool = True
    normalize: bool = True
    improved: bool = False
    cached: bool = False
    _cached_edge_index: None = None


class NeighbourSumLayer(MessagePassing):
    """A layer whose messages are neighbours' features times the edge's weight, with the normalisation of `GCNLayer`.

    A layer beside it says `cached`, `add_self_loops` and `normalize`, and holds the cached graph, as PyG's `GCNConv`.
    """

    cached: bool
    add_self_loops: bool
    normalize: bool
    improved = False
    _cached_edge_index: typing.Optional[typing.Tuple[Tensor, typing.Optional[Tensor]]]  # noqa: UP006, UP045

    def _prepare_graph(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Add self-loops and normalise for the steps, once for all where the layer is cached."""
        if self.normalize and self._cached_edge_index is not None:
            return self._cached_edge_index
        num_nodes = x.size(self.node_dim)
        check_graph_input(edge_index, (num_nodes, num_nodes))
        edge_index = for_steps(edge_index)
        if not self.normalize:
            return edge_index, edge_weight
        graph = normalise_once(self, edge_index, edge_weight, num_nodes, x.dtype)
        if self.cached:
            self._cached_edge_index = graph
        return graph

    # PyG writes `propagate` from the hooks' annotations, and understands no `Tensor | None` there.
    def message(self, x_j: Tensor, edge_weight: typing.Optional[Tensor]) -> Tensor:  # noqa: UP045  # pyright: ignore
        # x_j: [..., E, C]
        return x_j if edge_weight is None else edge_weight.view(-1, 1) * x_j

    def message_and_aggregate(self, adj_t: Adj, x: Tensor) -> Tensor:  # pyright: ignore
        # adj_t: [N, N], x: [N, C]
        return spmm(adj_t, x, reduce=self.aggr)  # pyright: ignore[reportArgumentType]
