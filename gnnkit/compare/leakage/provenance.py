"""The check of the leakage audit on the graph: was it made of the series itself, test rows included?"""

from __future__ import annotations

import torch
from torch import Tensor

from gnnkit.compare.leakage.checks import Found
from gnnkit.data import GraphSeries

__all__ = ["follows", "provenance"]

MOST_NODES, FEWEST_EDGES = 2000, 8
ALIKE = 0.9
"""A graph follows correlations whose agreement with it is this or more: 1 is that they tell every edge."""
CLOSER = 0.5
"""It follows those over all rows where they disagree with it half as much as those over the training rows, or less."""


def provenance(series: GraphSeries) -> Found:
    """Hold a graph against the correlations of its nodes, over the training rows and over all of them.

    Which rows a graph was made of cannot be read off it. What can be seen is whether its edges are those of the largest
    correlations, or its weights follow them, and over which rows they do so more closely.
    """
    made = series.graph_rows
    if made is not None and made.stop <= series.split.train.stop:  # a series holds no other rows
        return Found(
            f"The graph was made of the correlations of the nodes over rows {made.start} to {made.stop - 1}, which are "
            f"training rows."
        )
    source, target = series.edge_index.detach().cpu()
    weight = series.edge_weight.detach().cpu().double()
    kept = (source != target) & (weight != 0)
    if not kept.any():
        return Found("There is no graph.")
    if series.num_nodes > MOST_NODES or int(kept.sum()) < FEWEST_EDGES:
        few = "has too few edges" if series.num_nodes <= MOST_NODES else "has too many nodes"
        return Found(f"How the graph was made was not checked: it {few} to hold it against correlations.")
    edges = torch.stack([source[kept], target[kept]])
    values = series.values[..., 0].detach().cpu()
    train = values[series.split.train.start : series.split.train.stop]
    ways = zip(*(follows(edges, weight[kept], _correlations(rows)) for rows in (values, train)), strict=True)
    # The way that tells the graph best; of equal ones that which tells the rows apart.
    every, training = max(ways, key=lambda pair: (round(max(pair), 6), abs(pair[0] - pair[1])), default=(0.0, 0.0))
    figures = f"agreement {every:.3f} over all rows, {training:.3f} over the training rows, where 1 is every edge"
    if max(every, training) >= ALIKE and abs(every - training) < 1e-6:
        return Found(
            f"the graph follows the correlations of the nodes; over which rows they were taken, the test rows among "
            f"them or not, cannot be told ({figures}): make it of the training rows alone",
            warning=True,
        )
    if every >= ALIKE and 1 - every <= CLOSER * (1 - training):
        return Found(
            f"the graph follows the correlations of the nodes over all rows, the test rows among them, more closely "
            f"than those over the training rows ({figures}): make it of the training rows alone",
            warning=True,
        )
    if max(every, training) >= ALIKE:
        return Found(
            f"The graph follows the correlations of the nodes, over the training rows as far as is seen ({figures})."
        )
    return Found(
        f"The graph does not follow the correlations of the nodes ({figures}); how else it was made was not checked."
    )


def follows(edges: Tensor, weight: Tensor, correlations: Tensor) -> list[float]:
    """How well correlations tell a graph, in each of the ways in which graphs are made of them.

    The share of the edges among as many pairs with the largest correlations, in the whole matrix or node by node; and,
    where weights differ, their squared correlation with those of the edges. Each for correlations as they are and for
    their sizes.

    Args:
        edges: `[2, E]` without loops.
        weight: `[E]`.
        correlations: `[N, N]`.

    Returns:
        0 to 1 for each way, always in the same order.
    """
    nodes, source, target = len(correlations), *edges
    joined = torch.zeros(nodes, nodes, dtype=torch.bool)
    joined[source, target] = True
    found = []
    for strength in (correlations, correlations.abs()):
        strength = strength.masked_fill(torch.eye(nodes, dtype=torch.bool), -torch.inf)
        count = int(joined.sum())
        if count < 0.9 * nodes * (nodes - 1):  # where nearly all are joined, any would be
            top = strength.flatten().topk(count).indices
            found.append(_above_chance(float(joined.flatten()[top].double().mean()), count / (nodes * (nodes - 1))))
            for one, mine in ((joined, strength), (joined.T, strength.T)):
                place = mine.argsort(dim=1, descending=True).argsort(dim=1)
                near = place < one.sum(dim=1, keepdim=True)
                found.append(_above_chance(float((near & one).sum() / count), count / (nodes * (nodes - 1))))
        theirs = strength[source, target]
        if weight.std() > 1e-6 * weight.abs().mean():
            likeness = torch.corrcoef(torch.stack([weight, theirs]))[0, 1].nan_to_num(nan=0.0)
            found.append(float(likeness.clamp(min=0).square()))
    return found


def _above_chance(share: float, chance: float) -> float:
    return max(0.0, (share - chance) / max(1 - chance, 1e-9))


def _correlations(values: Tensor) -> Tensor:
    """[N, N], over the rows that are observed of a node; a gap counts as its mean."""
    values = values.double()
    centred = (values - values.nanmean(dim=0)).nan_to_num(nan=0.0)
    size = centred.norm(dim=0)
    centred = torch.where(size > 0, centred / size.clamp(min=1e-12), 0.0)
    return centred.T @ centred
