"""The forecasters by name, sequence models and graph models alike."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from torch import nn

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
from gnnkit.temporal.tgcn import TGCN

__all__ = ["MODELS", "ModelEntry", "build_forecaster"]

# What `build_forecaster` hands over itself; all else in a constructor is a setting.
_SIZES = ("in_channels", "hidden_channels", "horizon", "history", "num_nodes", "time_channels")


@dataclass(frozen=True)
class ModelEntry:
    """One model of the registry.

    Args:
        name: What it is asked for by.
        family: `"sequence"` (nodes do not hear each other by a graph) or `"graph"` (by the given one, or one learned).
        description: One line.
        build: Its constructor, with what the name fixes filled in.
        paper: Authors and year.
    """

    name: str
    family: Literal["sequence", "graph"]
    description: str
    build: Callable[..., nn.Module]
    paper: str

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that may be given, with their defaults: what the constructor takes beyond sizes and the name."""
        fixed = self.build.keywords if isinstance(self.build, partial) else {}
        parameters = inspect.signature(self.build).parameters.values()
        return {p.name: p.default for p in parameters if p.name not in _SIZES and p.name not in fixed}


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

#: Name -> entry, in the order in which they are listed.
MODELS: Mapping[str, ModelEntry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})


def build_forecaster(
    name: str,
    *,
    in_channels: int,
    horizon: int,
    history: int,
    num_nodes: int,
    hidden_channels: int = 64,
    time_channels: int = 0,
    residual: bool = False,
    quantiles: Sequence[float] = (),
    **settings: Any,
) -> nn.Module:
    """Build a forecaster by its name, whatever sizes its constructor needs.

    Args:
        name: One of `MODELS`.
        in_channels: Features F of a node at a step.
        horizon: Steps P to predict.
        history: Steps T of the history; only a model that is tied to it takes it.
        num_nodes: Nodes N; only a model that is tied to it takes it.
        hidden_channels: Width C; a model without a width takes none. Default 64.
        time_channels: How many of the F features, the last ones, tell the time (see `gnnkit.data.Windows`); only a
            model that reads them in a way of its own takes it. Default 0.
        residual: True puts it into `ResidualForecaster`: it then predicts the change from the last value.
        quantiles: Levels inside (0, 1), .5 among them, put it into `QuantileForecaster`: it then returns
            `[B, P, N, Q]`, its own forecast being the median. Default (): one value, `[B, P, N]`.
        **settings: The model's own, as in `MODELS[name].settings`.

    Returns:
        The forecaster.

    Raises:
        ValueError: An unknown name (with the nearest one), a setting that the model does not have, quantiles
            without .5, or what its constructor does not accept.

    Example:
        >>> build_forecaster("gru", in_channels=1, horizon=3, history=12, num_nodes=5, hidden_channels=8).horizon
        3
    """
    entry = MODELS.get(name)
    if entry is None:
        near = difflib.get_close_matches(str(name).lower(), MODELS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"unknown model {name!r}; {hint}allowed: {', '.join(MODELS)}")
    unknown = sorted(set(settings) - set(entry.settings))
    if unknown:
        raise ValueError(
            f"model {name!r} has no setting {', '.join(map(repr, unknown))}; it accepts: {', '.join(entry.settings)}"
        )
    fixed = entry.build.keywords if isinstance(entry.build, partial) else {}
    sizes = {"in_channels": in_channels, "hidden_channels": hidden_channels, "horizon": horizon}
    sizes |= {"history": history, "num_nodes": num_nodes, "time_channels": time_channels}
    taken = set(inspect.signature(entry.build).parameters) - set(fixed)
    forecaster = entry.build(**{size: value for size, value in sizes.items() if size in taken}, **settings)
    if len(quantiles):
        shape = {"in_channels": in_channels, "horizon": horizon, "history": history}
        forecaster = QuantileForecaster(forecaster, quantiles=quantiles, **shape)
    return ResidualForecaster(forecaster) if residual else forecaster
