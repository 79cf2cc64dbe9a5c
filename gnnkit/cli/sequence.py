"""`gnnkit sequence`: LSTM and BiLSTM on random combinations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gnnkit.cli.options import help_text, parse_names, parse_seeds, parse_whole_numbers
from gnnkit.cli.options import named_option as _set

__all__ = ["app", "sequence"]

app = typer.Typer(rich_markup_mode="rich")

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
        lengths=tuple(parse_whole_numbers("lengths", lengths)),
        cells=tuple(parse_names(cells)),
        embeddings=tuple(parse_whole_numbers("embeddings", embeddings)),
        initializations=tuple(parse_names(initializations)),
        seeds=tuple(parse_seeds(seeds)),
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
