"""Forecast the steps after the latest rows of a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from gnnkit.data import GraphSeries, clock_features, read_own, row_time
from gnnkit.data.tables import is_text
from gnnkit.data.windows import known_rows
from gnnkit.forecasting.features import known_over_horizon
from gnnkit.forecasting.fitted import FittedForecaster

__all__ = ["forecast_next", "read_latest", "read_series"]


def read_series(
    path: str | Path,
    fitted: FittedForecaster,
    *,
    step_minutes: float | None = None,
    covariates: str | Path | None = None,
) -> GraphSeries:
    """Read rows of the nodes that a forecaster knows, in its order and its unit.

    Args:
        path: a CSV, Parquet or NPZ file as `gnnkit.data.read_own` reads it, with the missing values of the training,
            the target among several features where it was in the training file. Columns are known by their names and
            may come in any order; columns without names are taken in the forecaster's order.
        fitted: the forecaster.
        step_minutes: minutes in a row, where the file has no times; default: those of the training data.
        covariates: what stands beside the series, where the forecaster reads it and the file does not hold it.

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
    series = read_own(
        path,
        covariates=covariates,
        known_ahead=known,
        step_minutes=step_minutes,
        leave_out=spec.get("leave_out") or (),
        strict=False,
        missing_values=spec.get("missing_values") or (),
        decimal=spec.get("decimal") if is_text(Path(path)) else None,
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
    path: str | Path,
    fitted: FittedForecaster,
    *,
    step_minutes: float | None = None,
    covariates: str | Path | None = None,
) -> GraphSeries:
    """Read the latest rows of the nodes that a forecaster knows, in its order.

    Args: as `read_series`.

    Returns:
        The rows, at least `history` of them.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: too few rows, or as `read_series`.
    """
    series = read_series(path, fitted, step_minutes=step_minutes, covariates=covariates)
    if series.num_rows < fitted.config["history"]:
        raise ValueError(
            f"{Path(path).name}: {series.num_rows} rows are too few; "
            f"the forecaster reads the latest {fitted.config['history']}"
        )
    return series


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
    config, rows = fitted.config, []
    for row in series.values:
        known = rows[-1] if rows else fitted.fill
        rows.append(torch.where(row.isnan(), known, row))
    history = config["history"]
    x = fitted.scaler.transform(torch.stack(rows[-history:])).unsqueeze(0)  # [1, T, N, F]
    mask = ~series.values[-history:].isnan().unsqueeze(0)
    if config["known_ahead"]:
        ahead = known_over_horizon(series, config["horizon"])
        known = torch.cat([torch.stack(rows[-history:])[..., config["known_ahead"]], ahead])  # [T + P, N, K]
        later = known_rows(torch.arange(history), history, config["horizon"])  # [T, M]
        features = config["known_ahead"]
        scaled = fitted.scaler.transform(known, features)
        seen = torch.cat([mask[0][..., features], torch.ones_like(ahead, dtype=torch.bool)])
        x, mask = (
            torch.cat([first, values[later].transpose(1, 2).flatten(2).unsqueeze(0)], dim=-1)
            for first, values in ((x, scaled), (mask, seen))
        )
    if config["time_features"]:
        time = (
            clock_features(series, weekdays=config["weekdays"])[-history:]
            .view(1, history, 1, -1)
            .expand(-1, -1, x.size(2), -1)
        )
        x, mask = torch.cat([x, time], dim=-1), torch.cat([mask, torch.ones_like(time, dtype=torch.bool)], dim=-1)
    fitted.eval()
    with torch.no_grad():
        scaled = fitted.forecaster(x, fitted.edge_index, fitted.edge_weight, mask=mask)
    values = fitted.scaler.inverse_target(scaled)[0].numpy()
    steps = range(1, config["horizon"] + 1)
    times = [row_time(series, series.num_rows - 1 + step) for step in steps]
    known = None not in times
    index = pd.DatetimeIndex(times, name="time") if known else pd.Index(steps, name="step")
    return pd.DataFrame(values, index=index, columns=config["node_names"])
