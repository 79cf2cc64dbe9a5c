"""The isomorphism network with edge features of Hu et al., as PyG's `GINEConv`."""

import typing

import torch
from torch import Tensor, nn
from torch_geometric.nn import GINEConv, MessagePassing
from torch_geometric.typing import Adj, OptPairTensor, Size

from gnnkit.layers._aggregate import aggregates_fused, check_ids, check_pair_call
from gnnkit.layers._checks import check_graph_input
from gnnkit.layers._fused import has_own_hooks, towards_targets
from gnnkit.layers._isomorphism import add_root, check_widths
from gnnkit.ops import edge_relu_sum

__all__ = ["GINELayer"]


class GINELayer(GINEConv):
    r"""Graph isomorphism with edge features: they are added to the neighbours', and what is positive is added up.

        x'_i = nn((1 + eps) x_i + sum_j relu(x_j + e_ji))              over the senders j of i

    With `edge_dim`, `W e_ji + b` stands in the place of `e_ji`. No message is made for an edge.

    Args:
        nn: A module that maps `[N, F]` to `[N, C]`, most often a `torch.nn.Sequential`.
        eps: Start value of eps. Default 0.
        train_eps: Whether eps is learnt. Default False.
        edge_dim: Features of an edge, which a learnt map brings to F; None (default): they are F.
        **kwargs: Passed on to `MessagePassing`: `aggr` (default `"add"`, which is fused), `flow`, `node_dim`, ...

    Shape:
        `x`: `[N, F]`, or a pair `[N_src, F]`, `[N_dst, F]` (the second may be None); `edge_index`: `[2, E]` (plain or
        `EdgeIndex`); `edge_attr`: `[E, F]` or `[E, edge_dim]`; returned: `[N_dst, C]`. Changed graphs: `GCNLayer`.

    Raises:
        ValueError: `edge_dim` for an `nn` whose first map is not known; in a call: features of another width than `nn`
            begins with, a malformed graph, a node id out of range, `edge_attr` that do not fit the edges.

    Source:
        Hu et al., "Strategies for pre-training graph neural networks" (2020).

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> edges, layer = six_node_graph().edge_index, GINELayer(nn.Linear(16, 4), edge_dim=3)
        >>> layer(torch.randn(6, 16), edges, torch.randn(edges.size(1), 3)).shape
        torch.Size([6, 4])
    """

    # Else the layer would inherit what PyG generated for its own class, and explanations would be passed over.
    propagate = MessagePassing.propagate

    def __init__(self, nn: nn.Module, eps: float = 0.0, train_eps: bool = False, edge_dim: int | None = None, **kwargs):
        super().__init__(nn, eps, train_eps, edge_dim, **kwargs)
        self._own_hooks = has_own_hooks(type(self), GINELayer)

    # TorchScript reads neither `|` nor shape annotations, and takes the steps alone.
    def forward(
        self,
        x: typing.Union[Tensor, OptPairTensor],  # noqa: UP007
        edge_index: Adj,
        edge_attr: typing.Optional[Tensor] = None,  # noqa: UP045
        size: Size = None,
    ) -> Tensor:
        """Compute the targets' new features; `size` names the counts of sources and targets that `x` does not show."""
        if torch.jit.is_scripting():  # pyright: ignore[reportPrivateImportUsage]
            if isinstance(x, Tensor):
                x = (x, x)
        else:
            x, edge_index, _, num_dst = check_pair_call(self, x, (0, 0), edge_index, None, size)  # pyright: ignore
            check_widths(x, None)  # pyright: ignore[reportArgumentType]
            self._check_edges(x[0], edge_index, edge_attr)  # pyright: ignore[reportArgumentType]
            if self._sums(x, edge_index, edge_attr, size):  # pyright: ignore[reportArgumentType]
                edges = edge_attr if self.lin is None else self.lin(edge_attr)
                graph = towards_targets(edge_index, self.flow)  # pyright: ignore[reportArgumentType]
                out = edge_relu_sum(graph, x[0], edges, num_dst=num_dst)  # pyright: ignore[reportArgumentType]
                return self.nn(add_root(self, out, x[1]))
            edge_index = check_ids(self, edge_index, x, num_dst)  # pyright: ignore[reportArgumentType]
        # propagate_type: (x: OptPairTensor, edge_attr: OptTensor)
        out = self.propagate(edge_index, x=x, edge_attr=edge_attr, size=size)
        x_r = x[1]
        if x_r is not None:
            out = out + (1 + self.eps) * x_r
        return self.nn(out)

    def _sums(self, pair: OptPairTensor, edge_index: Tensor, edge_attr: Tensor | None, size: Size) -> bool:
        if self.aggr not in ("add", "sum") or edge_index.layout != torch.strided or pair[0].dim() != 2:
            return False
        return (
            edge_attr is not None and edge_attr.dim() == 2 and aggregates_fused(self, pair, edge_index, edge_attr, size)
        )

    def _check_edges(self, source: Tensor, edge_index: Tensor, edge_attr: Tensor | None) -> None:
        if edge_attr is None and edge_index.layout == torch.strided:
            raise ValueError("edge_attr must be given beside an edge list: [E, F], or [E, edge_dim]")
        if edge_attr is None:
            return
        count = (
            edge_index.size(1)
            if edge_index.layout == torch.strided
            else check_graph_input(edge_index, (edge_index.size(1), edge_index.size(0)))
        )
        if edge_attr.dim() == 0 or (edge_attr.dim() == 2 and edge_attr.size(0) != count):
            raise ValueError(
                f"edge_attr must have one row for each of the {count} edges, got {list(edge_attr.shape)}; give "
                "edge_attr in the order of edge_index"
            )
        if self.lin is None and edge_attr.size(-1) != source.size(-1):
            raise ValueError(
                "Node and edge feature dimensionalities do not match. Consider setting the 'edge_dim' attribute of "
                f"'GINEConv' (x has {source.size(-1)} features, edge_attr {edge_attr.size(-1)})"
            )
