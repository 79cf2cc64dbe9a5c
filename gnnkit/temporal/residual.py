"""The residual form of a forecaster: predict the change from the last value."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from gnnkit.temporal.wrapper import ForecasterWrapper

__all__ = ["ResidualForecaster"]


class ResidualForecaster(ForecasterWrapper):
    r"""Add the last value to what a forecaster predicts: `ŷ_{t+p} = x_t + f(x)_p`.

    A forecaster that has learned nothing is then persistence, which most traffic models do not beat; what is left to
    learn is the change. The form is the same for every model, so a comparison stays one.

    Args:
        forecaster: Any forecaster; its feature 0 is what is predicted.

    Shape:
        x `[B, T, N, F]`, edge_index `[2, E]`, edge_weight `[E]`; returned `[B, P, N]`, or `[B, P, N, Q]` as f gives it.

    Example:
        >>> import torch
        >>> from gnnkit.sequence import GRUForecaster
        >>> model = ResidualForecaster(GRUForecaster(1, 8, horizon=3))
        >>> model(torch.randn(2, 12, 5, 1)).shape
        torch.Size([2, 3, 5])
    """

    def forward(
        self,
        x: Float[Tensor, "B T N F"],
        edge_index: Tensor | None = None,
        edge_weight: Tensor | None = None,
        *,
        mask: Bool[Tensor, "B T N F"] | None = None,
        target: Float[Tensor, "B P N"] | None = None,
        progress: float | None = None,
    ) -> Tensor:
        """Predict the next P steps of feature 0.

        Args:
            x: The history, scaled; gaps are filled from the past, so its last step is the last value observed.
            edge_index, edge_weight, mask, progress: Handed to the forecaster.
            target: The true steps in x's scale, NaN where unobserved; the forecaster gets them as changes from the last
                value.

        Returns:
            The forecast in x's scale.
        """
        last = x[:, -1, :, 0].unsqueeze(1)  # [B, 1, N]
        if target is not None:
            target = target - last
        change = self.forecaster(x, edge_index, edge_weight, mask=mask, target=target, progress=progress)
        return change + (last if change.dim() == 3 else last.unsqueeze(-1))
