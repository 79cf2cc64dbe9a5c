"""LSTM against BiLSTM on random combinations: the course report's part 1, run by run, from settings to rows."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

import gnnkit
from gnnkit.data import EndlessCombinations, RandomCombinations
from gnnkit.sequence import SequenceClassifier, count_parameters, gradient_flow
from gnnkit.training import isolated_seed, resolve_device
from gnnkit.training.environment import environment
from gnnkit.training.finite import check_exploded, check_losses

__all__ = ["CELLS", "INITIALIZATIONS", "CombinationsSettings", "Run", "evaluate", "load_runs", "run_study", "train"]

#: Name of a cell on the command line -> the classifier's arguments.
CELLS: dict[str, dict[str, Any]] = {
    name: {"cell": name.removeprefix("bi"), "bidirectional": name.startswith("bi")}
    for name in ("rnn", "lstm", "gru", "birnn", "bilstm", "bigru")
}

#: Name of an initialisation -> the classifier's `kaiming_fan`: the report's, torch's Kaiming routine called on matrices
#: (in, out), and gnnkit's own, whose deviation is sqrt(2 / in).
INITIALIZATIONS: dict[str, Literal["in", "out"]] = {"report": "out", "gnnkit": "in"}

# Test sequences stand far behind every training batch in the stream of a seed.
_TEST_START = 2**40
# Points of a curve in a run's file, each a mean over as many steps as it takes.
_POINTS = 200
# Batches whose mean accuracy must reach 99% before it counts as reached: 20 batches of 128 resolve a tenth of a
# percent.
_STEADY = 20


@dataclass(frozen=True)
class CombinationsSettings:
    """What is run: every length with every cell, embedding, initialisation and seed; and the recipe, the same for all.

    Args:
        lengths: Numbers T in a combination. Default 5, 10, 15.
        cells: Of `CELLS`. Default "lstm", "bilstm".
        embeddings: Widths of the learned embedding. Default 1, the report's, and 128, the cure.
        initializations: Of `INITIALIZATIONS`. Default "report", "gnnkit".
        seeds: Default 0, 24, 42.
        steps: Optimisation steps of a run. Default 2000.
        hidden_channels: Width of the state. Default 128.
        batch_size: Combinations in a step. Default 128.
        learning_rate: Adam's. Default 1e-3.
        clip: Largest norm of the gradient. Default 10.
        test_sequences: Fresh combinations that a run is scored on. Default 5000.
        device: "auto" (default), "cpu", "cuda", ...

    Raises:
        ValueError: A list is empty or names something twice, an unknown cell, or a number is out of range.

    Example:
        >>> len(CombinationsSettings(lengths=(5,), embeddings=(1,), initializations=("report",)).runs())
        6
    """

    lengths: tuple[int, ...] = (5, 10, 15)
    cells: tuple[str, ...] = ("lstm", "bilstm")
    embeddings: tuple[int, ...] = (1, 128)
    initializations: tuple[str, ...] = ("report", "gnnkit")
    seeds: tuple[int, ...] = (0, 24, 42)
    steps: int = 2000
    hidden_channels: int = 128
    batch_size: int = 128
    learning_rate: float = 1e-3
    clip: float = 10.0
    test_sequences: int = 5000
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, least in (("lengths", 2), ("embeddings", 1), ("seeds", 0)):
            values = getattr(self, name)
            if not values or any(isinstance(v, bool) or not isinstance(v, int) or v < least for v in values):
                raise ValueError(f"{name} must list whole numbers of at least {least}, got {list(values)}")
        for name, allowed in (("cells", CELLS), ("initializations", INITIALIZATIONS)):
            values = getattr(self, name)
            if not values or any(value not in allowed for value in values):
                raise ValueError(f"{name} must list some of {', '.join(allowed)}, got {list(values)}")
        for name in ("lengths", "cells", "embeddings", "initializations", "seeds"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"{name} names something twice: {list(getattr(self, name))}")
        for name in ("steps", "hidden_channels", "batch_size", "test_sequences"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        for name in ("learning_rate", "clip"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} must be a positive number, got {getattr(self, name)!r}")

    def recipe(self) -> dict[str, Any]:
        """What runs must share to stand in one table: all but the lists and the device."""
        return {name: value for name, value in asdict(self).items() if name not in _LISTS}

    def runs(self) -> list[Run]:
        """All runs, the short ones first."""
        return [
            Run(cell, length, embedding, initialization, seed)
            for length in self.lengths
            for embedding in self.embeddings
            for initialization in self.initializations
            for cell in self.cells
            for seed in self.seeds
        ]


_LISTS = ("lengths", "cells", "embeddings", "initializations", "seeds", "device")


class Run(NamedTuple):
    """One training: which cell, on which length, with which width of embedding and initialisation, from which seed."""

    cell: str
    length: int
    embedding: int
    initialization: str
    seed: int

    @property
    def name(self) -> str:
        """Name of its file, and its label."""
        return f"{self.cell}-T{self.length}-embedding{self.embedding}-{self.initialization}-seed{self.seed}"


def train(
    run: Run, settings: CombinationsSettings, *, on_step: Callable[[int, float, float], None] | None = None
) -> dict[str, Any]:
    """Train one classifier and score it on fresh combinations.

    Args:
        run: What to train.
        settings: The recipe and the device.
        on_step: Told the step, and loss and accuracy over the last few steps, about 200 times in a run.

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
    stream = EndlessCombinations(run.length, run.seed, batch_size=settings.batch_size, device=device)
    every = max(1, settings.steps // _POINTS)
    recent, history = [], []  # pairs of loss and accuracy: on the device, and read from there
    start = time.perf_counter()
    for step, (tokens, target) in zip(range(1, settings.steps + 1), stream, strict=False):
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


def run_study(settings: CombinationsSettings, out: str | Path, *, console: Console | None = None) -> pd.DataFrame:
    """Train every run that is not there yet, and write rows, tables and figures of all runs in `out`.

    A finished run is kept as `runs/NAME.json`, so that a study that was cut off goes on where it was, and a study of
    more lengths, cells, widths or seeds adds to what is there.

    Args:
        settings: What to run.
        out: The folder. Besides `runs/` and `recipe.json` it gets `rows.csv`, `curves.csv`, `report.md` (the tables,
            and what differs from the report), `loss.png`, `accuracy.png` and `gradient_flow.png`.
        console: Where a progress bar is drawn, if it is a terminal. Default: nowhere.

    Returns:
        The rows of all runs in the folder, one a run.

    Raises:
        ValueError: `out` is a file, holds something else, or holds runs of another recipe or of an earlier gnnkit.
    """
    from gnnkit.studies.combinations.plots import write_figures
    from gnnkit.studies.combinations.report import write_report

    resolve_device(settings.device)  # before anything is written
    out = Path(out)
    _claim(out, {**settings.recipe(), "gnnkit": gnnkit.__version__})
    if any((out / "runs").glob("*.json")):
        load_runs(out)  # what cannot stand in one table with these is refused before anything is trained
    wanted = settings.runs()
    missing = [run for run in wanted if not _file(out, run).exists()]
    with _bar(console, settings, done=len(wanted) - len(missing), total=len(wanted)) as watch:
        for run in missing:
            try:
                result = train(run, settings, on_step=watch(run))
            except FloatingPointError as error:
                raise FloatingPointError(f"{run.name}: {error}") from None
            _write(_file(out, run), json.dumps(result))
    runs = load_runs(out)
    rows = pd.DataFrame([run["row"] for run in runs])
    rows.to_csv(out / "rows.csv", index=False)
    keys = list(Run._fields)
    curves = [pd.DataFrame(run["curve"]).assign(**{key: run["row"][key] for key in keys}) for run in runs]
    pd.concat(curves)[[*keys, "step", "loss", "accuracy"]].to_csv(out / "curves.csv", index=False, float_format="%.6g")
    write_report(rows, out / "report.md")
    write_figures(runs, out)
    return rows


def load_runs(out: str | Path) -> list[dict[str, Any]]:
    """The finished runs in a folder of `run_study`, as `train` returned them, by length, embedding, cell, start, seed.

    Raises:
        ValueError: There is none, or one is of an earlier gnnkit, which knew one initialisation.
    """
    files = sorted((Path(out) / "runs").glob("*.json"))
    if not files:
        raise ValueError(f"{out} holds no finished run; gnnkit sequence --out {out} makes them")
    runs = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    if any("initialization" not in run["row"] for run in runs):
        raise ValueError(f"{out} holds runs of an earlier gnnkit, which do not say how they began; give another folder")
    cells, initializations = list(CELLS), list(INITIALIZATIONS)

    def place(run: dict[str, Any]) -> tuple[int, ...]:
        row = run["row"]
        start = initializations.index(row["initialization"])
        return row["length"], row["embedding"], cells.index(row["cell"]), start, row["seed"]

    return sorted(runs, key=place)


def _first_steady(accuracy: torch.Tensor) -> int | None:
    if len(accuracy) < _STEADY:
        return None
    # Counted in whole batches of float32 shares: a hair below 0.99 is rounding.
    reached = (accuracy.double().unfold(0, _STEADY, 1).mean(dim=1) >= 0.99 - 1e-6).nonzero()
    return int(reached[0]) + _STEADY if len(reached) else None


def _file(out: Path, run: Run) -> Path:
    return out / "runs" / f"{run.name}.json"


def _write(path: Path, text: str) -> None:
    """All or nothing: a run that is cut off while it is written leaves no file that looks finished."""
    part = path.with_suffix(".part")
    part.write_text(text + "\n", encoding="utf-8")
    os.replace(part, path)


def _claim(out: Path, recipe: dict[str, Any]) -> None:
    """Make the folder, or see to it that it holds runs of this very recipe."""
    target = out / "recipe.json"
    if out.exists() and not out.is_dir():
        raise ValueError(f"out: {out} is a file; give a folder")
    if any((out / "runs").glob("*.json")) and target.exists():
        found = json.loads(target.read_text(encoding="utf-8"))
        other = [f"{k}={found.get(k)!r}, not {v!r}" for k, v in recipe.items() if found.get(k) != v]
        if other:
            raise ValueError(f"out: {out} holds runs with {'; '.join(other)}; repeat that or give another folder")
    elif out.exists() and any(out.iterdir()) and not target.exists():
        raise ValueError(f"out: {out} holds other files; give a new or an empty folder")
    (out / "runs").mkdir(parents=True, exist_ok=True)
    if not any((out / "runs").glob("*.json")):  # nothing is finished: it may begin anew, e.g. with a lower rate
        _write(target, json.dumps(recipe, indent=2))


Watch = Callable[[Run], Callable[[int, float, float], None] | None]


@contextmanager
def _bar(console: Console | None, settings: CombinationsSettings, *, done: int, total: int) -> Iterator[Watch]:
    """A bar over all steps of all runs, or nothing where there is no terminal."""
    if console is None or not console.is_terminal:
        yield lambda run: None
        return
    figures = TextColumn("{task.fields[figures]}")
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), figures)
    finished = done
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total * settings.steps, completed=done * settings.steps, figures="")

        def watch(run: Run) -> Callable[[int, float, float], None]:
            nonlocal finished
            before, finished = finished, finished + 1

            def on_step(step: int, loss: float, accuracy: float) -> None:
                figures = f"step {step}  loss {loss:.4f}  accuracy {accuracy:.3f}"
                label = f"run {before + 1} of {total}  {run.name}"
                progress.update(task, completed=before * settings.steps + step, description=label, figures=figures)

            return on_step

        yield watch
