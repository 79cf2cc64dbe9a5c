import pytest

from gnnkit.compare.report.scores import score_table


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
