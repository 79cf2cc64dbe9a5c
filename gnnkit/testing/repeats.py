"""Checks that a forecast depends on what goes in and on the weights, and on nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from gnnkit.testing.report import Found
from gnnkit.testing.subject import ROUNDING, ModelError, Sizes, Subject, difference, make_inputs, own_name
from gnnkit.training import load_checkpoint, save_checkpoint

__all__ = ["inputs_kept", "no_state", "repeatable", "saves_and_loads"]


def repeatable(subject: Subject) -> Found:
    """Two calls in evaluation mode, and two builds with one seed, give the same."""
    inputs, models = subject.inputs, [subject.build() for _ in range(3)]
    one, two = (model.state_dict() for model in models[:2])
    other = [name for name, value in one.items() if not torch.equal(value, two.get(name, value.new_zeros(0)))]
    # Each model is called once: that a call leaves traces is for another check.
    first, again, drawn = (
        subject.call(model, inputs, seed=seed) for model, seed in zip(models, (2, 2, 3), strict=True)
    )
    if other:
        name = own_name(models[0], other[0])
        return Found("fault", f"Two builds with one seed have another {name}: it is not drawn from torch's seed.")
    if (apart := difference(first, again)) > ROUNDING:
        return Found("fault", f"Two builds with one seed differ by {apart:.2g} of the largest value.")
    if (apart := difference(first, drawn)) > ROUNDING:
        return Found(
            "fault",
            f"Two calls in evaluation mode differ by {apart:.2g} of the largest value: something is drawn at random "
            "there, e.g. a dropout that does not ask self.training.",
        )
    how = "equal bit for bit" if torch.equal(first, again) and torch.equal(first, drawn) else "equal but for rounding"
    return Found("ok", f"Two calls in evaluation mode are {how}, and so are two builds with one seed.")


def no_state(subject: Subject) -> Found:
    """A, then a smaller batch B on another graph, and A again: as by fresh models; in training, step follows step."""
    a, b = subject.inputs, make_inputs(Sizes(batch=2), seed=5, neighbours=1).to(subject.dtype)
    b = b if not subject.takes("edge_index") else replace(b, edge_index=a.edge_index, edge_weight=a.edge_weight)
    model = subject.build()
    first = subject.call(model, a)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        other = subject.call(model, b)
        again = difference(first, subject.call(model, a))
    except ModelError as error:
        return Found("fault", f"It keeps something: the call after a batch of another size fails. {error}")
    if again > ROUNDING:
        return Found(
            "fault", f"The same windows after others are forecast otherwise, by {again:.2g} of the largest value."
        )
    if (apart := difference(other, subject.call(subject.build(), b))) > ROUNDING:
        return Found(
            "fault", f"It keeps something of the first call: windows on another graph differ by {apart:.2g} after it."
        )
    for name, value in model.state_dict().items():
        if name not in before or difference(value, before[name]) > 0:
            name = own_name(model, name)
            return Found("fault", f"A call in evaluation mode changes {name}, which is saved with the weights.")
    model, outs = subject.build(), []
    try:
        for inputs in (a, b, a):
            # Weights and running statistics as they were: what differs then is kept elsewhere.
            model.load_state_dict(before)
            outs.append(subject.step(model, inputs))
    except ModelError as error:
        if outs:  # else gradients say it
            return Found("fault", f"In training the step after another fails. {error}")
    kept = difference(outs[0], outs[-1]) if outs else 0.0
    if kept > subject.tolerance:
        return Found(
            "says", f"In training it keeps something that state_dict does not hold: A again differs by {kept:.2g}."
        )
    return Found("ok", "After other windows, and a batch of another size, a batch is forecast as before.")


def inputs_kept(subject: Subject) -> Found:
    """It leaves what it is given as it was."""
    for train in (False, True):
        given = subject.inputs
        before = given.clone()
        subject.call(subject.build().train(train), given, target=train, progress=0.0 if train else None, keep=True)
        for name in (each.name for each in fields(given)):
            if difference(getattr(given, name), getattr(before, name)) > 0:
                return Found("fault", f"It changes {name} in place, which others read after it; clone it first.")
    return Found("ok", "x, mask, target and the graph are after a call what they were before.")


def saves_and_loads(subject: Subject) -> Found:
    """What is saved after a step of training and loaded into a fresh build gives the same numbers."""
    inputs = subject.inputs
    model = subject.build().train()
    subject.call(model, inputs, target=True, progress=0.0)
    out = subject.call(model.eval(), inputs)
    loose = list(_loose(model))
    hint = f" Not registered: {', '.join(loose)}; use nn.ParameterList, nn.ModuleList or register_buffer." * bool(loose)
    with tempfile.TemporaryDirectory() as folder:
        try:
            save_checkpoint(folder, model, {})
            fresh, _ = load_checkpoint(folder, lambda: subject.build(seed=7))
        except Exception as error:  # whatever copying, safetensors and load_state_dict raise
            return Found("fault", f"It cannot be saved and loaded: {subject.words(error)}.{hint}")
    apart = difference(out, subject.call(fresh, inputs))
    if apart > subject.tolerance:
        return Found("fault", f"A fresh build with its weights differs by {apart:.2g} of the largest value.{hint}")
    trained = list(_loose(model, trained=True))
    if trained:
        return Found("fault", f"Neither the optimiser nor the saved file knows {', '.join(trained)}.{hint}")
    return Found("ok", f"A fresh build with its {len(model.state_dict())} saved tensors gives the same numbers.")


def _loose(model: nn.Module, *, trained: bool = False) -> Iterator[str]:
    """Places of tensors and modules that a model holds, and torch does not know of.

    Args:
        model: Looked through.
        trained: True leaves out what has no weights to be trained.
    """
    known = {id(each) for each in (*model.parameters(), *model.buffers(), *model.modules())}

    def walk(value: Any, place: str) -> Iterator[str]:
        if id(value) in known:
            return
        known.add(id(value))
        if isinstance(value, nn.Module):
            if any(each.requires_grad or not trained for each in value.parameters() if id(each) not in known):
                yield place
        elif isinstance(value, Tensor):
            if value.is_floating_point() and (not trained or (value.requires_grad and value.is_leaf)):
                yield place
        elif isinstance(value, Mapping):
            for key, item in value.items():
                yield from walk(item, f"{place}[{key!r}]")
        elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
            for number, item in enumerate(value):
                yield from walk(item, f"{place}[{number}]")

    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if name not in ("_parameters", "_buffers", "_modules") and not name.endswith("_hooks"):
                yield from walk(value, own_name(model, f"{path}.{name}".lstrip(".")))
