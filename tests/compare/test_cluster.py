"""Jobs on the workers of a Dask cluster, and workers that die."""

import multiprocessing
import socket
from multiprocessing import forkserver

import pytest

from gnnkit.compare import make_spec, run
from gnnkit.compare.cluster import ClusterWarning, _Run, _Sent, check_cluster
from gnnkit.compare.jobs import Job
from gnnkit.compare.results import Failure
from gnnkit.compare.store import JobStore
from tests.compare.test_pool import SPEC, without_times

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="the server of forks is not on this system"
)

# What it imports from beside it is on no worker, and neither is the file itself.
OWN = """
import os, signal
from pathlib import Path
from beside import Linear


class Sound(Linear):
    pass


class Once(Linear):
    marker = Path({marker!r})

    def forward(self, x):
        if self.training and "ON_A_WORKER" in os.environ and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)


class Always(Linear):
    def forward(self, x):
        if self.training and "ON_A_WORKER" in os.environ:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)
"""
BESIDE = """
from torch import nn


class Linear(nn.Module):
    uses_graph = False

    def __init__(self, history, horizon):
        super().__init__()
        self.map = nn.Linear(history, horizon)

    def forward(self, x):
        return self.map(x[..., 0].transpose(1, 2)).transpose(1, 2)

    def reset_parameters(self):
        self.map.reset_parameters()
"""


class Listener:
    """Remembers what it is told."""

    def __init__(self):
        self.begun, self.ended, self.steps, self.fits = [], {}, 0, 0

    def begin_matrix(self, jobs, done=()): ...

    def begin_job(self, label):
        self.begun.append(label)
        return self

    def end_job(self, label, summary, *, failed=False):
        self.ended[label] = (failed, summary)

    def begin_fit(self, steps):
        self.fits += 1

    def step(self, **figures):
        self.steps += 1

    def end_epoch(self, **figures):
        return False

    def end_fit(self): ...


@pytest.fixture(scope="module")
def cluster():
    import dask

    context = multiprocessing.get_context("forkserver")
    heavy = ["lightning.fabric", "torch_geometric", "numba", "distributed"]
    context.set_forkserver_preload(["gnnkit.compare.pool", "gnnkit.temporal.registry", *heavy])
    forkserver.ensure_running()  # before Dask says what else it is to import
    settings = {
        "distributed.worker.multiprocessing-method": "forkserver",
        "distributed.scheduler.allowed-failures": 2,
        "distributed.comm.timeouts.connect": "120s",
    }
    options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "worker_dashboard_address": None}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(n_workers=2, env={"ON_A_WORKER": "1", "OMP_NUM_THREADS": "1"}, **options) as cluster,
    ):
        yield cluster.scheduler_address


@pytest.mark.slow
def test_rows_are_those_of_this_machine_and_a_job_that_kills_workers_is_named(cluster, tmp_path):
    own = tmp_path / "own.py"
    own.write_text(OWN.format(marker=str(tmp_path / "died")))
    (tmp_path / "beside.py").write_text(BESIDE)
    places = [f"{own}:{name}" for name in ("Sound", "Once", "Always")]
    spec = make_spec(**SPEC | {"models": ["gru", *places], "seeds": [0]})
    listener = Listener()
    found = run(spec, listener, cluster=cluster, directory=tmp_path / "out")
    assert (tmp_path / "died").exists()
    (lost,) = found.failures
    assert lost.model == places[2]
    assert lost == Failure(places[2], 0, "several workers died with it (was memory short? see their logs)")
    here = run(spec).rows
    assert without_times(found.rows) == without_times(here[here["model"] != places[2]])
    labels = [f"{name}, seed 0" for name in ("gru", *places)]
    assert sorted(listener.begun) == sorted(labels)  # once each, however often it was begun
    assert {label: failed for label, (failed, _) in listener.ended.items()} == {
        label: "Always" in label for label in labels
    }
    assert listener.steps >= 3 * 2  # each fit has two epochs of a step at least
    # What was lost is not kept: it is run when the comparison goes on.
    assert without_times(run(spec, directory=tmp_path / "out").rows) == without_times(here)


@pytest.mark.slow
def test_an_error_that_is_no_failure_of_a_fit_stops_the_run(cluster, tmp_path):
    from gnnkit.compare.one_job import Work
    from gnnkit.compare.pool import run_jobs
    from gnnkit.compare.spec.comparison import FinalSpec
    from gnnkit.compare.store import fingerprint
    from gnnkit.data import simulate_traffic

    spec, series = FinalSpec(**SPEC), simulate_traffic(**SPEC["data_options"])
    work, store = Work.of(spec, series, 1, cluster), JobStore(tmp_path)
    job = Job("gru", 0, hidden_channels=4)
    wanted = fingerprint(spec, job, series, data_hash="", threads=1)
    with pytest.raises(ValueError, match=r"cluster: worker tcp://.* has hardware .*, and this process a slide rule"):
        run_jobs(work, [(job, wanted | {"hardware": "a slide rule"})], store)
    wrong = Job("gru", 0, hidden_channels=4, settings={"dropout": "much"})
    wanted = fingerprint(spec, wrong, series, data_hash="", threads=1)
    with pytest.raises((ValueError, RuntimeError), match="dropout"):
        run_jobs(work, [(wrong, wanted)], store)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"jobs": 2}, "jobs: 2 is given beside cluster"),
        ({"track": "tensorboard"}, "track: tensorboard writes where a fit is trained"),
    ],
)
def test_what_a_cluster_does_not_go_with_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        check_cluster("tcp://127.0.0.1:1", **options)


def test_a_cluster_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr("gnnkit.compare.cluster._CONNECT", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(OSError, match=f"cluster: no Dask scheduler answers at {address}"):
        check_cluster(address)
    with pytest.raises(OSError, match="no Dask scheduler answers at nonsense://"):
        check_cluster("nonsense://")


@pytest.mark.parametrize(("threads", "count"), [(2, 1), (1, 0)])
def test_workers_that_train_two_fits_in_a_process_are_refused_and_none_is_told(threads, count):
    options = {"threads_per_worker": threads, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with distributed.LocalCluster(n_workers=count, worker_dashboard_address=None, **options) as cluster:
        if count:
            with pytest.raises(ValueError, match=r"runs 2 tasks in one process.*--nthreads 1"):
                check_cluster(cluster.scheduler_address)
        else:
            with pytest.warns(ClusterWarning, match="no worker yet"):
                check_cluster(cluster.scheduler_address)


class Given:
    """A client and a future in one, which Dask has given up."""

    status = "error"

    def __init__(self):
        self.submitted = 0

    def submit(self, *arguments, **options):
        self.submitted += 1
        return self

    def add_done_callback(self, done): ...

    def exception(self):
        return type("KilledWorker", (Exception,), {})()


def test_a_job_in_the_queue_of_workers_that_others_killed_is_run_again(tmp_path):
    client, job = Given(), Job("gru", 0)
    lives = _Run(client, None, [(job, {})], JobStore(tmp_path), None)
    sent = lives.sent[job.key]
    sent.future, sent.begun = client, 1
    lives._end(sent)
    assert (client.submitted, lives.lost) == (1, {})
    sent.begun = 2
    lives._end(sent)
    assert (client.submitted, lives.sent) == (1, {})
    assert lives.lost == {"gru-seed0": "several workers died with it (was memory short? see their logs)"}
    lives.sent = {job.key: _Sent(job, {}, client)}
    for _ in range(3):  # of what dies before it can say that it began
        lives._end(lives.sent[job.key])
    assert lives.lost == {"gru-seed0": "several workers died with it (was memory short? see their logs)"}
