"""Training of one model on a large graph, in mini-batches of its nodes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from functools import partial
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.loader import NodeLoader

from gnnkit.loader import PartitionLoader
from gnnkit.training.early_stop import EarlyStop, weights_of
from gnnkit.training.finite import check_exploded, check_finite
from gnnkit.training.ranks import Led, current_ranks
from gnnkit.training.seeding import isolated_seed
from gnnkit.training.seeds import SeedResult, SeedSettings, weight_decay_groups
from gnnkit.training.snapshot import Snapshots
from gnnkit.training.spread import Spread

__all__ = ["fit_batches", "predict_batches"]


def fit_batches(
    model: nn.Module,
    data: Any,
    batches: Iterable[Any],
    settings: SeedSettings,
    *,
    seed: int = 0,
    whole: Iterable[Any] | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
    max_seconds: float | None = None,
    snapshots: Snapshots | None = None,
) -> SeedResult:
    """Train a model on batches of a graph and keep the weights of the best validation accuracy, or the last ones.

    The loss of a batch is taken over its own training nodes. One task of several classes, or several yes-or-no tasks
    (labels `[N, T]`, where missing ones are NaN), whose accuracy is the mean over tasks.

    Where torchrun started several processes (`gnnkit.training.ranks`), each draws the neighbours of its share of the
    seeds of a batch, and the mean is over the seeds of all. Where the batch holds all that the seeds depend on (all
    neighbours, of one hop more than there are layers that divide by degrees) and nothing is dropped out, the loss curve
    is that of one process up to rounding; what is drawn of the neighbours differs with the number of processes.

    Args:
        model: Called as `model(x, edge_index)`.
        data: The graph, a PyG `Data`, for its labels and masks.
        batches: A `PartitionLoader`, or PyG's `NeighborLoader`: gone through once an epoch.
        settings: The recipe; `patience` counts epochs, by `"accuracy"` whatever the `stop_rule`.
        seed: Of dropout. Default 0.
        whole: Batches that together hold every node once, for validation and test. Default: the whole graph at once.
        on_epoch: Told the epoch and the mean loss.
        max_seconds: Wall-clock limit. Default: none.
        snapshots: As for `gnnkit.training.seeds.fit_seeds`; a `PartitionLoader` goes on with the order of its batches.

    Returns:
        The result; its `val_loss` is that of the kept epoch.

    Raises:
        FloatingPointError: A loss is not finite, or the validation loss of the kept weights is a thousand times the
            loss of the first epoch's first step; names the seed and the epoch.
        ValueError: The batches hold no training node, or cannot be spread over processes.
    """
    ranks, device = current_ranks(), next(model.parameters()).device
    rest = (data, batches, settings, seed, whole, Led(on_epoch), max_seconds, snapshots)
    if ranks is None or not ranks.leads:
        return _fit(model, device, *rest)
    if not isinstance(batches, NodeLoader):
        raise ValueError(
            f"batches of a {type(batches).__name__} are not spread over {ranks.count} processes: give a NeighborLoader "
            "(--batches neighbour), or run without torchrun"
        )
    return ranks.call(_fit, model.cpu(), device, *rest)


def _fit(
    model: nn.Module,
    device: torch.device,
    data: Any,
    batches: Iterable[Any],
    settings: SeedSettings,
    seed: int,
    whole: Iterable[Any] | None,
    led: Led,
    max_seconds: float | None,
    snapshots: Snapshots | None,
) -> SeedResult:
    """What `fit_batches` does, on each rank."""
    spread, on_epoch = Spread.current(seed), led.value
    snapshots = spread.snapshots(snapshots)
    device = spread.device(device)
    stepped = spread.wrapped(model.to(device))
    groups = weight_decay_groups(model.named_parameters(), settings.weight_decay)
    optimizer = torch.optim.Adam(groups, lr=settings.learning_rate, fused=True)
    stop = EarlyStop(settings.patience, rule="accuracy", keep="last" if settings.keep == "last" else "best")
    kept: dict[str, Any] = {}
    rate = {"learning_rate": settings.learning_rate}
    done, epoch, first, start = 0, 0, 0.0, time.perf_counter()
    generators = {"order": batches.generator} if isinstance(batches, PartitionLoader) else {}
    named = nullcontext() if snapshots is None else snapshots.named_on_explosion()
    with isolated_seed(seed, device), named:
        found = None if snapshots is None else snapshots.load(model, optimizer, generators)
        if found is not None:
            record, weights = found
            done, first, kept = record["epoch"], record["first"], record["kept"]
            start -= record["seconds"]
            stop.load_state(record["stop"], weights)
        for epoch in range(done + 1, settings.epochs + 1):
            where = f"seed {seed}, epoch {epoch}"
            loss, at_start = _epoch(stepped, batches, optimizer, device, settings, where, spread)
            first = at_start if epoch == 1 else first
            scores = _scores(_predict(model, data, whole, spread), data)
            check_finite("the validation loss", scores["val_loss"], where, **rate)
            # The first of equal accuracies is the best: the loss breaks no tie.
            is_best = stop.update(epoch, 0.0, scores["val_accuracy"], weights=partial(weights_of, model))
            if is_best or settings.keep == "last":
                kept = {"epoch": epoch, **scores}
            if on_epoch is not None:
                on_epoch(epoch, loss)
            late = max_seconds is not None and time.perf_counter() - start > max_seconds
            if spread.first(lambda late=late: late) or stop.over:
                break
            if snapshots is not None and snapshots.due():
                numbers, weights = stop.state()
                record = {"epoch": epoch, "first": first, "kept": kept, "seconds": time.perf_counter() - start}
                snapshots.save(model, optimizer, {**record, "stop": numbers}, weights, generators, where=where)
    check_exploded("the validation loss", kept["val_loss"], first, f"seed {seed}, epoch {kept['epoch']}", **rate)
    if stop.weights:
        model.load_state_dict(stop.weights)
    return SeedResult(seed=seed, epochs=epoch, state=weights_of(model), **kept)


def _epoch(
    model: nn.Module,
    batches: Iterable[Any],
    optimizer: torch.optim.Optimizer,
    device: torch.device,
    settings: SeedSettings,
    where: str,
    spread: Spread,
) -> tuple[float, float]:
    """The mean loss of an epoch, and the loss of its first step."""
    model.train()
    total, count, first = 0.0, 0, None
    for step, (batch, counts) in enumerate(_shares(batches, spread), start=1):
        batch = batch.to(device)
        chosen = batch.train_mask & _own(batch)
        own = _labels(batch.y[chosen]) if counts else 0
        nodes, labels = spread.sum(int(chosen.sum()) if counts else 0, own)
        if not nodes:
            continue
        with spread.draws(step, device):
            logits = model(batch.x, batch.edge_index)
        loss = _loss(logits[chosen], batch.y[chosen]) if own or spread.ranks is None else logits.sum() * 0
        loss = loss if spread.ranks is None else loss * (own / labels)
        optimizer.zero_grad(set_to_none=True)
        spread.scaled(loss).backward()
        (value,) = spread.sum(float(loss.detach()))
        check_finite("the training loss", value, f"{where}, step {step}", learning_rate=settings.learning_rate)
        first = value if first is None else first
        optimizer.step()
        total, count = total + value * nodes, count + nodes
    if first is None:
        raise ValueError("batches hold no training node: nothing can be learnt from them")
    return total / count, first


def _own(batch: Any) -> Tensor:
    """The nodes that a batch is for: those of a partition, or the first of a neighbour sample."""
    if "own_mask" in batch:
        return batch.own_mask
    return torch.arange(batch.num_nodes, device=batch.edge_index.device) < batch.batch_size


def _shares(batches: Any, spread: Spread) -> Iterator[tuple[Any, bool]]:
    """This rank's share of each batch of an epoch, and whether it counts."""
    if spread.ranks is None:
        yield from ((batch, True) for batch in batches)
        return
    torch.empty((), dtype=torch.int64).random_(generator=batches.generator)  # what a DataLoader draws for its workers
    for seeds in batches.batch_sampler:
        share, counts = spread.share(torch.as_tensor(seeds))
        yield batches(share), counts


def predict_batches(model: nn.Module, data: Any, whole: Iterable[Any] | None = None) -> Tensor:
    """Scores of all nodes, in evaluation mode.

    Args:
        model: Called as `model(x, edge_index)`.
        data: The graph.
        whole: Batches that together hold every node once. Default: the whole graph at once.

    Returns:
        `[N, C]`, on the CPU.
    """
    return _predict(model, data, whole, Spread(None))


def _predict(model: nn.Module, data: Any, whole: Iterable[Any] | None, spread: Spread) -> Tensor:
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        if whole is None:
            return model(data.x.to(device), data.edge_index.to(device)).cpu()
        parts, ids = [], []
        for batch in islice(whole, spread.rank, None, spread.count):
            batch = batch.to(device)
            own = _own(batch)
            parts.append(model(batch.x, batch.edge_index)[own].cpu())
            ids.append(batch.n_id[own].cpu())
    parts, ids = spread.gathered(parts), spread.gathered(ids)
    logits = torch.cat(parts)
    return torch.empty_like(logits).index_copy(0, torch.cat(ids), logits)


def _labels(target: Tensor) -> int:
    return len(target) if target.dim() == 1 else int((~target.isnan()).sum())


def _loss(logits: Tensor, target: Tensor) -> Tensor:
    if target.dim() == 1:
        return F.cross_entropy(logits, target)
    known = ~target.isnan()
    return F.binary_cross_entropy_with_logits(logits[known], target[known])


def _scores(logits: Tensor, data: Any) -> dict[str, float]:
    scores = {}
    for part in ("train", "val", "test"):
        mask = data[f"{part}_mask"].cpu()
        predicted, target = logits[mask], data.y.cpu()[mask]
        if target.dim() == 1:
            right = predicted.argmax(dim=-1) == target
        else:
            right = ((predicted > 0) == (target > 0.5))[~target.isnan()]
        scores[f"{part}_accuracy"] = float(right.double().mean())
        if part == "val":
            scores["val_loss"] = float(_loss(predicted, target))
    return scores
