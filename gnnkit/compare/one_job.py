"""One job of a comparison, run by whoever has it: this process, one of a pool, or a worker of a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

import torch

from gnnkit.compare.jobs import Job
from gnnkit.compare.model_faults import fault_of
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.compare.store import JobStore
from gnnkit.compare.tracking import run_tracked
from gnnkit.data import GraphSeries
from gnnkit.temporal import MODELS
from gnnkit.training import FitProgress
from gnnkit.training.environment import commit
from gnnkit.training.track import Track

__all__ = ["Reports", "Work", "raise_of", "retell", "run_one", "torch_threads"]

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
        cluster: the address of a Dask scheduler whose workers run the jobs; None: this machine does.
    """

    spec: FinalSpec
    series: GraphSeries
    threads: int
    commit: str
    track: Track | None = None
    cluster: str | None = None

    @classmethod
    def of(cls, spec: FinalSpec, series: GraphSeries, threads: int, cluster: str | None = None) -> Work:
        """The work of a spec, with the commit of the code that runs."""
        return cls(spec, series, threads, commit(), cluster=cluster)

    def made(self) -> dict[str, str]:
        """What is kept of when, and with what code, a fit was made."""
        return {"commit": self.commit, "date": datetime.now(UTC).strftime("%Y-%m-%d")}


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Give torch a number of threads, and the former one back."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_one(
    work: Work, job: Job, fingerprint: Mapping[str, Any], store: JobStore, progress: FitProgress | None
) -> tuple[str, str]:
    """Run a job, and keep in the store what it predicts.

    Returns:
        "done", "failed" (and kept) or "lost" (and not kept), and a line about it.
    """
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


class Reports:
    """A worker's side of the progress of a fit: few messages, whatever the number of steps.

    Args:
        send: Takes a message, `("step" or "end", (steps of a fit that begins or None, steps since the last message, the
            figures of the last step))`, as `retell` takes it.
    """

    def __init__(self, send: Callable[[tuple[str, Any]], object]) -> None:
        self.send = send
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
        # Where nobody listens any more, this fails: the worker ends here, at the latest one pace after it.
        self.send((kind, (self.begin, self.steps, self.latest)))
        self.begin, self.steps, self.sent = None, 0, time.monotonic()


def retell(fit: FitProgress, message: tuple[str, Any]) -> None:
    """Tell what a message of `Reports` says."""
    kind, (begin, steps, latest) = message
    if begin is not None:
        fit.begin_fit(begin)
    for _ in range(steps):
        fit.step(**latest)
    if kind == "end":
        fit.end_fit()


def raise_of(job: str, error: str, message: str, trace: str) -> NoReturn:
    """Raise what a job in another process came to and should not have come to.

    Args:
        job: Its label.
        error: The type of its error; of bad input, or of a disk that is full, it says enough.
        message, trace: Of the error.
    """
    if error in ("ValueError", "OSError"):
        raise ValueError(message) if error == "ValueError" else OSError(message)
    raise RuntimeError(f"{job}: {error}: {message}\n{trace}")
