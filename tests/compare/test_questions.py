"""The headline family: what is planned, and which model is asked about."""

import dataclasses

import pytest

from gnnkit.compare import make_spec, run
from gnnkit.compare.findings import SIGNIFICANCE, VERDICTS
from gnnkit.compare.questions import Question, planned_questions, without_edges
from gnnkit.data import simulate_traffic

VALIDATION = {"gcn": 2.0, "tgcn": 1.0}


def test_a_pair_that_is_a_twin_is_asked_about_once():
    found = planned_questions(("ridge-graph", "ridge"), {"ridge-graph": "ridge"}, {}, [])
    assert found == [Question("families", "ridge-graph", "ridge")]


@pytest.mark.parametrize(
    ("pair", "ablated", "asked"),
    [(("gcn", "gru"), ["tgcn", "gcn"], "gcn"), (("dcrnn", "gru"), ["gcn", "tgcn"], "tgcn"), (None, ["gcn"], "gcn")],
)
def test_of_several_ablated_models_the_validation_rows_choose_one(pair, ablated, asked):
    found = planned_questions(pair, {}, VALIDATION, ablated)
    assert found[0] == Question("ablation", asked, without_edges(asked))
    assert [question.kind for question in found[1:]] == (["families"] if pair else [])


def test_all_planned_questions_of_a_run_are_one_family():
    series = simulate_traffic(num_nodes=6, days=3, seed=1)
    spec = make_spec(
        models=["ridge", "dlinear", "ridge-graph", "gcn"],
        ablate_graph=["gcn"],
        seeds=[0, 1],
        horizons=[1, 3],
        history=4,
        epochs=1,
        hidden_channels=4,
        threads=1,
        device="cpu",
    )
    found = run(spec, series=series)
    planned = [test for test in SIGNIFICANCE.of(found) if test.planned]
    kinds = {"ablation", "families", "twin"}
    pair = next((test.model, test.against) for test in planned if test.question == "families")
    kinds -= {"twin"} if pair == ("ridge-graph", "ridge") else set()
    assert {test.question for test in planned} == kinds
    assert {test.comparisons for test in planned} == {2 * len(kinds)}
    assert {test.metric for test in planned} == {"mae"}
    assert sum(verdict.kind in kinds and verdict.metric == "mae" for verdict in VERDICTS.of(found)) == len(planned)
    assert found.verdict().startswith("Up to ")
    assert "the given graph helps gcn" in found.verdict() or "the given graph hurts gcn" in found.verdict()


def test_without_a_graph_nothing_is_asked_of_it():
    series = simulate_traffic(num_nodes=3, days=2)
    bare = dataclasses.replace(series, edge_index=series.edge_index[:, :0], edge_weight=series.edge_weight[:0])
    spec = make_spec(models=["ridge", "ridge-graph"], seeds=[0], horizons=[2], history=4, threads=1, device="cpu")
    found = run(spec, series=bare)
    assert not [test for test in SIGNIFICANCE.of(found) if test.planned]
    assert found.verdict().startswith("Exploratory: Up to 10 minutes (2 steps) ahead, ")
