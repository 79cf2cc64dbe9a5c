"""The simplified graph convolution of Wu et al., with the arguments, inputs and `state_dict` of PyG's `SGConv`."""

import typing

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.nn import MessagePassing, SGConv
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.typing import Adj

from gnnkit.layers._aggregate import maps_first
from gnnkit.layers._checks import check_features, check_size, check_weighted_graph, check_widths, for_steps
from gnnkit.layers._fused import add_up, has_own_hooks, normalise_once, prepare, runs_fused
from gnnkit.layers._linear import take_sparse_features
from gnnkit.layers._neighbour_sum import NeighbourSumLayer, Propagation

__all__ = ["SGLayer"]


class SGLayer(NeighbourSumLayer, SGConv):
    r"""Simplified graph convolution: K hops of the normalised neighbour sum of `GCNLayer`, then one linear map.

        X' = (D'^-1/2 A' D'^-1/2)^K X W + b              with A' = A + I and D' its degrees

    Where W has fewer columns than X, X W is what is added up, which gives the same.

    Args:
        in_channels: Features F of a node; -1 takes them from the first input.
        out_channels: Features C of a node in the output.
        K: Number of hops. Default 1.
        cached: True keeps the K hops of the first call's features, for graph and features that never change. Default
            False.
        add_self_loops: Whether nodes without a self-loop get one. Default True.
        bias: Whether to add a learnt bias. Default True.
        **kwargs: Passed on to `MessagePassing`: `aggr` (default `"add"`), `flow`, `node_dim`, ...

    Shape:
        As `GCNLayer`; a sparse `adj_t` is normalised too.

    Raises:
        ValueError: K below 1; in a call what `GCNLayer` raises.

    Source:
        Wu et al., "Simplifying graph convolutional networks" (2019), equation 8.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> layer = SGLayer(16, 4, K=2)
        >>> layer(torch.randn(6, 16), six_node_graph().edge_index).shape
        torch.Size([6, 4])
    """

    # Else the layer would inherit what PyG generated for its own class, and explanations would be passed over.
    propagate = MessagePassing.propagate
    normalize = True
    _cached_x: typing.Optional[Tensor]  # noqa: UP045

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        K: int = 1,
        cached: bool = False,
        add_self_loops: bool = True,
        bias: bool = True,
        **kwargs,
    ):
        check_size("K", K)
        check_widths(in_channels, out_channels)
        super().__init__(in_channels, out_channels, K, cached, add_self_loops, bias, **kwargs)  # pyright: ignore
        take_sparse_features(self)
        self._own_hooks = has_own_hooks(type(self), SGLayer)

    # TorchScript reads no shape annotations, and takes the steps alone.
    def forward(self, x: Tensor, edge_index: Adj, edge_weight: typing.Optional[Tensor] = None) -> Tensor:  # noqa: UP045
        """Compute the nodes' new features; see the class for shapes and errors."""
        cache = self._cached_x
        if cache is not None:
            return self.lin(cache.detach())
        if torch.jit.is_scripting():  # pyright: ignore[reportPrivateImportUsage]
            if isinstance(edge_index, Tensor):
                size, loops = x.size(self.node_dim), self.add_self_loops
                edge_index, edge_weight = gcn_norm(  # pyright: ignore[reportAssignmentType]
                    edge_index, edge_weight, size, False, loops, self.flow, x.dtype
                )
        else:
            check_features(x, self.lin)
            edge_index, edge_weight = check_weighted_graph(  # pyright: ignore[reportAssignmentType]
                edge_index,  # pyright: ignore[reportArgumentType]
                edge_weight,
                x.size(self.node_dim),
                normalize=True,
                ids=False,
            )
            if self.node_dim in (-2, x.dim() - 2) and runs_fused(self, edge_index, x, edge_weight):  # pyright: ignore
                return self._fused(x, edge_index, edge_weight)  # pyright: ignore[reportArgumentType]
            edge_index = for_steps(edge_index)  # pyright: ignore[reportArgumentType]
            edge_index, edge_weight = normalise_once(self, edge_index, edge_weight, x.size(self.node_dim), x.dtype)  # pyright: ignore
        for _ in range(self.K):
            # propagate_type: (x: Tensor, edge_weight: typing.Optional[Tensor])
            x = self.propagate(edge_index, x=x, edge_weight=edge_weight)
            if self.cached:
                self._cached_x = x
        return self.lin(x)

    def _fused(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None) -> Tensor:
        graph = prepare(Propagation(self.flow, self.add_self_loops), x, edge_index, edge_weight)
        is_first = not self.cached and edge_index.layout == torch.strided and maps_first(self, x, edge_weight, self.lin)
        if is_first:
            x = F.linear(x, self.lin.weight)
        for _ in range(self.K):
            x = add_up(graph, x)
        if self.cached:
            self._cached_x = x
        if not is_first:
            return self.lin(x)
        return x if self.lin.bias is None else x + self.lin.bias
