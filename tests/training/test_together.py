import pytest
import torch

from gnnkit.data import make_windows, simulate_traffic
from gnnkit.metrics import mae
from gnnkit.temporal import build_forecaster
from gnnkit.training import TrainingSettings, fit, fit_together

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


def test_quantiles_are_not_trained_together():
    windows = make_windows(simulate_traffic(num_nodes=4, days=1), history=6, horizon=2)
    settings = TrainingSettings(loss="pinball", quantiles=(0.1, 0.5, 0.9))
    edges = torch.zeros(2, 0, dtype=torch.long)
    with pytest.raises(ValueError, match="loss is 'pinball', which seeds trained together do not have; train each"):
        fit_together([build_forecaster("dlinear", **SIZES)], windows, edges, None, settings, seeds=(0,), score=mae)
