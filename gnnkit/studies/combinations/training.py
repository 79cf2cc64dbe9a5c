"""One classifier trained on random combinations, from its settings to a row, a curve and the flow of its gradient."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from gnnkit.data import EndlessCombinations, RandomCombinations
from gnnkit.sequence import SequenceClassifier, count_parameters, gradient_flow
from gnnkit.studies.combinations.settings import CELLS, INITIALIZATIONS, CombinationsSettings, Run
from gnnkit.training import Snapshots, isolated_seed, resolve_device
from gnnkit.training.environment import environment
from gnnkit.training.finite import check_exploded, check_losses

__all__ = ["evaluate", "train"]

# Test sequences stand far behind every training batch in the stream of a seed.
_TEST_START = 2**40
# Points of a curve in a run's file, each a mean over as many steps as it takes.
_POINTS = 200
# Batches whose mean accuracy must reach 99% before it counts as reached: 20 batches of 128 resolve a tenth of a
# percent.
_STEADY = 20


def train(
    run: Run,
    settings: CombinationsSettings,
    *,
    on_step: Callable[[int, float, float], None] | None = None,
    snapshots: Snapshots | None = None,
) -> dict[str, Any]:
    """Train one classifier and score it on fresh combinations.

    Args:
        run: What to train.
        settings: The recipe and the device.
        on_step: Told the step, and loss and accuracy over the last few steps, about 200 times in a run.
        snapshots: From which it goes on, and where it keeps new ones; who keeps the result removes them. Default: none.

    Returns:
        `row`: run, recipe, test loss (nats) and accuracy, `steps_to_99` (the first step at which the mean accuracy of
        the last 20 training batches is at least 99%; None if never), trainable parameters, seconds of training,
        environment. `curve`: step, loss, accuracy on training batches, fresh as each is. `flow`: norms of the loss's
        gradient at each step's state, at `start` and `end`. All JSON values.

    Raises:
        FloatingPointError: A loss is not finite; names the step.
        ValueError: The device is not there.
    """
    device = resolve_device(settings.device)
    with isolated_seed(run.seed, device):
        model = SequenceClassifier(
            run.length,
            settings.hidden_channels,
            embedding_channels=run.embedding,
            kaiming_fan=INITIALIZATIONS[run.initialization],
            **CELLS[run.cell],
        ).to(device)
    test = RandomCombinations(run.length, run.seed, size=settings.test_sequences, start=_TEST_START, device=device)
    sample = next(test.batches(settings.batch_size))
    flow = {"start": gradient_flow(model, sample).tolist()}

    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate, fused=True)
    every = max(1, settings.steps // _POINTS)
    recent, history = [], []  # pairs of loss and accuracy: on the device, and read from there
    done, start = 0, time.perf_counter()
    with isolated_seed(run.seed, device):  # a snapshot has random states, which are the caller's business
        found = None if snapshots is None else snapshots.load(model, optimizer)
    if found is not None:
        record, carried = found
        done, flow, start = record["step"], record["flow"], start - record["seconds"]
        history = list(carried["history"].cpu().split(record["blocks"]))
    place = done * settings.batch_size
    stream = EndlessCombinations(run.length, run.seed, batch_size=settings.batch_size, start=place, device=device)
    for step, (tokens, target) in zip(range(done + 1, settings.steps + 1), stream, strict=False):
        scores = model(tokens)
        loss = F.nll_loss(scores, target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, settings.clip)
        optimizer.step()
        recent.append(torch.stack([loss.detach(), (scores.argmax(dim=1) == target).float().mean()]))
        if step % every == 0 or step == settings.steps:
            history.append(torch.stack(recent).cpu())
            recent = []
            check_losses(history[-1][:, 0], step, learning_rate=settings.learning_rate, clip=settings.clip)
            if on_step is not None:
                on_step(step, *history[-1].mean(dim=0).tolist())
            if snapshots is not None and snapshots.due():
                record = {"step": step, "flow": flow, "blocks": [len(block) for block in history]}
                record["seconds"] = time.perf_counter() - start
                snapshots.save(model, optimizer, record, {"history": torch.cat(history)}, where=f"step {step}")
    seconds = time.perf_counter() - start

    loss, accuracy = evaluate(model, test)
    lower = {"learning_rate": settings.learning_rate, "clip": settings.clip}
    check_exploded("the test loss", loss, float(history[0][0, 0]), f"step {settings.steps}", **lower)
    flow["end"] = gradient_flow(model, sample).tolist()
    ends = torch.tensor([len(block) for block in history]).cumsum(0)
    means = torch.stack([block.mean(dim=0) for block in history])
    row = {
        **run._asdict(),
        **settings.recipe(),
        "loss": loss,
        "accuracy": accuracy,
        "steps_to_99": _first_steady(torch.cat(history)[:, 1]),
        "parameters": count_parameters(model),
        "seconds": seconds,
        **environment(device),
    }
    curve = {"step": ends.tolist(), "loss": means[:, 0].tolist(), "accuracy": means[:, 1].tolist()}
    return {"row": row, "curve": curve, "flow": flow}


def evaluate(model: SequenceClassifier, data: RandomCombinations, batch_size: int = 1000) -> tuple[float, float]:
    """Mean negative log-likelihood (nats) and accuracy, each combination weighed once."""
    loss, right = 0.0, 0
    with torch.inference_mode():
        for tokens, target in data.batches(batch_size):
            scores = model(tokens)
            loss += float(F.nll_loss(scores, target, reduction="sum"))
            right += int((scores.argmax(dim=1) == target).sum())
    return loss / len(data), right / len(data)


def _first_steady(accuracy: torch.Tensor) -> int | None:
    if len(accuracy) < _STEADY:
        return None
    # Counted in whole batches of float32 shares: a hair below 0.99 is rounding.
    reached = (accuracy.double().unfold(0, _STEADY, 1).mean(dim=1) >= 0.99 - 1e-6).nonzero()
    return int(reached[0]) + _STEADY if len(reached) else None
