"""Spatio-temporal models: forecasters that see the graph, and the registry of all forecasters."""

from gnnkit.temporal.gcn_forecaster import GCNForecaster
from gnnkit.temporal.mtgnn import MTGNN
from gnnkit.temporal.registry import MODELS, ModelEntry, build_forecaster
from gnnkit.temporal.residual import ResidualForecaster
from gnnkit.temporal.tgcn import TGCN
from gnnkit.temporal.tgcn_cell import TGCNCell

__all__ = [
    "MODELS",
    "MTGNN",
    "TGCN",
    "GCNForecaster",
    "ModelEntry",
    "ResidualForecaster",
    "TGCNCell",
    "build_forecaster",
]
