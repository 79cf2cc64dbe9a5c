"""PairNorm: node features keep their distance, however often they are averaged."""

import typing

import torch
from torch import Tensor
from torch_geometric import nn as pyg
from torch_geometric.utils import scatter

__all__ = ["PairNorm"]


class PairNorm(pyg.PairNorm):
    r"""Centre the nodes' features and scale them so that their mean squared distance stays the same, layer by layer.

        c_i = x_i - mean_j x_j,      x'_i = scale * c_i / sqrt(ε + mean_j |c_j|²)

    or, each node by itself, `x'_i = scale * c_i / (ε + |c_i|)`.

    Args:
        scale: Root mean squared length of a node's features afterwards. Default 1.
        scale_individually: Whether each node is scaled by its own length. Default False.
        eps: ε, which keeps equal features from dividing by zero. Default 1e-5.

    Shape:
        `x`: `[..., N, F]`; `batch`: `[N]`, the graph of each node, where there is more than one; `batch_size`: how many
        graphs there are, by default as many as `batch` shows; returned: as `x`. Each graph, and each leading entry, is
        normalised by itself.

    Source:
        Zhao & Akoglu, "PairNorm: tackling oversmoothing in GNNs" (2020), equations 10 and 11, with the arguments of
        PyG's `PairNorm`.

    Example:
        >>> PairNorm()(torch.tensor([[1.0], [3.0]])).round(decimals=3).tolist()
        [[-1.0], [1.0]]
    """

    # TorchScript reads no shape annotations, and no `Tensor | None`.
    def forward(
        self,
        x: Tensor,
        batch: typing.Optional[Tensor] = None,  # noqa: UP045
        batch_size: typing.Optional[int] = None,  # noqa: UP045
    ) -> Tensor:
        """Normalise over the nodes of a graph."""
        centred = x - self._mean(x, batch, batch_size)
        if self.scale_individually:
            length = self.eps + torch.linalg.vector_norm(centred, dim=-1, keepdim=True)
        else:
            square = self._mean(centred.square().sum(dim=-1, keepdim=True), batch, batch_size)
            length = (self.eps + square).sqrt()
        return self.scale * centred / length

    def _mean(
        self,
        x: Tensor,
        batch: typing.Optional[Tensor],  # noqa: UP045
        batch_size: typing.Optional[int],  # noqa: UP045
    ) -> Tensor:
        """The mean of each node's graph."""
        if batch is None:
            return x.mean(dim=-2, keepdim=True)
        return scatter(x, batch, dim=-2, dim_size=batch_size, reduce="mean").index_select(-2, batch)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self.scale == 1 else f'scale={self.scale}'})"
