"""Finished jobs on disk: bit for bit, whole or not there, and only for the run that they belong to."""

import dataclasses
import json
import math

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from gnnkit.compare.conditions import Condition
from gnnkit.compare.jobs import Job
from gnnkit.compare.scores import Outcome
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.compare.store import JobStore, code_digest, fingerprint
from gnnkit.data import simulate_traffic
from gnnkit.kept_tensors import save_tensors
from gnnkit.training import EpochRecord, FitResult

JOB = Job("gru", 3, Condition(hidden_share=0.1), 4, {"learning_rate": 0.1})
MADE = {"date": "2026-01-02", "commit": "0123abc"}
FIT = FitResult([EpochRecord(1, 0.1 + 0.2, 1 / 3, 0.5)], 1, 1 / 3, 0.75, 0.5, 1.5, 77, "epochs")


SERIES = simulate_traffic(num_nodes=2, days=1)


def outcome(**values):
    predicted = torch.tensor([[[1 / 3, math.nan]], [[-0.0, 1e-40]]])  # a subnormal number among them
    return Outcome("gru", "sequence", 3, predicted, FIT, JOB.condition, predicted.neg(), **values)


def bits(tensor):
    return tensor.contiguous().view(torch.int32).tolist()


def test_a_job_comes_back_bit_for_bit(tmp_path):
    store, before = JobStore(tmp_path / "jobs"), outcome(quantiles=torch.rand(2, 1, 2, 3).transpose(1, 2))
    assert JOB not in store
    store.save(JOB, {"epochs": 8}, before, seconds=1.25, made=MADE)
    assert JOB in store
    found = store.load(JOB)
    after = found.outcome
    assert (found.error, found.seconds, found.made) == (None, 1.25, MADE)
    assert (after.model, after.family, after.seed, after.condition) == ("gru", "sequence", 3, JOB.condition)
    assert after.fitted == FIT
    for name in ("predicted", "validation", "quantiles"):
        assert bits(getattr(after, name)) == bits(getattr(before, name))
    assert after.validation_quantiles is None
    assert [path.name for path in store.directory.iterdir()] == ["gru-seed3-hidden0.1.safetensors"]


def test_a_failure_is_kept_as_well(tmp_path):
    store = JobStore(tmp_path)
    store.save_failure(JOB, {}, "the training loss is nan", seconds=0.5, made=MADE)
    found = store.load(JOB)
    assert (found.outcome, found.error, found.made) == (None, "the training loss is nan", MADE)


def test_what_is_cut_off_is_not_there(tmp_path, monkeypatch):
    store = JobStore(tmp_path)
    store.save(JOB, {"epochs": 8}, outcome(), seconds=1.0, made=MADE)
    before = store.path(JOB).read_bytes()

    def cut(tensors, path, metadata):
        save_file(tensors, path, metadata=metadata)
        with open(path, "rb+") as file:
            file.truncate(20)
        raise KeyboardInterrupt

    monkeypatch.setattr("gnnkit.kept_tensors.save_file", cut)
    with pytest.raises(KeyboardInterrupt):
        store.save(JOB, {"epochs": 9}, outcome(), seconds=1.0, made=MADE)
    assert store.path(JOB).read_bytes() == before
    # kill -9 leaves the part, which is never read.
    (tmp_path / "tgcn-seed0.safetensors.7-1.part").write_bytes(before[:20])
    assert Job("tgcn", 0) not in store


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"learning_rate": 0.5}, "was made with learning_rate 0.1, and this run has 0.5"),
        ({"settings": {"dropout": 0.5}}, r"was made with settings \{\}, and this run has \{'dropout': 0.5\}"),
        ({"data": "f" * 64}, r"was made with other data \(SHA-256 000000000000…, now ffffffffffff…\)"),
        ({"code": "f" * 64}, r"was made with other code that trains \(SHA-256 111111111111…, now ffffffffffff…\)"),
        ({"new": 1}, "was made with new None, and this run has 1"),
    ],
)
def test_a_job_of_another_run_says_what_differs(tmp_path, changed, words):
    store, wanted = JobStore(tmp_path), {"learning_rate": 0.1, "settings": {}, "data": "0" * 64, "code": "1" * 64}
    store.save(JOB, wanted, outcome(), seconds=1.0, made=MADE)
    assert store.mismatch(JOB, wanted) is None
    found = store.mismatch(JOB, wanted | changed)
    assert found is not None
    with pytest.raises(ValueError, match=f"^{words}$"):
        raise ValueError(found)


def test_damaged_and_foreign_files_are_not_taken(tmp_path):
    store = JobStore(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no such job"):
        store.load(JOB)
    store.save(JOB, {}, outcome(), seconds=1.0, made=MADE)
    whole = store.path(JOB).read_bytes()
    store.path(JOB).write_bytes(whole[:-3])
    assert "is damaged (" in (store.mismatch(JOB, {}) or "")
    flipped = bytearray(whole)
    flipped[-5] ^= 4
    store.path(JOB).write_bytes(flipped)
    assert store.mismatch(JOB, {}) == "is damaged: its checksum does not fit"
    with pytest.raises(ValueError, match=r"gru-.*safetensors is damaged: its checksum does not fit"):
        store.load(JOB)
    save_file({}, str(store.path(JOB)), metadata={"format": "1"})
    assert "has no checksum: it is none of gnnkit's" in (store.mismatch(JOB, {}) or "")
    save_tensors(store.path(JOB), {}, {"format": "1"})
    assert store.mismatch(JOB, {}) == "is not a job of `gnnkit compare`"
    save_tensors(store.path(JOB), {}, {"format": "9", "fingerprint": {}})
    assert store.mismatch(JOB, {}) == "has layout 9, and this gnnkit reads 2"


def test_a_fingerprint_holds_what_changes_the_numbers_and_nothing_else():
    def made(job=JOB, threads=2, **values):
        spec = FinalSpec(**{"horizons": [2, 4], "models": ["gru", "gcn"], "device": "cpu", **values})
        return fingerprint(spec, job, SERIES, data_hash="00", threads=threads)

    base = made()
    assert json.loads(json.dumps(base)) == base
    assert (base["learning_rate"], base["hidden_share"], base["horizons"]) == (0.1, 0.1, [2, 4])
    assert base["code"] == code_digest()
    # What is found from the predictions may change, and the predictions stay.
    for values in (
        {"models": ["gru"]}, {"seeds": [3]}, {"resamples": 100}, {"confidence": 0.8}, {"coverage": 0.5},
        {"horizons": [2, 3, 4]}, {"train_shares": [0.5]}, {"ablate_graph": ["gcn"]},
    ):  # fmt: skip
        assert made(**values) == base, values
    for values in (
        {"epochs": 9}, {"history": 6}, {"horizons": [2, 5]}, {"scaler": "max"}, {"residual": False}, {"threads": 1},
        {"intervals": "quantile"}, {"max_seconds": 9.0}, {"time_features": True}, {"job": Job("gru", 3)},
    ):  # fmt: skip
        assert made(**values) != base, values
    assert made(intervals="quantile", coverage=0.5) != made(intervals="quantile")


def test_the_clock_is_in_the_fingerprint_where_it_counts(tmp_path):
    later = dataclasses.replace(SERIES, start=SERIES.start + pd.Timedelta(hours=7))
    slower = dataclasses.replace(SERIES, step_minutes=15.0)
    assert SERIES.digest() == later.digest() == slower.digest()

    def mismatch(job, series, **values):
        """What is said to a job of `SERIES` that is asked for with another clock."""
        spec = FinalSpec(models=["gru"], device="cpu", **values)
        store, known = JobStore(tmp_path), {"data_hash": "00", "threads": 1}
        store.save_failure(job, fingerprint(spec, job, SERIES, **known), "nan", seconds=1.0, made=MADE)
        return store.mismatch(job, fingerprint(spec, job, series, **known))

    plain, hidden = Job("gru", 3), Job("gru", 3, Condition(hidden_share=0.1))
    start, moved = SERIES.start.isoformat(), later.start.isoformat()
    step = "was made with step_minutes 5.0, and this run has 15.0"
    assert mismatch(plain, later, time_features=True) == f"was made with start {start}, and this run has {moved}"
    assert mismatch(plain, slower, time_features=True) == step
    assert mismatch(hidden, slower) == step
    assert mismatch(hidden, later) is None
    assert mismatch(plain, slower) is None
    unknown = dataclasses.replace(SERIES, start=None, step_minutes=None)
    assert mismatch(hidden, unknown) == "was made with step_minutes 5.0, and this run has None"
