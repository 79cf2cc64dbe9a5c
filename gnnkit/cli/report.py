"""`gnnkit report`: what a comparison found, drawn again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument

from gnnkit.cli.options import help_text, named_option, trust_option

__all__ = ["app", "report"]

app = typer.Typer(rich_markup_mode="rich")

_REPORT = """
Draw the report of a comparison again from its rows, or set two comparisons side by side.

Nothing is trained, and no number changes: a report that an older gnnkit wrote gets the plots and words of this one.

[bold]A worked example[/bold]: one folder of `gnnkit compare`; then the same data with and without time features:

\b
    gnnkit report mine
    gnnkit report mine mine-with-time --out both
    gnnkit report mine --judge        # after an update: the same fits, the statistics of now
"""


@app.command(help=help_text(_REPORT), short_help="Draw a report again, or set two side by side.")
def report(
    first: Annotated[Path, Argument(metavar="DIR", help="Folder that `gnnkit compare` wrote.")],
    second: Annotated[Path | None, Argument(metavar="[DIR2]", help="Another one, to set beside it.")] = None,
    out: Annotated[
        Path | None,
        named_option("Output", "Folder for the pages (DIR; for two, gnnkit-side-by-side); missing or a former one."),
    ] = None,
    judge: Annotated[
        bool,
        named_option(
            "Output",
            "Judge DIR's finished fits again, with the statistics of this version; nothing is trained.",
            "--judge",
        ),
    ] = False,
    trust_code: Annotated[bool, trust_option("Output")] = False,
) -> None:
    from gnnkit.compare import Results, kept_spec, run, write_output

    if judge and second is not None:
        raise ValueError(f"judge: judges one run again, got {first} and {second}; give one folder")
    results = (
        run(kept_spec(first, trust_code=trust_code), directory=first, only_judge=True) if judge else Results.load(first)
    )
    if second is None:
        typer.echo(f"Report: {write_output(results, out or first)}")
        return
    from gnnkit.compare import write_side_by_side

    page = write_side_by_side(results, Results.load(second), out or Path("gnnkit-side-by-side"))
    typer.echo(f"Report: {page}")
