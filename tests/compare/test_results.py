"""Results are saved and loaded without loss."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from gnnkit.compare.errors import ErrorTable
from gnnkit.compare.findings import ABLATION, AUDIT, BUDGET, FINDINGS, INTERVALS, SIGNIFICANCE, VERDICTS
from gnnkit.compare.findings.significance import PairTest
from gnnkit.compare.findings.verdicts import PairVerdict, Verdict
from gnnkit.compare.results import CURVE_COLUMNS, ROW_COLUMNS, STEP_COLUMNS, DataFacts, Failure, Results
from gnnkit.kept_files import read_json


def small():
    shared = {
        "data": "NA",
        "data_hash": "0123",
        "history": 12,
        "metric": "mae",
        "windows": 5,
        "device": "cpu",
        "hardware": "x, y",
    }
    shared |= {
        "threads": 2,
        "torch": "2.10",
        "gnnkit": "0.1.0",
        "commit": "1e5",
        "date": "2024-01-01",
        "epochs": 0,
        "best_epoch": 0,
        "adjacency": "given",
        "train_share": 1.0,
        "hidden_share": 0.0,
        "leak": "",
        "hidden_channels": 0,
        "trials": 0,
    }
    lines = [
        {
            "model": "last-value",
            "family": "baseline",
            "seed": 0,
            "horizon": 12,
            "score": "averaged",
            "value": 0.1 + 0.2,
            "parameters": 0,
        },
        {
            "model": "gru",
            "family": "sequence",
            "seed": 0,
            "horizon": 3,
            "score": "last-step",
            "value": math.nan,
            "parameters": 7,
        }
        | {"epoch_seconds": 1 / 3, "wall_seconds": 2.0, "peak_memory_mb": 5.5},
    ]
    return Results(
        spec={"horizons": [3, 12], "data": None},
        environment={"threads": np.int64(2)},
        data=DataFacts(name="NA"),
        rows=pd.DataFrame([shared | line for line in lines], columns=ROW_COLUMNS),
        curves=pd.DataFrame([["gru", 0, 1, 0.5, 2.5, 0.1]], columns=CURVE_COLUMNS),
        step_errors=pd.DataFrame([["gru", 0, 1, 0.5, math.nan]], columns=STEP_COLUMNS),
        errors=ErrorTable.of_windows(
            {"gru": {3: [[0.25, math.nan]]}}, {"gru": {3: [[0.5, math.nan]]}}, {3: [4, 0]}, {"gru": "sequence"}
        ),
        failures=[Failure("tgcn", 1, "loss is nan")],
        findings={
            "verdicts": [
                PairVerdict(
                    kind="winner",
                    horizon=3,
                    metric="mae",
                    model="gru",
                    against="last-value",
                    difference=np.float32(-0.5),
                    low=-math.inf,
                    clear=np.True_,
                    tied=[],  # pyright: ignore
                ),
                Verdict(kind="too-few", horizon=3, metric="rmse"),
            ],
            "significance": [
                PairTest(question="best", horizon=3, metric="mae", model="gru", against="last-value", difference=-0.5)
            ],
            "ablation": None,
        },
    )


def test_round_trip(tmp_path):
    results = small()
    results.save(tmp_path / "out")
    again = Results.load(tmp_path / "out")
    pd.testing.assert_frame_equal(again.rows, results.rows, check_dtype=False, check_exact=True)
    assert again.rows["data"].tolist() == ["NA", "NA"]
    assert again.rows["commit"].tolist() == ["1e5", "1e5"]
    pd.testing.assert_frame_equal(again.curves, results.curves)
    assert again.step_errors["mae"].tolist() == [0.5]
    np.testing.assert_array_equal(again.errors.window_errors("gru", 3, "rmse"), [[0.5, math.nan]])
    assert again.errors.counts(3).tolist() == [4, 0]
    assert again.spec == results.spec
    assert again.failures == results.failures
    assert again.environment == {"threads": 2}
    first, second = VERDICTS.of(again)
    assert isinstance(first, PairVerdict)
    assert (first.clear, first.low, first.tied, type(second)) == (True, None, [], Verdict)
    assert SIGNIFICANCE.of(again) == SIGNIFICANCE.of(results)
    assert (ABLATION.of(again), INTERVALS.of(again)) == (None, [])
    again.save(tmp_path / "second")
    for name in ("rows.csv", "results.json"):
        assert (tmp_path / "second" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_results_json_is_strict_json(tmp_path):
    small().save(tmp_path)
    text = (tmp_path / "results.json").read_text()

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    document = json.loads(text, parse_constant=refuse)
    assert document["step_errors"]["rmse"] == [None]
    assert document["verdicts"][0]["low"] is None
    assert document["verdicts"][1] == {
        "kind": "too-few", "horizon": 3, "metric": "rmse", "score": "averaged", "sentence": ""
    }  # fmt: skip
    assert document["window_errors"] == {"gru": {"3": [0.25, None]}}
    assert document["ablation"] == {}


def test_look_ups():
    results = small()
    assert results.models == ["last-value", "gru"]
    assert results.horizons == [3, 12]
    assert results.family("gru") == "sequence"


def test_what_is_not_a_result_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no results.json: it is not the output of `gnnkit compare`"):
        Results.load(tmp_path)
    small().save(tmp_path)
    document = read_json(tmp_path / "results.json")
    (tmp_path / "results.json").write_text(json.dumps(document | {"format": 99}))
    with pytest.raises(ValueError, match="has layout 99; this gnnkit reads up to 5: update gnnkit"):
        Results.load(tmp_path)
    (tmp_path / "results.json").write_text("[1]")
    with pytest.raises(ValueError, match="was not written by `gnnkit compare`"):
        Results.load(tmp_path)


def test_parquet_holds_the_same_rows(tmp_path):
    results = small()
    results.save(tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "rows.parquet"), results.rows, check_exact=True)


def test_the_first_layout_is_read_with_what_it_lacks_empty(tmp_path):
    small().save(tmp_path)
    document = read_json(tmp_path / "results.json")
    added = ("significance", "ranks", "ablation", "conditions", "where", "intervals", "audit", "budget", "inferred")
    first = {name: value for name, value in document.items() if name not in (*added, "rows_sha256")} | {"format": 1}
    (tmp_path / "results.json").write_text(json.dumps(first))
    columns = ["adjacency", "train_share", "hidden_share", "leak", "hidden_channels", "trials"]
    rows = pd.read_csv(tmp_path / "rows.csv", dtype="str", keep_default_na=False).drop(columns=columns)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    again = Results.load(tmp_path)
    assert list(again.rows.columns) == ROW_COLUMNS
    assert again.rows[columns[:4]].to_numpy().tolist() == [["given", 1.0, 0.0, ""]] * 2
    assert again.rows["value"].iloc[0] == 0.1 + 0.2
    assert (SIGNIFICANCE.of(again), ABLATION.of(again), AUDIT.of(again), BUDGET.of(again)) == ([], None, [], None)
    assert again.inferred == []


def test_a_field_that_this_layout_must_have_is_missed(tmp_path):
    small().save(tmp_path)
    document = read_json(tmp_path / "results.json")
    lacking = {name: value for name, value in document.items() if name != "window_counts"}
    (tmp_path / "results.json").write_text(json.dumps(lacking))
    with pytest.raises(ValueError, match=r"is damaged \('window_counts' is missing\); finish the run"):
        Results.load(tmp_path)
    del document["significance"]  # found nothing, or was written before there was such a finding
    (tmp_path / "results.json").write_text(json.dumps(document))
    assert SIGNIFICANCE.of(Results.load(tmp_path)) == []


def test_results_of_an_earlier_layout_do_not_claim_the_rules_of_today(tmp_path):
    small().save(tmp_path)
    document = read_json(tmp_path / "results.json")
    test = {"model": "gru", "against": "last-value", "horizon": 3, "metric": "mae", "dm_p_holm": 0.5, "clear": True,
            "difference": -0.5, "low": -0.6, "high": -0.4}  # fmt: skip
    (tmp_path / "results.json").write_text(json.dumps(document | {"format": 2, "significance": [test]}))
    older = Results.load(tmp_path)
    assert older.by_older_rules
    (found,) = SIGNIFICANCE.of(older)
    assert (found.p, found.question) == (0.5, "last-value")
    assert "are those of an older gnnkit, which tested by other rules" in FINDINGS.methods(older)[0]
    assert not any("One rule decides" in sentence for sentence in FINDINGS.methods(older))
    older.save(tmp_path / "again")
    again = Results.load(tmp_path / "again")
    assert again.by_older_rules
    assert SIGNIFICANCE.of(again) == [found]
    assert "One rule decides" in FINDINGS.methods(small())[0]


def test_the_line_says_what_was_compared(fake_results):
    results = fake_results()
    assert repr(results) == (
        f"Results(los-loop: lstm, bilstm, gru, gcn, tgcn × 3 seeds, 3, 6, 12 steps ahead, {len(results.rows)} rows)"
    )
    results.failures.append(Failure("mine", 0, "loss is nan"))
    assert repr(results).endswith("rows; 1 fit failed)")
