"""Mix-hop propagation: news from every hop up to K, each step holding on to a share of the node's own features."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gnnkit.graph import propagate
from gnnkit.graph.propagation import Adjacency
from gnnkit.layers._checks import check_size, check_widths

__all__ = ["MixHopLayer", "mixing_matrix"]


def mixing_matrix(adjacency: Float[Tensor, "N N"]) -> Float[Tensor, "N N"]:
    """The matrix that a `MixHopLayer` takes: with self-loops added, rows summing to 1, `D^-1 (A + I)`.

    Args:
        adjacency: Weights, not negative, rows are targets; may require a gradient.

    Returns:
        The matrix. For a graph given as edges, `gnnkit.graph.normalized_adjacency(..., add_self_loops=True,
        method="row")` is the same, made once.

    Example:
        >>> mixing_matrix(torch.tensor([[0.0, 3.0], [0.0, 0.0]]))
        tensor([[0.2500, 0.7500],
                [0.0000, 1.0000]])
    """
    looped = adjacency + torch.eye(adjacency.size(0), dtype=adjacency.dtype, device=adjacency.device)
    return looped / looped.sum(dim=1, keepdim=True)


class MixHopLayer(nn.Module):
    r"""Propagate K hops, and mix all of them: the information propagation and selection of MTGNN.

    With A_hat from `mixing_matrix`,

        H_0 = X,  H_k = β X + (1 − β) A_hat H_{k−1},  X' = [H_0, …, H_K] W + b

    Args:
        in_channels: Features of a node.
        out_channels: Features of a node in the output.
        depth: Hops K. Default 2.
        retain: Share β of the node's own features that every hop keeps. Default 0.05.

    Shape:
        x `[..., N, F]`; matrix `[N, N]`, from `mixing_matrix` or `normalized_adjacency`, which is not normalised again;
        returned `[..., N, C]`.

    Raises:
        ValueError: `depth` below 1, or `retain` outside [0, 1].

    Source:
        Wu et al. (2020), equations 7 and 8.

    Example:
        >>> layer = MixHopLayer(4, 8)
        >>> layer(torch.randn(2, 12, 5, 4), mixing_matrix(torch.rand(5, 5))).shape
        torch.Size([2, 12, 5, 8])
    """

    def __init__(self, in_channels: int, out_channels: int, *, depth: int = 2, retain: float = 0.05) -> None:
        super().__init__()
        check_widths(in_channels, out_channels, lazy=False)
        check_size("depth", depth)
        if not 0.0 <= retain <= 1.0:
            raise ValueError(f"retain must be a share from 0 to 1, got {retain!r}")
        self.depth = depth
        self.retain = retain
        self.linear = nn.Linear((depth + 1) * in_channels, out_channels)

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        self.linear.reset_parameters()

    def forward(self, x: Float[Tensor, "*S N F"], matrix: Adjacency) -> Float[Tensor, "*S N C"]:
        """Compute the nodes' new features; see the class."""
        hops = [x]
        for _ in range(self.depth):
            hops.append(torch.add(self.retain * x, propagate(matrix, hops[-1]), alpha=1 - self.retain))
        return self.linear(torch.cat(hops, dim=-1))

    def extra_repr(self) -> str:
        return f"depth={self.depth}, retain={self.retain}"
