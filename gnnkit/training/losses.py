"""What a step of a forecaster's training lowers, and what its validation is scored by."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gnnkit.training.spread import Spread

if TYPE_CHECKING:
    from gnnkit.data import Windows

__all__ = ["POINT_LOSSES", "in_unit", "mean_absolute_error", "summed_loss"]

#: Loss -> what it makes of each error over σ, for forecasters that give one value.
POINT_LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "mae": torch.abs,
    "mse": torch.square,
    "huber": lambda error: 2 * F.huber_loss(error, torch.zeros_like(error), reduction="none"),
}


def in_unit(windows: "Windows", output: Float[Tensor, "B P N *Q"]) -> Float[Tensor, "B P N *Q"]:
    """Bring a forecast, of one value or of quantiles, back into the data's unit."""
    if output.dim() == 3:
        return windows.scaler.inverse_target(output)
    return windows.scaler.inverse_target(output.movedim(-1, 1)).movedim(1, -1)


def summed_loss(
    predicted: Float[Tensor, "B P N *Q"],
    true: Float[Tensor, "B P N"],
    mask: Bool[Tensor, "B P N"],
    scale: float,
    loss: str,
    levels: Sequence[float] = (),
) -> Tensor:
    """The loss of a batch, summed over its observed targets; see `gnnkit.training.fit`.

    Raises:
        ValueError: The forecaster does not give what the loss needs.
    """
    if predicted.dim() != true.dim() + bool(levels) or (levels and predicted.size(-1) != len(levels)):
        wanted = f"{[*true.shape, len(levels)]} for quantiles {levels}" if levels else f"{list(true.shape)}"
        raise ValueError(
            f"the forecaster gives {list(predicted.shape)}, but loss {loss!r} needs {wanted}; "
            "build it with the quantiles of the training settings"
        )
    if levels:
        error = torch.where(mask.unsqueeze(-1), predicted - true.unsqueeze(-1), 0.0) / scale
        level = torch.tensor(levels, dtype=error.dtype, device=error.device)
        return 2 * torch.maximum(-level * error, (1 - level) * error).sum() / len(levels)
    error = torch.where(mask, predicted - true, 0.0) / scale
    return POINT_LOSSES[loss](error).sum()


def mean_absolute_error(
    model: nn.Module, windows: "Windows", graph: tuple, batch_size: int, levels: Sequence[float], spread: Spread
) -> float:
    """MAE (of the median) in the data's unit over all observed targets, every target once whatever its batch.

    Raises:
        ValueError: Nothing was observed.
    """
    model.eval()
    total, observed = 0.0, 0
    with torch.no_grad():
        for index in torch.arange(len(windows), device=graph[0].device).split(batch_size):
            share, counts = spread.share(index)
            batch = windows.batch(share)
            predicted = in_unit(windows, model(batch.x, *graph, mask=batch.mask))
            if levels:
                predicted = predicted[..., levels.index(0.5)]
            if not counts:
                continue
            total += torch.where(batch.y_mask, predicted - batch.y, 0.0).abs().cpu().sum(dtype=torch.float64).item()
            observed += int(batch.y_mask.sum())
    total, observed = spread.sum(total, observed)
    if not observed:
        raise ValueError("the validation windows hold no observed target; give a series with values there")
    return total / observed
