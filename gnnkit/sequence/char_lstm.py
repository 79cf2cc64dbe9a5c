"""An LSTM that reads and writes text, character by character."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor, nn

from gnnkit.sequence._contract import check_dropout, check_size
from gnnkit.sequence.cells import LSTMState
from gnnkit.sequence.mixed_lstm import MixedLSTM

__all__ = ["CharLSTM", "CharScores"]


class CharScores(NamedTuple):
    """What a `CharLSTM` returns: scores of the next character after each one read, and the state to go on from.

    Shape:
        logits `[B, T, V]`; state h and c `[L, B, C]`.
    """

    logits: Tensor
    state: LSTMState


class CharLSTM(nn.Module):
    """A character language model: embedding, L layers of LSTM, and an output layer.

    `p(x_{t+1} | x_1 ... x_t) = softmax(W h_t^L + b)`, where `h_t^1` reads the embedding of `x_t` and `h_t^l` reads
    `h_t^{l-1}`. In training a share of what each layer hands upwards is dropped, never what it hands on in time.

    With a tied output the embedding E serves as output matrix too: `softmax(E P h_t^L + b)` with a projection P from
    hidden to embedding width. E is then drawn with variance 1 / width, and what is read is scaled by sqrt(width).

    Args:
        num_tokens: Characters V in the vocabulary.
        hidden_channels: Width C of each layer's state. Default 256.
        embedding_channels: Width of the embedding. Default 128.
        num_layers: Layers L. Default 2.
        dropout: Share of each layer's outputs that is dropped on its way up. Default 0.
        tied: Output and input share the embedding. Default False.

    Shape:
        tokens `[B, T]` to logits `[B, T, V]` and the state, h and c `[L, B, C]`.

    Raises:
        ValueError: A size is below 1, the dropout is no share, or tokens or state do not fit.

    Source:
        The course report's part 2, table 3; dropout between layers after Zaremba et al. (2014), the tied output after
        Press & Wolf (2017). Runs on `torch.nn.LSTM`, whose second bias is held at zero: one bias a gate, as in the
        equations.

    Example:
        >>> model = CharLSTM(96)
        >>> logits, state = model(torch.zeros(4, 30, dtype=torch.int64))
        >>> logits.shape, state.h.shape
        (torch.Size([4, 30, 96]), torch.Size([2, 4, 256]))
    """

    def __init__(
        self,
        num_tokens: int,
        hidden_channels: int = 256,
        *,
        embedding_channels: int = 128,
        num_layers: int = 2,
        dropout: float = 0.0,
        tied: bool = False,
    ) -> None:
        super().__init__()
        self.num_tokens = check_size("num_tokens", num_tokens)
        self.hidden_channels = check_size("hidden_channels", hidden_channels)
        self.embedding_channels = check_size("embedding_channels", embedding_channels)
        self.num_layers = check_size("num_layers", num_layers)
        self.dropout = check_dropout(dropout)
        self.tied = bool(tied)
        self.embedding = nn.Embedding(num_tokens, embedding_channels)
        # torch drops between layers, and warns where there is but one.
        between = dropout if num_layers > 1 else 0.0
        self.network = MixedLSTM(embedding_channels, hidden_channels, num_layers, dropout=between)
        self.projection = nn.Linear(hidden_channels, embedding_channels, bias=False) if tied else None
        self.head = None if tied else nn.Linear(hidden_channels, num_tokens, bias=False)
        self.bias = nn.Parameter(torch.empty(num_tokens))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew: torch's own distributions, and as above where the output is tied."""
        self.network.reset_parameters()
        for name, parameter in self.network.named_parameters():
            if name.startswith("bias_hh"):
                nn.init.zeros_(parameter.requires_grad_(False))
        if self.projection is None:
            self.embedding.reset_parameters()
        else:
            nn.init.normal_(self.embedding.weight, std=self.embedding_channels**-0.5)
            self.projection.reset_parameters()
        if self.head is not None:
            self.head.reset_parameters()
        bound = self.hidden_channels**-0.5
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, tokens: Int[Tensor, "B T"], state: LSTMState | None = None) -> CharScores:
        """Read characters and score the one after each.

        Args:
            tokens: Numbers of characters, int32 or int64.
            state: What an earlier call returned, to read on from there; None is zero.
        """
        self._check(tokens, state)
        # Steps first, as torch's fused kernels read them; the transposed views cost nothing.
        x = self.embedding(tokens.t())  # [T, B, embedding]
        if self.tied:
            x = x * self.embedding_channels**0.5
        h, (last_h, last_c) = self.network(x, None if state is None else tuple(state))
        h = F.dropout(h, self.dropout, self.training)
        if self.projection is not None:
            h = self.projection(h)
        logits = F.linear(h, self.output, self.bias)
        return CharScores(logits.transpose(0, 1), LSTMState(last_h, last_c))

    @property
    def output(self) -> Tensor:
        """The output matrix, [V, hidden], or [V, embedding] where it is tied."""
        return self.embedding.weight if self.head is None else self.head.weight

    def zero_state(self, batch_size: int) -> LSTMState:
        """The state before anything was read, `[L, B, C]`."""
        weight = self.embedding.weight
        zeros = weight.new_zeros(self.num_layers, batch_size, self.hidden_channels)
        return LSTMState(zeros, zeros.clone())

    def _check(self, tokens: Tensor, state: LSTMState | None) -> None:
        if tokens.dim() != 2 or tokens.numel() == 0:
            raise ValueError(f"tokens must have shape [B, T] with B and T at least 1, got {list(tokens.shape)}")
        if tokens.dtype not in (torch.int64, torch.int32):
            raise ValueError(f"tokens must be int64 or int32, got {tokens.dtype}; call .long() on encoded text")
        if tokens.device.type == "cpu":  # elsewhere the check would wait for the device at every step
            low, high = tokens.aminmax()
            if low < 0 or high >= self.num_tokens:
                wrong = int(low) if low < 0 else int(high)
                raise ValueError(f"token {wrong} is outside the vocabulary 0 ... {self.num_tokens - 1}")
        if state is not None:
            expected = [self.num_layers, tokens.size(0), self.hidden_channels]
            if any(list(part.shape) != expected for part in state):
                raise ValueError(
                    f"state must have shape [L, B, C] = {expected}, got {[list(part.shape) for part in state]}; "
                    f"a state belongs to the batch that it was computed from"
                )

    def extra_repr(self) -> str:
        return f"num_tokens={self.num_tokens}, dropout={self.dropout}, tied={self.tied}"
