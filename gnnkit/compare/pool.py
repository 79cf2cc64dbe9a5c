"""Run jobs one after another or in parallel processes; each is in the store when it is done."""

from __future__ import annotations

import io
import multiprocessing
import pickle
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

import torch

from gnnkit.compare.cluster import run_on_cluster
from gnnkit.compare.jobs import Job
from gnnkit.compare.one_job import Reports, Work, raise_of, retell, run_one, torch_threads
from gnnkit.compare.shipping import pack_assigned, unpack_models
from gnnkit.compare.store import JobStore
from gnnkit.training import FitProgress, MatrixProgress

__all__ = ["run_jobs"]


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
        work: what they are run with, and where, if that is a cluster.
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
    if work.cluster is not None:
        return run_on_cluster(work, jobs, store, progress)
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
        verdict, summary = run_one(work, job, fingerprint, store, fit_progress)
        if verdict == "lost":
            lost[job.key] = summary
        if progress:
            progress.end_job(job.label, summary, failed=verdict != "done")
    return lost


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
        pickle.dump((work, str(store.directory), pack_assigned(work.spec.models)), buffer)
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
            raise_of(job, *content)
        if kind == "over":
            self._end(worker, *content)
            self._assign(worker)
        elif worker.fit:
            retell(worker.fit, (kind, content))

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


def _serve(pipe: Connection, cargo: bytes) -> None:
    """The life of a worker: jobs come through the pipe until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends its workers
    work, directory, models = pickle.loads(cargo)  # from the process that made this one, which made it
    unpack_models(models)
    torch.set_num_threads(work.threads)
    store = JobStore(directory)
    try:
        while True:
            job, fingerprint = pipe.recv()
            try:
                found = run_one(work, job, fingerprint, store, Reports(pipe.send))
            except (BrokenPipeError, ConnectionResetError):
                raise
            except Exception as error:
                kind = "OSError" if isinstance(error, OSError) else type(error).__name__
                pipe.send(("error", (kind, str(error), traceback.format_exc())))
            else:
                pipe.send(("over", found))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # nobody listens any more
