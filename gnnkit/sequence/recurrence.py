"""Recurrent networks on torch's fused kernels, with one bias as in the equations, and learned initial states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gnnkit.sequence._contract import check_size
from gnnkit.sequence.cells import GRUCell, LSTMCell, LSTMState, RNNCell
from gnnkit.sequence.mixed_lstm import MixedLSTM

__all__ = ["GRU", "LSTM", "RNN", "BiGRU", "BiLSTM", "BiRNN", "RecurrentStates", "StatesByDirection"]


class RecurrentStates(NamedTuple):
    """What a recurrent network returns; D is 2 for a bidirectional one, else 1.

    Shape:
        all `[B, T, D C]`: h_1 ... h_T; last `[B, D C]`: the state of each direction after it has read everything:
        h_T, and for the backward direction that at the first step.
    """

    all: Tensor
    last: Tensor


class StatesByDirection(nn.Module):
    """What reads a sequence in one direction or two; a subclass says `unroll_states`."""

    def unroll(self, x: Tensor) -> list[Tensor]:
        """h_1 ... h_T on the plain path, step by step; both directions joined, if there are two.

        Each state of a one-way network is the tensor that the next was computed from. Joined states are not: take
        `unroll_directions` for gradients.

        Shape:
            Returned: T tensors `[B, D C]`.

        Raises:
            ValueError: As in `forward`.
        """
        directions = self.unroll_directions(x)
        if len(directions) == 1:
            return directions[0]
        return [torch.cat(states, dim=-1) for states in zip(*directions, strict=True)]

    def unroll_directions(self, x: Tensor) -> list[list[Tensor]]:
        """The states of each direction on the plain path, in the order of the sequence, whichever way it was read.

        Each state is the tensor that the next one that was read was computed from, so that `torch.autograd.grad`
        gives the gradient through time. The gates are tied to the fused network's weights.

        Shape:
            Returned: D lists of T tensors `[B, C]`. The last that the backward direction reads is its first in the
                list.

        Raises:
            ValueError: As in `forward`.
        """
        read = self.unroll_states(x)
        return [[state.h if isinstance(state, LSTMState) else state for state in states] for states in read]

    def unroll_states(self, x: Tensor) -> list[list[Any]]:
        """As `unroll_directions`, but each state is all that the cell hands on: an `LSTMState`, or h."""
        raise NotImplementedError


class _Recurrence(StatesByDirection):
    """The skeleton: torch's fused network, the cell that says what it computes, and the initial states."""

    fused: ClassVar[Callable[..., nn.RNNBase]]
    cell: ClassVar[type[RNNCell] | type[LSTMCell] | type[GRUCell]]
    bidirectional: ClassVar[bool] = False

    def __init__(self, in_channels: int, hidden_channels: int, *, learned_state: bool = False) -> None:
        super().__init__()
        self.in_channels = check_size("in_channels", in_channels)
        self.hidden_channels = check_size("hidden_channels", hidden_channels)
        self.learned_state = learned_state
        self.directions = 2 if self.bidirectional else 1
        self.out_channels = self.directions * self.hidden_channels
        self.network = type(self).fused(in_channels, hidden_channels, bidirectional=self.bidirectional)
        initial = torch.zeros(self.directions, hidden_channels)
        self.h_0 = nn.Parameter(initial.clone()) if learned_state else None
        self.c_0 = nn.Parameter(initial.clone()) if learned_state and self.cell is LSTMCell else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew as torch does, and put the initial states to zero."""
        self.network.reset_parameters()
        # torch adds two biases where the equations have one: the second is held at zero. The GRU needs both.
        if self.cell is not GRUCell:
            for name, parameter in self.network.named_parameters():
                if name.startswith("bias_hh"):
                    nn.init.zeros_(parameter.requires_grad_(False))
        for state in (self.h_0, self.c_0):
            if state is not None:
                nn.init.zeros_(state)

    def forward(self, x: Float[Tensor, "B T F"]) -> RecurrentStates:
        """Read the sequences on torch's fused path.

        Raises:
            ValueError: `x` is not `[B, T, F]`, is empty, or F is not `in_channels`.
        """
        self._check(x)
        states, last = self.network(x.transpose(0, 1), self._initial(x.size(0)))
        h = last[0] if isinstance(last, tuple) else last
        return RecurrentStates(
            states.transpose(0, 1), torch.cat([h[-2], h[-1]], dim=-1) if self.bidirectional else h[-1]
        )

    def unroll_states(self, x: Float[Tensor, "B T F"]) -> list[list[Any]]:
        self._check(x)
        steps = list(x.unbind(dim=1))
        directions = []
        for number in range(self.directions):
            cell = self.cell.from_torch(self.network, reverse=number == 1, tied=True)
            states = cell.unroll(steps[::-1] if number == 1 else steps, self._initial_of(number, x.size(0)))
            directions.append(states[::-1] if number == 1 else states)
        return directions

    def _initial(self, batch: int) -> Any:
        """The initial states as torch takes them, `[D, B, C]`; None is zero."""
        if self.h_0 is None:
            return None
        h = self.h_0[:, None].expand(-1, batch, -1).contiguous()
        return h if self.c_0 is None else (h, self.c_0[:, None].expand(-1, batch, -1).contiguous())

    def _initial_of(self, direction: int, batch: int) -> Any:
        if self.h_0 is None:
            return None
        h = self.h_0[direction].expand(batch, -1)
        return h if self.c_0 is None else LSTMState(h, self.c_0[direction].expand(batch, -1))

    def _check(self, x: Tensor) -> None:
        if x.dim() != 3 or x.size(2) != self.in_channels or 0 in x.shape:
            raise ValueError(
                f"x must have shape [B, T, F] with B and T at least 1 and F = in_channels = {self.in_channels}, "
                f"got {list(x.shape)}"
            )

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.hidden_channels}, learned_state={self.learned_state}"


_SHARED = """

    Args:
        in_channels: Features F of a step.
        hidden_channels: Width C of the state of one direction.
        learned_state: Learn the states before the first step, from zero on. Default False: they are zero.

    Shape:
        x `[B, T, F]` to all states `[B, T, D C]` and the last `[B, D C]`, with D = 2 directions if bidirectional,
        else 1.

    Raises:
        ValueError: A size is below 1, or x does not fit.
"""


class RNN(_Recurrence):
    """A vanilla recurrent network: `h_t = tanh(W_x x_t + W_h h_{t-1} + b)`.

    Source:
        Elman (1990). Runs on `torch.nn.RNN`, whose second bias is held at zero.

    Example:
        >>> RNN(3, 8)(torch.randn(2, 5, 3)).last.shape
        torch.Size([2, 8])
    """

    fused, cell = nn.RNN, RNNCell


class LSTM(_Recurrence):
    """A long short-term memory; `LSTMCell` has the equations of a step.

    4 (F C + C^2 + C) parameters, one bias a gate.

    Source:
        Hochreiter & Schmidhuber (1997), Gers et al. (2000). Runs on `torch.nn.LSTM`, whose second bias is held at zero.

    Example:
        >>> states = LSTM(3, 8, learned_state=True)(torch.randn(2, 5, 3))
        >>> torch.equal(states.all[:, -1], states.last)
        True
    """

    fused, cell = MixedLSTM, LSTMCell


class GRU(_Recurrence):
    """A gated recurrent unit; `GRUCell` has the equations of a step.

    Source:
        Cho et al. (2014), in torch's form. Runs on `torch.nn.GRU`, both of whose biases are learned.

    Example:
        >>> GRU(3, 8)(torch.randn(2, 5, 3)).all.shape
        torch.Size([2, 5, 8])
    """

    fused, cell = nn.GRU, GRUCell


class BiRNN(RNN):
    """Two vanilla recurrent networks, one of which reads backwards.

    Source:
        Schuster & Paliwal (1997). Runs on `torch.nn.RNN`.

    Example:
        >>> BiRNN(3, 8)(torch.randn(2, 5, 3)).last.shape
        torch.Size([2, 16])
    """

    bidirectional = True


class BiLSTM(LSTM):
    """Two LSTMs, one of which reads backwards; `last` joins the state of each after its last step.

    `last = [forward h_T, backward h_1]`: either has seen the whole sequence.

    Source:
        Graves & Schmidhuber (2005). Runs on `torch.nn.LSTM`, whose second bias is held at zero.

    Example:
        >>> states = BiLSTM(3, 8)(torch.randn(2, 5, 3))
        >>> torch.equal(states.last, torch.cat([states.all[:, -1, :8], states.all[:, 0, 8:]], dim=-1))
        True
    """

    bidirectional = True


class BiGRU(GRU):
    """Two gated recurrent units, one of which reads backwards.

    Source:
        Cho et al. (2014), in torch's form. Runs on `torch.nn.GRU`.

    Example:
        >>> BiGRU(3, 8)(torch.randn(2, 5, 3)).last.shape
        torch.Size([2, 16])
    """

    bidirectional = True


for _network in (RNN, LSTM, GRU, BiRNN, BiLSTM, BiGRU):
    _own, _where, _source = (_network.__doc__ or "").partition("\n\n    Source:")
    _network.__doc__ = _own + _SHARED.rstrip(" ") + _where.removeprefix("\n") + _source
