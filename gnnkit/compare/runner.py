"""Run a comparison: one spec → jobs → rows, errors and verdicts."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gnnkit.compare.budget import match_budget
from gnnkit.compare.cluster import check_cluster
from gnnkit.compare.comparison import Comparison
from gnnkit.compare.conditions import BASE
from gnnkit.compare.evidence import Evidence, has_graph
from gnnkit.compare.folds import Fold, fold_series, settle_folds
from gnnkit.compare.forecasts.judged import align_files
from gnnkit.compare.jobs import Job, check_models, job_windows, plan_jobs
from gnnkit.compare.judge import judge
from gnnkit.compare.leakage.audit import audit
from gnnkit.compare.one_job import Work
from gnnkit.compare.output import check_kept, keep_spec, kept_forecasts, kept_threads
from gnnkit.compare.pool import run_jobs
from gnnkit.compare.spec.comparison import ComparisonSpec, FinalSpec
from gnnkit.compare.standing import standing_rivals, standing_sentence
from gnnkit.compare.store import JobStore, code_digest, fingerprint
from gnnkit.compare.trials import check_trials, round_jobs, tune
from gnnkit.data import GraphSeries
from gnnkit.forecasting.settle import check_observed, fit_windows, load_series
from gnnkit.kept_files import locked_folder
from gnnkit.training import MatrixProgress, resolve_device
from gnnkit.training.environment import environment
from gnnkit.training.ranks import current_ranks
from gnnkit.training.track import open_track

__all__ = ["run"]

_STATUSES = ("passed", "warning", "allowed")
"""Of a finding of the audit, the better one first."""


def run(
    spec: ComparisonSpec,
    progress: MatrixProgress | None = None,
    *,
    series: GraphSeries | None = None,
    jobs: int = 1,
    directory: str | Path | None = None,
    resume: bool = False,
    only_judge: bool = False,
    track: str | None = None,
    cluster: str | None = None,
) -> Comparison:
    """Train every model with every seed on the same windows, and compare them with each other and the baselines.

    A model is trained once a seed to predict max(horizons) steps and scored at each horizon P on the test windows that
    hold P targets, twice: over all steps 1 … P and over step P alone. All errors are in the data's unit. A fit whose
    numbers stop being finite has no rows: it stands in `Results.failures`, and the others go on.

    Every fit is a job whose predictions are kept in a file. All that is found is found from these files, so that a run
    that was cut off and goes on finds the same.

    Args:
        spec: what to compare; `make_spec` builds it.
        progress: told about jobs and their steps; None: quiet.
        series: the data, in place of what `spec.data` or `spec.series` names; split as `spec.split` says, if it does.
        jobs: fits at a time, each in a process of its own if there are more than one (default 1).
        directory: where spec and jobs are kept (`spec.json` and `jobs/`). What is there from an earlier run of the same
            spec is not run again. None: they are gone afterwards.
        resume: True runs jobs in `directory` again that were made with other code or settings; False (default): an
            error.
        only_judge: True trains nothing: the finished jobs in `directory` are judged with the statistics of this
            version, whatever version trained them (default False). Rows keep the commit of their fits.
        track: "tensorboard", "mlflow" or "wandb" logs each fit that is run there, a run a fit, with its settings, its
            epochs and its test scores (`gnnkit.training.track`); what is written to a disk lies in `track/` of
            `directory`. None (default): nowhere. It changes no number.
        cluster: the address of a Dask scheduler, e.g. "tcp://node7:8786", whose workers run the fits (see
            `gnnkit.compare.cluster`). None (default): this machine does.

    Returns:
        Everything that was found.

    Raises:
        ValueError: the data cannot be read, or is too short for history and horizons under one of the conditions; a
            model refuses a setting; there is a leak (`LeakError`); all before anything is trained. Or `directory`
            holds jobs of other code or settings, or a run of another spec or other data that is not over; or the
            tracker cannot be reached.
        ImportError: the tracker, or Dask, is not installed.

    Example:
        >>> from gnnkit.compare import make_spec
        >>> small = {"num_nodes": 8, "days": 2}
        >>> spec = make_spec(data_options=small, models=["gru"], rivals=False, seeds=[0], epochs=1, horizons=[3])
        >>> results = run(spec)
        >>> results.models
        ['last-value', 'rolling-average', 'historical-average', 'seasonal-naive', 'gru']
    """
    start = time.perf_counter()
    if jobs < 1:
        raise ValueError(f"jobs is {jobs}; give a number of processes of at least 1")
    if jobs > 1 and (ranks := current_ranks()) is not None:
        raise ValueError(
            f"jobs is {jobs}, but each fit runs on all {ranks.count} processes of torchrun; leave jobs out"
        )
    if track is not None and directory is None:
        raise ValueError(f"track: {track} needs a folder that stays; give a directory")
    if cluster is not None:
        check_cluster(cluster, jobs=jobs, track=track)
    series = load_series(spec) if series is None else series
    final, series, sentences = settle_folds(spec, series)
    if spec.ablate_graph and not has_graph(series):
        raise ValueError(
            f"ablate_graph: {series.name} has no edge between two nodes, so there is no graph to take away; give one "
            f"(graph), or leave ablate_graph out"
        )
    # Asked for in full: a split that is too short for the longest horizon is an error, not a row without windows.
    for fold in range(final.folds):
        one = fold_series(final, series, fold)
        check_observed(one, fit_windows(final, one, whole=True))
    rivals = standing_rivals(final, series)
    sentences += [standing_sentence(rivals)] if rivals else []
    planned = plan_jobs(final, match_budget(final, series).chosen, rivals)
    if not only_judge:
        check_trials(final, series)
    folds = [Fold(*job_windows(final, series, fold=number)) for number in range(final.folds)]
    check_models(final, series, folds[0].windows, planned)
    aligned = align_files(final, folds[0].windows, series)
    digests = aligned.digests if aligned else {}
    findings = _audit_conditions(final, series, folds, planned)
    data_hash = series.digest()
    with _folder(directory) as folder:
        store = JobStore(folder / "jobs")
        with locked_folder(folder):
            check_kept(spec, folder, data_hash=data_hash)
            # The threads that an earlier run had are kept, whatever `jobs` is now: its jobs stay comparable.
            threads = spec.threads or kept_threads(folder) or max(1, torch.get_num_threads() // jobs)
            final = final.model_copy(update={"threads": threads})
            work = Work.of(final, series, threads, cluster)
            before = kept_forecasts(folder)
            left = partial(_missing, work, store, data_hash=data_hash, resume=resume, only_judge=only_judge)
            # An error where what is there is not of this run; trials that are judged again are those that are there.
            left((() if only_judge else round_jobs(final)) if final.trials else planned)
            # Only now: the spec of a run that is half done is not lost to one that does not fit it.
            keep_spec(spec.model_copy(update={"threads": threads}), folder, data_hash=data_hash, forecasts=digests)
            if track is not None:
                tags = {"data": series.name, "data_hash": data_hash, "commit": work.commit}
                work = dataclasses.replace(work, track=open_track(track, folder / "track", tags))
            began = time.perf_counter()
            tuning = tune(work, store, left, workers=jobs, progress=progress, kept=only_judge) if final.trials else []
            budget = match_budget(final, series, tuning)
            planned = plan_jobs(final, budget.chosen, rivals)
            missing = left(planned)
            if progress:
                to_run = {job for job, _ in missing}
                done = {job.label for job in planned if job not in to_run}
                progress.begin_matrix([(job.model, job.label) for job in planned], done)
            lost = run_jobs(work, missing, store, workers=jobs, progress=progress)
            waited = time.perf_counter() - began
        stored = {job: store.load(job) for job in planned if job.key not in lost}
        place = environment(resolve_device(spec.device)) | {"threads": threads, "jobs": jobs}
        codes = sorted({store.code(job) for job in stored}) if only_judge else [code_digest()]
        place |= {"data_hash": data_hash, "code_hash": ", ".join(codes)}
        told: tuple[Any, ...] = (place, findings, budget.record, sentences)
        if aligned:
            place |= {"forecasts": digests}
            changed = [name for name, digest in digests.items() if before.get(name, digest) != digest]
            anew = [f"Other forecasts of {', '.join(changed)} than when the run was begun: judged anew."]
            sentences = [*sentences, *aligned.sentences, *(anew if changed else [])]
            told = (place, [*findings, *aligned.checks], budget.record, sentences)
            folds = [Fold(series, aligned.windows)]
        results = judge(Evidence(final, series, folds, planned, stored, lost, *told, aligned=aligned))
    fits = sum(found.outcome.fitted.wall_seconds for found in stored.values() if found.outcome and found.outcome.fitted)
    wall = time.perf_counter() - start
    # Of a job, what is not its fit is the referee's, too: windows, predictions, the file.
    around = sum(found.seconds for found in stored.values()) - fits
    results.environment |= {"wall_seconds": wall, "fit_seconds": fits, "referee_seconds": wall - waited + around}
    return Comparison.of(results)


@contextmanager
def _folder(directory: str | Path | None) -> Iterator[Path]:
    if directory is not None:
        yield Path(directory)
        return
    with tempfile.TemporaryDirectory(prefix="gnnkit-") as folder:
        yield Path(folder)


def _missing(
    work: Work, store: JobStore, jobs: Sequence[Job], data_hash: str, resume: bool, only_judge: bool
) -> list[tuple[Job, Mapping[str, Any]]]:
    """The jobs that have to be run, with their fingerprints; none where they are only judged."""
    missing = []
    for job in jobs:
        wanted = fingerprint(work.spec, job, work.series, data_hash=data_hash, threads=work.threads)
        problem = store.mismatch(job, wanted, any_code=only_judge) if job in store else "is not there"
        if problem and only_judge:
            raise ValueError(f"{store.path(job)} {problem}; only a run that is over can be judged again (--resume)")
        if problem and job in store and not resume:
            raise ValueError(
                f"{store.path(job)} {problem}; resume (--resume) to run such jobs again, or give another folder"
            )
        missing += [(job, wanted)] if problem else []
        if not problem:
            store.snapshots(job, wanted).remove()  # cut off behind its last word
    return missing


def _audit_conditions(
    spec: FinalSpec, series: GraphSeries, folds: Sequence[Fold], jobs: Sequence[Job]
) -> list[dict[str, str]]:
    """Make the windows of every fold and condition, with every seed that changes what they hold, and audit them once.

    The findings are those of the base condition in the first fold, but for a cause that is worse elsewhere.
    """
    findings = audit(folds[0].series, folds[0].windows, allow=spec.allow_leaks)
    for number, fold in enumerate(folds[1:], 2):
        with _named(f"fold {number}"):
            found = zip(findings, audit(fold.series, fold.windows, allow=spec.allow_leaks), strict=True)
            findings = [_worse(one, other, f"In fold {number}") for one, other in found]
    audited = {(BASE, fold) for fold in range(spec.folds)}
    others = [job for job in jobs if not job.condition.is_base]
    # A seed draws outages, and edges, of which the windows hold nothing.
    pairs = dict.fromkeys((job.condition, job.seed if job.condition.hidden_share else spec.seeds[0]) for job in others)
    for (condition, seed), fold in itertools.product(pairs, range(spec.folds)):
        place = f"{condition.label}, fold {fold + 1}" if spec.folds > 1 else condition.label
        with _named(place):
            changed, own = job_windows(spec, series, condition, seed, fold)
            alike = dataclasses.replace(condition, adjacency="given")  # another graph leaves the windows as they are
            if (alike, fold) not in audited:
                audited.add((alike, fold))
                found = zip(findings, audit(changed, own, allow=spec.allow_leaks), strict=True)
                findings = [_worse(one, other, f"Under {place}") for one, other in found]
    return findings


def _worse(one: dict[str, str], other: dict[str, str], place: str) -> dict[str, str]:
    if _STATUSES.index(other["status"]) <= _STATUSES.index(one["status"]):
        return one
    return {**other, "detail": f"{place}: {other['detail']}"}


@contextmanager
def _named(place: str) -> Iterator[None]:
    """Name the condition or the fold in an error, whose type stays."""
    try:
        yield
    except ValueError as error:
        error.args = (f"{place}: {error}",)
        raise
