"""Recurrent forecasters that see no graph, on torch's fused kernels: one skeleton, four recurrences.

Each comes in two forms, since published comparisons differ by just this:

- `"per-node"`: one small network is shared by all nodes; a node's forecast depends on its own past alone;
- `"joint"`: all nodes are one input vector; the network is tied to the number and the order of the nodes.

All are called as every forecaster is, `forecaster(x, edge_index, edge_weight)`, and **ignore the graph** (`uses_graph`
is False): they are the baselines that a graph model has to beat.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gnnkit.sequence._contract import Graph, UnrolledForecaster, check_choice, check_dropout, check_size
from gnnkit.sequence.cells import GRUCell, LSTMCell, RNNCell
from gnnkit.sequence.mixed_lstm import MixedLSTM

__all__ = ["BiLSTMForecaster", "GRUForecaster", "LSTMForecaster", "RNNForecaster"]

Form = Literal["per-node", "joint"]


class _RecurrentForecaster(UnrolledForecaster):
    """The skeleton: rows through a fused recurrence, last state into a linear head for all P steps: `y = W h_T + b`."""

    search_space: ClassVar[dict[str, tuple]] = {"num_layers": (1, 2)}
    #: What a subclass fills in.
    network: ClassVar[Callable[..., nn.RNNBase]]
    cell: ClassVar[type[RNNCell] | type[LSTMCell] | type[GRUCell]]
    bidirectional: ClassVar[bool] = False

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        horizon: int,
        *,
        num_layers: int = 1,
        dropout: float = 0.0,
        num_nodes: int | None = None,
        form: Form = "per-node",
        mask_input: bool = False,
    ) -> None:
        """Build the network.

        Args:
            in_channels, hidden_channels, horizon, mask_input: As in `ForecasterModule`.
            num_layers: Recurrent layers on top of each other. Default 1.
            dropout: Share dropped between layers and before the head. Default 0.
            num_nodes: Nodes N. Needed by `form="joint"`; in `"per-node"` it may be left out, and is checked if given.
            form: `"per-node"` (default) shares one network among the nodes; `"joint"` reads and predicts all nodes as
                one vector.

        Raises:
            ValueError: A size below 1, a share outside [0, 1), an unknown form, or `"joint"` without `num_nodes`.
        """
        sizes = {"hidden_channels": hidden_channels, "num_nodes": num_nodes}
        super().__init__(in_channels, horizon, mask_input=mask_input, **sizes)
        self.num_layers = check_size("num_layers", num_layers)
        self.dropout = check_dropout(dropout)
        check_choice("form", form, ("per-node", "joint"))
        self.form = form
        if form == "joint" and num_nodes is None:
            raise ValueError(
                "form='joint' reads all nodes as one vector and needs their number: "
                "give num_nodes=N, or take form='per-node'"
            )
        # A joint network's input and output hold all nodes; a per-node network's hold one.
        width = self.num_nodes if form == "joint" else 1
        self.rnn = type(self).network(
            width * self.width,
            self.hidden_channels,
            self.num_layers,
            bidirectional=self.bidirectional,
            # torch drops between layers only, and warns where there is nothing in between.
            dropout=self.dropout if self.num_layers > 1 else 0.0,
        )
        self.head = nn.Linear((2 if self.bidirectional else 1) * self.hidden_channels, width * self.horizon)

    def predict(self, x: Tensor, graph: Graph) -> Tensor:
        batch, _, num_nodes, _ = x.shape
        rows = self._steps_first(x)  # [T, B, N, F], joint: [T, B, N * F]
        if self.form == "per-node":
            rows = rows.flatten(1, 2)
        _, state = self.rnn(rows)
        h = state[0] if isinstance(state, tuple) else state  # [layers * directions, rows, C]
        last = torch.cat([h[-2], h[-1]], dim=-1) if self.bidirectional else h[-1]
        out = self.head(F.dropout(last, self.dropout, self.training))
        if self.form == "per-node":
            return out.view(batch, num_nodes, self.horizon).transpose(1, 2)
        return out.view(batch, self.horizon, num_nodes)

    def states(self, x: Tensor, graph: Graph) -> list[Tensor]:
        """The states in plain operations: per-node `[B, N, C]`, joint `[B, C]`, both directions' side by side."""
        sequence = list(self._steps_first(x).unbind(0))
        for layer in range(self.num_layers):
            if layer > 0:
                sequence = [F.dropout(h, self.dropout, self.training) for h in sequence]
            forward = self._unroll_one(sequence, layer)
            if self.bidirectional:
                backward = self._unroll_one(sequence[::-1], layer, reverse=True)[::-1]
                sequence = [torch.cat(pair, dim=-1) for pair in zip(forward, backward, strict=True)]
            else:
                sequence = forward
        return sequence

    def _unroll_one(self, sequence: list[Tensor], layer: int, *, reverse: bool = False) -> list[Tensor]:
        states = self.cell.from_torch(self.rnn, layer=layer, reverse=reverse, tied=True).unroll(sequence)
        return [state[0] if isinstance(state, tuple) else state for state in states]

    def _steps_first(self, x: Tensor) -> Tensor:
        x = x.transpose(0, 1)
        return x.flatten(2) if self.form == "joint" else x

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.hidden_channels}, horizon={self.horizon}, form={self.form!r}, "
            f"num_nodes={self.num_nodes}, dropout={self.dropout}, mask_input={self.mask_input}"
        )


class RNNForecaster(_RecurrentForecaster):
    """Forecast with a vanilla recurrent network: `h_t = tanh(W_x x_t + b_x + W_h h_{t-1} + b_h)`.

    The graph is ignored. `__init__` lists the arguments.

    Source:
        Elman (1990), "Finding structure in time". Runs on `torch.nn.RNN`.

    Example:
        >>> RNNForecaster(1, 16, horizon=3)(torch.randn(2, 12, 5, 1)).shape
        torch.Size([2, 3, 5])
    """

    network, cell = nn.RNN, RNNCell


class LSTMForecaster(_RecurrentForecaster):
    """Forecast with a long short-term memory.

    `input, forget, output = sigmoid(W x_t + U h_{t-1} + b)`, `modulation = tanh(W x_t + U h_{t-1} + b)`,
    `c_t = forget * c_{t-1} + input * modulation`, `h_t = output * tanh(c_t)`.

    The graph is ignored. `__init__` lists the arguments.

    Source:
        Hochreiter & Schmidhuber (1997), with the forget gate of Gers et al. (2000). Runs on `torch.nn.LSTM`, which adds
        two biases where the equations have one: 4 (F C + C^2 + 2 C) + C P + P parameters in the per-node form.

    Example:
        >>> LSTMForecaster(1, 16, horizon=3, form="joint", num_nodes=5)(torch.randn(2, 12, 5, 1)).shape
        torch.Size([2, 3, 5])
    """

    network, cell = MixedLSTM, LSTMCell


class BiLSTMForecaster(LSTMForecaster):
    """Forecast with two LSTMs, one of which reads the history backwards; the head sees the last state of each.

    `y = W [h_T forwards, h_1 backwards] + b`. Both read the history only: nothing of the future is seen.

    The graph is ignored. `__init__` lists the arguments.

    Source:
        Graves & Schmidhuber (2005), after Schuster & Paliwal (1997). Runs on `torch.nn.LSTM`.

    Example:
        >>> BiLSTMForecaster(1, 16, horizon=3)(torch.randn(2, 12, 5, 1)).shape
        torch.Size([2, 3, 5])
    """

    bidirectional = True


class GRUForecaster(_RecurrentForecaster):
    """Forecast with a gated recurrent unit.

    `reset, update = sigmoid(W x_t + U h_{t-1} + b)`, `candidate = tanh(W x_t + b + reset * (U h_{t-1} + b'))`,
    `h_t = update * h_{t-1} + (1 - update) * candidate`.

    The graph is ignored. `__init__` lists the arguments.

    Source:
        Cho et al. (2014), in the form of torch and cuDNN: the reset gate is applied after the product with U.

    Example:
        >>> GRUForecaster(1, 16, horizon=3, num_layers=2)(torch.randn(2, 12, 5, 1)).shape
        torch.Size([2, 3, 5])
    """

    network, cell = nn.GRU, GRUCell
