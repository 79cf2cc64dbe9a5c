"""The page of `gnnkit quick` on all sets: rows, and what deep models say beside them."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gnnkit.compare import quick as look

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in ("quick", "rows"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module("quick")
    for name in ("quick", "rows"):
        sys.modules.pop(name, None)


@pytest.fixture
def results(tmp_path):
    """Deep results, by hand."""
    pd.DataFrame(
        {
            "data": ["los-loop", "los-loop"],
            "question": ["horizon", "step"],
            "graph": "stgcn",
            "sequence": "stid",
            "sequence_mae": 4.0,
            "horizon": [3, 3],
            "difference": [-1.0, 9.0],
            "low": [-2.0, 8.0],
            "high": [-0.5, 10.0],
        }
    ).to_csv(tmp_path / "when_graph_helps.csv", index=False)
    models = {"gru": (3.0, 2.0), "lstm": (2.0, 2.2), "gcn": (2.5, 2.0), "tgcn": (2.4, 2.5)}  # validation, test
    rows = [
        {"model": model, "seed": 0, "horizon": 3, "score": "averaged", "metric": "mae", "value": v, "best_val_mae": val}
        for model, (val, v) in models.items()
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "los_loop_honest.csv", index=False)
    rows = [
        {"graph": graph, "model": model, "seed": seed, "horizon": 12, "score": "averaged", "metric": "mae", "value": v}
        for model, values in {"gcn": (1.0, 1.1), "gru": (1.0, 1.0)}.items()
        for graph, v in zip(("given", "shuffled"), values, strict=True)
        for seed in (0, 1)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "simulated_shuffled_graph.csv", index=False)
    return tmp_path


def test_deep_answers_are_read_from_committed_rows(bench, results):
    found = bench.deep_answers(results).set_index("source")
    assert found.loc["stgcn against stid", ["data", "horizon", "answer", "change"]].tolist() == [
        *("los-loop", 3, "yes", -0.25),
    ]
    # tgcn and lstm are chosen on the validation rows, whatever the test rows say.
    assert found.loc["tgcn against lstm, untested", "answer"] == "no"
    assert found.loc["tgcn against lstm, untested", "change"] == pytest.approx(2.5 / 2.2 - 1)
    assert found.loc["gcn, given against shuffled", "answer"] == "yes"
    assert len(found) == 3


def test_agreement_counts_signs_and_answers(bench, results):
    deep = bench.deep_answers(results)
    row = {"data": "los-loop", "horizon": 3, "difference": -0.1, "kind": "open"}
    assert bench.agreement(row, deep) == "sign 1 of 2, answer 0 of 2"
    assert bench.agreement(row | {"difference": 0.2, "kind": "harms"}, deep) == "sign 1 of 2, answer 1 of 2"
    assert bench.agreement(row | {"data": "danube"}, deep) == "–"


def test_rows_make_the_page(bench, results):
    rng = np.random.default_rng(0)
    found = look(rng.standard_normal((200, 5)), np.roll(np.eye(5), 1, axis=1), horizons=[1, 3], history=2, name="noise")
    rows = bench.rows_of(found, 2.0, 1.5)
    assert [row["horizon"] for row in rows] == [1, 3]
    assert rows[0]["given"] == found.table().loc[1, "given"]
    table = pd.DataFrame(
        [{"data": "noise", "hardware": "a CPU", "threads": 1, "torch": "2", "commit": "abc"} | r for r in rows]
    )
    page = bench.page(table, bench.deep_answers(results))
    assert "| noise | 200 × 5 | 1 |" in page
    assert "stgcn against stid" in page
    assert page == bench.page(table, bench.deep_answers(results))


def test_every_set_of_the_folder_is_there(bench):
    names = {"danube", "beijing-metro", "state-flu", "japan-flu", "spain-covid", "uk-wind", "beijing-air"}
    names |= {"region-flu", "france-mobility", "pedalme", "los-loop", "simulated", "exchange-rate"}
    assert set(bench.SETS) == names
