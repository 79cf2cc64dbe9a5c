"""Forecasters that were built for the target alone, on data that have more features."""

from __future__ import annotations

from collections.abc import Callable, Collection

from torch import Tensor

from gnnkit.temporal.wrapper import ForecasterWrapper

__all__ = ["TargetOnlyForecaster", "reads_features"]


def reads_features(arguments: Collection[str]) -> bool:
    """Whether a forecaster reads more than the target: its constructor asks how many features there are.

    Args:
        arguments: Names of what the constructor takes.

    Example:
        >>> reads_features(["in_channels", "horizon"]), reads_features(["horizon"])
        (True, False)
    """
    return "in_channels" in arguments or "time_channels" in arguments


class TargetOnlyForecaster(ForecasterWrapper):
    """Show a forecaster feature 0 and nothing else: covariates, and the time, are left out.

    Args:
        forecaster: One that was built for a single feature.

    Shape:
        x `[B, T, N, F]`; returned as the forecaster returns it.

    Example:
        >>> import torch
        >>> from gnnkit.sequence import GRUForecaster
        >>> TargetOnlyForecaster(GRUForecaster(1, 8, horizon=3))(torch.randn(2, 12, 5, 4)).shape
        torch.Size([2, 3, 5])
    """

    def wrap(self, x: Tensor, mask: Tensor | None, target: Tensor | None, ask: Callable[..., Tensor]) -> Tensor:
        """The forecaster's forecast from feature 0 of x and of the mask."""
        return ask(x[..., :1], None if mask is None else mask[..., :1], target)
