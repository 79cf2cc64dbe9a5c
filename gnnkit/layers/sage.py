"""The graph convolution of Hamilton et al., with the arguments, inputs and `state_dict` of PyG's `SAGEConv`."""

import typing

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.nn import Aggregation, MessagePassing, SAGEConv
from torch_geometric.typing import Adj, OptPairTensor, Size

from gnnkit.layers._aggregate import aggregates_fused, check_ids, check_pair_call, convolve_pair
from gnnkit.layers._checks import check_aggr, check_widths
from gnnkit.layers._fused import has_own_hooks
from gnnkit.layers._linear import take_sparse_features

__all__ = ["SAGELayer"]


class SAGELayer(SAGEConv):
    r"""GraphSAGE: each node takes the mean (or largest, or sum) of its neighbours, and its own features, transformed.

        x'_i = W_l aggr_j x_j + W_r x_i + b              over the senders j of i

    With `project`, `relu(W x_j + b)` is aggregated in the place of `x_j`; with `normalize`, `x'_i` has length 1.

    Args:
        in_channels: Features F of a node, or a pair for sources and targets; -1 takes them from the first input.
        out_channels: Features C of a node in the output.
        aggr: `"mean"` (default), `"max"`, `"min"`, `"sum"`, `"add"`, which are fused, or any other aggregation of
            PyG, which runs as PyG's: a name, an `Aggregation`, or a list of them.
        normalize: Whether to divide the output by its Euclidean length. Default False.
        root_weight: Whether to add the transformed features of the node itself. Default True.
        project: Whether to transform the neighbours before they are aggregated. Default False.
        bias: Whether to add a learnt bias. Default True.
        **kwargs: Passed on to `MessagePassing`: `flow`, `node_dim`, ...

    Shape:
        `x`: `[..., N, F]`, or a pair `[..., N_src, F_src]`, `[..., N_dst, F_dst]` (the second may be None);
        `edge_index`: `[2, E]` (plain or `EdgeIndex`), or sparse `adj_t` `[N_dst, N_src]` (CSR, COO or CSC), whose
        values are weights, as in PyG; returned: `[..., N_dst, C]`. Changed graphs: `GCNLayer`.

    Gradients of a maximum are PyG's where values tie: see `gnnkit.ops.neighbour_max`.

    Raises:
        ValueError: `project` with `in_channels=-1`; in a call: features of another width, a malformed graph, a node id
            out of range, a `size` that is not that of `x`.

    Source:
        Hamilton, Ying & Leskovec, "Inductive representation learning on large graphs" (2017), algorithm 1.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> layer = SAGELayer(16, 4, aggr="max")
        >>> layer(torch.randn(6, 16), six_node_graph().edge_index).shape
        torch.Size([6, 4])
    """

    # Else the layer would inherit what PyG generated for its own class, and explanations would be passed over.
    propagate = MessagePassing.propagate

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        aggr: str | list[str] | Aggregation | None = "mean",
        normalize: bool = False,
        root_weight: bool = True,
        project: bool = False,
        bias: bool = True,
        **kwargs,
    ):
        check_widths(in_channels, out_channels)
        check_aggr(aggr)
        super().__init__(in_channels, out_channels, aggr, normalize, root_weight, project, bias, **kwargs)  # pyright: ignore
        take_sparse_features(self)
        self._own_hooks = has_own_hooks(type(self), SAGELayer)

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
            if self.project and hasattr(self, "lin"):
                x = (self.lin(x[0]).relu(), x[1])
        else:
            given, edge_index, num_dst = self._check_call(x, edge_index, size)  # pyright: ignore
            x = (self.lin(given[0]).relu(), given[1]) if self.project else given
            if aggregates_fused(self, x, edge_index, None, size):  # pyright: ignore
                lin_r = self.lin_r if self.root_weight else None
                out = convolve_pair(self, x, edge_index, None, num_dst, self.lin_l, lin_r)  # pyright: ignore
                return F.normalize(out, p=2.0, dim=-1) if self.normalize else out
            edge_index = check_ids(self, edge_index, x, num_dst)  # pyright: ignore[reportArgumentType]
        # propagate_type: (x: OptPairTensor)
        out = self.lin_l(self.propagate(edge_index, x=x, size=size))
        x_r = x[1]
        if self.root_weight and x_r is not None:
            out = out + self.lin_r(x_r)
        return F.normalize(out, p=2.0, dim=-1) if self.normalize else out

    def _check_call(self, x: Tensor | OptPairTensor, edge_index: Tensor, size: Size):
        source = self.lin if self.project else 0
        if not self.project and isinstance(self.aggr, str) and self.aggr in ("add", "sum", "mean", "max", "min"):
            source = self.lin_l
        maps = (source, self.lin_r if self.root_weight else 0)
        pair, edge_index, _, num_dst = check_pair_call(self, x, maps, edge_index, None, size)
        return pair, edge_index, num_dst
