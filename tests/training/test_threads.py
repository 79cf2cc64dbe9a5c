"""How many threads a fit takes: by size, and what a user says wins."""

import pytest
import torch
from torch import nn

from gnnkit.training import Snapshots
from gnnkit.training.threads import available_cores, fit_threads, threads_by_size, torch_threads

SMALL, LARGE = 2**20, 2**30


@pytest.fixture
def unsaid(monkeypatch):
    """A machine of eight cores, and a user who says nothing."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr("gnnkit.training.threads.available_cores", lambda: 8)


@pytest.mark.parametrize(
    ("work", "most", "threads"), [(0, 8, 1), (2**23, 8, 1), (2**24 - 1, 8, 1), (2**24, 8, 2), (2**40, 8, 8), (5, 1, 1)]
)
def test_a_thread_for_each_eight_million_multiplications(work, most, threads):
    assert threads_by_size(work, most) == threads


def test_a_small_fit_takes_one_thread_and_a_large_one_all(unsaid):
    assert (fit_threads(SMALL), fit_threads(LARGE), fit_threads(LARGE, fits=3), fit_threads(LARGE, fits=20)) == (
        1,
        8,
        2,
        1,
    )


def test_what_the_user_says_wins(unsaid, monkeypatch):
    assert fit_threads(SMALL, asked=5) == 5
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert (fit_threads(SMALL), fit_threads(SMALL, fits=4), fit_threads(SMALL, asked=3)) == (8, 2, 3)
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setenv("MKL_NUM_THREADS", "8")
    assert fit_threads(SMALL) == 8


def test_off_the_processor_nothing_is_chosen(unsaid):
    assert fit_threads(SMALL, "meta") == 8


def test_no_more_threads_than_the_container_has_cores(unsaid, monkeypatch):
    monkeypatch.setattr("gnnkit.training.threads.available_cores", lambda: 2)
    assert fit_threads(LARGE) == 2


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000\n", 6), ("250000 100000\n", 2), ("20000 100000\n", 1), ("900000 100000\n", 6), ("?", 6)],
)
def test_the_quota_of_a_container(tmp_path, monkeypatch, text, cores):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(6)), raising=False)
    (tmp_path / "cpu.max").write_text(text)
    assert available_cores(tmp_path / "cpu.max") == cores
    assert available_cores(tmp_path / "missing") == 6


def test_a_fit_that_goes_on_keeps_its_threads(unsaid, tmp_path, monkeypatch):
    model = nn.Linear(1, 1)
    adam = torch.optim.Adam(model.parameters())
    path, made_from = tmp_path / "fit.safetensors", {"epochs": 3}
    first = Snapshots(path, made_from)
    assert fit_threads(LARGE, snapshots=first) == 8
    first.save(model, adam, {"step": 1})

    monkeypatch.setattr("gnnkit.training.threads.available_cores", lambda: 2)  # it goes on elsewhere
    again = Snapshots(path, made_from)
    assert fit_threads(LARGE, snapshots=again) == 8
    assert again.load(model, adam) == ({"step": 1}, {})

    other = Snapshots(path, made_from)
    assert fit_threads(LARGE, asked=1, snapshots=other) == 1
    with pytest.raises(ValueError, match="of a training with another threads"):
        other.load(model, adam)
    anew = Snapshots(path, made_from, anew=True)
    fit_threads(LARGE, asked=1, snapshots=anew)
    assert anew.load(model, adam) is None


def test_a_damaged_snapshot_says_nothing_of_threads(unsaid, tmp_path):
    (tmp_path / "fit.safetensors").write_bytes(b"no snapshot")
    assert fit_threads(SMALL, snapshots=Snapshots(tmp_path / "fit.safetensors", {})) == 1


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
