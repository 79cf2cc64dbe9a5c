"""The verbs for one model: `train` it and keep it in a folder, `evaluate` it, `forecast` the next steps with it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument

from gnnkit.cli_options import named_option, parse_options, parse_whole_numbers

__all__ = ["evaluate", "forecast", "forecasting", "train"]

forecasting = typer.Typer(rich_markup_mode="rich")

_DATA, _WHAT, _HOW, _OUT = "Data", "What is trained", "Training", "Output"
_FOLDER = "Folder that `gnnkit train` wrote."

_TRAIN = """
Train one model, keep the weights of its best validation epoch in --out, and score it on the test rows.

--out gets weights.safetensors, config.json and evaluation.csv, and learned_graph.csv and .png of a model that learns
one. Options that are left out are those of `gnnkit compare`.

[bold]A worked example[/bold]: own speeds and own graph, an hour ahead; then the next hour:

\b
    gnnkit train mtgnn --series speeds.csv --graph adjacency.csv --horizon 3,6,12 --out mine
    gnnkit forecast mine --series latest.csv --out next.csv
"""


@forecasting.command(help=_TRAIN, short_help="Train one model and keep it.")
def train(
    model: Annotated[str, Argument(help="A name of `gnnkit list`.")],
    data: Annotated[str | None, named_option(_DATA, "A data set of `gnnkit list` (simulated).")] = None,
    data_root: Annotated[
        Path | None, named_option(_DATA, "Folder of its files (GNNKIT_DATA, else a download).")
    ] = None,
    data_option: Annotated[list[str] | None, named_option(_DATA, "NAME=VALUE for its loader; repeatable.")] = None,
    series: Annotated[Path | None, named_option(_DATA, "Own series: CSV, Parquet or NPZ of time × nodes.")] = None,
    graph: Annotated[Path | None, named_option(_DATA, "Its graph: CSV matrix, edge-list CSV or NPZ.")] = None,
    graph_format: Annotated[str | None, named_option(_DATA, "Of a CSV graph: auto, matrix or edges (auto).")] = None,
    target: Annotated[int | None, named_option(_DATA, "Number of the feature to predict, of several (0).")] = None,
    unit: Annotated[str | None, named_option(_DATA, "Unit of own values.")] = None,
    step_minutes: Annotated[float | None, named_option(_DATA, "Minutes in a row of own files.")] = None,
    season: Annotated[int | None, named_option(_DATA, "Rows in a season of own files, e.g. 288.")] = None,
    horizon: Annotated[
        str | None, named_option(_WHAT, "Steps ahead that are scored (3,6,12); the longest is predicted.")
    ] = None,
    history: Annotated[int | None, named_option(_WHAT, "Rows that the model sees (12).")] = None,
    hidden: Annotated[int | None, named_option(_WHAT, "Width of the model (16).", "--hidden")] = None,
    setting: Annotated[
        list[str] | None, named_option(_WHAT, "NAME=VALUE for the model, e.g. layers=2; repeatable.")
    ] = None,
    residual: Annotated[
        bool | None,
        named_option(_WHAT, "Predict the change from the last value (--residual).", "--residual/--no-residual"),
    ] = None,
    time_features: Annotated[
        bool | None,
        named_option(
            _WHAT,
            "Also see time of day and weekday.",
            "--time-features/--no-time-features",
        ),
    ] = None,
    seed: Annotated[int, named_option(_HOW, "Of the first weights and the order of batches (0).")] = 0,
    epochs: Annotated[int | None, named_option(_HOW, "Most epochs (8).")] = None,
    batch_size: Annotated[int | None, named_option(_HOW, "Windows in a step (32).")] = None,
    learning_rate: Annotated[float | None, named_option(_HOW, "Of Adam, at the start (0.005).")] = None,
    weight_decay: Annotated[float | None, named_option(_HOW, "L2 penalty in Adam (0).")] = None,
    clip: Annotated[float | None, named_option(_HOW, "Largest norm of the gradient (5).")] = None,
    patience: Annotated[int | None, named_option(_HOW, "Epochs without a better validation MAE (5).")] = None,
    loss: Annotated[str | None, named_option(_HOW, "mae, mse or huber (mae).")] = None,
    schedule: Annotated[str | None, named_option(_HOW, "cosine or constant (cosine).")] = None,
    scaler: Annotated[str | None, named_option(_HOW, "standard or max, fitted on training rows (standard).")] = None,
    max_seconds: Annotated[float | None, named_option(_HOW, "Wall-clock limit (none).")] = None,
    device: Annotated[str | None, named_option(_HOW, "auto, cpu, cuda, cuda:1, mps (auto).")] = None,
    precision: Annotated[str | None, named_option(_HOW, "As in Lightning Fabric (32-true).")] = None,
    out: Annotated[Path, named_option(_OUT, "Folder for the model (gnnkit-model).")] = Path("gnnkit-model"),
) -> None:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # see `gnnkit.cli`: threads that wait sleep
    from contextlib import nullcontext

    from rich.console import Console

    from gnnkit.compare import make_spec
    from gnnkit.forecasting import evaluate_forecaster, save_fitted, train_forecaster
    from gnnkit.training import open_progress

    given = {
        "data": data,
        "data_root": data_root,
        "data_options": parse_options(data_option),
        "series": series,
        "graph": graph,
        "graph_format": graph_format,
        "target": target,
        "unit": unit,
        "step_minutes": step_minutes,
        "season": season,
        "horizons": None if horizon is None else parse_whole_numbers("horizon", horizon),
        "history": history,
        "hidden_channels": hidden,
        "residual": residual,
        "time_features": time_features,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "clip": clip,
        "patience": patience,
        "loss": loss,
        "schedule": schedule,
        "scaler": scaler,
        "max_seconds": max_seconds,
        "device": device,
        "precision": precision,
    }
    spec = make_spec(
        models=[model], seeds=[seed], **{name: value for name, value in given.items() if value is not None}
    )
    settings = parse_options(setting, "setting")
    _check_folder(out)
    try:
        with open_progress(Console(stderr=True)) or nullcontext() as progress:
            fitted = train_forecaster(spec, settings, progress)
    except FloatingPointError as error:
        typer.echo(f"gnnkit: {model} failed: {error}", err=True)
        raise typer.Exit(1) from None
    save_fitted(fitted, out)
    _report(evaluate_forecaster(fitted, device=spec.device), fitted.config["unit"], out / "evaluation.csv")
    typer.echo(f"Model: {out}")


@forecasting.command(
    help="Score a trained model, beside the last value, on the test rows of its data or of another series.",
    short_help="Score a trained model.",
)
def evaluate(
    folder: Annotated[Path, Argument(help=_FOLDER)],
    series: Annotated[
        Path | None, named_option(_DATA, "Another series of the same nodes (the one trained on).")
    ] = None,
    step_minutes: Annotated[float | None, named_option(_DATA, "Minutes in a row of it.")] = None,
    device: Annotated[str, named_option(_HOW, "auto, cpu, cuda, cuda:1, mps (auto).")] = "auto",
    out: Annotated[Path | None, named_option(_OUT, "CSV file for the rows.")] = None,
) -> None:
    from gnnkit.forecasting import evaluate_forecaster, load_fitted, read_series

    fitted = load_fitted(folder)
    if series is None and step_minutes is not None:
        raise ValueError("step_minutes: only for another series; give --series, or leave it out")
    other = None if series is None else read_series(series, fitted, step_minutes=step_minutes)
    _report(evaluate_forecaster(fitted, other, device=device), fitted.config["unit"], out)


_FORECAST = """
Forecast the steps after the last row of a file, as CSV: a row a step, a column a node, in the data's unit.

The file holds the latest rows of the nodes that the model was trained on, at least as many as its history; empty cells
are filled from the past. With times in its first column, the forecast's rows have theirs.
"""


@forecasting.command(help=_FORECAST, short_help="Forecast the next steps from the latest rows.")
def forecast(
    folder: Annotated[Path, Argument(help=_FOLDER)],
    series: Annotated[Path, named_option(_DATA, "The latest rows: CSV, Parquet or NPZ of time × nodes.")],
    step_minutes: Annotated[float | None, named_option(_DATA, "Minutes in a row (from the times).")] = None,
    out: Annotated[Path | None, named_option(_OUT, "CSV file for the forecast (printed).")] = None,
) -> None:
    from gnnkit.forecasting import forecast_next, load_fitted, read_latest

    fitted = load_fitted(folder)
    table = forecast_next(fitted, read_latest(series, fitted, step_minutes=step_minutes))
    text = table.to_csv(float_format="%.6g")
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        typer.echo(f"Forecast: {out}")


def _check_folder(out: Path) -> None:
    """Refuse a folder that holds something else, before anything is trained."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"out: {out} is a file; give a folder")
    if out.is_dir() and any(out.iterdir()) and not _holds_model(out):
        raise ValueError(f"out: {out} holds other files; give a new folder, an empty one or that of a former model")


def _holds_model(folder: Path) -> bool:
    """Whether a folder is one that `train` wrote, and not another program's with a config.json."""
    try:
        document = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    config = document.get("config") if isinstance(document, dict) else None
    return isinstance(config, dict) and "node_names" in config


def _report(rows, unit: str, out: Path | None) -> None:
    """Print MAE and RMSE as a table, and write all rows where a file is named."""
    if out is not None:
        rows.to_csv(out, index=False, float_format="%.6g")
    shown = rows[rows["metric"].isin(["mae", "rmse"])].assign(score=rows["score"] + " " + rows["metric"])
    table = shown.pivot_table(index=["horizon", "model"], columns="score", values="value", sort=False)
    typer.echo(f"errors on the test rows{f', {unit}' if unit else ''}")
    typer.echo(table.to_string(float_format="%.4f"))
