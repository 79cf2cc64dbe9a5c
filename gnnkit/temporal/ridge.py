"""Linear rivals in closed form: what a network has to beat before it is worth its training."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from numpy.lib.stride_tricks import sliding_window_view
from safetensors.numpy import load_file, save_file

from gnnkit.temporal.neighbour_means import neighbour_means
from gnnkit.temporal.profile import Profile, deviations, last_values, node_levels, season_lengths
from gnnkit.temporal.ridge_sums import PENALTIES, RidgeSums

__all__ = ["Ridge"]

_FARTHEST = 10.0
"""Training deviations at which another feature is cut off, as modules see it."""
_ROUNDS = 3
_NEAREST = 0.03
"""Errors count as so large at least, in mean absolute changes from the last value."""
_CHUNK = 4_000_000
"""Numbers of the table of inputs that are held at once."""


class Ridge:
    """Ridge regression on a node's last values, one set of coefficients for all nodes and one regression a step.

    With u_k the k-th value before the forecast less the node's mean over the training windows, and y_0 the last value,

        ŷ_p = y_0 + b_p + Σ_k a_{p,k} u_k + Σ_h Σ_k c_{p,h,k} (Aʰ u_k) + Σ_f d_{p,f} x_f + Σ_j e_{p,j} s_j,
        (a, b, c, d, e) = (XᵀX / M + λS)⁻¹ Xᵀ(y − y_0) / M,   S the mean squares of the columns of X [M, D]

    Networks are trained on absolute errors, and are scored by these. With `loss = "mae"` so is this: each square is
    divided by the size of its error in the last round, three times over, and the round with the lowest MAE on the
    validation windows counts.

    A is the graph, its rows divided by their sums: the mean of the nodes that a node hears, and with `hops = 2` of
    those that these hear. A directed graph gives the nodes that hear it as well. x_f are the other features at the
    forecast, scaled, and cut off far from where they were in training. λ is the one of ten with the lowest MAE on the
    validation windows; a large one leaves the last value.

    With `seasonal`, s_j is the node's usual deviation from its mean at that position of the season, at the forecast and
    at each step ahead; without, and where the season is unknown, there is none. In training it is made of the other
    cycles: with few of them a row's own would tell much of the row. Where the season is a day and the training windows
    hold two weeks, the profile is that of the day or of the week, whichever has the lower MAE on the validation ones.

    Args:
        hops: how far a node hears its neighbours; 0: no graph. Default 1.
        seasonal: whether the profile of the season is seen (default False).
        lags: how many of the last values are seen; 0 (default): the whole history.
        loss: "mae" (default) or "mse", the closed form alone.

    Raises:
        ValueError: `hops` or `lags` is negative, or the loss is another one.

    Source:
        Hoerl and Kennard, "Ridge regression", 1970. Least absolute errors by weights: Schlossmacher, "An iterative
        technique for absolute deviations curve fitting", 1973. Linear models as rivals of networks: Zeng et al., "Are
        Transformers effective for time series forecasting?", 2023; Toner and Darlow, "An analysis of linear time series
        forecasting models", 2024.

    Example:
        >>> from gnnkit.temporal import MODELS
        >>> MODELS["ridge-graph"].family, MODELS["ridge"].family
        ('graph', 'sequence')
    """

    deterministic = True
    search_space: ClassVar[dict[str, tuple]] = {
        "hops": (1, 2),
        "seasonal": ("choice", False, True),
        "lags": ("choice", 0, 1, 3, 6),
    }

    def __init__(self, *, hops: int = 1, seasonal: bool = False, lags: int = 0, loss: str = "mae") -> None:
        if loss not in ("mae", "mse"):
            raise ValueError(f"loss={loss!r}: give 'mae' or 'mse'")
        for name, value in (("hops", hops), ("lags", lags)):
            if value < 0:
                raise ValueError(f"{name}={value}: must be 0 ({_NOUGHT[name]}) or more")
        self.hops, self.seasonal, self.lags, self.loss = int(hops), bool(seasonal), int(lags), loss
        self.level, self.profile = np.zeros(1), Profile(np.zeros((1, 1)))
        self.others = np.zeros((2, 0))
        self.weights = np.zeros((0, 0))
        self.penalty = PENALTIES[-1]

    @property
    def uses_graph(self) -> bool:
        """Whether the graph makes a difference."""
        return self.hops > 0

    @property
    def num_parameters(self) -> int:
        """Coefficients, means and profiles."""
        season = self.profile.table
        return self.weights.size + self.level.size + (season.size if len(season) > 1 else 0)

    def fit(self, train: Any, validation: Any) -> None:
        """Learn the means from the training windows, and the coefficients; the penalty from the validation windows."""
        self.level = node_levels(train)
        others = train.filled[:, -1, :, 1:].astype(np.float64)
        spread = others.std(axis=(0, 1))
        self.others = np.stack([others.mean(axis=(0, 1)), np.where(spread > 0, spread, 1.0)])
        found = [self._fitted(train, validation, season) for season in season_lengths(train, seasonal=self.seasonal)]
        _, self.profile, self.weights, self.penalty = min(found, key=lambda each: each[0])

    def _fitted(self, train: Any, validation: Any, season: int) -> tuple[float, Profile, np.ndarray, float]:
        """The validation error with the profile of a season, and what it was reached with."""
        self.profile = Profile.of(train, season, self.level) if season > 1 else Profile(np.zeros((1, len(self.level))))
        sums, total, count = None, 0.0, 0
        for inputs, y in self._rows(train):
            sums = sums or RidgeSums(inputs.shape[1], y.shape[1])
            sums.add(inputs, y)
            total, count = total + float(np.nansum(np.abs(y))), count + int(np.isfinite(y).sum())
        assert sums is not None  # there is a training window
        rounds = [self._chosen(list(sums.solve()), validation)]
        for _ in range(_ROUNDS if self.loss == "mae" and total > 0 else 0):
            tried = self._reweighted(train, rounds[-1][1], _NEAREST * total / count)
            rounds.append(self._chosen(tried, validation))
        error, weights, penalty = min(rounds, key=lambda each: each[0])
        return error, self.profile, weights, penalty

    def _chosen(
        self, tried: Sequence[Float[np.ndarray, "D P"]], validation: Any
    ) -> tuple[float, Float[np.ndarray, "D P"], float]:
        """Of the coefficients at each penalty those with the lowest validation error: error, coefficients, penalty."""
        errors = self._validation_errors(tried, validation)
        best = int(np.argmin(errors)) if np.isfinite(errors).any() else len(errors) - 1
        return float(errors[best]), tried[best], PENALTIES[best]

    def _reweighted(
        self, train: Any, weights: Float[np.ndarray, "D P"], nearest: float
    ) -> list[Float[np.ndarray, "D P"]]:
        """The coefficients at each penalty, every square divided by the last size of its error."""
        steps = [RidgeSums(len(weights), 1) for _ in range(weights.shape[1])]
        for inputs, y in self._rows(train):
            counts = 1 / np.maximum(np.abs(y - inputs @ weights), nearest)
            counts, y = np.where(np.isfinite(y), counts, 0.0), np.nan_to_num(y)
            for step, sums in enumerate(steps):
                sums.add_weighted(inputs, y[:, step : step + 1], counts[:, step])
        return [np.concatenate(found, axis=1) for found in zip(*(sums.solve() for sums in steps), strict=True)]

    def _rows(self, train: Any) -> Iterator[tuple[Float[np.ndarray, "M D"], Float[np.ndarray, "M P"]]]:
        """Inputs, and how the targets differ from the last value."""
        for part, inputs in self._inputs(train, training=True):
            y = train.y[part] - last_values(train, part)  # [w, P, N]
            yield inputs, y.transpose(0, 2, 1).reshape(-1, y.shape[1])

    def _validation_errors(self, tried: Sequence[Float[np.ndarray, "D P"]], windows: Any) -> Float[np.ndarray, " L"]:
        """The MAE with each set of coefficients; infinite where nothing was observed."""
        total, count = np.zeros(len(tried)), 0
        for part, inputs in self._inputs(windows):
            gap = windows.y[part] - last_values(windows, part)
            gap = gap.transpose(0, 2, 1).reshape(-1, gap.shape[1])
            count += int(np.isfinite(gap).sum())
            total += [np.nansum(np.abs(inputs @ weights - gap)) for weights in tried]
        return total / count if count else np.full(len(tried), np.inf)

    def predict(self, windows: Any) -> Float[np.ndarray, "W P N"]:
        """Forecast in the data's unit."""
        found = []
        for part, inputs in self._inputs(windows):
            start = last_values(windows, part)
            change = (inputs @ self.weights).reshape(len(start), -1, self.weights.shape[1])  # [w, N, P]
            found.append(start + change.transpose(0, 2, 1))
        return np.concatenate(found)

    def save(self, folder: str | Path) -> None:
        """Write `ridge.safetensors` and `ridge.json`."""
        folder = Path(folder)
        tensors = {"level": self.level, "profile": self.profile.table, "others": self.others, "weights": self.weights}
        tensors = {name: np.ascontiguousarray(each) for name, each in tensors.items()}
        save_file(tensors, str(folder / "ridge.safetensors"))
        said = {name: getattr(self, name) for name in ("hops", "seasonal", "lags", "loss", "penalty")}
        (folder / "ridge.json").write_text(json.dumps(said) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Ridge:
        """Read what `save` wrote; the graph is that of the windows."""
        folder = Path(folder)
        said, tensors = json.loads((folder / "ridge.json").read_text("utf-8")), load_file(folder / "ridge.safetensors")
        found = cls(**{name: said[name] for name in ("hops", "seasonal", "lags", "loss")})
        found.level, found.others, found.weights = (tensors[name] for name in ("level", "others", "weights"))
        found.profile = Profile(tensors["profile"])
        found.penalty = said["penalty"]
        return found

    def _inputs(self, windows: Any, *, training: bool = False) -> Iterator[tuple[slice, Float[np.ndarray, "M D"]]]:
        """Some windows at a time, a row for each window and node: its deviations from its mean, its neighbours', the
        profile, the other features, and 1."""
        values = deviations(windows, self.level)  # [R, N]
        parts = [values]
        for matrix in neighbour_means(windows) if self.hops else ():
            heard = values
            for _ in range(self.hops):
                heard = (matrix @ heard.T).T
                parts.append(heard)
        history = windows.filled.shape[1]
        lags = min(self.lags or history, history)
        seen = [sliding_window_view(part, history, axis=0)[..., history - lags :] for part in parts]  # [W, N, lags]
        nodes, (center, spread) = values.shape[1], self.others
        ahead = np.array([0, *(windows.lead + np.arange(windows.horizon))] if len(self.profile.table) > 1 else [], int)
        columns = len(parts) * lags + len(ahead) + center.size + 1
        size = max(1, _CHUNK // (nodes * columns))
        for first in range(0, len(windows), size):
            part = slice(first, min(first + size, len(windows)))
            others = np.clip((windows.filled[part, -1, :, 1:] - center) / spread, -_FARTHEST, _FARTHEST)
            ones = np.ones((*others.shape[:2], 1))
            usual = self.profile.at(windows.rows[part, None] + ahead, training=training).transpose(0, 2, 1)  # [w, N, j]
            found = np.concatenate([*(each[part] for each in seen), usual, others, ones], axis=2)
            yield part, found.reshape(-1, columns)


_NOUGHT = {"hops": "no graph", "lags": "the whole history"}
