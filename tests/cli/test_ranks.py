"""The command under torchrun."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gnnkit.cli.ranks import run_on_ranks, started_by_torchrun

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("variables", "started"),
    [
        ({}, False),
        ({"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "1"}, False),
        ({"WORLD_SIZE": "2"}, False),
        ({"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "2"}, True),
    ],
)
def test_only_several_processes_of_torchrun_are_ranks(monkeypatch, variables, started):
    for name in ("TORCHELASTIC_RUN_ID", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert started_by_torchrun() is started


@pytest.mark.parametrize(
    ("rank", "told"), [("0", "gnnkit: judge runs in one process; run it without torchrun\n"), ("1", "")]
)
def test_a_verb_that_trains_nothing_is_refused_once(monkeypatch, capsys, rank, told):
    monkeypatch.setenv("RANK", rank)
    assert run_on_ranks(["judge", "--help"], lambda: 0) == 2
    assert capsys.readouterr().err == told


def child(parent, rank):
    """The process of a rank."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "status").read_text()
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # it is gone
            continue
        if f"PPid:\t{parent}\n" in status and b"RANK=%d" % rank in variables:
            return int(folder.name)
    return None


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found in /proc")
def test_a_rank_that_is_killed_is_named_and_the_run_ends(tmp_path):
    out = tmp_path / "model"
    small = ["--data-option", "num_nodes=4", "--data-option", "days=2", "--horizon", "3", "--device", "cpu"]
    words = ["train", "gru", *small, "--epochs", "100000", "--patience", "100000", "--out", str(out)]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "gnnkit", *words]
    place = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while not (out / "training.json").exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.1)
        victim = child(process.pid, 1)
        os.kill(victim, signal.SIGKILL)
        # By itself: nothing of it waits for the one that is gone.
        _, told = process.communicate(timeout=240)
    finally:
        process.terminate()
    lines = [line for line in told.splitlines() if line.startswith("gnnkit: ")]
    assert lines[0].startswith(f"gnnkit: rank 1 (process {victim} on ")
    assert " is lost: no sign of life for " in lines[0]
    assert lines[1:] == [f"gnnkit: stopped; what is finished is kept in {out}, and the same command goes on from there"]
    assert process.returncode == 1
    assert json.loads((out / "training.json").read_text())["model"] == "gru"
