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

import numpy as np
import pandas as pd
import torch
from rows import RESULTS, Rows, table_of

from gnnkit.compare.errors import METRICS, ErrorTable
from gnnkit.compare.report.published import MARKS, PUBLISHED_NOTE, published_scores
from gnnkit.compare.scores import Outcome, score_rows
from gnnkit.data import GraphSeries, los_loop, make_windows
from gnnkit.forecasting import FitSettings, FittedForecaster, evaluate_forecaster, train_forecaster
from gnnkit.forecasting.baselines import BASELINES
from gnnkit.report.markdown import markdown_table
from gnnkit.report.numbers import format_p
from gnnkit.statistics.spans import SPANS, compare_scores, span_numbers, span_score
from gnnkit.statistics.step_down import judge_family
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
    table = ErrorTable([outcome], *windows.targets(), counts)
    rows = []
    for horizon in HORIZONS:
        errors = [table.window_errors(config["model"], horizon, metric)[0].tolist() for metric in METRICS]
        for window, (mae, mse, count) in enumerate(zip(*errors, table.counts(horizon).tolist(), strict=True)):
            rows.append({"horizon": horizon, "window": window, "mae": mae, "mse": mse, "targets": int(count)})
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


HEAD = """# Los-loop under the honest protocol: every model, one wall budget

Written by `python benchmarks/los_loop_honest.py page` from `los_loop_honest.csv`, `los_loop_honest_trials.csv` and
`los_loop_honest_windows.parquet`; do not edit.

"""
#: The pairs that are tested: one model with its neighbours and without.
PAIRS = [("stid-graph", "stid")]


def all_below(rows: pd.DataFrame, reference: pd.DataFrame) -> list[str]:
    """Models whose mean over seeds is below the reference in every metric and at every horizon that it has.

    Args:
        rows: Columns model, horizon, metric, value.
        reference: Columns horizon, metric, value.
    """
    means = rows.groupby(["model", "horizon", "metric"])["value"].mean()
    limits = reference.set_index(["horizon", "metric"])["value"]
    return [
        name
        for name in means.index.unique("model")
        if all((name, *key) in means.index and means[(name, *key)] < limit for key, limit in limits.items())
    ]


def published(name: str) -> pd.DataFrame:
    """MAE and RMSE of a published row, horizons in steps of five minutes."""
    return pd.DataFrame(
        [
            {"horizon": score.minutes // 5, "metric": metric, "value": getattr(score, metric)}
            for score in published_scores("los-loop")
            if score.model == name
            for metric in ("mae", "rmse")
            if getattr(score, metric) is not None
        ]
    )


def write_page(rows: pd.DataFrame, trials: pd.DataFrame, errors: pd.DataFrame, out: Path) -> None:
    """Scores up to and at each horizon, what each model was given, and what beats what."""
    rows = rows[rows["metric"].isin(["mae", "rmse"])]
    order = {name: number for number, name in enumerate(MODELS)}  # baselines before them, as they were written
    rows = rows.sort_values("model", key=lambda names: names.map(order).fillna(-1), kind="stable")
    trained = rows[rows["settings"].notna()]
    parts = [HEAD, _protocol(rows, trained, trials)]
    parts += ["## Up to the horizon, all steps averaged\n\n", _scores(rows, "averaged", with_published=True)]
    averaged = trained[trained["score"] == "averaged"]
    for label, reference in (
        ("the last value", rows[(rows["model"] == "last-value") & (rows["score"] == "averaged")]),
        ("T-GCN's published row", published("T-GCN")),
        ("the best published figures", published("Ada-GGNN")),
    ):
        found = all_below(averaged, reference)
        graph = [name for name in found if MODELS[name].family == "graph"]
        text = ", ".join(f"`{name}`" for name in found) or "none"
        parts.append(
            f"- Below {label} in MAE and RMSE, wherever it has a figure: {text} ({len(graph)} of them graph models).\n"
        )
    marks = "; ".join(f"[{mark}] {meaning}" for mark, meaning in MARKS.items())
    parts += [f"\nMarks: {marks}. {PUBLISHED_NOTE}\n\n", "## At the horizon, the last step alone\n\n"]
    parts += [
        _scores(rows, "last-step", with_published=False),
        _tests(errors),
        "\n## What each model was given\n\n",
        _given(trained),
    ]
    out.write_text("".join(parts), encoding="utf-8")


def _protocol(rows: pd.DataFrame, trained: pd.DataFrame, trials: pd.DataFrame) -> str:
    first = trained.iloc[0]
    windows = rows.groupby("horizon")["windows"].first()
    counts = ", ".join(f"{count:.0f} at {horizon * 5} minutes" for horizon, count in windows.items())
    seeds, budgets = trained.groupby("model")["seed"].nunique(), sorted(set(trained["budget"]))
    budget = " or ".join(f"{value:.0f} seconds of wall clock" if value else "no limit" for value in budgets)
    hardware = " or ".join(sorted(set(trained["hardware"])))
    commits = ", ".join(f"`{commit}`" for commit in sorted(set(trained["commit"])))
    return (
        f"{len(seeds)} models, {seeds.min()} seeds each, one 12-step model a seed, budget of a fit: {budget} on "
        f"{first['threads']} of {first['cores']} cores of {hardware}, torch {first['torch']}, commit "
        f"{commits}. Every model predicts the change from the last value. The epoch and the settings are chosen on the "
        f"last tenth of the training rows: {len(trials)} trials in all, the same {trials['trial'].nunique()} settings "
        f"for every model, {trials['budget'].max():.0f} seconds at most each. Test windows: {counts}.\n\n"
    )


def _scores(rows: pd.DataFrame, score: str, with_published: bool) -> str:
    part = rows[rows["score"] == score]
    horizons = sorted(part["horizon"].unique())
    statistics = part.groupby(["model", "horizon", "metric"])["value"].agg(["mean", "std"])
    cut = set(part.loc[part["stopped"] == "seconds", "model"])
    lines = []
    for name in dict.fromkeys(part["model"]):
        cells = []
        for horizon in horizons:
            mae, rmse = (statistics.loc[(name, horizon, metric)] for metric in ("mae", "rmse"))
            spread = "" if pd.isna(mae["std"]) else f" ± {mae['std']:.2f}"
            cells.append(f"{mae['mean']:.3f}{spread} / {rmse['mean']:.3f}")
        family = MODELS[name].family if name in MODELS else "baseline"
        lines.append([f"`{name}`" + " †" * (name in cut), family, *cells])
    if with_published:
        scores = published_scores("los-loop")
        for name in dict.fromkeys(one.model for one in scores if one.model != "last value"):
            found = {one.minutes // 5: one for one in scores if one.model == name}
            cells = []
            for horizon in horizons:
                one = found.get(horizon)
                text = "" if one is None else f"{_figure(one.mae)} / {_figure(one.rmse)} [{one.mark}]"
                cells.append(text)
            lines.append([f"published: {name}", "", *cells])
    titles = ["model", "family", *(f"MAE / RMSE, {5 * horizon} min" for horizon in horizons)]
    return markdown_table(titles, lines) + ("\n\n† The budget cut off at least one of the fits.\n\n" if cut else "\n\n")


def _tests(errors: pd.DataFrame) -> str:
    """The pairs of `PAIRS`, tested window by window."""
    lines, tests = [], []
    for name, against in PAIRS:
        if not {name, against} <= set(errors["model"]):
            continue
        for horizon, part in errors[errors["model"].isin([name, against])].groupby("horizon"):
            counts = part.drop_duplicates("window").sort_values("window")["targets"].to_numpy(dtype=np.float64)
            spans = span_numbers([np.arange(len(counts))])
            for metric, column in (("MAE", "mae"), ("RMSE", "mse")):
                tables = [
                    part[part["model"] == one].pivot_table(index="seed", columns="window", values=column).to_numpy()
                    for one in (name, against)
                ]
                scores = [span_score(table, counts, spans, squared=metric == "RMSE") for table in tables]
                tests.append(compare_scores(*scores))
                seeds = " and ".join(str(len(table)) for table in tables)
                lines.append([f"`{name}` less `{against}`", f"{5 * horizon} min", metric, seeds, str(len(counts))])
    if not lines:
        return ""
    judged = judge_family(tests, 0.95)
    lines = [
        [*line, f"{found.difference:+.4f} ({found.low:+.4f} to {found.high:+.4f})", format_p(found.p_value)]
        for line, found in zip(lines, judged, strict=True)
    ]
    titles = ["pair", "up to", "error", "seeds", "windows", "difference (95%)", f"p, corrected over these {len(lines)}"]
    return (
        "\n## With neighbours and without, tested window by window\n\nOne model with its neighbours' histories and "
        f"without them: Student's t over {SPANS} spans of test windows (Ibragimov and Müller, 2010), the noise between "
        "seeds added. Interval and p are of one test, corrected for all of these.\n\n"
        + markdown_table(titles, lines)
        + "\n"
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".rstrip("0")


def _given(trained: pd.DataFrame) -> str:
    columns = {
        "model": lambda fits: f"`{fits['model'].iloc[0]}`",
        "settings": lambda fits: _settings(fits["settings"].iloc[0]),
        "parameters": lambda fits: f"{fits['parameters'].iloc[0]:.0f}",
        "epochs": lambda fits: f"{fits['epochs'].mean():.0f}",
        "best": lambda fits: f"{fits['best_epoch'].mean():.0f}",
        "s an epoch": lambda fits: f"{fits['epoch_seconds'].median():.2f}",
        "seconds": lambda fits: f"{fits['wall_seconds'].mean():.0f}",
        "fits cut off": lambda fits: f"{(fits['stopped'] == 'seconds').sum()} of {len(fits)}",
        "on": lambda fits: ", ".join(dict.fromkeys(fits["hardware"])),
    }
    parts = (part.drop_duplicates("seed") for _, part in trained.groupby("model", sort=False))
    return table_of(parts, columns) + "\n"


def _settings(text: str) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in json.loads(text).items())


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
    series, names = los_loop(), options.models.split(",")
    if options.stage == "trials":
        run_trials(names, series, trials, options)
    else:
        run_table(names, series, trials, table, errors, options)


if __name__ == "__main__":
    main()
