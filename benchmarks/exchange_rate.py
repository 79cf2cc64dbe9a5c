"""MTGNN and others on the exchange rates, single step, 3, 6, 12 and 24 days ahead: RSE and CORR on the last fifth.

    python benchmarks/exchange_rate.py                                     MTGNN, scaler fitted on the training rows
    python benchmarks/exchange_rate.py --scaler leaking --horizons 3,24    the published code's scaler, labelled
    python benchmarks/exchange_rate.py --models dlinear,mtgnn --residual   the change from the last value

The rows are split 4552/1518/1518 as published; histories of 168 days reach back into the split before, so that every
row is a target. The leaking scaler divides each column by its maximum over the whole series, as the authors' code does.
The epoch is chosen by validation RSE. On a GPU all seeds are trained together in one batched model. It goes on where
it was cut off.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from rows import DATA, RESULTS, Rows
from together import fit_together

from gnnkit.data import MaxScaler, Windows, WindowSplits, load, make_windows
from gnnkit.forecasting.baselines import last_value
from gnnkit.metrics import corr, mae, rse
from gnnkit.temporal import build_forecaster
from gnnkit.training import TrainingSettings, predict

HISTORY = 168
#: The published settings of MTGNN; channels 16/16/32/64 are hidden_channels=16.
PUBLISHED: dict[str, Any] = {
    "layers": 5,
    "dilation_base": 2,
    "depth": 2,
    "neighbors": 8,
    "embedding_channels": 40,
    "dropout": 0.3,
    "retain": 0.05,
    "affine": False,
}
#: Decay and clip of the published code, whose loss is the sum of |e| over a batch; `scaled` says them for ours. The
#: clip never acts there, for it is handed parameters that Adam has used up; here it does.
WEIGHT_DECAY, CLIP = 1e-5, 5.0


def scaled(windows: WindowSplits, entries: int) -> dict[str, float]:
    """Decay and clip for our loss, mean |e| / σ, which is smaller than theirs by a batch's entries times σ."""
    factor = 1 / (entries * windows.scaler.target_deviation)
    return {"weight_decay": WEIGHT_DECAY * factor, "clip": CLIP * factor}


def figures(predicted: torch.Tensor, windows: Windows) -> list[dict[str, Any]]:
    """RSE, CORR and MAE of the one step."""
    batch = windows.batch(torch.arange(len(windows)))
    y_hat, y = predicted[:, 0], batch.y[:, 0]
    measures: dict[str, Callable[..., float]] = {"rse": rse, "corr": corr, "mae": mae}
    return [{"metric": name, "value": measure(y_hat, y), "windows": len(windows)} for name, measure in measures.items()]


def paired_interval(
    predicted: list[torch.Tensor], base: torch.Tensor, windows: Windows, resamples: int = 1000, block: int = 30
) -> dict[str, float]:
    """95% interval of RSE(model), mean over seeds, less RSE(last value), over moving blocks of the same days."""
    y = windows.batch(torch.arange(len(windows))).y[:, 0].double()
    errors = torch.stack([(p[:, 0].double() - y).square().mean(dim=1) for p in (base, *predicted)])  # [1 + S, days]
    deviation, generator = float(y.std(correction=0)), torch.Generator().manual_seed(0)
    starts = torch.randint(len(y) - block + 1, (resamples, -(-len(y) // block)), generator=generator)
    days = (starts.unsqueeze(-1) + torch.arange(block)).flatten(1)[:, : len(y)]
    scores = errors[:, days].mean(dim=2).sqrt() / deviation  # [1 + S, resamples]
    difference = scores[1:].mean(dim=0) - scores[0]
    ends = difference.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return dict(zip(("rse_minus_last_low", "rse_minus_last_high"), ends, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models", default="mtgnn", help="of mtgnn, dlinear, stid, gru, agcrn … (mtgnn)")
    parser.add_argument("--horizons", default="3,6,12,24")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--scaler", choices=["honest", "leaking"], default="honest")
    parser.add_argument("--residual", action="store_true", help="predict the change from the last value")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--hidden", type=int, default=16)
    parser.add_argument("--schedule", choices=["constant", "cosine"], default="constant")
    parser.add_argument(
        "--validate-only", action="store_true", help="a trial: score the validation rows, not the test rows"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", type=Path, default=DATA, help="folder that holds exchange_rate/")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the rows")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.data is None:
        raise SystemExit("give --data, the folder that holds exchange_rate/exchange_rate.txt.gz")
    series = load("exchange-rate", options.data)
    seeds = [int(text) for text in options.seeds.split(",")]
    choices = {"scaler": options.scaler, "residual": options.residual, "epochs": options.epochs}
    choices |= {"batch_size": options.batch_size, "learning_rate": options.learning_rate, "hidden": options.hidden}
    choices |= {"schedule": options.schedule}
    name = "exchange_rate_trials.csv" if options.validate_only else "exchange_rate.csv"
    table = Rows(options.out / name, ["model", "horizon", "seeds", *choices], options.device)
    rows = series.split.train if options.scaler == "honest" else range(series.num_rows)
    scaler = MaxScaler.fit(series.values, rows)
    for horizon in (int(text) for text in options.horizons.split(",")):
        windows = make_windows(series, history=HISTORY, horizon=1, lead=horizon, reach_back=True, scaler=scaler)
        scored = windows.val if options.validate_only else windows.test
        base = last_value(series, scored)
        for model in options.models.split(","):
            run = {"model": model, "horizon": horizon, "seeds": options.seeds} | choices
            if table.has(**run):
                continue
            forecasters = []
            for seed in seeds:
                torch.manual_seed(seed)
                forecasters.append(
                    build_forecaster(
                        model,
                        in_channels=1,
                        horizon=1,
                        history=HISTORY,
                        num_nodes=series.num_nodes,
                        hidden_channels=options.hidden,
                        residual=options.residual,
                        **(PUBLISHED if model == "mtgnn" else {}),
                    )
                )
            settings = TrainingSettings(
                epochs=options.epochs,
                batch_size=options.batch_size,
                learning_rate=options.learning_rate,
                device=options.device,
                loss="mae",
                schedule=options.schedule,
                **scaled(windows, options.batch_size * series.num_nodes),
            )
            graph, start = (series.edge_index, series.edge_weight), time.perf_counter()
            # A CPU gains nothing from batches of models: there the seeds are trained one after another.
            size = 1 if torch.device(options.device).type == "cpu" else len(seeds)
            curves = []
            for first in range(0, len(seeds), size):
                part = slice(first, first + size)
                curves += fit_together(forecasters[part], windows, *graph, settings, seeds=seeds[part], score=rse)
            shared = {"wall_seconds": time.perf_counter() - start}
            predicted = [predict(forecaster, scored, *graph, device=options.device) for forecaster in forecasters]
            found = []
            for seed, curve, one in zip(seeds, curves, predicted, strict=True):
                best = {"seed": seed, "best_epoch": 1 + int(np.argmin(curve)), "val_rse": min(curve)}
                found += [row | best | shared | paired_interval([one], base, scored) for row in figures(one, scored)]
            of_mean = paired_interval(predicted, base, scored)
            each = pd.DataFrame(found).groupby("metric", sort=False)[["value", "val_rse"]].mean()
            found += [
                {"metric": metric, **means, "windows": len(scored), "seed": "mean"} | shared | of_mean
                for metric, means in each.to_dict("index").items()
            ]
            found += [row | {"seed": "last-value"} for row in figures(base, scored)]
            table.add(found, **run)
            shown = {row["seed"]: row for row in found if row["metric"] == "rse"}
            low, high = (shown["mean"][f"rse_minus_last_{end}"] for end in ("low", "high"))
            print(
                f"{model} {horizon}: RSE {shown['mean']['value']:.4f} (validation {shown['mean']['val_rse']:.4f}), "
                f"last value {shown['last-value']['value']:.4f}, difference {low:.4f} to {high:.4f}; "
                f"{shared['wall_seconds']:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
