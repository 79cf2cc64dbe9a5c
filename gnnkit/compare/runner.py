"""Run a comparison: one spec → jobs → rows, errors and verdicts."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from gnnkit.compare.baselines import BASELINES, historical_average_note
from gnnkit.compare.jobs import Job, ablation_notes, job_windows, plan_jobs
from gnnkit.compare.output import keep_spec, kept_threads
from gnnkit.compare.pool import Work, run_jobs
from gnnkit.compare.results import CURVE_COLUMNS, ROW_COLUMNS, STEP_COLUMNS, Results
from gnnkit.compare.scores import Outcome, node_errors, score_rows, step_rows, traces, window_errors
from gnnkit.compare.spec import ComparisonSpec, FinalSpec, resolve
from gnnkit.compare.store import JobStore, StoredJob, code_digest, fingerprint
from gnnkit.compare.verdicts import verdicts
from gnnkit.data import GraphSeries, WindowSplits, chronological_split, load, make_windows, read_own
from gnnkit.training import MatrixProgress, resolve_device
from gnnkit.training.environment import environment

__all__ = ["load_series", "run"]


def run(
    spec: ComparisonSpec,
    progress: MatrixProgress | None = None,
    *,
    series: GraphSeries | None = None,
    jobs: int = 1,
    directory: str | Path | None = None,
    resume: bool = False,
) -> Results:
    """Train every model with every seed on the same windows, and compare them with each other and the baselines.

    A model is trained once a seed to predict max(horizons) steps and scored at each horizon P on the test windows that
    hold P targets, twice: over all steps 1 … P and over step P alone. All errors are in the data's unit. A fit whose
    numbers stop being finite has no rows: it stands in `Results.failures`, and the others go on.

    Every fit is a job whose predictions are kept in a file. All that is found is found from these files, so that a run
    that was cut off and goes on finds the same.

    Args:
        spec: what to compare; `make_spec` builds it.
        progress: told about jobs and their steps; None: quiet.
        series: the data, in place of what `spec.data` or `spec.series` names.
        jobs: fits at a time, each in a process of its own if there are more than one (default 1).
        directory: where spec and jobs are kept (`spec.json` and `jobs/`). What is there from an earlier run of the same
            spec is not run again. None: they are gone afterwards.
        resume: True runs jobs in `directory` again that do not belong to this run; False (default): an error.

    Returns:
        Everything that was found.

    Raises:
        ValueError: the data cannot be read, or is too short for history and horizons; before anything is trained. Or
            `directory` holds jobs of another spec, other data or other code.

    Example:
        >>> from gnnkit.compare import make_spec
        >>> small = {"num_nodes": 8, "days": 2}
        >>> spec = make_spec(data_options=small, models=["gru"], seeds=[0], epochs=1, horizons=[3])
        >>> results = run(spec)
        >>> results.models
        ['last-value', 'rolling-average', 'historical-average', 'gru']
    """
    start = time.perf_counter()
    if jobs < 1:
        raise ValueError(f"jobs is {jobs}; give a number of processes of at least 1")
    series = load_series(spec) if series is None else series
    final = resolve(spec)
    _check_windows(final, series)
    windows = job_windows(final, series)[1]
    planned = plan_jobs(final)
    data_hash = series.digest()
    with _folder(directory) as folder:
        store = JobStore(folder / "jobs")
        with store.locked():
            # The threads that an earlier run had are kept, whatever `jobs` is now: its jobs stay comparable.
            threads = spec.threads or kept_threads(folder) or max(1, torch.get_num_threads() // jobs)
            keep_spec(spec.model_copy(update={"threads": threads}), folder, data_hash=data_hash)
            prints = {job.key: fingerprint(final, job, data_hash=data_hash, threads=threads) for job in planned}
            missing = _missing(store, planned, prints, resume)
            if progress:
                done = {job.label for job in planned if job not in missing}
                progress.begin_matrix([(job.model, job.label) for job in planned], done)
            work = Work.of(final, series, threads)
            began = time.perf_counter()
            lost = run_jobs(work, [(job, prints[job.key]) for job in missing], store, workers=jobs, progress=progress)
            waited = time.perf_counter() - began
        stored = {job: store.load(job) for job in planned if job.key not in lost}
        results = _judge(final, series, windows, planned, stored, lost, threads)
    fits = sum(found.outcome.fitted.wall_seconds for found in stored.values() if found.outcome and found.outcome.fitted)
    wall = time.perf_counter() - start
    # Of a job, what is not its fit is the referee's, too: windows, predictions, the file.
    around = sum(found.seconds for found in stored.values()) - fits
    results.environment |= {"wall_seconds": wall, "fit_seconds": fits, "referee_seconds": wall - waited + around}
    return results


def load_series(spec: ComparisonSpec) -> GraphSeries:
    """The data that a spec names: a known data set, or your own files.

    Raises:
        ValueError: it cannot be read; the message says what is wrong with which file.
    """
    if spec.series is None:
        series = load(spec.data or "simulated", spec.data_root, **spec.data_options)
    else:
        names = ("graph_format", "target", "unit", "step_minutes", "season")
        options = {name: getattr(spec, name) for name in names if getattr(spec, name) is not None}
        series = read_own(spec.series, spec.graph, **options)
    if spec.split is None:
        return series
    return dataclasses.replace(series, split=chronological_split(series.num_rows, spec.split))


@contextmanager
def _folder(directory: str | Path | None) -> Iterator[Path]:
    if directory is not None:
        yield Path(directory)
        return
    with tempfile.TemporaryDirectory(prefix="gnnkit-") as folder:
        yield Path(folder)


def _missing(store: JobStore, jobs: Sequence[Job], prints: Mapping[str, Mapping], resume: bool) -> list[Job]:
    """The jobs that have to be run."""
    missing = []
    for job in jobs:
        problem = store.mismatch(job, prints[job.key]) if job in store else "is not there"
        if problem and job in store and not resume:
            raise ValueError(
                f"{store.path(job)} {problem}; resume (--resume) to run such jobs again, or give another folder"
            )
        missing += [job] if problem else []
    return missing


def _check_windows(spec: FinalSpec, series: GraphSeries) -> None:
    longest = max(spec.horizons)
    # Asked for in full: a split that is too short for the longest horizon is an error, not a row without windows.
    options = {"scaler": spec.scaler, "time_features": spec.time_features}
    windows = make_windows(series, history=spec.history, horizon=longest, **options)
    for part in ("val", "test"):
        chosen = getattr(windows, part)
        if not chosen.batch(torch.arange(len(chosen))).y_mask.any():
            raise ValueError(
                f"the {part} split of {series.name} has no observed target in rows {chosen.rows.start} to "
                f"{chosen.rows.stop - 1}; give a series with values there"
            )


def _judge(
    spec: FinalSpec,
    series: GraphSeries,
    windows: WindowSplits,
    planned: Sequence[Job],
    stored: Mapping[Job, StoredJob],
    lost: Mapping[str, str],
    threads: int,
) -> Results:
    """Everything that follows from what was predicted, and from nothing else."""
    place = environment(resolve_device(spec.device)) | {"threads": threads}
    place |= {"data_hash": series.digest(), "code_hash": code_digest()}
    true, mask = _targets(windows.test)
    counted = {p: windows.test.count(p) for p in spec.horizons}
    longest = windows.test.count(max(spec.horizons))
    baselines = [
        Outcome(name, "baseline", 0, predict(series, windows.test), None) for name, predict in BASELINES.items()
    ]
    trained = [(job, found.outcome) for job, found in stored.items() if found.outcome]
    base = [*baselines, *(outcome for _, outcome in trained if outcome.condition.is_base)]

    shared = {"data": series.name, "data_hash": place["data_hash"], "history": spec.history, "leak": ""}
    shared |= {key: place[key] for key in ("device", "hardware", "threads", "torch", "gnnkit", "commit", "date")}
    facts = {(job.model, job.seed, job.condition): (job, stored[job]) for job, _ in trained}
    rows: list[dict[str, Any]] = []
    for outcome in [*baselines, *(outcome for _, outcome in trained)]:
        job, found = facts.get((outcome.model, outcome.seed, outcome.condition), (None, None))
        own = {**dataclasses.asdict(outcome.condition), "hidden_channels": 0, "trials": 0}
        if job and found:
            own |= {"hidden_channels": job.hidden_channels, "trials": job.trials, **found.made}
        rows += [shared | row | own for row in score_rows([outcome], true, mask, counted)]

    absolute, squared, counts = window_errors(base, true, mask, counted)
    families = {outcome.model: outcome.family for outcome in base}
    note = historical_average_note(series)
    return Results(
        spec=spec.to_json(),
        environment=place,
        data=_describe(series),
        rows=pd.DataFrame(rows, columns=ROW_COLUMNS),
        curves=pd.DataFrame([row for outcome in base for row in _curve(outcome)], columns=CURVE_COLUMNS),
        step_errors=pd.DataFrame(step_rows(base, true[:longest], mask[:longest]), columns=STEP_COLUMNS),
        window_errors={name: {p: _mean(table) for p, table in found.items()} for name, found in absolute.items()},
        seed_window_errors=absolute,
        seed_window_squared=squared,
        window_counts=counts,
        node_errors=node_errors(base, true[:longest], mask[:longest]),
        traces=traces(base, series, windows.test, true, mask),
        verdicts=verdicts(
            absolute,
            squared,
            counts,
            families,
            history=spec.history,
            unit=series.unit,
            step_minutes=series.step_minutes,
            resamples=spec.resamples,
            confidence=spec.confidence,
        ),
        notes=[*([note] if note else []), *ablation_notes(spec)],
        failures=_failures(planned, stored, lost),
    )


def _failures(planned: Sequence[Job], stored: Mapping[Job, StoredJob], lost: Mapping[str, str]) -> list[dict[str, Any]]:
    found = []
    for job in planned:
        error = lost[job.key] if job.key in lost else stored[job].error
        if error is not None:
            found.append({"model": job.model, "seed": job.seed, "condition": job.condition.label, "error": error})
    return found


def _targets(windows: Any) -> tuple[Tensor, Tensor]:
    """All targets [W, P, N] of one split in the data's unit, and which of them were observed."""
    batch = windows.batch(torch.arange(len(windows)))
    return batch.y, batch.y_mask


def _curve(outcome: Outcome) -> list[dict[str, Any]]:
    records = outcome.fitted.epochs if outcome.fitted else []
    return [{"model": outcome.model, "seed": outcome.seed} | dataclasses.asdict(record) for record in records]


def _mean(per_seed: list[list[float | None]]) -> list[float | None]:
    """Mean over seeds of every window; the windows without a target are the same for all seeds."""
    return [None if column[0] is None else float(np.mean(column)) for column in zip(*per_seed, strict=True)]


def _describe(series: GraphSeries) -> dict[str, Any]:
    edges = zip(*series.edge_index.tolist(), series.edge_weight.tolist(), strict=True)
    return {
        "name": series.name,
        "source": series.source,
        "unit": series.unit,
        "step_minutes": series.step_minutes,
        "season": series.season,
        "start": None if series.start is None else series.start.isoformat(),
        "rows": series.num_rows,
        "nodes": series.num_nodes,
        "features": series.num_features,
        "missing_share": float(series.values[..., 0].isnan().double().mean()),
        "split": series.split.label,
        "split_rows": {part: [rows.start, rows.stop] for part, rows in series.split.parts.items()},
        "node_names": list(series.node_names),
        "positions": None if series.positions is None else series.positions.tolist(),
        "edges": [list(edge) for edge in edges],
    }
