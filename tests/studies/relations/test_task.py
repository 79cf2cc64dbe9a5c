"""The task that all models share: its negatives, its graph, its scores."""

import numpy as np
import pytest
import torch

from gnnkit.data import LoadedTriples, Triples, split_by_relation
from gnnkit.data.relations import count_leaks
from gnnkit.studies.relations.task import (
    decagon_families,
    make_task,
    mean_scores,
    rank_entities,
    score_relations,
    summarise,
)


@pytest.fixture(scope="module")
def task(polypharmacy):
    return make_task(polypharmacy)


def oracle(task):
    """Knows every link, of all parts."""
    return lambda links: task.known.contains(links).double()


def test_nothing_that_is_scored_is_in_training_in_either_direction(task):
    split = task.split
    for held_out in (split.val, split.test):
        assert count_leaks(split.train, held_out) == 0
        assert not task.trained.contains(held_out.flip(0)).any()
    assert not any(task.known.contains(negative).any() for negative in task.negatives.values())


def test_who_knows_all_has_full_scores_and_who_knows_training_has_none(task):
    assert mean_scores(score_relations(task, oracle(task))) == {"auroc": 1.0, "auprc": 1.0, "ap50": 1.0}
    by_training = score_relations(task, lambda links: task.trained.contains(links).double(), "val")
    assert by_training["auroc"].tolist() == [0.5] * 6  # a constant: no held-out link is in training
    assert by_training["links"].sum() == task.split.val.size(1)


def test_counts_of_occurrence_say_nothing_about_hard_negatives(task):
    degree = torch.bincount(task.split.test[[0, 2]].flatten(), minlength=40).double()
    table = score_relations(task, lambda links: degree[links[0]] + degree[links[2]], "hard")
    assert abs(table["auroc"].mean() - 0.5) < 0.2
    assert task.unpaired < 0.05


def test_the_encoders_graph_is_that_of_training(task):
    nodes, families = decagon_families(task)
    assert nodes == {"drug": 40, "protein": 4, "effect": 2}
    assert [(f.source, f.target, f.edge_index.size(1)) for f in families[1:]] == [
        ("protein", "drug", 40),
        ("drug", "protein", 40),
        ("protein", "protein", 4),
        ("effect", "drug", 40),
    ]
    drugs = families[0]
    assert drugs.edge_index.size(1) == 2 * task.split.train.size(1)
    links = torch.stack([drugs.edge_index[0], drugs.edge_type, drugs.edge_index[1]])
    assert task.trained.contains(links).all()
    everything = ("proteins", "targets", "single-effects")
    assert decagon_families(task, everything)[0] == {"drug": 40}
    assert len(decagon_families(task, ("proteins",))[1]) == 4
    with pytest.raises(ValueError, match="'genes' is no part of the graph"):
        decagon_families(task, ("genes",))


def test_a_row_has_means_medians_and_intervals(task):
    row = summarise(score_relations(task, oracle(task)), "x_")
    assert row["x_auroc_mean"] == row["x_auprc_median"] == row["x_ap50_mean_low"] == 1.0
    assert len(row) == 18


def test_an_empty_relation_has_no_score(polypharmacy):
    pairs = polypharmacy.pairs
    with_empty = Triples("toy", pairs.entities, (*pairs.relations, "C9"), pairs.triples, True)
    table = score_relations(make_task(with_empty), lambda links: links[0].double())
    assert table["links"].iloc[-1] == 0
    assert np.isnan(table["auroc"].iloc[-1])
    assert np.isfinite(summarise(table)["auroc_mean"])


def test_filtered_ranks_leave_other_right_answers_out():
    links = torch.tensor([[0, 0, 1, 2], [0, 0, 0, 0], [1, 2, 2, 3]])
    graph = Triples("kg", tuple("abcd"), ("r",), links)
    split = split_by_relation(graph, val=0.25, test=0.25)
    task = make_task(LoadedTriples(graph, split, {}))
    (head,), _, (tail,) = split.test.tolist()
    # The other tails of this head score higher than the right one; so does one wrong entity.
    scores = torch.zeros(1, 4)
    scores[0, [t for h, _, t in links.t().tolist() if h == head]] = 2.0
    scores[0, tail] = 1.0
    wrong = next(n for n in range(4) if scores[0, n] == 0)
    scores[0, wrong] = 3.0
    ranked = rank_entities(task, lambda heads, relations: scores)
    assert ranked == {"mrr": 0.5, "hits1": 0.0, "hits3": 1.0, "hits10": 1.0, "ranked": 1}
