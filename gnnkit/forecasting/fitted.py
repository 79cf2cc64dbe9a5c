"""A fitted forecaster with all that it needs to forecast: scaler, graph, node names and clock. A folder keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gnnkit.data import GraphSeries, Scaler, WindowSplits
from gnnkit.data.arrays import check_ids
from gnnkit.data.clock import TIME_CHANNELS
from gnnkit.data.scaling import training_values
from gnnkit.data.spans import a_step
from gnnkit.data.windows import known_channels
from gnnkit.forecasting.features import arrange_features
from gnnkit.graph import from_dense
from gnnkit.temporal import build_forecaster
from gnnkit.training import load_checkpoint, save_checkpoint

__all__ = ["FittedForecaster", "load_fitted", "save_fitted"]


class FittedForecaster(nn.Module):
    """A forecaster of the registry together with the data's side of it. All tensors are its state, the rest its config.

    Args:
        model: name in `gnnkit.temporal.MODELS`.
        node_names: N names.
        num_features: features of the series, those that tell the time not counted.
        feature_names: their names, that of the target first; empty: unknown.
        known_ahead: numbers of the features that are known ahead.
        num_edges: edges of its graph.
        history, horizon, hidden_channels, residual: as in `build_forecaster`.
        settings: the model's own; a table of node features as a tensor or as lists.
        time_features: whether it also sees time of day and weekday.
        weekdays: what each weekday is told as, from `gnnkit.data.told_weekdays`.
        utc_offset: minutes of the training data's clock before UTC; None: its times have no offset.
        trained_until: time of the last row that training or the choice of the epoch read, ISO 8601; None: unknown.
        scaler_rows: 1 for a scaler that all nodes share, else N.
        target_deviation, step_minutes, step_unit, unit, data: of the series that it is trained on.
        spec: what was asked for, and `fit` what training found; kept for the reader.
        forecaster: the trained one; None (default): it is built anew, for weights from a file.

    Raises:
        ValueError: an unknown model or setting.
    """

    center: Tensor
    scale: Tensor
    fill: Tensor
    edge_index: Tensor
    edge_weight: Tensor

    def __init__(
        self,
        *,
        model: str,
        node_names: list[str],
        num_features: int,
        num_edges: int,
        history: int,
        horizon: int,
        hidden_channels: int,
        residual: bool,
        settings: Mapping[str, Any],
        time_features: bool,
        scaler_rows: int,
        target_deviation: float,
        step_minutes: float | None,
        unit: str,
        data: str,
        spec: Mapping[str, Any],
        step_unit: str = "",
        weekdays: Sequence[int] = tuple(range(7)),
        utc_offset: float | None = None,
        trained_until: str | None = None,
        fit: Mapping[str, Any] | None = None,
        feature_names: Sequence[str] = (),
        known_ahead: Sequence[int] = (),
        forecaster: nn.Module | None = None,
    ) -> None:
        super().__init__()
        # JSON has lists; what they stand for is a tensor again when the model is built from the file.
        settings = {name: value.tolist() if isinstance(value, Tensor) else value for name, value in settings.items()}
        self.config = {
            name: value for name, value in locals().items() if name not in ("self", "__class__", "forecaster")
        }
        self.register_buffer("edge_index", torch.zeros(2, num_edges, dtype=torch.int64))
        time_channels = TIME_CHANNELS if time_features else 0
        self.forecaster = forecaster or build_forecaster(
            model,
            in_channels=num_features + known_channels(len(known_ahead), history, horizon) + time_channels,
            horizon=horizon,
            history=history,
            num_nodes=len(node_names),
            edge_index=self.edge_index,
            hidden_channels=hidden_channels,
            time_channels=time_channels,
            residual=residual,
            **settings,
        )
        self.register_buffer("center", torch.zeros(scaler_rows, num_features))
        self.register_buffer("scale", torch.ones(scaler_rows, num_features))
        # What stands for a gap that has no past: the nodes' training means.
        self.register_buffer("fill", torch.zeros(len(node_names), num_features))
        self.register_buffer("edge_weight", torch.zeros(num_edges))

    @property
    def scaler(self) -> Scaler:
        """The scaler that was fitted on the training rows."""
        return Scaler(self.center, self.scale, self.config["target_deviation"])

    def take_data(self, series: GraphSeries, windows: WindowSplits) -> None:
        """Keep the graph, the scaler and the training means of the series that the model is trained on."""
        train = training_values(series.values, series.split.train)
        mean = train.nanmean(dim=0)
        mean = torch.where(mean.isnan(), train.flatten(0, 1).nanmean(dim=0), mean)
        for name, value in (
            ("center", windows.scaler.center),
            ("scale", windows.scaler.scale),
            ("fill", mean.float()),
            ("edge_index", series.edge_index),
            ("edge_weight", series.edge_weight),
        ):
            getattr(self, name).copy_(value)

    def arrange(self, series: GraphSeries) -> GraphSeries:
        """A series with its nodes in the forecaster's order, its times by the clock of the training data.

        Raises:
            ValueError: the series has other nodes, features or steps than the one that the forecaster was trained on.
        """
        config, names, wanted = self.config, series.node_names, tuple(self.config["node_names"])
        if sorted(names) != sorted(wanted):
            strange = sorted(set(wanted) ^ set(names))[0]
            raise ValueError(
                f"{series.name} has {len(names)} nodes, the forecaster knows {len(wanted)}; {strange!r} is only "
                f"{'in the forecaster' if strange in wanted else 'in the series'}; give each of its nodes, by name"
            )
        series = arrange_features(series, config["num_features"], config["feature_names"], config["known_ahead"])
        step, trained = (series.step_minutes, series.step_unit), (config["step_minutes"], config["step_unit"])
        if any(step) and any(trained) and step != trained:
            hint = " (weekdays are told from days by ten rows or more)" if trained[1] == "weekday" else ""
            hint = " (working hours are told by rows of two days or more)" if "working" in trained[1] else hint
            raise ValueError(
                f"{series.name}: a row is {a_step(*step)}, but the forecaster was trained on rows of "
                f"{a_step(*trained)}; give rows of the same step{hint}"
            )
        offset = config["utc_offset"]
        if offset is not None and series.start is not None and series.start.tzinfo is not None:
            series = replace(series, start=series.start.tz_convert(timezone(timedelta(minutes=offset))))
        if names == wanted:
            return series
        order = torch.tensor([names.index(name) for name in wanted])
        return replace(
            series,
            values=series.values[:, order],
            ahead=None if series.ahead is None else series.ahead[:, order],
            node_names=wanted,
            edge_index=order.argsort()[series.edge_index],
            positions=None if series.positions is None else series.positions[order],
        )

    def learned_adjacency(self) -> Tensor | None:
        """The learned graph `[N, N]`, rows are targets; None where the model learns none."""
        forecaster: Any = self.forecaster
        return forecaster.learned_adjacency() if getattr(forecaster, "learns_graph", False) else None

    def learned_edges(self) -> tuple[Tensor, Tensor] | None:
        """The learned graph as `edge_index` and `edge_weight`; None where the model learns none."""
        adjacency = self.learned_adjacency()
        return None if adjacency is None else from_dense(adjacency, rows="target")


def save_fitted(fitted: FittedForecaster, directory: str | Path) -> Path:
    """Write `weights.safetensors` and `config.json`; a learned graph also as `learned_graph.csv` and `.png`.

    The learned graph of a former model in that folder goes.

    In the CSV file row i, column j is the weight of the edge i → j, under the nodes' names, as `gnnkit compare --graph`
    reads it.

    Args:
        fitted: what to keep.
        directory: the folder; made when it is missing.

    Returns:
        The folder.
    """
    import pandas as pd

    from gnnkit.graph.draw import draw_adjacency

    directory = Path(directory)
    save_checkpoint(directory, fitted, fitted.config)
    for ending in ("csv", "png"):
        (directory / f"learned_graph.{ending}").unlink(missing_ok=True)
    adjacency = fitted.learned_adjacency()
    if adjacency is not None:
        names = fitted.config["node_names"]
        table = pd.DataFrame(adjacency.t().cpu().numpy(), index=names, columns=names)
        table.to_csv(directory / "learned_graph.csv", float_format="%.6g")
        draw_adjacency(adjacency, names, title=f"{fitted.config['model']}: the graph that it learned").savefig(
            directory / "learned_graph.png", dpi=150
        )
    return directory


def load_fitted(directory: str | Path) -> FittedForecaster:
    """Read what `save_fitted` wrote. Nothing is unpickled; the numbers are those of the forecaster that was saved.

    Args:
        directory: the folder.

    Returns:
        The forecaster, on the CPU, in evaluation mode.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the files do not belong together, are of a later layout, or hold no forecaster.
    """
    try:
        module, _ = load_checkpoint(directory, FittedForecaster)
    except (AttributeError, KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        # another program's config.json
        raise ValueError(f"{directory} holds no forecaster of `gnnkit train`; give the folder that it wrote") from error
    assert isinstance(module, FittedForecaster)  # for the type checker: it is what was built
    edge_index: Any = module.edge_index
    check_ids(
        edge_index.numpy(), len(module.config["node_names"]), f"{Path(directory) / 'weights.safetensors'}: edge_index"
    )
    return module
