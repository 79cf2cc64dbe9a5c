"""The deep graph convolution of Chen et al., GCNII, with the arguments, inputs and weights of PyG's `GCN2Conv`."""

import typing

import torch
from torch import Tensor
from torch_geometric.nn import GCN2Conv, MessagePassing
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.typing import Adj

from gnnkit.layers._checks import check_features, check_weighted_graph
from gnnkit.layers._fused import has_own_hooks, neighbour_sums, runs_fused
from gnnkit.layers._neighbour_sum import NeighbourSumLayer

__all__ = ["GCN2Layer"]


class GCN2Layer(NeighbourSumLayer, GCN2Conv):
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
        cached, add_self_loops, normalize, **kwargs: As `GCNLayer`. Default False, True, True.

    Shape:
        `x` and `x_0`: `[..., N, C]`; `edge_index`: `[2, E]` (plain or `EdgeIndex`), or sparse `adj_t` `[N, N]`;
        `edge_weight`: `[E]`; returned: `[..., N, C]`.

    Graphs that change, and `cached=True`: as `GCNLayer` says.

    Raises:
        ValueError: One of `theta` and `layer` without the other, or out of range; in a call: features of another
            width, `x_0` of fewer nodes, a malformed graph, or weights that do not fit it.

    Source:
        Chen et al., "Simple and deep graph convolutional networks" (2020), equation 5. As in PyG, an `x_0` of more
        nodes than `x` is cut, and one of a single node serves all.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> x = torch.randn(6, 4)
        >>> GCN2Layer(4, alpha=0.1, theta=0.5, layer=1)(x, x, six_node_graph().edge_index).shape
        torch.Size([6, 4])
    """

    # Else the layer would inherit what PyG generated for its own class, and explanations would be passed over.
    propagate = MessagePassing.propagate

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
        if (theta is None) != (layer is None) or (theta is not None and layer is not None and not -theta < layer >= 1):
            raise ValueError(
                "theta and layer must be given together, with theta > -layer and layer 1 or more, got "
                f"theta={theta} and layer={layer}; layer counts from 1"
            )
        super().__init__(channels, alpha, theta, layer, shared_weights, cached, add_self_loops, normalize, **kwargs)  # pyright: ignore
        self._own_hooks = has_own_hooks(type(self), GCN2Layer)

    def forward(
        self,
        x: Tensor,
        x_0: Tensor,
        edge_index: Adj,
        edge_weight: typing.Optional[Tensor] = None,  # noqa: UP045
    ) -> Tensor:
        """Compute the nodes' new features; see the class for shapes and errors."""
        if torch.jit.is_scripting():  # pyright: ignore[reportPrivateImportUsage]
            # TorchScript takes the steps alone.
            if self.normalize and isinstance(edge_index, Tensor):
                edge_index, edge_weight = gcn_norm(  # pyright: ignore[reportAssignmentType]
                    edge_index, edge_weight, x.size(self.node_dim), False, self.add_self_loops, self.flow, x.dtype
                )
        else:
            edge_index, edge_weight = self._check_call(x, x_0, edge_index, edge_weight)  # pyright: ignore
            if self.node_dim in (-2, x.dim() - 2) and runs_fused(self, edge_index, x, edge_weight):
                u = neighbour_sums(self, x, edge_index, edge_weight)
                return self._mix(u, x_0, self.weight1, self.weight2)
            edge_index, edge_weight = self._prepare_graph(x, edge_index, edge_weight)
        # propagate_type: (x: Tensor, edge_weight: typing.Optional[Tensor])
        u = self.propagate(edge_index, x=x, edge_weight=edge_weight)
        return self._mix(u, x_0, self.weight1, self.weight2)

    def _mix(
        self,
        u: Tensor,
        x_0: Tensor,
        weight1: Tensor,
        weight2: typing.Optional[Tensor],  # noqa: UP045
    ) -> Tensor:
        """The two terms, from P X; weights of many seeds at once are `[S, C, C]`."""
        u = (1 - self.alpha) * u
        first = self.alpha * x_0.narrow(-2, 0, min(x_0.size(-2), u.size(-2)))
        if weight2 is None:
            return self._near_identity(u + first, weight1)
        return self._near_identity(u, weight1) + self._near_identity(first, weight2)

    def _near_identity(self, u: Tensor, weight: Tensor) -> Tensor:
        """(1 - β) U + β U W."""
        if u.dim() == 2 and weight.dim() == 2:  # under autocast of another type than a sum of two products
            return torch.addmm(u, u, weight, beta=1.0 - self.beta, alpha=self.beta)
        return (1 - self.beta) * u + self.beta * (u @ weight)

    def _check_call(
        self, x: Tensor, x_0: Tensor, edge_index: Tensor, edge_weight: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        check_features(x, self.channels)
        check_features(x_0, self.channels, name="x_0")
        if x_0.shape != x.shape:
            nodes = x_0.size(-2)
            if (nodes < x.size(-2) and nodes != 1) or (x_0.dim() > 2 and x_0.shape[:-2] != x.shape[:-2]):
                raise ValueError(
                    f"x_0 must have as many nodes as x of shape {list(x.shape)}, or more, or one for all, got "
                    f"{list(x_0.shape)}"
                )
        return check_weighted_graph(edge_index, edge_weight, x.size(self.node_dim), normalize=self.normalize, ids=False)
