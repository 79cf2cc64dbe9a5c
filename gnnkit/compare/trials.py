"""The trials of a comparison, round by round: each is a job, and what the next ones draw follows from those before."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gnnkit.compare.jobs import Job
from gnnkit.compare.one_job import Work
from gnnkit.compare.pool import run_jobs
from gnnkit.compare.pruning import limits
from gnnkit.compare.search import ROUND, Told, draw, given_settings, load_optuna, search_space
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.compare.store import JobStore
from gnnkit.compare.widths import asked_width, count_parameters, own_settings
from gnnkit.data import GraphSeries
from gnnkit.forecasting import model_sizes
from gnnkit.temporal import MODELS
from gnnkit.training import MatrixProgress

__all__ = ["check_trials", "round_jobs", "tune"]

Missing = Callable[[Sequence[Job]], list[tuple[Job, Mapping[str, Any]]]]


def check_trials(spec: FinalSpec, series: GraphSeries) -> None:
    """Build every model at each end of what is drawn, without its numbers: a range that it refuses is found at once.

    Args:
        spec: what is compared; nothing is checked unless its budget is of trials.
        series: the data; only their shape counts.

    Raises:
        ImportError: Optuna is not installed.
        ValueError: a range that is none, or at whose end a model cannot be built.

    Example:
        >>> from gnnkit.compare.spec.comparison import FinalSpec
        >>> from gnnkit.data import simulate_traffic
        >>> spec = FinalSpec(models=["gcn"], trials=3, search={"gcn": {"dropout": [0.0, 0.9]}})
        >>> check_trials(spec, simulate_traffic(num_nodes=4, days=1))
    """
    if not spec.trials:
        return
    load_optuna()
    sizes = model_sizes(spec, series)
    for model in spec.models:
        for name, values in search_space(spec, model).items():
            for end in values.ends:
                error = _build_error(spec, sizes, _job(spec, model, 1, {name: end}))
                if error:
                    raise ValueError(
                        f"trials: {model} with {name} {end} cannot be built: {error}; give another range, e.g. "
                        f"--search '{model}.{name}=[low, high]'"
                    )


def round_jobs(spec: FinalSpec, start: int = 0, told: Mapping[str, Sequence[Told]] | None = None) -> list[Job]:
    """The trials of the next round, of every model.

    The first trial has the settings as given. All others draw theirs from the model's `search_space`, by what the
    trials of the rounds before found for that model; how many trials there will be makes no difference.

    Args:
        spec: what is compared; there are none unless its budget is of trials.
        start: trials of a model in the rounds before (default 0).
        told: those, by model.

    Example:
        >>> from gnnkit.compare.spec.comparison import FinalSpec
        >>> jobs = round_jobs(FinalSpec(models=["gru"], trials=2))
        >>> [job.key for job in jobs], jobs[0].hidden_channels
        (['gru-seed0-trial1', 'gru-seed0-trial2'], 16)
    """
    jobs = []
    for model in spec.models if spec.trials else ():
        before = (told or {}).get(model, ())
        numbers = range(start + 1, 1 + min(start + ROUND, spec.trials or 0))
        first: list[dict[str, Any]] = [{}] if start == 0 else []
        drawn = draw(search_space(spec, model), before, len(numbers) - len(first), spec.seeds[0])
        curves = [trial.curve for trial in before if trial.value is not None and not trial.pruned]
        found = limits(curves, spec.epochs)
        for number, settings in zip(numbers, first + drawn, strict=True):
            jobs.append(dataclasses.replace(_job(spec, model, number, settings), limits=found))
    return jobs


def tune(
    work: Work,
    store: JobStore,
    missing: Missing,
    *,
    workers: int = 1,
    progress: MatrixProgress | None = None,
    kept: bool = False,
) -> list[dict[str, Any]]:
    """Train the trials, and choose each model's by the validation MAE.

    A trial is trained as a fit of the comparison is, with the first seed; it sees no test row, and ends early where
    its validation curve is behind (`gnnkit.compare.pruning`). The store is the memory of the search: a run that was
    cut off tells it what is there, and goes on with the same trials. The trials of a round, of all models, may run side
    by side, and the next round waits for them: any number of processes gives the same trials.

    Args:
        work: spec, data and threads.
        store: where trials are kept, each a job.
        missing: gives those of some jobs that have to be run, with their fingerprints.
        workers: trials at a time.
        progress: told about trials.
        kept: True: trials are those of the store, and nothing is drawn (default False).

    Returns:
        A dict for each model and trial: `model`, `trial`, `settings` (what differs from the spec, and the width),
        `val_mae` (None where its numbers were not finite, its model cannot be built, or it was lost), `seconds` (None
        where it was lost), `epochs`, `pruned`, `error` (why there is no `val_mae`), `chosen`.
    """
    spec = work.spec
    sizes = model_sizes(spec, work.series)
    told: dict[str, list[Told]] = {model: [] for model in spec.models}
    rows: list[dict[str, Any]] = []
    matrix = _Matrix(spec, progress)
    for start in range(0, spec.trials or 0, ROUND):
        jobs = [store.trial(job) for job in _numbered(spec, start)] if kept else round_jobs(spec, start, told)
        left = missing(jobs)
        matrix.begin(jobs, [job for job, _ in left])
        sound = []
        for job, fingerprint in left:
            error = _build_error(spec, sizes, job)
            if error is None:
                sound.append((job, fingerprint))
                continue
            store.save_failure(job, fingerprint, f"cannot be built: {error}", seconds=0.0, made=work.made())
            if progress:
                progress.begin_job(job.label)
                progress.end_job(job.label, f"cannot be built: {error}", failed=True)
        lost = run_jobs(work, sound, store, workers=workers, progress=progress)
        for job in jobs:
            row, trial = _over(spec, job, store, lost)
            rows.append(row)
            told[job.model].append(trial)
    for model in spec.models:
        mine = [row for row in rows if row["model"] == model]
        # The first of the best; where every trial broke, the first, which is what the spec says.
        best = min(mine, key=lambda row: math.inf if row["val_mae"] is None or row["pruned"] else row["val_mae"])
        best["chosen"] = True
    return sorted(rows, key=lambda row: spec.models.index(row["model"]))


class _Matrix:
    """What the progress is told of all trials, of which a round is known at a time."""

    def __init__(self, spec: FinalSpec, progress: MatrixProgress | None) -> None:
        self._progress = progress
        self._labels = [
            (model, job.label) for model in spec.models for job in _numbered(spec, 0, spec.trials) if job.model == model
        ]
        self._over: set[str] = set()
        self._begun = False

    def begin(self, jobs: Sequence[Job], left: Sequence[Job]) -> None:
        """A round begins; a matrix is begun anew where some of it is there already."""
        there = {job.label for job in jobs} - {job.label for job in left}
        self._over |= there
        if self._progress and (there or not self._begun):
            self._progress.begin_matrix(self._labels, set(self._over))
            self._begun = True
        self._over |= {job.label for job in left}


def _numbered(spec: FinalSpec, start: int, count: int | None = ROUND) -> list[Job]:
    """Trials by model, seed and number alone."""
    numbers = range(start + 1, 1 + min(start + (count or 0), spec.trials or 0))
    return [Job(model, spec.seeds[0], trial=number) for model in spec.models for number in numbers]


def _job(spec: FinalSpec, model: str, number: int, drawn: Mapping[str, Any]) -> Job:
    settings = {**drawn, **spec.settings.get(model, {})}
    width = settings.pop("hidden_channels", asked_width(spec, model))
    return Job(model, spec.seeds[0], hidden_channels=width, settings=settings, trial=number)


def _build_error(spec: FinalSpec, sizes: Mapping[str, Any], job: Job) -> str | None:
    """Why the model of a trial cannot be built, in a line."""
    try:
        count_parameters(job.model, job.hidden_channels, sizes, own_settings(spec, job.model, job.settings))
    except ValueError as error:
        return " ".join(str(error).split())
    return None


def _over(spec: FinalSpec, job: Job, store: JobStore, lost: Mapping[str, str]) -> tuple[dict[str, Any], Told]:
    """The row of a trial that is over, and what the sampler is told of it."""
    stored = None if job.key in lost else store.load(job)
    fitted = stored.outcome.fitted if stored and stored.outcome else None
    pruned = fitted is not None and fitted.stopped == "pruned"
    settings = dict(job.settings) | ({"hidden_channels": job.hidden_channels} if MODELS[job.model].has_width else {})
    row = {
        "model": job.model,
        "trial": job.trial,
        "settings": settings,
        "val_mae": fitted.best_val_mae if fitted else None,
        "seconds": stored.seconds if stored else None,
        "epochs": len(fitted.epochs) if fitted else None,
        "pruned": pruned,
        "error": lost[job.key] if stored is None else stored.error,
        "chosen": False,
    }
    known = {**given_settings(spec, job.model), **settings}
    space = search_space(spec, job.model)
    drawn = {
        name: known[name] for name, values in space.items() if name in known and values.holding(known[name]) == values
    }
    value = None if stored is None else fitted.best_val_mae if fitted else math.inf
    curve = [record.val_mae for record in fitted.epochs] if fitted else []
    return row, Told(drawn, value, curve, pruned)
