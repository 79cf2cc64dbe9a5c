"""The isomorphism network of Xu et al., with the arguments, inputs and `state_dict` of PyG's `GINConv`."""

import typing
from collections.abc import Callable
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn import GINConv, MessagePassing
from torch_geometric.typing import Adj, OptPairTensor, Size

from gnnkit.layers._aggregate import aggregates_fused, check_ids, check_pair_call, maps_first
from gnnkit.layers._fused import has_own_hooks
from gnnkit.layers._isomorphism import check_widths, first_map, map_sum_with_root

__all__ = ["GINLayer"]


class GINLayer(GINConv):
    r"""Graph isomorphism: a network of one's own on each node's features plus the sum of its neighbours'.

        x'_i = nn((1 + eps) x_i + sum_j x_j)              over the senders j of i

    Where `nn` is a `Sequential` that begins with a linear map to fewer features, these are what is added up.

    Args:
        nn: Any callable that maps `[N, F]` to `[N, C]`, most often a `torch.nn.Sequential`.
        eps: Start value of eps. Default 0.
        train_eps: Whether eps is learnt. Default False.
        **kwargs: Passed on to `MessagePassing`: `aggr` (default `"add"`), `flow`, `node_dim`, ...

    Shape:
        `x`: `[..., N, F]`, or a pair `[..., N_src, F]`, `[..., N_dst, F]` (the second may be None); `edge_index`:
        `[2, E]` (plain or `EdgeIndex`), or sparse `adj_t` `[N_dst, N_src]` (CSR, COO or CSC), whose values are weights,
        as in PyG; returned: `[..., N_dst, C]`. Changed graphs: `GCNLayer`.

    Raises:
        ValueError: In a call: features of another width than `nn` begins with, or of two widths, a malformed graph, a
            node id out of range, a `size` that is not that of `x`.

    Source:
        Xu, Hu, Leskovec & Jegelka, "How powerful are graph neural networks?" (2019), equation 4.1.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> layer = GINLayer(nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4)))
        >>> layer(torch.randn(6, 16), six_node_graph().edge_index).shape
        torch.Size([6, 4])
    """

    # Else the layer would inherit what PyG generated for its own class, and explanations would be passed over.
    propagate = MessagePassing.propagate

    def __init__(self, nn: Callable, eps: float = 0.0, train_eps: bool = False, **kwargs):
        super().__init__(nn, eps, train_eps, **kwargs)
        self._own_hooks = has_own_hooks(type(self), GINLayer)

    # TorchScript reads neither `|` nor shape annotations, and takes the steps alone.
    def forward(
        self,
        x: typing.Union[Tensor, OptPairTensor],  # noqa: UP007
        edge_index: Adj,
        size: Size = None,
    ) -> Tensor:
        """Compute the targets' new features; `size` names the counts of sources and targets that `x` does not show."""
        if torch.jit.is_scripting():  # pyright: ignore[reportPrivateImportUsage]
            if isinstance(x, Tensor):
                x = (x, x)
        else:
            first = first_map(self.nn)
            x, edge_index, _, num_dst = check_pair_call(self, x, (0, 0), edge_index, None, size)  # pyright: ignore
            check_widths(x, first)  # pyright: ignore[reportArgumentType]
            if aggregates_fused(self, x, edge_index, None, size):  # pyright: ignore[reportArgumentType]
                return self._fused(x, edge_index, num_dst, first)
            edge_index = check_ids(self, edge_index, x, num_dst)
        # propagate_type: (x: OptPairTensor)
        out = self.propagate(edge_index, x=x, size=size)
        x_r = x[1]
        if x_r is not None:
            out = out + (1 + self.eps) * x_r
        return self.nn(out)

    def _fused(self, pair: OptPairTensor, edge_index: Tensor, num_dst: int, first: nn.Module | None) -> Tensor:
        source, target = pair
        if first is None or not maps_first(self, source, None, first):
            out, done = map_sum_with_root(self, source, target, edge_index, num_dst, first)
            return self._rest(out, done) if done else self.nn(out)
        h = F.linear(source, first.weight)  # pyright: ignore[reportArgumentType]
        own = h if target is source else None if target is None else F.linear(target, first.weight)  # pyright: ignore
        out, _ = map_sum_with_root(self, h, own, edge_index, num_dst)
        return self._rest(out if first.bias is None else out + first.bias)  # pyright: ignore[reportOperatorIssue]

    def _rest(self, out: Tensor, done: int = 1) -> Tensor:
        """What the network does after its first parts."""
        for part in islice(self.nn._modules.values(), done, None):  # pyright: ignore[reportFunctionMemberAccess]
            out = part(out)
        return out
