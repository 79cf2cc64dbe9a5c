"""`gnnkit sequence`: LSTM and BiLSTM on random combinations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gnnkit.cli.options import help_text, named_option, takes

__all__ = ["app", "sequence"]

app = typer.Typer(rich_markup_mode="rich")

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


@app.command(help=help_text(_SEQUENCE), cls=takes("gnnkit.studies.combinations.settings:CombinationsSettings"))
def sequence(
    ctx: typer.Context,
    out: Annotated[Path, named_option("Output", "Folder for the results. Default: gnnkit-sequence.")] = Path(
        "gnnkit-sequence"
    ),
) -> None:
    from rich.console import Console

    from gnnkit.studies.combinations.report import render_terminal
    from gnnkit.studies.combinations.settings import CombinationsSettings
    from gnnkit.studies.combinations.study import run_study

    settings = CombinationsSettings(**ctx.obj)
    rows = run_study(settings, out, console=Console(stderr=True))
    console = Console()
    # A pipe has no width of its own; tables get the room that they ask for.
    render_terminal(rows, console if console.is_terminal else Console(width=200))
    typer.echo(f"Report: {out / 'report.md'}")
