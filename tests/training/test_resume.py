"""Trainings that are cut off at a step and go on: they end as those end that were not."""

import pytest
import torch

from gnnkit.data import make_windows, simulate_traffic
from gnnkit.temporal import MODELS, build_forecaster
from gnnkit.training import DamagedSnapshotWarning, Snapshots, TrainingSettings, fit, isolated_seed

SERIES = simulate_traffic(num_nodes=5, days=2)
WINDOWS = make_windows(SERIES, history=6, horizon=2)
MODULES = sorted(name for name, entry in MODELS.items() if not entry.fits_itself)


class CutOff(Exception): ...


class Scissors:
    """Ends a fit after a number of steps, as a kill does."""

    def __init__(self, steps):
        self.left = steps

    def begin_fit(self, steps): ...

    def step(self, **figures):
        self.left -= 1
        if self.left == 0:
            raise CutOff

    def end_epoch(self, **figures):
        return False

    def end_fit(self): ...


def train(name="gru", snapshots=None, cut=None, **changes):
    settings = TrainingSettings(**{"epochs": 3, "batch_size": 100, "device": "cpu", **changes})
    sizes = {"in_channels": 1, "hidden_channels": 4, "horizon": 2, "history": 6, "num_nodes": 5}
    with isolated_seed(3):
        model = build_forecaster(name, **sizes, edge_index=SERIES.edge_index)
    graph = (SERIES.edge_index, SERIES.edge_weight)
    result = fit(model, WINDOWS, *graph, settings, progress=cut and Scissors(cut), snapshots=snapshots)
    return model.state_dict(), [(each.epoch, each.train_loss, each.val_mae) for each in result.epochs], result.best_epoch


def same(one, other):
    weights = all(torch.equal(one[0][name], tensor) for name, tensor in other[0].items())
    return weights and one[1:] == other[1:]


@pytest.mark.parametrize("name", MODULES)
def test_every_model_goes_on_bit_for_bit(tmp_path, name):
    whole = train(name)
    snapshots = Snapshots(tmp_path / "a", {}, every=0)
    with pytest.raises(CutOff):
        train(name, snapshots, cut=6)  # in the midst of the second epoch
    assert snapshots.exist()
    assert same(train(name, snapshots), whole)


@pytest.mark.parametrize("cut", range(1, 13))
def test_cut_off_at_any_step(tmp_path, cut):
    changes = {"schedule": "cosine", "patience": 1, "weight_decay": 0.01}
    whole = train(**changes)
    with pytest.raises(CutOff):
        train(snapshots=Snapshots(tmp_path / "a", {}, every=0), cut=cut, **changes)
    assert same(train(snapshots=Snapshots(tmp_path / "a", {}, every=0), **changes), whole)
