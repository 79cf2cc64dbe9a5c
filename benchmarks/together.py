"""Several seeds of one forecaster trained at once, as one batched model: for models so small that launching them costs.

The parameters of all seeds lie behind each other, one call computes all of them, and Adam, which works entry by entry,
trains each as if it were alone. Clipping is a seed's own, and so are the order of its batches and its best epoch.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from gnnkit.training import resolve_device
from gnnkit.training.early_stop import EarlyStop, weights_of
from gnnkit.training.finite import check_finite
from gnnkit.training.fit import TrainingSettings, schedule_rate
from gnnkit.training.losses import POINT_LOSSES
from gnnkit.training.seeding import isolated_seed, shuffled_batches

if TYPE_CHECKING:
    from gnnkit.data import Windows, WindowSplits

__all__ = ["fit_together"]

Score = Callable[[Tensor, Tensor, Tensor], float]


def fit_together(
    forecasters: Sequence[nn.Module],
    windows: WindowSplits,
    edge_index: Tensor,
    edge_weight: Tensor | None,
    settings: TrainingSettings,
    *,
    seeds: Sequence[int],
    score: Score,
) -> list[list[float]]:
    """Train forecasters that differ in their weights alone, each to the weights of its best validation epoch.

    The loss is that of `fit`, in the data's unit over the deviation of all training targets, over the observed ones.

    Args:
        forecasters: one for each seed, built alike; trained in place. Layers that keep running statistics are none.
        windows: training and validation windows; the test windows are not touched.
        edge_index, edge_weight: the graph.
        settings: as in `fit`; `seed` and `patience` are not read, and with `max_seconds` the epoch is finished.
        seeds: of the orders of batches.
        score: what the best epoch is chosen by, the smaller the better: of predictions, truth and mask `[W, P, N]`.

    Returns:
        For each forecaster, its validation score after each epoch.

    Raises:
        FloatingPointError: a loss or a validation score is not finite; names the seed and the epoch.
        ValueError: not one seed for each forecaster, or the loss is `"pinball"`.
    """
    if len(seeds) != len(forecasters) or not seeds:
        raise ValueError(f"{len(seeds)} seeds for {len(forecasters)} forecasters; give one for each, and at least one")
    if settings.loss == "pinball":
        raise ValueError("loss is 'pinball', which seeds trained together do not have; train each with fit")
    device = resolve_device(settings.device)
    moved = windows.to(device)
    train, scale = moved.train, moved.scaler.target_deviation
    graph = (edge_index.to(device), None if edge_weight is None else edge_weight.to(device))
    for forecaster in forecasters:
        forecaster.to(device)
    parameters, buffers = stack_module_state(list(forecasters))  # pyright: ignore[reportArgumentType]
    shell = copy.deepcopy(forecasters[0]).train()

    def call(
        weights: dict[str, Tensor], state: dict[str, Tensor], x: Tensor, mask: Tensor | None, y: Tensor, done: float
    ):
        options = {"mask": mask, "target": y, "progress": done}
        return functional_call(shell, (weights, state), (x, *graph), options)

    optimizer = torch.optim.Adam(parameters.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    total = settings.epochs * math.ceil(len(train) / settings.batch_size)
    orders = [torch.Generator().manual_seed(seed) for seed in seeds]
    history: list[list[float]] = [[] for _ in seeds]
    stops = [EarlyStop() for _ in seeds]
    lower = {"learning_rate": settings.learning_rate, "clip": settings.clip}
    step, start = 0, time.perf_counter()
    with isolated_seed(seeds[0], device):
        for epoch in range(1, settings.epochs + 1):
            shell.train()
            batches = zip(*(shuffled_batches(len(train), settings.batch_size, order) for order in orders), strict=True)
            for number, index in enumerate(batches, start=1):
                batch = train.batch(torch.cat(index).to(device))
                x, y, observed = (part.unflatten(0, (len(seeds), -1)) for part in (batch.x, batch.y, batch.y_mask))
                mask = None if batch.mask is None else batch.mask.unflatten(0, (len(seeds), -1))
                target = torch.where(observed, train.scaler.transform_target(y), math.nan)
                spent = 0.0 if settings.max_seconds is None else (time.perf_counter() - start) / settings.max_seconds
                done = max(step / total, spent)
                optimizer.param_groups[0]["lr"] = schedule_rate(settings.schedule, done) * settings.learning_rate
                dims = (0, 0, 0, None if mask is None else 0, 0, None)
                output = vmap(call, in_dims=dims, randomness="different")(parameters, buffers, x, mask, target, done)
                error = torch.where(observed, train.scaler.inverse_target(output) - y, 0.0) / scale
                error = POINT_LOSSES[settings.loss](error)
                losses = error.flatten(1).sum(1) / observed.flatten(1).sum(1).clamp(min=1)
                if not losses.isfinite().all():
                    which = int((~losses.isfinite()).int().argmax())
                    value, what = float(losses[which]), f"the training loss of seed {seeds[which]}"
                    check_finite(what, value, f"epoch {epoch}, step {number}", **lower)
                optimizer.zero_grad(set_to_none=True)
                losses.sum().backward()
                _clip(parameters, settings.clip)
                optimizer.step()
                step += 1
            for number, forecaster in enumerate(forecasters):
                _take(forecaster, {name: tensor.detach()[number] for name, tensor in parameters.items()})
                history[number].append(score(*_predictions(forecaster, moved.val, graph)))
                what = f"the validation score of seed {seeds[number]}"
                check_finite(what, history[number][-1], f"epoch {epoch}", **lower)
                stops[number].update(epoch, history[number][-1], weights=partial(weights_of, forecaster))
            if settings.max_seconds is not None and time.perf_counter() - start >= settings.max_seconds:
                break
    for forecaster, stop in zip(forecasters, stops, strict=True):
        forecaster.load_state_dict(stop.weights)
        forecaster.eval()
    return history


def _clip(parameters: dict[str, Tensor], largest: float) -> None:
    """Scale each seed's gradient down to the norm `largest`."""
    gradients = [tensor.grad for tensor in parameters.values() if tensor.grad is not None]
    squares = [gradient.reshape(len(gradient), -1).square().sum(1) for gradient in gradients]
    norms = torch.stack(squares).sum(0).sqrt()  # [S]
    factors = (largest / (norms + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factors.view(-1, *[1] * (gradient.dim() - 1)))


def _take(forecaster: nn.Module, weights: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in forecaster.named_parameters():
            parameter.copy_(weights[name])


def _predictions(forecaster: nn.Module, windows: Windows, graph: tuple[Tensor, Tensor | None]) -> tuple[Tensor, ...]:
    forecaster.eval()
    parts = []
    with torch.no_grad():
        for index in torch.arange(len(windows), device=windows.device).split(256):
            batch = windows.batch(index)
            predicted = windows.scaler.inverse_target(forecaster(batch.x, *graph, mask=batch.mask))
            parts.append((predicted.cpu(), batch.y.cpu(), batch.y_mask.cpu()))
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))
