"""Chebyshev graph convolution, on features of any leading shape."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gnnkit.graph import propagate
from gnnkit.graph.propagation import Adjacency
from gnnkit.layers._checks import check_size, check_widths

__all__ = ["ChebyshevLayer", "chebyshev_terms"]


def chebyshev_terms(x: Float[Tensor, "*S N F"], matrix: Adjacency, terms: int) -> list[Float[Tensor, "*S N F"]]:
    """`T_0(M) x = x`, `T_1(M) x = M x`, `T_k(M) x = 2 M T_{k−1}(M) x − T_{k−2}(M) x`.

    Example:
        >>> [t.item() for t in chebyshev_terms(torch.ones(1, 1), torch.full((1, 1), 3.0), 4)]
        [1.0, 3.0, 17.0, 99.0]
    """
    found = [x, propagate(matrix, x)] if terms > 1 else [x]
    while len(found) < terms:
        found.append(2 * propagate(matrix, found[-1]) - found[-2])
    return found


class ChebyshevLayer(nn.Module):
    r"""Graph convolution with a polynomial of the scaled Laplacian: `X' = Σ_{k<K} T_k(L~) X W_k + b`.

    Args:
        in_channels: Features F of a node.
        out_channels: Features C of a node in the output.
        terms: Terms K of the polynomial; a node hears K − 1 hops. Default 3.

    Shape:
        x `[..., N, F]`; matrix `[N, N]`, the scaled Laplacian L~, dense or sparse COO (with the bound λ_max = 2 it is
        −D^-1/2 A D^-1/2); returned `[..., N, C]`.

    Source:
        Defferrard et al. (2016), as Yu et al., "STGCN" (2018), equation 3, use it.

    Example:
        >>> ChebyshevLayer(4, 8)(torch.randn(6, 5, 4), torch.eye(5)).shape
        torch.Size([6, 5, 8])
    """

    def __init__(self, in_channels: int, out_channels: int, *, terms: int = 3) -> None:
        super().__init__()
        check_widths(in_channels, out_channels, lazy=False)
        check_size("terms", terms)
        self.terms = terms
        self.linear = nn.Linear(terms * in_channels, out_channels)

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        self.linear.reset_parameters()

    def forward(self, x: Float[Tensor, "*S N F"], matrix: Float[Tensor, "N N"]) -> Float[Tensor, "*S N C"]:
        """Compute the nodes' new features; see the class."""
        return self.linear(torch.cat(chebyshev_terms(x, matrix, self.terms), dim=-1))

    def extra_repr(self) -> str:
        return f"terms={self.terms}"
