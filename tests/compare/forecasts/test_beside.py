"""Forecasts made elsewhere beside models that a comparison trains."""

import numpy as np
import pytest

from gnnkit.compare import Results, kept_spec, make_spec, run
from gnnkit.compare.findings import VERDICTS
from gnnkit.compare.output import write_output

QUICK = {
    "rivals": False,
    "quick_look": False,
    "history": 3,
    "epochs": 1,
    "seeds": [0],
    "hidden_channels": 2,
    "resamples": 100,
    "device": "cpu",
}


def of(results, model, horizon=2):
    rows = results.rows
    rows = rows[(rows.model == model) & (rows.metric == "mae") & (rows.score == "averaged")]
    return rows[rows.horizon == horizon].iloc[0]


def test_they_are_judged_on_the_targets_that_they_have(tiny, test_forecasts, tmp_path):
    # Of the 19 windows that have a second step, these forecasts are of 15.
    np.savez(tmp_path / "x.npz", forecasts=test_forecasts(0.5, 43, 15), origins=range(43, 58))
    asked = {"models": ["gru"], "horizons": [1, 2], "forecasts": {"x": tmp_path / "x.npz"}, "graph_forecasts": ["x"]}
    spec = make_spec(**asked, **QUICK)
    results = run(spec, series=tiny, directory=tmp_path / "out")
    assert results.models == [*results.models[:4], "gru", "x"]
    assert of(results, "x")["value"] == 0.5
    assert {of(results, model)["windows"] for model in results.models} == {15}
    alone = run(make_spec(models=["gru"], horizons=[1, 2], **QUICK), series=tiny)
    assert of(alone, "gru")["windows"] == 19
    assert {(v.model, v.against) for v in VERDICTS.of(results) if v.kind == "families"} == {("x", "gru")}
    assert [check.cause for check in results.findings["audit"]][-3:] == ["coverage", "scale", "alignment"]
    write_output(results, tmp_path / "out")
    assert np.isnan(of(Results.load(tmp_path / "out"), "x")["parameters"])

    np.savez(tmp_path / "x.npz", forecasts=test_forecasts(0.75, 43, 15), origins=range(43, 58))
    again = run(kept_spec(tmp_path / "out"), series=tiny, directory=tmp_path / "out", resume=True)
    assert of(again, "x")["value"] == 0.75
    assert of(again, "gru")["value"] == of(results, "gru")["value"]
    assert again.inferred[-1] == "Other forecasts of x than when the run was begun: judged anew."


def test_what_does_not_fit_is_said_before_anything_is_trained(tiny, test_forecasts, tmp_path):
    np.save(tmp_path / "x.npy", test_forecasts(windows=16))
    file = tmp_path / "x.npy"
    for text, asked in {
        "forecasts: gru is the name of a model that is trained too": {"forecasts": {"gru": file}},
        "2 steps, and 4 ahead are scored": {"forecasts": {"x": file}, "horizons": [4]},
    }.items():
        with pytest.raises(ValueError, match=text):
            run(
                make_spec(**{"models": ["gru"], "horizons": [2], **asked}, **QUICK),
                series=tiny,
                directory=tmp_path / "o",
            )
    assert not list(tmp_path.glob("o/jobs/*"))
