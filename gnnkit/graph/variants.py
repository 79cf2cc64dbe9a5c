"""Wrong graphs to set beside a given one: what is left of a model's gain when the graph tells nothing, or lies?"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnnkit.graph.adjacency import set_self_loops

__all__ = ["GraphVariant", "graph_variant"]

GraphVariant = Literal["given", "identity", "shuffled", "random", "complete"]

ROUNDS = 40
"""Rounds of rewiring; in each, the edges are put in pairs at random, and half of the pairs swap where they may."""


def graph_variant(
    edge_index: Int[Tensor, "2 E"],
    edge_weight: Float[Tensor, " E"] | None,
    num_nodes: int,
    kind: GraphVariant,
    *,
    seed: int = 0,
) -> tuple[Int[Tensor, "2 M"], Float[Tensor, " M"]]:
    """Make the graph that a model is trained on in place of the given one.

    - `"given"`: the graph as it is.
    - `"identity"`: a self-loop of weight 1 at every node and nothing else; no node hears another.
    - `"shuffled"`: the same graph in the wrong places: its nodes are permuted, weights travel with their edges.
    - `"random"`: degree-matched. Edges a → b and c → d become a → d and c → b, many times over, but never a self-loop
      or an edge that is there already: every node keeps its numbers of edges in and out, and the weights of the edges
      that leave it. Self-loops stay.
    - `"complete"`: every node to every other, all with the mean weight of the given edges; self-loops stay.

    Args:
        edge_index: Sources and targets.
        edge_weight: One weight per edge; None stands for ones.
        num_nodes: Node count N.
        kind: Which of the five.
        seed: Of what is drawn in `"shuffled"` and `"random"`; the same seed gives the same graph. Default 0.

    Shape:
        `edge_index`: `[2, E]`; `edge_weight`: `[E]`; returned: `[2, M]` and `[M]`, M = E but for `"identity"` (N) and
        `"complete"` (N (N − 1) and the self-loops).

    Returns:
        `edge_index` and `edge_weight`. A graph that leaves no choice (complete, or of one edge) has no other random one
        and comes back as it is. For networkx graphs, `from_networkx` and `to_networkx` stand before and after.

    Raises:
        ValueError: A malformed edge list, an unknown `kind`, or a negative `seed`.

    Source:
        Swaps of directed edges: Milo et al., "On the uniform generation of random graphs with prescribed degree
        sequences" (2003); here the swaps of a round are made at once, those that get in each other's way left out.

    Example:
        >>> ring = torch.tensor([[0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 0]])
        >>> edge_index, _ = graph_variant(ring, None, 6, "random")
        >>> edge_index[1].sort().values.tolist(), bool((edge_index[0] == edge_index[1]).any())
        ([0, 1, 2, 3, 4, 5], False)
    """
    if kind not in get_args(GraphVariant):
        hint = "; a learned graph is a model's own, see mtgnn" if kind == "learned" else ""
        raise ValueError(f"kind is {kind!r}; choose one of {', '.join(get_args(GraphVariant))}{hint}")
    if seed < 0:
        raise ValueError(f"seed is {seed}; give a whole number of at least 0")
    edge_index, edge_weight = set_self_loops(edge_index, edge_weight, num_nodes, "keep")
    if edge_weight is None:
        edge_weight = torch.ones(edge_index.size(1), device=edge_index.device)
    if kind == "given":
        return edge_index, edge_weight
    if kind == "identity":
        nodes = torch.arange(num_nodes, device=edge_index.device)
        return nodes.repeat(2, 1), edge_weight.new_ones(num_nodes)
    if kind == "complete":
        return _complete(edge_index, edge_weight, num_nodes)
    rng = np.random.default_rng(seed)
    if kind == "shuffled":
        place = torch.from_numpy(rng.permutation(num_nodes)).to(edge_index.device)
        return place[edge_index], edge_weight
    source, target = edge_index.cpu().numpy()
    rewired = torch.from_numpy(_rewire(source, target, num_nodes, rng)).to(edge_index.device)
    return torch.stack([edge_index[0], rewired]), edge_weight


def _complete(edge_index: Tensor, edge_weight: Tensor, num_nodes: int) -> tuple[Tensor, Tensor]:
    loop = edge_index[0] == edge_index[1]
    mean = edge_weight[~loop].mean() if not loop.all() else edge_weight.new_ones(())
    nodes = torch.arange(num_nodes, device=edge_index.device)
    pairs = torch.stack([nodes.repeat_interleave(num_nodes), nodes.repeat(num_nodes)])
    pairs = pairs[:, pairs[0] != pairs[1]]
    weights = mean.expand(pairs.size(1))
    return torch.cat([pairs, edge_index[:, loop]], dim=1), torch.cat([weights, edge_weight[loop]])


def _rewire(source: np.ndarray, target: np.ndarray, num_nodes: int, rng: np.random.Generator) -> np.ndarray:
    """New targets [E] of the edges, by swaps of the targets of two edges; self-loops keep theirs."""
    target = target.copy()
    movable = np.flatnonzero(source != target)
    for _ in range(ROUNDS):
        first, second = rng.permutation(movable)[: len(movable) // 2 * 2].reshape(2, -1)
        proposed = np.stack([source[first] * num_nodes + target[second], source[second] * num_nodes + target[first]])
        # Half of the swaps are not made: a chain of swaps that always moves comes back in even rounds alone.
        free = rng.random(len(first)) < 0.5
        free &= (source[first] != target[second]) & (source[second] != target[first])
        free &= ~np.isin(proposed, source * num_nodes + target).any(axis=0)
        # Two swaps of one round may ask for the same new edge: neither gets it.
        _, place, asked = np.unique(proposed, return_inverse=True, return_counts=True)
        free &= (asked[place.reshape(proposed.shape)] == 1).all(axis=0)
        one, other = first[free], second[free]
        target[one], target[other] = target[other], target[one]
    return target
