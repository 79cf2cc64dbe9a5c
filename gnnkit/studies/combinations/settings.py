"""What is trained on random combinations: lengths, cells, widths, initialisations and seeds, and one recipe for all."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field, ValidationInfo, field_validator

from gnnkit.settings.declared import Written, distinct
from gnnkit.settings.fit import ThreadFields
from gnnkit.settings.problems import SpecProblems, nearest

__all__ = ["CELLS", "INITIALIZATIONS", "CombinationsSettings", "Run"]

#: Name of a cell on the command line -> the classifier's arguments.
CELLS: dict[str, dict[str, Any]] = {
    name: {"cell": name.removeprefix("bi"), "bidirectional": name.startswith("bi")}
    for name in ("rnn", "lstm", "gru", "birnn", "bilstm", "bigru")
}

#: Name of an initialisation -> the classifier's `kaiming_fan`: the report's, torch's Kaiming routine called on matrices
#: (in, out), and gnnkit's own, whose deviation is sqrt(2 / in).
INITIALIZATIONS: dict[str, Literal["in", "out"]] = {"report": "out", "gnnkit": "in"}


Count = Annotated[int, Field(ge=1)]


class CombinationsSettings(ThreadFields, frozen=True):
    """What is run: every length with every cell, embedding, initialisation and seed; and the recipe, the same for all.

    Raises:
        ValueError: A list is empty or names something twice, an unknown cell, or a number is out of range.

    Example:
        >>> len(CombinationsSettings(lengths=(5,), embeddings=(1,), initializations=("report",)).runs())
        6
    """

    panel: ClassVar[str] = "What is compared, and the recipe"

    lengths: Annotated[tuple[Annotated[int, Field(ge=2)], ...], Field(min_length=1)] = (5, 10, 15)
    """Numbers in a combination."""
    cells: Annotated[tuple[str, ...], Field(min_length=1)] = ("lstm", "bilstm")
    """Of rnn, lstm, gru, birnn, bilstm, bigru."""
    embeddings: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 128)
    """Widths of the learned embedding: 1 is the report's, 128 the cure."""
    initializations: Annotated[tuple[str, ...], Field(min_length=1)] = ("report", "gnnkit")
    """Of report, torch's Kaiming routine on (in, out), and gnnkit, √(2 / in)."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), Written(counted=True)] = (0, 24, 42)
    """Seeds: a count, or a list."""
    steps: Count = 2000
    """Optimisation steps of a run."""
    hidden_channels: Annotated[Count, Written(("--hidden",))] = 128
    """Width of the state."""
    batch_size: Count = 128
    """Combinations in a step."""
    learning_rate: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    """Of Adam."""
    clip: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    """Largest norm of the gradient."""
    test_sequences: Count = 5000
    """Fresh combinations that a run is scored on."""
    device: str = "auto"
    """Where to train: auto, cpu, cuda, cuda:1, mps."""

    @field_validator("cells", "initializations")
    @classmethod
    def _known_names(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        known = CELLS if info.field_name == "cells" else INITIALIZATIONS
        wrong = [(i, name) for i, name in enumerate(names) if name not in known]
        if wrong:
            raise SpecProblems([((i,), f"{name!r} is not known{nearest(name, known)}") for i, name in wrong])
        return names

    @field_validator("lengths", "cells", "embeddings", "initializations", "seeds")
    @classmethod
    def _nothing_twice(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        return distinct(values, "each value")

    def recipe(self) -> dict[str, Any]:
        """What runs must share to stand in one table: all but the lists, the device and the threads."""
        lists = {"lengths", "cells", "embeddings", "initializations", "seeds"}
        return self.model_dump(exclude={*lists, "device", "threads"})

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
