import pytest

from gnnkit.compare.report.tables import best_models, families, horizon_label, persistence_summary, score_table


def test_order_is_baselines_sequence_graph(fake_results):
    models = {"gcn": ("graph", 4.0), "lstm": ("sequence", 3.0), "tgcn": ("graph", 2.9)}
    expected = ["last-value", "rolling-average", "historical-average", "lstm", "gcn", "tgcn"]
    assert list(families(fake_results(models=models))) == expected


def test_score_table_values(fake_results):
    results = fake_results(horizons=(3, 12))
    table = score_table(results, "last-step", ("mae", "r2"))
    rows = results.rows
    chosen = rows[(rows["model"] == "gru") & (rows["horizon"] == 12) & (rows["score"] == "last-step")]
    line = next(line for line in table.lines if line.model == "gru")
    assert line.cells[1][0].mean == pytest.approx(chosen.loc[chosen["metric"] == "mae", "value"].mean())
    assert line.cells[1][1].std == pytest.approx(chosen.loc[chosen["metric"] == "r2", "value"].std(ddof=1))
    assert (line.seeds, line.parameters, line.epoch_seconds) == (3, 18_183, pytest.approx(1.8))
    assert table.windows == (389, 380)
    assert table.horizons == (3, 12)
    assert (table.lines[0].parameters, table.lines[0].epoch_seconds) == (None, None)
    assert table.lines[0].cells[0][0].std is None


def test_one_seed_has_no_deviation(fake_results):
    table = score_table(fake_results(seeds=(3,)), "averaged")
    assert all(cell.std is None for line in table.lines for row in line.cells for cell in row)


def test_unknown_score_is_an_error(fake_results):
    with pytest.raises(ValueError, match=r"score is 'first-step', the rows have \['averaged', 'last-step'\]"):
        score_table(fake_results(), "first-step")


def test_best_models_have_the_lowest_mae_at_the_largest_horizon(fake_results):
    assert best_models(fake_results()) == {"baseline": "last-value", "sequence": "gru", "graph": "tgcn"}


def test_persistence_summary(fake_results):
    expected = [(horizon, ["lstm", "gru", "tgcn"], ["bilstm"], ["gcn"]) for horizon in (3, 6, 12)]
    assert persistence_summary(fake_results()) == expected


@pytest.mark.parametrize(
    ("steps", "minutes", "words"),
    [(3, 5, "15 min"), (12, 5, "60 min"), (3, 30, "90 min"), (24, 5, "2 h"), (6, 60, "6 h"), (1, 1440, "1 day"),
     (3, 10080, "3 weeks"), (3, None, "3 steps"), (1, None, "1 step"), (5, 7.5, "37.5 min")],
)  # fmt: skip
def test_horizon_label(steps, minutes, words):
    assert horizon_label(steps, minutes) == words
