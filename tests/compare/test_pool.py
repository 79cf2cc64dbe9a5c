"""Jobs in parallel processes, workers that die, and runs that are killed and go on."""

import multiprocessing
import random
import signal
import time

import pytest
import torch

from gnnkit.compare import make_spec, run
from gnnkit.compare.jobs import Job, plan_jobs
from gnnkit.compare.one_job import Work, torch_threads
from gnnkit.compare.pool import run_jobs
from gnnkit.compare.results import Failure
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.compare.store import JobStore
from gnnkit.data import simulate_traffic
from gnnkit.forecasting import train as train_module

DATA = {"num_nodes": 6, "days": 2}
SPEC = {
    "rivals": False, "quick_look": False,
    "data_options": DATA, "models": ["gru", "stid"], "seeds": [0, 1, 2], "horizons": [2, 4], "hidden_channels": 4,
    "epochs": 2, "device": "cpu", "resamples": 100, "threads": 1,
}  # fmt: skip
# The checkout that the tests run from may move on to another commit, and the day may end.
TIMES = ["epoch_seconds", "wall_seconds", "peak_memory_mb", "commit", "date"]

# A process that is made by a fork of a server: gnnkit is imported once, and each life of a run begins at once.
pytestmark = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="the server of forks is not on this system"
)


def without_times(rows):
    """The rows as bytes, but for what no two runs have in common."""
    return rows.drop(columns=TIMES).to_csv(index=False).encode()


@pytest.fixture(scope="module")
def uninterrupted():
    return without_times(run(make_spec(**SPEC)).rows)


class Hunter:
    """Kills the workers that are there when a job begins."""

    def __init__(self, prey):
        self.prey, self.ends = prey, {}

    def begin_matrix(self, jobs, done=()): ...

    def begin_job(self, label):
        if label == self.prey:
            self.prey = None
            for child in multiprocessing.active_children():
                child.kill()
                child.join()

    def end_job(self, label, summary, *, failed=False):
        self.ends[label] = (failed, summary)


@pytest.mark.slow
def test_rows_are_the_same_in_parallel_processes(uninterrupted):
    assert without_times(run(make_spec(**SPEC), jobs=2).rows) == uninterrupted


@pytest.mark.slow
def test_a_worker_that_dies_is_a_failure_with_a_name_and_the_others_go_on(uninterrupted, tmp_path):
    spec = make_spec(**SPEC)
    # The first worker is alone when the second job is given away: only the first job dies with it.
    found = run(spec, hunter := Hunter("gru, seed 1"), jobs=2, directory=tmp_path)
    words = "its process died with signal SIGKILL (was memory short? try fewer jobs)"
    lost = {failure.seed: failure for failure in found.failures}
    assert lost[0] == Failure("gru", 0, words)
    assert set(lost) <= {0, 1}
    assert hunter.ends["gru, seed 0"] == (True, words)
    assert all(not failed for label, (failed, _) in hunter.ends.items() if label.startswith("stid"))
    # What was lost is not kept: it is run when the comparison goes on.
    assert without_times(run(spec, directory=tmp_path).rows) == uninterrupted
    assert multiprocessing.active_children() == []


def test_an_error_that_is_no_failure_of_a_fit_stops_the_run_and_its_workers(tmp_path):
    spec, series = FinalSpec(**SPEC), simulate_traffic(**DATA)
    wrong = [(Job("gru", seed, hidden_channels=4, settings={"dropout": "much"}), {}) for seed in (0, 1)]
    with pytest.raises((ValueError, RuntimeError), match="dropout"):
        run_jobs(Work.of(spec, series, 1), wrong, JobStore(tmp_path), workers=2)
    assert multiprocessing.active_children() == []
    assert not list(tmp_path.glob("*.safetensors"))


def test_ctrl_c_ends_the_workers(tmp_path):
    class Impatient(Hunter):
        def begin_job(self, label):
            raise KeyboardInterrupt

    spec, series = FinalSpec(**SPEC), simulate_traffic(**DATA)
    pairs = [(job, {}) for job in plan_jobs(spec)]
    with pytest.raises(KeyboardInterrupt):
        run_jobs(Work.of(spec, series, 1), pairs, JobStore(tmp_path), workers=2, progress=Impatient(None))
    assert multiprocessing.active_children() == []


def test_memory_that_runs_out_fails_one_job_and_is_not_kept(tmp_path, monkeypatch):
    real = train_module.fit

    def hungry(forecaster, windows, edge_index, edge_weight, settings, **options):
        if settings.seed == 1:
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2.00 GiB")
        return real(forecaster, windows, edge_index, edge_weight, settings, **options)

    monkeypatch.setattr(train_module, "fit", hungry)
    found = run(make_spec(**SPEC | {"models": ["gru"]}), directory=tmp_path)
    error = "memory ran out (CUDA out of memory. Tried to allocate 2.00 GiB)"
    assert found.failures == [Failure("gru", 1, error)]
    assert sorted(found.rows["seed"][found.rows["model"] == "gru"].unique()) == [0, 2]
    assert not list((tmp_path / "jobs").glob("gru-seed1*"))


def test_memory_that_runs_out_on_the_processor_is_no_other_error(tmp_path, monkeypatch):
    def hungry(forecaster, windows, edge_index, edge_weight, settings, **options):
        if settings.seed == 1:
            torch.empty(2**47)  # more bytes than a process can address: torch's own error
        raise RuntimeError("shapes do not fit") if settings.seed == 2 else FloatingPointError("the loss is nan")

    monkeypatch.setattr(train_module, "fit", hungry)
    spec, series = FinalSpec(**SPEC), simulate_traffic(**DATA)
    work, store = Work.of(spec, series, 1), JobStore(tmp_path)
    jobs = [(Job("gru", seed, hidden_channels=4), {}) for seed in (1, 0)]
    lost = run_jobs(work, jobs, store)
    assert list(lost) == ["gru-seed1"]
    assert lost["gru-seed1"].startswith("memory ran out (")
    assert "DefaultCPUAllocator" in lost["gru-seed1"]
    assert store.load(jobs[1][0]).error == "the loss is nan"
    with pytest.raises(RuntimeError, match=r"^shapes do not fit$"):
        run_jobs(work, [(Job("gru", 2, hidden_channels=4), {})], store)


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def live(directory, seconds):
    """One life of a run: the system kills it when it has computed so long, however busy the machine is."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    run(make_spec(**SPEC), directory=directory)
    signal.setitimer(signal.ITIMER_PROF, 0)


def finished(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "jobs").glob("*.safetensors")}


@pytest.mark.slow
def test_a_run_that_is_killed_ten_times_gives_the_rows_of_one_that_is_not(uninterrupted, tmp_path):
    start = time.process_time()
    run(make_spec(**SPEC))
    length = time.process_time() - start
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gnnkit.compare.pool", "lightning.fabric"])
    seed = random.randrange(2**32)
    dice, kept, kills, folder = random.Random(seed), [], 0, tmp_path / "0"
    while kills < 10:
        process = context.Process(target=live, args=(str(folder), dice.uniform(0.001, length)))
        process.start()
        process.join()
        assert process.exitcode in (0, -signal.SIGPROF), f"seed {seed}"
        kept.append((folder, finished(folder)))
        kills += process.exitcode != 0
        if process.exitcode == 0:  # it came through: another comparison is begun
            folder = tmp_path / str(len(kept))
    for directory in sorted({directory for directory, _ in kept}):
        assert without_times(run(make_spec(**SPEC), directory=directory).rows) == uninterrupted, f"seed {seed}"
        assert len(finished(directory)) == 6
        assert not list((directory / "jobs").glob("*.part"))
        # What a life finished is never run again.
        for before in (found for place, found in kept if place == directory):
            assert before.items() <= finished(directory).items(), f"seed {seed}"
