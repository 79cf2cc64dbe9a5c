"""DLinear: a linear map of the trend plus a linear map of the rest. Strong for its size, and it sees no graph."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gnnkit.sequence._contract import ForecasterModule, Graph, check_size

__all__ = ["DLinear"]


class DLinear(ForecasterModule):
    r"""Split the history into a moving average and what is left, and map each of them linearly to all P steps.

        trend_t = mean of x over `window` steps around t (the ends repeated),  rest = x − trend
        y = W_trend trend + W_rest rest + b

    One map is shared by all nodes; the graph is ignored.

    Args:
        horizon, history, mask_input: As in `ForecasterModule`.
        in_channels: Features F of a node at a step; the first is what is predicted, all of them are read.
        window: Steps of the moving average; odd. Default 25.

    Raises:
        ValueError: A size below 1, or an even window.

    Source:
        Zeng et al., "Are transformers effective for time series forecasting?" (2023). All weights begin at zero, so
        that the residual form begins as the last value; the code's are torch's own. Its two biases, which add up, are
        one here.

    Example:
        >>> DLinear(1, horizon=3, history=12)(torch.randn(4, 12, 5, 1)).shape
        torch.Size([4, 3, 5])
    """

    search_space: ClassVar[dict[str, tuple]] = {"window": ("choice", 5, 13, 25)}

    def __init__(
        self, in_channels: int, horizon: int, *, history: int, window: int = 25, mask_input: bool = False
    ) -> None:
        super().__init__(in_channels, horizon, mask_input=mask_input, history=history)
        if check_size("window", window) % 2 == 0:
            raise ValueError(f"window must be odd, so that as many steps lie before as after, got {window}")
        self.window = window
        self.trend = nn.Linear(self.history * self.width, self.horizon)
        self.rest = nn.Linear(self.history * self.width, self.horizon, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set all weights to zero."""
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def predict(self, x: Tensor, graph: Graph) -> Tensor:
        series = x.permute(0, 2, 3, 1)  # [B, N, F, T]
        side = self.window // 2
        ends = [series[..., :1].expand(*series.shape[:-1], side), series[..., -1:].expand(*series.shape[:-1], side)]
        trend = F.avg_pool1d(torch.cat([ends[0], series, ends[1]], dim=-1).flatten(0, 1), self.window, stride=1)
        trend = trend.view(series.shape)
        rest = series - trend
        return (self.trend(trend.flatten(2)) + self.rest(rest.flatten(2))).transpose(1, 2)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, horizon={self.horizon}, history={self.history}, window={self.window}"
