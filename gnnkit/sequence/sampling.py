"""Writing with a character model: which character comes next, and one step of work for each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gnnkit.sequence.cells import LSTMState
from gnnkit.sequence.char_lstm import CharLSTM

__all__ = ["Sampling", "write_characters"]


@dataclass(frozen=True)
class Sampling:
    """How the next character is chosen: the most likely one, or one drawn from `softmax(tau * logits)`.

    τ multiplies the logits, so it is 1 / temperature: below 1 the distribution is flatter, above 1 sharper, and greedy
    is its limit. `top_k` and `top_p` then cut off the unlikely characters before one is drawn.

    Args:
        tau: Factor of the logits. Default 1.
        greedy: Take the most likely character, with no chance in it. Default False.
        top_k: Draw from so many of the likeliest characters. Default None: from all.
        top_p: Draw from the fewest characters that together have at least this share. Default None: from all.

    Raises:
        ValueError: A number is out of range, or greedy goes with one of the others.

    Source:
        τ as in the course report's part 2; top-p after Holtzman et al. (2020).

    Example:
        >>> Sampling(top_k=2).distribution(torch.tensor([[0.0, 0.0, -1.0]])).tolist()
        [[0.5, 0.5, 0.0]]
        >>> Sampling(greedy=True).choose(torch.tensor([[0.0, 3.0, -1.0]])).tolist()
        [1]
    """

    tau: float = 1.0
    greedy: bool = False
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.tau) and self.tau > 0):
            raise ValueError(
                f"tau must be a positive number (it multiplies the logits: 1 / temperature), got {self.tau}; for the "
                f"most likely character take greedy"
            )
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be a whole number of at least 1, got {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be a share above 0, at most 1, got {self.top_p}")
        if self.greedy and (self.tau != 1.0 or self.top_k is not None or self.top_p is not None):
            raise ValueError("greedy takes the most likely character: leave out tau, top_k and top_p")

    def distribution(self, logits: Float[Tensor, "B V"]) -> Float[Tensor, "B V"]:
        """The probabilities that characters are drawn with; those cut off have exactly 0."""
        if self.greedy:
            return F.one_hot(logits.argmax(dim=-1), logits.size(-1)).to(logits.dtype)
        # The likeliest stands at 0, so that it stays there whatever τ is, and the others fall to -inf at most.
        tau = min(self.tau, torch.finfo(logits.dtype).max)
        logits = tau * (logits - logits.amax(dim=-1, keepdim=True))
        if self.top_k is not None and self.top_k < logits.size(-1):
            # By rank, not by value: of equal logits at the border only so many are kept.
            dropped = logits.argsort(dim=-1, descending=True, stable=True)[..., self.top_k :]
            logits = logits.scatter(-1, dropped, -math.inf)
        shares = logits.softmax(dim=-1)
        if self.top_p is not None and self.top_p < 1:
            ordered, place = shares.sort(dim=-1, descending=True, stable=True)
            # A character goes when those before it already have the share; the first never does.
            before = ordered.cumsum(dim=-1) - ordered
            before[..., 0] = -1.0  # whatever top_p rounds to
            ordered = torch.where(before < self.top_p, ordered, 0.0)
            shares = torch.zeros_like(shares).scatter(-1, place, ordered)
            shares = shares / shares.sum(dim=-1, keepdim=True)
        return shares

    def choose(self, logits: Float[Tensor, "B V"], generator: torch.Generator | None = None) -> Int[Tensor, " B"]:
        """The next character of each sample."""
        if self.greedy:
            return logits.argmax(dim=-1)
        return torch.multinomial(self.distribution(logits), 1, generator=generator).squeeze(-1)


def write_characters(
    model: CharLSTM,
    start: Int[Tensor, "B T"],
    length: int,
    sampling: Sampling | None = None,
    *,
    generator: torch.Generator | None = None,
) -> Iterator[Int[Tensor, " B"]]:
    """Go on writing after a start, one character of every sample at a time.

    The state is carried: the start is read once, and each character after it costs one step, however long the text.
    The model is put in evaluation mode.

    Args:
        model: A (trained) model, on any device.
        start: What each sample begins with; int64.
        length: Characters to write after it.
        sampling: How a character is chosen. Default: drawn with τ = 1.
        generator: A CPU generator, for the same text again. Default: torch's own.

    Returns:
        An iterator of `length` vectors with a character of each sample, on the CPU.

    Raises:
        ValueError: `length` is below 1, or the start does not fit the model.

    Example:
        >>> model = CharLSTM(3, 8, embedding_channels=2)
        >>> text = torch.stack(list(write_characters(model, torch.tensor([[0], [1]]), 5)), dim=1)
        >>> text.shape
        torch.Size([2, 5])
    """
    if isinstance(length, bool) or not isinstance(length, int) or length < 1:
        raise ValueError(f"length must be a whole number of at least 1, got {length!r}")
    model.eval()
    return _write(model, start, length, sampling or Sampling(), generator)


def _write(
    model: CharLSTM, start: Tensor, length: int, sampling: Sampling, generator: torch.Generator | None
) -> Iterator[Tensor]:
    device = model.embedding.weight.device
    # Drawn on the CPU: the same seed gives the same text wherever the model runs, up to rounding. The mode is entered
    # anew at each step: between two of them the caller's code runs, and its gradients are its own affair.
    with torch.inference_mode():
        scores = model(start.to(device))
        steps = _Steps(model, scores.state)
        character = sampling.choose(scores.logits[:, -1].float().cpu(), generator)
    yield character
    for _ in range(length - 1):
        with torch.inference_mode():
            logits = steps.read(character.to(device))
            character = sampling.choose(logits.float().cpu(), generator)
        yield character


class _Steps:
    """A model in evaluation mode, a character at a time: torch's cells, which cost a third of its network's call.

    What each step would compute again is made once: scaled embeddings, and the output matrix of a tied model.
    """

    def __init__(self, model: CharLSTM, state: LSTMState) -> None:
        network, embedding = model.network, model.embedding.weight
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        self.layers = [[getattr(network, f"{name}_l{layer}") for name in names] for layer in range(model.num_layers)]
        self.h, self.c = list(state.h), list(state.c)
        self.embedding = embedding * model.embedding_channels**0.5 if model.tied else embedding
        self.output = model.output if model.projection is None else model.output @ model.projection.weight
        self.bias = model.bias

    def read(self, character: Int[Tensor, " B"]) -> Float[Tensor, "B V"]:
        """Scores of the character after this one."""
        x = self.embedding[character]
        for layer, weights in enumerate(self.layers):
            self.h[layer], self.c[layer] = torch.lstm_cell(x, (self.h[layer], self.c[layer]), *weights)
            x = self.h[layer]
        return F.linear(x, self.output, self.bias)
