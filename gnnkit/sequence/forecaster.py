"""Recurrent forecasters that see no graph, on torch's fused kernels: one skeleton, four recurrences.

Each comes in two forms, since published comparisons differ by just this:

- `"per-node"`: one small network is shared by all nodes; a node's forecast depends on its own past alone;
- `"joint"`: all nodes are one input vector; the network is tied to the number and the order of the nodes.

All are called as every forecaster is, `forecaster(x, edge_index, edge_weight)`, and **ignore the graph** (`uses_graph`
is False): they are the baselines that a graph model has to beat.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gnnkit.sequence._contract import append_mask, check_choice, check_dropout, check_history, check_size

__all__ = ["BiLSTMForecaster", "GRUForecaster", "LSTMForecaster", "RNNForecaster"]

Form = Literal["per-node", "joint"]
# One step's states: (h,), and for the LSTM (h, c).
State = tuple[Tensor, ...]


def _rnn_step(x: Tensor, state: State, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> State:
    (h,) = state
    return (torch.tanh(F.linear(x, w_x, b_x) + F.linear(h, w_h, b_h)),)


def _lstm_step(x: Tensor, state: State, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> State:
    h, c = state
    input_, forget, modulation, output = (F.linear(x, w_x, b_x) + F.linear(h, w_h, b_h)).chunk(4, dim=-1)
    c = forget.sigmoid() * c + input_.sigmoid() * modulation.tanh()
    return output.sigmoid() * c.tanh(), c


def _gru_step(x: Tensor, state: State, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> State:
    (h,) = state
    reset_x, update_x, candidate_x = F.linear(x, w_x, b_x).chunk(3, dim=-1)
    reset_h, update_h, candidate_h = F.linear(h, w_h, b_h).chunk(3, dim=-1)
    update = (update_x + update_h).sigmoid()
    candidate = (candidate_x + (reset_x + reset_h).sigmoid() * candidate_h).tanh()
    return (update * h + (1 - update) * candidate,)


class _RecurrentForecaster(nn.Module):
    """The skeleton: rows through a fused recurrence, last state into a linear head for all P steps: `y = W h_T + b`."""

    #: The graph is taken, because all forecasters are called alike, and ignored.
    uses_graph: ClassVar[bool] = False
    search_space: ClassVar[dict[str, tuple]] = {"num_layers": (1, 2)}
    #: What a subclass fills in.
    network: ClassVar[Callable[..., nn.RNNBase]]
    step: ClassVar[Callable[..., State]]
    states_per_step: ClassVar[int] = 1
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
            in_channels: Features F of a node at a step; the first is what is predicted.
            hidden_channels: Width C of the state.
            horizon: Steps P to predict.
            num_layers: Recurrent layers on top of each other. Default 1.
            dropout: Share dropped between layers and before the head. Default 0.
            num_nodes: Nodes N. Needed by `form="joint"`; in `"per-node"` it may be left out, and is checked if given.
            form: `"per-node"` (default) shares one network among the nodes; `"joint"` reads and predicts all nodes as
                one vector.
            mask_input: Append the mask of observed entries to the features. Default False: gaps are filled, the mask
                unread.

        Shape:
            x `[B, T, N, F]` to `[B, P, N]`.

        Raises:
            ValueError: A size below 1, a share outside [0, 1), an unknown form, or `"joint"` without `num_nodes`.
        """
        super().__init__()
        self.in_channels = check_size("in_channels", in_channels)
        self.hidden_channels = check_size("hidden_channels", hidden_channels)
        self.horizon = check_size("horizon", horizon)
        self.num_layers = check_size("num_layers", num_layers)
        self.dropout = check_dropout(dropout)
        check_choice("form", form, ("per-node", "joint"))
        self.form = form
        self.num_nodes = None if num_nodes is None else check_size("num_nodes", num_nodes)
        self.mask_input = mask_input
        if form == "joint" and self.num_nodes is None:
            raise ValueError(
                "form='joint' reads all nodes as one vector and needs their number: "
                "give num_nodes=N, or take form='per-node'"
            )
        # A joint network's input and output hold all nodes; a per-node network's hold one.
        width = self.num_nodes if form == "joint" and self.num_nodes is not None else 1
        features = self.in_channels * (2 if mask_input else 1)
        self.rnn = type(self).network(
            width * features,
            self.hidden_channels,
            self.num_layers,
            bidirectional=self.bidirectional,
            # torch drops between layers only, and warns where there is nothing in between.
            dropout=self.dropout if self.num_layers > 1 else 0.0,
        )
        self.head = nn.Linear((2 if self.bidirectional else 1) * self.hidden_channels, width * self.horizon)

    def reset_parameters(self) -> None:
        """Draw all weights anew, as torch's own layers do."""
        self.rnn.reset_parameters()
        self.head.reset_parameters()

    def forward(
        self,
        x: Float[Tensor, "B T N F"],
        edge_index: Tensor | None = None,
        edge_weight: Tensor | None = None,
        *,
        mask: Bool[Tensor, "B T N F"] | None = None,
        target: Tensor | None = None,
        progress: float | None = None,
    ) -> Float[Tensor, "B P N"]:
        """Predict the next P steps of feature 0.

        Args:
            x: The history, scaled, gaps filled from the past.
            edge_index, edge_weight: Ignored: a sequence forecaster sees no graph.
            mask: Observed entries; ignored unless `mask_input=True`, since x has no gaps left.
            target, progress: Ignored: all steps are predicted at once, so there is nothing to force or to schedule.

        Returns:
            The forecast in x's scale.

        Raises:
            ValueError: `x` is not `[B, T, N, F]`, or F or N differ from what the forecaster was built for.
        """
        batch, _, num_nodes, _ = x.shape if x.dim() == 4 else (0, 0, 0, 0)
        rows = self._steps_first(x, mask)  # [T, B, N, F], joint: [T, B, N * F]
        if self.form == "per-node":
            rows = rows.flatten(1, 2)
        _, state = self.rnn(rows)
        h = state[0] if isinstance(state, tuple) else state  # [layers * directions, rows, C]
        last = torch.cat([h[-2], h[-1]], dim=-1) if self.bidirectional else h[-1]
        out = self.head(F.dropout(last, self.dropout, self.training))
        if self.form == "per-node":
            return out.view(batch, num_nodes, self.horizon).transpose(1, 2)
        return out.view(batch, self.horizon, num_nodes)

    def unroll(
        self,
        x: Float[Tensor, "B T N F"],
        edge_index: Tensor | None = None,
        edge_weight: Tensor | None = None,
        *,
        mask: Bool[Tensor, "B T N F"] | None = None,
    ) -> list[Tensor]:
        """Compute h_1 ... h_T of the top layer step by step, in plain operations, for gradient studies.

        Each state is the tensor that the next one was computed from: `torch.autograd.grad(states[-1].sum(), states[t])`
        is the gradient through time (of an LSTM: through h; its cell state carries another part). A bidirectional
        state is the pair of both directions' states, joined after the recurrence.

        Args:
            x, edge_index, edge_weight, mask: As in `forward`.

        Shape:
            Returned: T tensors, per-node `[B, N, C]`, joint `[B, C]`, with C doubled if bidirectional.

        Returns:
            The states that the fused path goes through, equal up to rounding (in training mode, up to dropout's draw).

        Raises:
            ValueError: As in `forward`.
        """
        sequence = list(self._steps_first(x, mask).unbind(0))
        for layer in range(self.num_layers):
            if layer > 0:
                sequence = [F.dropout(h, self.dropout, self.training) for h in sequence]
            forward = self._unroll_one(sequence, f"l{layer}")
            if self.bidirectional:
                backward = self._unroll_one(sequence[::-1], f"l{layer}_reverse")[::-1]
                sequence = [torch.cat(pair, dim=-1) for pair in zip(forward, backward, strict=True)]
            else:
                sequence = forward
        return sequence

    def _unroll_one(self, sequence: list[Tensor], layer: str) -> list[Tensor]:
        weights: list[Any] = [getattr(self.rnn, f"{name}_{layer}") for name in _WEIGHTS]
        zeros = sequence[0].new_zeros(*sequence[0].shape[:-1], self.hidden_channels)
        state: State = (zeros,) * self.states_per_step
        states = []
        for x in sequence:
            state = type(self).step(x, state, *weights)
            states.append(state[0])
        return states

    def _steps_first(self, x: Tensor, mask: Tensor | None) -> Tensor:
        check_history(x, self.in_channels, num_nodes=self.num_nodes)
        if self.mask_input:
            x = append_mask(x, mask)
        x = x.transpose(0, 1)
        return x.flatten(2) if self.form == "joint" else x

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.hidden_channels}, horizon={self.horizon}, form={self.form!r}, "
            f"num_nodes={self.num_nodes}, dropout={self.dropout}, mask_input={self.mask_input}"
        )


_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class RNNForecaster(_RecurrentForecaster):
    """Forecast with a vanilla recurrent network: `h_t = tanh(W_x x_t + b_x + W_h h_{t-1} + b_h)`.

    The graph is ignored. `__init__` lists the arguments.

    Source:
        Elman (1990), "Finding structure in time". Runs on `torch.nn.RNN`.

    Example:
        >>> RNNForecaster(1, 16, horizon=3)(torch.randn(2, 12, 5, 1)).shape
        torch.Size([2, 3, 5])
    """

    network = nn.RNN
    step = staticmethod(_rnn_step)


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

    network = nn.LSTM
    step = staticmethod(_lstm_step)
    states_per_step = 2


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

    network = nn.GRU
    step = staticmethod(_gru_step)
