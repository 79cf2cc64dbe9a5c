"""The forecasters by name: asked for, named, built."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from gnnkit._registry import Registry
from gnnkit.temporal.call import adapt_call
from gnnkit.temporal.entry import ModelEntry, core_of
from gnnkit.temporal.quantile import QuantileForecaster
from gnnkit.temporal.residual import ResidualForecaster
from gnnkit.temporal.target_only import TargetOnlyForecaster, reads_features

__all__ = ["MODELS", "build_forecaster", "model_name"]

# The classes of all models import PyG, which takes longer than torch: they come with the first look at a model.
MODELS: Registry[ModelEntry] = Registry(
    "model", ModelEntry.of, group="gnnkit.forecasters", records="gnnkit.temporal.registry:ENTRIES"
)
"""Name → entry. `MODELS["mine"] = MyForecaster` adds one (see `gnnkit._registry.Registry` for the other ways)."""


def model_name(model: Any) -> str:
    """The name of a model in `MODELS`, for whatever it was given as.

    A class that stands in a module or a file is found there again, by other processes too. Anything else (a class of a
    notebook or of a function, a partial) is registered for this process, under the class's name and what the partial
    fixes; where that name is taken by another one, a number follows it.

    Args:
        model: A name, a class, a partial of one, or a `ModelEntry`.

    Raises:
        ValueError: It is no model, see `ModelEntry.of`.

    Example:
        >>> from gnnkit.temporal import DLinear
        >>> model_name("gru"), model_name(DLinear), model_name(partial(DLinear, window=5))
        ('gru', 'dlinear', 'DLinear-window5')
    """
    if isinstance(model, str):
        return model
    if isinstance(model, ModelEntry):
        return _registered(model.name, model, lambda known: known == model)
    for name in MODELS.names():
        if MODELS[name].build is model:
            return name
    core = core_of(model)
    if core is model and (place := _place(core)):
        return place
    known_as = re.sub(r"^[\W_]+", "", getattr(core, "__name__", type(core).__name__)) or "model"
    entry = ModelEntry.of(known_as, model)
    fixed = []
    if isinstance(model, partial):
        fixed = [*map(str, model.args), *(f"{name}{value}" for name, value in model.keywords.items())]
    name = "-".join([known_as, *(re.sub(r"[^\w.]+", "_", part)[:40] for part in fixed)])
    return _registered(name, entry.build, lambda known: _same(known.build, model))


def _registered(name: str, model: Any, is_same: Any) -> str:
    """The name under which a model is in this process: the wanted one, or with a number where it is taken."""
    number, wanted = 1, name
    while wanted in MODELS.names():
        if MODELS[wanted] == model:  # it is there, and keeps its place
            return wanted
        if is_same(MODELS[wanted]):
            # What is defined anew, as when a notebook's cell runs again, takes its own place.
            del MODELS[wanted]
            break
        number += 1
        wanted = f"{name}-{number}"
    if isinstance(model, ModelEntry) and wanted != name:
        raise ValueError(f"model {name!r} is registered already, as another one; give the entry another name")
    MODELS[wanted] = model
    return wanted


def _same(known: Any, model: Any) -> bool:
    """Whether two classes, or partials, are the same or a new definition of the same."""
    if isinstance(known, partial) or isinstance(model, partial):
        both = isinstance(known, partial) and isinstance(model, partial)
        return (
            both
            and _same(known.func, model.func)
            and repr((known.args, known.keywords)) == repr((model.args, model.keywords))
        )
    where = [(getattr(one, "__module__", None), getattr(one, "__qualname__", None)) for one in (known, model)]
    return known is model or where[0] == where[1]


def _place(core: Any) -> str | None:
    """Where a class stands that other processes find there: `module:Class` or `file.py:Class`."""
    module = sys.modules.get(getattr(core, "__module__", ""))
    name = getattr(core, "__qualname__", "")
    if module is None or not name.isidentifier() or getattr(module, name, None) is not core:
        return None
    if path := MODELS.file_of(module):
        return f"{Path(path).relative_to(Path.cwd()) if Path(path).is_relative_to(Path.cwd()) else path}:{name}"
    if module.__name__ == "__main__":
        return None
    try:
        found = importlib.util.find_spec(module.__name__)
    except (ImportError, ValueError):
        found = None
    return None if found is None else f"{module.__name__}:{name}"


def build_forecaster(
    name: str,
    *,
    in_channels: int,
    horizon: int,
    history: int,
    num_nodes: int,
    hidden_channels: int = 64,
    time_channels: int = 0,
    edge_index: Tensor | None = None,
    residual: bool = False,
    quantiles: Sequence[float] = (),
    **settings: Any,
) -> nn.Module:
    """Build a forecaster by its name, with those sizes that its constructor names.

    Args:
        name: One of `MODELS`, `"package.module:Class"` or `"path/to/file.py:Class"`.
        in_channels: Features F of a node at a step.
        horizon: Steps P to predict.
        history: Steps T of the history.
        num_nodes: Nodes N.
        hidden_channels: Width C. Default 64.
        time_channels: How many of the F features, the last ones, tell the time (see `gnnkit.data.Windows`). Default 0.
        edge_index: Edges `[2, E]`, for a constructor that asks for them. Default None.
        residual: True puts it into `ResidualForecaster`: it then predicts the change from the last value.
        quantiles: Levels inside (0, 1), .5 among them, put it into `QuantileForecaster`: it then returns
            `[B, P, N, Q]`, its own forecast being the median. Default (): one value, `[B, P, N]`.
        **settings: The model's own, as in `MODELS[name].settings`.

    Returns:
        The forecaster.

    Raises:
        ValueError: An unknown name (with the nearest one), a rival with `fit` and `predict`, a setting that the model
            does not have or one that it needs, quantiles without .5, or what its constructor does not accept.

    Example:
        >>> build_forecaster("gru", in_channels=1, horizon=3, history=12, num_nodes=5, hidden_channels=8).horizon
        3
    """
    entry = MODELS[name]
    if entry.fits_itself:
        raise ValueError(f"model {name!r} has fit and predict, and is no module that is trained; name a forecaster")
    sizes = {"in_channels": in_channels, "hidden_channels": hidden_channels, "horizon": horizon, "history": history}
    sizes |= {"num_nodes": num_nodes, "time_channels": time_channels, "edge_index": edge_index}
    forecaster = entry.make(sizes, settings)
    if not isinstance(forecaster, nn.Module):
        raise ValueError(f"model {name!r} gives a {type(forecaster).__name__}, and should give a torch.nn.Module")
    if entry.is_own:
        forecaster = adapt_call(name, forecaster, horizon)
    if not hasattr(forecaster, "uses_graph"):
        forecaster.uses_graph = entry.family == "graph"  # pyright: ignore[reportArgumentType]
    if in_channels > 1 and not reads_features(entry.arguments):
        forecaster = TargetOnlyForecaster(forecaster)
    if len(quantiles):
        shape = {"in_channels": in_channels, "horizon": horizon, "history": history}
        forecaster = QuantileForecaster(forecaster, quantiles=quantiles, **shape)
    return ResidualForecaster(forecaster) if residual else forecaster
