"""`gnnkit quick`: a verdict in a minute."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Annotated

import typer

from gnnkit.cli.options import help_text, named_option, takes

__all__ = ["app", "quick"]

app = typer.Typer(rich_markup_mode="rich")

_PURPOSE = "In a minute: do the values of neighbours help a linear forecast, and is anything left for them to explain?"

_HELP = f"""
{_PURPOSE}

Ridge regression on a node's own last values stands against the same with the mean of its neighbours' last values: on
the given graph, and on shuffled ones, for the values of any other nodes may help. Every fold trains on the rows before
its test rows. The AZ test says whether the errors are still alike along the edges. No network is trained.

[bold]A worked example[/bold]: own speeds (a row a time, a column a sensor) and own graph; then a graph that is made of
places:

\b
    gnnkit quick --series speeds.csv --graph adjacency.csv
    gnnkit quick --series air.csv --places stations.csv --horizon 1,6,24

[bold]What it says[/bold], on the last screen: Yes: clearly better with the given graph than without and than with
shuffled ones. Not shown: better with other nodes, but not clearly with the neighbours. No: clearly worse, or less than
1% better. Open: none of these; the smallest change that such a test finds is printed. Networks may use a graph where a
linear model cannot: [bold]gnnkit compare[/bold] trains them on the same folds.
"""


@app.command(help=help_text(_HELP), short_help=_PURPOSE, cls=takes("gnnkit.settings.quick:QuickFields"))
def quick(
    ctx: typer.Context,
    out: Annotated[
        Path | None,
        named_option("Output", "Folder for the rows, quick.json and quick.csv. Default: nothing is written."),
    ] = None,
    markdown: Annotated[
        bool, named_option("Output", "Write a page, quick.md, into that folder too.", "--markdown")
    ] = False,
) -> None:
    if markdown and out is None:
        raise ValueError("markdown: the page needs a folder; give out too, e.g. --out quick")
    from gnnkit.compare.neighbours.quick import quick_of
    from gnnkit.compare.neighbours.result import check_place
    from gnnkit.compare.neighbours.screen import WIDTH, screen
    from gnnkit.settings.quick import QuickFields

    if out is not None:
        check_place(out)  # before a minute is spent
    found = quick_of(QuickFields(**ctx.obj))
    if out is not None:
        found.save(out, markdown=markdown)
    for sentence in found.inferred:
        typer.echo(textwrap.fill(sentence, WIDTH))
    for line in screen(found):
        typer.echo(line)
