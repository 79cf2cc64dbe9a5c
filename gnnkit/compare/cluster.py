"""Run jobs on the workers of a Dask cluster. They share no file with this process: data and models go there, and what a
job keeps comes back as the bytes of its file.

The scheduler, the workers and this process trust each other: they send each other code.
"""

from __future__ import annotations

import pickle
import queue
import uuid
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from gnnkit._optional import optional_import
from gnnkit.compare.jobs import Job
from gnnkit.compare.one_job import Work, raise_of, retell
from gnnkit.compare.shipping import pack_models
from gnnkit.compare.store import JobStore
from gnnkit.kept_files import replace_file
from gnnkit.training import FitProgress, MatrixProgress

__all__ = ["ClusterWarning", "check_cluster", "run_on_cluster"]

_CONNECT = 10.0
_DEATHS = 2
"""Of the workers that Dask saw die around a job, so many had begun it where the job is taken for the cause."""
_LOST = 3
"""Times that Dask may give up a job which had hardly begun: workers died of others with it in their queues."""


class ClusterWarning(UserWarning):
    """The cluster has no worker yet, so that nothing is trained."""


def check_cluster(address: str, *, jobs: int = 1, track: str | None = None) -> None:
    """Refuse a cluster that cannot be used, before anything is read.

    Args:
        address: Of its scheduler.
        jobs: The workers of the cluster are as many as it has.
        track: Trackers write on the machine that trains.

    Raises:
        ValueError: One of these is asked for beside it, or a worker would run several fits in one process.
        OSError: Nobody answers there.
        ImportError: Dask is not installed.
    """
    if jobs > 1:
        raise ValueError(
            f"jobs: {jobs} is given beside cluster, which runs as many fits as it has workers; leave it out"
        )
    if track is not None:
        raise ValueError(f"track: {track} writes where a fit is trained, which are machines of a cluster; leave it out")
    client = _client(address)
    try:
        _check_workers(client)
    finally:
        client.close()


def run_on_cluster(
    work: Work, jobs: Sequence[tuple[Job, Mapping[str, Any]]], store: JobStore, progress: MatrixProgress | None
) -> dict[str, str]:
    """Run jobs on the workers of a cluster and keep what they predict in the store.

    A job whose worker dies is run again by another one. Where Dask gives one up, after four of them,
    it is lost, unless it only stood in the queues of workers that others killed.

    Args:
        work: What they are run with; `cluster` is the scheduler's address.
        jobs, store, progress: As for `gnnkit.compare.pool.run_jobs`.

    Returns:
        As `gnnkit.compare.pool.run_jobs`.

    Raises:
        ValueError: A model cannot be sent, a job cannot be run as asked for, or a worker has other code or hardware.
        OSError: The scheduler does not answer, or does no more.
        RuntimeError: A job came to an error that it should not come to; with its traceback.
    """
    assert work.cluster is not None  # for the type checker: who calls has looked
    if not jobs:
        return {}
    client = _client(work.cluster)
    try:
        _check_workers(client)
        return _Run(client, work, jobs, store, progress).run()
    finally:
        client.close()


def _client(address: str) -> Any:
    distributed: Any = optional_import("distributed", purpose="cluster", extra="cluster")
    try:
        return distributed.Client(address, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise OSError(
            f"cluster: no Dask scheduler answers at {address} ({reason[:120]}); give the address that `dask scheduler` "
            "prints, e.g. tcp://node7:8786"
        ) from None


def _check_workers(client: Any) -> None:
    workers = client.scheduler_info(n_workers=-1)["workers"]
    for address, worker in workers.items():
        if worker["nthreads"] != 1:
            raise ValueError(
                f"cluster: worker {address} runs {worker['nthreads']} tasks in one process, and a fit needs its own; "
                "start the workers with --nthreads 1"
            )
    if not workers:
        warnings.warn("the cluster has no worker yet; the fits wait for one", ClusterWarning, stacklevel=4)


@dataclass
class _Sent:
    """A job on its way."""

    job: Job
    fingerprint: Mapping[str, Any]
    future: Any = None
    fit: FitProgress | None = None
    begun: int = 0
    lost: int = 0
    is_shown: bool = False


class _Run:
    """Jobs on a cluster, from the first one that is sent to the last one that ends."""

    def __init__(
        self,
        client: Any,
        work: Work,
        jobs: Sequence[tuple[Job, Mapping[str, Any]]],
        store: JobStore,
        progress: MatrixProgress | None,
    ) -> None:
        self.client, self.work, self.store, self.progress = client, work, store, progress
        self.sent = {job.key: _Sent(job, fingerprint) for job, fingerprint in jobs}
        self.topic = f"gnnkit-{uuid.uuid4().hex}"
        self.heard: queue.Queue[tuple[str, str, Any]] = queue.Queue()
        self.lost: dict[str, str] = {}

    def run(self) -> dict[str, str]:
        from gnnkit.compare.cluster_worker import Cargo

        work = replace(self.work, cluster=None)
        cargo = pickle.dumps((work, pack_models(work.spec.models)))
        self.client.subscribe_topic(self.topic, lambda event: self.heard.put(event[1]))
        try:
            # Not scattered, nor a result of a task: whoever held it might die, and jobs would wait where it is.
            self.client.register_plugin(Cargo(cargo), name=self.topic)
            for sent in self.sent.values():
                self._send(sent)
            while self.sent:
                self._listen()
        finally:
            with suppress(Exception):  # the scheduler may be gone
                self.client.unsubscribe_topic(self.topic)
                self.client.cancel([sent.future for sent in self.sent.values() if sent.future is not None], force=True)
                self.client.unregister_worker_plugin(self.topic)
        return self.lost

    def _send(self, sent: _Sent) -> None:
        from gnnkit.compare.cluster_worker import serve

        key, name = sent.job.key, f"{self.topic}-{sent.job.key}-{sent.lost}"
        arguments = (sent.job, dict(sent.fingerprint), self.topic, name)
        sent.future = self.client.submit(serve, *arguments, key=name, pure=False)
        sent.future.add_done_callback(lambda future: self.heard.put(("over", key, future)))

    def _listen(self) -> None:
        try:
            kind, key, content = self.heard.get(timeout=1.0)
        except queue.Empty:
            if self.client.status not in ("running", "connecting"):
                raise OSError(f"cluster: the scheduler at {self.work.cluster} is gone; resume to go on") from None
            return
        sent = self.sent.get(key)
        if sent is None:
            return
        if kind == "over":
            if content is sent.future:
                self._end(sent)
        elif kind == "begin":
            sent.begun += 1
            self._show(sent)
        elif sent.fit is not None:
            retell(sent.fit, (kind, content))

    def _show(self, sent: _Sent) -> None:
        if self.progress is not None and not sent.is_shown:
            sent.fit, sent.is_shown = self.progress.begin_job(sent.job.label), True

    def _end(self, sent: _Sent) -> None:
        if sent.future.status == "finished":
            verdict, summary, content = sent.future.result()
            if verdict == "error":
                raise_of(sent.job.label, *summary)
            if content is not None:
                with replace_file(self.store.path(sent.job)) as part:
                    part.write_bytes(content)
        else:
            error = sent.future.exception()
            if type(error).__name__ != "KilledWorker":
                raise _of_dask(sent.job, error)
            sent.lost += 1
            if sent.begun < _DEATHS and sent.lost < _LOST:  # others died, with this one in their queue
                self._send(sent)
                return
            verdict = "lost"
            summary = "several workers died with it (was memory short? see their logs)"
        self._show(sent)  # it may have been too short to be told of
        del self.sent[sent.job.key]
        if verdict == "lost":
            self.lost[sent.job.key] = summary
        if self.progress is not None:
            self.progress.end_job(sent.job.label, summary, failed=verdict != "done")


def _of_dask(job: Job, error: BaseException) -> Exception:
    """What Dask came to before or behind a job, as one line."""
    reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    if isinstance(error, ImportError):
        return ImportError(f"cluster: a worker lacks what {job.label} needs ({reason}); install it on the workers")
    return OSError(f"cluster: {job.label} could not be run ({reason})")
