"""`accelerate`: a PyG model's layers run as gnnkit's, in place, with the same parameters; `decelerate` undoes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torch_geometric.nn import MessagePassing

from gnnkit.layers import _trial
from gnnkit.layers._acceleration import Acceleration, LayerSwap
from gnnkit.layers._swap import counterparts, is_accelerated, to_gnnkit, to_pyg
from gnnkit.layers._trial import SLOWER, at_rest, difference, record, results, run_example, stands

__all__ = ["Acceleration", "LayerSwap", "accelerate", "decelerate"]

_FUSED = ("add", "sum", "mean", "max", "min")


def accelerate(model: nn.Module, example: Any = None) -> Acceleration:
    """Run a PyG model's layers as gnnkit's, in place: same parameters, same numbers, less time and memory.

    Each layer of PyG's that has a counterpart in `gnnkit.layers` becomes it, wherever in the model it stands
    (`torch_geometric.nn.models`, `Sequential`, `HeteroConv`, what `to_hetero` made). It stays the same object with the
    same `Parameter`s, hooks, `state_dict` and training flag, so optimisers, checkpoints and references go on working.

    With an example, a layer is swapped where, on the inputs that the example gives it, its outputs and gradients agree
    with PyG's to 1e-5 (float32) and it is not slower; then the outputs and gradients of the whole model are compared,
    and all swaps are undone where they differ, or it is slower. This is done in evaluation mode; the model's mode,
    gradients, caches and the random numbers are then as before. The call itself is one that PyG's own lazy layers take
    their widths from.

    A layer of gnnkit's may keep its input for the backward pass where PyG's does not. A model that afterwards writes
    into that input (`h += conv(h)`) is left as it is with an example; without one torch's error says so in training.

    Args:
        model: The model; a layer by itself will do.
        example: Input of a typical size: a tuple of the model's arguments, or a dict of them by name, or its only
            argument. Default: layers are swapped unseen.

    Returns:
        What was swapped, and of each other layer why it was not.

    Raises:
        TypeError: `model` is no module.

    Example:
        >>> from torch_geometric.nn import GraphSAGE
        >>> model = GraphSAGE(16, 32, num_layers=2, out_channels=4)
        >>> print(accelerate(model))
        2 of 2 message-passing layers run on gnnkit
          convs.0: SAGEConv → SAGELayer
          convs.1: SAGEConv → SAGELayer
        >>> decelerate(model)
        2
    """
    _check_model(model, "accelerate")
    layers = {name: module for name, module in model.named_modules() if isinstance(module, MessagePassing)}
    reasons = {name: reason for name, layer in layers.items() if (reason := _against(layer))}
    chosen = {name: layer for name, layer in layers.items() if name not in reasons}
    classes = {name: type(layer) for name, layer in layers.items()}
    ratios: dict[str, float] = {}
    whole = None
    fresh = [layer for layer in chosen.values() if not is_accelerated(layer)]
    if example is None:
        for layer in fresh:
            to_gnnkit(layer)
    elif fresh:
        whole = _try(model, example, {n: m for n, m in chosen.items() if not is_accelerated(m)}, reasons, ratios)
    rows = []
    for name, layer in layers.items():
        theirs, ours = _names(classes[name])
        rows.append(LayerSwap(name, theirs, ours, is_accelerated(layer), reasons.get(name, ""), ratios.get(name)))
    return Acceleration(tuple(row for row in rows if row.swapped or row.reason), whole)


def decelerate(model: nn.Module) -> int:
    """Make the layers PyG's again that `accelerate` has swapped; parameters and hooks stay as they are.

    Args:
        model: The model.

    Returns:
        How many layers there were.

    Raises:
        TypeError: `model` is no module.
    """
    _check_model(model, "decelerate")
    layers = [module for module in model.modules() if is_accelerated(module)]
    for layer in layers:
        to_pyg(layer)
    return len(layers)


def _check_model(model: object, name: str) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}: {name} takes a torch.nn.Module")


def _names(kind: type[nn.Module]) -> tuple[str, str]:
    """PyG's name and gnnkit's."""
    for theirs, ours in counterparts().items():
        if kind in (theirs, ours):
            return theirs.__name__, ours.__name__
    return kind.__name__, ""


def _against(layer: MessagePassing) -> str:
    """Why a layer is not swapped, whatever the example; empty for nothing."""
    kind = type(layer)
    if is_accelerated(layer):
        return ""
    if kind in counterparts().values():
        return "it is gnnkit's already"
    if kind not in counterparts():
        of = next((base.__name__ for base in kind.__mro__ if base in counterparts()), None)
        if of is not None:
            return f"it is a class of its own, made of {of}"
        return f"gnnkit has no counterpart of {kind.__name__}"
    if layer.aggr not in _FUSED:
        return f"its aggregation is {layer.aggr!r}, which gnnkit runs as PyG does"
    return ""


def _try(
    model: nn.Module, example: Any, layers: dict[str, Any], reasons: dict[str, str], ratios: dict[str, float]
) -> float | None:
    """Swap the layers that stand the trial; reasons and ratios are filled in. Returned is the whole model's ratio."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def run() -> list[Any]:
        return results(lambda: run_example(model, example), example, parameters)

    with at_rest(model):
        calls = record(model, example, list(layers.values()))
        before = run()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with at_rest(model):
        for name, layer in layers.items():
            if layer not in calls:
                reasons[name] = "the example does not reach it"
                continue
            reason, ratio = stands(layer, calls[layer])
            if ratio is not None:
                ratios[name] = ratio
            if reason:
                reasons[name] = reason
                ratios.pop(name, None)
        kept = [layer for name, layer in layers.items() if name not in reasons]
        try:
            reason, ratio = _stands_as_a_whole(kept, run, before)
        except BaseException:
            _swap(kept, to_pyg)
            raise
        if reason:
            _swap(kept, to_pyg)
            for name in set(layers) - set(reasons):
                reasons[name] = reason
                ratios.pop(name, None)
        return ratio


def _stands_as_a_whole(kept: list[Any], run: Callable[[], list[Any]], before: list[Any]) -> tuple[str, float | None]:
    """Why the model is to stay as it is with these layers swapped (empty for nothing), and how much faster it is."""
    _swap(kept, to_gnnkit)
    try:
        apart = difference(run(), before)
    except Exception as error:  # a model that writes into what it gave a layer, say
        return f"the whole model says: {str(error).partition(chr(10))[0]}", None
    if apart > _trial.tolerance(before):
        return f"the whole model's outputs or gradients would be {apart:.1e} apart", None
    if not kept:
        return "", None
    sides: list[_trial.Side] = [(lambda: _swap(kept, to_pyg), run), (lambda: _swap(kept, to_gnnkit), run)]
    slow, fast = _trial.seconds(sides, _trial.device_of(before))
    if fast > SLOWER * slow:
        return f"the whole model would be slower ({fast * 1e3:.2f} ms, PyG's {slow * 1e3:.2f} ms)", None
    return "", slow / fast


def _swap(layers: list[Any], way: Any) -> None:
    """Take layers one way, those of them that have not gone it."""
    for layer in layers:
        if is_accelerated(layer) != (way is to_gnnkit):
            way(layer)
