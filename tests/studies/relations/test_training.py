"""Models learn what there is to learn, on every path of training."""

import pytest
import torch

from gnnkit.data import LoadedTriples, Triples, split_by_relation
from gnnkit.studies.relations.settings import RECIPES, recipe
from gnnkit.studies.relations.task import make_task, rank_entities, score_relations
from gnnkit.studies.relations.training import build_model, scorer, train_model

# So many passes, however slow the machine is; the minutes only end a run that hangs.
QUICK = {"minutes": 5, "epochs": 150, "validations": 2, "relations_per_step": 3, "channels": 16, "device": "cpu"}


@pytest.fixture(scope="module")
def task(polypharmacy):
    return make_task(polypharmacy)


@pytest.mark.parametrize(
    "settings",
    [
        recipe("decagon", **{**QUICK, "epochs": 60}),
        recipe("decagon", **{**QUICK, "epochs": 60}, encoder_form="authors"),
        recipe("best", **QUICK),
        recipe("dedicom", **QUICK, negatives="sampled", loss="hinge", negatives_per_link=2),
        recipe("complex", **QUICK, negatives="sampled", loss="self-adversarial"),
        recipe("decagon", **{**QUICK, "epochs": 40}, neighbours=5, negatives="sampled", batch_size=200),
    ],
    ids=["decagon", "authors", "best", "hinge", "self-adversarial", "sampled neighbourhoods"],
)
def test_it_learns_which_families_meet(task, settings):
    model, fit = train_model(task, settings)
    assert score_relations(task, scorer(model))["auroc"].mean() > 0.85
    assert score_relations(task, scorer(model), "hard")["auroc"].mean() > 0.6  # not by counting drugs
    assert fit.steps > 1
    assert fit.best_score == max(row["auprc"] for row in fit.history)


def test_a_graph_with_a_direction_is_ranked():
    head = torch.arange(60)
    links = torch.cat([torch.stack([head, torch.full((60,), r), (head + r + 1) % 60]) for r in range(2)], 1)
    graph = Triples("ring", tuple(f"e{i}" for i in range(60)), ("next", "next but one"), links)
    task = make_task(LoadedTriples(graph, split_by_relation(graph), {}))
    model, fit = train_model(task, recipe("complex", **{**QUICK, "channels": 32}, negatives="all"))
    assert set(fit.history[0]) == {"seconds", "step", "loss", "mrr", "hits1", "hits3", "hits10"}
    z = model.encode()
    right = task.split.train
    scores = model.score_tails(right[0], right[1], z)
    assert (scores.argsort(1, descending=True)[:, :1] == right[2].unsqueeze(1)).float().mean() > 0.9
    assert rank_entities(task, lambda h, r: model.score_tails(h, r, z))["ranked"] == task.split.test.size(1)


def test_weights_depend_on_the_seed_alone(task):
    first, again = (build_model(task, recipe("decagon", seed=3)) for _ in range(2))
    torch.rand(1)
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_one_relation_is_enough(polypharmacy):
    task = make_task(polypharmacy.pairs.keep_relations([4]))
    model, _ = train_model(task, recipe("best", **QUICK))
    assert score_relations(task, scorer(model))["auroc"].iloc[0] > 0.7


def test_every_recipe_builds(task):
    for name in RECIPES:
        assert build_model(task, recipe(name)).decoder.num_relations == 6


def test_nothing_to_train_on():
    few = Triples("few", ("a", "b"), ("r",), torch.tensor([[0], [0], [1]]), True)
    with pytest.raises(ValueError, match="few: no validation links"):
        train_model(make_task(few), recipe("dedicom", **QUICK))
