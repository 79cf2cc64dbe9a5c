"""Models of one's own beside gnnkit's: compared in processes, killed and resumed, edited, and broken."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gnnkit.compare import make_spec, run
from gnnkit.compare.store import JobStore

ROOT = Path(__file__).parents[2]
FILES = {
    "mixing.py": """
import torch

def neighbours(h, edge_index, edge_weight):
    return torch.zeros_like(h).index_add(1, edge_index[1], edge_weight[:, None] * h[:, edge_index[0]])
""",
    "my.py": """
from mixing import neighbours
from torch import nn

class Net(nn.Module):
    def __init__(self, history, horizon, hidden_channels, *, layers=1):
        super().__init__()
        self.own, self.near = nn.Linear(history, hidden_channels), nn.Linear(history, hidden_channels)
        self.out = nn.Sequential(*[nn.Linear(hidden_channels, hidden_channels) for _ in range(layers)])
        self.last = nn.Linear(hidden_channels, horizon)

    def forward(self, x, edge_index, edge_weight):
        h = x[..., 0].transpose(1, 2)
        h = self.own(h) + self.near(neighbours(h, edge_index, edge_weight))
        return self.last(self.out(h.relu())).transpose(1, 2)
""",
    "trees.py": """
import numpy as np

class Means:
    uses_graph = True

    def __init__(self, seed=0, *, lags=2):
        self.lags = lags

    def fit(self, train, validation):
        inputs, table = self._inputs(train)
        targets = table.filter(regex="target_").to_numpy() - table[["lag_0"]].to_numpy()
        seen = ~np.isnan(targets).any(axis=1)
        self.weights = np.linalg.lstsq(inputs[seen], targets[seen], rcond=None)[0]

    def predict(self, windows):
        inputs, table = self._inputs(windows)
        return table[["lag_0"]].to_numpy() + inputs @ self.weights

    def _inputs(self, windows):
        table = windows.frame(lags=self.lags, fill=True, neighbours=True)
        return np.nan_to_num(table.filter(regex="lag_|near_").to_numpy()), table
""",
    "broken.py": """
from torch import nn

class Late(nn.Module):
    def __init__(self, history, horizon):
        super().__init__()
        self.linear = nn.Linear(history, horizon)

    def forward(self, x, *, progress=None):
        if progress is not None and progress > 0.5:
            self._fail()
        return self.linear(x[..., 0].transpose(1, 2)).transpose(1, 2)

    def _fail(self):
        raise ValueError("the second half")

class Rival:
    def fit(self, train, validation):
        return 1 / 0

    def predict(self, windows):
        return None
""",
    "script.py": """
import functools
from torch import nn
from gnnkit.compare import make_spec, run
from gnnkit.temporal import MODELS
from my import Net

SCALE = 1.0

class Here(nn.Module):
    def __init__(self, history, horizon, *, gain=1.0):
        super().__init__()
        self.linear, self.gain = nn.Linear(history, horizon), gain

    def forward(self, x):
        return self.gain * SCALE * self.linear(x[..., 0].transpose(1, 2)).transpose(1, 2)

MODELS["assigned"] = Here
models = ["gru", Net, Here, functools.partial(Here, gain=0.5)]
spec = make_spec(models=models, seeds=[0], epochs=1, horizons=[2], device="cpu", threads=1, resamples=100, rivals=False,
                 data_options={"num_nodes": 6, "days": 2})
results = run(spec, jobs=2)
print(spec.models, results.failures, len(results.models))
""",
}
ROAD = {"rivals": False, "quick_look": False,
        "data_options": {"num_nodes": 6, "days": 2}, "horizons": [2], "seeds": [0], "device": "cpu",
        "threads": 1, "resamples": 100, "hidden_channels": 4, "epochs": 2}  # fmt: skip
SMALL = [
    "--no-rivals",
    "--no-quick-look",
    "--data-option",
    "num_nodes=6",
    "--data-option",
    "days=2",
    "--horizon",
    "2",
    "--seeds",
    "1",
    "--epochs",
    "2",
]
WORDS = [
    *("compare", *SMALL, "--device", "cpu", "--resamples", "100", "--hidden", "4", "--jobs", "2", "--out", "out"),
    *("--models", "gru,my.py:Net,trees.py:Means", "--ablate-graph", "--set", "my.py:Net.layers=2"),
]
PROCESSES = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="the server of forks is not on this system"
)


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    yield tmp_path
    sys.modules.pop("mixing", None)


def start(words, folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "cwd": folder, "env": environment}
    return subprocess.Popen([sys.executable, *words], **pipes)


def told(words, folder):
    process = start(words, folder)
    return process.communicate(timeout=600)[0], process.returncode


def written(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "out" / "jobs").glob("*.safetensors")}


@PROCESSES
@pytest.mark.slow
def test_they_are_compared_killed_resumed_edited_and_trained_again(folder):
    first = start(["-m", "gnnkit", *WORDS], folder)
    while len(written(folder)) < 3 and first.poll() is None:
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    kept = written(folder)
    assert 3 <= len(kept) < 11
    text, code = told(["-m", "gnnkit", "compare", "--resume", "out", "--trust-code", "--jobs", "2"], folder)
    assert code == 0, text
    assert "trees.py:Means" in text
    whole = written(folder)
    assert len(whole) == 11
    assert kept.items() <= whole.items()  # none of them was trained again

    (folder / "out" / "results.json").unlink()  # as if it were not over
    (folder / "mixing.py").write_text(FILES["mixing.py"].replace("edge_weight[:, None]", "0.5 * edge_weight[:, None]"))
    text, code = told(["-m", "gnnkit", *WORDS], folder)
    assert code == 2
    assert text.count("\n") == 1
    assert "my.py_Net-" in text
    assert "was made with other code of the model (SHA-256 " in text
    assert "; resume (--resume) to run such jobs again, or give another folder" in text
    text, code = told(["-m", "gnnkit", "compare", "--resume", "out", "--trust-code", "--jobs", "2"], folder)
    assert code == 0, text
    again = {name for name, stamp in written(folder).items() if stamp != whole[name]}
    assert again == {name for name in whole if name.startswith("my.py_Net-")}


@PROCESSES
@pytest.mark.slow
def test_what_stands_in_no_module_is_sent_to_the_processes(folder):
    text, code = told(["script.py"], folder)  # without a guard: processes do not run it anew
    assert code == 0, text
    assert text.splitlines()[-1] == "('gru', 'my:Net', 'assigned', 'Here-gain0.5') [] 8"


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=[pytest.mark.slow, PROCESSES])])
def test_an_error_in_their_code_ends_their_fits_alone(folder, monkeypatch, jobs, tmp_path):
    monkeypatch.chdir(folder)
    spec = make_spec(models=["dlinear", "broken.py:Late", "broken.py:Rival"], **ROAD)
    results = run(spec, jobs=jobs, directory=tmp_path / "out")
    assert [(failure.model, failure.seed, failure.error) for failure in results.failures] == [
        (
            "broken.py:Late",
            0,
            "ValueError: the second half (broken.py:11 in forward: self._fail(); broken.py:15 in _fail: "
            'raise ValueError("the second half"))',
        ),
        ("broken.py:Rival", 0, "ZeroDivisionError: division by zero (broken.py:19 in fit: return 1 / 0)"),
    ]
    assert results.models[-1] == "dlinear"
    assert [path.name for path in JobStore(tmp_path / "out" / "jobs").directory.glob("*.s*")] == [
        "dlinear-seed0.safetensors"
    ]


def test_an_error_of_gnnkit_comes_out_as_what_it_is(folder, monkeypatch):
    monkeypatch.chdir(folder)

    def broken(*args, **options):
        raise KeyError("gnnkit's own")

    monkeypatch.setattr("gnnkit.forecasting.train.predict", broken)
    # Its frames are those of this test, which stands outside of gnnkit: as if they were gnnkit's.
    monkeypatch.setattr("gnnkit.compare.model_faults.is_installed", lambda file: True)
    with pytest.raises(KeyError, match="gnnkit's own"):
        run(make_spec(models=["my.py:Net"], **ROAD))


def test_quantile_heads_are_refused_of_a_rival(folder, monkeypatch):
    monkeypatch.chdir(folder)
    message = (
        r"^intervals: 'quantile' trains quantile heads, and 'trees.py:Means' has fit and predict, which give one v"
    )
    with pytest.raises(ValueError, match=message):
        make_spec(models=["gru", "trees.py:Means"], intervals="quantile")
