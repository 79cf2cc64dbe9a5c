"""What is changed about the data of one fit: the graph, the training rows, the sensors that are out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["ADJACENCIES", "BASE", "Adjacency", "Condition"]

Adjacency = Literal["given", "identity", "shuffled", "random", "complete", "learned"]
ADJACENCIES: tuple[Adjacency, ...] = get_args(Adjacency)
"""What a graph model may be given in place of its graph; `gnnkit.graph.graph_variant` makes all but the last."""


@dataclass(frozen=True)
class Condition:
    """The data of one fit, as far as they differ from those of the main tables.

    Args:
        adjacency: one of `ADJACENCIES` (default `"given"`).
        train_share: the latest share of the training rows that a model learns from, above 0 to 1 (default 1).
        hidden_share: share of the inputs that outages of sensors hide, 0 to below 1 (default 0); targets stay.

    Raises:
        ValueError: a value outside its range; the message names it.

    Example:
        >>> Condition().is_base, Condition(adjacency="shuffled").label
        (True, 'shuffled')
    """

    adjacency: Adjacency = "given"
    train_share: float = 1.0
    hidden_share: float = 0.0

    def __post_init__(self) -> None:
        if self.adjacency not in ADJACENCIES:
            raise ValueError(f"adjacency is {self.adjacency!r}; choose one of {', '.join(ADJACENCIES)}")
        if not 0 < self.train_share <= 1:
            raise ValueError(f"train_share is {self.train_share}; give a share above 0, at most 1")
        if not 0 <= self.hidden_share < 1:
            raise ValueError(f"hidden_share is {self.hidden_share}; give a share of at least 0 and below 1")

    @property
    def is_base(self) -> bool:
        """True where nothing is changed: the condition of the main tables."""
        return self == BASE

    @property
    def label(self) -> str:
        """The condition in a few words; empty for the base."""
        parts = [] if self.adjacency == "given" else [self.adjacency]
        parts += [] if self.train_share == 1 else [f"train {100 * self.train_share:g}%"]
        parts += [] if self.hidden_share == 0 else [f"hidden {100 * self.hidden_share:g}%"]
        return ", ".join(parts)


BASE = Condition()
"""Nothing is changed."""
