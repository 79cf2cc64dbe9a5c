"""The verbs for one model: `train` it and keep it in a folder, `evaluate` it, `forecast` the next steps with it."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument

from gnnkit.cli_options import help_text, named_option, parse_missing, parse_options, parse_whole_numbers

if TYPE_CHECKING:
    from torch import Tensor

    from gnnkit.data import GraphSeries

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


@forecasting.command(help=help_text(_TRAIN), short_help="Train one model and keep it.")
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
    step_minutes: Annotated[
        float | None, named_option(_DATA, "Minutes in a row of own files (from their times).")
    ] = None,
    season: Annotated[int | None, named_option(_DATA, "Rows in a season of own files, e.g. 288.")] = None,
    missing_value: Annotated[
        list[str] | None, named_option(_DATA, "Stands for a missing value in own files, e.g. -200; repeatable.")
    ] = None,
    decimal: Annotated[str | None, named_option(_DATA, "Before decimals in an own CSV series: . or , (found).")] = None,
    horizon: Annotated[
        str | None, named_option(_WHAT, "Steps ahead that are scored, e.g. 3,6,12 (by the data).")
    ] = None,
    history: Annotated[int | None, named_option(_WHAT, "Rows that the model sees (by the data).")] = None,
    hidden: Annotated[int | None, named_option(_WHAT, "Width of the model (16).", "--hidden")] = None,
    setting: Annotated[
        list[str] | None, named_option(_WHAT, "NAME=VALUE for the model, e.g. dropout=0.1; repeatable.")
    ] = None,
    node_features: Annotated[
        Path | None,
        named_option(_WHAT, "CSV of nodes × numbers, standardised, for a graph that is learned from them (none)."),
    ] = None,
    residual: Annotated[
        bool | None,
        named_option(
            _WHAT,
            "Predict the change from the last value, or the value itself (chosen for the data).",
            "--residual/--no-residual",
        ),
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
    precision: Annotated[str | None, named_option(_HOW, "32-true, bf16-mixed or 16-mixed (32-true).")] = None,
    out: Annotated[Path, named_option(_OUT, "Folder for the model (gnnkit-model).")] = Path("gnnkit-model"),
) -> None:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # see `gnnkit.cli`: threads that wait sleep
    from contextlib import nullcontext

    from rich.console import Console

    from gnnkit.data import read_node_features
    from gnnkit.data.defaults import series_remarks
    from gnnkit.data.spans import every_step
    from gnnkit.forecasting import FitSettings, evaluate_forecaster, load_series, save_fitted, train_forecaster
    from gnnkit.temporal import MODELS
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
        "missing_values": parse_missing(missing_value),
        "decimal": decimal,
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
    spec = FitSettings(**{name: value for name, value in given.items() if value is not None})
    MODELS[model]  # an unknown one is told before anything is read
    settings = parse_options(setting, "setting") or {}
    _check_folder(out)
    read = load_series(spec)
    typer.echo(
        f"{read.name}: {read.num_rows} rows × {read.num_nodes} nodes, "
        f"{every_step(read.step_minutes, read.step_unit)}{_edges(read)}; {read.source}"
    )
    if node_features is not None:
        if "node_features" in settings:
            raise ValueError("node_features: given twice; leave out the setting, or the file")
        settings["node_features"] = read_node_features(node_features, read.node_names)
    for remark in series_remarks(read):
        typer.echo(f"gnnkit: {remark}", err=True)
    try:
        with open_progress(Console(stderr=True)) or nullcontext() as progress:
            fitted = train_forecaster(model, spec, settings, seed=seed, series=read, progress=progress)
    except FloatingPointError as error:
        typer.echo(f"gnnkit: {model} failed: {error}", err=True)
        raise typer.Exit(1) from None
    save_fitted(fitted, out)
    if fitted.config["fit"]["form"]:
        typer.echo(fitted.config["fit"]["form"].replace("Every model", model))
    typer.echo(_fit(fitted.config))
    _report(evaluate_forecaster(fitted, device=spec.device), fitted.config["unit"], out / "evaluation.csv")
    typer.echo(f"Model: {out}")


@forecasting.command(
    help="Score a trained model, beside the last value, on the test rows of its data or of another series: the last "
    "fifth, unless the training's spec has a split.",
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
    from gnnkit.forecasting import TrainedRowsWarning, evaluate_forecaster, load_fitted, read_series

    _check_file(out, series)
    fitted = load_fitted(folder)
    if series is None and step_minutes is not None:
        raise ValueError("step_minutes: only for another series; give --series, or leave it out")
    other = None if series is None else read_series(series, fitted, step_minutes=step_minutes)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TrainedRowsWarning)
        rows = evaluate_forecaster(fitted, other, device=device)
    for warning in caught:
        typer.echo(f"gnnkit: {warning.message}", err=True)
    _report(rows, fitted.config["unit"], out)


_FORECAST = """
Forecast the steps after the last row of a file, as CSV: a row a step, a column a node, in the data's unit.

The file holds the latest rows of the nodes that the model was trained on, at least as many as its history; empty cells
are filled from the past. With times in its first column, the forecast's rows have theirs.
"""


@forecasting.command(help=help_text(_FORECAST), short_help="Forecast the next steps from the latest rows.")
def forecast(
    folder: Annotated[Path, Argument(help=_FOLDER)],
    series: Annotated[Path, named_option(_DATA, "The latest rows: CSV, Parquet or NPZ of time × nodes.")],
    step_minutes: Annotated[float | None, named_option(_DATA, "Minutes in a row (from the times).")] = None,
    out: Annotated[Path | None, named_option(_OUT, "CSV file for the forecast (printed).")] = None,
) -> None:
    from gnnkit.forecasting import forecast_next, load_fitted, read_latest

    _check_file(out, series)
    fitted = load_fitted(folder)
    latest = read_latest(series, fitted, step_minutes=step_minutes)
    history = fitted.config["history"]
    _warn(
        latest,
        latest.values[-history:, :, 0].isnan().all(dim=0),
        f"the last {history} rows",
        "the last value before them stands in, or the training mean",
    )
    text = forecast_next(fitted, latest).to_csv()  # float32 in as many digits as tell it apart
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        typer.echo(f"Forecast: {out}")


def _check_folder(out: Path) -> None:
    """Refuse a folder that holds something else or cannot be made, before anything is trained."""
    from gnnkit.compare import check_folder

    check_folder(out)
    if out.is_dir() and any(out.iterdir()) and not _holds_model(out):
        raise ValueError(f"out: {out} holds other files; give a new folder, an empty one or that of a former model")


def _check_file(out: Path | None, series: Path | None) -> None:
    """Refuse a file that cannot be written, or that is the input, before anything is computed."""
    if out is None:
        return
    if out.is_dir() or not out.absolute().parent.is_dir():
        reason = "is a folder" if out.is_dir() else "lies in no folder that is there"
        raise ValueError(f"out: {out} {reason}; name a file")
    if series is not None and out.exists() and series.exists() and out.samefile(series):
        raise ValueError(f"out: {out} is the series that is read; name another file")


def _holds_model(folder: Path) -> bool:
    """Whether a folder is one that `train` wrote, and not another program's with a config.json."""
    try:
        document = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    config = document.get("config") if isinstance(document, dict) else None
    return isinstance(config, dict) and "node_names" in config


def _warn(series: GraphSeries, silent: Tensor, where: str, what: str) -> None:
    """Name, on the error stream, the nodes of which nothing is known."""
    nodes = silent.nonzero().flatten().tolist()
    if nodes:
        names = ", ".join(series.node_names[node] for node in nodes[:5]) + (", …" if len(nodes) > 5 else "")
        typer.echo(
            f"gnnkit: {len(nodes)} of {series.num_nodes} nodes have no value in {where}: {names}; {what}", err=True
        )


def _edges(series: GraphSeries) -> str:
    edges = series.edge_index.size(1)
    return f", {edges} edges" if edges else ", no graph"


def _fit(config: Mapping[str, Any]) -> str:
    """What a fit did, in a line."""
    fit, unit = config["fit"], f" {config['unit']}" if config["unit"] else ""
    why = {"epochs": "", "patience": ", stopped: no better for a while", "seconds": ", stopped: out of time"}
    return (
        f"{config['model']}: {fit['parameters']:,} parameters, {config['history']} rows in, {config['horizon']} out; "
        f"{fit['epochs']} epochs in {fit['wall_seconds']:.0f} s{why[fit['stopped']]}; "
        f"the best is {fit['best_epoch']}, validation MAE {fit['best_val_mae']:.5g}{unit}"
    )


def _report(rows, unit: str, out: Path | None) -> None:
    """Print MAE and RMSE as a table, and write all rows where a file is named."""
    if out is not None:
        rows.to_csv(out, index=False, float_format="%.6g")
    shown = rows[rows["metric"].isin(["mae", "rmse"])].assign(score=rows["score"] + " " + rows["metric"])
    table = shown.pivot_table(index=["horizon", "model"], columns="score", values="value", sort=False)
    windows = int(rows["windows"].max())
    typer.echo(f"{rows['data'].iloc[0]}: errors on the test rows, {windows} windows{f', {unit}' if unit else ''}")
    least = table.to_numpy()[table.to_numpy() > 0].min(initial=1.0)
    places = max(0, 3 - math.floor(math.log10(least)))  # four digits of the smallest error
    typer.echo(table.to_string(float_format=f"%.{places}f"))
