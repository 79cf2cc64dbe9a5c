"""What every forecaster, with a graph or without, asks of its arguments and of its input."""

from __future__ import annotations

from numbers import Integral

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["append_mask", "check_choice", "check_dropout", "check_history", "check_share", "check_size", "read_history"]


def check_size(name: str, value: int) -> int:
    """Return `value` if it is a whole number of at least 1, else raise a `ValueError` that names it."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    return int(value)


def check_dropout(value: float) -> float:
    """Return `value` if it is a share in [0, 1), else raise a `ValueError`."""
    if not 0.0 <= value < 1.0:
        raise ValueError(f"dropout must be a share from 0 up to, not including, 1, got {value!r}")
    return float(value)


def check_share(name: str, value: float) -> float:
    """Return `value` if it is a share in [0, 1], else raise a `ValueError` that names it."""
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} must be a share from 0 to 1, got {value!r}")
    return float(value)


def check_choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    """Raise a `ValueError` that lists what is allowed, unless `value` is one of it."""
    # Compared with the type: True == 1, and True is no number of layers.
    if not any(value == choice and type(value) is type(choice) for choice in allowed):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")


def check_history(
    x: Float[Tensor, "B T N F"], in_channels: int, *, num_nodes: int | None = None, history: int | None = None
) -> None:
    """Check a forecaster's input against the sizes that it was built for.

    Args:
        x: The history.
        in_channels: Features F that the forecaster was built for.
        num_nodes: Nodes N that it was built for; None where any number will do.
        history: Steps T that it was built for; None where any number will do.

    Raises:
        ValueError: `x` is not `[B, T, N, F]`, holds no step, or differs from one of the sizes.
    """
    if x.dim() != 4 or x.size(1) == 0:
        raise ValueError(f"x must have shape [B, T, N, F] with T at least 1, got {list(x.shape)}")
    for axis, size, built in (("F", x.size(3), in_channels), ("N", x.size(2), num_nodes), ("T", x.size(1), history)):
        if built is not None and size != built:
            name = {"F": "in_channels", "N": "num_nodes", "T": "history"}[axis]
            raise ValueError(
                f"x has {axis} = {size} in {list(x.shape)}, but this forecaster was built for {name}={built}; "
                f"build it with {name}={size}"
            )


def append_mask(x: Float[Tensor, "B T N F"], mask: Bool[Tensor, "B T N F"] | None) -> Float[Tensor, "B T N F2"]:
    """Put the mask (1 observed, 0 filled in) behind the features; without one all entries are observed.

    Raises:
        ValueError: `mask` has another shape than `x`.
    """
    if mask is None:
        return torch.cat([x, torch.ones_like(x)], dim=-1)
    if mask.shape != x.shape:
        raise ValueError(f"mask must have the shape of x, {list(x.shape)}, got {list(mask.shape)}")
    return torch.cat([x, mask.to(x.dtype)], dim=-1)


def read_history(
    x: Float[Tensor, "B T N F"],
    mask: Bool[Tensor, "B T N F"] | None,
    in_channels: int,
    mask_input: bool,
    *,
    num_nodes: int | None = None,
    history: int | None = None,
) -> Tensor:
    """Check x as `check_history` does, and append the mask where it is asked for.

    Raises:
        ValueError: `x` or `mask` has another shape than the forecaster was built for.
    """
    check_history(x, in_channels, num_nodes=num_nodes, history=history)
    return append_mask(x, mask) if mask_input else x
