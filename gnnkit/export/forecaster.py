"""A fitted forecaster, ready to be exported: histories in the data's unit in, forecasts in the data's unit out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gnnkit.export.graphs import random_graph
from gnnkit.export.program import Export, ExportError, Value
from gnnkit.forecasting import FittedForecaster
from gnnkit.forecasting.unit import UnitForecast, fill_gaps

__all__ = ["ForecasterProgram", "forecaster_export"]

Where = Literal["kept", "given"]

_STATISTICS = ("center", "scale", "fill")


class ForecasterProgram(nn.Module):
    """What an exported forecaster computes; it is called by the names of its inputs.

    Args:
        fitted: the fitted forecaster.
        interval: offsets of the ends of an interval, each `[P, N]`; None: there are none.

    Shape:
        As `gnnkit.forecasting.unit.UnitForecast`; center, scale and fill `[N, F]`, edge_index `[2, E]`, edge_weight
        `[E]`. What is not given is the fitted one's own.

    Returns:
        A dict: `forecast` `[B, P, N]`, and `low` and `high` where there are intervals.
    """

    below: Tensor
    above: Tensor

    def __init__(self, fitted: FittedForecaster, interval: tuple[Tensor, Tensor] | None) -> None:
        super().__init__()
        self.unit = UnitForecast(fitted)
        self.has_interval = interval is not None
        if interval is not None:
            self.register_buffer("below", interval[0])
            self.register_buffer("above", interval[1])

    def forward(
        self,
        history: Tensor,
        ahead: Tensor | None = None,
        time_of_day: Tensor | None = None,
        weekday: Tensor | None = None,
        edge_index: Tensor | None = None,
        edge_weight: Tensor | None = None,
        center: Tensor | None = None,
        scale: Tensor | None = None,
        fill: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Forecast; see the class for shapes."""
        unit = self.unit
        scaler = (unit.center if center is None else center, unit.scale if scale is None else scale)
        graph = (
            unit.edge_index if edge_index is None else edge_index,
            unit.edge_weight if edge_weight is None else edge_weight,
        )
        filled = fill_gaps(history, unit.fill if fill is None else fill)
        clock = unit.clock(time_of_day, weekday)
        forecast = unit.with_statistics(filled, ~history.isnan(), ahead, clock, scaler, graph)
        if not self.has_interval:
            return {"forecast": forecast}
        return {"forecast": forecast, "low": forecast + self.below, "high": forecast + self.above}


def forecaster_export(
    fitted: FittedForecaster, *, graph: Where = "kept", nodes: Where = "kept", coverage: float = 0.9
) -> Export:
    """Describe the export of a fitted forecaster.

    Args:
        fitted: from `load_fitted` or `train_forecaster`.
        graph: `"kept"` (default): the program holds the graph that it was fitted with; `"given"`: the edges are inputs,
            any number of them.
        nodes: `"kept"` (default): the program is for the nodes that it was fitted on, and holds what scales each of
            them; `"given"`: for any number of nodes; what scales them is an input, and the graph where it is read.
        coverage: share of the values that an interval should hold, in whole percent. Default 0.9.

    Returns:
        The export.

    Raises:
        ExportError: it is a rival with `fit` and `predict`; it knows its nodes by number, and `nodes="given"`; it reads
            no graph, and `graph="given"`.
        ValueError: a coverage that is not allowed.
    """
    config = fitted.config
    name = config["model"]
    if fitted.rival is not None:
        raise ExportError(
            f"{name} has fit and predict and is no module of torch, so there is no program to export; serve it with "
            "`gnnkit serve`, or train a module"
        )
    reads_graph = bool(getattr(fitted.forecaster, "uses_graph", False))
    known = _known_nodes(fitted.forecaster)
    if nodes == "given" and known is not None:
        raise ExportError(
            f"{name} knows its {known} nodes by number, so a program of it is for these alone; leave --nodes out"
        )
    if graph == "given" and not reads_graph:
        raise ExportError(f"{name} reads no given graph; leave --graph out")
    given_graph = reads_graph and "given" in (graph, nodes)
    interval = None if nodes == "given" else fitted.interval(coverage)
    inputs = _inputs(config, given_graph=given_graph, given_nodes=nodes == "given")
    return Export(
        ForecasterProgram(fitted, interval).eval(),
        inputs,
        _outputs(config, coverage if interval is not None else None, nodes == "given"),
        lambda seed: _draw(fitted, inputs, seed),
        lambda drawn: drawn.get("scale", fitted.scale)[:, 0],
        _describe(fitted, given_graph=given_graph, given_nodes=nodes == "given"),
    )


def _known_nodes(forecaster: nn.Module) -> int | None:
    """How many nodes a forecaster, or one inside it, was built for by number; None where any number will do."""
    for module in forecaster.modules():
        sizes = getattr(module, "_sizes", None)
        if isinstance(sizes, dict) and sizes.get("num_nodes") is not None:
            return int(sizes["num_nodes"])
    return None


def _inputs(config: Mapping[str, Any], *, given_graph: bool, given_nodes: bool) -> tuple[Value, ...]:
    history, horizon, unit = config["history"], config["horizon"], config["unit"]
    count = "N" if given_nodes else len(config["node_names"])
    features = list(config["feature_names"]) or [f"feature {number}" for number in range(config["num_features"])]
    beside = f"; features: {', '.join(map(str, features))}" if config["num_features"] > 1 else ""
    values = [
        Value(
            "history",
            ("B", history, count, config["num_features"]),
            f"the latest {history} rows, the oldest first, NaN where nothing was observed{beside}",
            unit,
        )
    ]
    if config["known_ahead"]:
        known = ", ".join(str(features[number]) for number in config["known_ahead"])
        shape = ("B", horizon, count, len(config["known_ahead"]))
        values.append(Value("ahead", shape, f"what is known ahead, at the {horizon} steps to come: {known}"))
    if config["time_features"]:
        values.append(Value("time_of_day", ("B", history), "of each row, a share of the day in [0, 1)"))
        values.append(Value("weekday", ("B", history), "of each row, Monday 0 to Sunday 6", dtype="int64"))
    if given_graph:
        values.append(Value("edge_index", (2, "E"), "edges by numbers of nodes: sources, targets", dtype="int64"))
        values.append(Value("edge_weight", ("E",), "their weights, similarities; not checked in the program"))
    if given_nodes:
        shape = ("N", config["num_features"])
        values.append(Value("center", shape, "what scaling subtracts: mean of the node's training values", unit))
        values.append(Value("scale", shape, "what scaling divides by: their deviation, positive", unit))
        values.append(Value("fill", shape, "what stands for a gap that has no past: the node's mean", unit))
    return tuple(values)


def _outputs(config: Mapping[str, Any], coverage: float | None, given_nodes: bool) -> tuple[Value, ...]:
    count = "N" if given_nodes else len(config["node_names"])
    shape, unit = ("B", config["horizon"], count), config["unit"]
    values = [Value("forecast", shape, f"the next {config['horizon']} steps", unit)]
    if coverage is not None:
        share = f"of an interval that holds {coverage:.0%} of the values like those of the validation rows"
        values.append(Value("low", shape, f"lower end {share}", unit))
        values.append(Value("high", shape, f"upper end {share}", unit))
    return tuple(values)


def _draw(fitted: FittedForecaster, inputs: tuple[Value, ...], seed: int) -> tuple[dict[str, Tensor], str]:
    """Random inputs like the training data, with gaps; seed -1: an example of unequal sizes, without."""
    generator = torch.Generator().manual_seed(seed + 1)
    config = fitted.config
    given_nodes = any("N" in value.shape for value in inputs)
    count = len(config["node_names"])
    if given_nodes:
        count = 7 if seed < 0 else 1 + seed * 5 % 13
    batch, history, features = (3 if seed < 0 else 1 + seed % 4), config["history"], config["num_features"]
    if count == batch:
        batch += 1

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    center, scale, fill = fitted.center, fitted.scale, fitted.fill
    drawn: dict[str, Tensor] = {}
    if given_nodes:
        chosen = torch.randint(0, center.size(0), (count,), generator=generator)
        center, scale = center[chosen], scale[chosen]
        fill = fill[torch.randint(0, fill.size(0), (count,), generator=generator)]
        drawn |= {"center": center, "scale": scale, "fill": fill}
    drawn["history"] = center + scale * normal(batch, history, count, features)
    graph = random_graph(count, seed, negative=False) if seed >= 0 else random_graph(count, 0)
    kind = graph.kind if any(value.name == "edge_index" for value in inputs) else "its own graph"
    if seed >= 0:
        gaps = (0.0, 0.2, 0.9, 1.0)[seed % 4]
        missing = torch.rand(drawn["history"].shape, generator=generator) < gaps
        drawn["history"] = drawn["history"].masked_fill(missing, torch.nan)
        kind = f"{kind}, {gaps:.0%} gaps"
    if config["known_ahead"]:
        known = config["known_ahead"]
        drawn["ahead"] = center[:, known] + scale[:, known] * normal(batch, config["horizon"], count, len(known))
    drawn["time_of_day"] = torch.rand(batch, history, generator=generator)
    drawn["weekday"] = torch.randint(0, 7, (batch, history), generator=generator)
    drawn |= {"edge_index": graph.edge_index, "edge_weight": graph.edge_weight}
    return {value.name: drawn[value.name] for value in inputs}, kind


def _describe(fitted: FittedForecaster, *, given_graph: bool, given_nodes: bool) -> dict[str, Any]:
    config = fitted.config
    found: dict[str, Any] = {
        "kind": "forecaster",
        "model": config["model"],
        "data": config["data"],
        "unit": config["unit"],
        "history": config["history"],
        "horizon": config["horizon"],
        "step_minutes": config["step_minutes"],
        "step_unit": config["step_unit"],
        "trained_until": config["trained_until"],
        "features": list(config["feature_names"]),
        "nodes": list(config["node_names"]),
    }
    if given_graph:
        found["graph"] = {
            "edge_index": fitted.edge_index.tolist(),
            "edge_weight": fitted.edge_weight.tolist(),
        }
    if given_nodes:
        rows = len(config["node_names"])
        found["statistics"] = {name: getattr(fitted, name).expand(rows, -1).tolist() for name in _STATISTICS}
    return found
