"""The command: its verbs, and what its exit codes mean.

Nothing heavy is imported until a verb runs, so that `gnnkit --help` answers at once.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer import Option

import gnnkit
from gnnkit.cli import (
    check_model,
    compare,
    evaluate,
    export,
    forecast,
    graph,
    judge,
    nodes,
    relations,
    report,
    sequence,
    serve,
    text,
    train,
)
from gnnkit.cli import list as names

__all__ = ["app", "main"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
for _verb in (compare, judge, report, train, evaluate, forecast, export, serve, check_model, names, sequence):
    app.add_typer(_verb.app)
for _name, _verbs in {"text": text, "nodes": nodes, "graph": graph, "relations": relations}.items():
    app.add_typer(_verbs.app, name=_name)


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
        context: Any = getattr(error, "ctx", None)
        hint = "" if context is None else f"; see `{context.command_path} --help`"
        code = _complain(error.format_message().rstrip(".") + hint)  # pyright: ignore[reportAttributeAccessIssue]
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str) -> int:
    typer.echo(f"gnnkit: {' '.join(message.split())}", err=True)
    return 2
