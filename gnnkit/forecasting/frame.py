"""Forecasts as a data frame, with an interval around each."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gnnkit.data import GraphSeries
from gnnkit.forecasting.fitted import FittedForecaster
from gnnkit.forecasting.forecast import forecast_next

__all__ = ["forecast_frame"]


def forecast_frame(fitted: FittedForecaster, series: GraphSeries, *, coverage: float = 0.9) -> pd.DataFrame:
    """Forecast the P steps after the last row of a series, with an interval around each forecast.

    The ends of an interval are the forecast plus quantiles of the errors on the validation windows, of the same number
    of steps ahead and scaled to the node (`gnnkit.forecasting.intervals.conformal_table`). They hold the asked share of
    new values as far as these are like the validation rows.

    Args:
        fitted: from `train_forecaster` or `load_fitted`.
        series: as in `forecast_next`.
        coverage: share of the values that the intervals should hold, in whole percent (default 0.9).

    Returns:
        A row for each node and step, one node after the other; the columns `node`, `step` (1 … P), `forecast`, `low`
        and `high`, in the data's unit. The index has the times where the series knows its own, else numbers of rows
        that go on from its last one. `frame.pivot(columns="node", values="forecast")` is a row a time, a column a node.
        A forecaster of an older gnnkit kept no errors: then there is neither `low` nor `high`.

    Raises:
        ValueError: as `forecast_next`; a coverage that is not allowed.

    Example:
        >>> from gnnkit.data import simulate_traffic
        >>> from gnnkit.forecasting import FitSettings, train_forecaster
        >>> series = simulate_traffic(num_nodes=4, days=2)
        >>> fitted = train_forecaster("dlinear", FitSettings(epochs=1, horizons=[2]), series=series)
        >>> frame = forecast_frame(fitted, series, coverage=0.8)
        >>> list(frame.columns), len(frame), bool((frame["low"] < frame["high"]).all())
        (['node', 'step', 'forecast', 'low', 'high'], 8, True)
    """
    offsets = fitted.interval(coverage)
    wide = forecast_next(fitted, series)
    steps, nodes = wide.shape
    index = wide.index if wide.index.name == "time" else pd.Index(series.num_rows - 1 + wide.index, name="row")
    values = {"forecast": wide.to_numpy()}
    if offsets is not None:
        below, above = (each.cpu().numpy() for each in offsets)
        values |= {"low": values["forecast"] + below, "high": values["forecast"] + above}
    labels = {"node": np.repeat(wide.columns.to_numpy(), steps), "step": np.tile(np.arange(1, steps + 1), nodes)}
    columns = {name: each.T.ravel() for name, each in values.items()}
    return pd.DataFrame({**labels, **columns}, index=index[np.tile(np.arange(steps), nodes)])
