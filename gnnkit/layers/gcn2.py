"""The deep graph convolution of Chen et al., GCNII, with the arguments, inputs and weights of PyG's `GCN2Conv`."""

import typing
from math import log

import torch
from torch import Tensor
from torch.nn import Parameter
from torch_geometric.nn import MessagePassing
from torch_geometric.nn.inits import glorot
from torch_geometric.utils import is_torch_sparse_tensor, spmm

from gnnkit.graph.checks import check_edge_weight
from gnnkit.layers._checks import check_features, check_graph_input
from gnnkit.layers._fused import has_own_hooks, neighbour_sums, normalise_once, runs_fused

__all__ = ["GCN2Layer"]


class GCN2Layer(MessagePassing):
    r"""Graph convolution that remembers the first features and stays near the identity, so that it can be stacked deep.

    With `P = D'^-1/2 (A + I) D'^-1/2` and `β = log(θ / l + 1)` for the l-th layer:

        U  = (1 - α) P X + α X_0
        X' = (1 - β) U + β U W_1                                        (β = 1 where neither θ nor l is given)

    or, with `shared_weights=False`, `(1 - α) P X ((1 - β) I + β W_1) + α X_0 ((1 - β) I + β W_2)`.

    Args:
        channels: Features C of a node, in and out.
        alpha: Share α of the first features.
        theta: θ, together with `layer`. Default None.
        layer: Number l of the layer, from 1. Default None.
        shared_weights: Whether W_1 serves both terms. Default True.
        cached: True normalises the graph of the first call and keeps it, for one that never changes. Default False.
        add_self_loops: Whether nodes without a self-loop get one. Default True.
        normalize: Whether to divide by the square roots of the degrees. Default True.
        **kwargs: Passed on to `MessagePassing`.

    Shape:
        `x` and `x_0`: `[..., N, C]`; `edge_index`: `[2, E]` (plain or `EdgeIndex`), or sparse `adj_t` `[N, N]`;
        `edge_weight`: `[E]`; returned: `[..., N, C]`.

    Graphs: what is sorted and normalised once is compared with all of the graph's memory on each later call, so that
    no edit of the edges or weights is missed, whatever made it; of fewer than 4096 edges nothing is kept. On a GPU,
    where reading the memory would wait for the device, torch's version counters are compared: after a change that
    they do not count (through `.data`, dlpack or a storage, or by a fused optimiser on a weight that is frozen again)
    call `gnnkit.ops.forget()`.

    With `cached=True` the first call fills `_cached_edge_index`, as in PyG, and later calls use that graph alone, until
    it is set to another, or to None.

    Raises:
        ValueError: One of `theta` and `layer` without the other, or either not positive; in a call: features of
            another width, `x_0` of another shape, a malformed graph, or weights beside a sparse `adj_t`.

    Source:
        Chen et al., "Simple and deep graph convolutional networks" (2020), equation 5. Unlike in PyG, `x_0` must have
        as many nodes as `x`: a longer one is not cut.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> x = torch.randn(6, 4)
        >>> GCN2Layer(4, alpha=0.1, theta=0.5, layer=1)(x, x, six_node_graph().edge_index).shape
        torch.Size([6, 4])
    """

    improved = False  # of the normalisation that is shared with GCNLayer

    def __init__(
        self,
        channels: int,
        alpha: float,
        theta: float | None = None,
        layer: int | None = None,
        shared_weights: bool = True,
        cached: bool = False,
        add_self_loops: bool = True,
        normalize: bool = True,
        **kwargs,
    ):
        kwargs.setdefault("aggr", "add")
        super().__init__(**kwargs)
        self.beta = 1.0
        if theta is not None or layer is not None:
            if theta is None or layer is None or theta <= 0 or layer < 1:
                raise ValueError(
                    f"theta and layer must be given together, positive, got theta={theta} and layer={layer}; layer "
                    "counts from 1"
                )
            self.beta = log(theta / layer + 1)
        self.channels = channels
        self.alpha = alpha
        self.cached = cached
        self.normalize = normalize
        self.add_self_loops = add_self_loops
        self._cached_edge_index: tuple[Tensor, Tensor | None] | None = None
        self._cached_adj_t = None  # of torch-sparse's own type, in PyG
        self._own_hooks = has_own_hooks(type(self), GCN2Layer)

        self.weight1 = Parameter(torch.empty(channels, channels))
        if shared_weights:
            self.register_parameter("weight2", None)
        else:
            self.weight2 = Parameter(torch.empty(channels, channels))
        self.reset_parameters()

    def reset_parameters(self):
        """Draw the weights anew (Glorot) and forget the cached graph."""
        super().reset_parameters()
        glorot(self.weight1)
        glorot(self.weight2)
        self._cached_edge_index = None
        self._cached_adj_t = None

    def forward(self, x: Tensor, x_0: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        """Compute the nodes' new features; see the class for shapes and errors."""
        self._check_call(x, x_0, edge_index, edge_weight)
        if self.node_dim == -2 and runs_fused(self, edge_index, x, edge_weight):
            u = neighbour_sums(self, x, edge_index, edge_weight)
        else:
            edge_index, edge_weight = self._prepare_graph(x, edge_index, edge_weight)
            # propagate_type: (x: Tensor, edge_weight: typing.Optional[Tensor])
            u = self.propagate(edge_index, x=x, edge_weight=edge_weight)
        return self._mix(u, x_0, self.weight1, self.weight2)

    def _mix(self, u: Tensor, x_0: Tensor, weight1: Tensor, weight2: Tensor | None) -> Tensor:
        """The two terms, from P X; weights of many seeds at once are `[S, C, C]`."""
        u = (1 - self.alpha) * u
        first = self.alpha * x_0
        if weight2 is None:
            return self._toward(u + first, weight1)
        return self._toward(u, weight1) + self._toward(first, weight2)

    def _toward(self, u: Tensor, weight: Tensor) -> Tensor:
        mapped = u @ weight
        return torch.lerp(u.to(mapped.dtype), mapped, self.beta)  # under autocast the product is of a narrower type

    def _check_call(self, x: Tensor, x_0: Tensor, edge_index: Tensor, edge_weight: Tensor | None) -> None:
        check_features(x, self.channels)
        check_features(x_0, self.channels, name="x_0")
        if x_0.shape != x.shape:
            raise ValueError(f"x_0 must have the shape of x, {list(x.shape)}, got {list(x_0.shape)}")
        num_nodes = x.size(self.node_dim)
        num_edges = check_graph_input(edge_index, (num_nodes, num_nodes), ids=False)
        check_edge_weight(edge_weight, num_edges)
        if edge_weight is not None and is_torch_sparse_tensor(edge_index):
            raise ValueError("edge_weight cannot be given beside a sparse adj_t, whose values are the weights")

    def _prepare_graph(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Add self-loops and normalise, once for all where the layer is cached."""
        if self.normalize and self._cached_edge_index is not None:
            return self._cached_edge_index
        num_nodes = x.size(self.node_dim)
        check_graph_input(edge_index, (num_nodes, num_nodes))
        if not self.normalize:
            return edge_index, edge_weight
        graph = normalise_once(self, edge_index, edge_weight, num_nodes, x.dtype)
        if self.cached:
            self._cached_edge_index = graph
        return graph

    # PyG writes `propagate` from the hooks' annotations, and understands no `Tensor | None` there.
    def message(self, x_j: Tensor, edge_weight: typing.Optional[Tensor]) -> Tensor:  # noqa: UP045  # pyright: ignore
        # x_j: [..., E, C]
        return x_j if edge_weight is None else edge_weight.view(-1, 1) * x_j

    def message_and_aggregate(self, adj_t: Tensor, x: Tensor) -> Tensor:  # pyright: ignore
        # adj_t: [N, N], x: [N, C]
        return spmm(adj_t, x, reduce=str(self.aggr))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.channels}, alpha={self.alpha}, beta={self.beta})"
