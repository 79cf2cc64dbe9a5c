"""Diffusion convolution: steps of random walks along the edges, against them, and on graphs that are learned."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gnnkit.graph import normalized_adjacency, propagate
from gnnkit.graph.propagation import Adjacency
from gnnkit.layers._checks import check_size, check_widths

__all__ = ["DiffusionLayer", "diffuse", "transition_matrices"]


def transition_matrices(edge_index: Tensor, edge_weight: Tensor | None, x: Tensor) -> tuple[Adjacency, Adjacency]:
    """The steps of a walker who leaves j for i with probability `w_ji / out_j`, and of one who walks against the edges.

    Args:
        edge_index: Edge list, `EdgeIndex`, or a sparse `adj_t` (with `edge_weight` None).
        edge_weight: One weight per edge; None stands for ones.
        x: Features `[..., N, F]`: they say N, dtype and device.

    Returns:
        Two matrices `[N, N]` whose rows are targets, made once per graph: columns sum to 1, or to 0 where no edge
        leaves. No self-loop is added.

    Raises:
        ValueError: The graph is malformed or does not fit x.

    Example:
        >>> along, against = transition_matrices(torch.tensor([[0, 0, 1], [1, 2, 2]]), None, torch.zeros(3, 1))
        >>> along.tolist()
        [[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.5, 1.0, 0.0]]
    """
    along, against = (
        normalized_adjacency(edge_index, edge_weight, x, x.size(-2), False, method="random-walk", reverse=reverse)
        for reverse in (False, True)
    )
    return along, against


def diffuse(x: Float[Tensor, "*S N F"], matrices: Sequence[Adjacency], steps: int) -> Float[Tensor, "*S N D"]:
    """Put x and its first `steps` diffusions by each matrix side by side: `[x, M_1 x, M_1² x, …, M_2 x, …]`.

    Example:
        >>> diffuse(torch.tensor([[4.0], [0.0]]), [torch.tensor([[0.0, 0.0], [0.5, 0.0]])], 2).tolist()
        [[4.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
    """
    parts = [x]
    for matrix in matrices:
        h = x
        for _ in range(steps):
            h = propagate(matrix, h)
            parts.append(h)
    return torch.cat(parts, dim=-1)


class DiffusionLayer(nn.Module):
    r"""Diffusion convolution: `X' = X W_0 + Σ_m Σ_{k=1..K} M_m^k X W_{m,k} + b`.

    Args:
        in_channels: Features F of a node.
        out_channels: Features C of a node in the output.
        matrices: Number of matrices M_m; 2 for a walk along and one against the edges, 3 with a learned one.
        steps: Steps K of each walk. Default 2.

    Shape:
        x `[..., N, F]`; matrices `[N, N]` each, rows are targets, dense or sparse COO; returned `[..., N, C]`.

    Raises:
        ValueError: `steps` below 1; in a call: another number of matrices.

    Source:
        Li et al., "DCRNN" (2018), equation 2, with the matrices of the authors' code: news travels along the edges by
        `M = (D_O^-1 W)^T`, where the paper writes D_O^-1 W. Wu et al., "Graph WaveNet" (2019), equation 6.

    Example:
        >>> layer = DiffusionLayer(4, 8, matrices=2)
        >>> x = torch.randn(6, 3, 4)
        >>> layer(x, transition_matrices(torch.tensor([[0, 0, 1], [1, 2, 2]]), None, x)).shape
        torch.Size([6, 3, 8])
    """

    def __init__(self, in_channels: int, out_channels: int, *, matrices: int, steps: int = 2) -> None:
        super().__init__()
        check_widths(in_channels, out_channels, lazy=False)
        check_size("steps", steps)
        self.matrices = matrices
        self.steps = steps
        self.linear = nn.Linear((1 + matrices * steps) * in_channels, out_channels)

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        self.linear.reset_parameters()

    def forward(self, x: Float[Tensor, "*S N F"], matrices: Sequence[Adjacency]) -> Float[Tensor, "*S N C"]:
        """Compute the nodes' new features; see the class."""
        if len(matrices) != self.matrices:
            raise ValueError(f"matrices: {len(matrices)} are given, but this layer was built for {self.matrices}")
        return self.linear(diffuse(x, matrices, self.steps))

    def extra_repr(self) -> str:
        return f"matrices={self.matrices}, steps={self.steps}"
