"""Train one forecaster on windows, and predict with it."""

import dataclasses
import math
import statistics
import time
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, Self

import torch
from jaxtyping import Float
from pydantic import model_validator
from torch import Tensor, nn

from gnnkit.settings.fit import TrainingFields
from gnnkit.training.device import resolve_device
from gnnkit.training.early_stop import EarlyStop, weights_of
from gnnkit.training.finite import check_step
from gnnkit.training.losses import in_unit, mean_absolute_error, summed_loss
from gnnkit.training.memory import PeakMemory
from gnnkit.training.progress import FitProgress
from gnnkit.training.ranks import Led, current_ranks
from gnnkit.training.seeding import isolated_seed, shuffled_batches
from gnnkit.training.snapshot import Snapshots
from gnnkit.training.spread import Spread

if TYPE_CHECKING:
    from gnnkit.data import Windows, WindowSplits

__all__ = [
    "STOPPED",
    "EpochRecord",
    "FitResult",
    "TrainingSettings",
    "fit",
    "predict",
    "schedule_rate",
]

STOPPED = {
    "epochs": "",
    "patience": ", stopped: no better for a while",
    "seconds": ", stopped: out of time",
    "pruned": ", stopped: others were better",
}
"""Why a fit ended, in words behind what it did; nothing where it took all its epochs."""


class TrainingSettings(TrainingFields, frozen=True):
    """How a forecaster is trained; the same for every model of a comparison.

    Args: those of `gnnkit.settings.fit.TrainingFields`, with their defaults, and those below.

    Raises:
        ValueError: a setting is outside its range; one line names it.

    Example:
        >>> settings = TrainingSettings(epochs=3, seed=1)
        >>> settings.epochs, settings.batch_size
        (3, 32)
    """

    loss: Literal["mae", "mse", "huber", "pinball"] = "mae"  # pyright: ignore[reportIncompatibleVariableOverride]
    """What training lowers; `"pinball"` for a forecaster that gives quantiles."""
    seed: int = 0
    """Of the order of the batches and of dropout."""
    quantiles: tuple[float, ...] = ()
    """With `"pinball"`, the levels that the forecaster gives, .5 among them; else empty."""

    @model_validator(mode="after")
    def _one_loss(self) -> Self:
        if (self.loss == "pinball") != bool(self.quantiles) or (self.quantiles and 0.5 not in self.quantiles):
            raise ValueError(
                f"loss is {self.loss!r} with quantiles {self.quantiles}; give levels with 0.5 among them with "
                "'pinball', and none with another loss"
            )
        return self


@dataclass(frozen=True)
class EpochRecord:
    """One epoch: mean training loss (in training standard deviations), validation MAE (data's unit), wall seconds."""

    epoch: int
    train_loss: float
    val_mae: float
    seconds: float


@dataclass(frozen=True, repr=False)
class FitResult:
    """What a fit did. `best_epoch` counts from 1; its weights are the ones that the forecaster now has.

    `epoch_seconds` is the median over epochs, validation included. `peak_memory_mb` is the most memory that tensors
    took on a CUDA device, or the most that the process held on a CPU. `stopped` is why it ended; `"pruned"`: a listener
    (`progress`) had seen enough.
    """

    epochs: list[EpochRecord]
    best_epoch: int
    best_val_mae: float
    wall_seconds: float
    epoch_seconds: float
    peak_memory_mb: float
    parameters: int
    stopped: Literal["epochs", "patience", "seconds", "pruned"]

    def __repr__(self) -> str:
        return (
            f"FitResult(validation MAE {self.best_val_mae:.5g} after epoch {self.best_epoch} of {len(self.epochs)}, "
            f"{self.parameters:,} parameters, {self.wall_seconds:.1f} s{STOPPED[self.stopped]})"
        )


def fit(
    forecaster: nn.Module,
    windows: "WindowSplits",
    edge_index: Tensor,
    edge_weight: Tensor | None,
    settings: TrainingSettings,
    *,
    progress: FitProgress | None = None,
    snapshots: Snapshots | None = None,
) -> FitResult:
    """Train a forecaster in place and leave it with the weights of its best validation epoch.

    With e = ŷ − y in the data's unit, over the observed targets of a batch and σ the standard deviation of all training
    targets: loss = mean |e| / σ (`"mae"`), mean (e / σ)² (`"mse"`), or the mean of (e / σ)² up to |e| = σ and of
    2 |e| / σ − 1 beyond (`"huber"`). For quantiles at the levels τ it is 2 · mean max(-τ e, (1 - τ) e) / σ, over the
    levels too (`"pinball"`; the median's part of it is `"mae"`), and the validation MAE is that of the median. Adam
    follows gradients whose norm is clipped. On a CPU the same forecaster, windows and settings give the same weights
    bit for bit, whether it was cut off and went on from a snapshot or not; the caller's random state stays as it was.

    Where torchrun started several processes (`gnnkit.training.ranks`), each takes its share of every batch, and the
    mean is over the targets of all shares. Whatever their number, and if it changes when a fit goes on, the loss curve
    is that of one process up to rounding; but for dropout and batch norms, see `gnnkit.training.spread.Spread`.

    Args:
        forecaster: called as `forecaster(x, edge_index, edge_weight, mask=, target=, progress=)` with scaled windows
            [B, T, N, F]; gives [B, P, N], or [B, P, N, Q] with `"pinball"`, in scaled units. In training, `target` is
            [B, P, N] in scaled units, NaN where nothing was observed, and `progress` is the share of all steps, or of
            `max_seconds` if that is more, which is done: 0 at the first step, below 1 at the last.
        windows: training, validation and test windows; the test windows are not touched.
        edge_index: [2, E]
        edge_weight: [E] or None.
        settings: how to train.
        progress: told about every step and every epoch, and may end the fit after one; None: quiet.
        snapshots: from which it goes on, and where it keeps new ones; who keeps the result removes them. None
            (default): none.

    Returns:
        Epochs, the best one, times and memory.

    Raises:
        FloatingPointError: a loss, a gradient or the validation MAE is not finite; names the epoch, the step, the
            batch, the largest gradients and the last good snapshot.
        ValueError: nothing was observed in the training or the validation targets, the device is not there, or the
            forecaster gives quantiles and `settings` another number of them.
    """
    ranks = current_ranks()
    if ranks is not None and ranks.leads:
        return ranks.call(_fit, forecaster, windows, edge_index, edge_weight, settings, snapshots, Led(progress))
    return _fit(forecaster, windows, edge_index, edge_weight, settings, snapshots, Led(progress))


def _fit(
    forecaster: nn.Module,
    windows: "WindowSplits",
    edge_index: Tensor,
    edge_weight: Tensor | None,
    settings: TrainingSettings,
    snapshots: Snapshots | None,
    led: Led,
) -> FitResult:
    """What `fit` does, on each rank."""
    progress, spread = led.value, Spread.current(settings.seed)
    snapshots = spread.snapshots(snapshots)
    fabric = spread.fabric(resolve_device(settings.device), settings.precision)
    device = fabric.device
    moved = windows.to(device)
    train, val, scale = moved.train, moved.val, moved.scaler.target_deviation
    graph = (edge_index.to(device), None if edge_weight is None else edge_weight.to(device))
    total_steps = settings.epochs * math.ceil(len(train) / settings.batch_size)
    optimizer = torch.optim.Adam(forecaster.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    start = time.perf_counter()

    def seconds() -> float:
        return spread.first(lambda: time.perf_counter() - start)

    def done(step: int) -> float:
        return max(step / total_steps, seconds() / settings.max_seconds if settings.max_seconds else 0.0)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: schedule_rate(settings.schedule, done(step)))
    model, wrapped_optimizer = fabric.setup(forecaster, optimizer)

    order = torch.Generator().manual_seed(settings.seed)
    records: list[EpochRecord] = []
    stop = EarlyStop(settings.patience)
    step, number, stopped = 0, 0, "epochs"
    loss_sum = observed_sum = 0.0
    first_epoch, skipped = 1, 0  # where it goes on: after so many batches of this epoch
    curriculum = getattr(forecaster, "curriculum", 0.0)  # the share of the steps before all horizons are learned
    memory = PeakMemory(device)

    def keep(epoch: int, number: int) -> None:
        """Keep all that the next step depends on."""
        if snapshots is None or not snapshots.due():
            return
        stop_numbers, weights = stop.state()
        now = time.perf_counter()
        record = {"step": step, "epoch": epoch, "number": number, "loss_sum": loss_sum, "observed_sum": observed_sum}
        record |= {"seconds": now - start, "epoch_seconds": now - epoch_start, "stop": stop_numbers}
        record |= {"records": [dataclasses.asdict(each) for each in records], "schedule": schedule.state_dict()}
        record["precision"] = fabric.strategy.precision.state_dict()
        carried = {f"best.{name}": tensor for name, tensor in weights.items()} | {"order": epoch_order}
        where = f"epoch {epoch}, step {number}"
        snapshots.save(forecaster, optimizer, record, carried, {"order": order}, where=where)

    named = nullcontext() if snapshots is None else snapshots.named_on_explosion()
    if progress:
        progress.begin_fit(total_steps)
    try:
        with isolated_seed(settings.seed, device), named:
            found = None if snapshots is None else snapshots.load(forecaster, optimizer, {"order": order})
            if found is not None:
                record, carried = found
                step, first_epoch, skipped = record["step"], record["epoch"], record["number"]
                loss_sum, observed_sum = record["loss_sum"], record["observed_sum"]
                start -= record["seconds"]
                records = [EpochRecord(**each) for each in record["records"]]
                best = {name[5:]: tensor for name, tensor in carried.items() if name.startswith("best.")}
                stop.load_state(record["stop"], best)
                schedule.load_state_dict(record["schedule"])
                fabric.strategy.precision.load_state_dict(record["precision"])
                if skipped:
                    order.set_state(carried["order"].cpu())  # that of the epoch's start, for the same batches
                _retell(progress, records, step)
            for epoch in range(first_epoch, settings.epochs + 1):
                epoch_start, epoch_order = time.perf_counter(), order.get_state()
                model.train()
                if skipped:
                    epoch_start -= found[0]["epoch_seconds"] if found else 0.0
                else:
                    loss_sum = observed_sum = 0.0
                for number, index in enumerate(shuffled_batches(len(train), settings.batch_size, order), start=1):
                    if number <= skipped:
                        continue
                    share, counts = spread.share(index.to(device))
                    batch = train.batch(share)
                    target = torch.where(batch.y_mask, train.scaler.transform_target(batch.y), math.nan)
                    with spread.draws(step, device):
                        output = model(batch.x, *graph, mask=batch.mask, target=target, progress=done(step))
                    predicted, observed = in_unit(train, output), batch.y_mask if counts else batch.y_mask & False
                    total = summed_loss(predicted, batch.y, observed, scale, settings.loss, settings.quantiles)
                    (observed,) = spread.sum(int(observed.sum()))
                    loss = total / max(observed, 1)
                    value = 0.0
                    if device.type == "cpu":  # where the gradients are still those of the step before
                        (value,) = spread.sum(loss.item())
                        check_step("the training loss", value, epoch, number, settings, index, forecaster)
                    wrapped_optimizer.zero_grad()
                    fabric.backward(spread.scaled(loss))
                    norm = fabric.clip_gradients(
                        model, wrapped_optimizer, max_norm=settings.clip, error_if_nonfinite=False
                    )
                    if device.type != "cpu":
                        (value,) = spread.sum(loss.item())
                    check_step("the training loss", value, epoch, number, settings, index, forecaster)
                    # Mixed float16 meets infinite gradients by design: its scaler skips those steps.
                    if norm is not None and not settings.precision.startswith("16"):
                        check_step("the gradient's norm", norm.item(), epoch, number, settings, index, forecaster)
                    wrapped_optimizer.step()
                    schedule.step()
                    step += 1
                    loss_sum, observed_sum = loss_sum + value * observed, observed_sum + observed
                    if progress:
                        progress.step(epoch=epoch, loss=value, val_mae=records[-1].val_mae if records else None)
                    if settings.max_seconds is not None and seconds() >= settings.max_seconds:
                        stopped = "seconds"
                        break
                    keep(epoch, number)
                skipped = 0
                if not observed_sum and stopped != "seconds":
                    raise ValueError("the training windows hold no observed target; give a series with values there")
                val_mae = mean_absolute_error(model, val, graph, settings.batch_size, settings.quantiles, spread)
                check_step("the validation MAE", val_mae, epoch, number, settings)
                train_loss = loss_sum / observed_sum if observed_sum else math.nan  # an epoch cut off in a gap
                record = EpochRecord(epoch, train_loss, val_mae, time.perf_counter() - epoch_start)
                records.append(record)
                stop.update(epoch, val_mae, weights=partial(weights_of, forecaster))
                if done(step) < curriculum:
                    stop.wait = 0  # patience begins where all horizons are learned
                elif stop.over:
                    stopped = "patience"
                seen_enough = progress is not None and progress.end_epoch(**dataclasses.asdict(record))
                if spread.first(lambda enough=seen_enough: enough) and stopped == "epochs":
                    stopped = "pruned"
                if stopped != "epochs":
                    break
                keep(epoch + 1, 0)
    finally:
        if progress:
            progress.end_fit()
    forecaster.load_state_dict(stop.weights)
    return FitResult(
        epochs=records,
        best_epoch=stop.at,
        best_val_mae=stop.loss,
        wall_seconds=time.perf_counter() - start,
        epoch_seconds=statistics.median(record.seconds for record in records),
        peak_memory_mb=memory.megabytes(),
        parameters=sum(parameter.numel() for parameter in forecaster.parameters() if parameter.requires_grad),
        stopped=stopped,
    )


def predict(
    forecaster: nn.Module,
    windows: "Windows",
    edge_index: Tensor,
    edge_weight: Tensor | None,
    *,
    batch_size: int = 64,
    device: str = "auto",
) -> Float[Tensor, "W P N *Q"]:
    """Predictions for every window, in order, in the data's unit, on the CPU; quantiles stand along a last axis.

    Args:
        forecaster: a (fitted) forecaster; it is moved to `device` and put in evaluation mode.
        windows: W windows.
        edge_index: [2, E]
        edge_weight: [E] or None.
        batch_size: windows at a time (default 64); does not change the result beyond rounding.
        device: as in `TrainingSettings`.
    """
    where = resolve_device(device)
    moved = windows.to(where)
    graph = (edge_index.to(where), None if edge_weight is None else edge_weight.to(where))
    forecaster.to(where).eval()
    parts = []
    with torch.no_grad():
        for index in torch.arange(len(moved), device=where).split(batch_size):
            batch = moved.batch(index)
            parts.append(in_unit(moved, forecaster(batch.x, *graph, mask=batch.mask)).float().cpu())
    return torch.cat(parts)


def schedule_rate(schedule: str, done: float) -> float:
    """Factor on the learning rate when this share of the budget is spent."""
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0))) if schedule == "cosine" else 1.0


def _retell(progress: FitProgress | None, records: list[EpochRecord], steps: int) -> None:
    """Tell a listener of a fit that goes on what was done before."""
    if progress is None:
        return
    for record in records:
        progress.end_epoch(**dataclasses.asdict(record))
    last = records[-1] if records else EpochRecord(1, math.nan, math.nan, 0.0)
    for _ in range(steps):
        progress.step(epoch=last.epoch, loss=last.train_loss, val_mae=last.val_mae if records else None)
