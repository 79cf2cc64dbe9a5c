"""Training a character LSTM on one book, in a folder that a cut-off run goes on from, bit for bit."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
import torch.nn.functional as F
from rich.console import Console

import gnnkit
from gnnkit.data import TextWindows, read_text, split_text, text_digest
from gnnkit.kept_files import claim_folder, read_json, sha256_of, write_json, write_text
from gnnkit.kept_tensors import read_record, save_tensors
from gnnkit.sequence import CharCodec, CharLSTM, LSTMState, Sampling, count_parameters
from gnnkit.studies.text.progress import TextProgress
from gnnkit.studies.text.settings import TextSettings
from gnnkit.studies.text.writer import CharWriter, score_stream
from gnnkit.training import Snapshots, isolated_seed, resolve_device
from gnnkit.training.code import code_digest
from gnnkit.training.environment import environment, hardware
from gnnkit.training.finite import check_exploded, check_finite, check_losses
from gnnkit.training.threads import fit_threads, torch_threads

__all__ = ["Stage", "TextTraining", "context_before", "train_step", "train_text"]

# Steps whose figures are fetched from the device at once, and over which the accuracy is smoothed for the stages.
_BLOCK = 10
# The final accuracy and loss are means over so many last steps.
_LAST = 500
# Weights are kept whenever the smoothed accuracy first passes a multiple of this; the stages are picked at the end.
_MARK = 0.02
# Characters that a model trained on one stream reads before it writes.
_CONTEXT = 500
_SNAPSHOT = "training.safetensors"
_CODE = ("ops", "data", "sequence", "training", "studies/text")


class Stage(NamedTuple):
    """Weights from the way: which third of what, after which step, at which accuracy on the training batches."""

    kind: str
    third: int
    step: int
    accuracy: float
    file: str


def train_text(
    book: str | Path,
    settings: TextSettings,
    out: str | Path,
    *,
    encoding: str = "utf-8",
    console: Console | None = None,
) -> dict[str, Any]:
    """Train a character LSTM on a book; a run that was cut off goes on from its last checkpoint.

    Args:
        book: A text file. Its last tenth (see `TextSettings`) is held out.
        settings: What and how.
        out: The folder. While it trains: `recipe.json`, `book.txt` (the text, for the study), `training.safetensors`
            (the last checkpoint) and weights on the way. When it is done: `weights.safetensors` and `config.json` (the
            model), `stages/`, `curve.csv`, `validation.csv`, and `row.json`.
        encoding: Of the book.
        console: Where it says how it goes: a bar on a terminal, and a line and a sample per validation.

    Returns:
        The row: recipe, parameters, `accuracy` and `nats` (means over the last 500 steps), `val_bits`, `test_bits`,
        `best_val_bits` and its step, seconds, environment. A finished folder's row is read, and nothing is trained.

    Raises:
        FileNotFoundError: There is no such book.
        ValueError: The book is no text or too short, `out` is a file, holds something else, or a run of another book
            or recipe.
        FloatingPointError: The loss is no longer a number; names the step.
    """
    device = resolve_device(settings.device)
    text = read_text(book, encoding=encoding)
    split_text(
        len(text), val_share=settings.val_share, test_share=settings.test_share, least=settings.window + 1
    )  # before anything is written
    codec = CharCodec.from_text(text)
    out = Path(out)
    facts = {"book": Path(book).stem, "sha256": text_digest(text), "characters": len(text), "vocabulary": len(codec)}
    made_from = {"gnnkit_text": True, "gnnkit": gnnkit.__version__, **facts, **settings.recipe()}

    snapshots = Snapshots(out / _SNAPSHOT, {**made_from, "code": code_digest(*_CODE)})

    def finished() -> bool:  # as far as there is something to go on with
        return snapshots.exist() or (out / "row.json").exists()

    with claim_folder(out, "recipe.json", made_from, "a training", finished=finished):
        if (out / "row.json").exists():
            snapshots.remove()  # a run may be cut off behind its last word
            return read_json(out / "row.json")
        if not finished():  # perhaps with another recipe than before, e.g. after a loss that exploded
            shutil.rmtree(out / "stages", ignore_errors=True)
            write_text(out / "book.txt", text)
        work = settings.batch_size * settings.window * settings.num_layers * settings.hidden_channels**2
        threads = fit_threads(work, device, asked=settings.threads, snapshots=snapshots)
        with torch_threads(threads):
            with isolated_seed(settings.seed, device), snapshots.named_on_explosion():
                training = TextTraining(text, codec, settings, snapshots, device)
                training.resume()
                with TextProgress(console, settings.steps, training.step) as progress:
                    training.run(progress)
            return training.finish(facts)


def train_step(
    model: CharLSTM,
    optimizer: torch.optim.Optimizer,
    parameters: list[torch.nn.Parameter],
    clip: float,
    precision: str = "32-true",
) -> Callable[[torch.Tensor, torch.Tensor, LSTMState | None], tuple[torch.Tensor, LSTMState]]:
    """One step of training: read windows, predict each next character, follow the clipped gradient.

    Args:
        model: In training mode.
        optimizer: Over its parameters.
        parameters: Those that are learned.
        clip: Largest norm of the gradient.
        precision: "32-true" (default), or "bf16-mixed": matrix products in bfloat16; weights, loss, gradients of the
            weights and the state that is carried are single.

    Returns:
        A function of tokens `[B, T]`, target `[B, T]` and the state before them, which gives loss (nats) and accuracy
        of the batch as a vector on its device, and the state after it, cut off from the graph.
    """

    def step(tokens: torch.Tensor, target: torch.Tensor, state: LSTMState | None) -> tuple[torch.Tensor, LSTMState]:
        with torch.autocast(tokens.device.type, torch.bfloat16, enabled=precision == "bf16-mixed"):
            logits, after = model(tokens, state)
        logits = logits.transpose(0, 1).flatten(0, 1).float()  # as they lie in memory: nothing is copied
        goal = target.t().flatten()
        loss = F.cross_entropy(logits, goal)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()
        accuracy = (logits.detach().argmax(dim=1) == goal).float().mean()
        return torch.stack([loss.detach(), accuracy]), LSTMState(after.h.detach().float(), after.c.detach().float())

    return step


def context_before(text: str) -> str:
    """What a model that was trained with its state carried reads before it writes: the last whole paragraphs.

    Args:
        text: The part of the book that is trained on.

    Returns:
        Up to 500 characters that end where a paragraph does, or a line, or the text.

    Example:
        >>> context_before("One.\\n\\nTwo. Thr")
        'One.\\n\\n'
    """
    last = text[-2 * _CONTEXT :]
    for mark in ("\n\n", "\n"):
        end = last.rfind(mark)
        if end >= 0:
            last = last[: end + len(mark)]
            break
    return last[-_CONTEXT:]


class TextTraining:
    """One training in a folder: model, optimizer, place in the text, and what it has seen so far.

    Args:
        text: The whole book.
        codec: Its vocabulary.
        settings: The recipe.
        snapshots: In its folder.
        device: Where to train.
    """

    def __init__(
        self, text: str, codec: CharCodec, settings: TextSettings, snapshots: Snapshots, device: torch.device
    ) -> None:
        self.settings, self.codec, self.device = settings, codec, device
        self.snapshots, self.out = snapshots, snapshots.path.parent
        tokens = codec.encode(text).to(device)
        split = split_text(len(text), val_share=settings.val_share, test_share=settings.test_share)
        train, self.val, self.test = (tokens[part.start : part.stop] for part in split)
        order = "stream" if settings.stateful else "random"
        self.windows = TextWindows(
            train, settings.window, batch_size=settings.batch_size, order=order, seed=settings.seed
        )
        self.model = CharLSTM(len(codec), **settings.model()).to(device)
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        adam = torch.optim.AdamW if settings.weight_decay else torch.optim.Adam
        self.optimizer = adam(
            parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=device.type != "mps"
        )
        self._train_step = train_step(self.model, self.optimizer, parameters, settings.clip, settings.precision)
        self.state = self.model.zero_state(settings.batch_size) if settings.stateful else None
        self._lower = {"learning_rate": settings.learning_rate, "clip": settings.clip}
        self.context = context_before(text[: split.train.stop]) if settings.stateful else ""
        self.step = 0
        self.history = torch.zeros(settings.steps, 2)  # loss and accuracy of each step
        self.validations: list[dict[str, float]] = []
        self.mark = -1  # the highest multiple of _MARK that the smoothed accuracy has passed
        self.seconds = 0.0
        self.machines: list[str] = []

    def resume(self) -> None:
        """Go to where the last checkpoint left off, if there is one."""
        found = self.snapshots.load(self.model, self.optimizer)
        if found is not None:
            record, carried = found
            self.step, self.mark, self.seconds = record["step"], record["mark"], record["seconds"]
            self.validations, self.machines = record["validations"], record["machines"]
            self.history[: self.step] = carried["history"].cpu()
            if self.state is not None:
                self.state = LSTMState(carried["h"], carried["c"])
        machine = hardware(self.device)
        if machine not in self.machines:
            self.machines.append(machine)

    def checkpoint(self) -> None:
        """Keep all that the next step depends on."""
        carried = {"history": self.history[: self.step].clone()}
        if self.state is not None:
            carried |= {"h": self.state.h, "c": self.state.c}
        record = {name: getattr(self, name) for name in ("step", "mark", "seconds", "validations", "machines")}
        self.snapshots.save(self.model, self.optimizer, record, carried, where=f"step {self.step}")

    def run(self, progress: TextProgress) -> None:
        """Train to the last step.

        Raises:
            FloatingPointError: The loss is no longer a number.
        """
        settings = self.settings
        thirds = {round(settings.steps * third / 3): third for third in (1, 2)}
        recent: list[torch.Tensor] = []  # on the device: fetching each would wait for it at each step
        clock = time.perf_counter()
        self.model.train()
        while self.step < settings.steps:
            for group in self.optimizer.param_groups:
                group["lr"] = settings.rate(self.step)
            tokens, target = self.windows.batch(self.step)
            figures, state = self._train_step(tokens, target, self.state)
            if settings.stateful:
                self.state = state
            recent.append(figures)
            self.step += 1
            last = self.step == settings.steps
            due = self.step % settings.checkpoint_every == 0 or last
            if self.step % _BLOCK == 0 or due:
                self.history[self.step - len(recent) : self.step] = torch.stack(recent).cpu()
                recent = []
                self._look(progress)
            if self.step in thirds:
                self._keep(f"step-{thirds[self.step]}")
            if self.step % settings.validate_every == 0 or last:
                self._validate(progress)
            if due:
                now = time.perf_counter()
                self.seconds, clock = self.seconds + now - clock, now
                self.checkpoint()

    def finish(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Score the test part, and write the model, the stages, the curves and the row; the row comes last."""
        test = score_stream(self.model, self.test)
        check_finite("the test loss in bits", test.bits, f"step {self.step}", **self._lower)
        CharWriter(self.model, self.codec, self.context).save(self.out, self.settings.model())
        last = self.history[-_LAST:].double().mean(dim=0).tolist()
        best = min(self.validations, key=lambda entry: entry["bits"])
        steps = range(1, self.settings.steps + 1)
        losses, accuracies = self.history.T.tolist()
        curve = pd.DataFrame({"step": steps, "nats": losses, "accuracy": accuracies})
        row = {
            **facts,
            **self.settings.recipe(),
            "parameters": count_parameters(self.model),
            "nats": last[0],
            "accuracy": last[1],
            "val_bits": self.validations[-1]["bits"],
            "val_accuracy": self.validations[-1]["accuracy"],
            "best_val_bits": best["bits"],
            "best_val_step": int(best["step"]),
            "test_bits": test.bits,
            "test_accuracy": test.accuracy,
            "seconds": self.seconds,
            "stages": [stage._asdict() for stage in self._pick_stages(last[1])],
            **environment(self.device),
            "hardware": " and ".join(self.machines),
        }
        for name, table in (("curve", curve), ("validation", pd.DataFrame(self.validations))):
            write_text(self.out / f"{name}.csv", table.to_csv(index=False, float_format="%.6g"))
        row["files"] = {name: sha256_of(self.out / name) for name in ("curve.csv", "validation.csv")}
        write_json(self.out / "row.json", row)
        self.snapshots.remove()
        return row

    def _look(self, progress: TextProgress) -> None:
        """Figures of the last block: told, checked, and compared with the next mark."""
        block = self.history[max(0, self.step - _BLOCK) : self.step]
        check_losses(block[:, 0], self.step, **self._lower)
        nats, accuracy = block.mean(dim=0).tolist()
        progress.advance(self.step, nats, accuracy)
        mark = int(accuracy / _MARK)
        # Only at whole blocks: a run that was cut off must pass the same marks at the same steps.
        if mark > self.mark and (self.step % _BLOCK == 0 or self.step == self.settings.steps):
            self.mark = mark
            self._keep(f"mark-{mark}", accuracy)

    def _keep(self, name: str, accuracy: float | None = None) -> None:
        folder = self.out / "stages"
        folder.mkdir(exist_ok=True)
        record = {"step": self.step, "accuracy": accuracy}
        save_tensors(folder / f"{name}.safetensors", self.model.state_dict(), record)

    def _validate(self, progress: TextProgress) -> None:
        score = score_stream(self.model, self.val)
        first = float(self.history[0, 0]) / math.log(2)
        check_exploded("the validation loss in bits", score.bits, first, f"step {self.step}", **self._lower)
        self.validations.append({"step": self.step, "bits": score.bits, "accuracy": score.accuracy})
        writer = CharWriter(self.model, self.codec, self.context)
        start = writer.first_characters(1, seed=self.step, letters=True)
        sample = start[0] + writer.texts(start, 80, Sampling(tau=2.0), seed=self.step)[0]
        progress.validated(self.step, score.bits, sample)
        self.model.train()

    def _pick_stages(self, accuracy: float) -> list[Stage]:
        """The thirds of the steps, and the marks nearest to the thirds of the final accuracy; other marks go."""
        folder = self.out / "stages"
        marks = [path for path in folder.glob("mark-*.safetensors") if int(path.stem.split("-")[1]) <= self.mark]
        found = {path: read_record(path) for path in marks}
        stages, kept = [], set()
        for third in (1, 2):
            path = folder / f"step-{third}.safetensors"
            if path.exists():  # a run of a step or two has no thirds
                step = read_record(path)["step"]
                near = float(self.history[max(0, step - _BLOCK) : step, 1].mean())
                stages.append(Stage("steps", third, step, near, path.name))
        for third in (1, 2):
            path = min(found, key=lambda path: abs(found[path]["accuracy"] - accuracy * third / 3))
            near = found[path]["accuracy"]
            stages.append(Stage("accuracy", third, found[path]["step"], near, path.name))
            kept.add(path)
        for path in set(folder.glob("mark-*.safetensors")) - kept:
            path.unlink()
        return stages
