"""DCRNN: an encoder and a decoder of gated recurrent units whose every product is a diffusion convolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gnnkit.graph.propagation import Adjacency
from gnnkit.layers import transition_matrices
from gnnkit.layers.diffusion import diffuse
from gnnkit.sequence._contract import Graph, UnrolledForecaster, check_size
from gnnkit.temporal.curriculum import forced_share, next_input

__all__ = ["DCRNN"]


class _DiffusionGRU(nn.Module):
    """`update, reset = sigmoid(Θ [x, h] + b)`, `candidate = tanh(Θ [x, reset · h] + b)`, each Θ diffusing its input.

    The input's diffusions are a product of their own, so that those of all steps can be made at once.
    """

    def __init__(self, in_channels: int, hidden_channels: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        terms, c = 1 + 2 * steps, hidden_channels  # itself, and `steps` diffusions along and against the edges
        self.input_weight = nn.Parameter(torch.empty(terms * in_channels, 3 * c))
        self.gate_weight = nn.Parameter(torch.empty(terms * c, 2 * c))
        self.candidate_weight = nn.Parameter(torch.empty(terms * c, c))
        self.bias = nn.Parameter(torch.empty(3 * c))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw Glorot-uniform weights, [x, h] being one input; biases of the gates are 1, those of the candidate 0."""
        c = self.candidate_weight.size(1)
        fan_in = self.input_weight.size(0) + self.candidate_weight.size(0)
        with torch.no_grad():
            for weight, fan_out in (
                (self.input_weight[:, : 2 * c], 2 * c),
                (self.input_weight[:, 2 * c :], c),
                (self.gate_weight, 2 * c),
                (self.candidate_weight, c),
            ):
                bound = math.sqrt(6 / (fan_in + fan_out))
                weight.uniform_(-bound, bound)
            self.bias[: 2 * c] = 1.0
            self.bias[2 * c :] = 0.0

    def inputs(self, x: Float[Tensor, "*S N F"], matrices: Sequence[Adjacency]) -> Float[Tensor, "*S N C3"]:
        """What the input adds to both gates and the candidate, of one step or of many."""
        return diffuse(x, matrices, self.steps) @ self.input_weight + self.bias

    def step(self, inputs: Tensor, h: Float[Tensor, "B N C"], matrices: Sequence[Adjacency]) -> Float[Tensor, "B N C"]:
        """Go one step on."""
        c = h.size(-1)
        into_gates, into_candidate = inputs.split([2 * c, c], dim=-1)
        reset, update = (into_gates + diffuse(h, matrices, self.steps) @ self.gate_weight).sigmoid().chunk(2, dim=-1)
        kept = diffuse(reset * h, matrices, self.steps)
        candidate = (into_candidate + kept @ self.candidate_weight).tanh()
        return torch.lerp(candidate, h, update)


class DCRNN(UnrolledForecaster):
    r"""Forecast step by step: an encoder reads the history, a decoder writes the future, reading what it wrote.

    Both are stacks of gated recurrent units whose matrix products are diffusion convolutions,
    `Θ x = x W_0 + Σ_{k=1..K} (M_along^k x W_k + M_against^k x W'_k)`. The decoder begins with a zero and the encoder's
    states.

    In training it reads the true step with probability 1 / (1 + 2000^(s / h − 1)) when the share s of the training is
    done: almost always at first, half of the time at s = h, then less and less. Else, and where the truth was not
    observed, it reads its own step.

    Args:
        in_channels, horizon, mask_input: As in `ForecasterModule`.
        hidden_channels: Width C of the states.
        layers: Units in a stack. Default 2.
        diffusion_steps: Steps K of the walks. Default 2.
        half_forced: The share h at which half of the steps are read from the truth; at 0 none ever is. Default 0.4.

    Raises:
        ValueError: A size below 1, or `half_forced` below 0.

    Source:
        Li et al., "Diffusion convolutional recurrent neural network" (2018), with the gate biases of the authors'
        code. There the powers of the walks are mixed up by a Chebyshev recursion; here they are powers. The code's last
        map has no bias. Its share of truth is τ / (τ + exp(i / τ)) at optimisation step i, τ = 2000: half of the truth
        after 0.4 of the authors' 37,500 steps on METR-LA, and never in a training of a few thousand. Hence the share.

    Example:
        >>> edge_index = torch.tensor([[0, 1], [1, 2]])
        >>> DCRNN(1, 8, horizon=3)(torch.randn(4, 12, 3, 1), edge_index).shape
        torch.Size([4, 3, 3])
    """

    uses_graph = True
    search_space: ClassVar[dict[str, tuple]] = {"layers": (1, 2), "diffusion_steps": (1, 3)}

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        horizon: int,
        *,
        layers: int = 2,
        diffusion_steps: int = 2,
        half_forced: float = 0.4,
        mask_input: bool = False,
    ) -> None:
        super().__init__(in_channels, horizon, mask_input=mask_input, hidden_channels=hidden_channels)
        if not half_forced >= 0:
            raise ValueError(f"half_forced must be a share of the training, at least 0, got {half_forced!r}")
        self.half_forced = half_forced
        steps = check_size("diffusion_steps", diffusion_steps)
        above = [hidden_channels] * (check_size("layers", layers) - 1)
        self.encoder = nn.ModuleList(_DiffusionGRU(size, hidden_channels, steps) for size in (self.width, *above))
        self.decoder = nn.ModuleList(_DiffusionGRU(size, hidden_channels, steps) for size in (1, *above))
        self.head = nn.Linear(hidden_channels, 1)

    def guided(self, x: Tensor, graph: Graph, target: Tensor | None, progress: float | None) -> Tensor:
        """In training, `target` is read with a probability that falls with `progress`; None is the end: never."""
        matrices = transition_matrices(*graph, x)
        states = [layer[-1] for layer in self._encode(x, matrices)]
        share = forced_share(progress, self.half_forced) if self.training and target is not None else 0.0
        read = x.new_zeros(x.size(0), x.size(2), 1)
        written = []
        for number in range(self.horizon):
            h = read
            for layer, cell in enumerate(self.decoder):
                states[layer] = h = cell.step(cell.inputs(h, matrices), states[layer], matrices)  # pyright: ignore
            read = self.head(h)  # [B, N, 1]
            written.append(read)
            read = next_input(read, None if target is None else target[:, number], share)
        return torch.cat(written, dim=-1).transpose(1, 2)

    def states(self, x: Tensor, graph: Graph) -> list[Tensor]:
        return self._encode(x, transition_matrices(*graph, x))[-1]

    def _encode(self, x: Tensor, matrices: Sequence[Adjacency]) -> list[list[Tensor]]:
        """All states of all layers, a layer at a time: what it reads is diffused for all steps at once."""
        found: list[list[Tensor]] = []
        for cell in self.encoder:
            h, states = x.new_zeros(x.size(0), x.size(2), self.hidden_channels), []
            for inputs in cell.inputs(x, matrices).unbind(1):  # pyright: ignore[reportCallIssue]
                h = cell.step(inputs, h, matrices)  # pyright: ignore[reportCallIssue]
                states.append(h)
            found.append(states)
            x = torch.stack(states, dim=1)
        return found
