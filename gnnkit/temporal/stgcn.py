"""STGCN: gated convolutions along time around Chebyshev convolutions along the graph; no recurrence."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gnnkit.graph import normalized_adjacency
from gnnkit.layers import ChebyshevLayer
from gnnkit.sequence._contract import ForecasterModule, Graph, check_dropout, check_size
from gnnkit.temporal.temporal_convolution import TemporalConvolution, pad_history

__all__ = ["STGCN"]


class _GatedLinear(nn.Module):
    """`P, Q = Θ * x;  y = (P + x) · sigmoid(Q)`, x being cut, filled up with zeros or mapped to the width of P."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.convolution = TemporalConvolution(in_channels, 2 * out_channels, kernel_size)
        self.align = _Align(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        seen, opened = self.convolution(x).chunk(2, dim=-1)
        return (seen + self.align(x[:, -seen.size(1) :])) * opened.sigmoid()


class _Align(nn.Module):
    """Bring features to another width: zeros behind them for a larger one, a linear map for a smaller one."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.missing = out_channels - in_channels
        self.linear = nn.Linear(in_channels, out_channels) if self.missing < 0 else None

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, self.missing)) if self.linear is None else self.linear(x)


class _Block(nn.Module):
    """Along time, along the graph, along time; then a layer norm over nodes and channels."""

    def __init__(self, in_channels: int, channels: int, num_nodes: int, kernel_size: int, terms: int) -> None:
        super().__init__()
        narrow = max(1, channels // 4)
        self.first = _GatedLinear(in_channels, channels, kernel_size)
        self.spatial = ChebyshevLayer(channels, narrow, terms=terms)
        self.align = _Align(channels, narrow)
        self.second = _GatedLinear(narrow, channels, kernel_size)
        self.norm = nn.LayerNorm([num_nodes, channels])

    def forward(self, x: Tensor, laplacian: Tensor) -> Tensor:
        x = self.first(x)
        x = (self.spatial(x, laplacian) + self.align(x)).relu()
        return self.norm(self.second(x))


class STGCN(ForecasterModule):
    r"""Forecast with two blocks "time, graph, time", and an output block that reads the steps that are left.

        block:   h' = LayerNorm(Γ_1 * ReLU(Σ_k T_k(L~) W_k (Γ_0 * h) + b)),   Γ * h = (P + h) · sigmoid(Q)
        output:  y = W sigmoid(W' LayerNorm(Γ * h_2))

    with L~ = −D^-1/2 A D^-1/2, the scaled Laplacian for λ_max = 2.

    Args:
        in_channels, horizon, num_nodes, mask_input: As in `ForecasterModule`.
        hidden_channels: Width C along time; the graph convolutions have C / 4.
        history: Steps T of the history; below 4 (k − 1) + 1 it is filled up with zeros in front.
        kernel_size: Taps k along time. Default 3.
        terms: Terms K of the polynomial. Default 3.
        dropout: Share dropped after each block. Default 0.

    Raises:
        ValueError: A size below 1, or a share outside [0, 1).

    Source:
        Yu et al., "Spatio-temporal graph convolutional networks" (2018), with the paper's widths 64, 16, 64 for C = 64
        and the residual sums of the authors' code. They predict one step and feed it back; here the last map gives all
        P steps. Their graph is undirected; of another one (A + A^T) / 2 is taken. They compute λ_max; here its bound 2
        stands for it. Their code has ReLU(P + h) for the paper's gate in Γ_1, widths 32, 32, 64 in block 1 and 64, 32,
        128 in block 2, and a bias for each node in the last map.

    Example:
        >>> edge_index = torch.tensor([[0, 1], [1, 2]])
        >>> STGCN(1, 8, horizon=3, history=12, num_nodes=3)(torch.randn(4, 12, 3, 1), edge_index).shape
        torch.Size([4, 3, 3])
    """

    uses_graph = True
    search_space: ClassVar[dict[str, tuple]] = {"kernel_size": (2, 3), "terms": (1, 3)}

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        horizon: int,
        *,
        history: int,
        num_nodes: int,
        kernel_size: int = 3,
        terms: int = 3,
        dropout: float = 0.0,
        mask_input: bool = False,
    ) -> None:
        sizes = {"hidden_channels": hidden_channels, "history": history, "num_nodes": num_nodes}
        super().__init__(in_channels, horizon, mask_input=mask_input, **sizes)
        self.dropout = check_dropout(dropout)
        c = self.hidden_channels
        used = 4 * (check_size("kernel_size", kernel_size) - 1)
        self.steps = max(self.history, used + 1)
        self.block_1 = _Block(self.width, c, num_nodes, kernel_size, terms)
        self.block_2 = _Block(c, c, num_nodes, kernel_size, terms)
        self.last = _GatedLinear(c, c, self.steps - used)
        self.norm = nn.LayerNorm([num_nodes, c])
        self.head_1 = nn.Linear(c, c)
        self.head_2 = nn.Linear(c, self.horizon)

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        for module in self.modules():
            if isinstance(module, (TemporalConvolution, nn.Linear, nn.LayerNorm)):
                module.reset_parameters()

    def predict(self, x: Tensor, graph: Graph) -> Tensor:
        h = pad_history(x, self.steps)
        laplacian = -normalized_adjacency(*graph, x, self.num_nodes, False, undirected=True)
        for block in (self.block_1, self.block_2):
            h = F.dropout(block(h, laplacian), self.dropout, self.training)
        h = self.norm(self.last(h)).squeeze(1)  # [B, N, C]
        return self.head_2(torch.sigmoid(self.head_1(h))).transpose(1, 2)
