"""The residual form of a forecaster: predict the change from the last value."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from gnnkit.temporal.wrapper import ForecasterWrapper

__all__ = ["ResidualForecaster"]


class ResidualForecaster(ForecasterWrapper):
    r"""Add the last value to what a forecaster predicts: `ŷ_{t+p} = x_t + f(x)_p`.

    A forecaster that has learned nothing is then persistence, which most traffic models do not beat; what is left to
    learn is the change. The form is the same for every model, so a comparison stays one. Of a module within that puts
    back the level which it took out of the history, `adds_level` is set to False: the last value is the level then.

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

    def __init__(self, forecaster: nn.Module) -> None:
        super().__init__(forecaster)
        for module in forecaster.modules():
            if hasattr(module, "adds_level"):
                module.adds_level = False  # pyright: ignore[reportArgumentType]

    def wrap(self, x: Tensor, mask: Tensor | None, target: Tensor | None, ask: Callable[..., Tensor]) -> Tensor:
        """Add the last value, the last step of x, whose gaps are filled; the target comes as a change from it too."""
        last = x[:, -1, :, 0].unsqueeze(1)  # [B, 1, N]
        if target is not None:
            target = target - last
        change = ask(x, mask, target)
        return change + (last if change.dim() == 3 else last.unsqueeze(-1))
