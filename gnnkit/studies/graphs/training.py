"""One model on the graphs of one fold, from settings to the weights of its best epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gnnkit.data.graph_set import GraphBatch, GraphSet
from gnnkit.layers import GraphPredictor
from gnnkit.studies.graphs.folds import GraphFold
from gnnkit.studies.graphs.recipes import GraphRecipe
from gnnkit.studies.graphs.scores import HIGHER, GraphTask
from gnnkit.training import Snapshots, isolated_seed, shuffled_batches
from gnnkit.training.early_stop import EarlyStop, weights_of
from gnnkit.training.finite import check_exploded, check_finite

__all__ = ["GraphFit", "build_predictor", "fit_graphs", "predict_graphs", "predictor_config"]

# Graphs in a batch that is only predicted.
_PREDICTED = 512


@dataclass
class GraphFit:
    """What came of one training.

    Args:
        epochs: That it took.
        epoch: Whose weights were kept, from 1.
        val_score, val_loss: With these weights.
        seconds: Of the training.
        state: The weights, as a `state_dict`.
    """

    epochs: int
    epoch: int
    val_score: float
    val_loss: float
    seconds: float
    state: dict[str, Tensor] = field(repr=False)


def predictor_config(recipe: GraphRecipe, graphs: GraphSet) -> dict[str, Any]:
    """The arguments of the recipe's `GraphPredictor` for a data set; edges' features go to who takes them."""
    config = {
        "in_channels": graphs.x.size(1),
        "out_channels": graphs.num_classes,
        "category_sizes": list(graphs.category_sizes),
        **recipe.model,
    }
    if recipe.model["layer"] == "gin":
        config["edge_channels"] = graphs.edge_attr.size(1)
        config["edge_category_sizes"] = list(graphs.edge_category_sizes)
    return config


def build_predictor(recipe: GraphRecipe, graphs: GraphSet, seed: int) -> GraphPredictor:
    """An untrained model, whose start values are drawn from the seed alone."""
    with isolated_seed(seed):
        return GraphPredictor(**predictor_config(recipe, graphs))


def predict_graphs(model: GraphPredictor, graphs: GraphSet, rows: Tensor, device: torch.device) -> Tensor:
    """The outputs of some graphs, `[B, C]`, on the CPU."""
    model.eval()
    with torch.no_grad():
        return torch.cat([_call(model, graphs.batch(part).to(device)).cpu() for part in rows.split(_PREDICTED)])


def fit_graphs(
    graphs: GraphSet,
    fold: GraphFold,
    recipe: GraphRecipe,
    seed: int,
    device: torch.device,
    *,
    on_epoch: Callable[[int, float], None] | None = None,
    snapshots: Snapshots | None = None,
) -> tuple[GraphPredictor, GraphFit]:
    """Train one model; the weights that it keeps are those of the best validation, and no test graph is looked at.

    Args:
        graphs, fold: What trains and what chooses.
        recipe: The model and its training.
        seed: Of the start values, the batches and dropout.
        device: Where.
        on_epoch: Told the epoch and its training loss.
        snapshots: From which it goes on, and where it keeps new ones after an epoch. Default: none.

    Returns:
        The model with its best weights, and what was done.

    Raises:
        FloatingPointError: A loss is not finite, or has exploded.
        ValueError: The metric of the validation graphs is not defined.
    """
    settings, task = recipe.settings, GraphTask(graphs, fold.train)
    model = build_predictor(recipe, graphs, seed).to(device)
    optimizer = torch.optim.Adam(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    stop = EarlyStop(settings.patience, rule="accuracy" if HIGHER[graphs.metric] else "loss")
    order = torch.Generator().manual_seed(seed)
    rate = {"learning_rate": settings.learning_rate}
    start, done, first, best = time.perf_counter(), 0, float("nan"), (float("nan"), float("nan"))
    epoch = 0
    named = nullcontext() if snapshots is None else snapshots.named_on_explosion()
    with isolated_seed(seed, device), named:
        found = None if snapshots is None else snapshots.load(model, optimizer, {"order": order})
        if found is not None:
            record, weights = found
            stop.load_state(record["stop"], weights)
            done, first, best = record["epoch"], record["first"], tuple(record["best"])
            start -= record["seconds"]
            epoch = done
        for epoch in range(done + 1, settings.epochs + 1):
            if stop.over:  # cut off behind its last epoch
                epoch -= 1
                break
            loss = _epoch(model, graphs, fold.train, task, optimizer, settings.batch_size, order, device)
            check_finite("the training loss", loss, f"epoch {epoch}", **rate)
            out = predict_graphs(model, graphs, fold.val, device)
            y = graphs.y[fold.val]
            val_loss = float(task.loss(out, y))
            check_finite("the validation loss", val_loss, f"epoch {epoch}", **rate)
            score = task.score(task.predictions(out), y)
            first = loss if done == 0 and epoch == 1 else first
            if stop.update(epoch, val_loss, score, weights=lambda: weights_of(model)):
                best = (score, val_loss)
            if on_epoch is not None:
                on_epoch(epoch, loss)
            if stop.over:
                break
            if snapshots is not None and snapshots.due():
                numbers, weights = stop.state()
                record = {"epoch": epoch, "first": first, "best": best, "stop": numbers}
                record["seconds"] = time.perf_counter() - start
                snapshots.save(model, optimizer, record, weights, {"order": order}, where=f"epoch {epoch}")
        check_exploded("the validation loss", best[1], first, f"epoch {stop.at}", **rate)
    model.load_state_dict(stop.weights)
    model.eval()
    return model, GraphFit(epoch, stop.at, best[0], best[1], time.perf_counter() - start, stop.weights)


def _epoch(
    model: GraphPredictor,
    graphs: GraphSet,
    train: Tensor,
    task: GraphTask,
    optimizer: torch.optim.Optimizer,
    batch_size: int,
    order: torch.Generator,
    device: torch.device,
) -> float:
    """One pass; the mean loss of its batches, before each of its steps."""
    model.train()
    losses = []
    for places in _batches(train.numel(), batch_size, order):
        batch = graphs.batch(train[places]).to(device)
        optimizer.zero_grad(set_to_none=True)
        loss = task.loss(_call(model, batch), batch.y)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return float(torch.stack(losses).mean())


def _batches(count: int, size: int, order: torch.Generator) -> Iterator[Tensor]:
    """Shuffled batches; a last one of one graph, which batch norm could not take, goes into the one before."""
    parts = list(shuffled_batches(count, size, order))
    if len(parts) > 1 and parts[-1].numel() == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return iter(parts)


def _call(model: GraphPredictor, batch: GraphBatch) -> Tensor:
    edges = (batch.edge_attr, batch.edge_categories) if model.edges else (None, None)
    return model(
        batch.x,
        batch.edge_index,
        batch.batch,
        batch.num_graphs,
        categories=batch.categories,
        edge_attr=edges[0],
        edge_categories=edges[1],
    )
