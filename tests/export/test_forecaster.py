"""Exported forecasters: histories and forecasts in the data's unit, as the library makes them."""

import numpy as np
import pandas as pd
import pytest
import torch

from gnnkit.data import simulate_traffic
from gnnkit.export import ExportError, export_program, forecaster_export
from gnnkit.export.program import check_agreement
from gnnkit.forecasting import Forecaster, forecast_frame, read_latest


def latest(fitted, count=4):
    """Rows with gaps, none of them before the first value."""
    values = simulate_traffic(num_nodes=5, days=1).values[100 : 100 + count, :, 0].numpy().copy()
    values[2, 1] = values[3, 1] = values[1, 3] = np.nan
    times = pd.date_range("2024-03-02", periods=count, freq="5min")
    return pd.DataFrame(values, columns=fitted.config["node_names"], index=times)


def outputs_of(frame, steps, nodes):
    return {name: frame[name].to_numpy().reshape(nodes, steps).T for name in ("forecast", "low", "high")}


def test_a_program_forecasts_as_the_library_does(fit):
    fitted = fit("stid-graph")
    program = export_program(forecaster_export(fitted, coverage=0.8)).module()
    rows = latest(fitted)
    found = program(history=torch.tensor(rows.to_numpy(), dtype=torch.float32)[None, ..., None])
    wanted = outputs_of(forecast_frame(fitted, read_latest(rows, fitted), coverage=0.8), 2, 5)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name][0].detach(), values, rtol=1e-5)


def test_the_clock_and_what_is_known_ahead_are_inputs():
    times = pd.date_range("2024-03-01", periods=600, freq="h")
    rain = np.random.default_rng(0).random(604).round(2)
    frame = pd.DataFrame({"a": 20 + 9 * rain[:600], "b": 30 - 9 * rain[1:601]}, index=times)
    beside = pd.DataFrame({"rain": rain}, index=pd.date_range(times[0], periods=604, freq="h"))
    model = Forecaster("stid", horizons=[3], history=2, epochs=1, hidden_channels=4, time_features=True, device="cpu",
                       progress=False).fit(frame, covariates=beside, known_ahead=["rain"])  # fmt: skip
    fitted = model.fitted
    export = forecaster_export(fitted)
    assert [value.name for value in export.inputs] == ["history", "ahead", "time_of_day", "weekday"]
    assert export.inputs[1].shape == ("B", 3, 2, 1)
    program = export_program(export).module()
    rows, later = frame.tail(2), beside["rain"].to_numpy()
    both = np.stack([rows.to_numpy(), np.repeat(later[598:600, None], 2, axis=1)], axis=-1)
    found = program(
        history=torch.tensor(both, dtype=torch.float32)[None],
        ahead=torch.tensor(np.repeat(later[600:603, None, None], 2, axis=1), dtype=torch.float32)[None],
        time_of_day=torch.tensor([[time.hour / 24 for time in rows.index]]),
        weekday=torch.tensor([[time.weekday() for time in rows.index]]),
    )
    wanted = model.predict(frame, covariates=beside)
    for name, values in outputs_of(wanted, 3, 2).items():
        np.testing.assert_allclose(found[name][0].detach(), values, rtol=1e-5)


def test_edges_are_an_input_where_they_are_asked_for(fit):
    fitted = fit("stid-graph")
    export = forecaster_export(fitted, graph="given")
    assert [value.name for value in export.inputs] == ["history", "edge_index", "edge_weight"]
    assert export.description["graph"]["edge_index"] == fitted.edge_index.tolist()
    program = export_program(export).module()
    assert check_agreement(export, lambda inputs: program(**inputs), 20, "it").largest < 1e-6


@pytest.mark.parametrize("model", ["gru", "gcn"])
def test_nodes_are_open_where_the_model_knows_none_by_number(fit, model):
    export = forecaster_export(fit(model), nodes="given")
    graph = ["edge_index", "edge_weight"] if model == "gcn" else []
    assert [value.name for value in export.inputs] == ["history", *graph, "center", "scale", "fill"]
    assert [value.name for value in export.outputs] == ["forecast"]
    program = export_program(export).module()
    assert check_agreement(export, lambda inputs: program(**inputs), 20, "it").draws == 20
    assert {export.draw(seed)[0]["history"].size(2) for seed in range(20)} >= {1, 6, 11}


def test_a_batch_that_lies_among_the_channels_is_open_too(fit):
    """AGCRN multiplies its learned graph with the states of the whole batch."""
    export = forecaster_export(fit("agcrn"))
    program = export_program(export).module()
    for batch in (1, 2, 3, 9, 40):
        history = torch.rand(batch, 4, 5, 1) * 60
        torch.testing.assert_close(program(history=history)["low"], export.module(history)["low"])


def test_gaps_without_a_past_take_the_mean(fit):
    fitted = fit("gru")
    program = export_program(forecaster_export(fitted)).module()
    nothing = program(history=torch.full((1, 4, 5, 1), torch.nan))["forecast"]
    means = program(history=fitted.fill.expand(1, 4, 5, 1).contiguous())["forecast"]
    torch.testing.assert_close(nothing, means)


def test_what_cannot_be_exported_says_so(fit):
    with pytest.raises(
        ExportError, match="ridge has fit and predict and is no module of torch, so there is no program"
    ):
        forecaster_export(fit("ridge"))
    with pytest.raises(ExportError, match="stid-graph knows its 5 nodes by number, so a program of it is for these"):
        forecaster_export(fit("stid-graph"), nodes="given")
    with pytest.raises(ExportError, match="gru reads no given graph; leave --graph out"):
        forecaster_export(fit("gru"), graph="given")
    with pytest.raises(ValueError, match="coverage is 2; give a share"):
        forecaster_export(fit("gru"), coverage=2)
