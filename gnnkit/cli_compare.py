"""The verbs `compare` and `report`: models side by side, and what was found drawn again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument
from typer.core import TyperCommand

from gnnkit.cli_options import (
    help_text,
    parse_missing,
    parse_model_settings,
    parse_names,
    parse_options,
    parse_seeds,
    parse_shares,
    parse_whole_numbers,
)
from gnnkit.cli_options import named_option as _set

__all__ = ["compare", "comparison", "report"]

comparison = typer.Typer(rich_markup_mode="rich")

_PURPOSE = "Train sequence and graph models on the same windows of the same data: which is better, and how surely?"

_HELP = f"""
{_PURPOSE}

Each model is trained once a seed to predict the longest horizon, is scored at every horizon on the test rows, and
stands in the table beside the last value and the averages, which need no training. The folder gets report.html, the
rows it is drawn from, and the finished fits: a run that was cut off goes on with --resume.

[bold]A worked example[/bold]: own speeds (a row a time, a column a sensor) and own graph (a matrix; row i, column j is
the edge i → j), 15, 30 and 60 minutes ahead, three seeds:

\b
    gnnkit compare --series speeds.csv --graph adjacency.csv \\
      --step-minutes 5 --season 288 --horizon 3,6,12 \\
      --models lstm,gru,tgcn --seeds 3 --out mine

[bold]The same as a file[/bold], spec.toml, whose keys are those of --schema; options beside it override it:

\b
    series = "speeds.csv"        # relative to this file
    graph = "adjacency.csv"
    horizons = [3, 6, 12]
    models = ["lstm", "gru", "mtgnn"]
    ablate_graph = "all"         # does the graph matter?
    \\[settings.mtgnn]
    dropout = 0.1

\b
    gnnkit compare --spec spec.toml --jobs 2 --out mine
    gnnkit compare --resume mine      # after it was cut off

[bold]With no option[/bold], a simulated network of 64 road sensors over a week; and real traffic:

\b
    gnnkit compare
    gnnkit compare --data los-loop --horizon 3,6,9,12 --out los-loop
"""

_DATA, _WHAT, _HOW, _OUT = "Data", "What is compared", "Training, the same for every model", "Output"
_BUDGET, _ASKED = "Budget", "What else is asked"

_ABLATE = "--ablate-graph"


class _CompareCommand(TyperCommand):
    """The verb, with an option that may stand without its value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = []
        for number, word in enumerate(args):
            given.append(word)
            if word == _ABLATE and (number + 1 == len(args) or args[number + 1].startswith("--")):
                given.append("all")
        return super().parse_args(ctx, given)


@comparison.command(help=help_text(_HELP), short_help=_PURPOSE, cls=_CompareCommand)
def compare(
    ctx: typer.Context,
    spec: Annotated[Path | None, _set(_WHAT, "TOML file with all of it; options override it (none).")] = None,
    data: Annotated[str | None, _set(_DATA, "A data set of `gnnkit list` (simulated).")] = None,
    data_root: Annotated[Path | None, _set(_DATA, "Folder of its files (GNNKIT_DATA, else a download).")] = None,
    data_option: Annotated[
        list[str] | None, _set(_DATA, "NAME=VALUE for its loader, e.g. num_nodes=16; repeatable (none).")
    ] = None,
    series: Annotated[Path | None, _set(_DATA, "Own series: CSV, Parquet or NPZ of time × nodes (none).")] = None,
    graph: Annotated[Path | None, _set(_DATA, "Its graph: CSV matrix, edge-list CSV or NPZ (none).")] = None,
    graph_format: Annotated[str | None, _set(_DATA, "Of a CSV graph: auto, matrix or edges (auto).")] = None,
    target: Annotated[int | None, _set(_DATA, "Number of the feature to predict, of several (0).")] = None,
    unit: Annotated[str | None, _set(_DATA, "Unit of own values, for the report (none).")] = None,
    step_minutes: Annotated[float | None, _set(_DATA, "Minutes in a row of own files (from their times).")] = None,
    season: Annotated[int | None, _set(_DATA, "Rows in a season of own files, e.g. 288 (chosen for the data).")] = None,
    missing_value: Annotated[
        list[str] | None,
        _set(_DATA, "Stands for a missing value in own files, e.g. -200; repeatable, or -200,9999 (none but empty)."),
    ] = None,
    decimal: Annotated[
        str | None, _set(_DATA, "Before decimals in an own CSV series: . or , (found out from its numbers).")
    ] = None,
    split: Annotated[
        str | None, _set(_DATA, "Shares of train, validation and test rows (the data set's, else 0.7,0.1,0.2).")
    ] = None,
    allow_leak: Annotated[
        list[str] | None,
        _set(_DATA, "CAUSE that the leakage audit may find, e.g. scaler; it labels the rows; repeatable (none)."),
    ] = None,
    models: Annotated[str | None, _set(_WHAT, "Names of `gnnkit list` (lstm,bilstm,gru,gcn,tgcn).")] = None,
    setting: Annotated[
        list[str] | None,
        _set(_WHAT, "MODEL.NAME=VALUE for one model, e.g. mtgnn.dropout=0.1; repeatable (its own).", "--set"),
    ] = None,
    horizon: Annotated[
        str | None, _set(_WHAT, "Steps ahead that are scored (chosen for the data; 3,6,12 for the known ones).")
    ] = None,
    history: Annotated[
        int | None, _set(_WHAT, "Rows that a model sees (chosen for the data; 12 for the known ones).")
    ] = None,
    seeds: Annotated[
        str | None, _set(_WHAT, "A count, 3, or a list, 0,24,42; a list of one ends in a comma, 7, (3).")
    ] = None,
    ablate_graph: Annotated[
        str | None,
        _set(_ASKED, "Does the graph matter? Train these graph models (all) on other graphs too (none).", _ABLATE),
    ] = None,
    train_shares: Annotated[
        str | None, _set(_ASKED, "Shares of the training rows to train on as well, e.g. .1,.3,1 (none).")
    ] = None,
    hidden_shares: Annotated[
        str | None, _set(_ASKED, "Shares of the inputs that outages hide as well, e.g. .2,.5 (none).")
    ] = None,
    intervals: Annotated[str | None, _set(_ASKED, "Prediction intervals: conformal or quantile (conformal).")] = None,
    coverage: Annotated[float | None, _set(_ASKED, "Share of targets that they should hold (0.9).")] = None,
    budget: Annotated[
        str | None, _set(_BUDGET, "The same for every model: epochs, seconds, parameters or trials (epochs).")
    ] = None,
    epochs: Annotated[int | None, _set(_BUDGET, "Most epochs (8; 1000 by seconds).")] = None,
    max_seconds: Annotated[float | None, _set(_BUDGET, "Wall-clock limit of each fit (none).")] = None,
    parameters: Annotated[
        int | None, _set(_BUDGET, "Of every model, by a width found for each (those of the first model).")
    ] = None,
    trials: Annotated[
        int | None, _set(_BUDGET, "Of a random search on the validation rows, for each model (none).")
    ] = None,
    hidden: Annotated[int | None, _set(_HOW, "Width of every model (16).", "--hidden", "--hidden-channels")] = None,
    residual: Annotated[
        bool | None,
        _set(
            _HOW,
            "Every model predicts the change from the last value, or the value itself (chosen for the data).",
            "--residual/--no-residual",
        ),
    ] = None,
    time_features: Annotated[
        bool | None,
        _set(
            _HOW,
            "Every model also sees time of day and weekday (--no-time-features).",
            "--time-features/--no-time-features",
        ),
    ] = None,
    batch_size: Annotated[int | None, _set(_HOW, "Windows in a step (32).")] = None,
    learning_rate: Annotated[float | None, _set(_HOW, "Of Adam, at the start (0.005).")] = None,
    weight_decay: Annotated[float | None, _set(_HOW, "L2 penalty in Adam (0).")] = None,
    clip: Annotated[float | None, _set(_HOW, "Largest norm of the gradient (5).")] = None,
    patience: Annotated[int | None, _set(_HOW, "Epochs without a better validation MAE until it stops (5).")] = None,
    loss: Annotated[str | None, _set(_HOW, "mae, mse or huber (mae).")] = None,
    schedule: Annotated[str | None, _set(_HOW, "Of the learning rate: cosine or constant (cosine).")] = None,
    scaler: Annotated[
        str | None, _set(_HOW, "standard, max, max-node; leaks: max-all, max-node-all (standard).")
    ] = None,
    device: Annotated[str | None, _set(_HOW, "auto, cpu, cuda, cuda:1, mps (auto).")] = None,
    precision: Annotated[str | None, _set(_HOW, "As in Lightning Fabric (32-true).")] = None,
    threads: Annotated[int | None, _set(_HOW, "Threads of each fit on the processor (all, shared by --jobs).")] = None,
    resamples: Annotated[
        int | None, _set(_ASKED, "Bootstrap resamples for the intervals of groups of targets (2000).")
    ] = None,
    confidence: Annotated[float | None, _set(_ASKED, "Of the intervals of differences (0.95).")] = None,
    jobs: Annotated[int, _set(_OUT, "Fits at a time, each in a process of its own (1).")] = 1,
    out: Annotated[
        Path | None, _set(_OUT, "Folder for the results (gnnkit-results); earlier results in it are replaced.")
    ] = None,
    resume: Annotated[
        Path | None, _set(_OUT, "Finish the run of this folder; finished fits are not run again.")
    ] = None,
    schema: Annotated[bool, _set(_OUT, "Print the JSON schema of a spec file, and nothing else.", "--schema")] = False,
) -> None:
    given: dict[str, Any] = {
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
        "split": None if split is None else parse_shares("split", split),
        "allow_leaks": allow_leak or None,
        "models": None if models is None else parse_names(models),
        "settings": parse_model_settings(setting),
        "horizons": None if horizon is None else parse_whole_numbers("horizon", horizon),
        "history": history,
        "seeds": None if seeds is None else parse_seeds(seeds),
        "ablate_graph": None if ablate_graph is None else parse_names(ablate_graph),
        "train_shares": None if train_shares is None else parse_shares("train-shares", train_shares),
        "hidden_shares": None if hidden_shares is None else parse_shares("hidden-shares", hidden_shares),
        "intervals": intervals,
        "coverage": coverage,
        "budget": budget,
        "epochs": epochs,
        "max_seconds": max_seconds,
        "parameters": parameters,
        "trials": trials,
        "hidden_channels": hidden,
        "residual": residual,
        "time_features": time_features,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "clip": clip,
        "patience": patience,
        "loss": loss,
        "schedule": schedule,
        "scaler": scaler,
        "device": device,
        "precision": precision,
        "threads": threads,
        "resamples": resamples,
        "confidence": confidence,
    }
    if schema:
        from gnnkit.compare import spec_schema

        typer.echo(json.dumps(spec_schema(), indent=2, ensure_ascii=False))
        return
    if jobs < 1:
        raise ValueError(f"jobs: {jobs} is not a number of processes; give a whole number of at least 1")
    given = {name: value for name, value in given.items() if value is not None}
    if resume is not None:
        _alone(ctx, resume)
    failures = _compare(given, spec, resume, out or Path("gnnkit-results"), jobs)
    if failures:
        raise typer.Exit(1)


def _alone(ctx: typer.Context, folder: Path) -> None:
    """Refuse options that would change the spec of a run that goes on."""
    for name in ctx.params:
        source = ctx.get_parameter_source(name)
        if name not in ("resume", "jobs") and source is not None and source.name == "COMMANDLINE":
            flag = {"setting": "set"}.get(name, name.replace("_", "-"))
            raise ValueError(
                f"resume: {folder} knows its spec, so --{flag} cannot be given beside it; leave it out, or begin a new "
                f"run"
            )


def _compare(given: dict[str, Any], file: Path | None, resume: Path | None, out: Path, jobs: int) -> int:
    """Run and write; the number of fits that failed."""
    # Read when torch is loaded: threads that wait sleep, in place of spinning. On a machine that does other work too, a
    # spinning thread keeps the one that it waits for from running, and an epoch can take ten times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from rich.console import Console

    from gnnkit.compare import check_output, kept_spec, make_spec, read_spec, render_terminal, run, write_output
    from gnnkit.training import open_matrix

    if resume is not None:
        out, spec = resume, kept_spec(resume)
    else:
        spec = make_spec(**given) if file is None else read_spec(file, given)
    check_output(out)
    # What is finished is replaced, as far as it does not fit; what is half done is not lost by a slip.
    replace = resume is not None or (out / "results.json").is_file()
    console = Console()
    try:
        with open_matrix(Console(stderr=True)) as progress:
            results = run(spec, progress, jobs=jobs, directory=out, resume=replace)
        page = write_output(results, out)
    except KeyboardInterrupt:
        kept = sum(1 for _ in (out / "jobs").glob("*.safetensors"))
        fits = "1 finished fit is" if kept == 1 else f"{kept} finished fits are"
        text = f"{fits} kept in {out}; `gnnkit compare --resume {out}` goes on from there"
        typer.echo(f"gnnkit: stopped; {text if kept else 'no fit was finished'}", err=True)
        raise typer.Exit(130) from None
    # A pipe has no width of its own; tables get the room that they ask for.
    render_terminal(results, console if console.is_terminal else Console(width=200))
    for failure in results.failures:
        typer.echo(f"gnnkit: {failure.model}, seed {failure.seed} failed: {failure.error}", err=True)
    typer.echo(f"Report: {page}")
    return len(results.failures)


_REPORT = """
Draw the report of a comparison again from its rows, or set two comparisons side by side.

Nothing is trained, and no number changes: a report that an older gnnkit wrote gets the plots and words of this one.

[bold]A worked example[/bold]: one folder of `gnnkit compare`; then the same data with and without time features:

\b
    gnnkit report mine
    gnnkit report mine mine-with-time --out both
    gnnkit report mine --judge        # after an update: the same fits, the statistics of now
"""


@comparison.command(help=help_text(_REPORT), short_help="Draw a report again, or set two side by side.")
def report(
    first: Annotated[Path, Argument(metavar="DIR", help="Folder that `gnnkit compare` wrote.")],
    second: Annotated[Path | None, Argument(metavar="[DIR2]", help="Another one, to set beside it.")] = None,
    out: Annotated[
        Path | None, _set(_OUT, "Folder for the pages (DIR; for two, gnnkit-side-by-side); missing or a former one.")
    ] = None,
    judge: Annotated[
        bool,
        _set(
            _OUT, "Judge DIR's finished fits again, with the statistics of this version; nothing is trained.", "--judge"
        ),
    ] = False,
) -> None:
    from gnnkit.compare import Results, kept_spec, run, write_output

    if judge and second is not None:
        raise ValueError(f"judge: judges one run again, got {first} and {second}; give one folder")
    results = run(kept_spec(first), directory=first, only_judge=True) if judge else Results.load(first)
    if second is None:
        typer.echo(f"Report: {write_output(results, out or first)}")
        return
    from gnnkit.compare import write_side_by_side

    page = write_side_by_side(results, Results.load(second), out or Path("gnnkit-side-by-side"))
    typer.echo(f"Report: {page}")
