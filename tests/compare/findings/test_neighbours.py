"""The quick look in the reports of a comparison."""

import dataclasses

import pytest

from gnnkit.compare import Results, make_spec, run, write_output
from gnnkit.compare.findings import FINDINGS, NEIGHBOURS
from gnnkit.compare.findings import neighbours as module
from gnnkit.compare.neighbours.quick import quick_of
from gnnkit.compare.report.html import render_html
from gnnkit.compare.report.markdown import render_markdown
from gnnkit.data import simulate_traffic
from gnnkit.settings.quick import QuickFields

SMALL = {"num_nodes": 6, "days": 2}
ASKED = {"horizons": [3], "history": 6, "folds": 2}


@pytest.fixture(scope="module")
def compared():
    return run(make_spec(data_options=SMALL, models=["ridge", "dlinear"], seeds=[0], epochs=1, **ASKED))


def test_it_is_what_quick_says(compared):
    found = NEIGHBOURS.of(compared)
    assert found is not None
    assert found == quick_of(QuickFields(data_options=SMALL, **ASKED)).found


def test_it_is_the_first_section_and_needs_no_series(compared, tmp_path):
    assert FINDINGS.sections(compared)[0].name == "neighbours"
    write_output(compared, tmp_path / "out")
    again = Results.load(tmp_path / "out")
    assert NEIGHBOURS.of(again) == NEIGHBOURS.of(compared)
    sentence = NEIGHBOURS.of(again).answers[0].sentence.split(" (")[0]
    for page in (render_html(again), render_markdown(again)):
        assert "In a minute: do neighbours" in page
        assert sentence in page
        assert "Zambon and Alippi, 2022" in page


def test_two_families_of_tests_on_one_pair_are_told_apart(compared):
    """Ridge with and without neighbours stand among the planned questions too, with another correction."""
    assert "apart from the planned questions" in render_markdown(compared)
    alone = run(make_spec(data_options=SMALL, models=["dlinear"], seeds=[0], epochs=1, rivals=False, **ASKED))
    assert NEIGHBOURS.of(alone).answers
    assert "apart from the planned questions" not in render_markdown(alone)


def test_without_a_graph_there_is_none():
    series = simulate_traffic(**SMALL)
    bare = {"edge_index": series.edge_index[:, :0], "edge_weight": series.edge_weight[:0]}
    spec = make_spec(models=["dlinear"], seeds=[0], epochs=1, **ASKED)
    found = run(spec, series=dataclasses.replace(series, **bare))
    assert NEIGHBOURS.of(found) is None
    assert "In a minute" not in render_markdown(found)


def test_it_can_be_left_out(monkeypatch):
    monkeypatch.delattr(module, "fit_ridges")
    asked = {"quick_look": False, "rivals": False, **ASKED}
    found = run(make_spec(data_options=SMALL, models=["dlinear"], seeds=[0], epochs=1, **asked))
    assert NEIGHBOURS.of(found) is None
    assert "In a minute" not in render_markdown(found)


def test_what_does_not_fit_into_memory_is_left_out_in_words(compared, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    found = run(make_spec(data_options=SMALL, models=["dlinear"], seeds=[0], epochs=1, **ASKED))
    assert NEIGHBOURS.of(found).kind == "left-out"
    page = render_markdown(found)
    assert "The quick look was left out: ridge regression on 576 rows of 6 nodes needs about" in page
