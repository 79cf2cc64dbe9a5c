"""Graph layers: graph in, features out; one layer a file."""

from gnnkit.layers.appnp import APPNPLayer
from gnnkit.layers.chebyshev import ChebyshevLayer
from gnnkit.layers.dagnn import DAGNNLayer
from gnnkit.layers.diffusion import DiffusionLayer, transition_matrices
from gnnkit.layers.feature_dropout import FeatureDropout, feature_dropout
from gnnkit.layers.gat import GATLayer
from gnnkit.layers.gatv2 import GATv2Layer
from gnnkit.layers.gcn import GCNLayer
from gnnkit.layers.gcn2 import GCN2Layer
from gnnkit.layers.gin import GINLayer
from gnnkit.layers.gine import GINELayer
from gnnkit.layers.graph_conv import GraphConvLayer
from gnnkit.layers.graph_learning import GraphLearningLayer
from gnnkit.layers.graph_predictor import FeatureEncoder, GraphPredictor
from gnnkit.layers.mixhop import MixHopLayer, mixing_matrix
from gnnkit.layers.node_classifier import NodeClassifier
from gnnkit.layers.pair_norm import PairNorm
from gnnkit.layers.readout import VirtualNode, readout
from gnnkit.layers.relational import RelationalGCNLayer
from gnnkit.layers.sage import SAGELayer
from gnnkit.layers.seed_stack import SeedStack
from gnnkit.layers.sg import SGLayer
from gnnkit.layers.tag import TAGLayer
from gnnkit.layers.transformer import TransformerLayer

__all__ = [
    "APPNPLayer",
    "ChebyshevLayer",
    "DAGNNLayer",
    "DiffusionLayer",
    "FeatureDropout",
    "FeatureEncoder",
    "GATLayer",
    "GATv2Layer",
    "GCN2Layer",
    "GCNLayer",
    "GINELayer",
    "GINLayer",
    "GraphConvLayer",
    "GraphLearningLayer",
    "GraphPredictor",
    "MixHopLayer",
    "NodeClassifier",
    "PairNorm",
    "RelationalGCNLayer",
    "SAGELayer",
    "SGLayer",
    "SeedStack",
    "TAGLayer",
    "TransformerLayer",
    "VirtualNode",
    "feature_dropout",
    "mixing_matrix",
    "readout",
    "transition_matrices",
]
