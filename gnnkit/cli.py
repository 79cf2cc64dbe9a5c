"""The command line: a verb parses its options and calls one library function.

Nothing heavy is imported until a verb runs, so that `gnnkit --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option

import gnnkit
from gnnkit import cli_relations, cli_text
from gnnkit.cli_forecasting import forecasting
from gnnkit.cli_nodes import graph_app, nodes_app
from gnnkit.cli_options import named_option as _set
from gnnkit.cli_options import parse_options as _options
from gnnkit.cli_options import parse_seeds as _seeds
from gnnkit.cli_options import parse_whole_numbers as _whole_numbers

__all__ = ["app", "compare", "list_", "main", "sequence"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
app.add_typer(forecasting)  # train, evaluate, forecast
app.add_typer(cli_text.app, name="text")
app.add_typer(nodes_app, name="nodes")
app.add_typer(graph_app, name="graph")

app.add_typer(cli_relations.app, name="relations")

_PURPOSE = "Train sequence and graph models on the same windows of the same data: which is better, and how surely?"

# Line breaks inside a paragraph would be kept, whatever the terminal's width: a paragraph is one string.
_HELP = "\n\n".join(
    (
        _PURPOSE,
        "Each model is trained once a seed to predict the longest horizon, is scored at every horizon on the test "
        "rows, and stands in the table beside the last value and the averages, which need no training. The folder gets "
        "rows.csv, results.json and report.html.",
        "[bold]A worked example[/bold]: own speeds (a row a time, a column a sensor) and own graph (a matrix; row i, "
        "column j is the edge i → j), 15, 30 and 60 minutes ahead, three seeds:",
        "\b\n    gnnkit compare --series speeds.csv --graph adjacency.csv \\\n"
        "      --step-minutes 5 --season 288 --horizon 3,6,12 \\\n"
        "      --models lstm,gru,tgcn --seeds 3 --out mine",
        "[bold]With no option[/bold], a simulated network of 64 road sensors over a week; and real traffic:",
        "\b\n    gnnkit compare\n    gnnkit compare --data los-loop --horizon 3,6,9,12 --out los-loop",
    )
)


_DATA, _WHAT, _HOW, _OUT = "Data", "What is compared", "Training, the same for every model", "Output"


@app.command(help=_HELP, short_help=_PURPOSE)
def compare(
    data: Annotated[str | None, _set(_DATA, "A data set of `gnnkit list` (simulated).")] = None,
    data_root: Annotated[Path | None, _set(_DATA, "Folder of its files (GNNKIT_DATA, else a download).")] = None,
    data_option: Annotated[
        list[str] | None, _set(_DATA, "NAME=VALUE for its loader, e.g. num_nodes=16; repeatable.")
    ] = None,
    series: Annotated[Path | None, _set(_DATA, "Own series: CSV, Parquet or NPZ of time × nodes.")] = None,
    graph: Annotated[Path | None, _set(_DATA, "Its graph: CSV matrix, edge-list CSV or NPZ.")] = None,
    graph_format: Annotated[str | None, _set(_DATA, "Of a CSV graph: auto, matrix or edges (auto).")] = None,
    target: Annotated[int | None, _set(_DATA, "Number of the feature to predict, of several (0).")] = None,
    unit: Annotated[str | None, _set(_DATA, "Unit of own values, for the report.")] = None,
    step_minutes: Annotated[float | None, _set(_DATA, "Minutes in a row of own files.")] = None,
    season: Annotated[int | None, _set(_DATA, "Rows in a season of own files, e.g. 288.")] = None,
    models: Annotated[str | None, _set(_WHAT, "Names of `gnnkit list` (lstm,bilstm,gru,gcn,tgcn).")] = None,
    horizon: Annotated[str | None, _set(_WHAT, "Steps ahead that are scored (3,6,12).")] = None,
    history: Annotated[int | None, _set(_WHAT, "Rows that a model sees (12).")] = None,
    seeds: Annotated[
        str | None, _set(_WHAT, "A count, 3, or a list, 0,24,42; a list of one ends in a comma, 7, (3).")
    ] = None,
    hidden: Annotated[int | None, _set(_HOW, "Width of every model (16).", "--hidden", "--hidden-channels")] = None,
    residual: Annotated[
        bool | None,
        _set(
            _HOW,
            "Every model predicts the change from the last value, or the value itself (--residual).",
            "--residual/--no-residual",
        ),
    ] = None,
    time_features: Annotated[
        bool | None,
        _set(_HOW, "Every model also sees time of day and weekday.", "--time-features/--no-time-features"),
    ] = None,
    epochs: Annotated[int | None, _set(_HOW, "Most epochs (8).")] = None,
    batch_size: Annotated[int | None, _set(_HOW, "Windows in a step (32).")] = None,
    learning_rate: Annotated[float | None, _set(_HOW, "Of Adam, at the start (0.005).")] = None,
    weight_decay: Annotated[float | None, _set(_HOW, "L2 penalty in Adam (0).")] = None,
    clip: Annotated[float | None, _set(_HOW, "Largest norm of the gradient (5).")] = None,
    patience: Annotated[int | None, _set(_HOW, "Epochs without a better validation MAE until it stops (5).")] = None,
    loss: Annotated[str | None, _set(_HOW, "mae or mse (mae).")] = None,
    schedule: Annotated[str | None, _set(_HOW, "Of the learning rate: cosine or constant (cosine).")] = None,
    scaler: Annotated[str | None, _set(_HOW, "standard or max, fitted on training rows (standard).")] = None,
    max_seconds: Annotated[float | None, _set(_HOW, "Wall-clock limit of each fit (none).")] = None,
    device: Annotated[str | None, _set(_HOW, "auto, cpu, cuda, cuda:1, mps (auto).")] = None,
    precision: Annotated[str | None, _set(_HOW, "As in Lightning Fabric (32-true).")] = None,
    resamples: Annotated[int | None, _set(_OUT, "Bootstrap resamples for the intervals (2000).")] = None,
    confidence: Annotated[float | None, _set(_OUT, "Of the intervals (0.95).")] = None,
    out: Annotated[
        Path, _set(_OUT, "Folder for the results (gnnkit-results); earlier results in it are replaced.")
    ] = Path("gnnkit-results"),
) -> None:
    given = {
        "data": data,
        "data_root": data_root,
        "data_options": _options(data_option),
        "series": series,
        "graph": graph,
        "graph_format": graph_format,
        "target": target,
        "unit": unit,
        "step_minutes": step_minutes,
        "season": season,
        "models": None if models is None else [name.strip() for name in models.split(",") if name.strip()],
        "horizons": None if horizon is None else _whole_numbers("horizon", horizon),
        "history": history,
        "seeds": None if seeds is None else _seeds(seeds),
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
        "resamples": resamples,
        "confidence": confidence,
    }
    failures = _compare({name: value for name, value in given.items() if value is not None}, out)
    if failures:
        raise typer.Exit(1)


_SEQUENCE = """
Let LSTM and BiLSTM tell the last of T random numbers from the others, with narrow and wide embeddings.

Every length, cell, width and seed is a run; each is kept in --out when it is done, so the same command goes on where it
was cut off, and more lengths, cells, widths or seeds add to what is there. --out gets rows.csv, curves.csv, report.md
(tables, and what differs from the course report and why), loss.png, accuracy.png and gradient_flow.png.

[bold]A worked example[/bold]: the report's lengths and seeds, with its embedding of width 1 and with one of 128; then
longer ones, from one seed:

\b
    gnnkit sequence --out combinations
    gnnkit sequence --lengths 30,50 --seeds 0, --out combinations
"""


@app.command(help=_SEQUENCE)
def sequence(
    lengths: Annotated[str, _set(_WHAT, "Numbers in a combination (5,10,15).")] = "5,10,15",
    cells: Annotated[str, _set(_WHAT, "Of rnn, lstm, gru, birnn, bilstm, bigru (lstm,bilstm).")] = "lstm,bilstm",
    embeddings: Annotated[str, _set(_WHAT, "Widths of the embedding (1,128).")] = "1,128",
    seeds: Annotated[
        str, _set(_WHAT, "A count, 3, or a list (0,24,42); a list of one ends in a comma, 7,.")
    ] = "0,24,42",
    steps: Annotated[int, _set(_HOW, "Steps of a run (2000).")] = 2000,
    hidden: Annotated[int, _set(_HOW, "Width of the state (128).", "--hidden")] = 128,
    batch_size: Annotated[int, _set(_HOW, "Combinations in a step (128).")] = 128,
    learning_rate: Annotated[float, _set(_HOW, "Of Adam (0.001).")] = 1e-3,
    clip: Annotated[float, _set(_HOW, "Largest norm of the gradient (10).")] = 10.0,
    test_sequences: Annotated[int, _set(_HOW, "Fresh combinations that a run is scored on (5000).")] = 5000,
    device: Annotated[str, _set(_HOW, "auto, cpu, cuda, cuda:1, mps (auto).")] = "auto",
    out: Annotated[Path, _set(_OUT, "Folder for the results (gnnkit-sequence).")] = Path("gnnkit-sequence"),
) -> None:
    from rich.console import Console

    from gnnkit.studies.combinations import CombinationsSettings, run_study

    settings = CombinationsSettings(
        lengths=tuple(_whole_numbers("lengths", lengths)),
        cells=tuple(name.strip() for name in cells.split(",") if name.strip()),
        embeddings=tuple(_whole_numbers("embeddings", embeddings)),
        seeds=tuple(_seeds(seeds)),
        steps=steps,
        hidden_channels=hidden,
        batch_size=batch_size,
        learning_rate=learning_rate,
        clip=clip,
        test_sequences=test_sequences,
        device=device,
    )
    try:
        run_study(settings, out, console=Console(stderr=True))
    except KeyboardInterrupt:
        typer.echo(
            f"gnnkit: stopped; finished runs are kept in {out}, and the same command goes on from there", err=True
        )
        raise typer.Exit(130) from None
    typer.echo((out / "report.md").read_text(encoding="utf-8"))
    typer.echo(f"Report: {out / 'report.md'}")


@app.command("list", help="Name the models and the data sets, a line each.")
def list_() -> None:
    from gnnkit.data import DATASETS
    from gnnkit.data.nodes import NODE_DATASETS
    from gnnkit.studies.node_recipes import NODE_RECIPES
    from gnnkit.temporal import MODELS

    width = max(map(len, [*MODELS, *DATASETS, *NODE_DATASETS]))
    typer.echo("models")
    for entry in MODELS.values():
        typer.echo(f"  {entry.name:<{width}}  {entry.family:<8}  {entry.description}")
    typer.echo("data sets")
    for name, description in DATASETS.items():
        typer.echo(f"  {name:<{width}}  {description}")
    typer.echo("recipes for nodes (gnnkit nodes train)")
    for recipe in NODE_RECIPES.values():
        typer.echo(f"  {recipe.name:<{width}}  {recipe.description}")
    typer.echo("data sets of nodes")
    for name, description in NODE_DATASETS.items():
        typer.echo(f"  {name:<{width}}  {description}")


def _compare(given: dict[str, Any], out: Path) -> int:
    """Run and write; the number of fits that failed."""
    # Read when torch is loaded: threads that wait sleep, in place of spinning. On a machine that does other work too, a
    # spinning thread keeps the one that it waits for from running, and an epoch can take ten times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from contextlib import nullcontext

    from rich.console import Console

    from gnnkit.compare import check_output, make_spec, render_terminal, run, write_output
    from gnnkit.training import open_progress

    spec = make_spec(**given)
    check_output(out)
    console = Console()
    with open_progress(Console(stderr=True)) or nullcontext() as progress:
        results = run(spec, progress)
    report = write_output(results, out)
    # A pipe has no width of its own; tables get the room that they ask for.
    render_terminal(results, console if console.is_terminal else Console(width=100))
    for failure in results.failures:
        typer.echo(f"gnnkit: {failure['model']}, seed {failure['seed']} failed: {failure['error']}", err=True)
    typer.echo(f"Report: {report}")
    return len(results.failures)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"gnnkit {gnnkit.__version__}")
        raise typer.Exit


@app.callback(help="gnnkit: fast graph layers, and an honest answer to the question whether the graph helps.")
def _root(
    version: Annotated[bool, Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None: ...


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    0: done; 1: a fit failed, and the rest was compared; 2: bad input, with one line that says what is wrong; 130:
    stopped by hand.

    Args:
        arguments: the words after `gnnkit`; default: those of the process.
    """
    words = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(words or ["--help"], prog_name="gnnkit", standalone_mode=False)
    except (ValueError, OSError, ImportError) as error:
        code = _complain(str(error))
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("gnnkit: stopped; nothing was written", err=True)
        code = 130
    except Exception as error:
        # Newer releases of typer carry a click of their own, older ones import it; errors of both can put themselves in
        # words. Anything else is a fault of gnnkit and keeps its traceback.
        if not hasattr(error, "format_message"):
            raise
        code = _complain(error.format_message())  # pyright: ignore[reportAttributeAccessIssue]
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str) -> int:
    typer.echo(f"gnnkit: {' '.join(message.split())}", err=True)
    return 2
