"""Every model on Los-loop under the honest protocol, each with the same wall budget and the same number of trials.

    python benchmarks/los_loop_honest.py trials     settings, each trained once, scored on the validation rows alone
    python benchmarks/los_loop_honest.py table      the best of each model, three seeds, scored on the test rows
    python benchmarks/los_loop_honest.py page       results/los_loop_honest.md, from the rows
    python benchmarks/los_loop_honest.py table --models gru,stid               beside it, on another core
    python benchmarks/los_loop_honest.py table --device cuda --max-seconds 0       full training, no budget

One 12-step model a seed; the epoch is chosen on the last tenth of the training rows; each horizon is scored on the
windows that hold it, averaged over its steps and at its last step. A model's settings are those of the trial with the
least sum of MAE and RMSE, each over that of the last value, mean over the four horizons, on the validation rows. A fit
that the budget cut off says so in `stopped`. Trials and table go on where they were cut off.

The errors of every test window stand in los_loop_honest_windows.parquet, and the page tests pairs of models on them. A
model whose fits are older than that file has none there; `table --models NAME` trains it again and replaces its rows.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from los_loop_page import write_page
from rows import DATA, RESULTS, Rows

from gnnkit.compare.scores import Outcome, score_rows, window_errors
from gnnkit.data import GraphSeries, los_loop, make_windows
from gnnkit.forecasting import FitSettings, FittedForecaster, evaluate_forecaster, train_forecaster
from gnnkit.forecasting.baselines import BASELINES
from gnnkit.temporal import MODELS
from gnnkit.training import predict

HORIZONS = [3, 6, 9, 12]
#: The same for every model and trial. The learning rate falls to zero over the epochs, or over the budget if that ends
#: first.
BUDGET: dict[str, Any] = {
    "horizons": HORIZONS,
    "history": 12,
    "residual": True,
    "schedule": "cosine",
    "clip": 5.0,
    "batch_size": 32,
    "weight_decay": 1e-5,
    "hidden_channels": 32,
    "epochs": 40,
    "patience": 40,
}
#: What is tried, for every model alike.
TRIALS: list[dict[str, Any]] = [
    {"loss": "mae", "learning_rate": 3e-3, "time_features": True},
    {"loss": "huber", "learning_rate": 3e-3, "time_features": True},
    {"loss": "mae", "learning_rate": 1e-2, "time_features": True},
    {"loss": "mae", "learning_rate": 1e-2, "time_features": False},
]


def fitted(name: str, seed: int, trial: dict[str, Any], series: GraphSeries, options) -> FittedForecaster:
    """Train one model with one seed within the budget."""
    given = BUDGET | {"device": options.device} | trial
    if options.max_seconds > 0:
        given["max_seconds"] = options.max_seconds
    return train_forecaster(name, FitSettings(data="los-loop", **given), seed=seed, series=series)


def facts(model: FittedForecaster) -> dict[str, Any]:
    """How the training went, for every row of it."""
    names = ("parameters", "epochs", "best_epoch", "best_val_mae", "epoch_seconds", "wall_seconds", "stopped")
    return {name: model.config["fit"][name] for name in (*names, "peak_memory_mb")}


def relative_error(scores: pd.DataFrame, name: str) -> float:
    """MAE and RMSE over those of the last value, mean over the horizons; their sum."""
    chosen = scores[(scores["score"] == "averaged") & scores["metric"].isin(["mae", "rmse"])]
    values = chosen.pivot_table(index=["metric", "horizon"], columns="model", values="value")
    return 2 * float((values[name] / values["last-value"]).mean())


def baseline_rows(series: GraphSeries) -> dict[str, list[dict[str, Any]]]:
    """Scores of the forecasts that need no training, on the same windows."""
    windows = test_windows(series)
    batch = windows.batch(torch.arange(len(windows)))
    counts = {horizon: windows.count(horizon) for horizon in HORIZONS}
    found = {}
    for name, baseline in BASELINES.items():
        outcome = Outcome(name, "baseline", 0, baseline(series, windows), None)
        rows = score_rows([outcome], batch.y, batch.y_mask, counts)
        kept = ("horizon", "score", "metric", "value", "windows")
        found[name] = [{column: row[column] for column in kept} for row in rows]
    return found


def test_windows(series: GraphSeries, **more: Any):
    """The windows of the test rows that hold the shortest horizon."""
    return make_windows(series, history=12, horizon=max(HORIZONS), min_horizon=min(HORIZONS), **more).test


def error_rows(model: FittedForecaster, series: GraphSeries, device: str) -> list[dict[str, Any]]:
    """Mean absolute and mean squared error of each test window over the steps up to each horizon."""
    config = model.config
    windows = test_windows(
        series, scaler=model.scaler, time_features=config["time_features"], weekdays=config["weekdays"]
    )
    predicted = predict(model.forecaster, windows, model.edge_index, model.edge_weight, device=device)
    model.cpu()
    outcome = Outcome(config["model"], MODELS[config["model"]].family, 0, predicted, None)
    counts = {horizon: windows.count(horizon) for horizon in HORIZONS}
    absolute, squared, targets = window_errors([outcome], *windows.targets(), counts)
    rows = []
    for horizon in HORIZONS:
        tables = [table[config["model"]][str(horizon)][0] for table in (absolute, squared)]
        for window, (mae, mse, count) in enumerate(zip(*tables, targets[str(horizon)], strict=True)):
            rows.append({"horizon": horizon, "window": window, "mae": mae, "mse": mse, "targets": count})
    return rows


def run_trials(names: list[str], series: GraphSeries, trials: Rows, options) -> None:
    for name in names:
        for trial in TRIALS[: options.max_trials]:
            run = {"model": name, "trial": json.dumps(trial), "device_asked": options.device}
            run |= {"budget": options.max_seconds}
            if trials.has(**run):
                continue
            model = fitted(name, 0, trial, series, options)
            scores = evaluate_forecaster(model, series, part="val", device=options.device)
            found = facts(model) | {"relative_error": relative_error(scores, name)}
            trials.add([found], **run)
            print(name, trial, f"relative error {found['relative_error']:.4f}", found["stopped"], flush=True)


def run_table(names: list[str], series: GraphSeries, trials: Rows, table: Rows, errors: Rows, options) -> None:
    shared = {"device_asked": options.device, "budget": options.max_seconds}
    for name, rows in baseline_rows(series).items():
        if not table.has(model=name, seed=0, **shared):
            table.add(rows, model=name, seed=0, **shared)
    for name in names:
        tried = trials.table
        tried = tried[(tried["model"] == name) & (tried["device_asked"] == options.device)] if len(tried) else tried
        if tried.empty:
            raise SystemExit(f"no settings of {name} were tried; run the stage `trials` first")
        trial = json.loads(tried.loc[tried["relative_error"].idxmin(), "trial"])
        for seed in (int(text) for text in options.seeds.split(",")):
            run = {"model": name, "seed": seed, **shared}
            if table.has(**run) and errors.has(**run):
                continue
            model = fitted(name, seed, trial, series, options)
            scores = evaluate_forecaster(model, series, device=options.device)
            by_window = error_rows(model, series, options.device)
            rows = scores[scores["model"] == name].drop(columns=["model", "seed"]).to_dict("records")
            more = facts(model) | {"settings": json.dumps(trial), "trials": len(tried)}
            table.add([row | more for row in rows], **run)
            errors.add(by_window, **run)
            shown = scores[(scores["model"] == name) & (scores["score"] == "averaged")]
            figures = shown[shown["metric"].isin(["mae", "rmse"])]["value"].round(3).tolist()
            print(name, seed, figures, more["stopped"], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("stage", choices=["trials", "table", "page"])
    parser.add_argument("--models", default=",".join(MODELS), help="names of `gnnkit list` (all)")
    parser.add_argument("--seeds", default="0,1,2", help="of the table (0,1,2)")
    parser.add_argument("--max-seconds", type=float, default=None, help="of a fit: 60 a trial, 480 else; 0: no limit")
    parser.add_argument("--max-trials", type=int, default=len(TRIALS), help="settings tried for each model")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the rows")
    options = parser.parse_args()
    if options.max_seconds is None:
        options.max_seconds = 60.0 if options.stage == "trials" else 480.0
    torch.set_num_threads(options.threads)
    where = ["device_asked", "budget"]
    trials = Rows(options.out / "los_loop_honest_trials.csv", ["model", "trial", *where], options.device)
    table = Rows(options.out / "los_loop_honest.csv", ["model", "seed", *where], options.device)
    errors = Rows(options.out / "los_loop_honest_windows.parquet", ["model", "seed", *where], options.device)
    if options.stage == "page":
        rows, tried = table.table, trials.table
        rows = rows[(rows["device_asked"] == options.device) & (rows["budget"] == options.max_seconds)]
        if rows.empty:
            raise SystemExit(f"no rows of {options.device} with {options.max_seconds:g} seconds; run the stage `table`")
        tried = tried[tried["device_asked"] == options.device]
        by_window = errors.table
        by_window = by_window[
            (by_window["device_asked"] == options.device) & (by_window["budget"] == options.max_seconds)
        ]
        write_page(rows, tried, by_window, options.out / "los_loop_honest.md")
        return
    series, names = los_loop(DATA), options.models.split(",")
    if options.stage == "trials":
        run_trials(names, series, trials, options)
    else:
        run_table(names, series, trials, table, errors, options)


if __name__ == "__main__":
    main()
