"""Gradient-boosted trees: a rival that is not linear, and has no network either."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from numpy.lib.stride_tricks import sliding_window_view

from gnnkit._optional import optional_import
from gnnkit.temporal.neighbour_means import neighbour_means

__all__ = ["BoostedTrees"]

_PATIENCE = 20
"""Trees in a row that make no validation error smaller."""


class BoostedTrees:
    """Gradient-boosted trees (LightGBM) on a node's last values and the clock: a regressor a step, for all nodes.

        ŷ_p = y_0 + f_p(y_0, y_0 − y_k, y_0 − (Aʰ y)_k, other features, clock)

    with y_k the k-th value before the forecast, y_0 the last one. A is the graph as in `gnnkit.temporal.ridge.Ridge`.
    The clock is the position in the season, and hour and weekday where the series knows its times. Gaps stay gaps,
    which trees have a branch for. f_p has the lowest absolute error in training, and as many trees as have the lowest
    on the validation windows.

    Args:
        max_seconds: of the fit; None (default): no limit.
        hops: how far a node hears its neighbours; 0: no graph. Default 1.
        trees: at most, for each step. Default 200.
        leaves: of a tree, at most. Default 31.
        learning_rate: share of each tree that is added. Default 0.1.
        least: rows of a leaf, at least. Default 20.

    Raises:
        ImportError: LightGBM is not installed.
        ValueError: `hops` is negative.

    Source:
        Ke et al., "LightGBM: a highly efficient gradient boosting decision tree", 2017. Trees as rivals of networks:
        Elsayed et al., "Do we really need deep learning models for time series forecasting?", 2021.
    """

    deterministic = True
    needs = ("lightgbm", "trees")
    search_space: ClassVar[dict[str, tuple]] = {
        "hops": (1, 2),
        "leaves": ("log", 7, 127),
        "learning_rate": ("log", 0.02, 0.3),
        "least": ("log", 5, 200),
    }

    def __init__(
        self,
        *,
        max_seconds: float | None = None,
        hops: int = 1,
        trees: int = 200,
        leaves: int = 31,
        learning_rate: float = 0.1,
        least: int = 20,
    ) -> None:
        if hops < 0:
            raise ValueError(f"hops={hops}: must be 0 (no graph) or more")
        self.max_seconds, self.hops, self.trees = max_seconds, int(hops), int(trees)
        self.leaves, self.learning_rate, self.least = int(leaves), float(learning_rate), int(least)
        self.boosters: list[Any] = []

    @property
    def uses_graph(self) -> bool:
        """Whether the graph makes a difference."""
        return self.hops > 0

    @property
    def num_parameters(self) -> int:
        """Values of leaves, and thresholds between them."""
        leaves = [tree["num_leaves"] for each in self.boosters for tree in each.dump_model()["tree_info"]]
        return sum(2 * count - 1 for count in leaves)

    def fit(self, train: Any, validation: Any) -> None:
        """Grow the trees on the training windows; how many is chosen on the validation windows."""
        library = optional_import(*self.needs[:1], purpose="model 'lightgbm'", extra=self.needs[1])
        inputs, checked = self._inputs(train), self._inputs(validation)
        steps, seconds = train.horizon, self.max_seconds
        self.boosters = []
        for step in range(steps):
            parts = [(x, self._targets(windows, step)) for x, windows in ((inputs, train), (checked, validation))]
            seen = [(x[np.isfinite(y)], y[np.isfinite(y)]) for x, y in parts]
            if not len(seen[0][1]):  # the last value stands
                seen[0] = (inputs[:1], np.zeros(1))
            data = library.Dataset(*seen[0], free_raw_data=True)
            callbacks: list[Any] = [] if seconds is None else [_Deadline(library, seconds / steps)]
            held = []
            if len(seen[1][1]):
                held = [library.Dataset(*seen[1], reference=data)]
                callbacks.append(library.early_stopping(_PATIENCE, verbose=False))
            self.boosters.append(library.train(self._options(), data, self.trees, held, callbacks=callbacks))

    def predict(self, windows: Any) -> Float[np.ndarray, "W P N"]:
        """Forecast in the data's unit."""
        inputs = self._inputs(windows)
        change = np.stack([each.predict(inputs) for each in self.boosters])  # [P, W · N]
        last = windows.filled[:, -1:, :, 0].astype(np.float64)
        return last + change.reshape(len(change), len(windows), -1).transpose(1, 0, 2)

    def save(self, folder: str | Path) -> None:
        """Write `trees.json`: what it is, and its trees as LightGBM writes them."""
        said = {name: getattr(self, name) for name in ("hops", "trees", "leaves", "learning_rate", "least")}
        said["boosters"] = [each.model_to_string() for each in self.boosters]
        (Path(folder) / "trees.json").write_text(json.dumps(said) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> BoostedTrees:
        """Read what `save` wrote; the graph is that of the windows."""
        said = json.loads((Path(folder) / "trees.json").read_text("utf-8"))
        texts = said.pop("boosters")
        library = optional_import(cls.needs[0], purpose="model 'lightgbm'", extra=cls.needs[1])
        found = cls(**said)
        found.boosters = [library.Booster(model_str=text) for text in texts]
        return found

    def _options(self) -> dict[str, Any]:
        return {
            "objective": "mae",
            "num_leaves": max(2, self.leaves),
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": max(1, self.least),
            "num_threads": torch.get_num_threads(),
            "deterministic": True,
            "force_row_wise": True,
            "seed": 0,
            "verbose": -1,
        }

    def _inputs(self, windows: Any) -> Float[np.ndarray, "M D"]:
        """A row for each window and node."""
        filled, x = windows.filled, windows.x
        last = filled[:, -1, :, 0]
        columns = [last[:, None], last[:, None] - x[:, :, :, 0]]  # [W, 1, N], [W, T, N]
        rows = np.concatenate([filled[:, 0, :, 0], filled[-1, 1:, :, 0]]).astype(np.float64)
        for matrix in neighbour_means(windows) if self.hops else ():
            alone = np.asarray(matrix.sum(axis=1)).ravel() == 0
            heard = rows
            for _ in range(self.hops):
                heard = (matrix @ heard.T).T
                view = sliding_window_view(np.where(alone, np.nan, heard), filled.shape[1], axis=0)
                columns.append(last[:, None] - view.transpose(0, 2, 1))
        columns.append(x[:, -1, :, 1:].transpose(0, 2, 1))
        clock = [windows.rows % windows.season] if windows.season else []
        if windows.times is not None:
            clock += [windows.times.hour + windows.times.minute / 60, windows.times.dayofweek]
        nodes = filled.shape[2]
        if clock:
            told = np.stack([np.asarray(each, dtype=np.float64) for each in clock], axis=1)  # [W, C]
            columns.append(np.broadcast_to(told[:, :, None], (*told.shape, nodes)))
        stacked = np.concatenate(columns, axis=1).astype(np.float32)  # [W, D, N]
        return stacked.transpose(0, 2, 1).reshape(-1, stacked.shape[1])

    def _targets(self, windows: Any, step: int) -> Float[np.ndarray, " M"]:
        """The change from the last value, NaN where it is not known."""
        return (windows.y[:, step] - windows.filled[:, -1, :, 0]).reshape(-1)


class _Deadline:
    """Ends a training when its seconds are over."""

    def __init__(self, library: Any, seconds: float) -> None:
        self.library, self.end = library, time.perf_counter() + seconds

    def __call__(self, told: Any) -> None:
        if time.perf_counter() > self.end:
            raise self.library.callback.EarlyStopException(told.iteration, told.evaluation_result_list or [])
