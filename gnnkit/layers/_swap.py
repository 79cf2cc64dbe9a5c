"""One layer as another class: PyG's class and gnnkit's counterpart change places, the layer stays the object it is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from torch import nn
from torch_geometric.nn import MessagePassing
from torch_geometric.nn.dense import linear

import gnnkit.layers
from gnnkit.layers._linear import Linear

# What `MessagePassing` finds out about the hooks of a class when a layer of it is made.
_INSPECTED = ("inspector", "_user_args", "_fused_user_args", "_edge_user_args")

# What gnnkit's layers keep beside what PyG's have.
_OWN = ("_own_hooks", "_sorted_graph")

_MARK = "_accelerated"
_MAP_MARK = "_was_pyg"  # of a linear map that the user did not make gnnkit's


@cache
def counterparts() -> dict[type[nn.Module], type[nn.Module]]:
    """PyG's class → gnnkit's: a layer that `gnnkit.layers` exports replaces the PyG layer that it is made of."""
    found = {}
    for name in gnnkit.layers.__all__:
        ours = getattr(gnnkit.layers, name)
        for base in getattr(ours, "__bases__", ()):
            if base is not MessagePassing and base.__module__.startswith("torch_geometric.nn.conv."):
                found[base] = ours
    return found


def is_accelerated(layer: nn.Module) -> bool:
    """Tell whether a layer is PyG's, and runs as gnnkit's."""
    return _MARK in vars(layer)


def to_gnnkit(layer: nn.Module) -> None:
    """Make a layer of PyG's its counterpart: parameters, hooks and flags are left where they are."""
    _become(layer, counterparts()[type(layer)])
    for part in _maps(layer):
        if type(part) is linear.Linear:
            part.__class__ = Linear
            vars(part)[_MAP_MARK] = True
    layer._own_hooks = False  # pyright: ignore[reportArgumentType]
    vars(layer)[_MARK] = True


def to_pyg(layer: nn.Module) -> None:
    """Undo `to_gnnkit`."""
    _become(layer, next(theirs for theirs, ours in counterparts().items() if ours is type(layer)))
    for part in _maps(layer):
        if vars(part).pop(_MAP_MARK, False) and type(part) is Linear:
            part.__class__ = linear.Linear  # pyright: ignore[reportAttributeAccessIssue]
    for name in (*_OWN, _MARK):
        vars(layer).pop(name, None)


def _maps(layer: nn.Module) -> Iterator[nn.Module]:
    """The parts of a layer that may be its linear maps."""
    for part in layer.children():
        yield from part.children() if isinstance(part, nn.ModuleList) else (part,)


def _become(layer: nn.Module, kind: type[nn.Module]) -> None:
    layer.__class__ = kind
    vars(layer).update(_inspected(kind))


@cache
def _inspected(kind: type[nn.Module]) -> dict[str, Any]:
    made: Any = kind.__new__(kind)
    MessagePassing.__init__(made, "sum")
    return {name: vars(made)[name] for name in _INSPECTED}
