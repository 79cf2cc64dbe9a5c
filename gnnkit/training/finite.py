"""The one way in which a training that has exploded says so."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gnnkit.settings.fit import TrainingFields

__all__ = [
    "check_exploded",
    "check_finite",
    "check_losses",
    "check_step",
    "check_weights",
    "largest_gradients",
    "shown_numbers",
]

# A loss so many times that of its start is no result, finite or not: no cross-entropy that learns comes near it.
_EXPLODED = 1000.0
_DATA = "look for extreme values in the data"


def check_finite(what: str, value: float, where: str, look: str = _DATA, /, **lower: float) -> None:
    """Raise where a figure of a training is no number any more.

    Args:
        what: E.g. `"the training loss"`.
        value: The figure.
        where: E.g. `"epoch 3, step 7"`.
        look: What else may be wrong.
        lower: Settings that are to be lowered, by name, as they are now.

    Raises:
        FloatingPointError: The figure is not finite.

    Example:
        >>> check_finite("the training loss", float("nan"), "epoch 1, step 2", learning_rate=1e6)
        Traceback (most recent call last):
        FloatingPointError: the training loss is nan at epoch 1, step 2: lower learning_rate (now 1e+06), or look for \
extreme values in the data
    """
    if not math.isfinite(value):
        raise FloatingPointError(f"{what} is {value} at {where}: {_way_out(lower)}, or {look}")


def _way_out(lower: dict[str, float]) -> str:
    return "lower " + " or ".join(f"{name} (now {now:g})" for name, now in lower.items())


def check_exploded(what: str, value: float, first: float, where: str, /, **lower: float) -> None:
    """Raise where the loss of a classifier that is to be reported is no number, or beyond all measure.

    Args:
        what: As for `check_finite`.
        value: The loss.
        first: The training's first loss; a thousand times of it, and of 1 at least, is beyond all measure.
        where: As for `check_finite`.
        lower: As for `check_finite`.

    Raises:
        FloatingPointError: The loss has exploded.
    """
    check_finite(what, value, where, **lower)
    if value > _EXPLODED * max(first, 1.0):
        raise FloatingPointError(f"{what} is {value:.3g} at {where}, and was {first:.3g} at first: {_way_out(lower)}")


def check_losses(losses: Tensor, step: int, epoch: int | None = None, /, **lower: float) -> None:
    """Raise where a loss of several steps, fetched from the device at once, is no number; names the first such step.

    Args:
        losses: `[K]`, of the steps up to `step`.
        step: The number of the last one.
        epoch: That it was in.
        lower: As for `check_finite`.

    Raises:
        FloatingPointError: One is not finite.
    """
    finite = losses.isfinite()
    if not bool(finite.all()):
        place = int((~finite).int().argmax())
        at = step - losses.numel() + 1 + place
        where = f"step {at}" if epoch is None else f"epoch {epoch}, step {at}"
        check_finite("the training loss", float(losses[place]), where, **lower)


def check_weights(model: nn.Module, where: str, /, **lower: float) -> None:
    """Raise where a weight is no number: a finite loss may have had a gradient that was none.

    Args:
        model: Its parameters are looked at.
        where: As for `check_finite`.
        lower: As for `check_finite`.

    Raises:
        FloatingPointError: One is not finite; names the parameter.
    """
    named = [(name, parameter.detach()) for name, parameter in model.named_parameters()]
    # A sum over each, fetched at once: one wait for the device.
    broken = torch.stack([(~parameter.isfinite()).any() for _, parameter in named]).tolist()
    for (name, parameter), is_broken in zip(named, broken, strict=True):
        if is_broken:
            value = parameter[~parameter.isfinite()][0]
            check_finite(f"a weight of {name}", float(value), where, **lower)


def largest_gradients(model: nn.Module, count: int = 3) -> str:
    """The parameters with the largest gradients, in words; those that are no numbers come first.

    Args:
        model: Its gradients are those of the last backward pass.
        count: How many are named. Default 3.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> layer(torch.ones(1, 1) * 1e6).sum().backward()
        >>> largest_gradients(layer)
        'weight 1e+06, bias 1'
    """
    found = [(name, each.grad.detach()) for name, each in model.named_parameters() if each.grad is not None]
    sizes = [(name, float(gradient.abs().max())) for name, gradient in found if gradient.numel()]
    order = sorted(sizes, key=lambda pair: (math.isfinite(pair[1]), -pair[1] if math.isfinite(pair[1]) else 0.0))
    return ", ".join(f"{name} {size:.3g}" for name, size in order[:count]) or "not there yet"


def shown_numbers(numbers: Tensor, count: int = 5) -> str:
    """The first of some numbers, in words.

    Example:
        >>> shown_numbers(torch.tensor([7, 3, 5]), count=2)
        '7, 3 and 1 more'
    """
    shown = ", ".join(map(str, numbers[:count].tolist()))
    return f"{shown} and {numbers.numel() - count} more" if numbers.numel() > count else shown


def check_step(
    what: str,
    value: float,
    epoch: int,
    step: int,
    settings: TrainingFields,
    batch: Tensor | None = None,
    forecaster: nn.Module | None = None,
) -> None:
    """Raise where a figure of a forecaster's training is no number any more, with what its step was about.

    Args:
        what: As for `check_finite`.
        value: The figure.
        epoch, step: Where.
        settings: Of the training; half precision overflows.
        batch: Numbers of the training windows in the step. Default: not told.
        forecaster: Its gradients are looked at. Default: not told.

    Raises:
        FloatingPointError: The figure is not finite.
    """
    if math.isfinite(value):
        return
    look = "look for extreme values in the series"
    if settings.precision.startswith("16"):
        look = f"train with precision bf16-mixed or 32-true, as {settings.precision} overflows above 65504, or {look}"
    details = [] if batch is None else [f"the batch is of training windows {shown_numbers(batch)}"]
    details += [] if forecaster is None else [f"the largest gradients are {largest_gradients(forecaster)}"]
    look = f"{look} ({'; '.join(details)})" if details else look
    lower = {"learning_rate": settings.learning_rate, "clip": settings.clip}
    check_finite(what, value, f"epoch {epoch}, step {step}", look, **lower)
