"""The graph attention of Brody et al., with the arguments, inputs and `state_dict` of PyG's `GATv2Conv`."""

import typing

import torch
from torch import Tensor
from torch_geometric.nn import GATv2Conv, MessagePassing
from torch_geometric.typing import PairTensor
from torch_geometric.utils.sparse import set_sparse_value

from gnnkit.layers._attend import replace_loops
from gnnkit.layers._checks import (
    check_attention_call,
    check_attention_settings,
    check_pair_ids,
    for_steps,
    refuse_edge_features,
    refuse_torchscript,
)
from gnnkit.layers._fused import has_own_hooks
from gnnkit.layers._linear import take_sparse_features
from gnnkit.layers._pair_attend import attend_dynamically, pairs_fused

__all__ = ["GATv2Layer"]


class GATv2Layer(GATv2Conv):
    r"""Dynamic graph attention: each node ranks its neighbours, and itself, in an order of its own.

    With `l = W_l x + b_l`, `r = W_r x + b_r`, and for each of the K heads:

        e_ij  = a^T LeakyReLU(l_j + r_i [+ W_edge x_ji])
        α_ij  = exp(e_ij) / sum_k exp(e_ik)         over the senders k of i, i itself included
        x'_i  = sum_j α_ij l_j                      heads concatenated, or averaged; + residual + bias

    Nothing of size E x K x C is made.

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
        bias: Whether to add learnt biases. Default True.
        share_weights: Whether sources and targets have one map, `W_l = W_r`. Default False.
        residual: Whether to add a learnt linear map of the targets' features. Default False.
        **kwargs: Passed on to `MessagePassing`: `aggr` (default `"add"`), `flow`, ...

    Shape:
        `x`: `[N, F]`, or a pair `[N_src, F_src]`, `[N_dst, F_dst]`, dense or sparse (CSR or COO); `edge_index`:
        `[2, E]` (plain or `EdgeIndex`), or sparse `adj_t` `[N_dst, N_src]` (CSR, COO or CSC), whose scalar values play
        no part; `edge_attr`: `[E, edge_dim]`, or `[E]` for one feature; returned: `[N_dst, K * C]`, or `[N_dst, C]`
        where heads are averaged; with `return_attention_weights=True` also `(edge_index, α)`, α of shape `[M, K]`.
        Changed graphs: `GCNLayer`.

    Raises:
        ValueError: `heads`, `out_channels`, `dropout` or `fill_value` out of range; in a call: features of another
            width or of one side alone, a malformed graph, a node id out of range, `edge_attr` that do not fit the edges
            or `edge_dim`, or for which the layer was not made.

    Source:
        Brody, Alon and Yahav, "How attentive are graph attention networks?" (2022), equation 7.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> layer = GATv2Layer(16, 4, heads=2)
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
        share_weights: bool = False,
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
            share_weights,
            residual,
            **kwargs,
        )
        take_sparse_features(self)
        self._own_hooks = has_own_hooks(type(self), GATv2Layer)

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        x: Tensor | PairTensor,
        edge_index: Tensor,
        edge_attr: Tensor | None = None,
        return_attention_weights: bool | None = None,
    ):
        """Compute the targets' new features."""
        refuse_edge_features(self, edge_attr)
        maps = (self.lin_l, self.lin_r)
        edge_index, edge_attr, _ = check_attention_call(self, x, edge_index, edge_attr, None, maps=maps)
        source, target = self._transform(x)
        out = None
        dropped = return_attention_weights and self.training and self.dropout > 0  # which the op does not tell
        # Of a pair whose flow is reversed PyG takes the number of targets to be that of sources.
        known = self.flow == "source_to_target" or source.size(0) == target.size(0)
        if known and not dropped and pairs_fused(self, edge_index, edge_attr, source, target):
            out = self._combine_heads(attend_dynamically(self, source, target, edge_index, edge_attr), x)
            if not return_attention_weights:
                return out
        if known:
            check_pair_ids(self, source, target, edge_index)
        edge_index, edge_attr = self._prepare_graph(source, target, for_steps(edge_index), edge_attr)
        # edge_updater_type: (x: PairTensor, edge_attr: typing.Optional[Tensor])
        alpha = self.edge_updater(edge_index, x=(source, target), edge_attr=edge_attr)
        if out is None:
            # propagate_type: (x: PairTensor, alpha: Tensor)
            out = self._combine_heads(self.propagate(edge_index, x=(source, target), alpha=alpha), x)
        if not return_attention_weights:
            return out
        return out, (edge_index if edge_index.layout == torch.strided else set_sparse_value(edge_index, alpha), alpha)

    def _transform(self, x: Tensor | PairTensor) -> PairTensor:
        """Map the features of both sides: `[N, K, C]` each."""
        shape = (-1, self.heads, self.out_channels)
        source, target = (x, x) if isinstance(x, Tensor) else x
        sent = self.lin_l(source).view(shape)
        if source is target and self.share_weights:
            return sent, sent
        return sent, self.lin_r(target).view(shape)

    def _prepare_graph(self, source: Tensor, target: Tensor, edge_index: Tensor, edge_attr: Tensor | None):
        """Take out self-loops and give one to each node that is source and target at once."""
        if not self.add_self_loops:
            return edge_index, edge_attr
        return replace_loops(self, (source, target), edge_index, edge_attr, None)

    def _combine_heads(self, out: Tensor, x: Tensor | PairTensor) -> Tensor:
        # out: [N, K, C]
        made = self.res is not None or self.bias is not None or not self.concat
        out = out.view(-1, self.heads * self.out_channels) if self.concat else out.mean(dim=1)
        if self.res is not None:
            out = out + self.res(x if isinstance(x, Tensor) else x[1])
        if self.bias is not None:
            out = out + self.bias
        # It is the user's, who may write into it: the backward pass has need of the op's own.
        return out if made or not out.requires_grad else out.clone()

    def __prepare_scriptable__(self) -> typing.NoReturn:
        refuse_torchscript(self)
