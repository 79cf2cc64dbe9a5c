"""Recurrent cells gate by gate, as their equations stand: what torch's fused kernels are checked against."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple, Self

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gnnkit.sequence._contract import check_size

__all__ = ["GRUCell", "GRUGates", "Gate", "LSTMCell", "LSTMGates", "LSTMState", "RNNCell", "RNNGates"]


class Gate(nn.Module):
    """What goes into one gate: `a = W_x x + W_h h + b`, before the gate's own function.

    Args:
        in_channels: Features F of the input x.
        hidden_channels: Width C of the state h.

    Shape:
        x `[B, F]`, h `[B, C]` to `[B, C]`; `weight_x [C, F]`, `weight_h [C, C]`, `bias [C]`.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> Gate(3, 8)(torch.randn(2, 3), torch.randn(2, 8)).shape
        torch.Size([2, 8])
    """

    def __init__(self, in_channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.in_channels = check_size("in_channels", in_channels)
        self.hidden_channels = check_size("hidden_channels", hidden_channels)
        self.weight_x: Tensor = nn.Parameter(torch.empty(hidden_channels, in_channels))
        self.weight_h: Tensor = nn.Parameter(torch.empty(hidden_channels, hidden_channels))
        self.bias: Tensor = nn.Parameter(torch.empty(hidden_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights from U(-1/sqrt(C), 1/sqrt(C)), as torch's recurrent layers do."""
        bound = self.hidden_channels**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Float[Tensor, "B F"], h: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
        return F.linear(x, self.weight_x, self.bias) + F.linear(h, self.weight_h)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.hidden_channels}"


class _Cell(nn.Module):
    """The skeleton: named gates, a converter to and from torch's layers, and a plain loop over steps."""

    #: What a subclass fills in: its gates in the order of torch's stacked weights, and torch's own cell.
    gate_names: ClassVar[tuple[str, ...]]
    torch_cell: ClassVar[type[nn.RNNCellBase]]

    def __init__(self, in_channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.in_channels = check_size("in_channels", in_channels)
        self.hidden_channels = check_size("hidden_channels", hidden_channels)
        for name in self.gate_names:
            self.add_module(name, Gate(in_channels, hidden_channels))

    def reset_parameters(self) -> None:
        """Draw all weights from U(-1/sqrt(C), 1/sqrt(C)), as torch's recurrent layers do."""
        for name in self.gate_names:
            getattr(self, name).reset_parameters()

    def unroll(self, steps: Iterable[Float[Tensor, "B F"]], state: Any = None) -> list[Any]:
        """Go through a sequence step by step.

        Args:
            steps: x_1 ... x_T; a tensor `[T, B, F]` will do.
            state: The state before the first step; None is zero.

        Returns:
            The T states, each the one that the next was computed from.
        """
        states = []
        for x in steps:
            state = self(x, state)
            states.append(state)
        return states

    @classmethod
    def from_torch(cls, module: nn.Module, *, layer: int = 0, reverse: bool = False, tied: bool = False) -> Self:
        """Take the weights of torch's cell, or of one layer and direction of torch's fused network.

        Args:
            module: torch's cell or network of the same kind, e.g. for `LSTMCell` an `nn.LSTMCell` or an `nn.LSTM`.
            layer: Which layer of a network. Default 0.
            reverse: The backward direction of a bidirectional network. Default False.
            tied: The cell's weights are views of the module's, through which gradients reach the module, in place of
                parameters of its own. Default False: copies.

        Returns:
            The cell. torch adds two biases where the equations have one; the cell's is their sum.

        Raises:
            ValueError: `module` is of another kind, has no such layer or direction, or projects its state.
        """
        suffix = _suffix(cls, module, layer, reverse)
        weights: dict[str, Any] = {name: getattr(module, name + suffix) for name in ("weight_ih", "weight_hh")}
        zeros = weights["weight_hh"].new_zeros(weights["weight_hh"].size(0))
        for name in ("bias_ih", "bias_hh"):  # absent where the module was built with bias=False
            weights[name] = getattr(module, name + suffix) if module.bias else zeros
        with torch.device("meta"):  # no random number is drawn for weights that are replaced at once
            cell = cls(weights["weight_ih"].size(1), weights["weight_hh"].size(1))
        parts = {name: tensor.chunk(len(cls.gate_names)) for name, tensor in weights.items()}
        for number, name in enumerate(cls.gate_names):
            _set(getattr(cell, name), "weight_x", parts["weight_ih"][number], tied)
            _set(getattr(cell, name), "weight_h", parts["weight_hh"][number], tied)
            cell._set_bias(name, parts["bias_ih"][number], parts["bias_hh"][number], tied)
        return cell

    def to_torch(self) -> nn.RNNCellBase:
        """torch's own cell with a copy of these weights; where the equations have one bias, torch's second is zero."""
        first = getattr(self, self.gate_names[0]).weight_x
        build: Any = type(self).torch_cell
        cell = build(self.in_channels, self.hidden_channels, device=first.device, dtype=first.dtype)
        gates = [getattr(self, name) for name in self.gate_names]
        with torch.no_grad():
            cell.weight_ih.copy_(torch.cat([gate.weight_x for gate in gates]))
            cell.weight_hh.copy_(torch.cat([gate.weight_h for gate in gates]))
            cell.bias_ih.copy_(torch.cat([gate.bias for gate in gates]))
            cell.bias_hh.copy_(self._second_bias())
        return cell

    def _set_bias(self, name: str, bias_x: Tensor, bias_h: Tensor, tied: bool) -> None:
        _set(getattr(self, name), "bias", bias_x + bias_h, tied)

    def _second_bias(self) -> Tensor:
        return torch.zeros(len(self.gate_names) * self.hidden_channels)  # cast where it is copied to

    def _zeros(self, x: Tensor) -> Tensor:
        return x.new_zeros(*x.shape[:-1], self.hidden_channels)


class RNNGates(NamedTuple):
    """What an `RNNCell` computes in a step; `[B, C]`."""

    candidate: Tensor


class RNNCell(_Cell):
    """One step of a vanilla recurrent network: `h_t = tanh(W_x x_t + W_h h_{t-1} + b)`.

    Args:
        in_channels: Features F of the input.
        hidden_channels: Width C of the state.

    Shape:
        x `[B, F]`, state h `[B, C]` to h `[B, C]`.

    Raises:
        ValueError: A size is below 1.

    Source:
        Elman (1990), "Finding structure in time".

    Example:
        >>> cell = RNNCell(3, 8)
        >>> cell(torch.randn(2, 3)).shape
        torch.Size([2, 8])
    """

    gate_names = ("candidate",)
    torch_cell = nn.RNNCell
    candidate: Gate

    def gates(self, x: Float[Tensor, "B F"], state: Tensor | None = None) -> RNNGates:
        """The activations of this step; without a state it is zero."""
        h = self._zeros(x) if state is None else state
        return RNNGates(candidate=torch.tanh(self.candidate(x, h)))

    def forward(self, x: Float[Tensor, "B F"], state: Float[Tensor, "B C"] | None = None) -> Float[Tensor, "B C"]:
        return self.gates(x, state).candidate


class LSTMGates(NamedTuple):
    """Activations of an `LSTMCell`'s gates, each `[B, C]`: modulation in (-1, 1), the others in (0, 1)."""

    modulation: Tensor
    input: Tensor
    forget: Tensor
    output: Tensor


class LSTMState(NamedTuple):
    """Hidden state h and cell state c, each `[B, C]`."""

    h: Tensor
    c: Tensor


class LSTMCell(_Cell):
    """One step of a long short-term memory.

    `modulation = tanh(a_g)`, `input = sigmoid(a_i)`, `forget = sigmoid(a_f)`, `output = sigmoid(a_o)`, where
    `a_k = W_kx x_t + W_kh h_{t-1} + b_k`; then `c_t = forget * c_{t-1} + input * modulation` and
    `h_t = output * tanh(c_t)`.

    Args, Raises: As `RNNCell`.

    Shape:
        x `[B, F]`, state (h `[B, C]`, c `[B, C]`) to the same.

    Source:
        Hochreiter & Schmidhuber (1997), with the forget gate of Gers et al. (2000). One bias a gate; torch has two.

    Example:
        >>> cell = LSTMCell(3, 8)
        >>> x = torch.randn(2, 3)
        >>> h, c = cell(x)
        >>> torch.equal(h, cell.gates(x).output * torch.tanh(c))
        True
    """

    gate_names = ("input", "forget", "modulation", "output")
    torch_cell = nn.LSTMCell
    input: Gate
    forget: Gate
    modulation: Gate
    output: Gate

    def gates(self, x: Float[Tensor, "B F"], state: tuple[Tensor, Tensor] | None = None) -> LSTMGates:
        """The gates' activations of this step; without a state it is zero."""
        h = self._zeros(x) if state is None else state[0]
        return LSTMGates(
            modulation=torch.tanh(self.modulation(x, h)),
            input=torch.sigmoid(self.input(x, h)),
            forget=torch.sigmoid(self.forget(x, h)),
            output=torch.sigmoid(self.output(x, h)),
        )

    def forward(self, x: Float[Tensor, "B F"], state: tuple[Tensor, Tensor] | None = None) -> LSTMState:
        gate = self.gates(x, state)
        c = self._zeros(x) if state is None else state[1]
        c = gate.forget * c + gate.input * gate.modulation
        return LSTMState(gate.output * torch.tanh(c), c)


class GRUGates(NamedTuple):
    """Activations of a `GRUCell`'s gates, each `[B, C]`: candidate in (-1, 1), the others in (0, 1)."""

    reset: Tensor
    update: Tensor
    candidate: Tensor


class GRUCell(_Cell):
    """One step of a gated recurrent unit.

    `reset = sigmoid(W_rx x_t + W_rh h_{t-1} + b_r)`, `update = sigmoid(W_ux x_t + W_uh h_{t-1} + b_u)`,
    `candidate = tanh(W_cx x_t + b_c + reset * (W_ch h_{t-1} + d_c))`, `h_t = update * h_{t-1} + (1 - update) *
    candidate`.

    Args, Raises: As `RNNCell`.

    Shape:
        x `[B, F]`, state h `[B, C]` to h `[B, C]`; `candidate_bias` is d_c `[C]`.

    Source:
        Cho et al. (2014), in the form of torch and cuDNN: the reset gate is applied after the product with W_ch, so the
        candidate has a second bias that the reset gate scales.

    Example:
        >>> cell = GRUCell(3, 8)
        >>> cell(torch.randn(2, 3)).shape
        torch.Size([2, 8])
    """

    gate_names = ("reset", "update", "candidate")
    torch_cell = nn.GRUCell
    reset: Gate
    update: Gate
    candidate: Gate

    def __init__(self, in_channels: int, hidden_channels: int) -> None:
        super().__init__(in_channels, hidden_channels)
        self.candidate_bias: Tensor = nn.Parameter(torch.empty(hidden_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        super().reset_parameters()
        bound = self.hidden_channels**-0.5
        nn.init.uniform_(self.candidate_bias, -bound, bound)

    def gates(self, x: Float[Tensor, "B F"], state: Tensor | None = None) -> GRUGates:
        """The gates' activations of this step; without a state it is zero."""
        h = self._zeros(x) if state is None else state
        reset = torch.sigmoid(self.reset(x, h))
        from_x = F.linear(x, self.candidate.weight_x, self.candidate.bias)
        from_h = F.linear(h, self.candidate.weight_h, self.candidate_bias)
        return GRUGates(reset, torch.sigmoid(self.update(x, h)), torch.tanh(from_x + reset * from_h))

    def forward(self, x: Float[Tensor, "B F"], state: Float[Tensor, "B C"] | None = None) -> Float[Tensor, "B C"]:
        gate = self.gates(x, state)
        h = self._zeros(x) if state is None else state
        return gate.update * h + (1 - gate.update) * gate.candidate

    def _set_bias(self, name: str, bias_x: Tensor, bias_h: Tensor, tied: bool) -> None:
        if name == "candidate":
            _set(self, "candidate_bias", bias_h, tied)
            _set(self.candidate, "bias", bias_x, tied)
        else:
            super()._set_bias(name, bias_x, bias_h, tied)

    def _second_bias(self) -> Tensor:
        zeros = torch.zeros(
            2 * self.hidden_channels, device=self.candidate_bias.device, dtype=self.candidate_bias.dtype
        )
        return torch.cat([zeros, self.candidate_bias])


def _suffix(cell: type[_Cell], module: Any, layer: int, reverse: bool) -> str:
    """How torch names the weights of this layer and direction, after all checks."""
    network = getattr(nn, cell.torch_cell.__name__.removesuffix("Cell"))
    allowed = f"{cell.torch_cell.__name__} or {network.__name__} of torch.nn"
    if isinstance(module, cell.torch_cell):
        if layer != 0 or reverse:
            raise ValueError(f"a cell has one layer and one direction; got layer={layer}, reverse={reverse}")
        nonlinearity, suffix = getattr(module, "nonlinearity", "tanh"), ""
    elif isinstance(module, network):
        if not 0 <= layer < module.num_layers:
            raise ValueError(f"layer must be from 0 to {module.num_layers - 1}, got {layer}")
        if reverse and not module.bidirectional:
            raise ValueError("reverse=True, but this network reads in one direction; build it with bidirectional=True")
        if module.proj_size:
            raise ValueError(
                f"the network projects its state to {module.proj_size} channels; take one with proj_size=0"
            )
        nonlinearity, suffix = getattr(module, "nonlinearity", "tanh"), f"_l{layer}" + ("_reverse" if reverse else "")
    else:
        raise ValueError(f"module must be an {allowed}, got {type(module).__name__}")
    if nonlinearity != "tanh":
        raise ValueError(f"the module's nonlinearity is {nonlinearity!r}; {cell.__name__} has tanh")
    return suffix


def _set(owner: nn.Module, name: str, value: Tensor, tied: bool) -> None:
    """Make `value` the weight `name`: as a parameter of its own, or as the view that it is."""
    delattr(owner, name)
    setattr(owner, name, value if tied else nn.Parameter(value.detach().clone()))
