"""The forecasters by name, sequence models and graph models alike."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from gnnkit._registry import Registry
from gnnkit.sequence import BiLSTMForecaster, GRUForecaster, LSTMForecaster, RNNForecaster
from gnnkit.temporal.a3tgcn import A3TGCN
from gnnkit.temporal.agcrn import AGCRN
from gnnkit.temporal.call import adapt_call
from gnnkit.temporal.dcrnn import DCRNN
from gnnkit.temporal.dlinear import DLinear
from gnnkit.temporal.entry import ModelEntry, core_of
from gnnkit.temporal.gcn_forecaster import GCNForecaster
from gnnkit.temporal.graph_wavenet import GraphWaveNet
from gnnkit.temporal.mtgnn import MTGNN
from gnnkit.temporal.quantile import QuantileForecaster
from gnnkit.temporal.residual import ResidualForecaster
from gnnkit.temporal.ridge import Ridge
from gnnkit.temporal.stgcn import STGCN
from gnnkit.temporal.stid import STID
from gnnkit.temporal.target_only import TargetOnlyForecaster, reads_features
from gnnkit.temporal.tgcn import TGCN
from gnnkit.temporal.trees import BoostedTrees
from gnnkit.temporal.var import VAR

__all__ = ["MODELS", "build_forecaster", "model_name"]

_SEQUENCE = (
    ("rnn", "vanilla RNN", RNNForecaster, "Elman (1990)"),
    ("lstm", "LSTM", LSTMForecaster, "Hochreiter & Schmidhuber (1997)"),
    ("bilstm", "bidirectional LSTM", BiLSTMForecaster, "Graves & Schmidhuber (2005)"),
    ("gru", "GRU", GRUForecaster, "Cho et al. (2014)"),
)

_MTGNN: tuple[tuple[str, Literal["learned", "given", "both"], str], ...] = (
    ("mtgnn", "learned", "a graph that it learns"),
    ("mtgnn-given", "given", "the given graph"),
    ("mtgnn-both", "both", "the given graph and a learned one"),
)

_RIDGE: tuple[tuple[str, Literal["sequence", "graph"], str, dict[str, Any], str | None], ...] = (
    ("ridge", "sequence", "a node's last values", {"hops": 0}, None),
    (
        "seasonal-ridge",
        "sequence",
        "how a node's last values differ from its daily or weekly profile",
        {"hops": 0, "seasonal": True},
        None,
    ),
    ("ridge-graph", "graph", "a node's last values and its neighbours'", {}, "ridge"),
)

_TREES: tuple[tuple[str, Literal["sequence", "graph"], str, dict[str, Any], str | None], ...] = (
    ("lightgbm", "sequence", "a node's last values", {"hops": 0}, None),
    ("lightgbm-graph", "graph", "a node's last values, its neighbours'", {}, "lightgbm"),
)

_ENTRIES = (
    *(
        ModelEntry(
            name,
            "sequence",
            f"{title}, one network shared by all nodes; ignores the graph",
            # A network that is shared by all nodes is tied to no number of them.
            partial(model, form="per-node", num_nodes=None),
            paper,
        )
        for name, title, model, paper in _SEQUENCE
    ),
    *(
        ModelEntry(
            f"{name}-joint",
            "sequence",
            f"{title}, all nodes as one input vector; ignores the graph",
            partial(model, form="joint"),
            paper,
        )
        for name, title, model, paper in _SEQUENCE
    ),
    *(
        ModelEntry(
            name,
            family,
            f"ridge regression on {of}, in closed form",
            partial(Ridge, **fixed),
            "Hoerl & Kennard (1970)",
            fits_itself=True,
            graphless_twin=twin,
        )
        for name, family, of, fixed, twin in _RIDGE
    ),
    ModelEntry(
        "var",
        "sequence",
        "vector autoregression: ridge regression on the last values of all nodes, of low rank where these are many",
        VAR,
        "Lütkepohl (2005)",
        fits_itself=True,
    ),
    *(
        ModelEntry(
            name,
            family,
            f"gradient-boosted trees on {of} and the clock; pip install gnnkit[trees]",
            partial(BoostedTrees, **fixed),
            "Ke et al. (2017)",
            fits_itself=True,
            graphless_twin=twin,
        )
        for name, family, of, fixed, twin in _TREES
    ),
    ModelEntry(
        "dlinear",
        "sequence",
        "a linear map of trend and rest, shared by all nodes; ignores the graph",
        DLinear,
        "Zeng et al. (2023)",
    ),
    ModelEntry(
        "stid",
        "sequence",
        "a perceptron with embeddings of the node and, if told, time of day and weekday; ignores the graph",
        partial(STID, diffusion_steps=0),
        "Shao et al. (2022)",
    ),
    ModelEntry(
        "stid-graph",
        "graph",
        "STID that also sees its neighbours' histories, two steps along and against the edges; gnnkit's own",
        partial(STID, diffusion_steps=2),
        "Shao et al. (2022)",
        graphless_twin="stid",
    ),
    ModelEntry(
        "gcn",
        "graph",
        "two graph convolutions of the whole history, no recurrence",
        GCNForecaster,
        "Kipf & Welling (2017)",
    ),
    ModelEntry(
        "tgcn",
        "graph",
        "T-GCN as in its paper: a GRU whose gates see a two-layer graph convolution of the input",
        partial(TGCN, graph_convolution="input", gate_split="channels"),
        "Zhao et al. (2020)",
    ),
    ModelEntry(
        "tgcn-official",
        "graph",
        "T-GCN with the cell of its authors' code: a GRU whose gates are graph convolutions of input and state "
        "(gate_split=nodes: split across the nodes, as that code runs)",
        partial(TGCN, graph_convolution="input_and_state", layers=1, gate_convolutions="shared"),
        "Zhao et al. (2020)",
    ),
    ModelEntry(
        "a3tgcn", "graph", "T-GCN with attention over all states, in place of the last", A3TGCN, "Bai et al. (2021)"
    ),
    ModelEntry(
        "dcrnn",
        "graph",
        "encoder and decoder of GRUs whose products are diffusions along and against the edges",
        DCRNN,
        "Li et al. (2018)",
    ),
    ModelEntry("stgcn", "graph", "gated convolutions in time around Chebyshev convolutions", STGCN, "Yu et al. (2018)"),
    ModelEntry(
        "graph-wavenet",
        "graph",
        "dilated convolutions in time, diffusion on the given graph and a learned one",
        GraphWaveNet,
        "Wu et al. (2019)",
    ),
    ModelEntry(
        "agcrn", "graph", "GRU with weights of each node's own, on a graph that it learns", AGCRN, "Bai et al. (2020)"
    ),
    *(
        ModelEntry(
            name,
            "graph",
            f"dilated inception in time, mix-hop propagation on {which}",
            partial(MTGNN, graph=graph),
            "Wu et al. (2020)",
        )
        for name, graph, which in _MTGNN
    ),
)

MODELS: Registry[ModelEntry] = Registry("model", ModelEntry.of, group="gnnkit.forecasters", records=_ENTRIES)
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
