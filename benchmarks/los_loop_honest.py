"""Every model on Los-loop under the honest protocol, each with the same wall budget and the same number of trials.

    python benchmarks/los_loop_honest.py trials     settings, each trained once, judged on the validation rows alone
    python benchmarks/los_loop_honest.py table      the best of each model, three seeds, scored on the test rows
    python benchmarks/los_loop_honest.py table --device cuda --max-seconds 0       full training, no budget

One 12-step model a seed; the epoch is chosen on the last tenth of the training rows; each horizon is scored on the
windows that hold it, averaged over its steps and at its last step. A fit that the budget cut off says so in `stopped`.
Both stages go on where they were cut off.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from rows import DATA, RESULTS, Rows

from gnnkit.compare import make_spec
from gnnkit.data import GraphSeries, los_loop
from gnnkit.forecasting import FittedForecaster, evaluate_forecaster, train_forecaster
from gnnkit.temporal import MODELS

#: The same for every model and trial.
BUDGET: dict[str, Any] = {"horizons": [3, 6, 9, 12], "history": 12, "residual": True, "schedule": "cosine", "clip": 5.0}
#: What is tried; the number of epochs is that over which the learning rate falls, so it is one of the settings.
TRIALS: list[dict[str, Any]] = [
    {"hidden_channels": 32, "learning_rate": 3e-3, "batch_size": 32, "epochs": 20, "time_features": False},
    {"hidden_channels": 32, "learning_rate": 3e-3, "batch_size": 32, "epochs": 20, "time_features": True},
    {"hidden_channels": 32, "learning_rate": 1e-2, "batch_size": 16, "epochs": 8, "time_features": False},
    {"hidden_channels": 16, "learning_rate": 5e-3, "batch_size": 16, "epochs": 12, "time_features": False},
    {"hidden_channels": 64, "learning_rate": 2e-3, "batch_size": 32, "epochs": 30, "time_features": False},
    {"hidden_channels": 32, "learning_rate": 3e-3, "batch_size": 32, "epochs": 20, "weight_decay": 1e-4, "loss": "mse"},
]


def fitted(name: str, seed: int, trial: dict[str, Any], series: GraphSeries, options) -> FittedForecaster:
    """Train one model with one seed within the budget."""
    given = BUDGET | {"patience": trial["epochs"], "device": options.device} | trial
    if options.max_seconds > 0:
        given["max_seconds"] = options.max_seconds
    return train_forecaster(make_spec(data="los-loop", models=[name], seeds=[seed], **given), series=series)


def facts(model: FittedForecaster) -> dict[str, Any]:
    """How the training went, for every row of it."""
    names = ("parameters", "epochs", "best_epoch", "best_val_mae", "epoch_seconds", "wall_seconds", "stopped")
    return {name: model.config["fit"][name] for name in names} | {
        "peak_memory_mb": model.config["fit"]["peak_memory_mb"]
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("stage", choices=["trials", "table"])
    parser.add_argument("--models", default=",".join(MODELS), help="names of `gnnkit list` (all)")
    parser.add_argument("--seeds", default="0,1,2", help="of the table (0,1,2)")
    parser.add_argument("--max-seconds", type=float, default=240.0, help="wall budget of a fit (240); 0: none")
    parser.add_argument("--max-trials", type=int, default=len(TRIALS), help="settings tried for each model")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the rows")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    series = los_loop(DATA)
    budget = options.max_seconds if options.max_seconds > 0 else "none"
    trials = Rows(options.out / "los_loop_honest_trials.csv", ["model", "trial", "device_asked"], options.device)
    table = Rows(options.out / "los_loop_honest.csv", ["model", "seed", "device_asked", "budget"], options.device)
    for name in options.models.split(","):
        if options.stage == "trials":
            for trial in TRIALS[: options.max_trials]:
                run = {"model": name, "trial": json.dumps(trial), "device_asked": options.device}
                if trials.has(**run):
                    continue
                found = facts(fitted(name, 0, trial, series, options)) | {"budget": budget}
                trials.add([found], **run)
                print(name, trial, f"validation MAE {found['best_val_mae']:.4f}", found["stopped"], flush=True)
            continue
        tried = trials.table
        tried = tried[tried["model"] == name] if len(tried) else tried
        trial = json.loads(tried.loc[tried["best_val_mae"].idxmin(), "trial"]) if len(tried) else TRIALS[0]
        for seed in (int(text) for text in options.seeds.split(",")):
            run = {"model": name, "seed": seed, "device_asked": options.device, "budget": budget}
            if table.has(**run):
                continue
            model = fitted(name, seed, trial, series, options)
            scores = evaluate_forecaster(model, series, device=options.device)
            rows = scores[scores["model"] == name].drop(columns=["model", "seed"]).to_dict("records")
            shared = facts(model) | {"settings": json.dumps(trial), "trials": len(tried)}
            table.add([row | shared for row in rows], **run)
            baseline = {"model": "last-value", "seed": 0, "device_asked": options.device, "budget": budget}
            if not table.has(**baseline):
                rows = scores[scores["model"] == "last-value"].drop(columns=["model", "seed"]).to_dict("records")
                table.add(rows, **baseline)
            shown = scores[(scores["model"] == name) & (scores["score"] == "averaged")]
            figures = shown[shown["metric"].isin(["mae", "rmse"])]["value"].round(3).tolist()
            print(name, seed, figures, model.config["fit"]["stopped"], flush=True)


if __name__ == "__main__":
    main()
