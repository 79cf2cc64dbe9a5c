"""What is imported for what: nobody waits for a library that is not used. Modules are counted, not seconds."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import gnnkit

ROOT = Path(gnnkit.__file__).parents[1]
HEAVY = (
    "torch", "torch_geometric", "numba", "lightning", "pandas", "scipy", "scipy.stats", "matplotlib", "networkx",
    "sklearn", "pyarrow", "numpy", "pydantic", "rich", "gnnkit.temporal.registry", "gnnkit.ops",
)  # fmt: skip
LOADED = f"print('loaded:', *(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)"


def run(code: str, folder: Path = ROOT) -> tuple[int, set[str]]:
    """The exit code of a fresh process, and which of the heavy modules it has loaded."""
    code = (
        f"import sys\ntry:\n    {code}\nexcept SystemExit as left:\n    status = left.code\n{LOADED}\nsys.exit(status)"
    )
    words = [sys.executable, "-c", code.replace("try:", "status = 0\ntry:")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder, env=environment)
    last = (done.stderr.splitlines() or [""])[-1]
    assert last.startswith("loaded:"), done.stderr
    return done.returncode, set(last.split()[1:])


def command(*words: object) -> str:
    return f"from gnnkit.cli import main; main({[str(word) for word in words]})"


@pytest.mark.parametrize(
    ("words", "status"),
    [(("--help",), 0), (("--version",), 0), ((), 0), (("compere",), 2), (("list", "--nonsense"), 2)],
    ids=["help", "version", "nothing", "no such verb", "no such option"],
)
def test_the_command_line_answers_without_any_library_of_numbers(words, status):
    code, loaded = run(command(*words))
    assert code == status
    assert loaded <= {"rich", "pydantic"}


@pytest.mark.parametrize("verb", ["compare", "judge", "train", "nodes train"])
def test_the_options_of_a_verb_are_made_of_its_settings_and_of_nothing_else(verb):
    code, loaded = run(command(*verb.split(), "--help"))
    assert code == 0
    assert loaded <= {"rich", "pydantic"}


def test_a_wrong_value_of_the_settings_is_told_without_torch(tmp_path):
    code, loaded = run(command("judge", "--forecasts", "no-file"))
    assert code == 2
    assert "torch" not in loaded


def test_the_package_alone_imports_nothing():
    assert run("import gnnkit") == (0, set())


def test_layers_import_torch_and_pyg_and_what_these_import():
    _, of_pyg = run("import torch_geometric, torch_geometric.nn")
    code, loaded = run("import gnnkit.layers")
    assert code == 0
    assert loaded <= of_pyg | {"gnnkit.ops"}


@pytest.mark.parametrize(
    "statement",
    [
        "from gnnkit.data import GraphSeries, make_windows, read_own",
        "from gnnkit.compare import judge_forecasts",
        "from gnnkit.temporal import MODELS",
    ],
)
def test_a_name_brings_its_own_module_and_not_the_models(statement):
    _, loaded = run(statement)
    assert not loaded & {"torch_geometric", "gnnkit.temporal.registry", "numba", "lightning", "scipy.stats"}


def test_a_judgement_needs_no_model_no_pyg_and_no_compiler(tmp_path):
    rng = np.random.default_rng(0)
    rows, nodes, steps = 400, 3, 4
    values = 50 + np.cumsum(rng.standard_normal((rows, nodes)), axis=0)
    times = pd.date_range("2024-01-01", periods=rows, freq="5min", name="time")
    pd.DataFrame(values, index=times, columns=["a", "b", "c"]).to_csv(tmp_path / "series.csv")
    pd.DataFrame(np.eye(3)[[1, 2, 0]]).to_csv(tmp_path / "graph.csv", header=False, index=False)
    origins = np.arange(rows - 60, rows - steps)
    for name in ("one", "two"):
        np.savez(tmp_path / f"{name}.npz", forecasts=rng.random((len(origins), steps, nodes)) + 50, origins=origins)
    words = ["judge", "--series", "series.csv", "--graph", "graph.csv", "--out", "judged"]
    words += ["--forecasts", "one=one.npz", "--forecasts", "two=two.npz"]
    code, loaded = run(command(*words), tmp_path)
    assert code == 0
    assert (tmp_path / "judged" / "report.html").is_file()
    unused = {"torch_geometric", "numba", "lightning", "sklearn", "gnnkit.temporal.registry", "gnnkit.ops"}
    assert not loaded & unused
