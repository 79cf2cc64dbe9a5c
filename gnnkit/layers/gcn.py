"""The graph convolution of Kipf & Welling, with the arguments, inputs and `state_dict` of PyG's `GCNConv`."""

import typing

import torch
from torch import Tensor
from torch_geometric.nn import GCNConv, MessagePassing
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.typing import Adj
from torch_geometric.utils import is_torch_sparse_tensor

from gnnkit.layers._checks import check_features, check_weighted_graph
from gnnkit.layers._fused import convolve, has_own_hooks, runs_fused
from gnnkit.layers._linear import take_sparse_features
from gnnkit.layers._neighbour_sum import NeighbourSumLayer

__all__ = ["GCNLayer"]


class GCNLayer(NeighbourSumLayer, GCNConv):
    r"""Graph convolution: each node takes the degree-weighted sum of its neighbours' and its own transformed features.

    As matrices, with `A' = A + I` and `D'` its degrees: `X' = D'^-1/2 A' D'^-1/2 X W + b`. For node i, with `w_ji` the
    weight of the edge j -> i and `d_i = 1 + sum_j w_ji`:

        x'_i = W^T (x_i / d_i + sum_j w_ji / sqrt(d_j d_i) x_j) + b

    Args:
        in_channels: Features F of a node; -1 takes them from the first input.
        out_channels: Features C of a node in the output.
        improved: True makes the self-loops' weight 2. Default False.
        cached: True normalises the graph of the first call and keeps it, for one that never changes. Default False.
        add_self_loops: Whether nodes without a self-loop get one. Default None: where `normalize` is True.
        normalize: Whether to divide by the square roots of the degrees. Default True.
        bias: Whether to add a learnt bias. Default True.
        **kwargs: Passed on to `MessagePassing`: `aggr` (default `"add"`), `flow`, `node_dim`, ...

    Shape:
        `x`: `[..., N, F]`, or sparse (CSR or COO) `[N, F]`; `edge_index`: `[2, E]` (plain or `EdgeIndex`), or sparse
        `adj_t` `[N, N]` (CSR, COO or CSC, rows are targets); `edge_weight`: `[E]` or `[E, 1]`; returned: `[..., N, C]`.

    Graphs: what is sorted and normalised once is compared with all of the graph's memory on each later call, so that
    no edit of the edges or weights is missed, whatever made it; of fewer than 8192 edges nothing is kept. On a GPU,
    where reading the memory would wait for the device, torch's version counters are compared: after a change that
    they do not count (through `.data`, dlpack or a storage, or by a fused optimiser on a weight that is frozen again)
    call `gnnkit.ops.forget()`.

    With `cached=True` the first call fills `_cached_edge_index`, as in PyG, and later calls use that graph alone, until
    it is set to another, or to None.

    Raises:
        ValueError: `add_self_loops` without `normalize`; in a call: features of another width, a malformed graph, a
            node id outside `0 .. N - 1`, or weights that are not one for each edge. Weights beside a sparse `adj_t`,
            which has its own, play no part (as in PyG), which a warning says.

    Source:
        Kipf & Welling, "Semi-supervised classification with graph convolutional networks" (2017), equation 2.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> layer = GCNLayer(16, 4)
        >>> layer(torch.randn(6, 16), six_node_graph().edge_index).shape
        torch.Size([6, 4])
    """

    # Else the layer would inherit what PyG generated for its own class, and explanations would be passed over.
    propagate = MessagePassing.propagate

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        improved: bool = False,
        cached: bool = False,
        add_self_loops: bool | None = None,
        normalize: bool = True,
        bias: bool = True,
        **kwargs,
    ):
        if add_self_loops is None:
            add_self_loops = normalize
        if add_self_loops and not normalize:
            raise ValueError(
                f"{type(self).__name__} does not support adding self-loops without normalisation, got "
                "add_self_loops=True and normalize=False; add the loops to the graph beforehand with "
                "gnnkit.graph.set_self_loops"
            )
        super().__init__(in_channels, out_channels, improved, cached, add_self_loops, normalize, bias, **kwargs)
        take_sparse_features(self)
        self._own_hooks = has_own_hooks(type(self), GCNLayer)

    # TorchScript reads no shape annotations, and takes the steps alone.
    def forward(self, x: Tensor, edge_index: Adj, edge_weight: typing.Optional[Tensor] = None) -> Tensor:  # noqa: UP045
        """Compute the nodes' new features; see the class for shapes and errors."""
        if torch.jit.is_scripting():  # pyright: ignore[reportPrivateImportUsage]
            if self.normalize and isinstance(edge_index, Tensor):
                size, loops = x.size(self.node_dim), self.add_self_loops
                edge_index, edge_weight = gcn_norm(  # pyright: ignore[reportAssignmentType]
                    edge_index, edge_weight, size, self.improved, loops, self.flow, x.dtype
                )
        else:
            edge_index, edge_weight = self._check_call(x, edge_index, edge_weight)  # pyright: ignore
            if self.node_dim in (-2, x.dim() - 2) and runs_fused(self, edge_index, x, edge_weight):
                out = convolve(self, x, edge_index, edge_weight)
                return out if self.bias is None else out + self.bias
            edge_index, edge_weight = self._prepare_graph(x, edge_index, edge_weight)
        x = self.lin(x)
        # propagate_type: (x: Tensor, edge_weight: typing.Optional[Tensor])
        out = self.propagate(edge_index, x=x, edge_weight=edge_weight)
        return out if self.bias is None else out + self.bias

    def _check_call(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if isinstance(x, (tuple, list)):
            raise ValueError(
                "x must be one tensor of node features, got a pair; GCNLayer has one set of nodes, use GATLayer for "
                "sources and targets of two kinds"
            )
        check_features(x, self.lin)
        if x.dim() != 2 and is_torch_sparse_tensor(edge_index):
            raise ValueError(f"x must have shape [N, F] beside a sparse adj_t, got {list(x.shape)}; use an edge list")
        return check_weighted_graph(edge_index, edge_weight, x.size(self.node_dim), normalize=self.normalize, ids=False)
