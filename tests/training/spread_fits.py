"""Fits that are the same whatever the number of processes, and two processes that run them."""

import os
from contextlib import suppress

import pytest
import torch
from torch import nn

from gnnkit.compare import make_spec, run
from gnnkit.data import Split, make_windows
from gnnkit.layers import NodeClassifier
from gnnkit.loader import NeighborLoader, PartitionLoader
from gnnkit.temporal import build_forecaster
from gnnkit.training import Snapshots, TrainingSettings, fit, isolated_seed
from gnnkit.training.node_batches import fit_batches
from gnnkit.training.ranks import joined_ranks
from gnnkit.training.seeds import SeedSettings
from tests.training.test_node_batches import community
from tests.training.toys import EDGES, WEIGHTS, Linear, make_series, waves

# A rival fits itself, in the first process alone.
SPEC = {
    "data_options": {"num_nodes": 4, "days": 2}, "models": ["gru", "ridge"], "seeds": [0], "horizons": [2],
    "hidden_channels": 4, "epochs": 1, "device": "cpu", "resamples": 100, "threads": 1, "rivals": False, "folds": 1,
}  # fmt: skip


class CutOff(Exception): ...


class Stopper:
    """Sees enough behind the second epoch."""

    def begin_fit(self, steps): ...

    def step(self, **figures): ...

    def end_epoch(self, *, epoch, **figures):
        return epoch == 2

    def end_fit(self): ...


def windows():
    """Windows with gaps: one of the two halves of a batch may hold far fewer targets than the other."""
    values = waves(rows=120, nodes=2)
    values[10:30] = torch.nan
    values[torch.rand(120, 2, generator=torch.Generator().manual_seed(1)) < 0.2] = torch.nan
    split = Split(range(80), range(80, 100), range(100, 120))
    series = make_series(values, split)
    return make_windows(series, history=4, horizon=3)


def train(model, snapshots=None, progress=None, **changes):
    """Weights, losses, validation errors, and why it ended."""
    settings = TrainingSettings(**{"epochs": 3, "batch_size": 37, "device": "cpu", **changes})
    result = fit(model, windows(), EDGES, WEIGHTS, settings, snapshots=snapshots, progress=progress)
    curve = [[each.train_loss, each.val_mae] for each in result.epochs]
    return {"weights": model.state_dict(), "curve": curve, "best": result.best_epoch, "stopped": result.stopped}


class InFloat64(nn.Module):
    """A forecaster that computes in float64, whatever it is given. After some steps, it ends the fit on every rank."""

    def __init__(self, model, steps=None):
        super().__init__()
        self.model, self.left = model.double(), steps

    def forward(self, x, edge_index, edge_weight, *, mask=None, target=None, progress=None):
        if self.training and self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise CutOff
        given = {"mask": mask, "target": None if target is None else target.double(), "progress": progress}
        return self.model(x.double(), edge_index, edge_weight.double(), **given)


def linear(dropout=0.0, steps=None):
    with isolated_seed(5):
        return InFloat64(Linear(dropout=dropout), steps)


def recurrent():
    """Draws in each step whether the truth goes in or the forecast."""
    with isolated_seed(5):
        sizes = {"in_channels": 1, "hidden_channels": 4, "horizon": 3, "history": 4, "num_nodes": 2}
        return InFloat64(build_forecaster("dcrnn", **sizes, edge_index=EDGES))


def nodes(tasks=False, neighbours=(-1, -1, -1), **changes):
    """Sampled training of a classifier in float64: 20 seeds in batches of 7; degrees need a third hop."""
    data = community()
    data.x = data.x.double()
    if tasks:
        data.y = torch.stack([data.y, 1 - data.y], dim=1).double()
        data.y[::4, 1] = torch.nan
    with isolated_seed(5):
        model = NodeClassifier(5, 8, 2, dropout=0.0).double()
    loader = NeighborLoader(data, [*neighbours], input_nodes=data.train_mask, batch_size=7, shuffle=True)
    settings, curve = SeedSettings(epochs=4, learning_rate=0.02, keep="best"), []
    options = {"whole": PartitionLoader(data, 5, halo=3, shuffle=False), **changes}
    found = fit_batches(model, data, loader, settings, on_epoch=lambda epoch, loss: curve.append([loss]), **options)
    curve.append([found.val_loss])
    return {"weights": found.state, "curve": curve, "best": found.epoch, "stopped": found.test_accuracy}


FITS = {
    # 74 windows: two batches of 37, and of 73 the last one is alone.
    "mae": lambda: train(linear()),
    "one is left over": lambda: train(linear(), batch_size=73, loss="huber"),
    "one at a time": lambda: train(linear(), batch_size=1, epochs=1),
    "teacher forcing": lambda: train(recurrent(), epochs=1),
    "nodes": nodes,
    "nodes of several tasks": lambda: nodes(tasks=True),
    "seen enough": lambda: train(linear(), progress=Stopper()),
}


def cut_off(path, dropout=0.0):
    """A fit that ends in the midst of its second epoch."""
    with suppress(CutOff):
        train(linear(dropout, steps=6), Snapshots(path, {}, every=0), batch_size=20)


def go_on(path, dropout=0.0):
    return train(linear(dropout), Snapshots(path, {}, every=0), batch_size=20)


def exploding():
    try:
        train(linear(), learning_rate=1e200, loss="mse")
    except FloatingPointError as error:
        return str(error)


def refusal():
    data = community()
    try:
        fit_batches(NodeClassifier(5, 8, 2), data, PartitionLoader(data, 3), SeedSettings(epochs=1))
    except ValueError as error:
        return str(error)


def live(rank, port, folder):
    """A process of two, of which the first one writes what it finds."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in place.items()} | {"MASTER_ADDR": "127.0.0.1"}
    torch.set_num_threads(1)
    with joined_ranks() as ranks:
        if not ranks.leads:
            ranks.follow()
            return
        found = {name: fitted() for name, fitted in FITS.items()}
        found["dropout"] = go_on(folder / "never cut off", dropout=0.5)
        cut_off(folder / "with dropout", dropout=0.5)
        found["dropout, cut off"] = go_on(folder / "with dropout", dropout=0.5)
        found["explodes"] = exploding()
        found["after it"] = FITS["mae"]()
        found["from one"] = go_on(folder / "of one")
        cut_off(folder / "of two")
        found["refused"] = refusal()
        found["rows"] = run(make_spec(**SPEC)).rows
        with pytest.raises(ValueError, match="all 2 processes of torchrun; leave jobs out"):
            run(make_spec(**SPEC), jobs=2)
        torch.save(found, folder / "found")
