"""Which fits a spec asks for, and what each of them is given."""

import dataclasses

import pytest
import torch

from gnnkit.compare.conditions import Condition
from gnnkit.compare.jobs import (
    Job,
    ablation_adjacencies,
    ablation_notes,
    job_settings,
    job_windows,
    plan_jobs,
    run_job,
)
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.data import hide_in_outages, simulate_traffic
from gnnkit.graph import graph_variant

SMALL = {"horizons": [2, 4], "hidden_channels": 4, "epochs": 1, "device": "cpu", "seeds": [0, 5]}


def spec(**values):
    return FinalSpec(**{**SMALL, **values})


@pytest.fixture(scope="module")
def series():
    return simulate_traffic(num_nodes=6, days=2)


def test_the_main_table_comes_first_sequence_models_before_graph_models():
    asked = spec(models=["tgcn", "gru"], ablate_graph=["tgcn"], train_shares=[1.0, 0.5], hidden_shares=[0.25])
    keys = [job.key for job in plan_jobs(asked)]
    assert keys[:4] == ["gru-seed0", "gru-seed5", "tgcn-seed0", "tgcn-seed5"]
    kinds = ["identity", "shuffled", "random", "complete"]
    assert keys[4:12] == [f"tgcn-seed{seed}-{kind}" for kind in kinds for seed in (0, 5)]
    shares = [f"{model}-seed{seed}-{share}" for share in ("train0.5", "hidden0.25") for model in ("gru", "tgcn")
              for seed in (0, 5)]  # fmt: skip
    assert sorted(keys[12:]) == sorted(shares)
    assert len(set(keys)) == len(keys)


def test_settings_come_from_the_spec_and_the_budget_comes_before_it():
    asked = spec(models=["gru", "gcn"], settings={"gru": {"hidden_channels": 8, "learning_rate": 0.5}})
    chosen = {"gru": {"learning_rate": 0.25, "trials": 7}, "gcn": {"hidden_channels": 5}}
    gru, _, gcn, _ = plan_jobs(asked, chosen)
    assert (gru.hidden_channels, dict(gru.settings), gru.trials) == (8, {"learning_rate": 0.25}, 7)
    assert (gcn.hidden_channels, dict(gcn.settings), gcn.trials) == (5, {}, 0)
    own, training = job_settings(asked, gru)
    assert own == {}
    assert (training.learning_rate, training.seed, training.epochs) == (0.25, 0, 1)


def test_a_model_without_a_width_has_none():
    assert plan_jobs(spec(models=["dlinear"]))[0].hidden_channels == 0


def test_a_graph_is_taken_away_only_from_a_model_that_reads_it():
    asked = spec(models=["tgcn", "mtgnn", "mtgnn-given"], ablate_graph=["tgcn", "mtgnn", "mtgnn-given"])
    assert ablation_adjacencies(asked, "tgcn") == ["given", "identity", "shuffled", "random", "complete"]
    assert ablation_adjacencies(asked, "mtgnn-given")[-1] == "learned"
    assert ablation_adjacencies(asked, "mtgnn") == []
    assert ablation_notes(asked) == ["mtgnn ignores the graph that it is given, so that its graph was not ablated."]
    assert {job.condition.adjacency for job in plan_jobs(asked) if job.model == "mtgnn"} == {"given"}


def test_labels_name_what_differs():
    condition = Condition(train_share=0.1, hidden_share=0.3)
    assert Job("gru", 2, condition).label == "gru, seed 2, train 10%, hidden 30%"
    assert Job("gru", 2, condition, trial=3).key == "gru-seed2-train0.1-hidden0.3-trial3"


def test_every_condition_keeps_the_targets_that_are_tested(series):
    asked = spec()
    given, base = job_windows(asked, series)
    assert given is series
    index = torch.arange(len(base.test))
    for condition in (
        Condition(adjacency="shuffled"),
        Condition(train_share=0.5),
        Condition(hidden_share=0.5),
    ):
        _, windows = job_windows(asked, series, condition, 3)
        for part in ("val", "test"):
            mine, theirs = getattr(windows, part).batch(index[:40]), getattr(base, part).batch(index[:40])
            assert torch.equal(mine.y_mask, theirs.y_mask)
            assert torch.equal(mine.y[mine.y_mask], theirs.y[theirs.y_mask])


def test_conditions_change_what_they_say_and_draw_by_the_seed(series):
    asked = spec()
    changed, windows = job_windows(asked, series, Condition(adjacency="shuffled"), 3)
    edge_index, edge_weight = graph_variant(series.edge_index, series.edge_weight, 6, "shuffled", seed=3)
    assert torch.equal(changed.edge_index, edge_index)
    assert torch.equal(changed.edge_weight, edge_weight)
    rows = series.split.train
    fewer = job_windows(asked, series, Condition(train_share=0.5), 3)[1].train.rows
    assert (len(rows), fewer) == (403, range(rows.stop - 202, rows.stop))
    hidden = hide_in_outages(series, 0.5, seed=3)
    _, windows = job_windows(asked, series, Condition(hidden_share=0.5), 3)
    observed = windows.train.store.observed(torch.arange(series.num_rows))
    assert observed is not None
    assert not (observed[..., 0] & hidden).any()


def test_a_job_predicts_all_windows_of_validation_and_test(series):
    asked = spec(models=["gru"])
    outcome, seconds = run_job(asked, series, Job("gru", 5, hidden_channels=4))
    _, windows = job_windows(asked, series)
    assert outcome.predicted.shape == (len(windows.test), 4, 6)
    assert outcome.validation is not None
    assert outcome.validation.shape == (len(windows.val), 4, 6)
    assert outcome.quantiles is None
    assert (outcome.model, outcome.family, outcome.seed) == ("gru", "sequence", 5)
    assert outcome.fitted is not None
    assert seconds > outcome.fitted.wall_seconds


def test_a_trial_sees_no_test_row(series):
    poisoned = series.values.clone()
    poisoned[series.split.test.start :] = 1e6
    other = dataclasses.replace(series, values=poisoned)
    asked = spec(models=["gru"])
    trial = Job("gru", 0, hidden_channels=4, trial=1)
    (first, _), (second, _) = run_job(asked, series, trial), run_job(asked, other, trial)
    assert len(first.predicted) == 0
    assert first.validation is not None
    assert second.validation is not None
    assert torch.equal(first.validation, second.validation)


def test_quantile_heads_give_the_median_as_the_prediction(series):
    asked = spec(models=["gru"], intervals="quantile", coverage=0.8)
    outcome, _ = run_job(asked, series, Job("gru", 0, hidden_channels=4))
    assert outcome.quantiles is not None
    assert outcome.quantiles.shape[-1] == 11  # .05, .1, .2 … .9, .95
    assert torch.equal(outcome.predicted, outcome.quantiles[..., 5])
    assert (outcome.quantiles.diff(dim=-1) >= 0).all()
    assert outcome.validation_quantiles is not None
    assert torch.equal(outcome.validation, outcome.validation_quantiles[..., 5])


def test_a_learned_graph_is_that_of_the_model_that_learns_one(series):
    asked = spec(models=["mtgnn-given", "mtgnn"])
    learned, _ = run_job(asked, series, Job("mtgnn-given", 0, Condition(adjacency="learned"), 4))
    own, _ = run_job(asked, series, Job("mtgnn", 0, hidden_channels=4))
    assert torch.equal(learned.predicted, own.predicted)
    assert learned.model == "mtgnn-given"
    with pytest.raises(ValueError, match="tgcn has no form that learns its graph"):
        run_job(asked, series, Job("tgcn", 0, Condition(adjacency="learned"), 4))
