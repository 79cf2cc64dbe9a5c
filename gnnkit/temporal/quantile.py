"""The quantile form of a forecaster: its forecast is the median, and a head adds the spread around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from gnnkit.sequence._contract import check_size
from gnnkit.temporal.wrapper import ForecasterWrapper

__all__ = ["QuantileForecaster"]

MEDIAN = 0.5
FIRST_SPREAD = 0.3
"""The deviation, in scaled units, of the normal distribution whose quantiles an untrained head is near."""


class QuantileForecaster(ForecasterWrapper):
    r"""Give quantiles in place of one value: the forecaster's own forecast is the median, steps lead away from it.

    With `m = f(x)` the forecast, `.5 = τ_k` among the levels and `δ ≥ 0` from a perceptron:

        q_k = m,   q_{k+j} = q_{k+j-1} + δ_{k+j},   q_{k-j} = q_{k-j+1} - δ_{k-j},   δ = softplus(W₂ relu(W₁ z))

    so quantiles never cross. `z` is what each node shows at the time of the forecast: its history as seen from the last
    value, which of it was observed, all features of the last step, and `m` itself. The form asks nothing of `f` but a
    forecast, and is the same for every model, those that write step by step among them; so a comparison stays one.

    Args:
        forecaster: Any forecaster that returns `[B, P, N]`; its feature 0 is what is predicted.
        quantiles: The Q levels, rising, inside (0, 1), with .5 among them.
        in_channels: Features F of a node at a step.
        horizon: Steps P to predict.
        history: Steps T of the history.
        spread_channels: Width of the perceptron. Default 32.

    Shape:
        x `[B, T, N, F]`, edge_index `[2, E]`, edge_weight `[E]`; returned `[B, P, N, Q]`.

    Raises:
        ValueError: Levels that do not rise, lie outside (0, 1) or lack .5; a size below 1.

    Source:
        Koenker & Bassett, "Regression quantiles" (1978). Trained on all levels at once, as in Zou & Yuan, "Composite
        quantile regression" (2008). The form of the head is gnnkit's own.

    Example:
        >>> from gnnkit.sequence import GRUForecaster
        >>> model = QuantileForecaster(
        ...     GRUForecaster(1, 8, horizon=3), quantiles=(0.05, 0.5, 0.95), in_channels=1, horizon=3, history=12
        ... )
        >>> model(torch.randn(2, 12, 5, 1)).shape
        torch.Size([2, 3, 5, 3])
    """

    def __init__(
        self,
        forecaster: nn.Module,
        *,
        quantiles: Sequence[float],
        in_channels: int,
        horizon: int,
        history: int,
        spread_channels: int = 32,
    ) -> None:
        super().__init__(forecaster)
        self.quantiles = _check_levels(quantiles)
        self.horizon = check_size("horizon", horizon)
        self.history = check_size("history", history)
        width = 2 * self.history + check_size("in_channels", in_channels) + self.horizon
        self.inner = nn.Linear(width, check_size("spread_channels", spread_channels))
        self.outer = nn.Linear(spread_channels, self.horizon * (len(self.quantiles) - 1))
        self._reset_spread()

    def reset_parameters(self) -> None:
        """Draw all weights of the forecaster and of the head anew."""
        super().reset_parameters()
        self._reset_spread()

    def _reset_spread(self) -> None:
        self.inner.reset_parameters()
        levels = torch.tensor(self.quantiles, dtype=torch.float64)
        step = FIRST_SPREAD * torch.special.ndtri(levels).diff()  # [Q - 1]
        with torch.no_grad():
            nn.init.normal_(self.outer.weight, std=0.01)
            # softplus⁻¹, so that the first quantiles are those of a normal distribution.
            self.outer.bias.copy_(step.expm1().log().repeat(self.horizon))

    def wrap(self, x: Tensor, mask: Tensor | None, target: Tensor | None, ask: Callable[..., Tensor]) -> Tensor:
        """The quantiles in x's scale, rising along the last axis; a ValueError where x has another history."""
        if x.dim() != 4 or x.size(1) != self.history:
            raise ValueError(
                f"x has shape {list(x.shape)}, but the quantile head was built for [B, T, N, F] with T = "
                f"{self.history}; build it with history=T"
            )
        median = ask(x, mask, target)  # [B, P, N]
        steps = self._steps(x, mask, median).to(median.dtype)  # [B, P, N, Q - 1]
        middle = self.quantiles.index(MEDIAN)
        # Added one by one, not by cumsum: rounding then keeps the order, on a GPU too.
        below, above = [median], [median]
        for number in reversed(range(middle)):
            below.append(below[-1] - steps[..., number])
        for number in range(middle, steps.size(-1)):
            above.append(above[-1] + steps[..., number])
        quantiles = torch.stack([*reversed(below), *above[1:]], dim=-1)
        if self.training and target is not None and getattr(self.forecaster, "leaves_nodes_out", False):
            # What came back as its target was not forecast: the spread has nothing to learn from it.
            left_out = (median == target.nan_to_num().to(median.dtype)).unsqueeze(-1)
            quantiles = torch.where(left_out, median.unsqueeze(-1), quantiles)
        return quantiles

    def _steps(
        self, x: Float[Tensor, "B T N F"], mask: Bool[Tensor, "B T N F"] | None, median: Float[Tensor, "B P N"]
    ) -> Float[Tensor, "B P N Q1"]:
        """The distances from each quantile to the next."""
        recent = (x[..., 0] - x[:, -1:, :, 0]).transpose(1, 2)  # [B, N, T]
        seen = torch.ones_like(recent) if mask is None else mask[..., 0].transpose(1, 2).to(recent.dtype)
        # The median's own weights learn from the losses of the quantiles, not from what the head reads of it.
        shown = torch.cat([recent, seen, x[:, -1], median.detach().transpose(1, 2).to(recent.dtype)], dim=-1)
        steps = F.softplus(self.outer(self.inner(shown).relu()))  # [B, N, P (Q - 1)]
        return steps.unflatten(-1, (self.horizon, -1)).transpose(1, 2)


def _check_levels(quantiles: Sequence[float]) -> tuple[float, ...]:
    levels = tuple(float(level) for level in quantiles)
    rising = all(low < high for low, high in pairwise(levels))
    if not rising or MEDIAN not in levels or not (levels[0] > 0 and levels[-1] < 1) or len(levels) < 2:
        raise ValueError(
            f"quantiles are {levels}; give at least two rising levels inside (0, 1), 0.5 among them, "
            "such as (0.05, 0.5, 0.95)"
        )
    return levels
