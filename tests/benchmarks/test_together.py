import itertools
import sys
from types import SimpleNamespace

import pytest
import torch

from benchmarks.together import fit_together
from gnnkit.data import make_windows, simulate_traffic
from gnnkit.metrics import mae
from gnnkit.temporal import build_forecaster
from gnnkit.training import TrainingSettings, fit

SIZES = {"in_channels": 1, "horizon": 2, "history": 6, "num_nodes": 4, "hidden_channels": 4}


@pytest.mark.parametrize("name", ["mtgnn", "dlinear", "dcrnn"])
def test_each_seed_is_trained_as_if_it_were_alone(name):
    series = simulate_traffic(num_nodes=4, days=1)
    windows = make_windows(series, history=6, horizon=2)
    # No chance: as many neighbours as nodes, so that no noise picks among them, and a truth that is always read.
    options = {"mtgnn": {"dropout": 0.0, "layers": 1, "neighbors": 4}, "dcrnn": {"half_forced": 1e9}}.get(name, {})
    settings = {"epochs": 3, "batch_size": 64, "device": "cpu", "clip": 0.5, "learning_rate": 1e-2}
    graph = (series.edge_index, series.edge_weight)

    def build(seed):
        torch.manual_seed(seed)
        return build_forecaster(name, **SIZES, **options)

    together = [build(seed) for seed in (3, 5)]
    found = fit_together(together, windows, *graph, TrainingSettings(**settings), seeds=(3, 5), score=mae)
    for seed, model, curve in zip((3, 5), together, found, strict=True):
        alone = build(seed)
        result = fit(alone, windows, *graph, TrainingSettings(seed=seed, **settings))
        assert curve == pytest.approx([record.val_mae for record in result.epochs], rel=1e-3)
        for one, other in zip(model.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-3)
        assert not model.training


def test_one_seed_for_each_forecaster():
    windows = make_windows(simulate_traffic(num_nodes=4, days=1), history=6, horizon=2)
    with pytest.raises(ValueError, match="2 seeds for 1 forecasters; give one for each"):
        fit_together(
            [build_forecaster("dlinear", **SIZES)],
            windows,
            torch.zeros(2, 0, dtype=torch.long),
            None,
            TrainingSettings(),
            seeds=(0, 1),
            score=mae,
        )


class Told(torch.nn.Module):
    """Says what it was told of the progress, and predicts its one weight."""

    def __init__(self, heard):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.heard = heard

    def __deepcopy__(self, memo):
        return Told(self.heard)

    def forward(self, x, edge_index, edge_weight, *, mask=None, target=None, progress=None):
        self.heard.append(progress)
        return self.weight.expand(x.size(0), 2, 4)


def test_progress_is_the_share_of_max_seconds_where_they_end_first(monkeypatch):
    ticks = itertools.count()
    fake = SimpleNamespace(perf_counter=lambda: next(ticks))
    monkeypatch.setattr(sys.modules["benchmarks.together"], "time", fake)
    windows = make_windows(simulate_traffic(num_nodes=4, days=1), history=6, horizon=2)
    settings = TrainingSettings(epochs=1000, batch_size=64, device="cpu", max_seconds=4.0)
    edges, heard = torch.zeros(2, 0, dtype=torch.long), []
    models = [Told(heard), Told(heard)]
    fit_together(models, windows, edges, None, settings, seeds=(0, 1), score=mae)
    # A look a step, and the clock began at 0; validation is told nothing.
    assert [value for value in heard if value is not None] == [0.25, 0.5, 0.75, 1.0]


def test_a_score_that_is_not_finite_ends_it():
    windows = make_windows(simulate_traffic(num_nodes=4, days=1), history=6, horizon=2)
    edges = torch.zeros(2, 0, dtype=torch.long)
    settings = TrainingSettings(epochs=1, device="cpu")
    with pytest.raises(FloatingPointError, match="the validation score of seed 7 is nan at epoch 1: lower"):
        fit_together([Told([])], windows, edges, None, settings, seeds=(7,), score=lambda *_: float("nan"))


def test_quantiles_are_not_trained_together():
    windows = make_windows(simulate_traffic(num_nodes=4, days=1), history=6, horizon=2)
    settings = TrainingSettings(loss="pinball", quantiles=(0.1, 0.5, 0.9))
    edges = torch.zeros(2, 0, dtype=torch.long)
    with pytest.raises(ValueError, match="loss is 'pinball', which seeds trained together do not have; train each"):
        fit_together([build_forecaster("dlinear", **SIZES)], windows, edges, None, settings, seeds=(0,), score=mae)
