"""One model for use in Python: fit it on a data frame, forecast with intervals, score it, keep it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Self

import pandas as pd
from rich.console import Console

from gnnkit.data import GraphSeries
from gnnkit.forecasting.fitted import FittedForecaster, load_fitted, save_fitted
from gnnkit.forecasting.forecast import check_length, read_series
from gnnkit.forecasting.frame import forecast_frame
from gnnkit.forecasting.in_memory import MEMORY_FIELDS, check_fields, name_of_model, read_in_memory, renamed_fields
from gnnkit.forecasting.settings import FitSettings
from gnnkit.forecasting.train import evaluate_forecaster, train_forecaster
from gnnkit.settings.problems import nearest
from gnnkit.temporal import MODELS
from gnnkit.training import open_progress

__all__ = ["Forecaster"]

_OF_FILES = ("data", "data_root", "data_options", "series", "graph")
"""Settings that name data; here they are given to `fit`."""

_UNFITTED = "this Forecaster is not fitted; call fit(series, graph) first, or Forecaster.load(folder)"


class Forecaster:
    """A model of `gnnkit list` that is fitted on a data frame and forecasts the steps after another one.

    Args:
        model: a name (default "stid-graph"), or a class that is registered in `gnnkit.temporal.MODELS`.
        seed: of the first weights and the order of the batches (default 0).
        progress: True (default): a bar where there is a terminal or a notebook; False: quiet.
        settings: fields of `FitSettings`, such as `epochs`, `horizons`, `history`, `season`, `unit` or `device`, and
            the model's own settings. What is left out is chosen for the data, or has the default of `gnnkit train`.

    Attributes:
        fitted: the trained model with its scaler, graph and node names, a `FittedForecaster`.

    Raises:
        ValueError: a setting that neither a fit nor the model has, or a value that is not allowed.

    Example:
        >>> import numpy as np, pandas as pd
        >>> times = pd.date_range("2024-01-01", periods=240, freq="h")
        >>> waves = np.sin(np.arange(240)[:, None] * 2 * np.pi / 24 + np.arange(3))
        >>> frame = pd.DataFrame(waves, index=times, columns=["a", "b", "c"])
        >>> ring = pd.DataFrame({"source": ["a", "b", "c"], "target": ["b", "c", "a"]})
        >>> model = Forecaster("stid-graph", epochs=1, horizons=[2], hidden_channels=4, device="cpu").fit(frame, ring)
        >>> model.predict(frame.tail(48)).reset_index()[["time", "node", "step"]].head(3)
                         time node  step
        0 2024-01-11 00:00:00    a     1
        1 2024-01-11 01:00:00    a     2
        2 2024-01-11 00:00:00    b     1
    """

    def __init__(self, model: Any = "stid-graph", *, seed: int = 0, progress: bool = True, **settings: Any) -> None:
        self.model, self.seed, self.progress = model, seed, progress
        self.settings = settings
        self._fitted: FittedForecaster | None = None
        self._series: GraphSeries | None = None
        self._sort(settings)

    def __repr__(self) -> str:
        given = [repr(self.model), *(f"{name}={value!r}" for name, value in self._given().items() if name != "model")]
        return f"Forecaster({', '.join(given)}){'' if self._fitted is None else f', fitted: {self._fitted!r}'}"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """What it was made with, as scikit-learn asks for it; `Forecaster(**params)` makes another like it."""
        return {"model": self.model, "seed": self.seed, "progress": self.progress, **self.settings}

    def set_params(self, **params: Any) -> Self:
        """Change what it was made with; the next `fit` uses it.

        Raises:
            ValueError: as the constructor.
        """
        changed = type(self)(**{**self.get_params(), **params})
        self.model, self.seed, self.progress = changed.model, changed.seed, changed.progress
        self.settings = changed.settings
        return self

    @property
    def fitted(self) -> FittedForecaster:
        """The trained model.

        Raises:
            ValueError: there is none yet.
        """
        if self._fitted is None:
            raise ValueError(_UNFITTED)
        return self._fitted

    def fit(self, series: Any, graph: Any = None, **data: Any) -> Self:
        """Train the model on the first rows of a series, choose its epoch and its intervals by the rows after them.

        The last rows, a fifth unless `split` says else, are left out: `score()` is that of rows which were never seen.

        Args:
            series: a data frame, a row a time and a column a node, or what else `gnnkit.data.read_own` reads.
            graph: its graph: a networkx graph, a frame of edges or a matrix, a scipy matrix, an array, a tensor, PyG's
                `Data`, a path; None (default): none.
            data: fields of the settings that say how the data are read, which count before those of the constructor.

        Returns:
            Itself.

        Raises:
            ValueError: data that cannot be read or are too short, or a setting that the model refuses.
            FloatingPointError: a loss or a gradient was not finite.
        """
        name, asked, own, fields = self._sort({**self.settings, **data})
        read = read_in_memory(series, graph, fields, split=asked.get("split"))
        bar = (open_progress(Console(stderr=True)) if self.progress else None) or nullcontext()
        with bar as progress:
            fitted = train_forecaster(name, FitSettings(**asked), own, seed=self.seed, series=read, progress=progress)
        fitted.config["spec"] |= {**_plain(fields), "in_memory": True}
        self._fitted, self._series = fitted, read
        return self

    def predict(self, latest: Any = None, *, coverage: float = 0.9, **data: Any) -> pd.DataFrame:
        """Forecast the steps after the last row of a series, with intervals.

        Args:
            latest: the latest rows of the same nodes, at least `history` of them, in a form that `fit` takes; None
                (default): all rows that it was fitted on.
            coverage: share of the values that the intervals should hold, in whole percent (default 0.9).
            data: what else `gnnkit.forecasting.read_series` takes, such as `step_minutes`.

        Returns:
            See `gnnkit.forecasting.forecast_frame`: the time as index, the columns `node`, `step`, `forecast`, `low`
            and `high`. `frame.pivot(columns="node", values="forecast")` is a row a time, a column a node.

        Raises:
            ValueError: it is not fitted, `latest` has other nodes or steps or too few rows, or a coverage that is not
                allowed.
        """
        series = self._read(latest, data)
        check_length(self.fitted, series, series.name)
        found = forecast_frame(self.fitted, series, coverage=coverage)
        index = getattr(latest, "index", None)
        if found.index.name == "row" and isinstance(index, pd.RangeIndex):
            found.index = pd.Index(index[-1] + index.step * found["step"].to_numpy(), name="row")
        return found

    def score(self, series: Any = None, **data: Any) -> pd.DataFrame:
        """Errors of the forecasts, beside those of repeating the last value.

        Args:
            series: rows to score, all of them: new ones, for rows that it was trained on say nothing; None (default):
                the test rows of the series that it was fitted on.
            data: what else `gnnkit.forecasting.read_series` takes, such as `step_minutes`.

        Returns:
            A row for each horizon and model, a column for each metric (mae, rmse, mape, accuracy, r2, var), over all
            steps up to the horizon, in the data's unit.

        Warns:
            TrainedRowsWarning: by their times, some of the rows were trained on.

        Raises:
            ValueError: it is not fitted, or the series has other nodes or steps, too few rows or no value.
        """
        scored = evaluate_forecaster(
            self.fitted, self._read(series, data), part="test" if series is None else "all", device=self._device
        )
        averaged: Any = scored[scored["score"] == "averaged"]
        table = averaged.pivot(index=["horizon", "model"], columns="metric", values="value")
        return table.reindex(columns=list(dict.fromkeys(averaged["metric"]))).rename_axis(columns=None)

    def save(self, folder: str | Path) -> Path:
        """Keep it in a folder, from which `Forecaster.load`, `gnnkit forecast` and `gnnkit evaluate` read it.

        Nothing is pickled: weights go to safetensors, the rest to JSON.

        Raises:
            ValueError: it is not fitted.
        """
        return save_fitted(self.fitted, folder)

    @classmethod
    def load(cls, folder: str | Path, *, trust_code: bool = False) -> Self:
        """Read what `save`, or `gnnkit train`, wrote. It forecasts and scores; the rows of the fit are not kept.

        Args:
            folder: the folder.
            trust_code: run code that the folder names, see `load_fitted`. Default False.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: the files are none of gnnkit's.
        """
        fitted = load_fitted(folder, trust_code=trust_code)
        spec = fitted.config["spec"]
        chosen = FitSettings(
            **{
                name: spec[name]
                for name in FitSettings.model_fields
                if name in spec and name not in (*_OF_FILES, *MEMORY_FIELDS, "device", "precision")
            }
        )
        settings = {name: value for name, value in chosen.__repr_args__() if name is not None}
        fields = {name: spec[name] for name in MEMORY_FIELDS if spec.get(name)}
        loaded = cls(
            fitted.config["model"], seed=spec.get("seed", 0), **settings, **fields, **fitted.config["settings"]
        )
        loaded._fitted = fitted
        return loaded

    @property
    def _device(self) -> str:
        return str(self.settings.get("device", "auto"))

    def _given(self) -> dict[str, Any]:
        """What differs from the defaults."""
        defaults = {"seed": 0, "progress": True}
        return {name: value for name, value in self.get_params().items() if defaults.get(name, self) != value}

    def _read(self, source: Any, data: Mapping[str, Any]) -> GraphSeries:
        if data and (source is None or isinstance(source, GraphSeries)):
            raise ValueError(f"{next(iter(data))}: only for rows that are read; give the rows first, or leave it out")
        if source is None:
            if self._series is None:
                folder = "a folder keeps no rows; give some: predict(latest), score(series)"
                raise ValueError(folder if self._fitted else _UNFITTED)
            return self.fitted.arrange(self._series)
        if isinstance(source, GraphSeries):
            return self.fitted.arrange(source)
        return read_series(source, self.fitted, **data)

    def _sort(self, given: Mapping[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]:
        """The model's name, and what is given sorted: fields of a fit, the model's own settings, fields of the data.

        Raises:
            ValueError: one that is none of them, or a value that is not allowed.
        """
        name, given = name_of_model(self.model), renamed_fields(given)
        of_fit = [field for field in FitSettings.model_fields if field not in (*_OF_FILES, *MEMORY_FIELDS)]
        known = [*of_fit, *MODELS[name].settings, *MEMORY_FIELDS]
        for setting in given:
            if setting in _OF_FILES:
                raise ValueError(f"{setting}: give the data to fit(series, graph), not to the Forecaster")
            if setting not in known:
                raise ValueError(f"{name} has no setting {setting!r}{nearest(setting, known)}")
        asked = {field: value for field, value in given.items() if field in of_fit}
        FitSettings(**asked)  # its errors name the field
        own = {field: value for field, value in given.items() if field in MODELS[name].settings and field not in of_fit}
        return name, asked, own, check_fields({field: given[field] for field in MEMORY_FIELDS if field in given})


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the data that a file of JSON can hold."""
    return {name: value for name, value in fields.items() if isinstance(value, (str, int, float, list, tuple))}
