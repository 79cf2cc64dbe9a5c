"""LSTM against BiLSTM on random combinations: the course report's part 1, run by run, in a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

import gnnkit
from gnnkit.kept_files import claim_folder, read_json, write_json, write_text
from gnnkit.studies.combinations.plots import write_figures
from gnnkit.studies.combinations.report import write_report
from gnnkit.studies.combinations.settings import CELLS, INITIALIZATIONS, CombinationsSettings, Run
from gnnkit.studies.combinations.training import train
from gnnkit.training import Snapshots, resolve_device
from gnnkit.training.code import code_digest
from gnnkit.training.threads import fit_threads, torch_threads

__all__ = ["load_runs", "run_study"]

_CODE = ("ops", "data", "sequence", "training", "studies/combinations")


def run_study(settings: CombinationsSettings, out: str | Path, *, console: Console | None = None) -> pd.DataFrame:
    """Train every run that is not there yet, and write rows, tables and figures of all runs in `out`.

    A finished run is kept as `runs/NAME.json`, so that a study that was cut off goes on where it was, and a study of
    more lengths, cells, widths or seeds adds to what is there.

    Args:
        settings: What to run.
        out: The folder. Besides `runs/` and `recipe.json` it gets `rows.csv`, `curves.csv`, `report.md` (the tables,
            and what differs from the report), `loss.png`, `accuracy.png` and `gradient_flow.png`.
        console: Where a progress bar is drawn, if it is a terminal. Default: nowhere.

    Returns:
        The rows of all runs in the folder, one a run.

    Raises:
        ValueError: `out` is a file, holds something else, or holds runs of another recipe or of an earlier gnnkit.
    """
    resolve_device(settings.device)  # before anything is written
    out = Path(out)
    made_from = {**settings.recipe(), "gnnkit": gnnkit.__version__}
    with claim_folder(out, "recipe.json", made_from, "runs", finished=lambda: any(_files(out))):
        if any(_files(out)):
            load_runs(out)  # what cannot stand in one table with these is refused before anything is trained
        (out / "runs").mkdir(exist_ok=True)
        wanted = {out / "runs" / f"{run.name}.json": run for run in settings.runs()}
        missing = {file: run for file, run in wanted.items() if not file.exists()}
        for file in set(wanted) - set(missing):  # cut off behind its last word
            Snapshots(file.with_suffix(".snapshot"), {}).remove()
        with _bar(console, settings, done=len(wanted) - len(missing), total=len(wanted)) as watch:
            for file, run in missing.items():
                depends = {**made_from, **run._asdict(), "device": settings.device, "code": code_digest(*_CODE)}
                snapshots = Snapshots(file.with_suffix(".snapshot"), depends, anew=True)
                try:
                    with snapshots.named_on_explosion(), torch_threads(_threads(run, settings, snapshots)):
                        result = train(run, settings, on_step=watch(run), snapshots=snapshots)
                except FloatingPointError as error:
                    raise FloatingPointError(f"{run.name}: {error}") from None
                write_json(file, result, indent=None)
                snapshots.remove()
        runs = load_runs(out)
        rows = pd.DataFrame([run["row"] for run in runs])
        write_text(out / "rows.csv", rows.to_csv(index=False))
        keys = list(Run._fields)
        curves = [pd.DataFrame(run["curve"]).assign(**{key: run["row"][key] for key in keys}) for run in runs]
        columns = [*keys, "step", "loss", "accuracy"]
        write_text(out / "curves.csv", pd.concat(curves)[columns].to_csv(index=False, float_format="%.6g"))
        write_report(rows, out / "report.md")
        write_figures(runs, out)
    return rows


def load_runs(out: str | Path) -> list[dict[str, Any]]:
    """The finished runs in a folder of `run_study`, as `train` returned them, by length, embedding, cell, start, seed.

    Raises:
        ValueError: There is none, or one is of an earlier gnnkit, which knew one initialisation.
    """
    runs = []
    for file in _files(Path(out)):
        runs.append(read_json(file, dict))
        if missing := {"row", "curve", "flow"} - set(runs[-1]):
            raise ValueError(f"{file} is damaged (it has no {sorted(missing)[0]}); remove it, or give another folder")
    if not runs:
        raise ValueError(f"{out} holds no finished run; gnnkit sequence --out {out} makes them")
    if any("initialization" not in run["row"] for run in runs):
        raise ValueError(f"{out} holds runs of an earlier gnnkit, which do not say how they began; give another folder")
    cells, initializations = list(CELLS), list(INITIALIZATIONS)

    def place(run: dict[str, Any]) -> tuple[int, ...]:
        row = run["row"]
        start = initializations.index(row["initialization"])
        return row["length"], row["embedding"], cells.index(row["cell"]), start, row["seed"]

    return sorted(runs, key=place)


def _threads(run: Run, settings: CombinationsSettings, snapshots: Snapshots) -> int:
    width = max(run.embedding, settings.hidden_channels)
    work = settings.batch_size * run.length * width * settings.hidden_channels
    return fit_threads(work, resolve_device(settings.device), asked=settings.threads, snapshots=snapshots)


def _files(out: Path) -> list[Path]:
    return sorted((out / "runs").glob("*.json"))


Watch = Callable[[Run], Callable[[int, float, float], None] | None]


@contextmanager
def _bar(console: Console | None, settings: CombinationsSettings, *, done: int, total: int) -> Iterator[Watch]:
    """A bar over all steps of all runs, or nothing where there is no terminal."""
    if console is None or not console.is_terminal:
        yield lambda run: None
        return
    figures = TextColumn("{task.fields[figures]}")
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), figures)
    finished = done
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total * settings.steps, completed=done * settings.steps, figures="")

        def watch(run: Run) -> Callable[[int, float, float], None]:
            nonlocal finished
            before, finished = finished, finished + 1

            def on_step(step: int, loss: float, accuracy: float) -> None:
                figures = f"step {step}  loss {loss:.4f}  accuracy {accuracy:.3f}"
                label = f"run {before + 1} of {total}  {run.name}"
                progress.update(task, completed=before * settings.steps + step, description=label, figures=figures)

            return on_step

        yield watch
