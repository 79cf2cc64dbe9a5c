"""Training of many seeds at once: each as if it were alone, each with its own early stop."""

import pytest
import torch
from torch_geometric.data import Data

from gnnkit.layers import NodeClassifier, SeedStack
from gnnkit.training import seeds
from gnnkit.training.seeds import SeedSettings, fit_seeds, weight_decay_groups
from tests.training.test_early_stop import ACCURACIES, LOSSES


def two_rings(size=30, seed=0):
    """Two rings whose nodes' features lean to one side each, with much noise."""
    generator = torch.Generator().manual_seed(seed)
    ring = torch.arange(size)
    edges = torch.stack([ring, ring.roll(-1)])
    edges = torch.cat([edges, edges.flip(0)], dim=1)
    edges = torch.cat([edges, edges + size], dim=1)
    y = torch.arange(2).repeat_interleave(size)
    x = torch.randn(2 * size, 6, generator=generator)
    x[:, 0] += 1.5 * (2 * y - 1)
    part = torch.randperm(2 * size, generator=generator) % 3
    return Data(x=x, edge_index=edges, y=y, train_mask=part == 0, val_mask=part == 1, test_mask=part == 2)


def stack_of(seeds, **options):
    models = []
    for seed in seeds:
        torch.manual_seed(seed)
        models.append(NodeClassifier(6, 8, 2, **options))
    return SeedStack(models, seeds)


def test_it_learns():
    results = fit_seeds(stack_of([0, 1, 2]), two_rings(), SeedSettings(epochs=60, learning_rate=0.02))
    assert [result.seed for result in results] == [0, 1, 2]
    assert all(result.test_accuracy > 0.9 and result.epochs == result.epoch == 60 for result in results)


@pytest.mark.parametrize("options", [{"dropout": 0.5}, {"layer": "gcn2", "num_layers": 3, "dropout": 0.3}])
def test_a_seed_in_a_stack_is_the_seed_alone(options):
    data, settings = two_rings(), SeedSettings(epochs=15, weight_decay=(("layers.0.*", 5e-4),))
    together = fit_seeds(stack_of([3, 4, 5], **options), data, settings)[1]
    alone = fit_seeds(stack_of([4], **options), data, settings)[0]
    assert together.val_loss == pytest.approx(alone.val_loss, rel=1e-4)
    for name, value in alone.state.items():
        torch.testing.assert_close(together.state[name], value, rtol=1e-3, atol=1e-4)


def test_without_dropout_it_is_an_ordinary_loop_over_seeds():
    data = two_rings()
    settings = SeedSettings(epochs=12, learning_rate=0.02, weight_decay=(("*.bias", 0.0), ("*", 1e-2)))
    result = fit_seeds(stack_of([7, 8], dropout=0.0), data, settings)[1]
    torch.manual_seed(8)
    model = NodeClassifier(6, 8, 2, dropout=0.0)
    weights = [p for name, p in model.named_parameters() if not name.endswith("bias")]
    biases = [p for name, p in model.named_parameters() if name.endswith("bias")]
    optimizer = torch.optim.Adam([{"params": weights, "weight_decay": 1e-2}, {"params": biases}], lr=0.02)
    for _ in range(12):
        optimizer.zero_grad()
        logits = model(data.x, data.edge_index)[data.train_mask]
        torch.nn.functional.cross_entropy(logits, data.y[data.train_mask]).backward()
        optimizer.step()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(result.state[name], value, rtol=1e-4, atol=1e-5)
    right = model.eval()(data.x, data.edge_index).argmax(1) == data.y
    assert result.test_accuracy == pytest.approx(right[data.test_mask].double().mean().item())


def test_seeds_stop_by_themselves_and_the_others_go_on():
    data = two_rings()
    settings = SeedSettings(epochs=120, learning_rate=0.05, patience=5, keep="best")
    together = fit_seeds(stack_of([0, 1, 2, 3], dropout=0.2), data, settings)
    assert len({result.epochs for result in together}) > 1
    for result in together:
        (alone,) = fit_seeds(stack_of([result.seed], dropout=0.2), data, settings)
        assert (alone.epochs, alone.epoch) == (result.epochs, result.epoch)
        assert alone.epochs == alone.epoch + 5 or alone.epochs == 120


@pytest.mark.parametrize(
    ("keep", "epoch"), [("best", 2), ("least-loss", 4), ("last", 9)], ids=["best", "least-loss", "last"]
)
def test_the_kept_weights_go_with_their_scores(monkeypatch, keep, epoch):
    """By "loss-and-accuracy" the curves of `test_early_stop` end at epoch 9; each epoch's weights are its number."""
    monkeypatch.setattr(seeds, "_step", lambda stack, data, optimizer: stack.step())
    monkeypatch.setattr(seeds, "_evaluate", lambda stack, data: stack.scores())
    settings = SeedSettings(epochs=10, stop_rule="loss-and-accuracy", keep=keep, patience=3)
    (result,) = fit_seeds(Curves(), Data(y=torch.zeros(1)), settings)
    assert (result.epochs, result.epoch, result.state["number"].item()) == (9, epoch, epoch)
    assert (result.val_loss, result.val_accuracy) == (LOSSES[epoch - 1], ACCURACIES[epoch - 1])
    assert (result.train_accuracy, result.test_accuracy) == (1.0, 0.5)


class Curves:
    """Stands in for a stack of one seed with given curves, whose weight is the number of its steps."""

    def __init__(self):
        self.seeds, self.number = [0], 0
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def named_parameters(self):
        return [("weight", self.weight)]

    def step(self):
        self.number += 1
        return torch.ones(1)

    def scores(self):
        place = self.number - 1
        return [torch.tensor([value], dtype=torch.float64) for value in (LOSSES[place], 1.0, ACCURACIES[place], 0.5)]

    def state_of(self, index):
        return {"number": torch.tensor(self.number)}


def test_limits_and_progress():
    told = []
    data = two_rings()
    results = fit_seeds(stack_of([0, 1]), data, SeedSettings(epochs=3), on_epoch=lambda *what: told.append(what))
    assert told == [(1, 2), (2, 2)]  # the last epoch leaves nobody
    assert results[0].epochs == 3
    results = fit_seeds(stack_of([0]), data, SeedSettings(epochs=500), max_seconds=0.0)
    assert results[0].epochs == 1


def test_sparse_features_train_too():
    data = two_rings()
    data.x = (data.x * (data.x > 0.5)).to_sparse_csr()
    results = fit_seeds(stack_of([0, 1]), data, SeedSettings(epochs=40, learning_rate=0.02))
    assert all(result.test_accuracy > 0.75 for result in results)


def test_weight_decay_goes_by_name():
    model = NodeClassifier(6, 8, 2)
    groups = weight_decay_groups(model.named_parameters(), [("*.bias", 0.0), ("layers.0.*", 0.5)])
    sizes = {group["weight_decay"]: sorted(p.numel() for p in group["params"]) for group in groups}
    assert sizes == {0.0: [2, 8, 16], 0.5: [48]}
    with pytest.raises(ValueError, match=r"weight_decay: 'layer.0.\*' is the name of no parameter; there are layers.0"):
        weight_decay_groups(model.named_parameters(), [("layer.0.*", 0.5)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"epochs": "many"}, "epochs must be a whole number of at least 1, got 'many'"),
        ({"learning_rate": "fast"}, "learning_rate must be a positive number, got 'fast'"),
        ({"weight_decay": 5e-4}, "weight_decay must be pairs of a pattern of names and a penalty .* got 0.0005"),
        ({"weight_decay": (("*", -1.0),)}, "weight_decay must be pairs"),
        ({"patience": "none"}, "patience must be a number of epochs, .*null on the command line.* got 'none'"),
        ({"learning_rate": 0.0}, "learning_rate must be a positive number"),
        ({"patience": 0}, "patience must be a number of epochs, at least 1, or None"),
        ({"stop_rule": "val"}, "stop_rule must be one of loss, mean-loss"),
        ({"keep": "first"}, "keep must be 'last', 'best' or 'least-loss', got 'first'"),
    ],
)
def test_bad_settings_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        SeedSettings(**options)


def test_the_seed_that_explodes_is_named():
    stack = stack_of([3, 4, 5])
    with torch.no_grad():
        dict(stack.named_parameters())["model.layers.0.lin.weight"][1] = torch.nan
    message = r"training loss of seed 4 is nan at epoch 1: lower learning_rate \(now 0.01\)"
    with pytest.raises(FloatingPointError, match=message):
        fit_seeds(stack, two_rings(), SeedSettings(epochs=5))
    message = (
        r"validation loss of seed 4 is \d.*e\+\d+ at epoch 1, and was 0.66 at first: lower learning_rate \(now 1e\+06\)"
    )
    with pytest.raises(FloatingPointError, match=message):
        fit_seeds(stack_of([4]), two_rings(), SeedSettings(epochs=1, learning_rate=1e6))
