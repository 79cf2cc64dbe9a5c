from dataclasses import replace

import pandas as pd
import pytest
import torch
from safetensors import safe_open

from gnnkit.data import make_windows, simulate_traffic
from gnnkit.forecasting import (
    FitSettings,
    FittedForecaster,
    forecast_frame,
    forecast_next,
    load_fitted,
    save_fitted,
    train_forecaster,
)
from gnnkit.temporal import MODELS
from gnnkit.training import predict

FORECASTERS = [name for name, entry in MODELS.items() if not entry.fits_itself]

SMALL = {"epochs": 1, "hidden_channels": 4, "horizons": [3], "history": 6, "device": "cpu"}


@pytest.fixture(scope="module")
def series():
    return simulate_traffic(num_nodes=5, days=2)


@pytest.mark.parametrize("name", FORECASTERS)
def test_the_loaded_model_gives_the_numbers_of_the_one_in_memory(name, series, tmp_path):
    settings = FitSettings(time_features=True, batch_size=128, **SMALL)
    fitted = train_forecaster(name, settings, series=series)
    again = load_fitted(save_fitted(fitted, tmp_path))
    windows = make_windows(series, history=6, horizon=3, time_features=True).test
    predicted = [predict(m.forecaster, windows, m.edge_index, m.edge_weight, device="cpu") for m in (fitted, again)]
    assert torch.equal(*predicted)
    assert again.config["model"] == name
    assert again.config["fit"]["best_epoch"] == 1
    assert forecast_next(fitted, series).equals(forecast_next(again, series))
    with safe_open(str(tmp_path / "weights.safetensors"), "pt") as file:
        assert {"center", "scale", "fill", "edge_index", "edge_weight", "error_quantiles"} <= set(file.keys())
    assert all(map(torch.equal, fitted.interval(0.8), again.interval(0.8)))
    learns = getattr(fitted.forecaster, "learns_graph", False)
    assert learns or name not in {"mtgnn", "mtgnn-both", "graph-wavenet", "agcrn"}
    assert (tmp_path / "learned_graph.csv").is_file() == (tmp_path / "learned_graph.png").is_file() == learns
    assert (fitted.learned_edges() is not None) == learns


def test_a_folder_of_an_older_gnnkit_has_no_intervals(series, tmp_path):
    fitted = train_forecaster("dlinear", FitSettings(**SMALL), series=series)
    older = FittedForecaster(**{**fitted.config, "interval_levels": 0, "forecaster": fitted.forecaster})
    older.take_data(series, make_windows(series, history=6, horizon=3))
    del older.config["interval_levels"]
    again = load_fitted(save_fitted(older, tmp_path))
    assert again.interval(0.9) is None
    assert list(forecast_frame(again, series).columns) == ["node", "step", "forecast"]
    assert repr(again).endswith("no intervals)")


def test_the_line_says_what_it_is(series):
    fitted = train_forecaster("dlinear", FitSettings(**SMALL), series=series)
    fitted.config["fit"]["best_val_mae"] = 2.5
    assert repr(fitted) == (
        "FittedForecaster('dlinear' on simulated: 5 nodes, 6 rows in, 15 minutes out, 39 parameters, "
        "validation MAE 2.5 mph, trained until 2026-03-06T14:20:00, with intervals)"
    )


def test_the_learned_graph_reads_as_a_graph_of_the_same_nodes(series, tmp_path):
    from gnnkit.data.own_graph import read_graph

    fitted = train_forecaster("mtgnn", FitSettings(**SMALL), {"neighbors": 2}, series=series)
    save_fitted(fitted, tmp_path)
    edge_index, weight = read_graph(tmp_path / "learned_graph.csv", list(series.node_names))
    expected_index, expected_weight = fitted.learned_edges()
    adjacency = fitted.learned_adjacency()
    assert {(j, i) for i, j in adjacency.nonzero().tolist()} == set(zip(*edge_index.tolist(), strict=True))
    order = torch.argsort(expected_index[0] * 5 + expected_index[1])
    torch.testing.assert_close(torch.tensor(weight).float(), expected_weight[order], rtol=1e-4, atol=1e-6)
    table = pd.read_csv(tmp_path / "learned_graph.csv", index_col=0)
    assert list(table.index) == list(table.columns) == list(series.node_names)


def test_an_edge_to_a_node_that_is_not_there_is_refused(series, tmp_path):
    fitted = train_forecaster("gcn", FitSettings(**SMALL), series=series)
    fitted.edge_index[1, 2] = 10**6
    save_fitted(fitted, tmp_path)  # with a checksum that is right
    with pytest.raises(ValueError, match=r"weights.safetensors: edge_index\[1, 2\] is 1000000; allowed are 0 to 4"):
        load_fitted(tmp_path)


def test_other_folders_are_refused(tmp_path):
    from torch import nn

    from gnnkit.training import save_checkpoint

    with pytest.raises(FileNotFoundError, match=r"holds no config\.json"):
        load_fitted(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"")
    for text in ('{"model_type": "another"}', "[1]", "no"):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ValueError, match=r"config.json is (damaged|not one of gnnkit's)"):
            load_fitted(tmp_path)
    save_checkpoint(tmp_path, nn.Linear(2, 1), {"in_features": 2})
    with pytest.raises(ValueError, match="holds no forecaster of `gnnkit train`"):
        load_fitted(tmp_path)


def test_the_learned_graph_of_a_former_model_goes(series, tmp_path):
    save_fitted(train_forecaster("mtgnn", FitSettings(**SMALL), series=series), tmp_path)
    assert (tmp_path / "learned_graph.csv").is_file()
    save_fitted(train_forecaster("dlinear", FitSettings(**SMALL), series=series), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "weights.safetensors"]


@pytest.mark.parametrize("as_given", [torch.tensor, list])
def test_node_features_are_kept_with_the_model(as_given, series, tmp_path):
    features = [[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 5.0], [4.0, 2.0]]
    fitted = train_forecaster("mtgnn", FitSettings(**SMALL), {"node_features": as_given(features)}, series=series)
    again = load_fitted(save_fitted(fitted, tmp_path))
    assert again.forecaster.forecaster.graph_learning.node_features.tolist() == features
    assert torch.equal(again.learned_adjacency(), fitted.learned_adjacency())
    with pytest.raises(ValueError, match="node_features must be rows of numbers"):
        train_forecaster("mtgnn", FitSettings(**SMALL), {"node_features": [[1], "x"]}, series=series)


def test_a_series_is_arranged_with_its_graph_and_places(series):
    fitted = train_forecaster("dlinear", FitSettings(**SMALL), series=series)
    assert fitted.arrange(series) is series
    order = [3, 0, 4, 1, 2]
    place = torch.tensor(order).argsort()
    turned = replace(
        series,
        values=series.values[:, order],
        node_names=tuple(series.node_names[node] for node in order),
        edge_index=place[series.edge_index],
        positions=None if series.positions is None else series.positions[order],
    )
    back = fitted.arrange(turned)
    assert back.digest() == series.digest()
    assert back.node_names == series.node_names
    assert series.positions is None or torch.equal(back.positions, series.positions)
