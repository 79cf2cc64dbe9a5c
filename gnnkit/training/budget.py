"""Train a module on a stream of losses within a budget of time, and keep the weights that validate best."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from gnnkit.training.early_stop import EarlyStop, weights_of
from gnnkit.training.finite import check_exploded, check_finite, check_losses, check_weights
from gnnkit.training.memory import PeakMemory
from gnnkit.training.seeding import isolated_seed
from gnnkit.training.snapshot import Snapshots

__all__ = ["BudgetFit", "BudgetSettings", "PassOrder", "fit_within_budget"]

#: Called now and then with seconds, steps, the mean loss since the last call and the scores of validation.
OnScores = Callable[[float, int, float, dict[str, float]], None]
# Steps whose losses are fetched from the device at once.
_BLOCK = 50


@dataclass(frozen=True)
class BudgetSettings:
    """How long and how a module is trained.

    Args:
        seconds: Wall-clock budget, validation included; the learning rate falls to 2% of its start over it, as a
            cosine. Default 600.
        epochs: Most passes, over which the rate falls if they end first; None (default): as many as fit.
        learning_rate: Adam's, at the start. Default 0.01.
        weight_decay: L2 penalty in Adam. Default 0.
        validations: How often it is validated within the budget, evenly. Default 10.
        seed: Of dropout and of whatever the losses draw from torch's generator. Default 0.

    Raises:
        ValueError: A number is out of range.
    """

    seconds: float = 600.0
    epochs: int | None = None
    learning_rate: float = 0.01
    weight_decay: float = 0.0
    validations: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("seconds", "learning_rate"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} is {getattr(self, name)}; give a positive number")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay is {self.weight_decay}; give 0 or a positive number")
        if self.validations < 1 or (self.epochs is not None and self.epochs < 1):
            raise ValueError(f"validations is {self.validations}, epochs {self.epochs}; give numbers of at least 1")


@dataclass
class BudgetFit:
    """What was done: `history` has a row a validation, with `seconds`, `step`, `loss` and the scores by name."""

    seconds: float = 0.0
    steps: int = 0
    epochs: int = 0
    best_score: float = -math.inf
    peak_memory_mb: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)

    def seconds_to(self, **wanted: float) -> float:
        """Seconds until a validation had all of these scores, or NaN if none had."""
        for row in self.history:
            if all(row[name] >= value for name, value in wanted.items()):
                return row["seconds"]
        return math.nan


class PassOrder:
    """What a pass draws its order from; a pass that was cut off is taken up in its midst.

    Args:
        seed: Of the draws.

    Example:
        >>> order = PassOrder(0)
        >>> before = order.generator.get_state()
        >>> whole = list(order.rest(torch.randperm(4, generator=order.generator).split(1)))
        >>> order.generator.set_state(before)
        <torch._C.Generator object at ...>
        >>> order.go_on(3, before)
        >>> len(list(order.rest(torch.randperm(4, generator=order.generator).split(1))))
        1
    """

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self._done, self._state = 0, None

    def rest(self, parts: Sequence[Tensor]) -> Sequence[Tensor]:
        """The parts of a pass that are to be taken yet; asked for once a pass, when its order is drawn."""
        done, state = self._done, self._state
        self._done, self._state = 0, None
        if state is not None:
            self.generator.set_state(state)
        return parts[done:]

    def go_on(self, done: int, state: Tensor) -> None:
        """Let the next pass begin after some of its parts, and with the draws that are to come then."""
        self._done, self._state = done, state


def fit_within_budget(
    module: nn.Module,
    losses: Callable[[], Iterator[Tensor]],
    validate: Callable[[], dict[str, float]],
    settings: BudgetSettings,
    *,
    choose_by: str,
    on_scores: OnScores | None = None,
    order: PassOrder | None = None,
    snapshots: Snapshots | None = None,
) -> BudgetFit:
    """Train a module in place and leave it, in evaluation mode, with the weights that validated best.

    Args:
        module: Its parameters are trained.
        losses: Gives one pass of losses; each is made when it is asked for, after the step before it.
        validate: Scores of the module as it is, in evaluation mode and without gradients; higher is better.
        settings: Budget and rates.
        choose_by: The score by which weights are chosen.
        on_scores: Told about every validation.
        order: What `losses` draws its passes from, and takes the rest of each from. Default: passes draw nothing.
        snapshots: From which it goes on, and where it keeps new ones; who keeps the result removes them. The seconds
            before a snapshot count. Default: none.

    Returns:
        Times, memory and the history.

    Raises:
        FloatingPointError: A loss, a weight or a score is not finite; names the epoch and the step.
        ValueError: A pass has no loss.
    """
    device = next(module.parameters()).device
    optimizer = torch.optim.Adam(
        module.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    memory, fit = PeakMemory(device), BudgetFit()
    best = EarlyStop()
    start = time.perf_counter()
    recent: list[Tensor] = []  # on the device: fetching each loss would wait for it at each step
    fetched: list[Tensor] = []  # since the last validation
    first: list[float] = []  # loss of the first step behind each validation
    rate = {"learning_rate": settings.learning_rate}

    def fetch() -> None:
        if recent:
            fetched.append(torch.stack(recent).cpu())
            recent.clear()
            check_losses(fetched[-1], fit.steps, fit.epochs + 1, **rate)

    def check() -> None:
        fetch()
        loss = float(torch.cat(fetched).mean()) if fetched else math.nan
        where = f"step {fit.steps}"
        if fetched:
            first.append(float(fetched[0][0]))
            check_exploded("the training loss", loss, first[0], where, **rate)
        fetched.clear()
        check_weights(module, where, **rate)
        module.eval()
        try:
            with torch.no_grad():
                scores = validate()
        except FloatingPointError as error:  # it does not know the step
            raise FloatingPointError(f"step {fit.steps}: {error}") from None
        module.train()
        check_finite(f"the validation's {choose_by}", scores[choose_by], where, **rate)
        seconds = time.perf_counter() - start
        fit.history.append({"seconds": seconds, "step": fit.steps, "loss": loss, **scores})
        best.update(fit.steps, -scores[choose_by], weights=partial(weights_of, module))
        if on_scores is not None:
            on_scores(seconds, fit.steps, loss, scores)

    order = PassOrder(settings.seed) if order is None else order
    generators = {"order": order.generator}
    share, checked, before, pass_state = 0.0, 0, 0, order.generator.get_state()

    def keep(within: bool) -> None:
        """Keep all that the next step depends on; `within` a pass, its start too."""
        if snapshots is None or not snapshots.due():
            return
        fetch()
        stop, weights = best.state()
        record = {"seconds": time.perf_counter() - start, "share": share, "checked": checked, "first": first}
        record |= {"steps": fit.steps, "epochs": fit.epochs, "history": fit.history, "stop": stop}
        record["within"] = fit.steps - before if within else None
        carried = {f"best.{name}": tensor for name, tensor in weights.items()} | {"pass": pass_state}
        carried["losses"] = torch.cat(fetched) if fetched else torch.empty(0)
        where = f"epoch {fit.epochs + 1}, step {fit.steps}"
        snapshots.save(module, optimizer, record, carried, generators, where=where)

    named = nullcontext() if snapshots is None else snapshots.named_on_explosion()
    with isolated_seed(settings.seed, device), named:
        module.train()
        found = None if snapshots is None else snapshots.load(module, optimizer, generators)
        within = None
        if found is not None:
            record, carried = found
            start -= record["seconds"]
            share, checked, first, within = (record[name] for name in ("share", "checked", "first", "within"))
            fit.steps, fit.epochs, fit.history = record["steps"], record["epochs"], record["history"]
            fetched = [carried["losses"].cpu()] if carried["losses"].numel() else []
            best.load_state(record["stop"], {name[5:]: x for name, x in carried.items() if name.startswith("best.")})
            if within is not None:
                now = order.generator.get_state()
                order.generator.set_state(carried["pass"].cpu())
                order.go_on(within, now)
        while share < 1:
            before, within = fit.steps - (within or 0), None
            pass_state = order.generator.get_state()
            for loss in losses():
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                for group in optimizer.param_groups:
                    group["lr"] = settings.learning_rate * (0.02 + 0.49 * (1 + math.cos(math.pi * min(share, 1.0))))
                optimizer.step()
                recent.append(loss.detach())
                fit.steps += 1
                if len(recent) == _BLOCK:
                    fetch()
                share = max(share, (time.perf_counter() - start) / settings.seconds)
                if share >= 1:
                    break
                if share * settings.validations >= checked + 1:
                    checked = int(share * settings.validations)
                    check()
                keep(within=True)
            if fit.steps == before:
                raise ValueError("a pass has no loss; give links to train on")
            fetch()
            fit.epochs += 1
            if settings.epochs is not None:
                share = max(share, fit.epochs / settings.epochs)
            keep(within=False)
        check()
    module.load_state_dict(best.weights)
    fit.best_score = -best.loss
    module.eval()
    fit.seconds, fit.peak_memory_mb = time.perf_counter() - start, memory.megabytes()
    return fit
