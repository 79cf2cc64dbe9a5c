"""Forecast the steps after the latest rows of a file or a data frame."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from gnnkit.data import GraphSeries, clock_features, read_own
from gnnkit.data.clock import row_times
from gnnkit.data.tables import is_text
from gnnkit.forecasting.features import known_over_horizon
from gnnkit.forecasting.fitted import FittedForecaster
from gnnkit.forecasting.rival import forecast_rival
from gnnkit.forecasting.unit import UnitForecast, fill_gaps

__all__ = ["check_length", "forecast_next", "read_latest", "read_series", "silent_nodes"]


def read_series(
    source: Any,
    fitted: FittedForecaster,
    *,
    step_minutes: float | None = None,
    covariates: Any = None,
) -> GraphSeries:
    """Read rows of the nodes that a forecaster knows, in its order and its unit.

    Args:
        source: a CSV, Parquet or NPZ file, or a data frame or array, as `gnnkit.data.read_own` reads it, with the
            missing values of the training, the target among several features where it was in the training data. Columns
            are known by their names and may come in any order; columns without names are taken in the forecaster's
            order.
        fitted: the forecaster.
        step_minutes: minutes in a row, where there are no times; default: those of the training data.
        covariates: what stands beside the series, where the forecaster reads it and the series does not hold it.

    Returns:
        The rows.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: other nodes or features, or rows of another step than the forecaster was trained on.
    """
    config = fitted.config
    spec = config["spec"]
    known = [config["feature_names"][feature] for feature in config["known_ahead"]]
    options = {name: spec.get(name) for name in ("target", "time_column", "node_column")}
    of_text = isinstance(source, (str, PathLike)) and is_text(Path(source))
    series = read_own(
        source,
        covariates=covariates,
        known_ahead=known,
        step_minutes=step_minutes,
        leave_out=spec.get("leave_out") or (),
        strict=False,
        missing_values=spec.get("missing_values") or (),
        decimal=spec.get("decimal") if of_text else None,
        **options,
    )
    wanted = config["node_names"]
    numbers = [str(number) for number in range(len(wanted))]
    # Names that are these numbers in another order are the columns' own.
    if list(series.node_names) == numbers and sorted(wanted) != sorted(numbers):
        series = replace(series, node_names=tuple(wanted))
    series = replace(fitted.arrange(series), unit=config["unit"])
    if series.step_minutes is None and not series.step_unit:
        series = replace(series, step_minutes=config["step_minutes"], step_unit=config["step_unit"])
    return series


def read_latest(
    source: Any,
    fitted: FittedForecaster,
    *,
    step_minutes: float | None = None,
    covariates: Any = None,
) -> GraphSeries:
    """Read the latest rows of the nodes that a forecaster knows, in its order.

    Args: as `read_series`.

    Returns:
        The rows, at least `history` of them.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: too few rows, or as `read_series`.
    """
    series = read_series(source, fitted, step_minutes=step_minutes, covariates=covariates)
    check_length(fitted, series, Path(source).name if isinstance(source, (str, PathLike)) else series.name)
    return series


def check_length(fitted: FittedForecaster, series: GraphSeries, name: str) -> None:
    """Refuse a series with fewer rows than the forecaster reads."""
    if series.num_rows < fitted.config["history"]:
        raise ValueError(
            f"{name}: {series.num_rows} rows are too few; the forecaster reads the latest {fitted.config['history']}"
        )


def silent_nodes(series: GraphSeries, history: int) -> str | None:
    """A sentence on the nodes without a value in the last `history` rows; None where each has one."""
    nodes = series.values[-history:, :, 0].isnan().all(dim=0).nonzero().flatten().tolist()
    if not nodes:
        return None
    names = ", ".join(series.node_names[node] for node in nodes[:5]) + (", …" if len(nodes) > 5 else "")
    return (
        f"{len(nodes)} of {series.num_nodes} nodes have no value in the last {history} rows: {names}; the last value "
        "before them stands in, or the training mean"
    )


def forecast_next(fitted: FittedForecaster, series: GraphSeries) -> pd.DataFrame:
    """Forecast the P steps after the last row of a series.

    Args:
        fitted: from `train_forecaster` or `load_fitted`.
        series: rows of the forecaster's nodes, at least `history` of them; gaps are filled from the past, and where
            there is none with the nodes' training means.

    Returns:
        P rows in the data's unit, a column for each node; the index has the times where the series knows its own, else
        the steps 1 … P.

    Raises:
        ValueError: the forecaster reads the time and the series does not know it, or what is known ahead is not given
            for all steps.

    Example:
        >>> from gnnkit.data import simulate_traffic
        >>> from gnnkit.forecasting import FitSettings, train_forecaster
        >>> series = simulate_traffic(num_nodes=4, days=2)
        >>> fitted = train_forecaster("dlinear", FitSettings(epochs=1, horizons=[2]), series=series)
        >>> forecast_next(fitted, series).index[0] - series.start
        Timedelta('2 days 00:00:00')
    """
    config = fitted.config
    values = _of_rival(fitted, series) if fitted.rival is not None else _of_module(fitted, series)
    steps = range(1, config["horizon"] + 1)
    rows = range(series.num_rows, series.num_rows + config["horizon"])
    times = row_times(series.start, series.step_minutes, series.step_unit, rows)
    index = pd.Index(steps, name="step") if times is None else times.rename("time")
    return pd.DataFrame(values.numpy(), index=index, columns=config["node_names"])


def _of_rival(fitted: FittedForecaster, series: GraphSeries) -> Float[Tensor, "P N"]:
    config = fitted.config
    sizes = {"history": config["history"], "horizon": config["horizon"]}
    told = {"time_features": config["time_features"], "weekdays": config["weekdays"]}
    # The graph is the one that it was fitted with, whatever the rows came with.
    series = replace(series, edge_index=fitted.edge_index, edge_weight=fitted.edge_weight)
    return forecast_rival(config["model"], fitted.rival, series, fitted.fill, **sizes, **told)


def _of_module(fitted: FittedForecaster, series: GraphSeries) -> Float[Tensor, "P N"]:
    config = fitted.config
    history = config["history"]
    latest = series.values[-history:]
    # A gap is filled from all rows that the series has, not from those of the history alone.
    filled = fill_gaps(series.values[None], fitted.fill)[:, -history:]
    ahead = known_over_horizon(series, config["horizon"])[None] if config["known_ahead"] else None
    clock = None
    if config["time_features"]:
        clock = clock_features(series, weekdays=config["weekdays"])[None, -history:]
    fitted.eval()
    with torch.no_grad():
        return UnitForecast(fitted).of_filled(filled, ~latest.isnan()[None], ahead, clock)[0]
