"""A block of MTGNN: a gated dilated inception along time, two mix-hop layers along the graph, and a layer norm."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from gnnkit.graph.propagation import Adjacency
from gnnkit.layers import MixHopLayer
from gnnkit.temporal.temporal_convolution import DilatedInception, gated_convolution

__all__ = ["MTGNNBlock"]


class MTGNNBlock(nn.Module):
    r"""`z = tanh(I h) · sigmoid(I' h)`, `h' = LayerNorm(MixHop(z, A) + MixHop'(z, A^T) + h)`.

    The layer norm runs over steps, nodes and channels, with a scale and a shift for each of them where it is affine.

    Args:
        channels: Width C of h and z.
        steps: Steps of h that the block leaves.
        num_nodes: Nodes N.
        dilation: Of the inception.
        depth, retain: Of `MixHopLayer`.
        dropout: Share dropped of z.
        affine: Whether the norm scales and shifts. Default True.

    Shape:
        h `[B, T, N, C]`; returned z and h', `[B, T − 6 dilation, N, C]` each.

    Source:
        Wu et al. (2020), figure 3 and the authors' code.
    """

    def __init__(
        self,
        channels: int,
        steps: int,
        num_nodes: int,
        *,
        dilation: int,
        depth: int,
        retain: float,
        dropout: float,
        affine: bool = True,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.filter = DilatedInception(channels, channels, dilation=dilation)
        self.gate = DilatedInception(channels, channels, dilation=dilation)
        self.along = MixHopLayer(channels, channels, depth=depth, retain=retain)
        self.against = MixHopLayer(channels, channels, depth=depth, retain=retain)
        self.scale = nn.Parameter(torch.empty(steps, num_nodes, channels)) if affine else None
        self.shift = nn.Parameter(torch.empty(steps, num_nodes, channels)) if affine else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew; the layer norm scales by 1 and shifts by 0."""
        for module in (self.filter, self.gate, self.along, self.against):
            module.reset_parameters()
        if self.scale is not None and self.shift is not None:
            nn.init.ones_(self.scale)
            nn.init.zeros_(self.shift)

    def forward(
        self, h: Float[Tensor, "B T N C"], along: Adjacency, against: Adjacency, nodes: Int[Tensor, " M"] | None = None
    ) -> tuple[Float[Tensor, "B S N C"], Float[Tensor, "B S N C"]]:
        """Compute z, for the skip, and h', for the next block.

        Args:
            h: Of the block before.
            along, against: Matrices of `mixing_matrix`, of A and of A^T.
            nodes: Which nodes h holds; None (default): all.
        """
        z = F.dropout(gated_convolution(h, self.filter, self.gate), self.dropout, self.training)
        h = self.along(z, along) + self.against(z, against) + h[:, -z.size(1) :]
        scale, shift = self.scale, self.shift
        if nodes is not None and scale is not None and shift is not None:
            scale, shift = scale[:, nodes], shift[:, nodes]
        return z, F.layer_norm(h, h.shape[1:], scale, shift)
