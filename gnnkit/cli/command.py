"""The command: its verbs, and what its exit codes mean.

Nothing heavy is imported until a verb runs, so that `gnnkit --help` answers at once.
"""

from __future__ import annotations

import sys
import warnings
from typing import Annotated, Any

import typer
from typer import Option
from typer.core import TyperGroup

import gnnkit
from gnnkit.cli import (
    check_model,
    compare,
    evaluate,
    export,
    forecast,
    graph,
    graphs,
    judge,
    nodes,
    quick,
    relations,
    report,
    sequence,
    serve,
    text,
    train,
)
from gnnkit.cli import list as names
from gnnkit.cli.ranks import run_on_ranks, started_by_torchrun
from gnnkit.cli.streams import Terminated, steady_streams, stopped_by_signals

__all__ = ["app", "main"]


class _Stopped(Exception):
    """A verb was stopped; typer, which would end the process without a word, does not know of it."""


class _Verbs(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stopped:
            raise _Stopped from stopped
        except EOFError as error:  # typer would take it for Ctrl-D
            raise ValueError(f"a file that is read ends too early: {error}") from error


app = typer.Typer(cls=_Verbs, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
for _verb in (compare, quick, judge, report, train, evaluate, forecast, export, serve, check_model, names, sequence):
    app.add_typer(_verb.app)
for _name, _verbs in {"text": text, "nodes": nodes, "graph": graph, "graphs": graphs, "relations": relations}.items():
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
    line that says what is wrong; 130: stopped by hand; 143: by SIGTERM. Under torchrun, 1 also where a rank was lost.

    Args:
        arguments: the words after `gnnkit`; default: those of the process.
    """
    words = sys.argv[1:] if arguments is None else arguments
    words = words or ["--help"]
    with steady_streams():
        code = run_on_ranks(words, lambda: _run(words)) if started_by_torchrun() else _run(words)
    sys.exit(code)


def _run(words: list[str]) -> int:
    """The exit code of a command."""
    code: Any = 0
    try:
        with stopped_by_signals(), warnings.catch_warnings():
            warnings.showwarning = _show(warnings.showwarning)
            code = app(words, prog_name="gnnkit", standalone_mode=False)
    except (ValueError, OSError, ImportError) as error:
        code = _complain(str(error))
    except FloatingPointError as error:  # a training that exploded: a fit failed
        _complain(str(error))
        code = 1
    except (_Stopped, typer.Abort, KeyboardInterrupt) as error:
        code = _stop(error.__cause__ or error)
    except Exception as error:
        # Newer releases of typer carry a click of their own, older ones import it; errors of both can put themselves in
        # words. Anything else is a fault of gnnkit and keeps its traceback.
        if not hasattr(error, "format_message"):
            raise
        context: Any = getattr(error, "ctx", None)
        hint = "" if context is None else f"; see `{context.command_path} --help`"
        code = _complain(error.format_message().rstrip(".") + hint)  # pyright: ignore[reportAttributeAccessIssue]
    return code if isinstance(code, int) else 0


def _show(shown: Any) -> Any:
    """Gnnkit's own warnings as a line; others as they are."""

    def show(message: Any, category: type[Warning], *place: Any, **options: Any) -> None:
        if category.__module__.startswith("gnnkit."):
            typer.echo(f"gnnkit: {' '.join(str(message).split())}", err=True)
        else:
            shown(message, category, *place, **options)

    return show


def _stop(cause: BaseException) -> int:
    """Say what became of a run that was stopped. Whoever knows has written it into the error (`claim_folder`)."""
    ended = isinstance(cause, Terminated)
    kept = str(cause) or "what it was to write is not there, or not whole"
    typer.echo(f"gnnkit: stopped{' by SIGTERM' if ended else ''}; {' '.join(kept.split())}", err=True)
    return 143 if ended else 130


def _complain(message: str) -> int:
    typer.echo(f"gnnkit: {' '.join(message.split())}", err=True)
    return 2
