"""The depth study on a small graph."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from torch_geometric.data import Data

from gnnkit.studies.nodes.depth import DepthStudy, run_depth_study


@pytest.fixture
def graph():
    ring = torch.arange(24)
    edges = torch.stack([ring, ring.roll(-1)])
    y = ring // 12
    x = torch.randn(24, 4, generator=torch.Generator().manual_seed(0))
    x[:, 0] += 2.0 * y
    part = ring % 3
    return Data(
        x=x,
        edge_index=torch.cat([edges, edges.flip(0)], dim=1),
        y=y,
        num_classes=2,
        train_mask=part == 0,
        val_mask=part == 1,
        test_mask=part == 2,
    )


@pytest.mark.slow
def test_rows_layers_influence_and_figures(graph, tmp_path):
    study = DepthStudy(models=("gcn", "gcn2"), depths=(2, 8), seeds=2, epochs=8, influence_nodes=4)
    ran = []
    rows = run_depth_study(study, tmp_path / "out", data=graph, on_run=ran.append)
    assert ran == ["gcn, 2 layers", "gcn2, 2 layers", "gcn, 8 layers", "gcn2, 8 layers"]
    assert len(rows) == 2 * 2 * 2
    layers = pd.read_csv(tmp_path / "out" / "layers.csv")
    start = layers[(layers["stage"] == "start") & (layers["depth"] == 8)].set_index(["model", "layer"])["energy"]
    assert start["gcn", 8] < 0.1 * start["gcn", 0]
    assert start["gcn", 8] < start["gcn2", 8]
    influence = pd.read_csv(tmp_path / "out" / "influence.csv").set_index(["model", "depth", "hop"])["share"]
    assert influence["gcn", 2].sum() == pytest.approx(1)
    assert (influence["gcn", 2][3:] == 0).all()
    for name in ("accuracy", "energy", "influence"):
        assert (tmp_path / "out" / f"{name}.png").stat().st_size > 5_000

    more = DepthStudy(models=("gcn",), depths=(2, 4), seeds=2, epochs=8, influence_nodes=4)
    ran.clear()
    with pytest.raises(ValueError, match=r"holds a study with another seeds \(2 there, and 3 now\)"):
        run_depth_study(DepthStudy(seeds=3, epochs=8, influence_nodes=4), tmp_path / "out", data=graph)
    other = graph.clone()
    other.x = graph.x + 1
    with pytest.raises(ValueError, match=r"holds a study with another graph \(x is SHA-256"):
        run_depth_study(more, tmp_path / "out", data=other, on_run=ran.append)
    run_depth_study(more, tmp_path / "out", data=graph, on_run=ran.append)
    assert ran == ["gcn, 4 layers"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"models": ("gcn", "sage")}, "^models: 'sage' is not allowed: give 'gcn', 'gcn-residual', 'gcn2' or 'gat'$"),
        ({"depths": (1,)}, "^depths: 1 is not allowed: give at least 2$"),
        ({"seeds": 0}, "^seeds: 0 is not allowed: give at least 1$"),
    ],
)
def test_bad_studies_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        DepthStudy(**options)


def test_a_model_that_explodes_is_named(graph, tmp_path, monkeypatch):
    settings = DepthStudy().settings()
    monkeypatch.setattr(DepthStudy, "settings", lambda study: replace(settings, learning_rate=1e30))
    with pytest.raises(FloatingPointError, match=r"gcn of 2 layers: the validation loss of seed 0 is nan at epoch 1"):
        run_depth_study(DepthStudy(models=("gcn",), depths=(2,), seeds=1), tmp_path / "out", data=graph)
    assert not list((tmp_path / "out" / "runs").iterdir())
