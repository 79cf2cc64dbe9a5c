"""One early stop for all loops: by each rule, and with the weights that are kept."""

import pytest
import torch
from torch import nn

from gnnkit.training.early_stop import EarlyStop, weights_of

LOSSES = [1.0, 0.8, 0.9, 0.7, 0.75, 0.76, 0.77, 0.9, 0.95, 1.0]
ACCURACIES = [0.5, 0.6, 0.7, 0.65, 0.7, 0.7, 0.6, 0.6, 0.6, 0.6]


def play(losses, accuracies, **options):
    """The epoch at which it is over, or the last, and the epoch whose weights were kept, 0 for none."""
    stop, epoch = EarlyStop(**options), 0
    for epoch, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True), start=1):
        is_kept = stop.update(epoch, loss, accuracy, weights=lambda at=epoch: {"epoch": torch.tensor(at)})
        assert is_kept == (stop.at == epoch)
        if stop.over:
            break
    assert stop.weights.get("epoch", torch.tensor(0)) == stop.at
    return epoch, stop.at


@pytest.mark.parametrize(
    ("rule", "keep", "patience", "expected"),
    [
        ("loss", "best", 3, (7, 4)),
        ("loss", "last", 3, (7, 0)),
        # 0.77 at epoch 7 is the first above the mean of the three before it, (0.7 + 0.75 + 0.76) / 3.
        ("mean-loss", "last", 3, (7, 0)),
        # Epochs 5 and 6 are as good as the best accuracy, 7 to 9 are neither; both at once were best at epoch 2.
        ("loss-and-accuracy", "best", 3, (9, 2)),
        ("loss-and-accuracy", "least-loss", 3, (9, 4)),
        # 0.7 at epoch 3; at 5 again, with a lower loss; then nothing better.
        ("accuracy", "best", 3, (8, 5)),
        ("accuracy", "best", None, (10, 5)),
    ],
)
def test_early_stop_by_each_rule(rule, keep, patience, expected):
    assert play(LOSSES, ACCURACIES, rule=rule, keep=keep, patience=patience) == expected


def test_accuracies_that_tie_are_told_apart_by_the_loss():
    assert play([0.5, 0.6, 0.4, 0.4], [0.7] * 4, rule="accuracy") == (4, 3)
    assert play([0.0] * 4, [0.7, 0.7, 0.8, 0.8], rule="accuracy", patience=1) == (2, 1)


def test_the_mean_of_the_losses_before_counts_from_the_second_epoch_behind_patience():
    assert play([1.0, 2.0, 1.0], [0.0] * 3, rule="mean-loss", patience=1) == (3, 1)
    assert play([1.0, 2.0, 3.0], [0.0] * 3, rule="mean-loss", patience=1) == (3, 1)
    assert play([1.0, 9.0, 1.0, 5.1], [0.0] * 4, rule="mean-loss", patience=2) == (4, 1)
    assert play([1.0, 9.0, 1.0, 4.9, 1.0], [0.0] * 5, rule="mean-loss", patience=2) == (5, 1)


def test_a_wait_that_is_set_to_nothing_begins_anew():
    stop = EarlyStop(patience=2)
    for epoch, loss in enumerate([1.0, 2.0, 2.0], start=1):
        stop.update(epoch, loss, weights=dict)
    assert stop.over
    stop.wait = 0
    stop.update(4, 2.0, weights=dict)
    assert (stop.over, stop.wait, stop.at, stop.loss) == (False, 1, 1, 1.0)


def test_weights_are_copies():
    layer = nn.BatchNorm1d(2)
    kept = weights_of(layer)
    with torch.no_grad():
        layer.weight.zero_()
        layer.running_mean.fill_(7.0)
    assert kept["weight"].tolist() == [1.0, 1.0]
    assert kept["running_mean"].tolist() == [0.0, 0.0]
    assert not kept["weight"].requires_grad
