"""Train one model on one series, and score it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd
import torch

from gnnkit.compare.baselines import last_value
from gnnkit.compare.runner import load_series, settle
from gnnkit.compare.scores import Outcome, score_rows
from gnnkit.compare.spec.comparison import ComparisonSpec, make_spec
from gnnkit.data import GraphSeries, make_windows
from gnnkit.forecasting.fitted import FittedForecaster
from gnnkit.temporal import MODELS
from gnnkit.training import FitProgress, fit, isolated_seed, predict, resolve_device
from gnnkit.training.environment import environment

__all__ = ["evaluate_forecaster", "train_forecaster"]


def train_forecaster(
    spec: ComparisonSpec,
    settings: Mapping[str, Any] | None = None,
    progress: FitProgress | None = None,
    *,
    series: GraphSeries | None = None,
) -> FittedForecaster:
    """Train the one model of a spec with its one seed, to predict max(horizons) steps.

    Args:
        spec: as for a comparison; `make_spec` builds it. History and horizons that it leaves open are chosen for the
            data.
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
    if len(spec.models) != 1 or len(spec.seeds) != 1:
        raise ValueError(
            f"one model and one seed are trained, got {len(spec.models)} and {len(spec.seeds)}; "
            "use `gnnkit compare` for more"
        )
    (name,), (seed,) = spec.models, spec.seeds
    series = load_series(spec) if series is None else series
    spec, series, _ = settle(spec, series)
    options = {"history": spec.history, "horizon": max(spec.horizons), "time_features": spec.time_features}
    windows = make_windows(
        series, scaler=spec.scaler, min_horizon=min(spec.horizons), reach_back=spec.reach_back, **options
    )
    with isolated_seed(seed):
        fitted = FittedForecaster(
            model=name,
            node_names=list(series.node_names),
            num_features=series.num_features,
            num_edges=series.edge_index.size(1),
            hidden_channels=spec.hidden_channels,
            residual=spec.residual,
            settings=dict(settings or {}),
            scaler_rows=windows.scaler.center.size(0),
            target_deviation=windows.scaler.target_deviation,
            step_minutes=series.step_minutes,
            unit=series.unit,
            data=series.name,
            spec=spec.to_json(),
            **options,
        )
    fitted.take_data(series, windows)
    graph = (series.edge_index, series.edge_weight)
    found = fit(fitted.forecaster, windows, *graph, spec.training_settings(seed), progress=progress)
    figures = {key: value for key, value in dataclasses.asdict(found).items() if key != "epochs"}
    figures |= {"epochs": len(found.epochs), "data_hash": series.digest()}
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
        series: any series of the same nodes and features; None (default): the one that it was trained on, read anew.
        part: `"test"` (default), or `"val"` to choose among settings.
        device: where to compute.

    Returns:
        A row for each model, horizon, score ("averaged" over the steps 1 … P, or "last-step") and metric, in the
        series' unit.

    Raises:
        ValueError: the series has other nodes or features, or is too short.
    """
    config = fitted.config
    asked = make_spec(**config["spec"])
    series = load_series(asked) if series is None else series
    if list(series.node_names) != config["node_names"] or series.num_features != config["num_features"]:
        raise ValueError(
            f"{series.name} has {series.num_nodes} nodes and {series.num_features} features, the forecaster was "
            f"trained on {len(config['node_names'])} and {config['num_features']} of {config['data']}; "
            "give a series of the same nodes"
        )
    spec, series, _ = settle(asked, series)
    splits = make_windows(
        series,
        history=config["history"],
        horizon=config["horizon"],
        min_horizon=min(spec.horizons),
        scaler=fitted.scaler,
        time_features=config["time_features"],
        reach_back=spec.reach_back,
    )
    windows = {"val": splits.val, "test": splits.test}[part]
    predicted = predict(fitted.forecaster, windows, fitted.edge_index, fitted.edge_weight, device=device)
    fitted.cpu()
    batch = windows.batch(torch.arange(len(windows)))
    outcomes = [
        Outcome("last-value", "baseline", 0, last_value(series, windows), None),
        Outcome(config["model"], MODELS[config["model"]].family, spec.seeds[0], predicted, None),
    ]
    rows = score_rows(outcomes, batch.y, batch.y_mask, {p: windows.count(p) for p in spec.horizons})
    columns = ["model", "seed", "horizon", "score", "metric", "value", "windows"]
    return pd.DataFrame(rows)[columns].assign(data=series.name, data_hash=series.digest())
