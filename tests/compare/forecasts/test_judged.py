"""Forecasts made elsewhere, judged: figures by hand on a line that rises by one a row, and the published ones."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from gnnkit.compare import judge_forecasts
from gnnkit.compare.findings import VERDICTS
from gnnkit.compare.findings.intervals import INTERVALS
from gnnkit.compare.findings.where import WHERE

SETTINGS = {"history": 3, "resamples": 100}


def score(results, model, metric="mae", horizon=2, score="averaged"):
    rows = results.rows
    chosen = rows[(rows.model == model) & (rows.metric == metric) & (rows.horizon == horizon) & (rows.score == score)]
    return chosen["value"].tolist()


def test_errors_and_verdict_by_hand(tiny, test_forecasts):
    # 20 test rows, 3 of history, 2 steps: 16 windows, the first of which knows rows up to 42.
    results = judge_forecasts(tiny, {"near": test_forecasts(0.25, windows=16)}, **SETTINGS)
    assert results.models[-1] == "near"
    assert (results.family("near"), results.horizons) == ("forecast", [2])
    assert score(results, "near") == [0.25]
    assert score(results, "last-value") == [1.5]  # one row and two rows behind a line of slope 1
    assert set(results.rows["windows"]) == {16}
    (verdict,) = [v for v in VERDICTS.of(results) if v.kind == "persistence" and v.metric == "mae"]
    assert verdict.clear
    assert verdict.difference == pytest.approx(-1.25)
    assert verdict.sentence.startswith(
        "Up to 2 hours (2 steps) ahead, near clearly beats last-value in MAE: difference"
    )
    assert WHERE.of(results).pair == ("near", "last-value")
    assert "first of which knows rows up to 42 and forecasts row 43 on" in " ".join(results.inferred)
    assert "No prediction intervals of near" in " ".join(results.notes)
    assert "models" not in results.spec
    assert set(results.environment["forecasts"]) == {"near"}


def test_the_origins_say_which_windows_are_judged(tiny, test_forecasts):
    origins = np.array([*range(29, 38), *range(46, 58, 2)])
    errors = np.arange(15)
    forecasts = test_forecasts(errors[:, None, None], first=0, windows=15) + (origins - errors)[:, None, None]
    results = judge_forecasts(tiny, {"x": {"forecasts": forecasts, "origins": origins}}, **SETTINGS)
    assert score(results, "x") == [np.mean(range(9, 15))]  # those of the validation rows are not scored
    assert set(results.rows["windows"]) == {6}
    assert score(results, "last-value") == [1.5]
    assert "x" in {row.model for row in INTERVALS.of(results)}  # which those of the validation rows calibrate


def test_a_first_origin_for_a_file_that_says_none(tiny, test_forecasts):
    for origin in (47, "2024-01-02 23:00"):
        results = judge_forecasts(tiny, {"x": test_forecasts(2.0, first=47, windows=9)}, origins=origin, **SETTINGS)
        assert score(results, "x") == [2.0]


def test_seeds_are_rows_of_their_own(tiny, test_forecasts):
    both = np.stack([test_forecasts(1.0, windows=16), test_forecasts(3.0, windows=16)])
    results = judge_forecasts(tiny, {"x": torch.from_numpy(both)}, **SETTINGS)
    assert score(results, "x") == [1.0, 3.0]


def test_a_lacking_target_is_refused_or_left_out_for_all(tiny, test_forecasts):
    whole, holes = test_forecasts(1.0, windows=16), test_forecasts(1.0, windows=16)
    holes[2, 1, 0] = np.nan
    whole[2, 1, 0] += 100
    text = (
        r"forecasts b \(in memory\): lacks 1 of 96 observed targets \(NaN, infinite or no row\), the first of them "
        r"origin row 44, step 2, node a; give them, or leave them out for all \(--missing-forecasts leave-out\)"
    )
    with pytest.raises(ValueError, match=text):
        judge_forecasts(tiny, {"a": whole, "b": holes}, **SETTINGS)
    results = judge_forecasts(tiny, {"a": whole, "b": holes}, missing_forecasts="leave-out", **SETTINGS)
    assert score(results, "a") == score(results, "b") == [1.0]
    assert "1 of 96 observed targets, which a forecast lacks, are left out for all models." in results.inferred


def test_a_target_that_was_not_observed_need_not_be_forecast(tiny, test_forecasts):
    forecasts = test_forecasts(1.0, windows=16)
    tiny.values[50, 1, 0] = np.nan
    forecasts[50 - 43, 0, 1] = forecasts[50 - 44, 1, 1] = np.nan
    assert score(judge_forecasts(tiny, {"x": forecasts}, **SETTINGS), "x") == [1.0]


def test_rivals_of_different_windows(tiny, test_forecasts):
    rivals = {
        "a": test_forecasts(1.0, windows=16),
        "b": {"forecasts": test_forecasts(2.0, 44, 8), "origins": range(44, 52)},
    }
    with pytest.raises(ValueError, match="lacks 8 of the 16 windows of a, the first with origin row 42; give them, or"):
        judge_forecasts(tiny, rivals, **SETTINGS)
    results = judge_forecasts(tiny, rivals, missing_forecasts="leave-out", **SETTINGS)
    assert set(results.rows["windows"]) == {8}


def test_numbers_of_windows_that_fit_no_split_are_explained(tiny, test_forecasts):
    text = (
        r"11 windows, and there are \(with 3 rows of history and 2 steps\): training 26, validation 6, test 16; with 8 "
        r"rows of history \(--history 8\) it would be 11; say where they begin \(--origins ROW"
    )
    with pytest.raises(ValueError, match=text):
        judge_forecasts(tiny, {"x": test_forecasts(windows=11)}, **SETTINGS)
    early = {"forecasts": test_forecasts(first=10, windows=5), "origins": range(10, 15)}
    with pytest.raises(ValueError, match="forecasts rows 11 to 16, and no window of it is one of the 20 test windows"):
        judge_forecasts(tiny, {"x": early}, **SETTINGS)
    # histories that reach back, and the last window left out
    assert score(judge_forecasts(tiny, {"x": test_forecasts(1.0, 39, 19)}, **SETTINGS), "x") == [1.0]
    assert score(judge_forecasts(tiny, {"x": test_forecasts(1.0, 42, 15)}, **SETTINGS), "x") == [1.0]


def test_steps_and_names_that_do_not_fit(tiny, test_forecasts):
    forecasts = test_forecasts(windows=16)
    wrong = {
        "2 steps, and 3 ahead are scored; give horizons up to 2": {"horizons": [3]},
        "graph_forecasts: 'y' is none of the forecasts; choose from x": {"graph_forecasts": ["y"]},
        "'x' is among sequence_forecasts too": {"graph_forecasts": ["x"], "sequence_forecasts": ["x"]},
        "validation_forecasts: 'z' is none of the forecasts": {"validation_forecasts": {"z": forecasts}},
    }
    for text, settings in wrong.items():
        with pytest.raises(ValueError, match=text):
            judge_forecasts(tiny, {"x": forecasts}, **SETTINGS, **settings)
    with pytest.raises(ValueError, match="last-value is the name of a baseline too"):
        judge_forecasts(tiny, {"last-value": forecasts}, **SETTINGS)
    with pytest.raises(ValueError, match="none is given; give at least one"):
        judge_forecasts(tiny)


def test_what_looks_odd_is_a_warning(tiny, test_forecasts):
    def warned(forecasts):
        found = judge_forecasts(tiny, {"x": forecasts}, **SETTINGS).findings["audit"]
        return {check.cause: check.detail for check in found if check.status == "warning"}

    assert warned(test_forecasts(0.1, windows=16)) == {}
    assert "is it in another unit, or still scaled?" in warned(test_forecasts(0, windows=16) / 100)["scale"]
    assert (
        "x fits the targets one row later better (MAE 0.1) than its own (1.1)"
        in (warned(test_forecasts(1.1, windows=16))["alignment"])
    )


def test_validation_forecasts_give_intervals_and_quantiles_are_taken_as_they_are(tiny, test_forecasts):
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(16, 2, 3)).astype("f4")
    point = test_forecasts(0, windows=16) + noise
    heads = np.stack([point - 1.5, point, point + 1.5], axis=-1)
    rivals = {
        "heads": {"quantiles": heads, "levels": [0.05, 0.5, 0.95]},
        "point": point,
        "wrong": {"quantiles": heads, "levels": [0.1, 0.5, 0.9]},
    }
    before = {"point": test_forecasts(0, 29, 9) + rng.normal(size=(9, 2, 3))}
    found = {
        row.model: row for row in INTERVALS.of(judge_forecasts(tiny, rivals, validation_forecasts=before, **SETTINGS))
    }
    assert "wrong" not in found  # no bounds at 90%, and nothing that calibrates
    assert (found["heads"].method, found["point"].method) == ("given", "conformal")
    assert found["heads"].width == pytest.approx(3.0, abs=1e-4)
    assert found["heads"].coverage == pytest.approx(float((np.abs(noise) <= 1.5).mean()))
    assert found["heads"].crps is None  # three levels are no distribution


def test_the_validation_forecasts_choose_between_models_of_a_family(tiny, test_forecasts):
    rivals = {name: test_forecasts(0.5, windows=16) for name in ("g1", "g2", "s")}
    named = {"graph_forecasts": ["g1", "g2"], "sequence_forecasts": ["s"]}
    kinds = [v.kind for v in VERDICTS.of(judge_forecasts(tiny, rivals, **named, **SETTINGS))]
    assert "families" not in kinds  # nothing says which of the two is meant
    before = {"g1": test_forecasts(2.0, 32, 6), "g2": test_forecasts(1.0, 32, 6)}
    results = judge_forecasts(tiny, rivals, validation_forecasts=before, **named, **SETTINGS)
    pairs = {(v.model, v.against) for v in VERDICTS.of(results) if v.kind == "families"}
    assert pairs == {("g2", "s")}
    assert results.family("g1") == "graph"


def published() -> Path:
    root = Path(os.environ.get("GNNKIT_DATA", Path(__file__).parents[4] / "shared" / "data"))
    file = root / "losloop" / "published_tgcn_15min.npz"
    if not file.is_file():
        pytest.skip(f"needs losloop/{file.name} in the folder GNNKIT_DATA")
    return file


def check_published(results):
    assert score(results, "tgcn", "rmse", 3) == [pytest.approx(5.12638, abs=5e-6)]
    assert score(results, "tgcn", "mae", 3) == [pytest.approx(3.18020, abs=5e-6)]
    found = {v.metric: v for v in VERDICTS.of(results) if v.kind == "persistence"}
    assert (found["mae"].clear, found["rmse"].clear) == (False, True)


def test_the_published_forecasts_of_tgcn_on_los_loop():
    file = published()
    check_published(judge_forecasts(None, {"tgcn": file}, data="los-loop", data_root=file.parent, resamples=100))


@pytest.mark.slow
def test_the_same_from_the_files_alone():
    """Their split by shares begins a row later than the official one, so that the first origin has to be said."""
    file = published()
    series, graph = (file.parent / name for name in ("los_speed.csv", "los_adj.csv"))
    check_published(judge_forecasts(series, {"tgcn": file}, graph=graph, origins=1623, step_minutes=5, resamples=100))
