"""Train one model on one series, and score it."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd

from gnnkit.compare.baselines import last_value
from gnnkit.compare.runner import apply_split, check_observed, load_series, settle
from gnnkit.compare.scores import Outcome, score_rows
from gnnkit.compare.spec.comparison import ComparisonSpec, make_spec
from gnnkit.data import GraphSeries, Windows, make_windows, row_time, told_weekdays
from gnnkit.forecasting.fitted import FittedForecaster
from gnnkit.forecasting.model_settings import check_settings
from gnnkit.settings.problems import SpecProblems
from gnnkit.temporal import MODELS
from gnnkit.training import FitProgress, fit, isolated_seed, predict, resolve_device
from gnnkit.training.environment import environment

__all__ = ["TrainedRowsWarning", "evaluate_forecaster", "train_forecaster"]


class TrainedRowsWarning(UserWarning):
    """The rows that are scored are not after all those that the forecaster was trained on."""


#: Fields of a spec that say where data come from.
_SOURCES = (
    *("data", "data_root", "data_options"),
    *("series", "graph", "graph_format", "target", "unit", "step_minutes", "season", "missing_values", "decimal"),
)
#: Fields that ask for more than one fit of one model.
_COMPARED = ("settings", "ablate_graph", "train_shares", "hidden_shares", "parameters", "trials")


def train_forecaster(
    spec: ComparisonSpec,
    settings: Mapping[str, Any] | None = None,
    progress: FitProgress | None = None,
    *,
    series: GraphSeries | None = None,
) -> FittedForecaster:
    """Train the one model of a spec with its one seed, to predict max(horizons) steps.

    Args:
        spec: as for a comparison; `make_spec` builds it. History, horizons and form (`residual`) that it leaves open
            are chosen for the data.
        settings: the model's own, as in `MODELS[name].settings`.
        progress: told about every step; None: quiet.
        series: the data, in place of what the spec names.

    Returns:
        The forecaster, with the weights of its best validation epoch, on the CPU.

    Raises:
        ValueError: more than one model or seed, data that cannot be read or are too short, an unknown setting.
        FloatingPointError: a loss or a gradient was not finite.

    Example:
        >>> from gnnkit.compare import make_spec
        >>> small = {"num_nodes": 4, "days": 2}
        >>> spec = make_spec(data_options=small, models=["dlinear"], seeds=[0], epochs=1, horizons=[3])
        >>> fitted = train_forecaster(spec)
        >>> fitted.config["model"], fitted.config["fit"]["epochs"]
        ('dlinear', 1)
    """
    _check_spec(spec)
    if len(spec.models) != 1 or len(spec.seeds) != 1:
        raise ValueError(
            f"one model and one seed are trained, got {len(spec.models)} and {len(spec.seeds)}; "
            "use `gnnkit compare` for more"
        )
    (name,), (seed,) = spec.models, spec.seeds
    settings = _check_types(name, dict(settings or {}))
    series = load_series(spec) if series is None else series
    chosen = spec.residual is None
    spec, series, inferred = settle(spec, series)
    options = {"history": spec.history, "horizon": max(spec.horizons), "time_features": spec.time_features}
    windows = make_windows(
        series, scaler=spec.scaler, min_horizon=min(spec.horizons), reach_back=spec.reach_back, **options
    )
    check_observed(series, windows)
    with isolated_seed(seed):
        fitted = FittedForecaster(
            model=name,
            node_names=list(series.node_names),
            num_features=series.num_features,
            num_edges=series.edge_index.size(1),
            hidden_channels=spec.hidden_channels,
            residual=spec.residual,
            settings=settings,
            scaler_rows=windows.scaler.center.size(0),
            target_deviation=windows.scaler.target_deviation,
            step_minutes=series.step_minutes,
            step_unit=series.step_unit,
            weekdays=told_weekdays(series) if spec.time_features else tuple(range(7)),
            utc_offset=_utc_offset(series),
            trained_until=_time_text(series, series.split.val.stop - 1),
            unit=series.unit,
            data=series.name,
            spec=_absolute(spec).to_json(),
            **options,
        )
    fitted.take_data(series, windows)
    graph = (series.edge_index, series.edge_weight)
    found = fit(fitted.forecaster, windows, *graph, spec.training_settings(seed), progress=progress)
    figures = {key: value for key, value in dataclasses.asdict(found).items() if key != "epochs"}
    figures |= {"epochs": len(found.epochs), "data_hash": series.digest()}
    figures |= {"form": inferred[-1] if chosen else ""}  # the last sentence is on the form
    fitted.config["fit"] = figures | {"environment": environment(resolve_device(spec.device))}
    return fitted.cpu().eval()


def evaluate_forecaster(
    fitted: FittedForecaster,
    series: GraphSeries | None = None,
    *,
    part: Literal["val", "test"] = "test",
    device: str = "auto",
) -> pd.DataFrame:
    """Score a fitted forecaster and the last value on the test rows, or the validation rows, of a series.

    Args:
        fitted: from `train_forecaster` or `load_fitted`.
        series: any series of the same nodes and features, the nodes in any order; None (default): the one that it was
            trained on, read anew.
        part: `"test"` (default), or `"val"` to choose among settings.
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
    given = config["spec"] | {"device": "auto", "precision": None}
    given |= dict.fromkeys(_SOURCES) if series is not None else {}
    asked = make_spec(**{field: value for field, value in given.items() if value is not None})
    series = apply_split(asked, fitted.arrange(_trained_on(fitted, asked) if series is None else series))
    if len(series.split.train) < config["history"] + config["horizon"]:
        raise ValueError(
            f"{series.name}: the last {len(series.split.test)} of its {series.num_rows} rows would be scored, and "
            f"those before hold no window of {config['history']} rows and {config['horizon']} steps; give more rows"
        )
    spec, series, _ = settle(asked, series)
    splits = make_windows(
        series,
        history=config["history"],
        horizon=config["horizon"],
        min_horizon=min(spec.horizons),
        scaler=fitted.scaler,
        time_features=config["time_features"],
        weekdays=config["weekdays"],
        reach_back=spec.reach_back,
    )
    windows = {"val": splits.val, "test": splits.test}[part]
    if part == "test":
        _warn_of_trained_rows(fitted, series, windows)
    predicted = predict(fitted.forecaster, windows, fitted.edge_index, fitted.edge_weight, device=device)
    fitted.cpu()
    y, y_mask = windows.targets()
    if not y_mask.any():
        raise ValueError(f"{series.name}: no value is observed in the {part} rows, so there is nothing to score")
    outcomes = [
        Outcome("last-value", "baseline", 0, last_value(series, windows), None),
        Outcome(config["model"], MODELS[config["model"]].family, spec.seeds[0], predicted, None),
    ]
    rows = score_rows(outcomes, y, y_mask, {p: windows.count(p) for p in spec.horizons})
    columns = ["model", "seed", "horizon", "score", "metric", "value", "windows"]
    return pd.DataFrame(rows)[columns].assign(data=series.name, data_hash=series.digest())


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


def _check_spec(spec: ComparisonSpec) -> None:
    """Refuse what is asked for and would be passed over, and scalers that see the test rows."""
    asked = [field for field in _COMPARED if getattr(spec, field)]
    asked += ["intervals"] if spec.intervals != "conformal" else []
    if asked:
        raise ValueError(f"{asked[0]}: only for a comparison; leave it out, and give a model's settings by themselves")
    if spec.scaler.endswith("-all") and not spec.allow_leaks:
        raise ValueError(f"scaler: {spec.scaler!r} is fitted on the test rows too; give {spec.scaler[:-4]!r}")


def _check_types(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings, those that the model has in the types of their defaults; a `ValueError` that names a wrong one."""
    known = {setting: value for setting, value in settings.items() if setting in MODELS[name].settings}
    try:
        return settings | check_settings({name: known}, [name])[name]
    except SpecProblems as error:
        raise ValueError("; ".join(f"setting {key[-1]}: {text}" for key, text in error.problems)) from None


def _absolute(spec: ComparisonSpec) -> ComparisonSpec:
    """The spec with whole paths: the forecaster may be evaluated from another working directory."""
    paths = {field: getattr(spec, field) for field in ("data_root", "series", "graph")}
    return spec.model_copy(update={field: path and path.absolute() for field, path in paths.items()})


def _trained_on(fitted: FittedForecaster, spec: ComparisonSpec) -> GraphSeries:
    """The series that a forecaster was trained on, read anew."""
    series, config = load_series(spec), fitted.config
    # Generated values may differ in their last bits from machine to machine.
    generated = spec.series is None and spec.data in (None, "simulated") and config["data"] == "simulated"
    if not generated and config["fit"] and series.digest() != config["fit"]["data_hash"]:
        raise ValueError(
            f"{series.name}: not the {config['data']} that the forecaster was trained on, or it has changed since; "
            "name the series to score it as it is (--series)"
        )
    return series
