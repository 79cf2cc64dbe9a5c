"""What is trained on random combinations: lengths, cells, widths, initialisations and seeds, and one recipe for all."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

__all__ = ["CELLS", "INITIALIZATIONS", "CombinationsSettings", "Run"]

#: Name of a cell on the command line -> the classifier's arguments.
CELLS: dict[str, dict[str, Any]] = {
    name: {"cell": name.removeprefix("bi"), "bidirectional": name.startswith("bi")}
    for name in ("rnn", "lstm", "gru", "birnn", "bilstm", "bigru")
}

#: Name of an initialisation -> the classifier's `kaiming_fan`: the report's, torch's Kaiming routine called on matrices
#: (in, out), and gnnkit's own, whose deviation is sqrt(2 / in).
INITIALIZATIONS: dict[str, Literal["in", "out"]] = {"report": "out", "gnnkit": "in"}


@dataclass(frozen=True)
class CombinationsSettings:
    """What is run: every length with every cell, embedding, initialisation and seed; and the recipe, the same for all.

    Args:
        lengths: Numbers T in a combination. Default 5, 10, 15.
        cells: Of `CELLS`. Default "lstm", "bilstm".
        embeddings: Widths of the learned embedding. Default 1, the report's, and 128, the cure.
        initializations: Of `INITIALIZATIONS`. Default "report", "gnnkit".
        seeds: Default 0, 24, 42.
        steps: Optimisation steps of a run. Default 2000.
        hidden_channels: Width of the state. Default 128.
        batch_size: Combinations in a step. Default 128.
        learning_rate: Adam's. Default 1e-3.
        clip: Largest norm of the gradient. Default 10.
        test_sequences: Fresh combinations that a run is scored on. Default 5000.
        device: "auto" (default), "cpu", "cuda", ...

    Raises:
        ValueError: A list is empty or names something twice, an unknown cell, or a number is out of range.

    Example:
        >>> len(CombinationsSettings(lengths=(5,), embeddings=(1,), initializations=("report",)).runs())
        6
    """

    lengths: tuple[int, ...] = (5, 10, 15)
    cells: tuple[str, ...] = ("lstm", "bilstm")
    embeddings: tuple[int, ...] = (1, 128)
    initializations: tuple[str, ...] = ("report", "gnnkit")
    seeds: tuple[int, ...] = (0, 24, 42)
    steps: int = 2000
    hidden_channels: int = 128
    batch_size: int = 128
    learning_rate: float = 1e-3
    clip: float = 10.0
    test_sequences: int = 5000
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, least in (("lengths", 2), ("embeddings", 1), ("seeds", 0)):
            values = getattr(self, name)
            if not values or any(isinstance(v, bool) or not isinstance(v, int) or v < least for v in values):
                raise ValueError(f"{name} must list whole numbers of at least {least}, got {list(values)}")
        for name, allowed in (("cells", CELLS), ("initializations", INITIALIZATIONS)):
            values = getattr(self, name)
            if not values or any(value not in allowed for value in values):
                raise ValueError(f"{name} must list some of {', '.join(allowed)}, got {list(values)}")
        for name in ("lengths", "cells", "embeddings", "initializations", "seeds"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"{name} names something twice: {list(getattr(self, name))}")
        for name in ("steps", "hidden_channels", "batch_size", "test_sequences"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        for name in ("learning_rate", "clip"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} must be a positive number, got {getattr(self, name)!r}")

    def recipe(self) -> dict[str, Any]:
        """What runs must share to stand in one table: all but the lists and the device."""
        return {name: value for name, value in asdict(self).items() if name not in _LISTS}

    def runs(self) -> list[Run]:
        """All runs, the short ones first."""
        return [
            Run(cell, length, embedding, initialization, seed)
            for length in self.lengths
            for embedding in self.embeddings
            for initialization in self.initializations
            for cell in self.cells
            for seed in self.seeds
        ]


_LISTS = ("lengths", "cells", "embeddings", "initializations", "seeds", "device")


class Run(NamedTuple):
    """One training: which cell, on which length, with which width of embedding and initialisation, from which seed."""

    cell: str
    length: int
    embedding: int
    initialization: str
    seed: int

    @property
    def name(self) -> str:
        """Name of its file, and its label."""
        return f"{self.cell}-T{self.length}-embedding{self.embedding}-{self.initialization}-seed{self.seed}"
