"""Linear rivals in closed form: what a network has to beat before it is worth its training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from safetensors.numpy import load_file, save_file

__all__ = ["Ridge"]

_PENALTIES = tuple(10.0**power for power in range(-6, 4))
"""What is tried, in mean squares of a feature."""
_FARTHEST = 10.0
"""Training deviations at which another feature is cut off, as modules see it."""


class Ridge:
    """Ridge regression on a node's last values, one set of coefficients for all nodes and one regression a step.

    With m the mean of a node (with `seasonal`, at that position of the season) over the training windows, and u_k the
    k-th value before the forecast less the mean at its row,

        ŷ_p = m_p + u_0 + b_p + Σ_k a_{p,k} u_k + Σ_h Σ_k c_{p,h,k} (Aʰ u_k) + Σ_f d_{p,f} x_f,
        (a, b, c, d) = (XᵀX / M + λS)⁻¹ Xᵀ(y − m − u_0) / M,   S the mean squares of the columns of X [M, D]

    A is the graph, its rows divided by their sums: the mean of the nodes that a node hears, and with `hops = 2` of
    those that these hear. A directed graph gives the nodes that hear it as well. x_f are the other features at the
    forecast, scaled, and cut off far from where they were in training. λ is the one of ten with the lowest MAE on the
    validation windows; a large one leaves the last value.

    Args:
        hops: how far a node hears its neighbours; 0: no graph. Default 1.
        seasonal: the mean is that of the position in the season, where the season is known (default False).

    Raises:
        ValueError: `hops` is negative, or of a step ahead no target was observed in training.

    Source:
        Hoerl and Kennard, "Ridge regression", 1970. Linear models as rivals of networks: Zeng et al., "Are Transformers
        effective for time series forecasting?", 2023; Toner and Darlow, "An analysis of linear time series forecasting
        models", 2024.

    Example:
        >>> from gnnkit.temporal import MODELS
        >>> MODELS["ridge-graph"].family, MODELS["ridge"].family
        ('graph', 'sequence')
    """

    search_space: ClassVar[dict[str, tuple]] = {"hops": (1, 2), "seasonal": ("choice", False, True)}

    def __init__(self, *, hops: int = 1, seasonal: bool = False) -> None:
        if hops < 0:
            raise ValueError(f"hops={hops}: must be 0 (no graph) or more")
        self.hops, self.seasonal = int(hops), bool(seasonal)
        self.means, self.others = np.zeros((1, 1)), np.zeros((2, 0))
        self.weights = np.zeros((0, 0))
        self.penalty = 0.0

    @property
    def uses_graph(self) -> bool:
        """Whether the graph makes a difference."""
        return self.hops > 0

    @property
    def num_parameters(self) -> int:
        """Coefficients, and the means that they start from."""
        return self.weights.size + self.means.size

    def fit(self, train: Any, validation: Any) -> None:
        """Learn the means from the training windows, and the coefficients; the penalty from the validation windows."""
        self.means = _means(train, train.season if self.seasonal and train.season else 1)
        others = train.filled[:, -1, :, 1:].astype(np.float64)
        spread = others.std(axis=(0, 1))
        self.others = np.stack([others.mean(axis=(0, 1)), np.where(spread > 0, spread, 1.0)])
        y = self._targets(train)
        if not np.isfinite(y).any(axis=0).all():
            raise ValueError("of a step ahead no target of the training windows was observed")
        regressions, inputs = _regressions(self._inputs(train), y), self._inputs(validation)
        least = np.inf
        for penalty in _PENALTIES:
            weights = np.concatenate([regression.at(penalty) for regression in regressions], axis=1)  # [D, P]
            error = float(np.nanmean(np.abs(self._forecast(inputs, weights, validation) - validation.y)))
            if error < least:
                least, self.weights, self.penalty = error, weights, penalty

    def predict(self, windows: Any) -> Float[np.ndarray, "W P N"]:
        """Forecast in the data's unit."""
        return self._forecast(self._inputs(windows), self.weights, windows)

    def save(self, folder: str | Path) -> None:
        """Write `ridge.safetensors` and `ridge.json`."""
        folder = Path(folder)
        tensors = {"means": self.means, "others": self.others, "weights": np.ascontiguousarray(self.weights)}
        save_file(tensors, str(folder / "ridge.safetensors"))
        said = {"hops": self.hops, "seasonal": self.seasonal, "penalty": self.penalty}
        (folder / "ridge.json").write_text(json.dumps(said) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Ridge:
        """Read what `save` wrote; the graph is that of the windows."""
        folder = Path(folder)
        said, tensors = json.loads((folder / "ridge.json").read_text("utf-8")), load_file(folder / "ridge.safetensors")
        found = cls(hops=said["hops"], seasonal=said["seasonal"])
        found.means, found.others, found.weights = (tensors[name] for name in ("means", "others", "weights"))
        found.penalty = said["penalty"]
        return found

    def _inputs(self, windows: Any) -> Float[np.ndarray, "M D"]:
        """A row for each window and node: its deviations from the means, its neighbours', the other features, and 1."""
        values = windows.filled[..., 0].astype(np.float64)  # [W, T, N]
        rows = windows.rows[:, None] + np.arange(1 - values.shape[1], 1)
        values = values - self.means[rows % len(self.means)]
        parts = [values]
        for matrix in self._matrices(windows) if self.hops else ():
            heard = values
            for _ in range(self.hops):
                heard = heard @ matrix.T
                parts.append(heard)
        stacked = np.concatenate(parts, axis=1).transpose(0, 2, 1)  # [W, N, D]
        center, spread = self.others
        others = np.clip((windows.filled[:, -1, :, 1:] - center) / spread, -_FARTHEST, _FARTHEST)
        ones = np.ones((*stacked.shape[:2], 1))
        found = np.concatenate([stacked, others, ones], axis=2)
        return found.reshape(-1, found.shape[2])

    def _matrices(self, windows: Any) -> list[Any]:
        """The mean of those that a node hears, and where edges have a direction, of those that hear it."""
        from scipy.sparse import csr_matrix

        edge_index, edge_weight = windows.edge_index, windows.edge_weight
        nodes, (source, target) = len(windows.node_names), edge_index
        other = source != target
        into = csr_matrix((edge_weight[other].astype(np.float64), (target[other], source[other])), shape=(nodes, nodes))
        heard = into.toarray()
        both = [heard] if np.allclose(heard, heard.T) else [heard, heard.T]
        sums = [each.sum(axis=1, keepdims=True) for each in both]
        return [np.divide(e, total, out=np.zeros_like(e), where=total > 0) for e, total in zip(both, sums, strict=True)]

    def _targets(self, windows: Any) -> Float[np.ndarray, "M P"]:
        y = windows.y.astype(np.float64) - self._base(windows)  # [W, P, N]
        return y.transpose(0, 2, 1).reshape(-1, y.shape[1])

    def _base(self, windows: Any) -> Float[np.ndarray, "W P N"]:
        """The last value, moved as the means move."""
        rows = windows.rows[:, None] + windows.lead + np.arange(windows.horizon)
        last = windows.filled[:, -1, :, 0] - self.means[windows.rows % len(self.means)]
        return self.means[rows % len(self.means)] + last[:, None]

    def _forecast(self, inputs: np.ndarray, weights: np.ndarray, windows: Any) -> Float[np.ndarray, "W P N"]:
        change = (inputs @ weights).reshape(len(windows), -1, weights.shape[1]).transpose(0, 2, 1)
        return self._base(windows) + change


class _Regression:
    """The eigenvectors of XᵀX, columns scaled to a mean square of 1: coefficients at any penalty are a product away."""

    def __init__(self, x: Float[np.ndarray, "M D"], y: Float[np.ndarray, "M K"]) -> None:
        gram = x.T @ x
        size = np.sqrt(np.diag(gram) / len(x))[:, None]
        self.scale = np.where(size > 0, size, 1.0)  # a column of zeros has no coefficient
        self.values, self.vectors = np.linalg.eigh(gram / (self.scale * self.scale.T * len(x)))
        self.turned = self.vectors.T @ (x.T @ y / (self.scale * len(x)))

    def at(self, penalty: float) -> Float[np.ndarray, "D K"]:
        shrunk = self.turned / (np.maximum(self.values, 0.0) + penalty)[:, None]
        return self.vectors @ shrunk / self.scale


def _regressions(x: Float[np.ndarray, "M D"], y: Float[np.ndarray, "M P"]) -> list[_Regression]:
    """One for all steps; where targets are missing, one for each step, on those that are there."""
    seen = np.isfinite(y)
    if seen.all():
        return [_Regression(x, y)]
    return [_Regression(x[there], y[there, step : step + 1]) for step, there in enumerate(seen.T)]


def _means(windows: Any, season: int) -> Float[np.ndarray, "S N"]:
    """[season, N]: the mean of each node at each position, over the last rows of histories; where none, of all."""
    values = np.where(windows.mask[:, -1, :, 0], windows.filled[:, -1, :, 0], np.nan).astype(np.float64)
    seen = np.isfinite(values)
    total, count = np.zeros((season, values.shape[1])), np.zeros((season, values.shape[1]))
    np.add.at(total, windows.rows % season, np.where(seen, values, 0.0))
    np.add.at(count, windows.rows % season, seen)
    overall = np.divide(
        total.sum(axis=0), count.sum(axis=0), out=np.zeros(values.shape[1]), where=count.sum(axis=0) > 0
    )
    return np.where(count > 0, total / np.maximum(count, 1), overall)
