import pytest

from gnnkit.layers import NodeClassifier
from gnnkit.studies.nodes.recipes import NODE_RECIPES, node_recipe
from gnnkit.training.seeds import weight_decay_groups


@pytest.mark.parametrize("name", list(NODE_RECIPES))
def test_every_recipe_builds_and_its_penalties_find_their_weights(name):
    recipe = node_recipe(name, "cora")
    model = NodeClassifier(20, out_channels=7, **recipe.model)
    groups = weight_decay_groups(model.named_parameters(), recipe.settings.weight_decay)
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    assert recipe.settled


def test_the_papers_numbers():
    gcn, gat = node_recipe("gcn", "cora"), node_recipe("gat", "cora")
    assert (gcn.model["hidden_channels"], gcn.model["dropout"]) == (16, 0.5)
    assert (gcn.settings.learning_rate, gcn.settings.epochs, gcn.settings.patience) == (0.01, 200, 10)
    assert dict(gcn.settings.weight_decay) == {"layers.0.lin.weight": 5e-4}
    assert (gat.model["hidden_channels"], gat.model["heads"], gat.model["dropout"]) == (8, 8, 0.6)
    assert (gat.settings.learning_rate, gat.settings.patience) == (0.005, 100)
    pubmed = node_recipe("gat", "pubmed")
    assert (pubmed.model["out_heads"], pubmed.settings.learning_rate) == (8, 0.01)
    assert dict(pubmed.settings.weight_decay)["*"] == 1e-3


def test_unknown_models_are_named():
    with pytest.raises(ValueError, match="model='gta': did you mean 'gat'"):
        node_recipe("gta", "cora")
