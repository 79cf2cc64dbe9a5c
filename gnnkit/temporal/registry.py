"""The forecasters by name, sequence models and graph models alike."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from gnnkit._registry import Registry
from gnnkit.sequence import BiLSTMForecaster, GRUForecaster, LSTMForecaster, RNNForecaster
from gnnkit.temporal.a3tgcn import A3TGCN
from gnnkit.temporal.agcrn import AGCRN
from gnnkit.temporal.dcrnn import DCRNN
from gnnkit.temporal.dlinear import DLinear
from gnnkit.temporal.gcn_forecaster import GCNForecaster
from gnnkit.temporal.graph_wavenet import GraphWaveNet
from gnnkit.temporal.mtgnn import MTGNN
from gnnkit.temporal.quantile import QuantileForecaster
from gnnkit.temporal.residual import ResidualForecaster
from gnnkit.temporal.stgcn import STGCN
from gnnkit.temporal.stid import STID
from gnnkit.temporal.target_only import TargetOnlyForecaster, reads_features
from gnnkit.temporal.tgcn import TGCN

__all__ = ["MODELS", "ModelEntry", "build_forecaster"]

_CALL = ("x", "edge_index", "edge_weight", "mask", "target", "progress")  # what a forecaster is called with
# What `build_forecaster` hands over itself where a constructor names it; all else in a constructor is a setting.
_SIZES = ("in_channels", "hidden_channels", "horizon", "history", "num_nodes", "time_channels", "edge_index")


@dataclass(frozen=True)
class ModelEntry:
    """One model of the registry.

    Args:
        name: What it is asked for by.
        family: `"sequence"` (nodes do not hear each other by a graph) or `"graph"` (by the given one, or one learned).
        description: One line.
        build: Its constructor, with what the name fixes filled in.
        paper: Authors and year; empty for a model without one.
    """

    name: str
    family: Literal["sequence", "graph"]
    description: str
    build: Callable[..., nn.Module]
    paper: str = ""

    @classmethod
    def of(cls, name: str, model: Any) -> ModelEntry:
        """The entry of a class: its family by its `uses_graph`, else by whether its `forward` names `edge_index`.

        Args:
            name: What it is to be asked for by.
            model: A class of `nn.Module`, or a partial of one; an entry is returned as it is.

        Raises:
            ValueError: It is something else, or its `forward` does not take what a forecaster is called with.
        """
        if isinstance(model, ModelEntry):
            return model
        core = model.func if isinstance(model, partial) else model
        if not (isinstance(core, type) and issubclass(core, nn.Module)):
            raise ValueError(f"model {name!r} is {core!r}, and should be a class of torch.nn.Module, or a ModelEntry")
        parameters = inspect.signature(core.forward).parameters
        if not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
            missing = [each for each in _CALL if each not in parameters]
            if missing:
                raise ValueError(
                    f"model {name!r}: forward does not take {', '.join(missing)}; write forward(self, x, edge_index, "
                    f"edge_weight, *, mask=None, target=None, progress=None), and leave unread what it does not need"
                )
        uses_graph = getattr(core, "uses_graph", "edge_index" in parameters)
        family = "graph" if uses_graph or getattr(core, "learns_graph", False) else "sequence"
        description = (core.__doc__ or "a model without a docstring").strip().splitlines()[0].rstrip(".")
        return cls(name, family, description, model)

    @property
    def arguments(self) -> dict[str, Any]:
        """What the constructor takes beyond what the name fixes, with the defaults; `inspect.Parameter.empty`: none."""
        fixed = self.build.keywords if isinstance(self.build, partial) else {}
        several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        parameters = inspect.signature(self.build).parameters.values()
        return {p.name: p.default for p in parameters if p.name not in fixed and p.kind not in several}

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that may be given, with their defaults: what the constructor takes beyond sizes and the name."""
        return {name: default for name, default in self.arguments.items() if name not in _SIZES}

    @property
    def has_width(self) -> bool:
        """Whether it has a width (`hidden_channels`)."""
        return "hidden_channels" in self.arguments


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
        ValueError: An unknown name (with the nearest one), a setting that the model does not have or one that it
            needs, quantiles without .5, or what its constructor does not accept.

    Example:
        >>> build_forecaster("gru", in_channels=1, horizon=3, history=12, num_nodes=5, hidden_channels=8).horizon
        3
    """
    entry = MODELS[name]
    unknown = sorted(set(settings) - set(entry.settings))
    if unknown:
        raise ValueError(
            f"model {name!r} has no setting {', '.join(map(repr, unknown))}; it accepts: {', '.join(entry.settings)}"
        )
    needed = [key for key, default in entry.settings.items() if default is inspect.Parameter.empty]
    if set(needed) - set(settings):
        raise ValueError(f"model {name!r} needs a value for {', '.join(needed)}; give it among its settings")
    sizes = (in_channels, hidden_channels, horizon, history, num_nodes, time_channels, edge_index)
    given = {size: value for size, value in zip(_SIZES, sizes, strict=True) if size in entry.arguments}
    forecaster = entry.build(**given, **settings)
    if not hasattr(forecaster, "uses_graph"):
        forecaster.uses_graph = entry.family == "graph"  # pyright: ignore[reportArgumentType]
    if in_channels > 1 and not reads_features(entry.arguments):
        forecaster = TargetOnlyForecaster(forecaster)
    if len(quantiles):
        shape = {"in_channels": in_channels, "horizon": horizon, "history": history}
        forecaster = QuantileForecaster(forecaster, quantiles=quantiles, **shape)
    return ResidualForecaster(forecaster) if residual else forecaster
