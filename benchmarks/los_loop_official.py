"""T-GCN in its authors' form under their protocol on Los-loop: rows 1 to 1612 train, the last epoch is tested, once.

    python benchmarks/los_loop_official.py choose        schedules, on the last tenth of the training rows
    python benchmarks/los_loop_official.py test          the best of them, on all 1612 rows; tested once a seed

The loss is theirs: ½ Σ e² over a batch of 64 windows of scaled values, plus 0.0015 · ½ Σ θ²; for a smaller batch the
penalty shrinks with it, so that the objective stays. `choose` never reads a test row, and its rows are the count of
trials. Both go on where they were cut off.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

import torch
from rows import RESULTS, Rows

from gnnkit.data import GraphSeries, MaxScaler, SeriesStore, Windows, WindowSplits, los_loop
from gnnkit.forecasting.baselines import last_value
from gnnkit.metrics import FORECAST_METRICS
from gnnkit.temporal import build_forecaster
from gnnkit.training import isolated_seed, predict, shuffled_batches

PENALTY = 0.0015
HIDDEN, BATCH, HISTORY = 64, 64, 12
#: Trials: windows in a step, peak learning rate and epochs, the rate falling to zero by a cosine.
SCHEDULES = [
    {"batch_size": size, "learning_rate": rate, "epochs": epochs}
    for size, rate, epochs in (
        (16, 3e-3, 20),
        (16, 1e-2, 20),
        (4, 3e-3, 40),
        (4, 1e-2, 40),
        (4, 2e-2, 40),
        (4, 1e-2, 80),
        (2, 1e-2, 40),
    )
]


def official_windows(series: GraphSeries, horizon: int, rows: range) -> WindowSplits:
    """Windows with `rows` to learn from, whose largest value is the scale; the last test window is left out."""
    scaler, store = MaxScaler.fit(series.values, rows, per_node=False), SeriesStore.from_series(series)

    def inside(part: range, drop_last: bool = False) -> Windows:
        return Windows(store, part, history=HISTORY, horizon=horizon, scaler=scaler, drop_last=drop_last)

    return WindowSplits(inside(rows), inside(series.split.val), inside(series.split.test, True), scaler)


def train(windows: WindowSplits, series: GraphSeries, horizon: int, seed: int, schedule: dict[str, Any], device: str):
    """Train to the last epoch, and keep what the last epoch gives."""
    with isolated_seed(seed):
        model = build_forecaster(
            "tgcn-official",
            in_channels=1,
            horizon=horizon,
            history=HISTORY,
            num_nodes=series.num_nodes,
            hidden_channels=HIDDEN,
            add_self_loops=True,
        ).to(device)
    moved = windows.train.to(device)
    graph = (series.edge_index.to(device), series.edge_weight.to(device))
    optimizer = torch.optim.Adam(model.parameters(), lr=schedule["learning_rate"])
    steps, size = schedule["epochs"] * math.ceil(len(moved) / schedule["batch_size"]), schedule["batch_size"]
    penalty = PENALTY * size / BATCH
    cosine = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps)))
    order, start = torch.Generator().manual_seed(seed), time.perf_counter()
    model.train()
    for _ in range(schedule["epochs"]):
        for index in shuffled_batches(len(moved), size, order):
            batch = moved.batch(index.to(device))
            error = model(batch.x, *graph) - moved.scaler.transform_target(batch.y)
            weights = sum(parameter.square().sum() for parameter in model.parameters())
            loss = 0.5 * error.square().sum() + penalty * 0.5 * weights
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            cosine.step()
    return model, time.perf_counter() - start


def scores(predicted: torch.Tensor, windows) -> list[dict[str, Any]]:
    """All metrics over all steps, as the authors average them."""
    batch = windows.batch(torch.arange(len(windows)))
    found = {name: measure(predicted, batch.y, batch.y_mask) for name, measure in FORECAST_METRICS.items()}
    return [{"metric": name, "value": value, "windows": len(windows)} for name, value in found.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("stage", choices=["choose", "test"])
    parser.add_argument("--horizons", default="3", help="steps ahead, a model each (3)")
    parser.add_argument("--seeds", default="0,1,2", help="of the test stage (0,1,2)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--schedules", default=None, help="of the stage choose: numbers of SCHEDULES, from 0 (all)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the rows")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    series = los_loop()
    horizons = [int(text) for text in options.horizons.split(",")]
    chosen = [SCHEDULES[int(text)] for text in options.schedules.split(",")] if options.schedules else SCHEDULES
    trials = Rows(
        options.out / "los_loop_official_trials.csv",
        ["horizon", "batch_size", "learning_rate", "epochs"],
        options.device,
    )
    tests = Rows(options.out / "los_loop_official.csv", ["model", "horizon", "seed"], options.device)
    for horizon in horizons:
        if options.stage == "choose":
            windows = official_windows(series, horizon, series.split.train)
            for schedule in chosen:
                if trials.has(horizon=horizon, **schedule):
                    continue
                model, seconds = train(windows, series, horizon, 0, schedule, options.device)
                predicted = predict(model, windows.val, series.edge_index, series.edge_weight, device=options.device)
                rows = [row | {"wall_seconds": seconds, "part": "validation"} for row in scores(predicted, windows.val)]
                trials.add(rows, horizon=horizon, **schedule)
                print(horizon, schedule, {row["metric"]: round(row["value"], 4) for row in rows[:2]}, flush=True)
            continue
        table = trials.table
        known = table[(table["horizon"] == horizon) & (table["metric"] == "rmse")] if len(table) else table
        if known.empty:
            raise SystemExit(f"no schedule was tried for horizon {horizon}; run the stage `choose` first")
        best = known.loc[known["value"].idxmin()]
        schedule = {"learning_rate": float(best["learning_rate"])}
        schedule |= {name: int(best[name]) for name in ("batch_size", "epochs")}
        windows = official_windows(series, horizon, range(series.split.val.stop))
        if not tests.has(model="last-value", horizon=horizon, seed=0):
            tests.add(
                scores(last_value(series, windows.test), windows.test), model="last-value", horizon=horizon, seed=0
            )
        for seed in (int(text) for text in options.seeds.split(",")):
            if tests.has(model="tgcn-official", horizon=horizon, seed=seed):
                continue
            model, seconds = train(windows, series, horizon, seed, schedule, options.device)
            predicted = predict(model, windows.test, series.edge_index, series.edge_weight, device=options.device)
            facts = schedule | {"wall_seconds": seconds, "trials": len(known)}
            rows = [row | facts for row in scores(predicted, windows.test)]
            tests.add(rows, model="tgcn-official", horizon=horizon, seed=seed)
            print(horizon, seed, {row["metric"]: round(row["value"], 4) for row in rows[:2]}, flush=True)


if __name__ == "__main__":
    main()
