"""The graph attention of Velickovic et al., with the arguments, inputs and `state_dict` of PyG's `GATConv`."""

import typing

import torch
from torch import Tensor
from torch_geometric.nn import GATConv, MessagePassing
from torch_geometric.typing import OptPairTensor, Size
from torch_geometric.utils.sparse import set_sparse_value

from gnnkit.layers._attend import attend, attends_fused, replace_loops, scores_of_nodes
from gnnkit.layers._checks import (
    check_attention_call,
    check_attention_settings,
    for_steps,
    linear_maps,
    refuse_torchscript,
)
from gnnkit.layers._fused import has_own_hooks
from gnnkit.layers._linear import take_sparse_features

__all__ = ["GATLayer"]


class GATLayer(GATConv):
    r"""Graph attention: each node weighs its neighbours, and itself, by learnt scores of both ends' features.

    With `h = W x`, and for each of the K heads:

        e_ij  = LeakyReLU(a_src^T h_j + a_dst^T h_i [+ a_edge^T W_edge x_ji])
        α_ij  = exp(e_ij) / sum_k exp(e_ik)         over the senders k of i, i itself included
        x'_i  = sum_j α_ij h_j                      heads concatenated, or averaged; + residual + bias

    Args:
        in_channels: Features F of a node, or a pair for sources and targets; -1 takes them from the first input.
        out_channels: Features C of a head.
        heads: Number of heads K. Default 1.
        concat: True (default) concatenates the heads, False averages them.
        negative_slope: Slope of the LeakyReLU below 0. Default 0.2.
        dropout: Probability, from 0 to 1, that an attention weight is dropped in training. Default 0.
        add_self_loops: Whether each node attends to itself: loops are taken out and put in once. Default True.
        edge_dim: Features of an edge; None (default) means that edges have none.
        fill_value: Features of the new self-loops: a number, a tensor `[edge_dim]`, or the way to reduce those of a
            node's incoming edges: `"add"`, `"sum"`, `"mean"` (default), `"min"`, `"max"`, `"mul"`.
        bias: Whether to add a learnt bias. Default True.
        residual: Whether to add a learnt linear map of the targets' features. Default False.
        **kwargs: Passed on to `MessagePassing`: `aggr` (default `"add"`), `flow`, ...

    Shape:
        `x`: `[N, F]`, or a pair `[N_src, F_src]`, `[N_dst, F_dst]` (the second may be None), dense or sparse (CSR or
        COO); `edge_index`: `[2, E]` (plain or `EdgeIndex`), or sparse `adj_t` `[N_dst, N_src]` (CSR, COO or CSC), whose
        scalar values play no part; `edge_attr`: `[E, edge_dim]`, or `[E]` for one feature; without `edge_dim` it plays
        no part (as in PyG), which a warning says; returned: `[N_dst, K * C]`, or `[N_dst, C]` where heads are averaged;
        with `return_attention_weights=True` also `(edge_index, α)`, α of shape `[M, K]`. Changed graphs: `GCNLayer`.

    Raises:
        ValueError: `heads`, `out_channels`, `dropout` or `fill_value` out of range; in a call: features of another
            width, a malformed graph, a node id out of range, `edge_attr` that do not fit the edges or `edge_dim`.

    Source:
        Velickovic et al., "Graph attention networks" (2018), equations 1 to 6.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> layer = GATLayer(16, 4, heads=2)
        >>> layer(torch.randn(6, 16), six_node_graph().edge_index).shape
        torch.Size([6, 8])
    """

    # Else the layer would inherit what PyG generated for its own class, and explanations would be passed over.
    propagate = MessagePassing.propagate
    edge_updater = MessagePassing.edge_updater

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        heads: int = 1,
        concat: bool = True,
        negative_slope: float = 0.2,
        dropout: float = 0.0,
        add_self_loops: bool = True,
        edge_dim: int | None = None,
        fill_value: float | Tensor | str = "mean",
        bias: bool = True,
        residual: bool = False,
        **kwargs,
    ):
        check_attention_settings(out_channels, heads, dropout, edge_dim, fill_value)
        super().__init__(
            in_channels,
            out_channels,
            heads,
            concat,
            negative_slope,
            dropout,
            add_self_loops,
            edge_dim,
            fill_value,
            bias,
            residual,
            **kwargs,
        )
        take_sparse_features(self)
        self._own_hooks = has_own_hooks(type(self), GATLayer)

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        x: Tensor | OptPairTensor,
        edge_index: Tensor,
        edge_attr: Tensor | None = None,
        size: Size = None,
        return_attention_weights: bool | None = None,
    ):
        """Compute the targets' new features; `size` names the counts of sources and targets that `x` does not show."""
        edge_index, edge_attr, size = check_attention_call(self, x, edge_index, edge_attr, size)
        h = self._transform(x)
        seen, out = None if self.lin_edge is None else edge_attr, None
        dropped = return_attention_weights and self.training and self.dropout > 0  # which the op does not tell
        if not dropped and attends_fused(self, h, edge_index, seen, size):
            out = self._combine_heads(attend(self, h, edge_index, seen, size), x)
            if not return_attention_weights:
                return out
        alpha = scores_of_nodes(self, h, edge_index, size)
        edge_index, edge_attr = self._prepare_graph(h, for_steps(edge_index), edge_attr, size)
        # edge_updater_type: (alpha: typing.Tuple[Tensor, typing.Optional[Tensor]], edge_attr: typing.Optional[Tensor])
        alpha = self.edge_updater(edge_index, alpha=alpha, edge_attr=edge_attr, size=size)
        # propagate_type: (x: typing.Tuple[Tensor, typing.Optional[Tensor]], alpha: Tensor)
        out = self._combine_heads(self.propagate(edge_index, x=h, alpha=alpha, size=size), x) if out is None else out
        if not return_attention_weights:
            return out
        return out, (edge_index if edge_index.layout == torch.strided else set_sparse_value(edge_index, alpha), alpha)

    def _transform(self, x: Tensor | OptPairTensor) -> OptPairTensor:
        """Map the features of sources and targets to h: `[N, K, C]` each, the targets' None where they have none."""
        shape = (-1, self.heads, self.out_channels)
        source, target = (x, x) if isinstance(x, Tensor) else x
        source_map, target_map = linear_maps(self)
        h = source_map(source).view(shape)
        if source is target and source_map is target_map:
            return h, h
        return h, None if target is None else target_map(target).view(shape)

    def _prepare_graph(self, h: OptPairTensor, edge_index: Tensor, edge_attr: Tensor | None, size: Size):
        """Take out self-loops and give one to each node that is source and target at once."""
        return replace_loops(self, h, edge_index, edge_attr, size) if self.add_self_loops else (edge_index, edge_attr)

    def _combine_heads(self, out: Tensor, x: Tensor | OptPairTensor) -> Tensor:
        # out: [N, K, C]
        out = out.view(-1, self.heads * self.out_channels) if self.concat else out.mean(dim=1)
        target = x if isinstance(x, Tensor) else x[1]
        if self.res is not None and target is not None:
            out = out + self.res(target)
        return out if self.bias is None else out + self.bias

    def __prepare_scriptable__(self) -> typing.NoReturn:
        refuse_torchscript(self)
