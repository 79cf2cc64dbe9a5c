"""One tiny step with a model of one's own, before anything is trained: is what it gives a forecast that can learn?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from gnnkit.data import GraphSeries, WindowSplits
from gnnkit.forecasting.settle import FinalFit, model_sizes
from gnnkit.temporal import MODELS, WrongForecast, build_forecaster
from gnnkit.training import TrainingSettings, isolated_seed

__all__ = ["dry_run"]


def dry_run(
    settings: FinalFit,
    series: GraphSeries,
    windows: WindowSplits,
    model: str,
    *,
    hidden_channels: int | None = None,
    own: Mapping[str, Any] | None = None,
) -> None:
    """Call a module of one's own with two windows, and refuse it where no fit of it could come to anything.

    An error in its code is not told here: the fit comes to it, and says so under its name. gnnkit's own models, and
    rivals with `fit` and `predict`, pass.

    Args:
        settings: history, horizons, form.
        series: the data with their graph.
        windows: of which the first two training windows are taken.
        model: a name of `gnnkit.temporal.MODELS`.
        hidden_channels: its width (default: that of the settings).
        own: its own settings.

    Raises:
        ImportError: it stands on a library that is not installed; the line names the extra.
        ValueError: its forecast is no `[B, P, N]`, or none of its weights has a part in it; one line.
    """
    entry = MODELS[model]
    entry.check_installed()
    if entry.fits_itself or not entry.is_own:
        return
    width = settings.hidden_channels if hidden_channels is None else hidden_channels
    batch = windows.train.batch(torch.arange(min(2, len(windows.train))))
    target = torch.where(batch.y_mask, windows.train.scaler.transform_target(batch.y), torch.nan)
    try:
        with isolated_seed(TrainingSettings().seed):
            sizes = model_sizes(settings, series)
            forecaster = build_forecaster(model, **sizes, hidden_channels=width, **(own or {}))
            edge_index, edge_weight = series.edge_index, series.edge_weight
            out = forecaster(batch.x, edge_index, edge_weight, mask=batch.mask, target=target, progress=0.0)
    except WrongForecast:
        raise
    except Exception:  # whatever the model's code raises: its jobs tell it, with their names
        return
    if not any(parameter.requires_grad for parameter in forecaster.parameters()) or not out.requires_grad:
        raise WrongForecast(
            f"model {model!r}: its forecast depends on no weight that can be trained; one that needs no training has "
            "fit and predict in place of forward"
        )
