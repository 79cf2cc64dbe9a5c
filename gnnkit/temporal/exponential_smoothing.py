"""Exponential smoothing and the theta method, a model a node, their form chosen by the data."""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from safetensors.numpy import load_file, save_file

from gnnkit._optional import optional_import
from gnnkit.temporal.profile import Profile, node_levels, season_lengths
from gnnkit.temporal.smoothing_states import SmoothingStates

__all__ = ["AutoETS", "AutoTheta"]

_MOST = 4032
"""Training rows that a node's model is fitted on, the last ones: two weeks of five minutes."""
_FEWEST = 12
"""Observed rows without which a node keeps its last value."""
_FIRST = 10
"""Rows whose line gives the first level and slope of a fit."""
_CHUNK = 2_000_000
"""Numbers of the histories that are smoothed at once."""
_TRENDS = (
    ("no slope", {"trend": None}),
    ("slope", {"trend": "add"}),
    ("damped", {"trend": "add", "damped_trend": True}),
)
_THETAS = (1.0, 1.5, 2.0, 3.0)


class _Smoothing:
    """What both have in common: season, fit of every node, forecast from the histories, files."""

    uses_graph = False
    deterministic = True
    target_only = True
    needs: ClassVar[tuple[str, str]] = ("statsmodels", "smoothing")
    search_space: ClassVar[dict[str, tuple]] = {"seasonal": ("choice", False, True)}
    _file: ClassVar[str]

    def __init__(self, *, max_seconds: float | None = None, seasonal: bool = True) -> None:
        self.max_seconds, self.seasonal = max_seconds, bool(seasonal)
        self.level, self.profile = np.zeros(1), Profile(np.zeros((1, 1)))
        one = np.ones(1)
        self.states = SmoothingStates(one, 0 * one, 0 * one, 0 * one, np.zeros((1, 2)), np.eye(2)[None])
        self.forms: dict[str, int] = {}

    @property
    def num_parameters(self) -> int:
        """Weights and drifts that are not 0, first states, means and profiles."""
        states, season = self.states, self.profile.table
        weights = sum(int(np.count_nonzero(each)) for each in (states.alpha, states.beta, states.phi, states.drift))
        return weights + states.mean.size + self.level.size + (season.size if len(season) > 1 else 0)

    def fit(self, train: Any, validation: Any) -> None:
        """Fit each node's model on the training rows; the season is the one with the lowest validation error."""
        start = time.perf_counter()
        self.level = node_levels(train)
        seasons = sorted({1, *season_lengths(train, seasonal=self.seasonal)})
        best, kept = np.inf, None
        for number, season in enumerate(seasons):
            left = None
            if self.max_seconds is not None:
                left = max(0.0, self.max_seconds - (time.perf_counter() - start)) / (len(seasons) - number)
            self.profile = (
                Profile.of(train, season, self.level) if season > 1 else Profile(np.zeros((1, len(self.level))))
            )
            for states, forms in self._fitted(self._training_rows(train), left):
                self.states = states
                error = float(np.nanmean(np.abs(self.predict(validation) - validation.y)))
                if kept is None or error < best:
                    best, kept = error, (self.profile, states, forms)
        assert kept is not None  # a season of 1 is tried
        self.profile, self.states, self.forms = kept

    def predict(self, windows: Any) -> Float[np.ndarray, "W P N"]:
        """Forecast in the data's unit, each window from its own history."""
        filled, mask = windows.filled[..., 0], windows.mask[..., 0]
        steps = windows.lead + np.arange(windows.horizon)
        behind = np.arange(1 - filled.shape[1], 1)
        found = []
        size = max(1, _CHUNK // max(1, filled.shape[1] * filled.shape[2]))
        for first in range(0, len(windows), size):
            part = slice(first, min(first + size, len(windows)))
            rows = windows.rows[part, None]
            own = filled[part] - self.level - self.profile.at(rows + behind)
            forecast = self.states.forecast(own, mask[part], steps)
            found.append(self.level + self.profile.at(rows + steps) + forecast)
        return np.concatenate(found)

    def save(self, folder: str | Path) -> None:
        """Write the tensors and settings."""
        folder = Path(folder)
        tensors = {"level": self.level, "profile": self.profile.table, **self.states.tables()}
        tensors = {name: np.ascontiguousarray(each) for name, each in tensors.items()}
        save_file(tensors, str(folder / f"{self._file}.safetensors"))
        said = {"seasonal": self.seasonal, "forms": self.forms}
        (folder / f"{self._file}.json").write_text(json.dumps(said) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> _Smoothing:
        """Read what `save` wrote."""
        folder = Path(folder)
        said = json.loads((folder / f"{cls._file}.json").read_text("utf-8"))
        tensors = load_file(folder / f"{cls._file}.safetensors")
        found = cls(seasonal=said["seasonal"])
        found.forms = said["forms"]
        found.level, found.profile = tensors.pop("level"), Profile(tensors.pop("profile"))
        found.states = SmoothingStates(**tensors)
        return found

    def _training_rows(self, train: Any) -> Float[np.ndarray, "R N"]:
        """All rows of the training histories less level and profile; NaN where nothing was observed."""
        history, rows = train.filled.shape[1], train.rows
        rows = np.concatenate([np.arange(rows[0] - history + 1, rows[0]), rows])
        values, seen = (np.concatenate([each[0], each[1:, -1]]) for each in (train.filled[..., 0], train.mask[..., 0]))
        own = values.astype(np.float64) - self.level - self.profile.at(rows, training=True)
        return np.where(seen, own, np.nan)[-_MOST:]

    def _fitted(
        self, y: Float[np.ndarray, "R N"], seconds: float | None
    ) -> list[tuple[SmoothingStates, dict[str, int]]]:
        """Every node's model; several where one of them is to be chosen by its validation error.

        Those that are left when the seconds are over get the weights of the fitted node with the median α.
        """
        end = None if seconds is None else time.perf_counter() + seconds
        weights, forms, fitted = np.full((y.shape[1], 4), np.nan), [], []
        for node in np.random.default_rng(0).permutation(y.shape[1]):  # so that those left are not the last ones
            values = _whole(y[:, node])
            if values is None:
                weights[node] = _LAST_VALUE
                forms.append("last value")
            elif fitted and end is not None and time.perf_counter() > end:
                forms.append("no time")
            else:
                form, weights[node] = self._fitted_node(*values)
                forms.append(form)
                fitted.append(node)
        left = np.isnan(weights[:, 0])
        if left.any():
            others = weights[fitted]
            weights[left] = others[np.argsort(others[:, 0])[len(others) // 2]]
            weights[left, 3] = 0.0
        counts = {form: forms.count(form) for form in sorted(set(forms))}
        return [(SmoothingStates.of(y, **each), counts) for each in self._candidates(weights)]

    def _fitted_node(self, y: np.ndarray, unit: float) -> tuple[str, np.ndarray]:
        """The form of one node's model, and its α, β, φ and drift. `y` is whole, in units of `unit`."""
        raise NotImplementedError

    def _candidates(self, weights: Float[np.ndarray, "N 4"]) -> list[dict[str, np.ndarray]]:
        return [dict(zip(("alpha", "beta", "phi", "drift"), weights.T.copy(), strict=True))]


class AutoETS(_Smoothing):
    """Exponential smoothing of each node by itself, its slope none, additive or damped, whichever has the lowest AICc.

        ŷ_p = s_p + ℓ_T + (φ + … + φᵖ) b_T,   ℓ and b smoothed with α and β over the history (`SmoothingStates`)

    statsmodels finds α, β and φ on the last 4032 training rows of the node; gaps between are bridged by lines there.
    In forecasts a gap is not read. The states come from the window's own history, and from what states the training
    rows had.

    s is the node's mean deviation at that position of the season over the training rows, not a smoothed state: such a
    state has a number for each row of the season, of which a history tells T, and a day of 5 minutes has 288. Whether
    there is a season at all, and whether it is the day or the week, is what has the lower MAE on the validation
    windows.

    Args:
        max_seconds: of the fit; None (default): no limit. Nodes without their turn get the weights of the one
            with the median α.
        seasonal: False: without season (default True).

    Raises:
        ImportError: statsmodels is not installed.

    Source:
        Hyndman, Koehler, Snyder and Grose, "A state space framework for automatic forecasting using exponential
        smoothing methods", 2002.

    Example:
        >>> from gnnkit.temporal import MODELS
        >>> MODELS["autoets"].family, MODELS["autoets"].settings
        ('sequence', {'seasonal': True})
    """

    _file = "ets"

    def _fitted_node(self, y: np.ndarray, unit: float) -> tuple[str, np.ndarray]:
        where = "statsmodels.tsa.exponential_smoothing.ets"
        library = optional_import(where, purpose="model 'autoets'", extra=self.needs[1])
        slope, level = np.polyfit(np.arange(1, _FIRST + 1), y[:_FIRST], 1)
        best, form, weights = np.inf, "last value", _LAST_VALUE
        for name, trend in _TRENDS:
            start = (
                {"initial_level": level, "initial_trend": slope}
                if trend["trend"]
                else {"initial_level": y[:_FIRST].mean()}
            )
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")  # of a search that ends early: its AICc decides
                model = library.ETSModel(y, error="add", initialization_method="known", **trend, **start)
                found = model.fit(disp=False)
            told = dict(zip(model.param_names, np.asarray(found.params), strict=True))
            if np.isfinite(found.aicc) and found.aicc < best:
                phi = told.get("damping_trend", 1.0 if trend["trend"] else 0.0)
                best, form = found.aicc, name
                weights = np.array([told["smoothing_level"], told.get("smoothing_trend", 0.0), phi, 0.0])
        return form, weights


class AutoTheta(_Smoothing):
    """The theta method on each node by itself: simple exponential smoothing, and a share of the trend as drift.

        ŷ_p = s_p + ℓ_T + p (1 − 1/θ) b,   ℓ smoothed with α and that drift over the history (`SmoothingStates`)

    b is the slope of the line through the node's training rows, α that of simple exponential smoothing (statsmodels'
    `ThetaModel`). θ is 1, 1.5, 2 (as first published) or 3, whichever has the lowest MAE on the validation windows.
    Season, gaps and first states are those of `AutoETS`.

    Args:
        max_seconds: of the fit; None (default): no limit. Nodes without their turn get the median α, and no
            drift.
        seasonal: False: without season (default True).

    Raises:
        ImportError: statsmodels is not installed.

    Source:
        Assimakopoulos and Nikolopoulos, "The theta model: a decomposition approach to forecasting", 2000; as smoothing
        with drift: Hyndman and Billah, "Unmasking the Theta method", 2003; other θ: Fiorucci et al., "Models for
        optimising the theta method and their relationship to state space models", 2016.

    Example:
        >>> from gnnkit.temporal import MODELS
        >>> MODELS["autotheta"].family
        'sequence'
    """

    _file = "theta"

    def _fitted_node(self, y: np.ndarray, unit: float) -> tuple[str, np.ndarray]:
        where = "statsmodels.tsa.forecasting.theta"
        library = optional_import(where, purpose="model 'autotheta'", extra=self.needs[1])
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = library.ThetaModel(y, period=1, deseasonalize=False).fit(disp=False)
        alpha, slope = float(found.params["alpha"]), float(found.params["b0"])
        if not np.isfinite(alpha) or not np.isfinite(slope):
            return "last value", _LAST_VALUE
        return "theta", np.array([min(max(alpha, 0.0), 1.0), 0.0, 0.0, slope * unit])

    def _candidates(self, weights: Float[np.ndarray, "N 4"]) -> list[dict[str, np.ndarray]]:
        [told] = super()._candidates(weights)
        return [told | {"drift": told["drift"] * (1 - 1 / theta)} for theta in _THETAS]


_LAST_VALUE = np.array([1.0, 0.0, 0.0, 0.0])


def _whole(y: Float[np.ndarray, " R"]) -> tuple[Float[np.ndarray, " R"], float] | None:
    """A node's rows from the first observed one to the last, lines in its gaps, in units of its changes, and that unit;
    None for one that has few values, or one value alone."""
    seen = np.flatnonzero(np.isfinite(y))
    if len(seen) < _FEWEST:
        return None
    rows = np.arange(seen[0], seen[-1] + 1)
    values = np.interp(rows, seen, y[seen])
    unit = float(np.abs(np.diff(values)).mean())
    if not unit > 1e-9 * float(np.abs(values).max()):
        return None
    return values / unit, unit
