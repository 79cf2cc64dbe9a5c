"""The cell of T-GCN: a gated recurrent unit whose gates see a graph convolution, in the forms that are in use.

| | gates see | `TGCNCell` |
|---|---|---|
| the paper's | a two-layer graph convolution of X_t, and h | `graph_convolution="input", layers=2` (default) |
| the official code's | a graph convolution of X_t and h together | `graph_convolution="input_and_state"` |
| the same, as it runs | that, of node n // 2 and (N + n) // 2 | the same, `gate_split="nodes"` |
| PyG Temporal's | one graph convolution of X_t for each gate, and h | `layers=1, gate_convolutions="separate"` |
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gnnkit.graph.propagation import AddSelfLoops, Adjacency, normalized_adjacency, propagate
from gnnkit.ops import gated_recurrence
from gnnkit.sequence._contract import Graph, check_choice, check_history, check_size

__all__ = ["TGCNCell"]


class TGCNCell(nn.Module):
    r"""One step of T-GCN: `[B, N, F]` and the state `[B, N, C]` to the next state.

    With A_hat = D^-1/2 (A + loops) D^-1/2 and f the graph convolution of the input,

        update, reset = sigmoid(W [f, h] + b)
        candidate     = tanh(W_c [f, reset * h] + b_c)
        h'            = update * h + (1 - update) * candidate

    - `graph_convolution="input"`: `layers=2` (the paper): `f = sigmoid(A_hat ReLU(A_hat X_t W_0) W_1)`;
      `layers=1`: `f = A_hat X_t W_0 + b_0`. With `gate_convolutions="separate"` each gate has an f of its own.
    - `graph_convolution="input_and_state"` (the official code): `f = A_hat X_t`, and h and reset * h are multiplied by
      A_hat as well; gate biases start at 1. With `gate_split="nodes"` the gates are handed out as that code does: see
      Source.

    Columns of `input_weight`, `state_weight` and `bias`: update, reset, candidate; with `gate_split="nodes"` the first
    2 C are what is split.

    Args:
        in_channels: Features F of a node at a step.
        hidden_channels: Width C of the state.
        graph_convolution: `"input"` (default) or `"input_and_state"`.
        layers: Graph convolutions of the input, 1 or 2; default None: 2 for `"input"`, 1 for `"input_and_state"`.
        gate_convolutions: `"shared"` (default) or `"separate"`.
        gate_split: Of `"input_and_state"`: `"channels"` (default), each node has its own; `"nodes"`, as published.
        add_self_loops: `"missing"` adds a loop where the diagonal is empty; True one everywhere, so that a diagonal of
            ones becomes twos; False none. Default None: True for `"input_and_state"`, as in the official code, else
            `"missing"`.

    Shape:
        x `[B, N, F]`, edge_index `[2, E]`, edge_weight `[E]`, state `[B, N, C]`; returned `[B, N, C]`.

    Raises:
        ValueError: A size below 1, or a form that does not exist.

    Source:
        Zhao et al. (2020), "T-GCN: A Temporal Graph Convolutional Network for Traffic Prediction". The paper names
        no initial values: weights are Glorot-uniform, and biases 0 but for the official code's gates. That code
        (github.com/lehaifeng/T-GCN, in TensorFlow and in PyTorch) lays its gates out as `[B, N * 2 C]`, node by node,
        and splits them in the middle: the first half of the nodes makes all resets, the second all updates. Node n is
        reset by columns n % 2 of node n // 2 (0: the first C, 1: the second) and updated by columns (N + n) % 2 of node
        (N + n) // 2. So the order of the nodes matters, and news travels where there is no edge. `gate_split="nodes"`
        computes that; by default each node has its own gates, as in the paper's equations.

    Example:
        >>> import torch
        >>> edge_index = torch.tensor([[0, 1], [1, 2]])
        >>> TGCNCell(1, 8)(torch.randn(4, 3, 1), edge_index).shape
        torch.Size([4, 3, 8])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        *,
        graph_convolution: Literal["input", "input_and_state"] = "input",
        layers: Literal[1, 2] | None = None,
        gate_convolutions: Literal["shared", "separate"] = "shared",
        gate_split: Literal["channels", "nodes"] = "channels",
        add_self_loops: AddSelfLoops | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = check_size("in_channels", in_channels)
        self.hidden_channels = check_size("hidden_channels", hidden_channels)
        check_choice("graph_convolution", graph_convolution, ("input", "input_and_state"))
        check_choice("layers", layers, (1, 2, None))
        check_choice("gate_convolutions", gate_convolutions, ("shared", "separate"))
        check_choice("gate_split", gate_split, ("channels", "nodes"))
        check_choice("add_self_loops", add_self_loops, ("missing", True, False, None))
        self.convolves_state = graph_convolution == "input_and_state"
        if self.convolves_state and (layers == 2 or gate_convolutions == "separate"):
            raise ValueError(
                f"graph_convolution='input_and_state' has one convolution for its gates, got layers={layers!r}, "
                f"gate_convolutions={gate_convolutions!r}; leave both out, or take graph_convolution='input'"
            )
        if gate_split == "nodes" and not self.convolves_state:
            raise ValueError(
                f"gate_split='nodes' is the official code's, got graph_convolution={graph_convolution!r}; leave it "
                f"out, or take graph_convolution='input_and_state'"
            )
        self.graph_convolution = graph_convolution
        self.gate_split = gate_split
        self.layers = layers or (1 if self.convolves_state else 2)
        self.gate_convolutions = gate_convolutions
        if add_self_loops is None:
            add_self_loops = True if self.convolves_state else "missing"
        self.add_self_loops: AddSelfLoops = add_self_loops

        count, channels = 3 if gate_convolutions == "separate" else 1, self.hidden_channels
        width = self.in_channels if self.convolves_state else channels  # of f
        for name in ("convolution_weight", "convolution_bias", "convolution_weight_2"):
            self.register_parameter(name, None)
        if not self.convolves_state:
            self.convolution_weight = nn.Parameter(torch.empty(count, self.in_channels, channels))
            if self.layers == 2:
                self.convolution_weight_2 = nn.Parameter(torch.empty(count, channels, channels))
            else:
                self.convolution_bias = nn.Parameter(torch.empty(count, channels))
        self.input_weight = nn.Parameter(torch.empty(width, 3 * channels))
        self.state_weight = nn.Parameter(torch.empty(channels, 3 * channels))
        self.bias = nn.Parameter(torch.empty(3 * channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw Glorot-uniform weights; biases are 0, but 1 for the gates of the official code's form."""
        channels = self.hidden_channels
        for weight in (self.convolution_weight, self.convolution_weight_2):
            for matrix in () if weight is None else weight:
                nn.init.xavier_uniform_(matrix)
        if self.convolution_bias is not None:
            nn.init.zeros_(self.convolution_bias)
        # [f, h] is one input to a gate; the official code draws both gates as one matrix of width 2 C.
        fan_in = self.input_weight.size(0) + channels
        gates = slice(0, 2 * channels)
        for weight in (self.input_weight, self.state_weight):
            with torch.no_grad():
                weight.uniform_(-1.0, 1.0).mul_(math.sqrt(6 / (fan_in + channels)))
                if self.convolves_state:
                    weight[:, gates] *= math.sqrt((fan_in + channels) / (fan_in + 2 * channels))
        nn.init.zeros_(self.bias)
        if self.convolves_state:
            with torch.no_grad():
                self.bias[gates] = 1.0

    def forward(
        self,
        x: Float[Tensor, "B N F"],
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        state: Float[Tensor, "B N C"] | None = None,
    ) -> Float[Tensor, "B N C"]:
        """Take one step, on the plain path.

        Args:
            x: The features of this step.
            edge_index: Edge list, `EdgeIndex`, or a sparse `adj_t` (with `edge_weight` None).
            edge_weight: One weight per edge; None stands for ones.
            state: The state before; None stands for zeros.

        Returns:
            The state after.

        Raises:
            ValueError: `x`, the graph or `state` does not fit the cell or each other.
        """
        if x.dim() != 3:
            raise ValueError(f"x must have shape [B, N, F], one step, got {list(x.shape)}; `run` takes [B, T, N, F]")
        x = x.unsqueeze(1)
        state = self._first_state(x, state)
        adjacency = normalized_adjacency(edge_index, edge_weight, x, x.size(2), self.add_self_loops)
        return self._step(self._inputs(x, adjacency)[:, 0], state, adjacency)

    def run(
        self,
        x: Float[Tensor, "B T N F"],
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        state: Float[Tensor, "B N C"] | None = None,
    ) -> Float[Tensor, "B T N C"]:
        """Take T steps: the graph convolutions of all of them first, then the recurrence.

        Args:
            x: The features of T steps.
            edge_index, edge_weight, state: As in `forward`.

        Returns:
            The T states, equal up to rounding to those of `forward` called step by step.

        Raises:
            ValueError: As in `forward`.
        """
        return self._run(x, edge_index, edge_weight, state, return_sequence=True)

    def last(
        self,
        x: Float[Tensor, "B T N F"],
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        state: Float[Tensor, "B N C"] | None = None,
    ) -> Float[Tensor, "B N C"]:
        """The last state of `run`, without holding the others.

        Args, Raises: as `run`.
        """
        return self._run(x, edge_index, edge_weight, state, return_sequence=False)

    def unroll(self, x: Float[Tensor, "B T N F"], graph: Graph) -> list[Float[Tensor, "B N C"]]:
        """The T states of `run` with one call of `forward` a step, each the tensor that the next was computed from."""
        states: list[Tensor] = []
        for step in x.unbind(1):
            states.append(self(step, *graph, states[-1] if states else None))
        return states

    def _run(
        self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None, state: Tensor | None, *, return_sequence: bool
    ) -> Tensor:
        h = self._first_state(x, state)
        adjacency = normalized_adjacency(edge_index, edge_weight, x, x.size(2), self.add_self_loops)
        if not self.convolves_state:
            # Without a convolution in the loop the rows are independent of each other: a kernel of its own.
            seen, weight, bias = self._convolve(x, adjacency)
            return gated_recurrence(seen, h, weight, self.state_weight, bias, return_sequence=return_sequence)
        states = []
        for inputs in self._inputs(x, adjacency).unbind(1):  # not [:, t]: its gradient is as large as all steps
            h = self._step(inputs, h, adjacency)
            states.append(h)
        return torch.stack(states, dim=1) if return_sequence else h

    def _step(self, inputs: Tensor, h: Tensor, adjacency: Adjacency) -> Tensor:
        # inputs [B, N, 3 C], h [B, N, C]: the equations of the class, the part with X_t being done already.
        channels = self.hidden_channels
        weight_gates, weight_candidate = self.state_weight.split([2 * channels, channels], dim=1)
        into_gates, into_candidate = inputs.split([2 * channels, channels], dim=-1)
        seen = propagate(adjacency, h) if self.convolves_state else h
        update, reset = self._split((into_gates + seen @ weight_gates).sigmoid())
        kept = reset * h
        # (A h) W and A (h W) are the same; A h is the narrower product for the gates, and as wide for the candidate.
        seen = propagate(adjacency, kept) if self.convolves_state else kept
        candidate = (into_candidate + seen @ weight_candidate).tanh()
        return torch.lerp(candidate, h, update)

    def _split(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        """Update and reset of each node, `[B, N, C]`, from `[B, N, 2 C]`."""
        if self.gate_split == "channels":
            update, reset = gates.chunk(2, dim=-1)
        else:  # [B, N * 2 C] in two: what each node gets is another node's
            batch, nodes = gates.size(0), gates.size(1)
            reset, update = gates.reshape(batch, 2, nodes, self.hidden_channels).unbind(1)
        return update, reset

    def _first_state(self, x: Tensor, state: Tensor | None) -> Tensor:
        """Check x `[B, T, N, F]` and the state; zeros where there is none."""
        check_history(x, self.in_channels)
        shape = (x.size(0), x.size(2), self.hidden_channels)
        if state is None:
            return x.new_zeros(shape)
        if tuple(state.shape) != shape:
            raise ValueError(f"state must have shape {list(shape)}, [B, N, C] as x has it, got {list(state.shape)}")
        return state

    def _inputs(self, x: Tensor, adjacency: Adjacency) -> Tensor:
        """W f + b of all steps, `[B, T, N, 3 C]`."""
        seen, weight, bias = self._convolve(x, adjacency)
        return seen @ weight + bias

    def _convolve(self, x: Tensor, adjacency: Adjacency) -> tuple[Tensor, Tensor, Tensor]:
        """The graph convolutions of all steps, and the weight and bias with which the gates see them."""
        if self.convolution_weight is None:
            return propagate(adjacency, x), self.input_weight, self.bias
        # One pair (a gate's convolution, the columns that it feeds) or three.
        columns = self.input_weight.chunk(self.convolution_weight.size(0), dim=1)
        if self.convolution_bias is not None:
            # No non-linearity in between: (A X W_0 + b_0) W + b is A X (W_0 W) + (b_0 W + b), F wide instead of C.
            weight = torch.cat([w0 @ w for w0, w in zip(self.convolution_weight, columns, strict=True)], dim=1)
            bias = torch.cat([b0 @ w for b0, w in zip(self.convolution_bias, columns, strict=True)])
            return propagate(adjacency, x), weight, bias + self.bias
        assert self.convolution_weight_2 is not None  # for the type checker: two layers have no bias
        hidden_first = self.in_channels > self.hidden_channels  # A (X W) where that is the narrower product
        ax = x if hidden_first else propagate(adjacency, x)
        seen = []
        for w0, w1 in zip(self.convolution_weight, self.convolution_weight_2, strict=True):
            hidden = propagate(adjacency, ax @ w0) if hidden_first else ax @ w0
            seen.append(torch.sigmoid(propagate(adjacency, hidden.relu()) @ w1))
        if len(seen) == 1:
            return seen[0], self.input_weight, self.bias
        return torch.cat(seen, dim=-1), torch.block_diag(*columns), self.bias

    def load_tgcn2_state_dict(self, state_dict: Mapping[str, Tensor]) -> None:
        """Take the weights of PyTorch Geometric Temporal's `TGCN2` (or `TGCN`).

        Args:
            state_dict: `TGCN2(...).state_dict()`. Its `add_self_loops=True` is `"missing"` here.

        Raises:
            ValueError: The cell is not in that form (`layers=1, gate_convolutions="separate"`), or a weight is missing
                or has another size.
        """
        if self.layers != 1 or self.gate_convolutions != "separate":
            raise ValueError(
                "TGCN2's weights need a cell with layers=1 and gate_convolutions='separate', "
                f"got layers={self.layers}, gate_convolutions={self.gate_convolutions!r}"
            )
        assert self.convolution_weight is not None  # for the type checker: such a cell has both
        assert self.convolution_bias is not None
        channels = self.hidden_channels
        expected = {"conv_{}.lin.weight": (channels, self.in_channels), "conv_{}.bias": (channels,)}
        expected |= {"linear_{}.weight": (channels, 2 * channels), "linear_{}.bias": (channels,)}
        with torch.no_grad():
            for gate, letter in enumerate("zrh"):  # update, reset, candidate
                values = []
                for pattern, shape in expected.items():
                    value = state_dict.get(pattern.format(letter))
                    if value is None or tuple(value.shape) != shape:
                        found = "none" if value is None else list(value.shape)
                        raise ValueError(
                            f"state_dict must hold {pattern.format(letter)} of shape {list(shape)}, got {found}; "
                            "give TGCN2(in_channels, out_channels, ...).state_dict() of the cell's sizes"
                        )
                    values.append(value)
                conv_weight, conv_bias, weight, bias = values
                columns = slice(gate * channels, (gate + 1) * channels)
                self.convolution_weight[gate] = conv_weight.t()
                self.convolution_bias[gate] = conv_bias
                self.input_weight[:, columns] = weight[:, :channels].t()
                self.state_weight[:, columns] = weight[:, channels:].t()
                self.bias[columns] = bias

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.hidden_channels}, graph_convolution={self.graph_convolution!r}, "
            f"layers={self.layers}, gate_convolutions={self.gate_convolutions!r}, gate_split={self.gate_split!r}, "
            f"add_self_loops={self.add_self_loops!r}"
        )
