"""Data that nobody here has seen: from files to rows, with what was inferred about them."""

import numpy as np
import pytest

from gnnkit.compare import make_spec, run
from gnnkit.compare.findings import AUDIT
from tests.data.strangers import STRANGERS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "models", "history", "horizons"),
    [
        ("weekly-cases", ["lstm", "gcn", "tgcn", "dlinear"], 12, [1, 2, 4]),
        ("brain-regions", ["lstm", "gcn", "tgcn", "dlinear"], 12, [1, 2, 3]),
        ("air-quality", ["dlinear", "gcn"], 24, [6, 12, 24]),
    ],
)
def test_a_stranger_s_data_are_compared_with_what_was_inferred(tmp_path, name, models, history, horizons):
    series, graph = STRANGERS[name](tmp_path)
    spec = make_spec(
        series=series,
        graph=graph,
        models=models,
        seeds=[0],
        epochs=1,
        max_seconds=0.5,
        hidden_channels=4,
        resamples=100,
    )
    results = run(spec)
    assert results.failures == []
    rows = results.rows
    assert set(rows["history"]) == {history}
    assert sorted(set(rows["horizon"])) == horizons
    assert np.isfinite(rows["value"].astype(float)).all()
    assert {check.status for check in AUDIT.of(results)} <= {"passed", "warning"}
    assert any(f"{history} rows of history" in sentence for sentence in results.inferred)
    # A model is near the last value after one epoch, whatever the unit: it predicts a change from it.
    scores = rows[(rows["metric"] == "mae") & (rows["score"] == "averaged") & (rows["horizon"] == horizons[-1])]
    by_model = dict(zip(scores["model"], scores["value"], strict=True))
    assert all(by_model[model] < 3 * by_model["last-value"] for model in models)
