"""A worker's side of a comparison on a cluster; see `gnnkit.compare.cluster`."""

from __future__ import annotations

import pickle
import tempfile
import threading
import traceback
from collections.abc import Mapping
from typing import Any

from distributed import WorkerPlugin, get_worker

from gnnkit.compare.jobs import Job
from gnnkit.compare.one_job import Reports, Work, run_one, torch_threads
from gnnkit.compare.shipping import unpack_models
from gnnkit.compare.store import JobStore, fingerprint

__all__ = ["Cargo", "serve"]

_alone = threading.Lock()
"""Held by the job of a worker: torch's random state and threads are those of a process."""


class Cargo(WorkerPlugin):
    """What all jobs of a comparison are run with, as bytes: every worker gets it once, those that come later too."""

    def __init__(self, cargo: bytes) -> None:
        self.cargo = cargo


def serve(job: Job, wanted: dict[str, Any], topic: str, task: str) -> tuple[str, Any, bytes | None]:
    """Run a job.

    Args:
        job: It.
        wanted: Its fingerprint.
        topic: Of the comparison: the name of its `Cargo`, and of what is told of its jobs.
        task: The name of this task.

    Returns:
        A job's verdict, a line about it (of an error: its type, text and traceback), and the bytes of its file.
    """
    worker: Any = get_worker()

    def send(message: tuple[str, Any]) -> None:
        if _is_cancelled(worker, task):
            raise _Cancelled
        worker.log_event(topic, (message[0], job.key, message[1]))

    with _alone, tempfile.TemporaryDirectory(prefix="gnnkit-") as folder:
        try:
            send(("begin", worker.address))
            work, models = pickle.loads(worker.plugins[topic].cargo)  # from the process that runs the comparison
            unpack_models(models)
            _check_place(work, job, wanted, worker.address)
            store = JobStore(folder)
            with torch_threads(work.threads):
                verdict, summary = run_one(work, job, wanted, store, Reports(send))
        except Exception as error:
            kind = "OSError" if isinstance(error, OSError) else type(error).__name__
            return "error", (kind, str(error), traceback.format_exc()), None
        return verdict, summary, store.path(job).read_bytes() if job in store else None


class _Cancelled(Exception):
    """Nobody waits for the job any more."""


def _is_cancelled(worker: Any, task: str) -> bool:
    state = worker.state.tasks.get(task)
    return state is None or state.state == "cancelled"


def _check_place(work: Work, job: Job, wanted: Mapping[str, Any], address: str) -> None:
    """Refuse to run a job where its numbers would not be those that are asked for."""
    here = fingerprint(work.spec, job, work.series, data_hash=wanted["data"], threads=work.threads)
    for name, value in here.items():
        if name != "model_code" and value != wanted[name]:  # that of a model came with it
            raise ValueError(
                f"cluster: worker {address} has {name} {_short(value)}, and this process {_short(wanted[name])}: give "
                "workers like the machine that the comparison is started on"
            )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
