"""The graph of a series: the one that is given, or one that is made of places or of training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from gnnkit.data.own_graph import read_graph
from gnnkit.data.own_made import MADE_FROM, graph_of_correlations, graph_of_places, training_likeness
from gnnkit.data.own_places import Places, read_places

__all__ = ["SettledGraph", "settle_graph"]

MOST_NODES = 2000
"""Of more nodes the weights are not held against the correlations of all pairs."""


@dataclass(frozen=True, eq=False)
class SettledGraph:
    """The graph of a series.

    Args:
        edge_index: `[2, E]`.
        edge_weight: `[E]`.
        note: What it is, in a few words.
        source: How it was made; empty: it was given as it is.
        rows: Rows that it was made of; None: of none.
        positions: Of the nodes on a map, `[N, 2]`; None: not known.
    """

    edge_index: NDArray[np.int64]
    edge_weight: NDArray[np.float64]
    note: str
    source: str
    rows: range | None
    positions: Tensor | None


def settle_graph(
    graph: Any,
    names: list[str],
    train: Float[Tensor, "R N"],
    rows: range,
    season: int | None,
    notes: list[str],
    *,
    places: Any,
    places_unit: str | None,
    graph_from: str | None,
    graph_weights: str | None,
    graph_format: str,
    neighbours: int | None,
) -> SettledGraph:
    """Read the graph, or make one where there is none.

    Args:
        graph: As `gnnkit.data.read_own` takes it, as are all arguments that are not named here.
        names: Of the nodes.
        train: The target in the training rows.
        rows: Those rows.
        season: Rows in a season; None: unknown.
        notes: Gets sentences on what was guessed.

    Raises:
        ValueError: Arguments that contradict each other, or what reading or making it raises.
    """
    _check(graph, places, places_unit, graph_from, graph_weights, neighbours)
    found = None if places is None else read_places(places, names, places_unit, notes)
    positions = None if found is None else found.positions
    if graph is not None:
        edges = read_graph(
            graph, names, graph_format, notes, weights=graph_weights, neighbours=neighbours,
            distance=None if found is None else found.distance.numpy(),
            alike=None if len(names) > MOST_NODES else lambda: training_likeness(train, season)[0].numpy(),
        )  # fmt: skip
        name = Path(graph).name if isinstance(graph, (str, PathLike)) else ""
        note = f"graph {name}" if name else "a graph in memory"
        return SettledGraph(*edges, note, _turned(name or note, graph_weights, neighbours), None, positions)
    edges, source, made_of = _made(found, places, graph_from, train, rows, season, neighbours, names, notes)
    note = f"a graph made of {made_of}" if made_of else "no graph"
    return SettledGraph(*edges, note, source, rows if made_of == "correlations" else None, positions)


def _made(
    found: Places | None,
    places: Any,
    graph_from: str | None,
    train: Tensor,
    rows: range,
    season: int | None,
    neighbours: int | None,
    names: Sequence[str],
    notes: list[str],
) -> tuple[tuple[NDArray[np.int64], NDArray[np.float64]], str, str]:
    """A graph where none is given, how it was made, and of what; empty where there is nothing to make one of."""
    if graph_from == "correlation":
        edges, words = graph_of_correlations(train, season, neighbours, names, notes)
        return edges, f"{words} ({len(rows)} training rows alone)", "correlations"
    if found is None:
        return (np.zeros((2, 0), dtype=np.int64), np.zeros(0)), "", ""
    label = Path(places).name if isinstance(places, (str, PathLike)) else "places"
    edges, words = graph_of_places(found.distance, neighbours, label)
    return edges, words, "places"


def _turned(name: str, graph_weights: str | None, neighbours: int | None) -> str:
    if graph_weights != "distance":
        return ""
    if neighbours is not None:
        return f"the distances of {name}, each node with its {neighbours} nearest"
    return f"Gaussian kernel of the distances of {name}, exp(−d² / σ²), where it is 0.1 or more (Li et al., 2018)"


def _check(
    graph: Any, places: Any, places_unit: str | None, graph_from: str | None, graph_weights: str | None,
    neighbours: int | None,
) -> None:  # fmt: skip
    """Refuse arguments that contradict each other."""
    if graph_from not in (None, *MADE_FROM):
        raise ValueError(f"graph_from={graph_from!r}: give one of {', '.join(MADE_FROM)}")
    if graph is not None and graph_from is not None:
        raise ValueError(f"graph_from={graph_from!r}: a graph is given too; leave one of them out")
    if graph_from == "places" and places is None:
        raise ValueError("graph_from='places': no places are given; give them (--places), or another graph")
    if places_unit is not None and places is None:
        raise ValueError(f"places_unit={places_unit!r}: no places are given; give them (--places), or leave it out")
    if graph_weights is not None and graph is None:
        raise ValueError(f"graph_weights={graph_weights!r}: no graph is given; give one (--graph), or leave it out")
    made = (graph is None and (graph_from or places is not None)) or graph_weights == "distance"
    if neighbours is not None and not made:
        raise ValueError(
            f"neighbours={neighbours}: only for a graph that is made; give places (--places), --graph-from "
            f"correlation, or a graph with --graph-weights distance, or leave it out"
        )
