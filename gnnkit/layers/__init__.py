"""Graph layers: graph in, features out; one layer a file."""

from gnnkit.layers.chebyshev import ChebyshevLayer
from gnnkit.layers.diffusion import DiffusionLayer, transition_matrices
from gnnkit.layers.feature_dropout import feature_dropout
from gnnkit.layers.gat import GATLayer
from gnnkit.layers.gcn import GCNLayer
from gnnkit.layers.graph_learning import GraphLearningLayer
from gnnkit.layers.mixhop import MixHopLayer, mixing_matrix

__all__ = [
    "ChebyshevLayer",
    "DiffusionLayer",
    "GATLayer",
    "GCNLayer",
    "GraphLearningLayer",
    "MixHopLayer",
    "feature_dropout",
    "mixing_matrix",
    "transition_matrices",
]
