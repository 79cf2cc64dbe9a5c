"""A fitted forecaster with all that it needs to forecast: scaler, graph, node names and clock. A folder keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gnnkit._registry import UnknownName
from gnnkit.data import GraphSeries, Scaler, WindowSplits
from gnnkit.data.arrays import check_ids
from gnnkit.data.clock import TIME_CHANNELS
from gnnkit.data.known_ahead import known_channels
from gnnkit.data.scaling import training_mean
from gnnkit.data.spans import a_step, steps_in_words
from gnnkit.forecasting.features import arrange_features
from gnnkit.forecasting.intervals import KEPT_LEVELS, conformal_table, interval_offsets
from gnnkit.forecasting.kept_code import check_no_code
from gnnkit.forecasting.rival import FittedRival, keeps_itself
from gnnkit.kept_files import replace_file, write_text
from gnnkit.temporal import MODELS, build_forecaster
from gnnkit.temporal.entry import core_of
from gnnkit.training import kept_beside, load_checkpoint, save_checkpoint

__all__ = ["FittedForecaster", "load_fitted", "save_fitted"]

_RIVAL = "rival"
"""The folder into which a rival keeps itself."""


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
        interval_levels: how many levels of the errors of the validation windows it keeps (`take_errors`); 0 (default):
            none, as a forecaster of an older gnnkit.
        place: where the model's class is found from any folder, `/path/to/file.py:Class`; None (default): by its name.
        forecaster: the trained one, of a rival with `fit` and `predict` a `FittedRival`; None (default): it is built
            anew, for weights from a file.

    Raises:
        ValueError: an unknown model or setting.
    """

    center: Tensor
    scale: Tensor
    fill: Tensor
    edge_index: Tensor
    edge_weight: Tensor
    error_scale: Tensor
    error_levels: Tensor
    error_quantiles: Tensor

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
        interval_levels: int = 0,
        place: str | None = None,
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
        found = place or model
        if forecaster is None and MODELS[found].fits_itself:
            forecaster = FittedRival(found)  # what it learned comes with `load_fitted`
        self.forecaster: Any = forecaster or build_forecaster(
            found,
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
        if interval_levels:
            self.register_buffer("error_scale", torch.ones(len(node_names)))
            self.register_buffer("error_levels", torch.zeros(interval_levels))
            self.register_buffer("error_quantiles", torch.zeros(horizon, interval_levels))

    def __repr__(self) -> str:
        config, fit = self.config, self.config["fit"] or {}
        step = config["step_unit"] or config["step_minutes"]
        unit = f" {config['unit']}" if config["unit"] else ""
        parts = [
            f"{config['model']!r} on {config['data']}: {len(config['node_names'])} nodes",
            f"{config['history']} rows in, {steps_in_words(config['horizon'], step)} out",
            f"{sum(each.numel() for each in self.forecaster.parameters()):,} parameters",
            *([f"validation MAE {fit['best_val_mae']:.5g}{unit}"] if "best_val_mae" in fit else []),
            *([f"trained until {config['trained_until']}"] if config["trained_until"] else []),
            "with intervals" if config["interval_levels"] else "no intervals",
        ]
        return f"FittedForecaster({', '.join(parts)})"

    @property
    def scaler(self) -> Scaler:
        """The scaler that was fitted on the training rows."""
        return Scaler(self.center, self.scale, self.config["target_deviation"])

    def take_data(self, series: GraphSeries, windows: WindowSplits) -> None:
        """Keep the graph, the scaler and the training means of the series that the model is trained on."""
        mean = training_mean(series.values, series.split.train)
        for name, value in (
            ("center", windows.scaler.center),
            ("scale", windows.scaler.scale),
            ("fill", mean.float()),
            ("edge_index", series.edge_index),
            ("edge_weight", series.edge_weight),
        ):
            getattr(self, name).copy_(value)

    def take_errors(
        self, true: Float[Tensor, "V P N"], mask: Bool[Tensor, "V P N"], predicted: Float[Tensor, "V P N"]
    ) -> None:
        """Keep the errors of the validation windows, from which intervals are made (`conformal_table`)."""
        scale, offsets = conformal_table(true, predicted, mask, KEPT_LEVELS)
        self.error_scale.copy_(scale)
        self.error_levels.copy_(torch.tensor(KEPT_LEVELS))
        self.error_quantiles.copy_(torch.from_numpy(offsets))

    def interval(self, coverage: float) -> tuple[Tensor, Tensor] | None:
        """How far the interval of each step and node reaches below and above the forecast, in the data's unit.

        Args:
            coverage: share of the targets that it should hold, in whole percent.

        Returns:
            Two tensors `[P, N]` to add to a forecast, infinite where the validation windows were too few; None for a
            forecaster without intervals.

        Raises:
            ValueError: the coverage is not allowed.
        """
        if not self.config["interval_levels"]:
            return None
        below, above = interval_offsets(self.error_levels, self.error_quantiles, coverage)
        return below[:, None] * self.error_scale, above[:, None] * self.error_scale

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
        return self.forecaster.learned_adjacency() if getattr(self.forecaster, "learns_graph", False) else None

    @property
    def rival(self) -> Any:
        """The rival that was fitted; None where the forecaster is a module."""
        return self.forecaster.rival if isinstance(self.forecaster, FittedRival) else None

    def learned_edges(self) -> tuple[Tensor, Tensor] | None:
        """The learned graph as `edge_index` and `edge_weight`; None where the model learns none."""
        from gnnkit.graph import from_dense

        adjacency = self.learned_adjacency()
        return None if adjacency is None else from_dense(adjacency, rows="target")


def save_fitted(fitted: FittedForecaster, directory: str | Path) -> Path:
    """Write `weights.safetensors` and `config.json`; a learned graph also as `learned_graph.csv` and `.png`.

    The learned graph of a former model in that folder goes.

    In the CSV file row i, column j is the weight of the edge i → j, under the nodes' names, as `gnnkit compare --graph`
    reads it.

    A rival with `fit` and `predict` keeps itself: its `save(folder)` writes into the folder `rival` inside.

    Args:
        fitted: what to keep.
        directory: the folder; made when it is missing.

    Returns:
        The folder.

    Raises:
        ValueError: it is a rival that cannot be kept, see `keeps_itself`.
    """
    import pandas as pd

    from gnnkit.graph.draw import draw_adjacency

    directory = Path(directory)
    if fitted.rival is not None and not keeps_itself(fitted.rival):
        raise ValueError(
            f"{fitted.config['model']} is not kept: weights of torch are kept as safetensors, and what it learned is "
            "none; give its class save(self, folder) and a classmethod load(cls, folder)"
        )

    def save_rival(folder: Path) -> None:
        folder.mkdir()
        fitted.rival.save(folder)

    save_checkpoint(directory, fitted, fitted.config, {} if fitted.rival is None else {_RIVAL: save_rival})
    for ending in ("csv", "png"):
        (directory / f"learned_graph.{ending}").unlink(missing_ok=True)
    adjacency = fitted.learned_adjacency()
    if adjacency is not None:
        names = fitted.config["node_names"]
        table = pd.DataFrame(adjacency.t().cpu().numpy(), index=names, columns=names)
        write_text(directory / "learned_graph.csv", table.to_csv(float_format="%.6g"))
        figure = draw_adjacency(adjacency, names, title=f"{fitted.config['model']}: the graph that it learned")
        with replace_file(directory / "learned_graph.png") as part:
            figure.savefig(part, dpi=150, format="png")
    return directory


def load_fitted(directory: str | Path, *, trust_code: bool = False) -> FittedForecaster:
    """Read what `save_fitted` wrote. gnnkit unpickles nothing; the numbers are those of the forecaster that was saved.

    A rival reads its own files, as `load` of its class says.

    Args:
        directory: the folder.
        trust_code: run the code that the folder names: that of a model, or of a data set, of one's own. What this
            process has imported already runs without it. Default False: a folder from elsewhere can name any file.

    Returns:
        The forecaster, on the CPU, in evaluation mode.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the files do not belong together, are of a later layout, or hold no forecaster; they name code that
            was not run yet, without `trust_code`; or the class of a model of one's own is not found.
    """

    def build(**config: Any) -> FittedForecaster:
        if not trust_code:
            spec = config.get("spec")
            check_no_code(
                directory,
                [config.get("place") or config.get("model")],
                spec.get("data") if isinstance(spec, dict) else None,
            )
        return FittedForecaster(**config)

    try:
        module, _ = load_checkpoint(directory, build)
    except UnknownName as error:
        raise ValueError(
            f"{directory}: {error}; the class of a model is not kept with it: put its file back, or register it first "
            "(gnnkit.temporal.MODELS[name] = Class)"
        ) from None
    except (AttributeError, KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        # another program's config.json
        raise ValueError(f"{directory} holds no forecaster of `gnnkit train`; give the folder that it wrote") from error
    assert isinstance(module, FittedForecaster)  # for the type checker: it is what was built
    if isinstance(module.forecaster, FittedRival):
        kind = core_of(MODELS[module.forecaster.model].build)
        module.forecaster.rival = kind.load(kept_beside(directory, _RIVAL))
    edge_index: Any = module.edge_index
    check_ids(
        edge_index.numpy(), len(module.config["node_names"]), f"{Path(directory) / 'weights.safetensors'}: edge_index"
    )
    return module
