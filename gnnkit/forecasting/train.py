"""Train one model on one series, and score it."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from torch import Tensor, nn

from gnnkit.data import GraphSeries, SeriesStore, Windows, WindowSplits, row_time, told_weekdays
from gnnkit.forecasting.baselines import last_value
from gnnkit.forecasting.dry_run import dry_run
from gnnkit.forecasting.fitted import FittedForecaster
from gnnkit.forecasting.intervals import KEPT_LEVELS
from gnnkit.forecasting.model_settings import check_settings
from gnnkit.forecasting.rival import FittedRival, fit_rival, predict_rival
from gnnkit.forecasting.scores import forecast_scores
from gnnkit.forecasting.settings import FitSettings
from gnnkit.forecasting.settle import (
    FinalFit,
    apply_split,
    check_observed,
    fit_windows,
    fit_work,
    load_series,
    model_sizes,
    settle,
)
from gnnkit.settings.fit import PATHS, DataFields
from gnnkit.settings.problems import SpecProblems
from gnnkit.temporal import MODELS, build_forecaster, model_name
from gnnkit.training import (
    FitProgress,
    FitResult,
    Snapshots,
    TrainingSettings,
    fit,
    isolated_seed,
    predict,
    resolve_device,
)
from gnnkit.training.environment import environment
from gnnkit.training.threads import fit_threads, torch_threads

__all__ = ["Trained", "TrainedRowsWarning", "evaluate_forecaster", "train_forecaster", "train_one"]

Part = Literal["train", "val", "test"]


class TrainedRowsWarning(UserWarning):
    """The rows that are scored are not after all those that the forecaster was trained on."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A model that was trained.

    Args:
        forecaster: the model, with the weights of its best validation epoch; or a `FittedRival`.
        result: how it was trained.
        predicted: what it predicts for the windows of each part that was asked for, in the data's unit.

    Shape:
        predicted `[W, P, N]`, or `[W, P, N, Q]` with quantiles.
    """

    forecaster: nn.Module
    result: FitResult
    predicted: Mapping[str, Tensor]


def train_one(
    settings: FinalFit,
    series: GraphSeries,
    model: Any,
    training: TrainingSettings,
    *,
    hidden_channels: int | None = None,
    own: Mapping[str, Any] | None = None,
    windows: WindowSplits | None = None,
    predict_on: Sequence[Part] = ("val", "test"),
    progress: FitProgress | None = None,
    snapshots: Snapshots | None = None,
) -> Trained:
    """Train one model on one series, to predict max(horizons) steps: all of gnnkit that trains forecasters does it so.

    Args:
        settings: history, horizons, form and windows, from `settle`.
        series: the data with their split and graph, from `settle`.
        model: a name of `gnnkit.temporal.MODELS`, or a class of one's own (see `gnnkit.temporal.model_name`).
        training: how; its seed draws the first weights and the order of the batches.
        hidden_channels: width of the model (default: that of the settings).
        own: the model's own settings, as in `MODELS[name].settings`.
        windows: what is trained on, where it is not `fit_windows(settings, series)`.
        predict_on: parts whose windows are predicted afterwards.
        progress: told about every step; None: quiet.
        snapshots: from which the fit goes on, and where it keeps new ones (see `gnnkit.training.fit`); a rival that
            fits itself has none.

    Raises:
        FloatingPointError: a loss, a gradient or a forecast was not finite.
        ValueError: a setting that the model does not have; a `WrongForecast`: it gives no forecast.

    Example:
        >>> from gnnkit.data import simulate_traffic
        >>> settings, series, _ = settle(FitSettings(epochs=1, horizons=[3]), simulate_traffic(num_nodes=4, days=2))
        >>> trained = train_one(settings, series, "dlinear", settings.training_settings(seed=0))
        >>> list(trained.predicted["test"].shape), len(trained.result.epochs)
        ([101, 3, 4], 1)
    """
    windows = fit_windows(settings, series) if windows is None else windows
    model = model_name(model)
    sizes = model_sizes(settings, series)
    sizes |= {"hidden_channels": settings.hidden_channels if hidden_channels is None else hidden_channels}
    if MODELS[model].fits_itself:
        rival, result, validation = fit_rival(model, series, windows, training, sizes, own, progress=progress)
        rest = [part for part in predict_on if part != "val"]
        found = {part: predict_rival(model, rival, series, getattr(windows, part)) for part in rest}
        predicted = {part: validation if part == "val" else found[part] for part in predict_on}
        return Trained(FittedRival(model, rival), result, predicted)
    with isolated_seed(training.seed):  # one seed, one draw of the first weights, whatever was trained before
        forecaster = build_forecaster(model, **sizes, quantiles=training.quantiles, **(own or {}))
    graph = (series.edge_index, series.edge_weight)
    result = fit(forecaster, windows, *graph, training, progress=progress, snapshots=snapshots)
    parts = {part: getattr(windows, part) for part in predict_on}
    predicted = {part: predict(forecaster, chosen, *graph, device=training.device) for part, chosen in parts.items()}
    return Trained(forecaster, result, predicted)


def train_forecaster(
    model: Any,
    settings: FitSettings,
    own: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    series: GraphSeries | None = None,
    progress: FitProgress | None = None,
    snapshots: Snapshots | None = None,
) -> FittedForecaster:
    """Train a model with `train_one`, and put it together with all that it needs to forecast.

    Args:
        model: a name of `gnnkit.temporal.MODELS`, or a class of one's own (see `gnnkit.temporal.model_name`).
        settings: of data, windows and training. History, horizons and form (`residual`) that they leave open are chosen
            for the data.
        own: the model's own settings, as in `MODELS[name].settings`.
        seed: of the first weights and the order of the batches (default 0).
        series: the data, in place of what the settings name.
        progress: told about every step; None: quiet.
        snapshots: from which the fit goes on, and where it keeps new ones; who keeps the forecaster removes them.

    Returns:
        The forecaster, with the weights of its best validation epoch, on the CPU.

    Raises:
        ValueError: data that cannot be read or are too short, an unknown model or setting, or settings of a comparison.
        FloatingPointError: a loss or a gradient was not finite.

    Example:
        >>> settings = FitSettings(data_options={"num_nodes": 4, "days": 2}, epochs=1, horizons=[3])
        >>> fitted = train_forecaster("dlinear", settings)
        >>> fitted.config["model"], fitted.config["fit"]["epochs"]
        ('dlinear', 1)
    """
    foreign = sorted(settings.model_fields_set - set(FinalFit.model_fields))
    if foreign:
        raise ValueError(f"{foreign[0]}: only for a comparison; give FitSettings, and the model's own settings beside")
    if settings.scaler.endswith("-all"):
        raise ValueError(
            f"scaler: {settings.scaler!r} is fitted on the test rows too; give {settings.scaler.removesuffix('-all')!r}"
        )
    model = model_name(model)
    own = _check_types(model, dict(own or {}))
    asked, series = settings, load_series(settings) if series is None else series
    settings, series, inferred = settle(asked, series)
    windows = fit_windows(settings, series)
    check_observed(series, windows)
    training = settings.training_settings(seed)
    dry_run(settings, series, windows, model, own=own)
    parts: dict[str, Any] = {"windows": windows, "predict_on": ("val",), "progress": progress, "snapshots": snapshots}
    device = resolve_device(settings.device)
    threads = fit_threads(fit_work(settings, series), device, asked=settings.threads, snapshots=snapshots)
    with torch_threads(threads):
        trained = train_one(settings, series, model, training, own=own, **parts)
        where = environment(device)
    fitted = FittedForecaster(
        model=model,
        node_names=list(series.node_names),
        num_features=series.num_features,
        feature_names=list(series.feature_names),
        known_ahead=list(series.known_ahead),
        num_edges=series.edge_index.size(1),
        history=settings.history,
        horizon=max(settings.horizons),
        hidden_channels=settings.hidden_channels,
        residual=settings.residual,
        settings=own,
        time_features=settings.time_features,
        scaler_rows=windows.scaler.center.size(0),
        target_deviation=windows.scaler.target_deviation,
        step_minutes=series.step_minutes,
        step_unit=series.step_unit,
        weekdays=told_weekdays(series) if settings.time_features else tuple(range(7)),
        utc_offset=_utc_offset(series),
        trained_until=_time_text(series, series.split.val.stop - 1),
        unit=series.unit,
        data=series.name,
        spec=_absolute(settings).to_json() | {"seed": seed},
        interval_levels=len(KEPT_LEVELS),
        place=_absolute_place(model),
        forecaster=trained.forecaster,
    )
    fitted.take_data(series, windows)
    fitted.take_errors(*windows.val.targets(), trained.predicted["val"])
    figures = {key: value for key, value in dataclasses.asdict(trained.result).items() if key != "epochs"}
    figures |= {"epochs": len(trained.result.epochs), "data_hash": series.digest()}
    figures |= {"form": inferred[-1] if asked.residual is None else ""}  # the last sentence is on the form
    fitted.config["fit"] = figures | {"environment": where}
    return fitted.cpu().eval()


def evaluate_forecaster(
    fitted: FittedForecaster,
    series: GraphSeries | None = None,
    *,
    part: Literal["val", "test", "all"] = "test",
    device: str = "auto",
) -> pd.DataFrame:
    """Score a fitted forecaster and the last value on the test rows, the validation rows or all rows of a series.

    Args:
        fitted: from `train_forecaster` or `load_fitted`.
        series: any series of the same nodes and features, the nodes in any order; None (default): the one that it was
            trained on, read anew.
        part: `"test"` (default); `"val"` to choose among settings; `"all"` for a series of new rows.
        device: where to compute.

    Returns:
        A row for each model, horizon, score ("averaged" over the steps 1 … P, or "last-step") and metric, in the
        series' unit.

    Warns:
        TrainedRowsWarning: by their times, test rows of another series were read in training.

    Raises:
        ValueError: the series has other nodes, features or steps, is too short or has no value in those rows; or the
            files that the forecaster was trained on are gone or have changed.
    """
    config = fitted.config
    # Neither the training device nor, for another series, the training files need to be on this machine.
    given = {field: value for field, value in config["spec"].items() if field in FitSettings.model_fields}
    gone = {"device", "precision"} | (set(DataFields.model_fields) - {"split"} if series is not None else set())
    asked = FitSettings(**{field: value for field, value in given.items() if field not in gone})
    series = apply_split(asked, fitted.arrange(_trained_on(fitted, asked) if series is None else series))
    windows = _scored_windows(fitted, asked, series, part)
    if part != "val":
        _warn_of_trained_rows(fitted, series, windows)
    if fitted.rival is not None:
        predicted = predict_rival(config["model"], fitted.rival, series, windows)
    else:
        predicted = predict(fitted.forecaster, windows, fitted.edge_index, fitted.edge_weight, device=device)
    fitted.cpu()
    y, y_mask = windows.targets()
    if not y_mask.any():
        raise ValueError(f"{series.name}: no value is observed in the {part} rows, so there is nothing to score")
    counts = {p: windows.count(p) for p in config["spec"]["horizons"]}
    seed = config["spec"].get("seed", config["spec"].get("seeds", [0])[0])  # gnnkit 0.1 kept the spec of a comparison
    rows = [
        {"model": name, "seed": drawn} | row
        for name, drawn, found in (("last-value", 0, last_value(series, windows)), (config["model"], seed, predicted))
        for row in forecast_scores(found, y, y_mask, counts)
    ]
    return pd.DataFrame(rows).assign(data=series.name, data_hash=series.digest())


def _scored_windows(fitted: FittedForecaster, asked: FitSettings, series: GraphSeries, part: str) -> Windows:
    """The windows of a part of a series, or of all its rows, as the forecaster was trained on."""
    config = fitted.config
    if part == "all":
        horizons = config["spec"]["horizons"]
        if series.num_rows < config["history"] + min(horizons):
            raise ValueError(
                f"{series.name}: {series.num_rows} rows are too few to score; give at least "
                f"{config['history'] + min(horizons)}"
            )
        store = SeriesStore.from_series(series, time_features=config["time_features"], weekdays=config["weekdays"])
        sizes = {"history": config["history"], "horizon": config["horizon"], "min_horizon": min(horizons)}
        return Windows(store, range(series.num_rows), scaler=fitted.scaler, **sizes)
    if len(series.split.train) < config["history"] + config["horizon"]:
        raise ValueError(
            f"{series.name}: the last {len(series.split.test)} of its {series.num_rows} rows would be scored, and "
            f"those before hold no window of {config['history']} rows and {config['horizon']} steps; give more rows"
        )
    settings, series, _ = settle(asked, series)
    return getattr(fit_windows(settings, series, scaler=fitted.scaler, weekdays=config["weekdays"]), part)


def _warn_of_trained_rows(fitted: FittedForecaster, series: GraphSeries, windows: Windows) -> None:
    until, first = fitted.config["trained_until"], row_time(series, windows.rows.start + windows.history)
    if until is None or first is None:
        return
    last = pd.Timestamp(until)
    if (first.tzinfo is None) == (last.tzinfo is None) and first <= last:
        warnings.warn(
            f"{series.name}: it is scored from {first} on, but the forecaster was trained on rows up to {last}; scores "
            "of rows that were trained on say nothing of new ones; give later rows",
            TrainedRowsWarning,
            stacklevel=3,
        )


def _time_text(series: GraphSeries, row: int) -> str | None:
    time = row_time(series, row)
    return None if time is None else time.isoformat()


def _utc_offset(series: GraphSeries) -> float | None:
    offset = None if series.start is None else series.start.utcoffset()
    return None if offset is None else offset.total_seconds() / 60


def _check_types(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings, those that the model has in the types of their defaults; a `ValueError` that names a wrong one."""
    known = {setting: value for setting, value in settings.items() if setting in MODELS[name].settings}
    try:
        return settings | check_settings({name: known}, [name])[name]
    except SpecProblems as error:
        raise ValueError("; ".join(f"setting {key[-1]}: {text}" for key, text in error.problems)) from None


def _absolute(settings: FinalFit) -> FinalFit:
    """The settings with whole paths: the forecaster may be evaluated from another working directory."""
    paths = {field: getattr(settings, field) for field in PATHS}
    return settings.model_copy(update={field: path and path.absolute() for field, path in paths.items()})


def _absolute_place(model: str) -> str | None:
    """The whole path of a model that is named by its file; None for any other."""
    file, colon, name = model.rpartition(":")
    return f"{Path(file).absolute()}:{name}" if colon and file.endswith(".py") else None


def _trained_on(fitted: FittedForecaster, settings: FitSettings) -> GraphSeries:
    """The series that a forecaster was trained on, read anew."""
    if fitted.config["spec"].get("in_memory"):
        raise ValueError(
            "the rows that the forecaster was trained on were in memory; name a series to score (--series)"
        )
    series, config = load_series(settings), fitted.config
    # Generated values may differ in their last bits from machine to machine.
    generated = settings.series is None and settings.data in (None, "simulated") and config["data"] == "simulated"
    if not generated and config["fit"] and series.digest() != config["fit"]["data_hash"]:
        raise ValueError(
            f"{series.name}: not the {config['data']} that the forecaster was trained on, or it has changed since; "
            "name the series to score it as it is (--series)"
        )
    return series
