"""Recipes of the text study: the report's, a better one, and every part of the difference by its name."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

__all__ = ["ABLATION", "PARTS", "TextSettings", "preset"]


@dataclass(frozen=True)
class TextSettings:
    """What is trained and how; the defaults are the course report's table 3.

    Args:
        steps: Optimisation steps. Default 25,000.
        window: Characters in a window, through which gradients flow. Default 30.
        batch_size: Windows in a step. Default 128.
        stateful: Windows follow on each other and the state is carried from one to the next (truncated
            backpropagation through time). Default False: windows from random places, each from a zero state.
        hidden_channels: Width of each layer's state. Default 256.
        embedding_channels: Width of the embedding. Default 128.
        num_layers: Default 2.
        dropout: Share of each layer's outputs that is dropped on its way up. Default 0.
        tied: Output and input share the embedding. Default False.
        learning_rate: Adam's, at its highest. Default 1e-3. It falls to 0 along half a cosine.
        warmup: Share of the steps in which the rate first rises from 0, in a line. Default 0.
        weight_decay: Decoupled from the gradient (AdamW). Default 0: Adam.
        clip: Largest norm of the gradient. Default 5.
        seed: Of weights, places and dropout. Default 0.
        val_share: Share of the text, after the training part, that validates. Default 0.05.
        test_share: Share of the text, its very end, that is scored once at the end. Default 0.05.
        validate_every: Steps between two validations. Default 1000.
        checkpoint_every: Steps between two checkpoints. Default 250.
        device: "auto" (default), "cpu", "cuda", ...

    Raises:
        ValueError: A number is out of range; the message names it.
    """

    steps: int = 25_000
    window: int = 30
    batch_size: int = 128
    stateful: bool = False
    hidden_channels: int = 256
    embedding_channels: int = 128
    num_layers: int = 2
    dropout: float = 0.0
    tied: bool = False
    learning_rate: float = 1e-3
    warmup: float = 0.0
    weight_decay: float = 0.0
    clip: float = 5.0
    seed: int = 0
    val_share: float = 0.05
    test_share: float = 0.05
    validate_every: int = 1000
    checkpoint_every: int = 250
    device: str = "auto"

    def __post_init__(self) -> None:
        for name in (
            *("steps", "window", "batch_size", "hidden_channels", "embedding_channels", "num_layers"),
            *("validate_every", "checkpoint_every"),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        for name in ("learning_rate", "clip"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} must be a positive number, got {getattr(self, name)!r}")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be 0 or a positive number, got {self.weight_decay!r}")
        for name in ("dropout", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be a share from 0 up to, not including, 1, got {getattr(self, name)!r}")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be a whole number from 0 to {2**32 - 1}, got {self.seed!r}")

    def recipe(self) -> dict[str, Any]:
        """What decides the result: all but the device and how often it is looked at."""
        return {name: value for name, value in asdict(self).items() if name not in _PACE}

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


_PACE = ("device", "validate_every", "checkpoint_every")

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
