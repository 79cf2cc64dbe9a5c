"""Training on one graph, many seeds at once: each with its own weights, dropout and early stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, fields
from fnmatch import fnmatch
from functools import partial
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gnnkit.training.early_stop import KEEP, STOP_RULES, EarlyStop
from gnnkit.training.finite import check_exploded, check_finite
from gnnkit.training.seeding import isolated_seed
from gnnkit.training.snapshot import Snapshots

__all__ = ["SeedResult", "SeedSettings", "Stack", "fit_seeds", "weight_decay_groups"]


class Stack(Protocol):
    """What `fit_seeds` asks of a model: output `[S, N, C]`, parameters `[S, ...]`, and seeds that can leave it."""

    @property
    def seeds(self) -> list[int]: ...
    @property
    def streams(self) -> Any: ...
    def __call__(self, x: Any, edge_index: Tensor) -> Tensor: ...
    def named_parameters(self) -> Any: ...
    def train(self, mode: bool = True) -> Any: ...
    def eval(self) -> Any: ...
    def state_of(self, index: int) -> dict[str, Tensor]: ...
    def keep(self, index: Sequence[int]) -> None: ...


@dataclass(frozen=True)
class SeedSettings:
    """How every seed is trained: Adam on all training nodes at once.

    Args:
        epochs: Most epochs. Default 200.
        learning_rate: Adam's. Default 0.01.
        weight_decay: Pairs of a pattern of parameter names and the L2 penalty of those that match it; the first match
            counts, and what matches none has no penalty. Default: none.
        patience: Epochs of the early stop; None (default) for no early stop.
        stop_rule: `"loss"` (default; Kipf & Welling's text): stop when the validation loss was not below its least for
            `patience` epochs. `"mean-loss"` (their code): stop when it is above the mean of the last `patience` ones.
            `"loss-and-accuracy"` (Velickovic et al.'s code): stop when for `patience` epochs neither the loss nor the
            accuracy was as good as the best so far. `"accuracy"`: the accuracy, the loss where it ties.
        keep: Weights that are tested: `"last"` (default), or `"best"` for those of the epoch that was the best by the
            rule (by `"loss-and-accuracy"` that is the last epoch that was the best by both), or `"least-loss"` for
            those of the least validation loss, whatever the rule.

    Raises:
        ValueError: A number is out of range or a name unknown.
    """

    epochs: int = 200
    learning_rate: float = 0.01
    weight_decay: tuple[tuple[str, float], ...] = ()
    patience: int | None = None
    stop_rule: str = "loss"
    keep: str = "last"

    def __post_init__(self) -> None:
        if not _is_whole(self.epochs):
            raise ValueError(f"epochs must be a whole number of at least 1, got {self.epochs!r}")
        if not (_is_number(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate must be a positive number, got {self.learning_rate!r}")
        if self.patience is not None and not _is_whole(self.patience):
            raise ValueError(
                f"patience must be a number of epochs, at least 1, or None (null on the command line) for no early "
                f"stop, got {self.patience!r}"
            )
        pairs = self.weight_decay
        if not isinstance(pairs, list | tuple) or not all(
            isinstance(pair, list | tuple)
            and len(pair) == 2
            and isinstance(pair[0], str)
            and _is_number(pair[1])
            and pair[1] >= 0
            for pair in pairs
        ):
            raise ValueError(
                'weight_decay must be pairs of a pattern of names and a penalty of at least 0, e.g. [["*", 0.0005]], '
                f"got {pairs!r}"
            )
        if self.stop_rule not in STOP_RULES:
            raise ValueError(f"stop_rule must be one of {', '.join(STOP_RULES)}, got {self.stop_rule!r}")
        if self.keep not in KEEP:
            raise ValueError(f"keep must be 'last', 'best' or 'least-loss', got {self.keep!r}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass
class SeedResult:
    """What came of one seed.

    Args:
        seed: The seed.
        epochs: Epochs that it was trained.
        epoch: Epoch whose weights were kept, from 1.
        train_accuracy, val_accuracy, test_accuracy: With these weights; shares, 0 to 1.
        val_loss: Cross-entropy on the validation nodes, in nats.
        state: The weights, as a `state_dict`.
    """

    seed: int
    epochs: int
    epoch: int
    train_accuracy: float
    val_accuracy: float
    test_accuracy: float
    val_loss: float
    state: dict[str, Tensor] = field(repr=False)


def weight_decay_groups(named_parameters: Any, weight_decay: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
    """Sort parameters into Adam's groups by the first pattern that matches their names.

    Args:
        named_parameters: Pairs of a name and a parameter.
        weight_decay: Pairs of a pattern (`*` stands for anything) and a penalty.

    Returns:
        Groups, each with `params` and `weight_decay`.

    Raises:
        ValueError: A pattern matches no parameter: it is misspelt, and its penalty would be lost without a word.

    Example:
        >>> layer = torch.nn.Linear(2, 1)
        >>> [len(g["params"]) for g in weight_decay_groups(layer.named_parameters(), [("weight", 0.1)])]
        [1, 1]
    """
    pairs = list(named_parameters)
    for pattern, _ in weight_decay:
        if not any(fnmatch(name, pattern) for name, _ in pairs):
            raise ValueError(
                f"weight_decay: {pattern!r} is the name of no parameter; there are "
                f"{', '.join(name for name, _ in pairs)}"
            )
    groups: dict[float, list[Tensor]] = {}
    for name, parameter in pairs:
        penalty = next((value for pattern, value in weight_decay if fnmatch(name, pattern)), 0.0)
        groups.setdefault(penalty, []).append(parameter)
    return [{"params": params, "weight_decay": penalty} for penalty, params in groups.items()]


def fit_seeds(
    stack: Stack,
    data: Any,
    settings: SeedSettings,
    *,
    on_epoch: Callable[[int, int], None] | None = None,
    max_seconds: float | None = None,
    snapshots: Snapshots | None = None,
) -> list[SeedResult]:
    """Train all seeds of a stack on one graph, each until its own early stop.

    Seeds that have stopped leave the stack, so that the last ones do not pay for them.

    Args:
        stack: A `gnnkit.layers.SeedStack`; it is used up.
        data: The graph, a PyG `Data`: `x`, `edge_index`, `y` `[N]`, `train_mask`, `val_mask`, `test_mask`.
        settings: The recipe.
        on_epoch: Told the epoch and how many seeds are still trained.
        max_seconds: Wall-clock limit, after which every seed ends as it would at its last epoch. Default: none.
        snapshots: From which it goes on, and where it keeps new ones after an epoch; who keeps the results removes
            them. Default: none.

    Returns:
        A result for each seed, in the stack's order.

    Raises:
        FloatingPointError: A loss of a seed is not finite, or the validation loss of its kept weights is a thousand
            times its first loss; names the seed and the epoch.
    """
    seeds = list(stack.seeds)
    prefix = "model."
    names = [(name.removeprefix(prefix), parameter) for name, parameter in stack.named_parameters()]
    optimizer = torch.optim.Adam(
        weight_decay_groups(names, settings.weight_decay), lr=settings.learning_rate, fused=True
    )
    stops = {seed: EarlyStop(settings.patience, rule=settings.stop_rule, keep=settings.keep) for seed in seeds}
    first: dict[int, float] = {}  # the loss of each seed at the start
    kept: dict[int, dict[str, Any]] = {}
    results: dict[int, SeedResult] = {}
    rate = {"learning_rate": settings.learning_rate}
    start = time.perf_counter()
    done = 0
    named = nullcontext() if snapshots is None else snapshots.named_on_explosion()
    with isolated_seed(seeds[0], data.y.device), named:
        record = None if snapshots is None else snapshots.record()
        if snapshots is not None and record is not None:
            stack.keep([seeds.index(seed) for seed in record["left"]])
            loaded = snapshots.load(_module(stack), optimizer)
            carried = _by_seed(loaded[1] if loaded else {})
            done, first = record["epoch"], {int(seed): loss for seed, loss in record["first"].items()}
            start -= record["seconds"]
            kept = {int(seed): found for seed, found in record["kept"].items()}
            for seed, numbers in record["stops"].items():
                stops[int(seed)].load_state(numbers, carried["stop"].get(seed, {}))
            for seed, numbers in record["results"].items():
                results[int(seed)] = SeedResult(**numbers, state=carried["result"][seed])
            stack.streams.load_state({s: each["state"] for s, each in carried["stream"].items()}, data.y.device)
        for epoch in range(done + 1, settings.epochs + 1):
            losses = _step(stack, data, optimizer)
            figures = torch.stack([losses.double(), *_evaluate(stack, data)]).t().tolist()  # one wait for the device
            is_last = epoch == settings.epochs or (
                max_seconds is not None and time.perf_counter() - start > max_seconds
            )
            remaining = []
            for index, (seed, (loss, *scores)) in enumerate(zip(stack.seeds, figures, strict=True)):
                found = dict(zip(_SCORES, scores, strict=True))
                check_finite(f"the training loss of seed {seed}", loss, f"epoch {epoch}", **rate)
                check_finite(f"the validation loss of seed {seed}", found["val_loss"], f"epoch {epoch}", **rate)
                first.setdefault(seed, loss)
                stop, weights = stops[seed], partial(stack.state_of, index)
                if stop.update(epoch, found["val_loss"], found["val_accuracy"], weights=weights):
                    kept[seed] = {"epoch": epoch, **found}
                if not (stop.over or is_last):
                    remaining.append(index)
                    continue
                best = kept.get(seed, {"epoch": epoch, **found})
                what, where = f"the validation loss of seed {seed}", f"epoch {best['epoch']}"
                check_exploded(what, best["val_loss"], first[seed], where, **rate)
                results[seed] = SeedResult(seed=seed, epochs=epoch, **best, state=stop.weights or weights())
            if not remaining:
                break
            if len(remaining) < len(figures):
                _keep(stack, optimizer, remaining)
            if on_epoch is not None:
                on_epoch(epoch, len(stack.seeds))
            if snapshots is not None and snapshots.due():
                record = {"epoch": epoch, "left": stack.seeds, "seconds": time.perf_counter() - start, "first": first}
                record |= {"kept": kept, "stops": {seed: stops[seed].state()[0] for seed in stack.seeds}}
                record["results"] = {seed: _numbers(result) for seed, result in results.items()}
                carried = {"stop": {seed: stops[seed].state()[1] for seed in stack.seeds}}
                carried["result"] = {seed: result.state for seed, result in results.items()}
                carried["stream"] = {seed: {"state": state} for seed, state in stack.streams.state().items()}
                snapshots.save(_module(stack), optimizer, record, _flat(carried), where=f"epoch {epoch}")
    return [results[seed] for seed in seeds]


def _module(stack: Any) -> nn.Module:
    """The stack as the module that it is."""
    return stack


def _numbers(result: SeedResult) -> dict[str, Any]:
    return {each.name: getattr(result, each.name) for each in fields(result) if each.name != "state"}


def _flat(carried: Mapping[str, Mapping[Any, Mapping[str, Tensor]]]) -> dict[str, Tensor]:
    """Tensors by what they are, seed and name under one name each."""
    return {
        f"{what}/{seed}/{name}": tensor
        for what, seeds in carried.items()
        for seed, tensors in seeds.items()
        for name, tensor in tensors.items()
    }


def _by_seed(flat: Mapping[str, Tensor]) -> dict[str, dict[str, dict[str, Tensor]]]:
    """What `_flat` was made of."""
    found: dict[str, dict[str, dict[str, Tensor]]] = {"stop": {}, "result": {}, "stream": {}}
    for key, tensor in flat.items():
        what, seed, name = key.split("/", 2)
        found[what].setdefault(seed, {})[name] = tensor
    return found


def _step(stack: Stack, data: Any, optimizer: torch.optim.Optimizer) -> Tensor:
    """One step of all seeds; their losses before it, `[S]`."""
    stack.train()
    optimizer.zero_grad(set_to_none=True)
    logits = stack(data.x, data.edge_index)[:, data.train_mask]
    losses = _losses(logits, data.y[data.train_mask])
    # The sum over seeds: each seed's gradient is that of its own mean loss.
    losses.sum().backward()
    optimizer.step()
    return losses.detach()


def _losses(logits: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of each seed, `[S]`, from `[S, M, C]`."""
    flat = F.cross_entropy(logits.flatten(0, 1), target.repeat(logits.size(0)), reduction="none")
    return flat.view(logits.size(0), -1).mean(dim=1)


_SCORES = ("val_loss", "train_accuracy", "val_accuracy", "test_accuracy")


def _evaluate(stack: Stack, data: Any) -> list[Tensor]:
    """Loss on validation nodes, and accuracy on all three kinds: `_SCORES`, `[S]` each."""
    stack.eval()
    with torch.no_grad():
        logits = stack(data.x, data.edge_index)
        right = logits.argmax(dim=-1) == data.y
        parts = [right[:, data[f"{part}_mask"]].double().mean(dim=1) for part in ("train", "val", "test")]
        return [_losses(logits[:, data.val_mask], data.y[data.val_mask]).double(), *parts]


def _keep(stack: Stack, optimizer: torch.optim.Optimizer, index: list[int]) -> None:
    rows: Tensor | None = None
    for state in optimizer.state.values():
        for name in ("exp_avg", "exp_avg_sq"):
            rows = torch.tensor(index, device=state[name].device) if rows is None else rows
            state[name] = state[name].index_select(0, rows)
    stack.keep(index)
