"""Weights of a graph that may be distances: what tells, and what is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

__all__ = ["Doubt", "doubt_weights"]

_LARGE = 10
"""Weights above this are told of: they may be distances."""
_FEWEST = 12
"""Pairs of nodes from which on ranks are compared."""
_FALLS, _GROWS = -0.3, 0.5
_CHANCE = 0.001
_FEWEST_TRIPLES, _FEWEST_EVEN = 20, 4
"""Triples of nodes from which on a metric is no chance: in any matrix, and in one that is the same both ways."""
_PLACES = 6
"""Decimals to which distances may be rounded."""


@dataclass(frozen=True)
class Doubt:
    """What speaks for distances where similarities are wanted.

    Args:
        words: How the weights look; empty: like similarities.
        sure: Whether they are hardly anything else.
    """

    words: str = ""
    sure: bool = False


def doubt_weights(
    edge_index: NDArray[np.int64],
    weight: NDArray[np.float64],
    length: str,
    size: int,
    *,
    distance: NDArray[np.float64] | None = None,
    alike: Callable[[], NDArray[np.float64]] | None = None,
) -> Doubt:
    """Look whether weights are distances: larger where nodes are farther apart.

    They surely are where they stand under a title of distances; where they grow with the distances between the places
    of the nodes (Spearman's correlation of .5 or more); where they join all nodes and are a metric, the largest more
    than twice the smallest; or where nodes have less alike values the larger the weight is (−.3 or less). All these are
    far beyond chance (p < .001). They may be where they are large, or join each node with all others but not itself.

    Args:
        edge_index: `[2, E]`.
        weight: `[E]`.
        length: Title of the weights where it is one of distances; else empty.
        size: Nodes.
        distance: Between the places of the nodes, `[N, N]`; None: not known.
        alike: Gives how alike the training values of two nodes are, 0 to 1, `[N, N]`; None: not known.

    Returns:
        What speaks for distances.
    """
    source, target = edge_index
    apart = source != target
    loops, source, target, weight = weight[~apart], source[apart], target[apart], weight[apart]
    if not weight.size or weight.min() == weight.max():
        return Doubt()
    shown = f"go from {weight.min():.4g} to {weight.max():.4g}"
    if length:
        return Doubt(f"stand under {length!r} and {shown}", True)
    grows = None if distance is None else _ranks(weight, distance[source, target])
    if grows is not None and grows >= _GROWS:
        return Doubt(f"{shown} and grow with the distance between the places of the nodes", True)
    every = size > 2 and not loops.any() and len(np.unique(source * size + target)) == size * (size - 1)
    if every and _is_metric(source, target, weight, size):
        return Doubt(f"{shown}, join each node with all others but not with itself, and no way round is shorter", True)
    falls = None if alike is None else _ranks(weight, alike()[source, target])
    if falls is not None and falls <= _FALLS:
        return Doubt(f"{shown}, and the larger one is the less alike are the training values of the two nodes", True)
    if grows is not None or (falls is not None and falls >= -_FALLS):  # they have been held against what is near
        return Doubt()
    if every:
        return Doubt(f"join each node with all others, but not with itself, and {shown}")
    return Doubt(shown) if weight.max() > _LARGE else Doubt()


def _ranks(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Spearman's correlation, 0 where chance may make it; None: too few pairs."""
    if len(one) < _FEWEST or other.min() == other.max():
        return None
    correlation = pd.Series(one).rank().corr(pd.Series(other).rank())
    free = len(one) - 2
    t = abs(correlation) * np.sqrt(free / max(1 - correlation**2, np.finfo(np.float64).tiny))
    return float(correlation) if 2 * special.stdtr(free, -t) < _CHANCE else 0.0


def _is_metric(source: NDArray[np.int64], target: NDArray[np.int64], weight: NDArray[np.float64], size: int) -> bool:
    """Whether no way over a third node is shorter, in a matrix whose entries differ enough for that to tell."""
    matrix = np.zeros((size, size))
    matrix[source, target] = weight
    fewest = _FEWEST_EVEN if np.allclose(matrix, matrix.T) else _FEWEST_TRIPLES
    if size * (size - 1) * (size - 2) < 6 * fewest or weight.max() <= 2 * weight.min():
        return False
    slack = 1e-9 * weight.max() + _rounding(weight)
    return all(bool((matrix <= matrix[:, [over]] + matrix[over] + slack).all()) for over in range(size))


def _rounding(weight: NDArray[np.float64]) -> float:
    """By how much rounding can make a way round shorter: each of three lengths is off by half of its last decimal."""
    for places in range(_PLACES + 1):
        if np.allclose(weight, weight.round(places), rtol=0, atol=1e-9):
            return min(1.5 * 10.0**-places, 0.01 * float(np.median(weight)))
    return 0.0
