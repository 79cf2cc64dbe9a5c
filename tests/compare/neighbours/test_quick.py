"""The quick look on worlds whose answer is known, and on nonsense."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from gnnkit.compare import quick
from gnnkit.compare.neighbours.quick import quick_of
from gnnkit.compare.neighbours.result import Quick
from gnnkit.compare.neighbours.screen import screen
from gnnkit.settings.quick import QuickFields


def ring(nodes):
    return np.roll(np.eye(nodes), 1, axis=1)  # i → i + 1


def world(nodes=8, rows=600, *, graph=0.0, common=0.0, seed=0):
    """A node is what the one before it on the ring was a row ago, what all share was, and noise."""
    rng = np.random.default_rng(seed)
    shocks, shared = rng.standard_normal((rows + 1, nodes)), rng.standard_normal((rows + 1, 1))
    x = shocks + common * shared
    x[1:] += graph * x[:-1] @ ring(nodes) + 2 * common * shared[:-1]
    return pd.DataFrame(x[1:], columns=[f"n{i}" for i in range(nodes)])


ASKED = {"horizons": [1], "history": 2, "folds": 3}


def test_a_graph_that_helps_is_found():
    found = quick(world(graph=1.0), ring(8), **ASKED)
    assert found.kind == "graph"
    assert found.verdict().startswith("Yes: ridge regression gains by its neighbours, and shuffled neighbours do not")
    row = found.table().loc[1]
    assert row["given"] < 0.9 * row["none"]
    assert row["given"] < 0.9 * row["shuffled"]
    assert row["clear"]
    assert row["clear_shuffled"]
    left = found.left().set_index(["model", "part"])
    assert left.loc[("ridge", "lagged"), "clear"]
    assert left.loc[("ridge", "lagged"), "agreement"] > left.loc[("ridge-graph", "lagged"), "agreement"] + 0.05


def test_what_any_other_nodes_give_is_not_the_graphs():
    found = quick(world(common=1.0), ring(8), **ASKED)
    assert found.kind == "nodes"
    assert found.verdict().startswith("Not shown: other nodes help ridge regression")
    assert found.table().loc[1, "clear"]
    assert not found.table().loc[1, "clear_shuffled"]


def test_a_graph_that_tells_nothing_is_open_or_ruled_out():
    kinds = {quick(world(seed=seed), ring(8), **ASKED).kind for seed in range(3)}
    assert kinds <= {"open", "no"}


def test_an_answer_of_open_says_what_could_have_been_found():
    found = quick(world(rows=60, graph=0.1), ring(8), **ASKED)
    assert found.kind == "open"
    gain = found.found.gain(1, "none")
    assert f"A true difference of {gain.detectable:.4g} (" in found.verdict(1)
    assert "would be found with a chance of 80%" in found.verdict()


def test_ridge_without_edges_is_ridge():
    frame = world(graph=1.0)
    whole, none = quick(frame, ring(8), **ASKED), quick(frame, ring(8) * 0 + np.eye(8, k=1)[[0] * 8] * 0.5, **ASKED)
    assert whole.table().loc[1, "none"] == none.table().loc[1, "none"]


def test_several_horizons_are_one_family():
    found = quick(world(graph=1.0), ring(8), horizons=[1, 2, 4], history=2)
    table = found.table()
    assert table.loc[1, "kind"] == "graph"
    assert list(table.index) == [1, 2, 4]
    for _, row in table.iterrows():
        assert row["clear"] == (row["p"] < 0.05) == (row["low"] * row["high"] > 0)
    with pytest.raises(ValueError, match="horizon is 3; choose one of 1, 2, 4"):
        found.verdict(3)


def test_too_few_rows_say_how_many_are_needed():
    found = quick(world(rows=100), ring(8), horizons=[6], history=3, folds=1)
    assert found.kind == "too-few"
    assert re.search(r"too few to judge: at least 31 are needed \(about \d+ more rows\)", found.verdict())
    assert found.table()["p"].isna().all()


@pytest.mark.parametrize(
    ("frame", "graph", "text"),
    [
        (world(), None, "series has no edge between two nodes, so there is no graph to ask about; give one"),
        (world(nodes=1), np.ones((1, 1)), "series has no edge between two nodes"),
        (world(), np.eye(8), "series has no edge between two nodes"),
        (world(rows=3), ring(8), "too short|too few"),
    ],
)
def test_nonsense_is_an_error(frame, graph, text):
    with pytest.raises(ValueError, match=text):
        quick(frame, graph)


def test_a_constant_series_has_nothing_to_tell():
    frame = pd.DataFrame(np.full((200, 4), 7.0))
    found = quick(frame, ring(4), horizons=[1], history=2)
    assert found.kind == "no"
    assert found.verdict() == (
        "No: ridge regression makes no error without its neighbours, so they have none to take away (up to 1 step)."
    )
    assert "%" not in found.verdict(1)
    assert found.table().loc[1, "given"] == pytest.approx(0, abs=1e-9)
    assert found.left().empty or not found.left()["clear"].any()
    assert screen(found)


def test_gaps_are_no_hindrance():
    frame = world(graph=1.0)
    frame = frame.mask(np.random.default_rng(1).random(frame.shape) < 0.2)
    assert quick(frame, ring(8), **ASKED).kind == "graph"


def test_a_complete_graph_has_no_other():
    frame = world(common=1.0)
    found = quick(frame, np.ones((8, 8)), **ASKED)
    assert found.kind == "nodes"
    assert found.found.shuffles == 0
    (note,) = found.found.notes
    assert note.startswith("Every shuffle of this graph is the graph itself")
    assert np.isnan(found.table()["shuffled"].astype(float)).all()
    assert screen(found)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"shufles": 2}, "quick: there is no such setting: 'shufles'; did you mean 'shuffles'"),
        ({"data": "los-loop"}, r"data: give the data as the first arguments: quick\(series, graph\)"),
        ({"shuffles": 0}, "shuffles: .*0"),
        ({"folds": 0}, "folds: .*0"),
        ({"horizons": [0]}, "horizons.*0 is not a number of steps ahead"),
    ],
)
def test_settings_are_checked(settings, text):
    with pytest.raises(ValueError, match=text):
        quick(world(), ring(8), **settings)


def test_it_is_kept_and_read_again(tmp_path):
    found = quick(world(graph=1.0), ring(8), **ASKED, name="ring", out=tmp_path / "kept")
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["quick.csv", "quick.json"]
    again = Quick.load(tmp_path / "kept")
    assert again.verdict() == found.verdict()
    assert again.found == found.found
    rows = pd.read_csv(tmp_path / "kept" / "quick.csv", index_col="horizon")
    assert rows.loc[1, "given"] == pytest.approx(found.table().loc[1, "given"])
    found.save(tmp_path / "kept", markdown=True)
    page = (tmp_path / "kept" / "quick.md").read_text("utf-8")
    assert page.startswith("# Quick look: ring\n")
    assert "Zambon and Alippi, 2022" in page
    assert "Yes: ridge regression" in found._repr_html_()
    assert repr(found).startswith("Quick(ring: Yes")


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("dear")
    with pytest.raises(ValueError, match=r"holds other files \(thesis.tex\); give a new or an empty folder"):
        quick(world(rows=100), ring(8), **ASKED, out=tmp_path)
    (tmp_path / "quick.json").write_text(json.dumps({"something": 1}))
    with pytest.raises(ValueError, match="was not written by `gnnkit quick`; give a folder that it wrote"):
        Quick.load(tmp_path)


@pytest.mark.parametrize(("size", "head"), [(1e8, "MAE in 1e+06"), (1e-7, "MAE in 1e-09"), (1.0, "MAE with")])
def test_scores_of_any_size_stand_apart_on_the_screen(size, head):
    lines = screen(quick(world(rows=200) * size, ring(8), **ASKED))
    assert any(head in line for line in lines)
    (row,) = (line for line in lines if line.startswith("1 step "))
    scores = [float(word.replace(",", "")) for word in row.split()[2:5]]
    assert all(0.01 < score < 1e5 for score in scores)


def test_the_screen_is_one_screen():
    options = {"num_nodes": 12, "days": 4}
    lines = screen(quick_of(QuickFields(data_options=options)))
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert re.match(r"simulated: (Yes|Not shown|No|Open): ", lines[0])
    assert any(line.startswith("60 min") for line in lines)
    assert "AZ test" in " ".join(lines)
