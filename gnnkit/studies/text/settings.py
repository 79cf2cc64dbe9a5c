"""Recipes of the text study: the report's, a better one, and every part of the difference by its name."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from gnnkit.settings.declared import Written
from gnnkit.settings.fit import ThreadFields

__all__ = ["ABLATION", "PARTS", "TextSettings", "preset"]


Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


class TextSettings(ThreadFields, frozen=True):
    """What is trained and how; the defaults are the course report's table 3.

    Raises:
        ValueError: A value is not allowed; one line names it.
    """

    panel: ClassVar[str] = "Recipe"

    steps: Count = 25_000
    """Optimisation steps."""
    window: Count = 30
    """Characters in a window, through which gradients flow."""
    batch_size: Count = 128
    """Windows in a step."""
    stateful: Annotated[bool, Written(off="--stateless")] = False
    """Windows follow on each other and the state is carried from one to the next (truncated backpropagation through
    time); else they are from random places, each from a zero state."""
    hidden_channels: Annotated[Count, Written(("--hidden",))] = 256
    """Width of each layer's state."""
    embedding_channels: Annotated[Count, Written(("--embedding",))] = 128
    """Width of the embedding."""
    num_layers: Annotated[Count, Written(("--layers",))] = 2
    """Layers."""
    dropout: Share = 0.0
    """Share of each layer's outputs that is dropped on its way up."""
    tied: Annotated[bool, Written(off="--untied")] = False
    """Output and input share the embedding."""
    learning_rate: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    """Adam's, at its highest; it falls to 0 along half a cosine."""
    warmup: Share = 0.0
    """Share of the steps in which the rate first rises from 0, in a line."""
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Decoupled from the gradient (AdamW); 0: Adam."""
    clip: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    """Largest norm of the gradient."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Of weights, places and dropout."""
    val_share: float = 0.05
    """Share of the text, after the training part, that validates."""
    test_share: float = 0.05
    """Share of the text, its very end, that is scored once at the end."""
    validate_every: Count = 1000
    """Steps between two validations."""
    checkpoint_every: Count = 250
    """Steps between two checkpoints."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Numbers in training: single, or bfloat16 in matrix products (some times faster where the processor has it: AMX,
    AVX-512 BF16, CUDA). Weights, loss and all scores are single."""
    device: str = "auto"
    """Where to train: auto, cpu, cuda, cuda:1, mps."""

    def recipe(self) -> dict[str, Any]:
        """What decides the result: all but the device, the threads and how often it is looked at."""
        return self.model_dump(exclude={"device", "threads", "validate_every", "checkpoint_every"})

    def model(self) -> dict[str, Any]:
        """The arguments of `CharLSTM`, all but the size of the vocabulary."""
        names = ("hidden_channels", "embedding_channels", "num_layers", "dropout", "tied")
        return {name: getattr(self, name) for name in names}

    def rate(self, step: int) -> float:
        """The learning rate of a step, from 0 on: first a line up, then half a cosine down to 0."""
        rising = round(self.warmup * self.steps)
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        done = (step - rising) / (self.steps - rising)
        return 0.5 * self.learning_rate * (1 + math.cos(math.pi * done))


#: What the better recipe changes in the report's, part by part. None changes the characters in a step.
PARTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "stateful": {"stateful": True},
        "windows": {"window": 60, "batch_size": 64},
        "dropout": {"dropout": 0.2},
        "tied": {"tied": True},
        "schedule": {"learning_rate": 3e-3, "warmup": 0.02, "weight_decay": 0.01},
    }
)

#: Rows of the ablation: both ends, and each part alone.
ABLATION: tuple[str, ...] = ("report", *(f"report+{part}" for part in PARTS), "better")


def preset(name: str) -> dict[str, Any]:
    """The settings that a name stands for, as far as they differ from the report's.

    Args:
        name: "report", "better" (the report's with all of `PARTS`), or one of them with parts put in or taken out:
            "report+stateful+dropout", "better-tied".

    Raises:
        ValueError: The name is none of these.

    Example:
        >>> preset("report+dropout")
        {'dropout': 0.2}
        >>> TextSettings(**preset("better-windows")).window
        30
    """
    parts = re.split(r"([+-])", name)
    base, changes = parts[0], list(zip(parts[1::2], parts[2::2], strict=True))
    if base not in ("report", "better") or any(part not in PARTS for _, part in changes):
        raise ValueError(
            f"preset is {name!r}; write report or better, and behind it parts put in or taken out, e.g. "
            f"report+stateful or better-dropout; the parts are {', '.join(PARTS)}"
        )
    chosen = set(PARTS) if base == "better" else set()
    for sign, part in changes:
        chosen = chosen | {part} if sign == "+" else chosen - {part}
    return {key: value for part, values in PARTS.items() if part in chosen for key, value in values.items()}
