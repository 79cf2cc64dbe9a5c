"""Speed of the sequence part against the same work written inline: rows to benchmarks/results/sequence-<device>.csv.

    python benchmarks/sequence.py

Two questions, each with its peer in the same process, in turns:

- a training step of `SequenceClassifier` against the same network and step in plain PyTorch (at most 1.1 × its time);
  both start from the same weights, and their losses must agree before anything is timed;
- a batch of random combinations against one NumPy permutation a sample (at least 5 times as fast). The endless stream
  draws some batches ahead, so whole runs of batches are timed, not the cheapest one.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gnnkit.data import EndlessCombinations
from gnnkit.sequence import SequenceClassifier
from gnnkit.training.environment import environment

HIDDEN, BATCH, RATE, CLIP = 128, 128, 1e-3, 10.0
Step = Callable[[Tensor, Tensor], Tensor]


def classifier_step(model: SequenceClassifier) -> Step:
    """The study's training step."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=RATE, fused=True)

    def step(tokens: Tensor, target: Tensor) -> Tensor:
        loss = F.nll_loss(model(tokens), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        return loss.detach()

    return step


def inline_step(model: SequenceClassifier) -> Step:
    """The same network from the same weights, and the same step, as one would write it in a script."""
    device = model.head.weight.device
    embeddings, lstms, initial_states = [], [], []
    for theirs, recurrence in zip(model.embeddings, model.recurrences, strict=True):
        embedding = nn.Embedding.from_pretrained(theirs.weight.detach().clone(), freeze=False)
        lstm = nn.LSTM(embedding.embedding_dim, HIDDEN)
        lstm.load_state_dict(recurrence.network.state_dict())
        lstm.bias_hh_l0.requires_grad_(False)
        embeddings.append(embedding.to(device))
        lstms.append(lstm.to(device))
        initial_states.append([nn.Parameter(torch.zeros(1, 1, HIDDEN, device=device)) for _ in range(2)])
    head = nn.Linear(len(lstms) * HIDDEN, model.out_channels)
    head.load_state_dict(model.head.state_dict())
    head.to(device)
    modules = [*embeddings, *lstms, head]
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    parameters += [state for pair in initial_states for state in pair]
    optimizer = torch.optim.Adam(parameters, lr=RATE, fused=True)

    def step(tokens: Tensor, target: Tensor) -> Tensor:
        last = []
        for number, (embedding, lstm, (h_0, c_0)) in enumerate(zip(embeddings, lstms, initial_states, strict=True)):
            order = tokens.t().flip(0) if number else tokens.t()
            initial = h_0.expand(-1, tokens.size(0), -1).contiguous(), c_0.expand(-1, tokens.size(0), -1).contiguous()
            last.append(lstm(embedding(order), initial)[1][0][0])
        last = torch.cat(last, dim=1)
        loss = F.nll_loss(F.log_softmax(head(last), dim=1), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        return loss.detach()

    return step


def training_rows(length: int, bidirectional: bool, embedding: int, device: torch.device, rounds: int) -> list[dict]:
    """One training step each, in turns."""
    torch.manual_seed(0)
    model = SequenceClassifier(length, HIDDEN, embedding_channels=embedding, bidirectional=bidirectional).to(device)
    sides = {"inline PyTorch": inline_step(model), "gnnkit": classifier_step(model)}
    stream = iter(EndlessCombinations(length, 0, batch_size=BATCH, device=device))
    for _ in range(5):  # the gate, and the warm-up
        batch = next(stream)
        losses = [float(step(*batch)) for step in sides.values()]
        if abs(losses[0] - losses[1]) > 1e-4:
            raise SystemExit(f"the losses are {losses}: the two sides do not do the same; nothing was timed")
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        batch = next(stream)
        order = list(sides) if number % 2 == 0 else list(sides)[::-1]
        for name in order:
            start = time.perf_counter()
            float(sides[name](*batch))  # waits for the device
            times[name].append(time.perf_counter() - start)
    case = f"training-step-{'bilstm' if bidirectional else 'lstm'}-T{length}-embedding{embedding}"
    return rows_of(case, times, "inline PyTorch", rounds, at_most=1.1)


def numpy_batches(length: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """One permutation a sample."""
    generator = np.random.default_rng(0)
    while True:
        rows = torch.from_numpy(np.stack([generator.permutation(length) for _ in range(BATCH)])).to(device)
        yield rows[:, :-1], rows[:, -1]


def batch_rows(length: int, device: torch.device, rounds: int, batches: int = 128) -> list[dict]:
    """A round is 128 batches, taken one by one; seconds are those of a batch."""
    sides = {
        "numpy permutation a sample": numpy_batches(length, device),
        "gnnkit": iter(EndlessCombinations(length, 0, batch_size=BATCH, device=device)),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, stream in sides.items():
            start = time.perf_counter()
            for _ in islice(stream, batches):
                pass
            if device.type == "cuda":
                torch.cuda.synchronize()
            if number > 0:  # the first is the warm-up
                times[name].append((time.perf_counter() - start) / batches)
    return rows_of(f"batch-T{length}", times, "numpy permutation a sample", rounds, at_most=1 / 5)


def rows_of(case: str, times: dict[str, list[float]], peer: str, rounds: int, at_most: float) -> list[dict]:
    """A row a side; `ratio` is its median over the peer's, `at_most` what gnnkit's has to stay under."""
    base = statistics.median(times[peer])
    rows = []
    for side, seconds in times.items():
        low, _, high = statistics.quantiles(seconds, n=4)
        median = statistics.median(seconds)
        rows.append(
            {
                "case": case,
                "side": side,
                "seconds": median,
                "quartile_low": low,
                "quartile_high": high,
                "ratio": median / base,
                "at_most": at_most if side == "gnnkit" else float("nan"),
                "rounds": rounds,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch on the CPU")
    parser.add_argument("--rounds", type=int, default=101, help="rounds a case, at least 2 (101)")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).resolve().parent / "results", help="folder of the rows"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    rows = []
    for length in (5, 10, 15, 50):
        rows += batch_rows(length, device, max(2, options.rounds // 5))
    for length, bidirectional, embedding in ((5, False, 1), (15, False, 1), (15, True, 1), (15, False, 128)):
        rows += training_rows(length, bidirectional, embedding, device, options.rounds)
    for row in rows:
        print(f"{row['case']:36} {row['side']:28} {row['seconds'] * 1e3:9.3f} ms {row['ratio']:7.3f} ×", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    facts = environment(device)
    table = pd.DataFrame([{**row, **facts} for row in rows])
    table.to_csv(options.out / f"sequence-{device.type}.csv", index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
