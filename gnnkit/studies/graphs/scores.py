"""Losses and scores of whole graphs' labels, by their task and metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gnnkit.data.graph_set import GraphSet
from gnnkit.data.ogb_graphs import graph_evaluator

__all__ = ["HIGHER", "METRIC_NAMES", "GraphTask"]

METRIC_NAMES = {"acc": "accuracy", "rocauc": "ROC-AUC", "ap": "average precision", "rmse": "RMSE"}
HIGHER = {"acc": True, "rocauc": True, "ap": True, "rmse": False}
"""Whether more is better."""


class GraphTask:
    """What is learnt of the labels of some training graphs, and how it is scored.

    Numbers are brought to mean 0 and deviation 1 of the training graphs for the loss, and scored in their own unit.

    Args:
        graphs: The graphs.
        train: Numbers of those that train.
    """

    def __init__(self, graphs: GraphSet, train: Tensor):
        self.task, self.metric, self.num_outputs = graphs.task, graphs.metric, graphs.num_classes
        y = graphs.y[train]
        self._train = y
        if self.task == "numbers":
            known = ~y.isnan()
            count = known.sum(dim=0).clamp(min=1)
            self.mean = y.nan_to_num().double().sum(dim=0) / count
            spread = torch.where(known, y.double() - self.mean, 0.0).square().sum(dim=0) / count
            self.deviation = torch.where(spread > 0, spread.sqrt(), 1.0)
        # Of a table of one class there is one column of labels.
        self._evaluator: Any = graph_evaluator(self.metric, 1 if self.task == "classes" else self.num_outputs)

    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy in nats, or the mean squared error in deviations; unknown labels play no part."""
        if self.task == "classes":
            return F.cross_entropy(out, y)
        known = ~y.isnan()
        if self.task == "yes-or-no":
            each = F.binary_cross_entropy_with_logits(out, y.nan_to_num(), reduction="none")
        else:
            each = (out - ((y - self.mean.to(y)) / self.deviation.to(y)).nan_to_num()).square()
        return (each * known).sum() / known.sum().clamp(min=1)

    def predictions(self, out: Tensor) -> Tensor:
        """What the scores are made of: `[B, 1]` classes, `[B, T]` scores, or numbers in their own unit."""
        if self.task == "classes":
            return out.argmax(dim=1, keepdim=True)
        return (
            out.double() * self.deviation.to(out.device) + self.mean.to(out.device) if self.task == "numbers" else out
        )

    def score(self, predictions: Tensor, y: Tensor) -> float:
        """The metric of predictions, by OGB's evaluator.

        Raises:
            ValueError: It is not defined: no label is known, or (rocauc, ap) no question has both answers.
        """
        truth = y.view(-1, 1) if self.task == "classes" else y
        try:
            found = self._evaluator.eval({"y_true": truth.numpy(), "y_pred": predictions.numpy()})[self.metric]
        except (RuntimeError, ZeroDivisionError):
            found = float("nan")
        if not np.isfinite(found):
            raise ValueError(
                f"{METRIC_NAMES[self.metric]} of {len(y)} graphs is not defined: their labels are unknown, or all the "
                "same; give fewer folds, or a split with both in each part"
            )
        return float(found)

    def scorer(self, predictions: Tensor, y: Tensor) -> Callable[[Any], float]:
        """The metric of some of the predictions, by their places."""
        return lambda rows: self.score(predictions[rows], y[rows])

    def constant(self, count: int) -> Tensor:
        """The predictions of one that knows the training labels alone: the most frequent class, shares, or means."""
        if self.task == "classes":
            return torch.bincount(self._train, minlength=self.num_outputs).argmax().expand(count, 1)
        return self._train.double().nanmean(dim=0).nan_to_num().expand(count, -1)
