"""Typed link prediction: Decagon's encoder, tensor-factorising decoders, negatives and losses."""

from gnnkit.relational.cooccurrence import PairProfiles, fit_cooccurrence
from gnnkit.relational.decoders import (
    DECODERS,
    DEDICOM,
    RESCAL,
    ComplEx,
    DistMult,
    RelationalDecoder,
    SimplE,
    build_decoder,
)
from gnnkit.relational.encoder import DecagonEncoder, EdgeFamily
from gnnkit.relational.losses import LOSSES, all_pairs_cross_entropy, cross_entropy, hinge, self_adversarial
from gnnkit.relational.model import Decagon
from gnnkit.relational.negatives import KnownLinks, corrupt_links, degree_preserving_negatives, random_negatives

__all__ = [
    "DECODERS",
    "DEDICOM",
    "LOSSES",
    "RESCAL",
    "ComplEx",
    "Decagon",
    "DecagonEncoder",
    "DistMult",
    "EdgeFamily",
    "KnownLinks",
    "PairProfiles",
    "RelationalDecoder",
    "SimplE",
    "all_pairs_cross_entropy",
    "build_decoder",
    "corrupt_links",
    "cross_entropy",
    "degree_preserving_negatives",
    "fit_cooccurrence",
    "hinge",
    "random_negatives",
    "self_adversarial",
]
