"""Run jobs one after another or in parallel processes; each is in the store when it is done."""

from __future__ import annotations

import io
import multiprocessing
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

import torch

from gnnkit.compare.jobs import Job
from gnnkit.compare.model_faults import fault_of
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.compare.store import JobStore
from gnnkit.compare.tracking import run_tracked
from gnnkit.data import GraphSeries
from gnnkit.temporal import MODELS
from gnnkit.temporal.entry import core_of
from gnnkit.training import FitProgress, MatrixProgress
from gnnkit.training.environment import commit
from gnnkit.training.threads import torch_threads
from gnnkit.training.track import Track

__all__ = ["Work", "run_jobs"]

_MEMORY = ("DefaultCPUAllocator", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What errors say where memory is short and their type does not tell: on a processor, torch raises RuntimeError."""
_PACE = 0.2
"""Seconds between two reports of a worker."""


@dataclass(frozen=True)
class Work:
    """What every job of a comparison is run with.

    Args:
        spec: what is compared.
        series: the data as they were read.
        threads: of a fit on the processor.
        commit: of the code.
        track: where its fits are tracked; None: nowhere.
    """

    spec: FinalSpec
    series: GraphSeries
    threads: int
    commit: str
    track: Track | None = None

    @classmethod
    def of(cls, spec: FinalSpec, series: GraphSeries, threads: int) -> Work:
        """The work of a spec, with the commit of the code that runs."""
        return cls(spec, series, threads, commit())

    def made(self) -> dict[str, str]:
        """What is kept of when, and with what code, a fit was made."""
        return {"commit": self.commit, "date": datetime.now(UTC).strftime("%Y-%m-%d")}


def run_jobs(
    work: Work,
    jobs: Sequence[tuple[Job, Mapping[str, Any]]],
    store: JobStore,
    *,
    workers: int = 1,
    progress: MatrixProgress | None = None,
) -> dict[str, str]:
    """Run jobs and keep what they predict in the store.

    Args:
        work: what they are run with.
        jobs: pairs of a job and its fingerprint.
        store: where they are kept.
        workers: processes; 1 (default): this one, a job after the other. The numbers are the same, as each has the same
            threads. Each process is used for many jobs, since starting one takes seconds.
        progress: told about jobs and steps.

    Returns:
        Jobs that ended without a result, by key, and why: their process died, memory ran out, or the code of a model of
        one's own came to an error. Fits that failed by their numbers stand in the store.

    Raises:
        ValueError: a job cannot be run as it was asked for.
        RuntimeError: a job in another process came to an error that it should not come to; with its traceback.
    """
    if workers == 1 or len(jobs) <= 1:
        with torch_threads(work.threads):
            return _run_here(work, jobs, store, progress)
    return _Pool(work, jobs, store, min(workers, len(jobs)), progress).run()


def _run_here(
    work: Work, jobs: Sequence[tuple[Job, Mapping[str, Any]]], store: JobStore, progress: MatrixProgress | None
) -> dict[str, str]:
    lost: dict[str, str] = {}
    for job, fingerprint in jobs:
        fit_progress = progress.begin_job(job.label) if progress else None
        verdict, summary = _run_one(work, job, fingerprint, store, fit_progress)
        if verdict == "lost":
            lost[job.key] = summary
        if progress:
            progress.end_job(job.label, summary, failed=verdict != "done")
    return lost


def _run_one(
    work: Work, job: Job, fingerprint: Mapping[str, Any], store: JobStore, progress: FitProgress | None
) -> tuple[str, str]:
    """ "done", "failed" (and kept) or "lost" (and not kept), and a line about it."""
    start = time.perf_counter()
    made, snapshots = work.made(), store.snapshots(job, fingerprint)
    try:
        outcome, seconds = run_tracked(work.track, work.spec, work.series, job, progress, snapshots)
    except FloatingPointError as error:
        store.save_failure(job, fingerprint, str(error), seconds=time.perf_counter() - start, made=made)
        return "failed", str(error)
    except Exception as error:
        if _memory_ran_out(error):
            return "lost", f"memory ran out ({' '.join(str(error).split())[:200] or 'MemoryError'})"
        entry = MODELS[job.model]
        fault = fault_of(error, entry.build) if entry.is_own else None
        if fault is None:
            raise
        return "lost", fault  # not kept: what is mended, in its file or around it, runs again
    store.save(job, fingerprint, outcome, seconds=seconds, made=made)
    snapshots.remove()
    fitted = outcome.fitted
    figures = f", best validation MAE {fitted.best_val_mae:.4g}" if fitted else ""
    figures += f" in epoch {fitted.best_epoch}" if fitted and fitted.epochs else ""
    return "done", f"{seconds:.1f} s{figures}"


def _memory_ran_out(error: Exception) -> bool:
    known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return known or any(words in str(error) for words in _MEMORY)


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    job: Job | None = None
    fit: FitProgress | None = None


class _Pool:
    """Processes, each with a pipe of its own: when one dies, it is known which job it had."""

    def __init__(
        self,
        work: Work,
        jobs: Sequence[tuple[Job, Mapping[str, Any]]],
        store: JobStore,
        workers: int,
        progress: MatrixProgress | None,
    ) -> None:
        self.waiting = list(jobs)[::-1]
        self.store, self.progress, self.count = store, progress, workers
        self.lost: dict[str, str] = {}
        self.workers: list[_Worker] = []
        self.context = _context()
        # Pickled once, and plainly: torch's own way puts tensors into shared memory, of which a container has little.
        buffer = io.BytesIO()
        pickle.dump((work, str(store.directory), _models_to_ship(work.spec.models)), buffer)
        self.cargo = buffer.getvalue()

    def run(self) -> dict[str, str]:
        try:
            while self.waiting or any(worker.job for worker in self.workers):
                while self.waiting and len(self.workers) < self.count:
                    self._start()
                pipes = {worker.pipe: worker for worker in self.workers}
                for pipe in wait(list(pipes), timeout=1.0):
                    self._listen(pipes[pipe])  # pyright: ignore[reportArgumentType]
        finally:
            self._stop()
        return self.lost

    def _start(self) -> None:
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=_serve, args=(theirs, self.cargo), daemon=True)
        with _no_main():
            process.start()
        theirs.close()  # else the pipe would stay open when the process dies
        self.workers.append(_Worker(process, ours))
        self._assign(self.workers[-1])

    def _assign(self, worker: _Worker) -> None:
        worker.job = worker.fit = None
        if self.waiting:
            worker.job, fingerprint = self.waiting.pop()
            worker.fit = self.progress.begin_job(worker.job.label) if self.progress else None
            with suppress(BrokenPipeError, ConnectionResetError):  # it is dead, and `_listen` will hear of it
                worker.pipe.send((worker.job, dict(fingerprint)))

    def _listen(self, worker: _Worker) -> None:
        try:
            kind, content = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            self._bury(worker)
            return
        if kind == "error":
            job = worker.job.label if worker.job else "a job"
            name, message, trace = content
            if name in ("ValueError", "OSError"):  # of bad input, or of a disk that is full
                raise ValueError(message) if name == "ValueError" else OSError(message)
            raise RuntimeError(f"{job}: {name}: {message}\n{trace}")
        if kind == "over":
            self._end(worker, *content)
            self._assign(worker)
        elif worker.fit:
            begin, steps, latest = content
            if begin is not None:
                worker.fit.begin_fit(begin)
            for _ in range(steps):
                worker.fit.step(**latest)
            if kind == "end":
                worker.fit.end_fit()

    def _end(self, worker: _Worker, verdict: str, summary: str) -> None:
        if worker.job is None:
            return
        if verdict == "lost":
            self.lost[worker.job.key] = summary
        if self.progress:
            self.progress.end_job(worker.job.label, summary, failed=verdict != "done")

    def _bury(self, worker: _Worker) -> None:
        worker.process.join()
        code = worker.process.exitcode or 0
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        hint = " (was memory short? try fewer jobs)" if code == -signal.SIGKILL else ""
        self._end(worker, "lost", f"its process died with {how}{hint}")
        worker.pipe.close()
        self.workers.remove(worker)

    def _stop(self) -> None:
        for worker in self.workers:
            worker.pipe.close()
            if worker.job:
                worker.process.terminate()
        for worker in self.workers:
            worker.process.join(timeout=5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


def _models_to_ship(names: Sequence[str]) -> bytes:
    """Those models of a spec that code of this process registered, and that no other process finds by their names.

    Raises:
        ValueError: one of them cannot be pickled; the message says what to do.
    """
    import cloudpickle

    shipped = {}
    for name, entry in MODELS.assigned(names).items():
        module = sys.modules.get(getattr(core_of(entry.build), "__module__", ""))
        by_value = module is not None and MODELS.file_of(module) is not None  # its name means nothing to others
        try:
            if by_value:
                cloudpickle.register_pickle_by_value(module)
            shipped[name] = cloudpickle.dumps(entry)
        except Exception as error:  # whatever its parts raise
            reason = " ".join(str(error).split())
            raise ValueError(
                f"model {name!r} cannot be sent to other processes ({type(error).__name__}: {reason}); put its class "
                f"into a file and name it file.py:Class, or run one job at a time"
            ) from None
        finally:
            if by_value:
                cloudpickle.unregister_pickle_by_value(module)
    return pickle.dumps(shipped)


@contextmanager
def _no_main() -> Iterator[None]:
    """Start a process that does not run the script of this one anew: it has all that it needs, and a script needs no
    guard."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _context() -> Any:
    """How processes are made: never by a fork of this one, which has threads and perhaps a CUDA device."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [__name__, "lightning.fabric"]
    )  # what takes seconds to import is imported once for all of them
    return context


class _Reports:
    """A worker's side of the progress of a fit: few messages, whatever the number of steps."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.begin: int | None = None
        self.steps, self.latest, self.sent = 0, {}, 0.0

    def begin_fit(self, steps: int) -> None:
        self.begin = steps

    def step(self, *, epoch: int, loss: float, val_mae: float | None) -> None:
        self.steps += 1
        self.latest = {"epoch": epoch, "loss": loss, "val_mae": val_mae}
        if time.monotonic() - self.sent >= _PACE:
            self._send("step")

    def end_epoch(self, *, epoch: int, train_loss: float, val_mae: float, seconds: float) -> bool:
        return False

    def end_fit(self) -> None:
        self._send("end")

    def _send(self, kind: str) -> None:
        # A parent that is gone breaks the pipe: the worker ends here, at the latest one pace after it.
        self.pipe.send((kind, (self.begin, self.steps, self.latest)))
        self.begin, self.steps, self.sent = None, 0, time.monotonic()


def _serve(pipe: Connection, cargo: bytes) -> None:
    """The life of a worker: jobs come through the pipe until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends its workers
    work, directory, models = pickle.loads(cargo)  # from the process that made this one, which made it
    for name, entry in pickle.loads(models).items():
        MODELS[name] = pickle.loads(entry)
    torch.set_num_threads(work.threads)
    store = JobStore(directory)
    try:
        while True:
            job, fingerprint = pipe.recv()
            try:
                found = _run_one(work, job, fingerprint, store, _Reports(pipe))
            except (BrokenPipeError, ConnectionResetError):
                raise
            except Exception as error:
                kind = "OSError" if isinstance(error, OSError) else type(error).__name__
                pipe.send(("error", (kind, str(error), traceback.format_exc())))
            else:
                pipe.send(("over", found))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # nobody listens any more
