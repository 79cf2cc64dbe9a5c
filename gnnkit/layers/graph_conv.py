"""The graph convolution of Morris et al., with the arguments, inputs and `state_dict` of PyG's `GraphConv`."""

import typing

import torch
from torch import Tensor
from torch_geometric.nn import GraphConv, MessagePassing
from torch_geometric.typing import Adj, OptPairTensor, Size

from gnnkit.layers._aggregate import aggregates_fused, check_ids, check_pair_call, convolve_pair
from gnnkit.layers._checks import check_aggr, check_widths
from gnnkit.layers._fused import has_own_hooks
from gnnkit.layers._linear import take_sparse_features

__all__ = ["GraphConvLayer"]


class GraphConvLayer(GraphConv):
    r"""Graph convolution: each node takes the weighted sum of its neighbours, and its own features, both transformed.

        x'_i = W_root x_i + W_rel sum_j w_ji x_j + b              over the senders j of i

    Args:
        in_channels: Features F of a node, or a pair for sources and targets; -1 takes them from the first input.
        out_channels: Features C of a node in the output.
        aggr: `"add"` (default), `"sum"`, `"mean"`, `"max"`, `"min"`, which are fused, or any other aggregation of PyG,
            which runs as PyG's.
        bias: Whether to add a learnt bias. Default True.
        **kwargs: Passed on to `MessagePassing`: `flow`, `node_dim`, ...

    Shape:
        `x`: `[..., N, F]`, or a pair `[..., N_src, F_src]`, `[..., N_dst, F_dst]` (the second may be None);
        `edge_index`: `[2, E]` (plain or `EdgeIndex`), or sparse `adj_t` `[N_dst, N_src]` (CSR, COO or CSC), whose
        values are the weights; `edge_weight`: `[E]` or `[E, 1]`; returned: `[..., N_dst, C]`. Changed graphs:
        `GCNLayer`.

    Raises:
        ValueError: In a call: features of another width, a malformed graph, a node id out of range, weights that are
            not one for each edge, a `size` that is not that of `x`.

    Source:
        Morris et al., "Weisfeiler and Leman go neural: higher-order graph neural networks" (2019), equation 4.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> layer = GraphConvLayer(16, 4)
        >>> layer(torch.randn(6, 16), six_node_graph().edge_index).shape
        torch.Size([6, 4])
    """

    # Else the layer would inherit what PyG generated for its own class, and explanations would be passed over.
    propagate = MessagePassing.propagate

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        aggr: str = "add",
        bias: bool = True,
        **kwargs,
    ):
        check_widths(in_channels, out_channels)
        check_aggr(aggr)
        super().__init__(in_channels, out_channels, aggr, bias, **kwargs)
        take_sparse_features(self)
        self._own_hooks = has_own_hooks(type(self), GraphConvLayer)

    # TorchScript reads neither `|` nor shape annotations, and takes the steps alone.
    def forward(
        self,
        x: typing.Union[Tensor, OptPairTensor],  # noqa: UP007
        edge_index: Adj,
        edge_weight: typing.Optional[Tensor] = None,  # noqa: UP045
        size: Size = None,
    ) -> Tensor:
        """Compute the targets' new features; `size` names the counts of sources and targets that `x` does not show."""
        if torch.jit.is_scripting():  # pyright: ignore[reportPrivateImportUsage]
            if isinstance(x, Tensor):
                x = (x, x)
        else:
            maps = (self.lin_rel, self.lin_root)
            x, edge_index, edge_weight, num_dst = check_pair_call(self, x, maps, edge_index, edge_weight, size)  # pyright: ignore
            if aggregates_fused(self, x, edge_index, edge_weight, size):
                return convolve_pair(self, x, edge_index, edge_weight, num_dst, *maps)
            edge_index = check_ids(self, edge_index, x, num_dst)
        # propagate_type: (x: OptPairTensor, edge_weight: OptTensor)
        out = self.lin_rel(self.propagate(edge_index, x=x, edge_weight=edge_weight, size=size))
        x_r = x[1]
        return out if x_r is None else out + self.lin_root(x_r)
