"""`gnnkit compare`: models side by side."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from gnnkit.cli.options import help_text, named_option, takes, track_option

__all__ = ["app", "compare"]

app = typer.Typer(rich_markup_mode="rich")

_PURPOSE = "Train sequence and graph models on the same windows of the same data: which is better, and how surely?"

_HELP = f"""
{_PURPOSE}

Each model is trained once a seed to predict the longest horizon, is scored at every horizon on the test rows, and
stands in the table beside the last value and the averages, which need no training. The folder gets report.html, the
rows it is drawn from, and the finished fits: a run that was cut off goes on with --resume.

[bold]A worked example[/bold]: own speeds (a row a time, a column a sensor) and own graph (a matrix; row i, column j is
the edge i → j), 15, 30 and 60 minutes ahead, three seeds:

\b
    gnnkit compare --series speeds.csv --graph adjacency.csv \\
      --step-minutes 5 --season 288 --horizon 3,6,12 \\
      --models lstm,gru,tgcn --seeds 3 --out mine

[bold]The same as a file[/bold], spec.toml, whose keys are those of --schema; options beside it override it:

\b
    series = "speeds.csv"        # relative to this file
    graph = "adjacency.csv"
    horizons = [3, 6, 12]
    models = ["lstm", "gru", "mtgnn"]
    ablate_graph = "all"         # does the graph matter?
    \\[settings.mtgnn]
    dropout = 0.1

\b
    gnnkit compare --spec spec.toml --jobs 2 --out mine
    gnnkit compare --resume mine      # after it was cut off

[bold]With no option[/bold], a simulated network of 64 road sensors over a week; and real traffic:

\b
    gnnkit compare
    gnnkit compare --data los-loop --horizon 3,6,9,12 --out los-loop

[bold]On many devices, or many machines[/bold]: two processes that share the batches of each fit; or fits on the workers
of a Dask cluster (pip install "gnnkit\\[cluster]"), started with --nthreads 1, which need no file of this machine:

\b
    torchrun --nproc-per-node 2 -m gnnkit compare --data los-loop --out los-loop
    gnnkit compare --data los-loop --cluster tcp://node7:8786 --threads 1 --out los-loop

[bold]Tuned, and watched[/bold]: twelve trials of each model on the validation rows (pip install "gnnkit\\[tune]"), of
which Optuna draws all but the first; and each fit as a run in TensorBoard, epoch by epoch:

\b
    gnnkit compare --models gru,tgcn --trials 12 --jobs 2 \\
      --search 'gru.dropout=\\[0, 0.3]' --track tensorboard --out tuned
"""

_RUN = "The run"


@app.command(help=help_text(_HELP), short_help=_PURPOSE, cls=takes("gnnkit.settings.comparison:ComparisonFields"))
def compare(
    ctx: typer.Context,
    spec: Annotated[Path | None, named_option(_RUN, "TOML file with all of it; options override it.")] = None,
    jobs: Annotated[int, named_option(_RUN, "Fits at a time, each in a process of its own. Default: 1.")] = 1,
    cluster: Annotated[
        str | None,
        named_option(_RUN, "Address of a Dask scheduler, whose workers run the fits, e.g. tcp://node7:8786."),
    ] = None,
    out: Annotated[
        Path | None,
        named_option(_RUN, "Folder for the results; earlier results in it are replaced. Default: gnnkit-results."),
    ] = None,
    resume: Annotated[
        Path | None, named_option(_RUN, "Finish the run of this folder; finished fits are not run again.")
    ] = None,
    track: Annotated[str | None, track_option(_RUN)] = None,
    schema: Annotated[
        bool, named_option(_RUN, "Print the JSON schema of a spec file, and nothing else.", "--schema")
    ] = False,
) -> None:
    if schema:
        from gnnkit.compare import spec_schema

        typer.echo(json.dumps(spec_schema(), indent=2, ensure_ascii=False))
        return
    if jobs < 1:
        raise ValueError(f"jobs: {jobs} is not a number of processes; give a whole number of at least 1")
    if resume is not None:
        _alone(ctx, resume)
    failures = _compare(ctx.obj, spec, resume, out or Path("gnnkit-results"), jobs, track, cluster)
    if failures:
        raise typer.Exit(1)


def _alone(ctx: typer.Context, folder: Path) -> None:
    """Refuse options that would change the spec of a run that goes on."""
    given = [*ctx.obj, *(name for name in ("spec", "out") if ctx.params[name] is not None)]
    if given:
        raise ValueError(
            f"resume: {folder} knows its spec, so --{given[0].replace('_', '-')} cannot be given beside it; leave it "
            "out, or begin a new run"
        )


def _compare(
    given: dict[str, Any],
    file: Path | None,
    resume: Path | None,
    out: Path,
    jobs: int,
    track: str | None,
    cluster: str | None,
) -> int:
    """Run and write; the number of fits that failed."""
    # Read when torch is loaded: threads that wait sleep, in place of spinning. On a machine that does other work too, a
    # spinning thread keeps the one that it waits for from running, and an epoch can take ten times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from rich.console import Console

    from gnnkit.compare import check_output, kept_spec, make_spec, read_spec, render_terminal, run, write_output
    from gnnkit.training import open_matrix
    from gnnkit.training.track import Track

    if resume is not None:
        out, spec = resume, kept_spec(resume)
    else:
        spec = make_spec(**given) if file is None else read_spec(file, given)
    check_output(out)
    # What is finished is replaced, as far as it does not fit; what is half done is not lost by a slip.
    replace = resume is not None or (out / "results.json").is_file()
    console = Console()
    try:
        with open_matrix(Console(stderr=True)) as progress:
            options: dict[str, Any] = {"jobs": jobs, "resume": replace, "track": track, "cluster": cluster}
            results = run(spec, progress, directory=out, **options)
        page = write_output(results, out)
    except KeyboardInterrupt as stopped:
        kept = sum(1 for _ in (out / "jobs").glob("*.safetensors"))
        fits = "1 finished fit is" if kept == 1 else f"{kept} finished fits are"
        text = f"{fits} kept in {out}; `gnnkit compare --resume {out}` goes on from there"
        raise type(stopped)(text if kept else "no fit was finished") from None
    # A pipe has no width of its own; tables get the room that they ask for.
    render_terminal(results, console if console.is_terminal else Console(width=200))
    for failure in results.failures:
        typer.echo(f"gnnkit: {failure.model}, seed {failure.seed} failed: {failure.error}", err=True)
    typer.echo(f"Report: {page}")
    if track is not None:
        typer.echo(f"Track: {Track(track, out / 'track', {}).look}")
    return len(results.failures)
