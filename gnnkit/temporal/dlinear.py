"""DLinear: a linear map of the trend plus a linear map of the rest. Strong for its size, and it sees no graph."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gnnkit.sequence._contract import check_size, read_history

__all__ = ["DLinear"]


class DLinear(nn.Module):
    r"""Split the history into a moving average and what is left, and map each of them linearly to all P steps.

        trend_t = mean of x over `window` steps around t (the ends repeated),  rest = x − trend
        y = W_trend trend + W_rest rest + b

    One map is shared by all nodes; the graph is ignored.

    Args:
        in_channels: Features F of a node at a step; the first is what is predicted, all of them are read.
        horizon: Steps P to predict.
        history: Steps T of the history.
        window: Steps of the moving average; odd. Default 25.
        mask_input: Append the mask of observed entries to the features. Default False: the mask is not read.

    Shape:
        x `[B, T, N, F]`; returned `[B, P, N]`.

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

    #: The graph is taken, because all forecasters are called alike, and ignored.
    uses_graph: ClassVar[bool] = False
    search_space: ClassVar[dict[str, tuple]] = {"window": ("choice", 5, 13, 25)}

    def __init__(
        self, in_channels: int, horizon: int, *, history: int, window: int = 25, mask_input: bool = False
    ) -> None:
        super().__init__()
        self.in_channels = check_size("in_channels", in_channels)
        self.horizon = check_size("horizon", horizon)
        self.history = check_size("history", history)
        if check_size("window", window) % 2 == 0:
            raise ValueError(f"window must be odd, so that as many steps lie before as after, got {window}")
        self.window = window
        self.mask_input = mask_input
        width = self.history * self.in_channels * (2 if mask_input else 1)
        self.trend = nn.Linear(width, self.horizon)
        self.rest = nn.Linear(width, self.horizon, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set all weights to zero."""
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self,
        x: Float[Tensor, "B T N F"],
        edge_index: Tensor | None = None,
        edge_weight: Tensor | None = None,
        *,
        mask: Bool[Tensor, "B T N F"] | None = None,
        target: Tensor | None = None,
        progress: float | None = None,
    ) -> Float[Tensor, "B P N"]:
        """Predict the next P steps of feature 0; arguments and errors as in `TGCN.forward`, the graph is ignored."""
        x = read_history(x, mask, self.in_channels, self.mask_input, history=self.history)
        series = x.permute(0, 2, 3, 1)  # [B, N, F, T]
        side = self.window // 2
        ends = [series[..., :1].expand(*series.shape[:-1], side), series[..., -1:].expand(*series.shape[:-1], side)]
        trend = F.avg_pool1d(torch.cat([ends[0], series, ends[1]], dim=-1).flatten(0, 1), self.window, stride=1)
        trend = trend.view(series.shape)
        rest = series - trend
        return (self.trend(trend.flatten(2)) + self.rest(rest.flatten(2))).transpose(1, 2)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, horizon={self.horizon}, history={self.history}, window={self.window}"
