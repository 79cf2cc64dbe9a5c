"""Graphs where there is none: of the places of the nodes, or of how their training values go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from gnnkit.data.own_graph_csv import Edges
from gnnkit.graph import correlations, gaussian_kernel, nearest

__all__ = [
    "MADE_FROM",
    "THRESHOLD",
    "CorrelationGraph",
    "check_neighbours",
    "graph_of_correlations",
    "graph_of_places",
    "training_likeness",
]

MADE_FROM = ("places", "correlation")
"""What a graph can be made of."""
THRESHOLD = 0.1
"""Kernel weights below it are no edges, as Li et al. (2018) have it."""
NEIGHBOURS = 5
"""Neighbours of a node in a graph of correlations, where nobody says how many."""
FEWEST_SEASONS = 2


def graph_of_places(distance: Float[Tensor, "N N"], neighbours: int | None, name: str) -> tuple[Edges, str]:
    """Join the nodes that are near each other.

    Args:
        distance: In kilometres.
        neighbours: None: all pairs whose Gaussian kernel weight `exp(−d² / σ²)` is .1 or more, with that weight; σ is
            the standard deviation of the distances between different nodes. k: each node, both ways, with its k
            nearest ones, with weights of 1.
        name: Of the table of places.

    Returns:
        The edges, both ways and without loops, and how they were made in words.

    Raises:
        ValueError: No two nodes are near enough, or there are fewer neighbours.
    """
    size = len(distance)
    if neighbours is not None:
        check_neighbours(neighbours, size)
        edge_index, weight = _edges(nearest(distance, neighbours).double())
        return (edge_index, weight), f"each node is joined with its {_nodes(neighbours, 'nearest')} by {name}"
    apart = ~torch.eye(size, dtype=torch.bool)
    between = distance[apart]
    weight = torch.zeros_like(distance)
    weight[apart] = gaussian_kernel(between, THRESHOLD)
    found = _edges(weight)
    if not found[1].size:
        raise ValueError(
            f"{name}: no two nodes are near enough for an edge: the nearest are {between.min():.4g} km apart, and all "
            f"distances alike up to {between.std(correction=0):.2g} km, the width of the kernel; give neighbours "
            f"(--neighbours 3)"
        )
    words = (
        f"Gaussian kernel of the distances by {name}, exp(−d² / σ²) with σ = {between.std(correction=0):.4g} km, where "
        f"it is {THRESHOLD:g} or more (Li et al., 2018)"
    )
    return found, words


def graph_of_correlations(
    train: Float[Tensor, "R N"], season: int | None, neighbours: int | None, names: Sequence[str], notes: list[str]
) -> tuple[Edges, str]:
    """Join the nodes whose training values go together most.

    Args:
        train: The training rows of the target, NaN where nothing was observed; no other row is looked at.
        season: Rows in a season; None: unknown.
        neighbours: How many others each node is joined with, both ways (default: 5, or all that there are).
        names: Of the nodes.
        notes: Gets a sentence on nodes that do not change.

    Returns:
        The edges, whose weights are the sizes of the correlations, and how they were made in words.

    Raises:
        ValueError: No two nodes have a correlation, or there are fewer neighbours.
    """
    size = train.size(1)
    if neighbours is not None:
        check_neighbours(neighbours, size)
    likeness, what = training_likeness(train, season)
    still = [name for name, alone in zip(names, (likeness.diagonal() == 0).tolist(), strict=True) if alone]
    if len(still) > size - 2:
        raise ValueError(
            "graph_from='correlation': fewer than two nodes change in the training rows, so that there are no "
            "correlations; give a graph, or places"
        )
    if still:
        shown = ", ".join(map(repr, still[:5])) + (", …" if len(still) > 5 else "")
        notes.append(
            f"{shown} {'does' if len(still) == 1 else 'do'} not change in the training rows: there are no "
            f"correlations, and no edges."
        )
    count = min(NEIGHBOURS, size - 1) if neighbours is None else neighbours
    joined = nearest(torch.where(likeness > 0, 1 - likeness, torch.inf), count)
    words = f"each node is joined with the {_nodes(count, 'others')} whose {what} correlate most with its own"
    return _edges(torch.where(joined, likeness, 0.0)), words


@dataclass(frozen=True)
class CorrelationGraph:
    """Makes the graph of `graph_of_correlations` of whatever rows are the training rows.

    Args:
        season, neighbours, names: As there.
    """

    season: int | None
    neighbours: int | None
    names: tuple[str, ...]

    def __call__(self, train: Float[Tensor, "R N"]) -> tuple[Tensor, Tensor, str]:
        """Edges `[2, E]`, weights `[E]` and how they were made, for `GraphSeries.make_graph`."""
        (edge_index, weight), words = graph_of_correlations(train, self.season, self.neighbours, self.names, [])
        weight = torch.from_numpy(weight.astype(np.float32))
        return torch.from_numpy(edge_index), weight, f"{words} ({len(train)} training rows alone)"


def training_likeness(train: Float[Tensor, "R N"], season: int | None) -> tuple[Float[Tensor, "N N"], str]:
    """How alike the training values of each two nodes are: the sizes of Pearson's correlations.

    From each value, the node's mean at that row of the season is taken away first, where the rows hold two seasons or
    more: that all nodes have the same day says nothing of which are near. Where the level drifts (the means of both
    halves of the rows lie more than a standard deviation within them apart, for half of the nodes) the changes from
    row to row are correlated: any two trends correlate.

    Args:
        train: As in `graph_of_correlations`.
        season: As there.

    Returns:
        `[N, N]`, 0 to 1, with a zero on the diagonal for nodes that do not change, and what was correlated.
    """
    values, words = train.double(), "training values"
    if season is not None and season > 1 and len(values) >= FEWEST_SEASONS * season:
        padded = torch.nn.functional.pad(values, (0, 0, 0, -len(values) % season), value=torch.nan)
        usual = padded.view(-1, season, values.size(1)).nanmean(dim=0)
        values = values - usual.repeat(len(padded) // season, 1)[: len(values)]
        words += f", less their means at each of the {season} rows of the season,"
    halves = values[: len(values) // 2], values[len(values) // 2 :]
    means = [half.nanmean(dim=0) for half in halves]
    spread = sum((half - mean).square().nanmean(dim=0) for half, mean in zip(halves, means, strict=True))
    drift = (means[0] - means[1]).square() > torch.as_tensor(spread) / 2
    if drift.double().mean() >= 0.5:
        values, words = values[1:] - values[:-1], f"changes from row to row of the {words}"
    return correlations(values).abs(), words


def check_neighbours(neighbours: int, size: int) -> None:
    """Refuse a number of neighbours that a graph of so many nodes cannot have."""
    if not 1 <= neighbours < size:
        most = f"1 to {size - 1}" if size > 1 else "a series of two nodes or more"
        raise ValueError(f"neighbours={neighbours}: the series has {size} node{'' if size == 1 else 's'}; give {most}")


def _nodes(count: int, word: str) -> str:
    return {"nearest": "nearest neighbour" if count == 1 else f"{count} nearest neighbours",
            "others": "one" if count == 1 else f"{count} others"}[word]  # fmt: skip


def _edges(weight: Tensor) -> Edges:
    edge_index = weight.nonzero().T.contiguous()
    values: NDArray[np.float64] = weight[edge_index[0], edge_index[1]].numpy()
    return edge_index.numpy(), values
