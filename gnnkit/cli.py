"""The command line: a verb parses its options and calls one library function.

Nothing heavy is imported until a verb runs, so that `gnnkit --help` answers at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

import gnnkit
from gnnkit import cli_relations, cli_text
from gnnkit.cli_compare import compare, comparison, report
from gnnkit.cli_forecasting import forecasting
from gnnkit.cli_nodes import graph_app, nodes_app
from gnnkit.cli_options import help_text
from gnnkit.cli_options import named_option as _set
from gnnkit.cli_options import parse_names as _names
from gnnkit.cli_options import parse_seeds as _seeds
from gnnkit.cli_options import parse_whole_numbers as _whole_numbers

__all__ = ["app", "compare", "list_", "main", "report", "sequence"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
app.add_typer(comparison)  # compare, report
app.add_typer(forecasting)  # train, evaluate, forecast
app.add_typer(cli_text.app, name="text")
app.add_typer(nodes_app, name="nodes")
app.add_typer(graph_app, name="graph")

app.add_typer(cli_relations.app, name="relations")

_WHAT, _HOW, _OUT = "What is compared", "Training, the same for every model", "Output"


_SEQUENCE = """
Let LSTM and BiLSTM tell the last of T random numbers from the others, with narrow and wide embeddings.

Every length, cell, width, initialisation and seed is a run; each is kept in --out when it is done, so the same command
goes on where it was cut off, and more of them add to what is there. --out gets rows.csv, curves.csv, report.md (tables,
and what differs from the course report and why), loss.png, accuracy.png and gradient_flow.png.

[bold]A worked example[/bold]: the report's lengths and seeds, with its embedding of width 1 and with one of 128, its
initialisation and gnnkit's; its own recipe alone; then longer ones, from one seed:

\b
    gnnkit sequence --out combinations
    gnnkit sequence --embeddings 1 --initializations report --out report
    gnnkit sequence --lengths 30,50 --seeds 0, --out combinations
"""


@app.command(help=help_text(_SEQUENCE))
def sequence(
    lengths: Annotated[str, _set(_WHAT, "Numbers in a combination (5,10,15).")] = "5,10,15",
    cells: Annotated[str, _set(_WHAT, "Of rnn, lstm, gru, birnn, bilstm, bigru (lstm,bilstm).")] = "lstm,bilstm",
    embeddings: Annotated[str, _set(_WHAT, "Widths of the embedding (1,128).")] = "1,128",
    initializations: Annotated[
        str, _set(_WHAT, "Of report, torch's Kaiming routine on (in, out), and gnnkit, √(2 / in) (report,gnnkit).")
    ] = "report,gnnkit",
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
    from gnnkit.studies.combinations_report import render_terminal

    settings = CombinationsSettings(
        lengths=tuple(_whole_numbers("lengths", lengths)),
        cells=tuple(_names(cells)),
        embeddings=tuple(_whole_numbers("embeddings", embeddings)),
        initializations=tuple(_names(initializations)),
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
        rows = run_study(settings, out, console=Console(stderr=True))
    except KeyboardInterrupt:
        typer.echo(
            f"gnnkit: stopped; finished runs are kept in {out}, and the same command goes on from there", err=True
        )
        raise typer.Exit(130) from None
    console = Console()
    # A pipe has no width of its own; tables get the room that they ask for.
    render_terminal(rows, console if console.is_terminal else Console(width=200))
    typer.echo(f"Report: {out / 'report.md'}")


@app.command("list", help="Name the models and the data sets, a line each.")
def list_(
    markdown: Annotated[bool, Option("--markdown", help="As Markdown, with papers and sources.")] = False,
) -> None:
    from gnnkit.data import DATASETS
    from gnnkit.data.nodes import NODE_DATASETS
    from gnnkit.studies.node_recipes import NODE_RECIPES
    from gnnkit.temporal import MODELS

    columns = {"name": "name", "family": "family", "licence": "licence", "what it is": "description", "paper": "paper"}
    columns["source"] = "source"
    width = max(map(len, [*MODELS, *DATASETS, *NODE_DATASETS]))
    sections = {"models": MODELS, "data sets": DATASETS, "recipes for nodes (gnnkit nodes train)": NODE_RECIPES}
    sections["data sets of nodes"] = NODE_DATASETS
    for title, entries in sections.items():
        records = list(entries.values())
        if markdown:
            there = {head: field for head, field in columns.items() if hasattr(records[0], field)}
            rows = [
                [f"`{record.name}`", *(getattr(record, field) for field in list(there.values())[1:])]
                for record in records
            ]
            lines = [list(there), ["---"] * len(there), *rows]
            typer.echo(
                "\n".join([f"## {title[0].upper()}{title[1:]}", "", *(f"| {' | '.join(line)} |" for line in lines), ""])
            )
            continue
        typer.echo(title)
        for record in records:
            kind = getattr(record, "family", getattr(record, "licence", None))
            typer.echo(f"  {record.name:<{width}}  {'' if kind is None else f'{kind:<10}  '}{record.description}")


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

    0: done; 1: a fit failed, e.g. its loss exploded (the rest of a comparison was compared); 2: bad input, with one
    line that says what is wrong; 130: stopped by hand.

    Args:
        arguments: the words after `gnnkit`; default: those of the process.
    """
    words = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(words or ["--help"], prog_name="gnnkit", standalone_mode=False)
    except (ValueError, OSError, ImportError) as error:
        code = _complain(str(error))
    except FloatingPointError as error:  # a training that exploded: a fit failed
        _complain(str(error))
        code = 1
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
