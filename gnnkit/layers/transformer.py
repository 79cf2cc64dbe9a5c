"""The graph transformer of Shi et al., with the arguments, inputs and `state_dict` of PyG's `TransformerConv`."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn import Module
from torch_geometric.nn import MessagePassing, TransformerConv
from torch_geometric.typing import PairTensor

from gnnkit.layers._checks import (
    check_attention_call,
    check_attention_settings,
    check_pair_ids,
    for_steps,
    has_edge_values,
)
from gnnkit.layers._fused import has_own_hooks
from gnnkit.layers._linear import is_autocast, is_plain, take_sparse_features
from gnnkit.layers._pair_attend import attend_by_products, pairs_fused

__all__ = ["TransformerLayer"]


class TransformerLayer(TransformerConv):
    r"""Dot-product attention over neighbours, beside a map of the node itself.

    With queries `q = W_3 x`, keys `k = W_4 x`, values `v = W_2 x` (each with a bias), and for each of the K heads:

        α_ij  = softmax over the senders j of i of q_i^T (k_j [+ W_6 x_ji]) / sqrt(C)
        m_i   = sum_j α_ij (v_j [+ W_6 x_ji])       heads concatenated, or averaged
        x'_i  = W_1 x_i + m_i                       with `beta`: β_i W_1 x_i + (1 - β_i) m_i,
                                                    β_i = sigmoid(w_5^T [m_i, W_1 x_i, m_i - W_1 x_i])

    Nothing of size E x K x C is made.

    Args:
        in_channels: Features F of a node, or a pair for sources and targets; -1 takes them from the first input.
        out_channels: Features C of a head.
        heads: Number of heads K. Default 1.
        concat: True (default) concatenates the heads, False averages them.
        beta: Whether a learnt gate weighs the node itself against its neighbours. Default False.
        dropout: Probability, from 0 to 1, that an attention weight is dropped in training. Default 0.
        edge_dim: Features of an edge; None (default) means that edges have none.
        bias: Whether the maps have biases. Default True.
        root_weight: Whether the node itself is part of the result; without it there is no `beta`. Default True.
        **kwargs: Passed on to `MessagePassing`: `aggr` (default `"add"`), `flow`, ...

    Shape:
        `x`: `[N, F]`, or a pair `[N_src, F_src]`, `[N_dst, F_dst]`, dense or sparse (CSR or COO); `edge_index`:
        `[2, E]` (plain or `EdgeIndex`), or sparse `adj_t` `[N_dst, N_src]` (CSR, COO or CSC), whose scalar values play
        no part; `edge_attr`: `[E, edge_dim]`, or, without `edge_dim`, values of the edges `[E, K, C]` that are added to
        those of their senders (as in PyG); returned: `[N_dst, K * C]`, or `[N_dst, C]` where heads are averaged; with
        `return_attention_weights` True or False also `(edge_index, α)`, α of shape `[E, K]`, before dropout. Changed
        graphs: `GCNLayer`.

    Raises:
        ValueError: `heads`, `out_channels` or `dropout` out of range; in a call: features of another width or of one
            side alone, a malformed graph, a node id out of range, `edge_attr` that are missing or do not fit the edges
            or `edge_dim`.

    Source:
        Shi et al., "Masked label prediction: unified message passing model for semi-supervised classification" (2021),
        equations 3 to 6.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> layer = TransformerLayer(16, 4, heads=2)
        >>> layer(torch.randn(6, 16), six_node_graph().edge_index).shape
        torch.Size([6, 8])
    """

    # Else the layer would inherit what PyG generated for its own class, and explanations would be passed over.
    propagate = MessagePassing.propagate
    edge_updater = MessagePassing.edge_updater
    add_self_loops = False

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        heads: int = 1,
        concat: bool = True,
        beta: bool = False,
        dropout: float = 0.0,
        edge_dim: int | None = None,
        bias: bool = True,
        root_weight: bool = True,
        **kwargs,
    ):
        check_attention_settings(out_channels, heads, dropout, edge_dim, 0.0)
        super().__init__(in_channels, out_channels, heads, concat, beta, dropout, edge_dim, bias, root_weight, **kwargs)
        take_sparse_features(self)
        self._own_hooks = has_own_hooks(type(self), TransformerLayer)

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        x: Tensor | PairTensor,
        edge_index: Tensor,
        edge_attr: Tensor | None = None,
        return_attention_weights: bool | None = None,
    ):
        """Compute the targets' new features."""
        maps = (self.lin_key, self.lin_query)
        values = self.lin_edge is None and edge_attr is not None  # of the edges themselves: the steps take them
        if values:
            edge_index, _, _ = check_attention_call(self, x, edge_index, None, None, maps=maps)
        else:
            edge_index, edge_attr, _ = check_attention_call(self, x, edge_index, edge_attr, None, maps=maps)
            if self.lin_edge is not None and edge_attr is None and not has_edge_values(edge_index):
                raise ValueError(f"edge_attr is missing: the layer was made for edges of {self.edge_dim} features")
        source, target = (x, x) if isinstance(x, Tensor) else x
        shape = (-1, self.heads, self.out_channels)
        query = self.lin_query(target).view(shape)
        key, value = self.lin_key(source).view(shape), self.lin_value(source).view(shape)
        wants_weights, out = isinstance(return_attention_weights, bool), None
        if not values and pairs_fused(self, edge_index, edge_attr, query, key, value):
            out = self._combine(attend_by_products(self, query, key, value, edge_index, edge_attr), target)
            if not wants_weights:
                return out
        check_pair_ids(self, key, query, edge_index)
        edge_index = for_steps(edge_index)
        # propagate_type: (query: Tensor, key: Tensor, value: Tensor, edge_attr: typing.Optional[Tensor])
        sums = self.propagate(edge_index, query=query, key=key, value=value, edge_attr=edge_attr)
        alpha, self._alpha = self._alpha, None
        out = self._combine(sums, target) if out is None else out
        return (out, (edge_index, alpha)) if wants_weights else out

    def _combine(self, out: Tensor, target: Tensor) -> Tensor:
        """Put the heads together, and the node itself beside them."""
        # out: [N, K, C]
        made = self.root_weight or not self.concat
        out = out.reshape(-1, self.heads * self.out_channels) if self.concat else out.mean(dim=1)
        if self.root_weight:
            own = self.lin_skip(target)
            if self.lin_beta is None:
                return out + own
            beta = self._gate(self.lin_beta, out, own).sigmoid()
            return beta * own + (1 - beta) * out
        # It is the user's, who may write into it: the backward pass has need of the op's own.
        return out if made or not out.requires_grad else out.clone()

    @staticmethod
    def _gate(lin: Module, out: Tensor, own: Tensor) -> Tensor:
        """w_5^T [m, W_1 x, m - W_1 x], where w_5 can be taken apart without the three side by side."""
        if not is_plain(lin) or is_autocast(out):
            return lin(torch.cat([out, own, out - own], dim=-1))
        of_sums, of_own, of_difference = lin.weight.chunk(3, dim=1)  # pyright: ignore[reportCallIssue]
        return F.linear(out, of_sums + of_difference) + F.linear(own, of_own - of_difference)

    def __prepare_scriptable__(self) -> TransformerConv:
        """What `torch.jit.script` compiles in the place of this layer: PyG's, on the same parameters."""
        twin = TransformerConv(1, 1)  # PyG writes what a class needs when one is made
        twin.__dict__ = dict(vars(self))
        return twin
