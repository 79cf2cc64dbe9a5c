"""The sequence part and the character LSTM against the same work written inline; the peer is the first side.

- a training step of `SequenceClassifier` against the same network and step in plain PyTorch (at most 1.1 × its time);
- a batch of random combinations against one NumPy permutation a sample (at least 5 times as fast). The endless stream
  draws some batches ahead, so whole runs of batches are timed, not the cheapest one;
- a training step of `gnnkit text train` (batch from the book, forward, backward, clip, Adam, accuracy) against the same
  network and step in plain PyTorch (at most 1.1 × its time); both read the same windows;
- writing 500 characters with the state carried, against reading the whole prefix again for each (at least 20 × as
  fast); both write greedily, and the texts must be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from itertools import count, cycle, islice

import numpy as np
import torch
import torch.nn.functional as F
from contest import Case, Side
from torch import Tensor, nn

from gnnkit.data import EndlessCombinations, TextWindows
from gnnkit.sequence import CharLSTM, LSTMState, Sampling, SequenceClassifier, write_characters
from gnnkit.studies.text.settings import TextSettings, preset
from gnnkit.studies.text.training import train_step

__all__ = ["SEQUENCE", "TEXT"]

HIDDEN, BATCH, RATE, CLIP = 128, 128, 1e-3, 10.0
#: Batches of a run.
RUN = 128


def classifier_loss(model: SequenceClassifier) -> tuple[Callable[[Tensor, Tensor], Tensor], list[nn.Parameter]]:
    """The study's loss, and what it trains."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return lambda tokens, target: F.nll_loss(model(tokens), target), parameters


def inline_loss(model: SequenceClassifier) -> tuple[Callable[[Tensor, Tensor], Tensor], list[nn.Parameter]]:
    """The same network from the same weights, as one would write it in a script."""
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

    def loss(tokens: Tensor, target: Tensor) -> Tensor:
        last = []
        for number, (embedding, lstm, (h_0, c_0)) in enumerate(zip(embeddings, lstms, initial_states, strict=True)):
            order = tokens.t().flip(0) if number else tokens.t()
            initial = h_0.expand(-1, tokens.size(0), -1).contiguous(), c_0.expand(-1, tokens.size(0), -1).contiguous()
            last.append(lstm(embedding(order), initial)[1][0][0])
        return F.nll_loss(F.log_softmax(head(torch.cat(last, dim=1)), dim=1), target)

    return loss, parameters


def training_sides(device: torch.device, length: int, bidirectional: bool, embedding: int) -> list[Side]:
    """One training step on both sides; they read the same batches, and their losses are compared first."""
    torch.manual_seed(0)
    model = SequenceClassifier(length, HIDDEN, embedding_channels=embedding, bidirectional=bidirectional).to(device)
    stream = EndlessCombinations(length, 0, batch_size=BATCH, device=device)
    batches = [(tokens.clone(), target.clone()) for tokens, target in islice(stream, 8)]

    def side(name: str, release: str, loss: Callable[[Tensor, Tensor], Tensor], parameters: list[nn.Parameter]) -> Side:
        optimizer = torch.optim.Adam(parameters, lr=RATE, fused=True)
        following = cycle(batches)

        def step() -> list[Tensor]:
            found = loss(*next(following))
            optimizer.zero_grad(set_to_none=True)
            found.backward()
            torch.nn.utils.clip_grad_norm_(parameters, CLIP)
            optimizer.step()
            return [found.detach()]

        return Side(name, release, step, check=lambda: [step()[0] for _ in range(5)], rounds=101)

    # Built from the same weights before either is trained.
    inline, ours = inline_loss(model), classifier_loss(model)
    return [side("inline PyTorch", torch.__version__, *inline), side("gnnkit", version("gnnkit"), *ours)]


def batch_sides(device: torch.device, length: int) -> list[Side]:
    """A round is 128 batches, taken one by one; seconds are those of a batch."""

    def permutations() -> Iterator[tuple[Tensor, Tensor]]:
        generator = np.random.default_rng(0)
        while True:
            rows = torch.from_numpy(np.stack([generator.permutation(length) for _ in range(BATCH)])).to(device)
            yield rows[:, :-1], rows[:, -1]

    def side(name: str, release: str, stream: Iterator[tuple[Tensor, Tensor]]) -> Side:
        return Side(name, release, lambda: [target for _, target in islice(stream, RUN)], rounds=20, scale=1 / RUN)

    stream = iter(EndlessCombinations(length, 0, batch_size=BATCH, device=device))
    return [
        side("numpy permutation a sample", np.__version__, permutations()),
        side("gnnkit", version("gnnkit"), stream),
    ]


def _sequence_cases() -> list[Case]:
    cases = [
        Case(f"batch-T{n}", f"a batch of combinations, T = {n}", partial(batch_sides, length=n), at_most=0.2, gate=None)
        for n in (5, 10, 15, 50)
    ]
    for length, bidirectional, embedding in ((5, False, 1), (15, False, 1), (15, True, 1), (15, False, 128)):
        cell = "bilstm" if bidirectional else "lstm"
        build = partial(training_sides, length=length, bidirectional=bidirectional, embedding=embedding)
        name = f"training-step-{cell}-T{length}-embedding{embedding}"
        title = f"a training step of the {cell.upper().replace('BI', 'Bi')}, T = {length}, embedding {embedding}"
        cases.append(Case(name, title, build, at_most=1.1))
    return cases


#: Name → case; the peer is the first side.
SEQUENCE = {case.name: case for case in _sequence_cases()}

#: Characters in the vocabulary of "The Brothers Karamazov", and in the synthetic text that is read here.
VOCABULARY, CHARACTERS = 96, 1_000_000
TextStep = Callable[..., Tensor]


def inline_text_step(model: CharLSTM, settings: TextSettings, tokens: Tensor) -> TextStep:
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


def text_step(model: CharLSTM, settings: TextSettings, tokens: Tensor) -> TextStep:
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


def text_sides(device: torch.device, name: str) -> list[Side]:
    """A training step of a preset."""
    settings = TextSettings(**preset(name))
    torch.manual_seed(0)
    tokens = torch.randint(VOCABULARY, (CHARACTERS,), dtype=torch.uint8, device=device)
    model = CharLSTM(VOCABULARY, **settings.model()).to(device)
    given = [torch.randint(VOCABULARY, (settings.batch_size, settings.window + 1), device=device) for _ in range(4)]

    def side(label: str, release: str, step: TextStep) -> Side:
        numbers = count()

        def check() -> list[Tensor]:
            losses = []
            for number, text in enumerate(given):
                torch.manual_seed(number)  # the same dropout
                losses.append(step(number, text)[0])
            return losses

        return Side(label, release, lambda: [step(next(numbers))], check=check, rounds=51)

    # Built from the same weights before either is trained.
    inline, ours = inline_text_step(model, settings, tokens), text_step(model, settings, tokens)
    return [side("inline PyTorch", torch.__version__, inline), side("gnnkit", version("gnnkit"), ours)]


def writing_sides(device: torch.device, samples: int, length: int) -> list[Side]:
    """Writing some characters: from the whole prefix each time, and carried."""
    torch.manual_seed(0)
    model = CharLSTM(VOCABULARY).to(device).eval()
    start = torch.arange(samples, device=device)[:, None]

    def carried() -> list[Tensor]:
        return [torch.stack(list(write_characters(model, start, length, Sampling(greedy=True))), dim=1).double()]

    @torch.inference_mode()
    def again() -> list[Tensor]:
        text = start
        for _ in range(length):
            text = torch.cat([text, model(text).logits[:, -1:].argmax(dim=-1)], dim=1)
        return [text[:, 1:].cpu().double()]

    return [
        Side("whole prefix", torch.__version__, again, rounds=5),
        Side("gnnkit", version("gnnkit"), carried, rounds=5),
    ]


def _text_cases() -> list[Case]:
    # The better recipe's network ties its output, which the inline one does not: its windows and dropout are taken.
    cases = [
        Case(f"training-step-{name}", f"a training step, {name}", partial(text_sides, name=name), at_most=1.1)
        for name in ("report", "report+stateful+windows+dropout")
    ]
    for samples in (1, 5):
        title = f"writing 500 characters, {samples} sample{'s' if samples > 1 else ''}"
        build = partial(writing_sides, samples=samples, length=500)
        cases.append(Case(f"writing-500-characters-{samples}-samples", title, build, at_most=1 / 20, gate=0))
    return cases


TEXT = {case.name: case for case in _text_cases()}
