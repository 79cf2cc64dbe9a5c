"""Features carried along for K hops, and a gate that says how much of each hop a node takes: Liu et al.'s DAGNN."""

import torch
from torch import Tensor
from torch_geometric.utils import is_torch_sparse_tensor

from gnnkit.graph.checks import check_edge_weight
from gnnkit.layers._checks import check_features, check_graph_input
from gnnkit.layers._fused import add_up, has_own_hooks, prepare, runs_fused
from gnnkit.layers._linear import Linear
from gnnkit.layers._neighbour_sum import NeighbourSumLayer

__all__ = ["DAGNNLayer"]


class DAGNNLayer(NeighbourSumLayer):
    r"""Carry features K hops without a map between them, and let each node weigh what comes from each distance.

    With `P = D'^-1/2 (A + I) D'^-1/2` and a gate a in [0, 1] for each node and hop:

        H_0 = X,    H_k = P H_{k-1},    a_k = sigmoid(H_k s + b),    X' = Σ_{k=0..K} a_k H_k

    There is one vector s, whatever K: depth costs no parameters, and what a node has of its own is never averaged away.

    Args:
        channels: Features C of a node, in and out; most often one a class.
        K: Number of hops.
        cached, add_self_loops, normalize, **kwargs: As `GCNLayer`. Default False, True, True.

    Shape:
        `x`: `[..., N, C]`; `edge_index`: `[2, E]` (plain or `EdgeIndex`), or sparse `adj_t` `[N, N]`; `edge_weight`:
        `[E]`; returned: `[..., N, C]`. How a graph that changes is noticed is said at `GCNLayer`.

    Raises:
        ValueError: K is no whole number of at least 1, or x or the graph does not fit.

    Source:
        Liu, Gao & Ji, "Towards deeper graph neural networks" (2020), equations 8 to 12.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> DAGNNLayer(3, K=10)(torch.randn(6, 3), six_node_graph().edge_index).shape
        torch.Size([6, 3])
    """

    def __init__(
        self,
        channels: int,
        K: int,
        *,
        cached: bool = False,
        add_self_loops: bool = True,
        normalize: bool = True,
        **kwargs,
    ):
        kwargs.setdefault("aggr", "add")
        super().__init__(**kwargs)
        if isinstance(K, bool) or not isinstance(K, int) or K < 1:
            raise ValueError(f"K must be a whole number of hops, at least 1, got {K!r}")
        self.channels = channels
        self.K = K
        self.cached = cached
        self.add_self_loops = add_self_loops
        self.normalize = normalize
        self._own_hooks = has_own_hooks(type(self), DAGNNLayer)
        self.gate = Linear(channels, 1, weight_initializer="glorot")
        self.reset_parameters()

    def reset_parameters(self):
        """Draw the gate anew (Glorot) and forget the cached graph."""
        super().reset_parameters()
        self._cached_edge_index = None
        self.gate.reset_parameters()

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        """Compute the nodes' new features; see the class for shapes and errors."""
        check_features(x, self.channels)
        num_nodes = x.size(self.node_dim)
        check_edge_weight(edge_weight, check_graph_input(edge_index, (num_nodes, num_nodes), ids=False))
        if edge_weight is not None and is_torch_sparse_tensor(edge_index):
            raise ValueError("edge_weight cannot be given beside a sparse adj_t, whose values are the weights")
        fused = self.node_dim == -2 and runs_fused(self, edge_index, x, edge_weight)
        prepared = prepare(self, x, edge_index, edge_weight) if fused else None
        if prepared is None:
            edge_index, edge_weight = self._prepare_graph(x, edge_index, edge_weight)
        out = torch.sigmoid(self.gate(x)) * x
        for _ in range(self.K):
            if prepared is not None:
                x = add_up(prepared, x)
            else:
                # propagate_type: (x: Tensor, edge_weight: typing.Optional[Tensor])
                x = self.propagate(edge_index, x=x, edge_weight=edge_weight)
            out = out + torch.sigmoid(self.gate(x)) * x
        return out

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.channels}, K={self.K})"
