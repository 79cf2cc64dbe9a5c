"""Checks of training: every weight can learn, and what a step costs as the graph grows."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from gnnkit.testing.report import Found
from gnnkit.testing.subject import ModelError, Refused, Sizes, Subject, make_inputs, own_name

__all__ = ["cost", "gradients"]

NODES = (50, 200, 800)
LONGEST = 2.0
"""Seconds that a step of training may take, to be timed."""


def gradients(subject: Subject) -> Found:
    """Every weight gets a gradient, in one of some draws of weights and windows."""
    alive: set[str] = set()
    names: dict[str, bool] = {}
    for seed, progress in ((0, 0.0), (1, 1.0), (2, 0.0), (3, 1.0)):
        model = subject.build(seed=seed)
        parameters = {own_name(model, name): parameter for name, parameter in model.named_parameters()}
        names = {name: parameter.requires_grad for name, parameter in parameters.items()}
        inputs = make_inputs(subject.sizes, seed=seed).to(subject.dtype)
        subject.step(model, inputs, progress=progress, seed=seed)
        alive |= {name for name, each in parameters.items() if each.grad is not None and bool(each.grad.any())}
    dead = [name for name, trained in names.items() if trained and name not in alive]
    if dead:
        more = f" and {len(dead) - 4} more" if len(dead) > 4 else ""
        return Found("fault", f"No gradient reaches {', '.join(dead[:4])}{more}: {len(dead)} of {len(names)} weights.")
    if not names:
        return Found("says", "It has no weights to learn.")
    frozen = [name for name, trained in names.items() if not trained]
    if frozen:
        return Found("says", f"Gradients reach all weights but {len(frozen)} frozen ones, {frozen[0]} among them.")
    return Found("ok", f"Gradients reach every weight: {len(names)} of {len(names)}.")


def cost(subject: Subject) -> Found:
    """Seconds of a step of training and bytes that it keeps for the gradients, as the number of nodes grows."""
    rows: list[tuple[int, float, int]] = []
    subject = replace(subject, dtype=torch.float32)
    for nodes in NODES:
        try:
            rows.append((nodes, *_step(subject, Sizes(history=12, nodes=nodes))))
        except (ModelError, Refused) as error:
            return Found("says", f"A step of training on {nodes} nodes fails. {error}")
        if rows[-1][1] > LONGEST / 8:  # the next graph is four times as large
            break
    count = " / ".join(str(nodes) for nodes, _, _ in rows)
    times = " / ".join(f"{seconds * 1e3:.3g}" for _, seconds, _ in rows)
    sizes = " / ".join(f"{size / 1e6:.3g}" for _, _, size in rows)
    text = f"A step of training on 4 windows of {count} nodes takes {times} ms and keeps {sizes} MB for the gradients"
    if len(rows) < 2:
        return Found("says", f"{text}; larger graphs would take long.")
    (few, *before), (many, *after) = rows[-2:]
    growth = [
        f"N^{math.log(max(b, 1e-9) / max(a, 1e-9)) / math.log(many / few):.1f}"
        for a, b in zip(before, after, strict=True)
    ]
    return Found("says", f"{text}: from {few} to {many} they grow as {growth[0]} and {growth[1]}.")


def _step(subject: Subject, sizes: Sizes) -> tuple[float, int]:
    """Seconds, the least of some steps after a first one, and bytes of the tensors kept for the gradients."""
    model, inputs = subject.build(sizes), make_inputs(sizes)
    own = {each.untyped_storage().data_ptr() for each in _tensors(model)}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        subject.step(model, inputs)
    best, begin = math.inf, time.perf_counter()
    for _ in range(4):
        start = time.perf_counter()
        subject.step(model, inputs)
        best = min(best, time.perf_counter() - start)
        if time.perf_counter() - begin > LONGEST:
            break
    return best, sum(kept.values())


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()
