"""A sequence of tokens in, log-probabilities of a class out: the network of the report's first part."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from gnnkit.sequence._contract import check_choice, check_size
from gnnkit.sequence.recurrence import GRU, LSTM, RNN, BiGRU, BiLSTM, BiRNN

__all__ = ["SequenceClassifier"]

_NETWORKS = {"rnn": (RNN, BiRNN), "lstm": (LSTM, BiLSTM), "gru": (GRU, BiGRU)}


class SequenceClassifier(nn.Module):
    """Embed the tokens, read them with a recurrent network, and classify its last state.

    `x_t = E[token_t]`, `h_t = cell(x_t, h_{t-1})`, `p = W_ph h_T + b_p`, `y = log softmax(p)`; with two directions
    h_T is the pair of the last states of both, each of which has read the whole sequence.

    Args:
        num_tokens: Different tokens V; they are 0 ... V - 1.
        hidden_channels: Width C of the state of one direction.
        out_channels: Classes; None (default) is V.
        embedding_channels: Width of the embedding. Default 1, the report's: it is what makes the task hard for an LSTM.
        cell: "rnn", "lstm" (default) or "gru".
        bidirectional: Read the sequence backwards, too. Default False.
        learned_state: Learn the states before the first step. Default True.

    Shape:
        tokens `[B, T]` to `[B, out_channels]`.

    Raises:
        ValueError: A size is below 1, an unknown cell; in `forward` an empty batch, or a token outside the vocabulary.

    Source:
        The course report's part 1: Kaiming-normal weight matrices, drawn on matrices of shape (in, out), whose "fan
        in" in torch's reading is the output: each gate's weights have the deviation sqrt(2 / C), the output's sqrt(2
        / classes). Biases and initial states begin at zero, the embedding at N(0, 1).

    Example:
        >>> model = SequenceClassifier(10, 32, bidirectional=True)
        >>> model(torch.tensor([[1, 5, 2], [0, 9, 3]])).exp().sum(dim=1).round(decimals=4)
        tensor([1., 1.], grad_fn=<RoundBackward1>)
    """

    def __init__(
        self,
        num_tokens: int,
        hidden_channels: int,
        *,
        out_channels: int | None = None,
        embedding_channels: int = 1,
        cell: Literal["rnn", "lstm", "gru"] = "lstm",
        bidirectional: bool = False,
        learned_state: bool = True,
    ) -> None:
        super().__init__()
        self.num_tokens = check_size("num_tokens", num_tokens)
        self.hidden_channels = check_size("hidden_channels", hidden_channels)
        self.out_channels = self.num_tokens if out_channels is None else check_size("out_channels", out_channels)
        self.embedding_channels = check_size("embedding_channels", embedding_channels)
        check_choice("cell", cell, tuple(_NETWORKS))
        self.cell = cell
        self.bidirectional = bidirectional
        self.embedding = nn.Embedding(num_tokens, embedding_channels)
        network = _NETWORKS[cell][1 if bidirectional else 0]
        self.recurrence = network(embedding_channels, hidden_channels, learned_state=learned_state)
        self.head = nn.Linear(self.recurrence.out_channels, self.out_channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew, as the report does."""
        self.embedding.reset_parameters()
        self.recurrence.reset_parameters()
        for name, parameter in self.recurrence.network.named_parameters():
            if name.startswith("weight"):
                nn.init.normal_(parameter, std=(2 / self.hidden_channels) ** 0.5)
            else:
                nn.init.zeros_(parameter)
        nn.init.normal_(self.head.weight, std=(2 / self.out_channels) ** 0.5)
        nn.init.zeros_(self.head.bias)

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B K"]:
        """Log-probabilities of the classes."""
        return self._classify(self.recurrence(self._embed(tokens)).last)

    def unroll(self, tokens: Int[Tensor, "B T"]) -> list[Tensor]:
        """h_1 ... h_T on the plain path, `[B, D C]`; see `LSTM.unroll`."""
        return self.recurrence.unroll(self._embed(tokens))

    def unroll_directions(self, tokens: Int[Tensor, "B T"]) -> list[list[Tensor]]:
        """The states of each direction on the plain path, for gradients; see `LSTM.unroll_directions`."""
        return self.recurrence.unroll_directions(self._embed(tokens))

    def unroll_states(self, tokens: Int[Tensor, "B T"]) -> list[list[Any]]:
        """As `unroll_directions`, with an LSTM's cell states."""
        return self.recurrence.unroll_states(self._embed(tokens))

    def state_loss(self, last: Float[Tensor, "B H"], target: Int[Tensor, " B"]) -> Tensor:
        """The mean negative log-likelihood of the target classes, from the last states (of both directions, joined)."""
        return F.nll_loss(self._classify(last), target)

    def _classify(self, last: Tensor) -> Tensor:
        return F.log_softmax(self.head(last), dim=-1)

    def _embed(self, tokens: Tensor) -> Tensor:
        if tokens.dim() != 2 or tokens.numel() == 0:
            raise ValueError(
                f"tokens must have shape [B, T] with B and T at least 1 (no empty batch), got {list(tokens.shape)}"
            )
        if tokens.is_floating_point() or tokens.dtype == torch.bool:
            raise ValueError(f"tokens must be whole numbers (int64), got {tokens.dtype}")
        low, high = tokens.aminmax()
        if low < 0 or high >= self.num_tokens:
            wrong = int(low) if low < 0 else int(high)
            raise ValueError(
                f"token {wrong} is outside the vocabulary 0 ... {self.num_tokens - 1}; "
                f"build the classifier with a larger num_tokens, or check the data"
            )
        # Embedded steps first, as torch's fused kernels read them; the transposed view costs nothing.
        return self.embedding(tokens.t()).transpose(0, 1)

    def extra_repr(self) -> str:
        return f"num_tokens={self.num_tokens}, cell={self.cell!r}, bidirectional={self.bidirectional}"
