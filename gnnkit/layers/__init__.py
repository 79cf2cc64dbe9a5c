"""Graph layers: graph in, features out; one layer a file."""

from gnnkit.layers.feature_dropout import feature_dropout
from gnnkit.layers.gat import GATLayer
from gnnkit.layers.gcn import GCNLayer

__all__ = ["GATLayer", "GCNLayer", "feature_dropout"]
