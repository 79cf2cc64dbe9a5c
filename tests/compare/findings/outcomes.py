"""Outcomes of models whose errors are made up, so that what the statistics should say of them is known."""

import numpy as np
import torch

from gnnkit.compare.conditions import Condition
from gnnkit.compare.scores import Outcome
from gnnkit.training import FitResult

WINDOWS, STEPS, NODES, HISTORY = 120, 2, 3, 4
TRUE = torch.zeros(WINDOWS, STEPS, NODES)
MASK = torch.ones(WINDOWS, STEPS, NODES, dtype=torch.bool)
COUNTS = np.full(WINDOWS, STEPS * NODES, dtype=float)


def outcome(model: str, error, *, seed: int = 0, val_mae: float = 1.0, family: str = "graph", **condition) -> Outcome:
    """A model whose error is the same at every step and node of a window; a number, or one for each window."""
    errors = torch.as_tensor(np.broadcast_to(error, WINDOWS).copy(), dtype=torch.float32)
    fitted = FitResult([], 1, val_mae, 1.0, 1.0, 1.0, 10, "epochs") if family != "baseline" else None
    predicted = errors[:, None, None].expand(WINDOWS, STEPS, NODES)
    return Outcome(model, family, seed, predicted, fitted, Condition(**condition))


def hard(seed: int, level: float = 2.0) -> np.ndarray:
    """Errors of windows that are hard and easy in turns."""
    return level * (1 + 0.3 * np.sin(np.arange(WINDOWS) / 5)) + np.random.default_rng(seed).normal(0, 0.02, WINDOWS)
