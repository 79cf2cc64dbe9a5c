"""A sequence of tokens in, log-probabilities of a class out: the network of the report's first part."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from gnnkit.sequence._contract import check_choice, check_size
from gnnkit.sequence.recurrence import GRU, LSTM, RNN, StatesByDirection

__all__ = ["SequenceClassifier"]

_NETWORKS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


class SequenceClassifier(StatesByDirection):
    """Embed the tokens, read them with a recurrent network, and classify its last state.

    `x_t = E[token_t]`, `h_t = cell(x_t, h_{t-1})`, `p = W_ph h_T + b_p`, `y = log softmax(p)`. With two directions a
    second network reads the tokens backwards, from an embedding of its own, and h_T is the pair of the last states:
    each has read the whole sequence.

    Args:
        num_tokens: Different tokens V; they are 0 ... V - 1.
        hidden_channels: Width C of the state of one direction.
        out_channels: Classes; None (default) is V.
        embedding_channels: Width of the embedding. Default 1, the report's: it is what makes the task hard for an LSTM.
        cell: "rnn", "lstm" (default) or "gru".
        bidirectional: Read the sequence backwards, too. Default False.
        shared_embedding: Both directions read the same embedding. Default False: where the width is 1, tokens that lie
            close together in one embedding rarely do in both.
        learned_state: Learn the states before the first step. Default True.
        kaiming_fan: Weights are drawn from N(0, 2 / fan) with the outputs (`"out"`, default) or the inputs (`"in"`) of
            each matrix as its fan.

    Shape:
        tokens `[B, T]` to `[B, out_channels]`.

    Raises:
        ValueError: A size is below 1, an unknown cell; in `forward` an empty batch, or a token outside the vocabulary.

    Source:
        The course report's part 1: Kaiming-normal weight matrices, one a gate, of shape (in, out); biases and initial
        states begin at zero. torch's `kaiming_normal_` takes a matrix for (out, in), so on these it divides by the
        outputs: 128 for a gate, the number of classes for the output layer. That is `kaiming_fan="out"`, with which
        the report's tables come out; `"in"` is what the name promises. What the report leaves open: the embedding, here
        from N(0, 1), and whether the two directions share it; with one for both, a BiLSTM is far from its losses.

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
        shared_embedding: bool = False,
        learned_state: bool = True,
        kaiming_fan: Literal["in", "out"] = "out",
    ) -> None:
        super().__init__()
        self.num_tokens = check_size("num_tokens", num_tokens)
        self.hidden_channels = check_size("hidden_channels", hidden_channels)
        self.out_channels = self.num_tokens if out_channels is None else check_size("out_channels", out_channels)
        self.embedding_channels = check_size("embedding_channels", embedding_channels)
        check_choice("cell", cell, tuple(_NETWORKS))
        check_choice("kaiming_fan", kaiming_fan, ("in", "out"))
        self.cell = cell
        self.kaiming_fan = kaiming_fan
        self.bidirectional = bidirectional
        directions = 2 if bidirectional else 1
        embeddings = [nn.Embedding(num_tokens, embedding_channels) for _ in range(directions)]
        #: One a direction, forward first; the same module twice where it is shared.
        self.embeddings = nn.ModuleList(embeddings[:1] * directions if shared_embedding else embeddings)
        self.recurrences = nn.ModuleList(
            _NETWORKS[cell](embedding_channels, hidden_channels, learned_state=learned_state) for _ in range(directions)
        )
        self.head = nn.Linear(directions * hidden_channels, self.out_channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew: Kaiming-normal by `kaiming_fan`; biases and initial states are zero."""
        for embedding, recurrence in zip(self.embeddings, self.recurrences, strict=True):
            assert isinstance(embedding, nn.Embedding)
            assert isinstance(recurrence, (RNN, LSTM, GRU))
            embedding.reset_parameters()
            recurrence.reset_parameters()
            for name, parameter in recurrence.network.named_parameters():
                if name.startswith("weight"):  # torch keeps (out, in), the gates one below the other
                    fan = parameter.size(1) if self.kaiming_fan == "in" else self.hidden_channels
                    nn.init.normal_(parameter, std=(2 / fan) ** 0.5)
                else:
                    nn.init.zeros_(parameter)
        fan = self.head.in_features if self.kaiming_fan == "in" else self.head.out_features
        nn.init.normal_(self.head.weight, std=(2 / fan) ** 0.5)
        nn.init.zeros_(self.head.bias)

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B K"]:
        """Log-probabilities of the classes."""
        last = [recurrence(x).last for x, recurrence in zip(self._embed(tokens), self.recurrences, strict=True)]
        return self._classify(torch.cat(last, dim=-1))

    def unroll_states(self, x: Int[Tensor, "B T"]) -> list[list[Any]]:
        read: list[list[Any]] = []
        for steps, recurrence in zip(self._embed(x), self.recurrences, strict=True):
            assert isinstance(recurrence, (RNN, LSTM, GRU))
            read += recurrence.unroll_states(steps)
        # In the order of the sequence, whichever way it was read.
        return [read[0], *(states[::-1] for states in read[1:])]

    def state_loss(self, last: Float[Tensor, "B H"], target: Int[Tensor, " B"]) -> Tensor:
        """The mean negative log-likelihood of the target classes, from the last states (of both directions, joined)."""
        return F.nll_loss(self._classify(last), target)

    def _classify(self, last: Tensor) -> Tensor:
        return F.log_softmax(self.head(last), dim=-1)

    def _embed(self, tokens: Tensor) -> list[Tensor]:
        """Each direction's steps, in the order in which it reads them."""
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
        steps = tokens.t()  # steps first, as torch's fused kernels read them; the transposed view costs nothing
        orders = (steps, steps.flip(0)) if self.bidirectional else (steps,)
        return [embedding(order).transpose(0, 1) for embedding, order in zip(self.embeddings, orders, strict=True)]

    def extra_repr(self) -> str:
        return f"num_tokens={self.num_tokens}, cell={self.cell!r}, bidirectional={self.bidirectional}"
