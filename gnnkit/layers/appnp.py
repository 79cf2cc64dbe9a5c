"""Personalised propagation of Gasteiger et al., with the arguments and inputs of PyG's `APPNP`."""

import typing

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.nn import APPNP, MessagePassing
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.typing import Adj
from torch_geometric.utils import is_torch_sparse_tensor, to_edge_index
from torch_geometric.utils.sparse import set_sparse_value

from gnnkit.layers._checks import check_features, check_size, check_weighted_graph
from gnnkit.layers._fused import add_up, has_own_hooks, prepare, runs_fused
from gnnkit.layers._neighbour_sum import NeighbourSumLayer

__all__ = ["APPNPLayer"]


class APPNPLayer(NeighbourSumLayer, APPNP):
    r"""Personalised PageRank's way of propagation: K hops, each of which goes back to the start with probability alpha.

        X_0 = X;    X_k = (1 - alpha) D'^-1/2 A' D'^-1/2 X_(k-1) + alpha X              with A' = A + I

    Args:
        K: Number of hops.
        alpha: Share of the start in every hop, from 0 to 1.
        dropout: Probability, from 0 to 1, that an edge is dropped in training; dropped once, it stays so for the
            further hops. Default 0.
        cached: True normalises the graph of the first call and keeps it, for one that never changes. Default False.
        add_self_loops: Whether nodes without a self-loop get one, where `normalize` is True. Default True.
        normalize: Whether to divide by the square roots of the degrees. Default True.
        **kwargs: Passed on to `MessagePassing`: `aggr` (default `"add"`), `flow`, `node_dim`, ...

    Shape:
        As `GCNLayer`, with as many channels in the output as in `x`.

    Raises:
        ValueError: K below 1, alpha or dropout outside 0 to 1; in a call what `GCNLayer` raises.

    Source:
        Gasteiger, Bojchevski & Günnemann, "Predict then propagate" (2019), equations 4 and 5.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> layer = APPNPLayer(K=10, alpha=0.1)
        >>> layer(torch.randn(6, 16), six_node_graph().edge_index).shape
        torch.Size([6, 16])
    """

    # Else the layer would inherit what PyG generated for its own class, and explanations would be passed over.
    propagate = MessagePassing.propagate

    def __init__(
        self,
        K: int,
        alpha: float,
        dropout: float = 0.0,
        cached: bool = False,
        add_self_loops: bool = True,
        normalize: bool = True,
        **kwargs,
    ):
        check_size("K", K)
        for name, value in (("alpha", alpha), ("dropout", dropout)):
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} must be from 0 to 1, got {value!r}")
        super().__init__(K, alpha, dropout, cached, add_self_loops, normalize, **kwargs)  # pyright: ignore
        self._own_hooks = has_own_hooks(type(self), APPNPLayer)

    # TorchScript reads no shape annotations, and takes the steps alone.
    def forward(self, x: Tensor, edge_index: Adj, edge_weight: typing.Optional[Tensor] = None) -> Tensor:  # noqa: UP045
        """Compute the nodes' new features; see the class for shapes and errors."""
        if torch.jit.is_scripting():  # pyright: ignore[reportPrivateImportUsage]
            if self.normalize and isinstance(edge_index, Tensor):
                size, loops = x.size(self.node_dim), self.add_self_loops
                edge_index, edge_weight = gcn_norm(  # pyright: ignore[reportAssignmentType]
                    edge_index, edge_weight, size, False, loops, self.flow, x.dtype
                )
        else:
            check_features(x, 0)
            edge_index, edge_weight = check_weighted_graph(  # pyright: ignore[reportAssignmentType]
                edge_index,  # pyright: ignore[reportArgumentType]
                edge_weight,
                x.size(self.node_dim),
                normalize=self.normalize,
                ids=False,
            )
            drops = self.dropout > 0 and self.training
            if not drops and self.node_dim in (-2, x.dim() - 2) and runs_fused(self, edge_index, x, edge_weight):  # pyright: ignore
                graph, start = prepare(self, x, edge_index, edge_weight), self.alpha * x  # pyright: ignore[reportArgumentType]
                for _ in range(self.K):
                    x = torch.add(start, add_up(graph, x), alpha=1 - self.alpha)
                return x
            edge_index, edge_weight = self._prepare_graph(x, edge_index, edge_weight)  # pyright: ignore
        h = x
        for _ in range(self.K):
            if self.dropout > 0 and self.training and isinstance(edge_index, Tensor):
                if is_torch_sparse_tensor(edge_index):
                    _, edge_weight = to_edge_index(edge_index)
                    edge_weight = F.dropout(edge_weight, p=self.dropout)
                    edge_index = set_sparse_value(edge_index, edge_weight)
                else:
                    if edge_weight is None:
                        edge_weight = x.new_ones(edge_index.size(1))
                    edge_weight = F.dropout(edge_weight, p=self.dropout)
            # propagate_type: (x: Tensor, edge_weight: typing.Optional[Tensor])
            x = self.propagate(edge_index, x=x, edge_weight=edge_weight)
            x = x * (1 - self.alpha) + self.alpha * h
        return x
