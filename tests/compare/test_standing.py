"""The rivals that stand in every comparison: which, how often they are fitted, and that they are ordinary rows."""

import dataclasses

import pytest
import torch

from gnnkit.compare import make_spec, run
from gnnkit.compare.jobs import plan_jobs
from gnnkit.compare.standing import STANDING_RIVALS, standing_rivals, standing_sentence
from gnnkit.data import simulate_traffic
from gnnkit.temporal import MODELS


@pytest.fixture(scope="module")
def roads():
    return simulate_traffic(num_nodes=5, days=2)


def test_which_stand_follows_from_the_data_and_from_what_is_asked_for(roads):
    assert standing_rivals(make_spec(), roads) == STANDING_RIVALS
    assert standing_rivals(make_spec(rivals=False), roads) == ()
    assert standing_rivals(make_spec(models=["gru", "var"]), roads) == ("ridge", "seasonal-ridge", "ridge-graph")
    bare = dataclasses.replace(roads, edge_index=torch.tensor([[1], [1]]), edge_weight=torch.ones(1), season=None)
    assert standing_rivals(make_spec(), bare) == ("ridge", "var")
    alone = dataclasses.replace(
        bare, values=roads.values[:, :1], node_names=("a",), positions=None, edge_index=torch.zeros(2, 0).long(),
        edge_weight=torch.zeros(0), extra={},
    )  # fmt: skip
    assert standing_rivals(make_spec(), alone) == ("ridge",)
    assert standing_sentence(("ridge",)).startswith("ridge stands in every comparison")
    assert standing_sentence(("ridge", "var", "ridge-graph")).startswith("ridge, var and ridge-graph stand in every")


def test_they_are_fitted_once_a_fold_and_where_a_seed_draws_with_every_seed():
    spec = make_spec(models=["gru", "tgcn"], seeds=[3, 4], folds=2, train_shares=[0.5], hidden_shares=[0.2])
    jobs = plan_jobs(spec, standing=("ridge", "ridge-graph"))
    count = {name: len([job for job in jobs if job.model == name and job.condition.is_base]) for name in
             ("ridge", "gru", "ridge-graph", "tgcn")}  # fmt: skip
    assert count == {"ridge": 2, "gru": 4, "ridge-graph": 2, "tgcn": 4}
    assert list(dict.fromkeys(job.model for job in jobs)) == ["ridge", "gru", "ridge-graph", "tgcn"]
    shares = [(job.seed, job.condition.hidden_share) for job in jobs if job.model == "ridge" and job.fold == 0]
    assert shares == [(3, 0.0), (3, 0.0), (3, 0.2), (4, 0.2)]


def test_they_are_rows_of_their_families_with_tests_and_no_epochs(roads):
    results = run(make_spec(models=["dlinear"], seeds=[0, 1], epochs=1, horizons=[3], resamples=100), series=roads)
    families = {name: results.family(name) for name in results.models[4:]}
    assert families == {
        "ridge": "sequence", "seasonal-ridge": "sequence", "var": "sequence", "dlinear": "sequence",
        "ridge-graph": "graph",
    }  # fmt: skip
    rows = results.rows[(results.rows.model == "ridge") & (results.rows.metric == "mae")]
    assert set(rows.seed) == {0}
    assert (rows.parameters > 0).all()
    assert results.errors.window_errors("ridge", 3).shape[0] == 1
    assert not results.failures
    assert any("stand in every comparison" in sentence for sentence in results.inferred)
    assert not MODELS["dlinear"].is_deterministic


def test_their_intervals_are_conformal_where_others_train_quantiles(roads):
    from gnnkit.compare.findings import INTERVALS

    spec = make_spec(models=["dlinear"], seeds=[0], epochs=1, horizons=[3], resamples=100, intervals="quantile")
    methods = {row.model: row.method for row in INTERVALS.of(run(spec, series=roads))}
    assert (methods["dlinear"], methods["ridge"]) == ("quantile", "conformal")


def test_pairs_with_and_without_neighbours_are_named():
    pairs = {name: entry.graphless_twin for name, entry in MODELS.items() if entry.graphless_twin}
    assert pairs.items() >= {"ridge-graph": "ridge", "stid-graph": "stid"}.items()
    for name, twin in pairs.items():
        assert (MODELS[name].family, MODELS[twin].family) == ("graph", "sequence")
