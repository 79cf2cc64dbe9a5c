"""Speed of the character LSTM against the same work written inline: rows to benchmarks/results/text-<device>.csv.

    python benchmarks/text.py

Two questions, each with its peer in the same process, in turns:

- a training step of `gnnkit text train` (batch from the book, forward, backward, clip, Adam, accuracy) against the same
  network and step in plain PyTorch (at most 1.1 × its time); both start from the same weights and read the same
  windows, and their losses must agree before anything is timed;
- writing 500 characters with the state carried, against reading the whole prefix again for each (at least 20 × as
  fast); both write greedily, and the texts must be the same.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gnnkit.data import TextWindows
from gnnkit.sequence import CharLSTM, LSTMState, Sampling, write_characters
from gnnkit.studies.text.settings import TextSettings, preset
from gnnkit.studies.text.training import train_step
from gnnkit.training.environment import environment

#: Characters in the vocabulary of "The Brothers Karamazov", and in the synthetic text that is read here.
VOCABULARY, CHARACTERS = 96, 1_000_000
Step = Callable[..., Tensor]


def inline_step(model: CharLSTM, settings: TextSettings, tokens: Tensor) -> Step:
    """The same network from the same weights, and the same step, as one would write it in a script."""
    device = tokens.device
    embedding = nn.Embedding(VOCABULARY, settings.embedding_channels)
    lstm = nn.LSTM(settings.embedding_channels, settings.hidden_channels, settings.num_layers, dropout=settings.dropout)
    head = nn.Linear(settings.hidden_channels, VOCABULARY)
    embedding.load_state_dict(model.embedding.state_dict())
    lstm.load_state_dict(model.network.state_dict())
    with torch.no_grad():
        assert model.head is not None
        head.weight.copy_(model.head.weight)
        head.bias.copy_(model.bias)
    for name, parameter in lstm.named_parameters():
        parameter.requires_grad_(not name.startswith("bias_hh"))
    modules = [module.to(device) for module in (embedding, lstm, head)]
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=settings.steps)
    generator = torch.Generator().manual_seed(0)
    state: tuple[Tensor, Tensor] | None = None

    def batch(number: int) -> Tensor:
        if settings.stateful:
            lanes = torch.arange(settings.batch_size) * len(tokens) // settings.batch_size
            places = (lanes + number * settings.window) % (len(tokens) - settings.window)
        else:
            places = torch.randint(len(tokens) - settings.window, (settings.batch_size,), generator=generator)
        index = places[:, None] + torch.arange(settings.window + 1)
        return tokens[index.to(device)].long()

    def step(number: int, given: Tensor | None = None) -> Tensor:
        nonlocal state
        text = batch(number) if given is None else given
        h, after = lstm(embedding(text[:, :-1].t()), state)
        if settings.stateful:
            state = (after[0].detach(), after[1].detach())
        logits = head(F.dropout(h, settings.dropout)).flatten(0, 1)
        target = text[:, 1:].t().flatten()
        loss = F.cross_entropy(logits, target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, settings.clip)
        optimizer.step()
        schedule.step()
        accuracy = (logits.argmax(dim=1) == target).float().mean()
        return torch.stack([loss.detach(), accuracy])

    return step


def gnnkit_step(model: CharLSTM, settings: TextSettings, tokens: Tensor) -> Step:
    """The step of the training loop of `gnnkit text train`."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate, fused=True)
    order = "stream" if settings.stateful else "random"
    windows = TextWindows(tokens, settings.window, batch_size=settings.batch_size, order=order)
    one = train_step(model, optimizer, parameters, settings.clip)
    state: LSTMState | None = model.zero_state(settings.batch_size) if settings.stateful else None

    def step(number: int, given: Tensor | None = None) -> Tensor:
        nonlocal state
        for group in optimizer.param_groups:
            group["lr"] = settings.rate(number)
        text, target = windows.batch(number) if given is None else (given[:, :-1], given[:, 1:])
        figures, after = one(text, target, state)
        if settings.stateful:
            state = after
        return figures

    return step


def training_rows(name: str, settings: TextSettings, device: torch.device, rounds: int) -> list[dict]:
    """A training step, in turns."""
    torch.manual_seed(0)
    tokens = torch.randint(VOCABULARY, (CHARACTERS,), dtype=torch.uint8, device=device)
    model = CharLSTM(VOCABULARY, **settings.model()).to(device)
    # Built from the same weights before either is trained.
    sides = {"inline PyTorch": inline_step(model, settings, tokens), "gnnkit": gnnkit_step(model, settings, tokens)}
    given = [torch.randint(VOCABULARY, (settings.batch_size, settings.window + 1), device=device) for _ in range(4)]
    for number, text in enumerate(given):  # the gate, and the warm-up
        losses = []
        for step in sides.values():
            torch.manual_seed(number)  # the same dropout
            losses.append(float(step(number, text)[0]))
        if abs(losses[0] - losses[1]) > 1e-4:
            raise SystemExit(f"the losses are {losses}: the two sides do not do the same; nothing was timed")
    times: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds):
        order = list(sides) if number % 2 == 0 else list(sides)[::-1]
        for side in order:
            start = time.perf_counter()
            sides[side](number).cpu()  # waits for the device
            times[side].append(time.perf_counter() - start)
    return rows_of(f"training-step-{name}", times, "inline PyTorch", rounds, at_most=1.1)


def writing_rows(samples: int, length: int, device: torch.device, rounds: int) -> list[dict]:
    """Writing some characters: carried, and from the whole prefix each time."""
    torch.manual_seed(0)
    model = CharLSTM(VOCABULARY).to(device).eval()
    start = torch.arange(samples, device=device)[:, None]

    def carried() -> Tensor:
        return torch.stack(list(write_characters(model, start, length, Sampling(greedy=True))), dim=1)

    @torch.inference_mode()
    def again() -> Tensor:
        text = start
        for _ in range(length):
            text = torch.cat([text, model(text).logits[:, -1:].argmax(dim=-1)], dim=1)
        return text[:, 1:].cpu()

    sides = {"whole prefix": again, "gnnkit": carried}
    if not torch.equal(carried(), again()):
        raise SystemExit("the two sides do not write the same; nothing was timed")
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, work in sides.items():
            begin = time.perf_counter()
            work()
            times[side].append(time.perf_counter() - begin)
    return rows_of(f"writing-{length}-characters-{samples}-samples", times, "whole prefix", rounds, at_most=1 / 20)


def rows_of(case: str, times: dict[str, list[float]], peer: str, rounds: int, at_most: float) -> list[dict]:
    """A row a side; `ratio` is its median over the peer's, `at_most` what gnnkit's has to stay under."""
    base = statistics.median(times[peer])
    rows = []
    for side, seconds in times.items():
        low, _, high = statistics.quantiles(seconds, n=4)
        median = statistics.median(seconds)
        limit = at_most if side == "gnnkit" else float("nan")
        figures = {"seconds": median, "quartile_low": low, "quartile_high": high, "ratio": median / base}
        rows.append({"case": case, "side": side, **figures, "at_most": limit, "rounds": rounds})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch on the CPU")
    parser.add_argument("--rounds", type=int, default=51, help="rounds of a training step, at least 2 (51)")
    parser.add_argument("--length", type=int, default=500, help="characters to write (500)")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).resolve().parent / "results", help="folder of the rows"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    rows = []
    # The better recipe's network ties its output, which the inline one does not: its windows and dropout are taken.
    for name in ("report", "report+stateful+windows+dropout"):
        rows += training_rows(name, TextSettings(**preset(name)), device, options.rounds)
    for samples in (1, 5):
        rows += writing_rows(samples, options.length, device, max(2, options.rounds // 10))
    for row in rows:
        print(f"{row['case']:50} {row['side']:16} {row['seconds'] * 1e3:10.2f} ms {row['ratio']:7.3f} ×", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    facts = environment(device)
    table = pd.DataFrame([{**row, **facts} for row in rows])
    table.to_csv(options.out / f"text-{device.type}.csv", index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
