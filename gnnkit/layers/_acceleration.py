"""What `accelerate` says that it has done."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Acceleration", "LayerSwap"]


@dataclass(frozen=True)
class LayerSwap:
    """What became of one layer.

    Args:
        name: Its name in the model, `""` for the model itself.
        pyg: PyG's class.
        gnnkit: gnnkit's class; empty where there is none.
        swapped: Whether it runs as gnnkit's now.
        reason: Why it does not; empty where it does.
        ratio: With an example: PyG's time over gnnkit's, for a forward and a backward pass on its inputs.
    """

    name: str
    pyg: str
    gnnkit: str
    swapped: bool
    reason: str = ""
    ratio: float | None = None

    def __str__(self) -> str:
        name = self.name or "(the model)"
        if not self.swapped:
            return f"{name}: {self.pyg} stays, because {self.reason}"
        faster = "" if self.ratio is None else f", {self.ratio:.1f} × as fast"
        return f"{name}: {self.pyg} → {self.gnnkit}{faster}"


@dataclass(frozen=True)
class Acceleration:
    """What `accelerate` has done: a row for each message-passing layer; `str()` of it is a text for people.

    Args:
        layers: The layers, in the model's order.
        ratio: With an example: PyG's time over gnnkit's for the whole model, forward and backward.
    """

    layers: tuple[LayerSwap, ...]
    ratio: float | None = None

    @property
    def swapped(self) -> tuple[LayerSwap, ...]:
        """The layers that run as gnnkit's."""
        return tuple(layer for layer in self.layers if layer.swapped)

    @property
    def left(self) -> tuple[LayerSwap, ...]:
        """The layers that stay PyG's, each with its reason."""
        return tuple(layer for layer in self.layers if not layer.swapped)

    def __str__(self) -> str:
        head = f"{len(self.swapped)} of {len(self.layers)} message-passing layers run on gnnkit"
        if self.ratio is not None:
            head += f"; the model is {self.ratio:.1f} × as fast"
        return "\n".join([head, *(f"  {layer}" for layer in self.layers)])
