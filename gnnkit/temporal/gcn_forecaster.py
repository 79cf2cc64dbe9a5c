"""A forecaster with a graph and no recurrence: the row "GCN" in T-GCN's tables."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from gnnkit.graph.propagation import AddSelfLoops, normalized_adjacency, propagate
from gnnkit.sequence._contract import ForecasterModule, Graph, check_choice, check_dropout

__all__ = ["GCNForecaster"]


class GCNForecaster(ForecasterModule):
    r"""Forecast with two graph convolutions of the whole history, whose T steps are channels.

    With A_hat = D^-1/2 (A + loops) D^-1/2 and X `[N, T F]`,

        y = ReLU(A_hat ReLU(A_hat X W_0 + b_0) W_1 + b_1) W + b

    There is no order of time in it but the channels' places, so what it lacks against T-GCN is what a
    recurrence gives.

    Args:
        in_channels, horizon, history, mask_input: As in `ForecasterModule`.
        hidden_channels: Width C of both layers.
        dropout: Share dropped after each layer. Default 0.
        add_self_loops: `"missing"` (default) adds a loop where the diagonal is empty; True adds one everywhere,
            False none.

    Raises:
        ValueError: A size below 1, or a share outside [0, 1).

    Source:
        Kipf & Welling (2017), equation 2; as a forecaster: the baseline of Zhao et al. (2020), which gives no details
        of its head. Here it is one linear map for all P steps.

    Example:
        >>> import torch
        >>> edge_index = torch.tensor([[0, 1], [1, 2]])
        >>> GCNForecaster(1, 8, horizon=3, history=12)(torch.randn(4, 12, 3, 1), edge_index).shape
        torch.Size([4, 3, 3])
    """

    uses_graph = True

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        horizon: int,
        *,
        history: int,
        dropout: float = 0.0,
        add_self_loops: AddSelfLoops = "missing",
        mask_input: bool = False,
    ) -> None:
        sizes = {"hidden_channels": hidden_channels, "history": history}
        super().__init__(in_channels, horizon, mask_input=mask_input, **sizes)
        self.dropout = check_dropout(dropout)
        check_choice("add_self_loops", add_self_loops, ("missing", True, False))
        self.add_self_loops: AddSelfLoops = add_self_loops
        self.convolution_1 = nn.Linear(self.history * self.width, self.hidden_channels)
        self.convolution_2 = nn.Linear(self.hidden_channels, self.hidden_channels)
        self.head = nn.Linear(self.hidden_channels, self.horizon)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw Glorot-uniform weights and zero biases for the convolutions, torch's own for the head."""
        for layer in (self.convolution_1, self.convolution_2):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.head.reset_parameters()

    def predict(self, x: Tensor, graph: Graph) -> Tensor:
        adjacency = normalized_adjacency(*graph, x, x.size(2), self.add_self_loops)
        h = x.transpose(1, 2).flatten(2)  # [B, N, T * F]
        for layer in (self.convolution_1, self.convolution_2):
            h = F.linear(h, layer.weight)
            h = F.relu(propagate(adjacency, h) + layer.bias)
            h = F.dropout(h, self.dropout, self.training)
        return self.head(h).transpose(1, 2)

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.hidden_channels}, horizon={self.horizon}, history={self.history}, "
            f"dropout={self.dropout}, add_self_loops={self.add_self_loops!r}, mask_input={self.mask_input}"
        )
