"""`gnnkit train`: one model, trained and kept in a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument

from gnnkit.cli.evaluate import print_scores
from gnnkit.cli.options import help_text, named_option, parse_options, takes, track_option

if TYPE_CHECKING:
    from gnnkit.data import GraphSeries

__all__ = ["app", "train"]

app = typer.Typer(rich_markup_mode="rich")

_MODEL = "The model"

_TRAIN = """
Train one model, keep the weights of its best validation epoch in --out, and score it on the test rows.

--out gets weights.safetensors, config.json and evaluation.csv, and learned_graph.csv and .png of a model that learns
one. A training that was cut off goes on with the same command, and ends with the same weights. Options that are left
out are those of `gnnkit compare`.

[bold]A worked example[/bold]: own speeds and own graph, an hour ahead; then the next hour:

\b
    gnnkit train mtgnn --series speeds.csv --graph adjacency.csv --horizon 3,6,12 --out mine
    gnnkit forecast mine --series latest.csv --out next.csv

[bold]On two devices[/bold]: processes share the batches, and the curve of losses is that of one. A training that was
cut off goes on with another number of them too, where --threads is given:

\b
    torchrun --nproc-per-node 2 -m gnnkit train mtgnn --data los-loop --out mine
"""


_NOT_KEPT = (
    "{} is not kept: only weights of torch are kept as safetensors; give its class save(self, folder) and a "
    "classmethod load(cls, folder)"
)


@app.command(
    help=help_text(_TRAIN), short_help="Train one model and keep it.", cls=takes("gnnkit.settings.fit:FitFields")
)
def train(
    ctx: typer.Context,
    model: Annotated[str, Argument(help="A name of `gnnkit list`, or a class of your own: file.py:Class.")],
    setting: Annotated[
        list[str] | None,
        named_option(_MODEL, "NAME=VALUE for the model, e.g. dropout=0.1; repeatable.", "--setting", "--set"),
    ] = None,
    node_features: Annotated[
        Path | None,
        named_option(_MODEL, "CSV of nodes × numbers, standardised, for a graph that is learned from them."),
    ] = None,
    seed: Annotated[int, named_option(_MODEL, "Of the first weights and the order of batches. Default: 0.")] = 0,
    out: Annotated[Path, named_option(_MODEL, "Folder for the model. Default: gnnkit-model.")] = Path("gnnkit-model"),
    track: Annotated[str | None, track_option(_MODEL)] = None,
) -> None:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # see `gnnkit.cli.compare`: threads that wait sleep
    from contextlib import nullcontext

    import torch
    from rich.console import Console

    from gnnkit.compare.jobs import Job
    from gnnkit.compare.model_faults import fault_of
    from gnnkit.compare.store import code_digest, model_code
    from gnnkit.data import read_node_features
    from gnnkit.data.defaults import series_remarks
    from gnnkit.data.spans import every_step
    from gnnkit.forecasting import FitSettings, evaluate_forecaster, load_series, save_fitted, train_forecaster
    from gnnkit.forecasting.rival import keeps_itself
    from gnnkit.forecasting.scores import named_scores
    from gnnkit.temporal import MODELS, WrongForecast
    from gnnkit.training import FitListeners, open_progress
    from gnnkit.training.environment import commit
    from gnnkit.training.model_folder import check_model_folder, model_folder, model_snapshots
    from gnnkit.training.track import open_track

    spec = FitSettings(**ctx.obj)
    MODELS[model]  # an unknown one is told before anything is read
    # As `gnnkit compare` writes it, MODEL.NAME=VALUE, it is understood too.
    settings = parse_options([text.removeprefix(f"{model}.") for text in setting or ()], "setting", "dropout=0.1")
    for name in settings:
        if name in FitSettings.model_fields:
            raise ValueError(
                f"setting: {name} has an option of its own; write --{name.replace('_', '-')} {settings[name]}"
            )
    is_model = _holds_model(out)
    check_model_folder(out, is_model=is_model)
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
    if spec.threads is not None:
        torch.set_num_threads(spec.threads)
    place, tracking = None, nullcontext()
    asked = {name: value.tolist() if isinstance(value, torch.Tensor) else value for name, value in settings.items()}
    asked = {"model": model, "settings": asked, "seed": seed, **spec.to_json(), "data_hash": read.digest()}
    snapshots = model_snapshots(out, {**asked, "code": code_digest(), **model_code(model)})
    if track is not None:
        place = open_track(track, out / "track", {"data": read.name, "data_hash": read.digest(), "commit": commit()})
        own = {f"{model}.{name}": value for name, value in settings.items() if name != "node_features"}
        parameters = {"model": model, "seed": seed, **spec.to_json(), **own}
        tracking = place.fit(Job(model, seed).key, Job(model, seed).label, parameters)
    try:
        with (
            model_folder(out, snapshots, is_model=is_model),
            open_progress(Console(stderr=True)) or nullcontext() as bar,
            tracking as tracked,
        ):
            heard = FitListeners(bar, tracked)
            options: dict[str, Any] = {"seed": seed, "series": read, "progress": heard, "snapshots": snapshots}
            fitted = train_forecaster(model, spec, settings, **options)
            kept = fitted.rival is None or keeps_itself(fitted.rival)
            if kept:
                save_fitted(fitted, out)
            rows = evaluate_forecaster(fitted, device=spec.device)
            if tracked is not None:
                tracked.log_final(named_scores(row for _, row in rows[rows["model"] == model].iterrows()))
    except FloatingPointError as error:
        typer.echo(f"gnnkit: {model} failed: {error}", err=True)
        raise typer.Exit(1) from None
    except WrongForecast:
        raise
    except Exception as error:
        fault = fault_of(error, MODELS[model].build) if MODELS[model].is_own else None
        if fault is None:
            raise
        typer.echo(f"gnnkit: {model} failed: {fault}", err=True)
        raise typer.Exit(1) from None
    if fitted.config["fit"]["form"] and fitted.rival is None:
        typer.echo(fitted.config["fit"]["form"].replace("Every model", model))
    typer.echo(_fit(fitted.config))
    print_scores(rows, fitted.config["unit"], out / "evaluation.csv" if kept else None)
    typer.echo(f"Model: {out}" if kept else _NOT_KEPT.format(fitted.config["model"]))
    if place is not None:
        typer.echo(f"Track: {place.look}")


def _holds_model(folder: Path) -> bool:
    """Whether a folder is one that `train` wrote, and not another program's with a config.json."""
    try:
        document = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    config = document.get("config") if isinstance(document, dict) else None
    return isinstance(config, dict) and "node_names" in config


def _edges(series: GraphSeries) -> str:
    edges = series.edge_index.size(1)
    return f", {edges} edges" if edges else ", no graph"


def _fit(config: Mapping[str, Any]) -> str:
    """What a fit did, in a line."""
    from gnnkit.training.fit import STOPPED

    fit, unit = config["fit"], f" {config['unit']}" if config["unit"] else ""
    if not fit["epochs"]:  # a rival that fits itself
        return (
            f"{config['model']}: {config['history']} rows in, {config['horizon']} out; fitted in "
            f"{fit['wall_seconds']:.0f} s; validation MAE {fit['best_val_mae']:.5g}{unit}"
        )
    return (
        f"{config['model']}: {fit['parameters']:,} parameters, {config['history']} rows in, {config['horizon']} out; "
        f"{fit['epochs']} epochs in {fit['wall_seconds']:.0f} s{STOPPED[fit['stopped']]}; "
        f"the best is {fit['best_epoch']}, validation MAE {fit['best_val_mae']:.5g}{unit}"
    )
