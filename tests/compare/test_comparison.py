"""What results say, tabulate and draw for a notebook, from made-up results."""

import pandas as pd
import pytest

from gnnkit.compare import ABLATION, Comparison, Results, comparison


@pytest.fixture
def found(rich_results):
    return Comparison.of(rich_results())


def test_it_holds_what_the_results_hold(rich_results, tmp_path):
    results = rich_results()
    found = Comparison.of(results)
    assert isinstance(found, Results)
    assert found.rows is results.rows
    found.notes.append("changed")
    assert results.notes[-1] == "changed"
    found.save(tmp_path)
    again = Comparison.load(tmp_path)
    assert isinstance(again, Comparison)
    assert again.verdict() == found.verdict()


def test_the_verdict_is_that_on_the_graph_where_it_was_taken_away(found):
    assert found.verdict() == found.verdict(12) == ABLATION.of(found).sentence
    del found.findings["ablation"]
    found.findings["verdicts"] = [each for each in found.findings["verdicts"] if each.kind != "ablation"]
    assert found.verdict().startswith("At 60 minutes ahead, tgcn is better than gru by ")
    assert found.verdict(3).startswith("At 15 minutes ahead, tgcn is better than gru by ")
    with pytest.raises(ValueError, match=r"^horizon is 4; choose from 3, 6, 12$"):
        found.verdict(4)
    found.findings["verdicts"] = []
    assert found.verdict() == "No two models were compared, so there is no verdict; the scores stand alone."


def test_a_table_of_one_horizon_has_the_best_first(found):
    table = found.table(12, "rmse", score="last-step")
    rows = found.rows[
        (found.rows["horizon"] == 12) & (found.rows["metric"] == "rmse") & (found.rows["score"] == "last-step")
    ]
    own = rows[rows["model"] == "gru"]["value"]
    assert table.loc["gru", "rmse"] == pytest.approx(own.mean())
    assert table.loc["gru", "deviation"] == pytest.approx(own.std())
    assert table.loc["gru", ["family", "seeds"]].tolist() == ["sequence", 3]
    assert table["rmse"].is_monotonic_increasing
    assert found.table(12, "r2")["r2"].dropna().is_monotonic_decreasing
    assert pd.isna(table.loc["last-value", "deviation"])


def test_a_table_of_all_horizons_has_a_column_each(found):
    table = found.table()
    assert table.columns.tolist() == [3, 6, 12]
    assert table.loc["tgcn", 6] == pytest.approx(found.table(6).loc["tgcn", "mae"])
    for words, message in (
        ((5,), "^horizon is 5; choose from 3, 6, 12$"),
        ((3, "mea"), "^metric is 'mea'; did you mean 'mae'\\?"),
    ):
        with pytest.raises(ValueError, match=message):
            found.table(*words)


def test_rows_are_a_copy(found):
    frame = found.to_frame()
    frame["value"] = 0.0
    assert found.rows["value"].abs().sum() > 0


def test_it_is_drawn_and_reported(fake_results, monkeypatch):
    found = Comparison.of(fake_results(horizons=(3,), nodes=4))
    assert found.plot_scores("rmse").axes[0].get_ylabel() == "RMSE (mph)"
    assert [axes.get_title(loc="left") for axes in found.plot_errors().axes[:3]] == ["gru", "tgcn", "tgcn − gru"]
    assert found.plot_training().axes[0].get_xlabel() == "epoch"
    assert [axes.get_title(loc="left") for axes in found.plot_forecasts().axes] == found.traces.nodes
    monkeypatch.setattr(comparison, "write_report", lambda *asked: asked)
    assert found.report("own.html") == (found, "own.html")


def test_a_cell_shows_the_verdict_and_the_scores(found):
    page = found._repr_html_()
    assert page == found._repr_html_()
    assert found.verdict()[:40] in page
    assert len(page) < 20_000
    assert repr(found).startswith("Comparison(los-loop: ")
