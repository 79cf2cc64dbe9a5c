"""Every example runs as a newcomer would run it, prints what it promises, and stays short."""

import subprocess
import sys
from pathlib import Path

import pytest

from gnnkit.compare import make_spec, run

EXAMPLES = Path(__file__).parent.parent / "examples"

# What each one has to print.
PROMISED = {
    "six_nodes.py": ["News from C reaches E after 4 updates:", "C - D - B - A - E", "C - D - F - A - E"],
    "gat_layer.py": ["GATLayer(16, 8, heads=2)", "(6, 16) features in, (6, 16) out", "sum 1.000  1.000"],
    "traffic_tgcn.py": ["last value", "T-GCN"],
    "rnn_or_gnn.py": ["last-value", "historical-average", "gru", "tgcn"],
    "vanishing_gradient.py": ["RNN", "LSTM"],
}


# What each of these defines, to be compared with gnnkit's models.
MODELS_OF_ONES_OWN = {"own_model.py": "Mixer", "own_trees.py": "Trees"}


def test_no_example_is_left_out():
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*PROMISED, *MODELS_OF_ONES_OWN}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS_OF_ONES_OWN)
def test_a_model_of_ones_own_is_compared_with_those_of_gnnkit(name):
    if name == "own_trees.py":
        pytest.importorskip("lightgbm", reason='lightgbm is not installed: pip install "gnnkit[trees]"')
    model = f"{EXAMPLES / name}:{MODELS_OF_ONES_OWN[name]}"
    small = {"data_options": {"num_nodes": 6, "days": 3}, "horizons": [3], "seeds": [0], "epochs": 2, "resamples": 100}
    results = run(make_spec(models=["dlinear", model], ablate_graph=[model], device="cpu", **small))
    assert results.failures == []
    assert set(results.rows.loc[results.rows["model"] == model, "adjacency"]) == {
        "given", "identity", "shuffled", "random", "complete"
    }  # fmt: skip


def test_the_models_of_ones_own_are_short():
    for name in MODELS_OF_ONES_OWN:
        assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) <= 45
    assert len((EXAMPLES / "own_model.py").read_text(encoding="utf-8").splitlines()) <= 25


@pytest.mark.slow
@pytest.mark.parametrize("name", PROMISED)
def test_example_runs_and_prints_what_it_promises(name, tmp_path):
    # The limit is for one that hangs; a busy machine may be many times slower than a quiet one.
    run = subprocess.run(
        [sys.executable, str(EXAMPLES / name)], capture_output=True, text=True, timeout=1200, cwd=tmp_path
    )
    assert run.returncode == 0, run.stderr
    for words in PROMISED[name]:
        assert words in run.stdout


@pytest.mark.parametrize("name", PROMISED)
def test_example_is_short(name):
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) <= 80
