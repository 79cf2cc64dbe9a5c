"""`gnnkit check-model`: is a model of one's own a forecaster?"""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Argument

from gnnkit.cli.options import help_text, named_option, parse_options

__all__ = ["app", "check_model"]

app = typer.Typer(rich_markup_mode="rich")

_CHECK = """
Check a model before it is compared: shapes, precision, gradients, peeking, gaps, order, state, saving, cost.

The model is built at several sizes and called on random windows; nothing is trained, and no data are read. A line of
the table is ok, a fault, something that it says (worth knowing, and allowed), or not checked. The exit code is 1 where
there is a fault. In a test of your own: gnnkit.testing.check_forecaster(MyNet).

[bold]A worked example[/bold]: the class MyNet in a file, three layers deep:

\b
    gnnkit check-model my_model.py:MyNet --set layers=3
"""


@app.command("check-model", help=help_text(_CHECK), short_help="Check a model of one's own.")
def check_model(
    model: Annotated[str, Argument(help="file.py:Class, package.module:Class, or a name of `gnnkit list`.")],
    setting: Annotated[
        list[str] | None,
        named_option("The model", "NAME=VALUE for the model, e.g. layers=3; repeatable.", "--setting", "--set"),
    ] = None,
) -> None:
    from rich.console import Console

    from gnnkit.report.terminal import WIDTH, say
    from gnnkit.testing import inspect_forecaster

    report = inspect_forecaster(model, parse_options(setting or (), "setting", "layers=3"))
    console = Console()
    width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    console = Console(width=width)
    console.print(report.table())
    say(console, report.summary, "bold red" if report.faults else "bold green")
    if report.faults:
        raise typer.Exit(1)
