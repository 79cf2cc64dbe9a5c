"""`gnnkit judge`: forecasts that were made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gnnkit.cli.garbage import seldom_collected
from gnnkit.cli.options import help_text, named_option, takes

__all__ = ["app", "judge"]

app = typer.Typer(rich_markup_mode="rich")

_PURPOSE = "Judge forecasts that were made elsewhere: errors, tests against the baselines and each other, a report."

_HELP = f"""
{_PURPOSE}

Nothing is trained. Every forecast and the baselines stand on the same targets, of the test rows. A forecast's origin is
the last row that it knows; step 1 is the row after it. A file is one of

\b
    NPZ, NPY      \\[windows, steps, nodes] or \\[seeds, windows, steps, nodes];
                  an NPZ file may also have origins (rows or times), nodes
                  (names), seeds, quantiles (levels last) and levels
    CSV, Parquet  a row a forecast: node, value, and two of origin,
                  timestamp (of what is forecast) and step; maybe model,
                  seed, and quantiles in columns like q0.05, or as ends
                  of intervals, NAME-lo-90 and NAME-hi-90

Values are in the data's unit. A file without origins is taken to hold all test windows, in order of time. Without
--horizon all steps are scored, and a half and a quarter of them.

[bold]A worked example[/bold]: two forecasters, an hour ahead, one with forecasts of the validation rows, which give it
prediction intervals:

\b
    gnnkit judge --series speeds.csv --graph adjacency.csv --horizon 3,6,12 \\
      --forecasts mine=mine.npz --forecasts theirs=theirs.csv \\
      --validation-forecasts mine=mine-val.npz --out judged

[bold]Beside models that gnnkit trains[/bold]:

\b
    gnnkit compare --series speeds.csv --graph adjacency.csv \\
      --models lstm,tgcn --forecasts mine=mine.npz
"""


@app.command(help=help_text(_HELP), short_help=_PURPOSE, cls=takes("gnnkit.settings.judging:JudgeFields"))
def judge(
    ctx: typer.Context,
    out: Annotated[
        Path | None,
        named_option("Output", "Folder for the report; earlier results in it are replaced. Default: gnnkit-judged."),
    ] = None,
) -> None:
    with seldom_collected():
        _judge(ctx.obj, out or Path("gnnkit-judged"))


def _judge(given: dict[str, Any], out: Path) -> None:
    from rich.console import Console

    from gnnkit.compare import check_output, judge_forecasts, render_terminal, write_output

    if (out / "jobs").exists():
        raise ValueError(
            f"out: {out} holds a run of `gnnkit compare`, whose results would be lost; give another folder"
        )
    check_output(out)
    results = judge_forecasts(**given)
    page = write_output(results, out)
    console = Console()
    render_terminal(results, console if console.is_terminal else Console(width=200))
    typer.echo(f"Report: {page}")
