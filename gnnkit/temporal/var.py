"""A vector autoregression in closed form: every node's last values speak of every node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from numpy.lib.stride_tricks import sliding_window_view
from safetensors.numpy import load_file, save_file

from gnnkit.temporal.profile import deviations, last_values, node_levels
from gnnkit.temporal.ridge_sums import PENALTIES, RidgeSums

__all__ = ["VAR"]

MOST_COLUMNS = 768
"""Columns of the regression, beside the constant."""
FACTORS = 32
"""Components that stand for the nodes where these are many."""
_ROUNDS = 2
"""Regressions after the first, each with the forecasts of the last one in the place of missing targets."""
_CHUNK = 8_000_000
_LEARNED = ("level", "spread", "components", "weights")


class VAR:
    """Ridge regression of each node's next values on the last values of all nodes, one regression a step and node.

    With u [T, N] the last values less the means of the nodes over the training windows, over their standard deviations
    σ, and y_0 the last value,

        ŷ_p = y_0 + σ (b_p + Σ_k B_{p,k} Vᵀ u_k)

    V is the identity where N · T ≤ 768. Where there are more, V [N, R] are the first R principal components of the
    training rows, R = min(32, N, 768 / T): a VAR of low rank, for the regression has N rows of coefficients and R
    columns at each lag. The penalty is the one of ten with the lowest MAE on the validation windows; a large one leaves
    the last value. Missing targets are forecast by the regression without them, twice over.

    Args:
        rank: R; 0 (default): as above.

    Raises:
        ValueError: `rank` is negative.

    Source:
        Lütkepohl, "New introduction to multiple time series analysis", 2005; components in place of many series: Stock
        and Watson, "Forecasting using principal components from a large number of predictors", 2002.

    Example:
        >>> from gnnkit.temporal import MODELS
        >>> MODELS["var"].family, MODELS["var"].settings
        ('sequence', {'rank': 0})
    """

    uses_graph = False
    deterministic = True
    target_only = True
    search_space: ClassVar[dict[str, tuple]] = {"rank": ("choice", 0, 4, 8, 16, 32)}

    def __init__(self, *, rank: int = 0) -> None:
        if rank < 0:
            raise ValueError(f"rank={rank}: must be 0 (by the number of nodes) or more")
        self.rank = int(rank)
        self.level, self.spread = np.zeros(1), np.ones(1)
        self.components = np.zeros((0, 0))
        self.weights = np.zeros((0, 0))
        self.penalty = PENALTIES[-1]

    @property
    def num_parameters(self) -> int:
        """Coefficients, components, means and deviations."""
        return sum(each.size for each in (self.weights, self.components, self.level, self.spread))

    def fit(self, train: Any, validation: Any) -> None:
        """Learn means, components and coefficients from the training windows; the penalty from the validation ones."""
        self.level = node_levels(train)
        values = deviations(train, self.level)
        spread = values.std(axis=0)
        self.spread = np.where(spread > 0, spread, 1.0)
        history, nodes = train.filled.shape[1:3]
        self.components = self._components(values / self.spread, history, nodes)
        gaps = bool(np.isnan(train.y).any())
        guess = None
        for _ in range(1 + _ROUNDS if gaps else 1):
            sums = None
            for part, inputs in self._inputs(train):
                y = self._targets(train, part)
                missing = np.isnan(y)
                if missing.any():
                    y = np.where(missing, 0.0 if guess is None else inputs @ guess, y)
                sums = sums or RidgeSums(inputs.shape[1], y.shape[1])
                sums.add(inputs, y)
            assert sums is not None  # there is a training window
            guess = self._best(sums, validation)
        assert guess is not None
        self.weights = guess

    def predict(self, windows: Any) -> Float[np.ndarray, "W P N"]:
        """Forecast in the data's unit."""
        return self._forecast(windows, self.weights)

    def save(self, folder: str | Path) -> None:
        """Write `var.safetensors` and `var.json`."""
        folder = Path(folder)
        tensors = {name: np.ascontiguousarray(getattr(self, name)) for name in _LEARNED}
        save_file(tensors, str(folder / "var.safetensors"))
        said = {"rank": self.rank, "penalty": self.penalty}
        (folder / "var.json").write_text(json.dumps(said) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> VAR:
        """Read what `save` wrote."""
        folder = Path(folder)
        said, tensors = json.loads((folder / "var.json").read_text("utf-8")), load_file(folder / "var.safetensors")
        found = cls(rank=said["rank"])
        found.penalty = said["penalty"]
        for name in _LEARNED:
            setattr(found, name, tensors[name])
        return found

    def _components(self, values: Float[np.ndarray, "R N"], history: int, nodes: int) -> Float[np.ndarray, "N R"]:
        if not self.rank and nodes * history <= MOST_COLUMNS:
            return np.eye(nodes)
        rank = min(self.rank or min(FACTORS, max(1, MOST_COLUMNS // history)), nodes, len(values))
        from sklearn.utils.extmath import randomized_svd

        return randomized_svd(values, rank, random_state=0)[2].T

    def _inputs(self, windows: Any) -> Iterator[tuple[slice, Float[np.ndarray, "W D"]]]:
        """Some windows at a time: the components of the last values, and 1."""
        seen = (deviations(windows, self.level) / self.spread) @ self.components
        history = windows.filled.shape[1]
        view = sliding_window_view(seen, history, axis=0)  # [W, R, T]
        size = max(1, _CHUNK // max(view.shape[1] * history + 1, windows.horizon * len(self.spread)))
        for first in range(0, len(windows), size):
            part = slice(first, min(first + size, len(windows)))
            flat = view[part].reshape(part.stop - part.start, -1)
            yield part, np.concatenate([flat, np.ones((len(flat), 1))], axis=1)

    def _targets(self, windows: Any, part: slice) -> Float[np.ndarray, "W K"]:
        """How the targets differ from the last value, in deviations, NaN where they are missing; K = P · N."""
        y = (windows.y[part] - last_values(windows, part)) / self.spread
        return y.reshape(len(y), -1)

    def _best(self, sums: RidgeSums, validation: Any) -> Float[np.ndarray, "D K"]:
        """The coefficients at the penalty with the lowest validation MAE."""
        least, best, weights = np.inf, None, np.zeros((0, 0))
        for penalty, weights in zip(PENALTIES, sums.solve(), strict=True):
            gap = np.abs(self._forecast(validation, weights) - validation.y)
            error = float(np.nansum(gap) / max(1, np.isfinite(gap).sum()))
            if error < least:
                least, best, self.penalty = error, weights, penalty
        return weights if best is None else best

    def _forecast(self, windows: Any, weights: Float[np.ndarray, "D K"]) -> Float[np.ndarray, "W P N"]:
        found = []
        for part, inputs in self._inputs(windows):
            change = (inputs @ weights).reshape(len(inputs), -1, len(self.spread))  # [w, P, N]
            found.append(last_values(windows, part) + change * self.spread)
        return np.concatenate(found)
