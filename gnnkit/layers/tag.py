"""The topology-adaptive convolution of Du et al., with the arguments, inputs and `state_dict` of PyG's `TAGConv`."""

import typing

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.nn import MessagePassing, TAGConv
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.typing import Adj

from gnnkit.layers._aggregate import maps_first
from gnnkit.layers._checks import check_features, check_weighted_graph, check_widths
from gnnkit.layers._fused import add_up, has_own_hooks, prepare, runs_fused
from gnnkit.layers._linear import Linear, is_plain
from gnnkit.layers._neighbour_sum import NeighbourSumLayer, Propagation

__all__ = ["TAGLayer"]


class TAGLayer(NeighbourSumLayer, TAGConv):
    r"""Topology-adaptive convolution: a sum of linear maps of what each number of hops has brought, 0 to K.

        X' = sum over k = 0 .. K of (D^-1/2 A D^-1/2)^k X W_k + b              D the degrees of A, without self-loops

    Where the W_k have fewer columns than X, `X W_K` is added up first, then `X W_(K-1)` with it, and so on (Horner's
    rule), which gives the same.

    Args:
        in_channels: Features F of a node; -1 takes them from the first input.
        out_channels: Features C of a node in the output.
        K: Number of hops. Default 3.
        bias: Whether to add a learnt bias. Default True.
        normalize: Whether to divide by the square roots of the degrees. Default True.
        **kwargs: Passed on to `MessagePassing`: `aggr` (default `"add"`), `flow`, `node_dim`, ...

    Shape:
        As `GCNLayer`.

    Raises:
        ValueError: K below 0; in a call what `GCNLayer` raises.

    Source:
        Du et al., "Topology adaptive graph convolutional networks" (2017), equation 3.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> layer = TAGLayer(16, 4)
        >>> layer(torch.randn(6, 16), six_node_graph().edge_index).shape
        torch.Size([6, 4])
    """

    # Else the layer would inherit what PyG generated for its own class, and explanations would be passed over.
    propagate = MessagePassing.propagate
    cached = False
    add_self_loops = False
    _cached_edge_index = None

    def __init__(
        self, in_channels: int, out_channels: int, K: int = 3, bias: bool = True, normalize: bool = True, **kwargs
    ):
        if K < 0:
            raise ValueError(f"K must be a whole number of at least 0, got {K!r}")
        check_widths(in_channels, out_channels)
        super().__init__(in_channels, out_channels, K, bias, normalize, **kwargs)  # pyright: ignore
        for lin in self.lins:
            lin.__class__ = Linear
        self._own_hooks = has_own_hooks(type(self), TAGLayer)

    # TorchScript reads no shape annotations, and takes the steps alone.
    def forward(self, x: Tensor, edge_index: Adj, edge_weight: typing.Optional[Tensor] = None) -> Tensor:  # noqa: UP045
        """Compute the nodes' new features; see the class for shapes and errors."""
        if torch.jit.is_scripting():  # pyright: ignore[reportPrivateImportUsage]
            if self.normalize and isinstance(edge_index, Tensor):
                edge_index, edge_weight = gcn_norm(  # pyright: ignore[reportAssignmentType]
                    edge_index, edge_weight, x.size(self.node_dim), False, False, self.flow, x.dtype
                )
        else:
            check_features(x, self.lins[0])
            edge_index, edge_weight = check_weighted_graph(  # pyright: ignore[reportAssignmentType]
                edge_index,  # pyright: ignore[reportArgumentType]
                edge_weight,
                x.size(self.node_dim),
                normalize=self.normalize,
                ids=False,
            )
            if self.node_dim in (-2, x.dim() - 2) and runs_fused(self, edge_index, x, edge_weight):  # pyright: ignore
                return self._fused(x, edge_index, edge_weight)  # pyright: ignore[reportArgumentType]
            edge_index, edge_weight = self._prepare_graph(x, edge_index, edge_weight)  # pyright: ignore
        out = self.lins[0](x)
        for lin in self.lins[1:]:
            # propagate_type: (x: Tensor, edge_weight: typing.Optional[Tensor])
            x = self.propagate(edge_index, x=x, edge_weight=edge_weight)
            out = out + lin.forward(x)  # in the words that TorchScript knows
        return out if self.bias is None else out + self.bias

    def _fused(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None) -> Tensor:
        settings = Propagation(self.flow, add_self_loops=False, normalize=self.normalize)
        graph, first, *lins = prepare(settings, x, edge_index, edge_weight), *self.lins
        is_list, plain = edge_index.layout == torch.strided, all(is_plain(lin) for lin in self.lins)
        if is_list and plain and lins and maps_first(self, x, edge_weight, first):
            out = F.linear(x, lins[-1].weight)  # pyright: ignore[reportArgumentType]
            for lin in reversed([first, *lins[:-1]]):
                out = add_up(graph, out) + F.linear(x, lin.weight)  # pyright: ignore[reportArgumentType]
        else:
            out = first(x)
            for lin in lins:
                x = add_up(graph, x)
                out = out + lin(x)
        return out if self.bias is None else out + self.bias
