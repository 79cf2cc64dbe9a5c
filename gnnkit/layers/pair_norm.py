"""PairNorm: node features keep their distance, however often they are averaged."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["PairNorm"]


class PairNorm(nn.Module):
    r"""Centre the nodes' features and scale them so that their mean squared distance stays the same, layer by layer.

        c_i = x_i - mean_j x_j,      x'_i = scale * c_i / sqrt(ε + mean_j |c_j|²)

    Args:
        scale: Root mean squared length of a node's features afterwards. Default 1.
        eps: ε, which keeps equal features from dividing by zero. Default 1e-5.

    Shape:
        `x`: `[..., N, F]`; returned: the same. Each leading entry is normalised by itself.

    Source:
        Zhao & Akoglu, "PairNorm: tackling oversmoothing in GNNs" (2020), equations 10 and 11, on one graph.

    Example:
        >>> import torch
        >>> PairNorm()(torch.tensor([[1.0], [3.0]])).round(decimals=3).tolist()
        [[-1.0], [1.0]]
    """

    def __init__(self, scale: float = 1.0, eps: float = 1e-5):
        super().__init__()
        self.scale = scale
        self.eps = eps

    def forward(self, x: Float[Tensor, "*batch N F"]) -> Float[Tensor, "*batch N F"]:
        """Normalise over the nodes."""
        centred = x - x.mean(dim=-2, keepdim=True)
        length = (self.eps + centred.square().sum(dim=-1, keepdim=True).mean(dim=-2, keepdim=True)).sqrt()
        return self.scale * centred / length

    def __repr__(self) -> str:
        return f"{type(self).__name__}(scale={self.scale})"
