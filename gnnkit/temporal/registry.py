"""gnnkit's own forecasters, sequence models and graph models alike; `gnnkit.temporal.models` asks for them by name."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from gnnkit.sequence import BiLSTMForecaster, GRUForecaster, LSTMForecaster, RNNForecaster
from gnnkit.temporal.a3tgcn import A3TGCN
from gnnkit.temporal.agcrn import AGCRN
from gnnkit.temporal.chronos import Chronos
from gnnkit.temporal.d2stgnn import D2STGNN
from gnnkit.temporal.dcrnn import DCRNN
from gnnkit.temporal.dlinear import DLinear
from gnnkit.temporal.entry import ModelEntry
from gnnkit.temporal.exponential_smoothing import AutoETS, AutoTheta
from gnnkit.temporal.gcn_forecaster import GCNForecaster
from gnnkit.temporal.graph_wavenet import GraphWaveNet
from gnnkit.temporal.itransformer import ITransformer
from gnnkit.temporal.megacrn import MegaCRN
from gnnkit.temporal.mtgnn import MTGNN
from gnnkit.temporal.patchtst import PatchTST
from gnnkit.temporal.ridge import Ridge
from gnnkit.temporal.staeformer import STAEformer
from gnnkit.temporal.stgcn import STGCN
from gnnkit.temporal.stid import STID
from gnnkit.temporal.tgcn import TGCN
from gnnkit.temporal.trees import BoostedTrees
from gnnkit.temporal.var import VAR

__all__ = ["ENTRIES"]

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

_SMOOTHING = (
    ("autoets", "exponential smoothing of each node, its slope chosen by AICc", AutoETS, "Hyndman et al. (2002)"),
    (
        "autotheta",
        "the theta method on each node, its drift chosen by validation",
        AutoTheta,
        "Assimakopoulos & Nikolopoulos (2000)",
    ),
)

ENTRIES = (
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
    *(
        ModelEntry(
            name, "sequence", f"{what}, less its season; pip install gnnkit[smoothing]", build, paper, fits_itself=True
        )
        for name, what, build, paper in _SMOOTHING
    ),
    ModelEntry(
        "chronos",
        "sequence",
        "a pretrained transformer (Chronos-Bolt, Chronos-2) on each node's history, from a folder of weights; "
        "pip install gnnkit[chronos]",
        Chronos,
        "Ansari et al. (2024)",
        fits_itself=True,
    ),
    ModelEntry(
        "dlinear",
        "sequence",
        "a linear map of trend and rest, shared by all nodes; ignores the graph",
        DLinear,
        "Zeng et al. (2023)",
    ),
    ModelEntry(
        "patchtst",
        "sequence",
        "a transformer over patches of a node's history, one network shared by all nodes; ignores the graph",
        PatchTST,
        "Nie et al. (2023)",
    ),
    ModelEntry(
        "itransformer",
        "sequence",
        "a transformer whose tokens are the nodes' histories, all nodes attending to all; ignores the graph",
        ITransformer,
        "Liu et al. (2024)",
    ),
    ModelEntry(
        "stid",
        "sequence",
        "a perceptron with embeddings of the node and, if told, time of day and weekday; ignores the graph",
        partial(STID, diffusion_steps=0),
        "Shao et al. (2022)",
    ),
    ModelEntry(
        "staeformer",
        "sequence",
        "a transformer along time and among all nodes, with embeddings of each step of each node; ignores the graph",
        STAEformer,
        "Liu et al. (2023)",
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
        "d2stgnn",
        "graph",
        "what diffuses told from what is a node's own, on the given graph by the hour and a learned one",
        D2STGNN,
        "Shao et al. (2022)",
    ),
    ModelEntry(
        "agcrn", "graph", "GRU with weights of each node's own, on a graph that it learns", AGCRN, "Bai et al. (2020)"
    ),
    ModelEntry(
        "megacrn",
        "graph",
        "encoder and decoder of GRUs on two graphs learned from a memory, which the decoder reads too",
        MegaCRN,
        "Jiang et al. (2023)",
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
