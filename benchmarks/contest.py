"""What a case is made of: sides that take the same step on the same input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

__all__ = ["Case", "Side", "Step"]

Step = Callable[[], Sequence[Tensor]]


@dataclass(frozen=True)
class Side:
    """One of the contestants.

    `check` stands in for the step at the gate, where the step itself draws random numbers. `scale` multiplies the
    seconds of a side that is asked for a part of the work only, which its name then says.
    """

    name: str
    version: str
    step: Step
    check: Step | None = None
    rounds: int = 7
    scale: float = 1.0


@dataclass(frozen=True)
class Case:
    """A row of the table. `at_least` and `aim` are the peer's median over gnnkit's.

    `moved` are the bytes that no step can help moving, for the share of a GPU's bandwidth that is made use of.
    """

    name: str
    title: str
    build: Callable[[torch.device], list[Side]]
    at_least: float | None = None
    aim: float | None = None
    timed: bool = True
    memory: bool = False
    kept: bool = False
    first_call: bool = False
    warm_up: str | None = None
    gate: float | None = 1e-4
    devices: tuple[str, ...] = ("cpu", "cuda")
    moved: int | None = None
    facts: dict[str, int] = field(default_factory=dict)
