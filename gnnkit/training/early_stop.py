"""When a training is over, and which of its weights are the best: one answer for every loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["KEEP", "STOP_RULES", "EarlyStop", "weights_of"]

STOP_RULES = ("loss", "mean-loss", "loss-and-accuracy", "accuracy")
KEEP = ("last", "best", "least-loss")


class EarlyStop:
    """Keeps the weights of the best validation, and says when none was better for too long.

    Args:
        patience: Validations without a better one after which the training is over; None (default): it never is.
        rule: What is better: one of `STOP_RULES`, as `SeedSettings` describes them. Default `"loss"`: a lower loss.
        keep: Weights that are kept: `"best"` (default) by the rule, those of the `"least-loss"` whatever the rule, or
            none, as the `"last"` are those that the model has.

    Example:
        >>> layer, stop = torch.nn.Linear(1, 1), EarlyStop(patience=2)
        >>> for epoch, loss in enumerate((3.0, 2.0, 2.5, 2.0), start=1):
        ...     print(stop.update(epoch, loss, weights=lambda: weights_of(layer)), stop.over)
        True False
        True False
        False False
        False True
        >>> stop.at, stop.loss
        (2, 2.0)
    """

    def __init__(self, patience: int | None = None, *, rule: str = "loss", keep: str = "best") -> None:
        self.patience, self.rule, self.keep = patience, rule, keep
        self.loss, self.accuracy = math.inf, -1.0  # the best so far, each by itself
        self.at, self.weights = 0, dict[str, Tensor]()
        self.wait, self.over = 0, False
        self._tied = math.inf  # the loss where the accuracy was the best
        self._losses: list[float] = []

    def update(self, at: int, loss: float, accuracy: float = 0.0, *, weights: Callable[[], dict[str, Tensor]]) -> bool:
        """Take in a validation.

        Args:
            at: The epoch or step that it follows.
            loss: Or any other score of which less is better.
            accuracy: For the rules that ask for it.
            weights: Gives a copy of the weights; called when they are to be kept.

        Returns:
            Whether its weights are those that are kept from now on.
        """
        is_least = loss < self.loss
        if self.rule == "loss-and-accuracy":
            lower, higher = loss <= self.loss, accuracy >= self.accuracy
            is_better, is_worse = lower and higher, not (lower or higher)
        else:
            by_accuracy = (accuracy, -loss) > (self.accuracy, -self._tied)
            is_better = by_accuracy if self.rule == "accuracy" else is_least
            is_worse = not is_better
        self.loss, self.accuracy = min(loss, self.loss), max(accuracy, self.accuracy)
        self._tied = loss if is_better else self._tied
        self.wait = self.wait + 1 if is_worse else 0
        self.over = self.patience is not None and self._is_over(loss, self.patience)
        is_kept = self.keep != "last" and (is_better if self.keep == "best" else is_least)
        if is_kept:
            self.at, self.weights = at, weights()
        return is_kept

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """All that it knows, for a snapshot: numbers as JSON values, and the weights that it keeps."""
        names = ("loss", "accuracy", "at", "wait", "over", "_tied", "_losses")
        return {name: getattr(self, name) for name in names}, dict(self.weights)

    def load_state(self, numbers: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """Go back to what `state` gave."""
        for name, value in numbers.items():
            setattr(self, name, value)
        self.weights = dict(weights)

    def _is_over(self, loss: float, patience: int) -> bool:
        if self.rule != "mean-loss":
            return self.wait >= patience
        before, self._losses = self._losses[-patience - 1 :], [*self._losses[-patience - 1 :], loss]
        return len(before) > patience and loss > sum(before[1:]) / patience


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """A copy of a module's parameters and persistent buffers."""
    with torch.no_grad():
        return {name: tensor.clone() for name, tensor in module.state_dict().items()}
