"""How a forecaster is called: it gets what its `forward` names, and gives a forecast of the shape that is asked."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

__all__ = ["CALL", "WrongForecast", "adapt_call", "check_forward"]

CALL = ("x", "edge_index", "edge_weight", "mask", "target", "progress")
"""What a forecaster may be called with, in this order; the first three by place, the others by name."""

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class WrongForecast(ValueError):
    """A forecaster of one's own gave something that is no forecast; its text is one line."""


def check_forward(name: str, forward: Callable[..., Any]) -> None:
    """Refuse a `forward` that cannot be called as a forecaster's.

    Args:
        name: Of the model, for the message.
        forward: The method; with or without `self`.

    Raises:
        ValueError: It does not take `x`, or needs an argument that gnnkit does not have.

    Example:
        >>> check_forward("mine", lambda x, edge_index: x)
        >>> check_forward("mine", lambda x, adjacency: x)
        Traceback (most recent call last):
        ValueError: model 'mine': forward needs 'adjacency', which nobody has; it may take x, edge_index, edge_weight, \
mask, target, progress, and others with a default
    """
    parameters = _parameters(forward)
    foreign = [p.name for p in parameters.values() if p.name not in CALL and p.default is p.empty and _is_single(p)]
    allowed = f"it may take {', '.join(CALL)}, and others with a default"
    if foreign:
        what = ", ".join(map(repr, foreign))
        raise ValueError(f"model {name!r}: forward needs {what}, which nobody has; {allowed}")
    if "x" not in parameters and all(_is_single(p) for p in parameters.values()):
        raise ValueError(f"model {name!r}: forward does not take x, the history [B, T, N, F]; {allowed}")


def adapt_call(name: str, forecaster: nn.Module, horizon: int) -> nn.Module:
    """Let a module be called as a forecaster, whatever part of the arguments its `forward` names.

    The module stays what it is: hooks before and after its `forward` leave out what it does not name, and look at what
    it gives. Its class, its weights and their names are its own.

    Args:
        name: Of the model, for messages.
        forecaster: Changed in place.
        horizon: Steps P of its forecast.

    Returns:
        The same module.

    Raises:
        ValueError: As `check_forward`; and, when it is called, a `WrongForecast`: it gives no tensor `[B, P, N]`.

    Example:
        >>> import torch
        >>> class Last(nn.Module):
        ...     def forward(self, x):
        ...         return x[:, -2:, :, 0]
        >>> model = adapt_call("last", Last(), horizon=2)
        >>> model(torch.zeros(3, 12, 5, 1), None, None, mask=None, progress=0.5).shape
        torch.Size([3, 2, 5])
    """
    check_forward(name, forecaster.forward)
    named = _Named(forecaster.forward)
    place = named.by_place.index("x") if "x" in named.by_place else 0
    forecaster.register_forward_pre_hook(named, with_kwargs=True)
    forecaster.register_forward_hook(_Shaped(name, horizon, place), with_kwargs=True)
    return forecaster


class _Named:
    """Hands over what `forward` names, before it is called."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        parameters = _parameters(forward)
        kinds = {p.kind for p in parameters.values()}
        self.takes_all = inspect.Parameter.VAR_POSITIONAL in kinds
        self.takes_names = inspect.Parameter.VAR_KEYWORD in kinds
        by_place = [p.name for p in parameters.values() if p.kind in _POSITIONAL]
        # One of its own in between has a default: what follows it goes by name.
        self.by_place = by_place[: next((i for i, name in enumerate(by_place) if name not in CALL), len(by_place))]
        self.known = {name for name in parameters if name in CALL}

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.takes_all and (self.takes_names or not kwargs):
            return None
        given = {**dict(zip(CALL, args, strict=False)), **kwargs}
        placed = []
        for name in self.by_place:
            if name not in given:
                break
            placed.append(given.pop(name))
        named = {name: value for name, value in given.items() if self.takes_names or name in self.known}
        return tuple(placed), named


class _Shaped:
    """Looks at what `forward` gave."""

    def __init__(self, name: str, horizon: int, place: int) -> None:
        self.name, self.horizon, self.place = name, horizon, place

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        x = kwargs["x"] if "x" in kwargs else args[self.place]
        wanted = [x.size(0), self.horizon, x.size(2)]
        if isinstance(output, Tensor) and list(output.shape) == wanted:
            return
        found = list(output.shape) if isinstance(output, Tensor) else f"a {type(output).__name__}"
        raise WrongForecast(
            f"model {self.name!r}: forward gives {found}, and should give [B, P, N], which is {wanted} for x of "
            f"{list(x.shape)}; return a forecast of each step and node"
        )


def _parameters(forward: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return {name: p for name, p in inspect.signature(forward).parameters.items() if name != "self"}


def _is_single(parameter: inspect.Parameter) -> bool:
    return parameter.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
