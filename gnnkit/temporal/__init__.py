"""Spatio-temporal models: forecasters that see the graph, and the registry of all forecasters."""

from typing import TYPE_CHECKING

from gnnkit._lazy import import_lazily

if TYPE_CHECKING:
    from gnnkit.temporal.a3tgcn import A3TGCN
    from gnnkit.temporal.agcrn import AGCRN
    from gnnkit.temporal.call import WrongForecast
    from gnnkit.temporal.d2stgnn import D2STGNN
    from gnnkit.temporal.dcrnn import DCRNN
    from gnnkit.temporal.dlinear import DLinear
    from gnnkit.temporal.entry import ModelEntry
    from gnnkit.temporal.gcn_forecaster import GCNForecaster
    from gnnkit.temporal.graph_wavenet import GraphWaveNet
    from gnnkit.temporal.itransformer import ITransformer
    from gnnkit.temporal.megacrn import MegaCRN
    from gnnkit.temporal.models import MODELS, build_forecaster, model_name
    from gnnkit.temporal.mtgnn import MTGNN
    from gnnkit.temporal.patchtst import PatchTST
    from gnnkit.temporal.quantile import QuantileForecaster
    from gnnkit.temporal.residual import ResidualForecaster
    from gnnkit.temporal.staeformer import STAEformer
    from gnnkit.temporal.stgcn import STGCN
    from gnnkit.temporal.stid import STID
    from gnnkit.temporal.tgcn import TGCN
    from gnnkit.temporal.tgcn_cell import TGCNCell
else:
    import_lazily(__name__)

__all__ = [
    "A3TGCN",
    "AGCRN",
    "D2STGNN",
    "DCRNN",
    "MODELS",
    "MTGNN",
    "STGCN",
    "STID",
    "TGCN",
    "DLinear",
    "GCNForecaster",
    "GraphWaveNet",
    "ITransformer",
    "MegaCRN",
    "ModelEntry",
    "PatchTST",
    "QuantileForecaster",
    "ResidualForecaster",
    "STAEformer",
    "TGCNCell",
    "WrongForecast",
    "build_forecaster",
    "model_name",
]
