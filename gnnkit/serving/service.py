"""A forecaster that answers many callers: one at a time, within a time, and no more waiting than can be served."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import pandas as pd

import gnnkit
from gnnkit.forecasting import FittedForecaster, forecast_frame, read_latest
from gnnkit.forecasting.forecast import silent_nodes
from gnnkit.serving.limits import Limits
from gnnkit.serving.schema import ForecastResponse, ModelCard

__all__ = ["ForecastService", "Overloaded", "TooSlow"]

Result = TypeVar("Result")


class Overloaded(Exception):
    """As many requests wait as may."""


class TooSlow(Exception):
    """A forecast took longer than it may."""


class ForecastService:
    """Forecasts of one fitted forecaster, for many callers.

    Args:
        fitted: from `load_fitted`.
        limits: what a client may ask for; default: those of `Limits`.

    Attributes:
        last: the last forecast that was made; None before the first.

    Example:
        >>> from gnnkit.data import simulate_traffic
        >>> from gnnkit.forecasting import FitSettings, train_forecaster
        >>> series = simulate_traffic(num_nodes=3, days=2)
        >>> fitted = train_forecaster("dlinear", FitSettings(epochs=1, horizons=[2], history=12), series=series)
        >>> latest = pd.DataFrame(series.values[-12:, :, 0].numpy(), columns=list(series.node_names))
        >>> found = ForecastService(fitted).forecast(latest)
        >>> found.steps, len(found.forecast), len(found.forecast[0])
        ([1, 2], 2, 3)
    """

    def __init__(self, fitted: FittedForecaster, limits: Limits | None = None) -> None:
        self.fitted = fitted.eval()
        self.limits = limits or Limits()
        self.last: ForecastResponse | None = None
        self.started = time.monotonic()
        self.waiting = 0
        self._lock = threading.Lock()
        # One thread: torch spreads a forecast over the cores by itself, and two at a time would only share them.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forecast")

    def card(self) -> ModelCard:
        """What the model is, and what it needs."""
        config = self.fitted.config
        features = list(config["feature_names"])
        return ModelCard(
            gnnkit=gnnkit.__version__,
            features=features,
            known_ahead=[features[number] for number in config["known_ahead"]] if features else [],
            nodes=list(config["node_names"]),
            intervals=bool(config["interval_levels"]),
            limits=vars(self.limits),
            **{
                name: config[name]
                for name in (
                    "model",
                    "data",
                    "unit",
                    "history",
                    "horizon",
                    "step_minutes",
                    "step_unit",
                    "trained_until",
                )
            },
        )

    def forecast(
        self,
        latest: pd.DataFrame,
        *,
        covariates: pd.DataFrame | None = None,
        coverage: float = 0.9,
        step_minutes: float | None = None,
    ) -> ForecastResponse:
        """Forecast the steps after the last row, as `gnnkit forecast` does.

        Args:
            latest: the latest rows, as `gnnkit.forecasting.read_latest` takes them.
            covariates, step_minutes: as there.
            coverage: share of the values that an interval should hold, in whole percent. Default 0.9.

        Returns:
            The forecast.

        Raises:
            ValueError: other nodes, another step, too few rows, a coverage that is not allowed, or values so large that
                no forecast is finite.
        """
        fitted = self.fitted
        self.fitted.interval(coverage)  # a wrong one is told before anything is read
        series = read_latest(latest, fitted, step_minutes=step_minutes, covariates=covariates)
        frame = forecast_frame(fitted, series, coverage=coverage)
        steps, nodes = fitted.config["horizon"], list(fitted.config["node_names"])

        def wide(column: str) -> np.ndarray:
            return frame[column].to_numpy(dtype=np.float64).reshape(len(nodes), steps).T

        values = wide("forecast")
        if not np.isfinite(values).all():
            node = nodes[int((~np.isfinite(values)).any(axis=0).argmax())]
            raise ValueError(f"series: the forecast of {node!r} is not finite; look for values that are far too large")
        ends = {
            name: [[float(x) if np.isfinite(x) else None for x in row] for row in wide(name)] if name in frame else None
            for name in ("low", "high")
        }
        remark = silent_nodes(series, fitted.config["history"])
        index = frame.index[:steps]
        self.last = ForecastResponse(
            model=fitted.config["model"],
            unit=fitted.config["unit"],
            coverage=coverage,
            nodes=nodes,
            steps=list(range(1, steps + 1)),
            times=[time.isoformat() for time in index] if isinstance(index, pd.DatetimeIndex) else None,
            forecast=values.tolist(),
            remarks=[] if remark is None else [remark],
            **ends,
        )
        return self.last

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run something in the service's thread, behind all that wait there.

        Raises:
            Overloaded: too many wait.
            TooSlow: it was not done in time; what has not begun is not begun.
        """
        with self._lock:
            if self.waiting >= self.limits.waiting:
                raise Overloaded
            self.waiting += 1
        future = self._thread.submit(work)
        future.add_done_callback(self._done)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self.limits.seconds)
        except TimeoutError:
            raise TooSlow from None

    def _done(self, future: Future[Any]) -> None:
        # What runs on after its time counts until it is over: the thread is not free before.
        with self._lock:
            self.waiting -= 1

    def close(self) -> None:
        """Let the thread go; what waits is not begun."""
        self._thread.shutdown(wait=False, cancel_futures=True)
