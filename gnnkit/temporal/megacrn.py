"""MegaCRN: an encoder and a decoder of recurrent units on two graphs that are made from a memory of prototypes."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gnnkit.layers.chebyshev import chebyshev_terms
from gnnkit.sequence._contract import Graph, UnrolledForecaster, check_size
from gnnkit.temporal.clock import check_clock, coming_times, without_clock
from gnnkit.temporal.curriculum import forced_share, next_input

__all__ = ["MegaCRN"]


class _TwoGraphGRU(nn.Module):
    """A GRU whose products are Chebyshev convolutions on two graphs, side by side; the nodes come first, `[N, B, C]`.

    The input's convolutions are a product of their own, so that those of all steps can be made at once.
    """

    def __init__(self, in_channels: int, hidden_channels: int, terms: int) -> None:
        super().__init__()
        self.terms, c = terms, hidden_channels
        self.input_weight = nn.Parameter(torch.empty(2 * terms * in_channels, 3 * c))
        self.gate_weight = nn.Parameter(torch.empty(2 * terms * c, 2 * c))
        self.candidate_weight = nn.Parameter(torch.empty(2 * terms * c, c))
        self.bias = nn.Parameter(torch.empty(3 * c))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw Glorot-normal weights, [x, h] being one input; biases are 0."""
        c = self.candidate_weight.size(1)
        fan_in = self.input_weight.size(0) + self.candidate_weight.size(0)
        with torch.no_grad():
            for weight, fan_out in (
                (self.input_weight[:, : 2 * c], 2 * c),
                (self.input_weight[:, 2 * c :], c),
                (self.gate_weight, 2 * c),
                (self.candidate_weight, c),
            ):
                weight.normal_(0.0, math.sqrt(2 / (fan_in + fan_out)))
            self.bias.zero_()

    def inputs(self, x: Float[Tensor, "N S F"], graphs: tuple[Tensor, Tensor]) -> Float[Tensor, "N S C3"]:
        """What the input adds to both gates and the candidate, of one step or of many."""
        return self._hear(x, graphs) @ self.input_weight + self.bias

    def step(self, inputs: Tensor, h: Float[Tensor, "N B C"], graphs: tuple[Tensor, Tensor]) -> Float[Tensor, "N B C"]:
        """Go one step on."""
        c = h.size(-1)
        into_gates, into_candidate = inputs.split([2 * c, c], dim=-1)
        reset, update = (into_gates + self._hear(h, graphs) @ self.gate_weight).sigmoid().chunk(2, dim=-1)
        candidate = (into_candidate + self._hear(reset * h, graphs) @ self.candidate_weight).tanh()
        return candidate + update * (h - candidate)

    def _hear(self, x: Float[Tensor, "N S F"], graphs: tuple[Tensor, Tensor]) -> Float[Tensor, "N S KF"]:
        flat = x.flatten(1)  # [N, S * F]: one product for the whole batch
        parts = [part for graph in graphs for part in chebyshev_terms(flat, graph, self.terms)]
        return torch.cat([part.view(x.shape) for part in parts], dim=-1)


class MegaCRN(UnrolledForecaster):
    r"""Forecast step by step with recurrent units on graphs of a memory M, whose prototypes the decoder also reads.

        E_1 = W_1 M,  E_2 = W_2 M;  A = softmax(ReLU(E_1 E_2^T)),  A' = softmax(ReLU(E_2 E_1^T))
        Θ [x, h] = Σ_k (T_k(A) [x, h] W_k + T_k(A') [x, h] W'_k) + b,  in every gate of encoder and decoder
        decoder's first state = [h_T, softmax(h_T W_q M^T) M];  ŷ_p = w s_p + b,  which it reads next

    The given graph is ignored: the model learns its own. In training it reads the true step as DCRNN does, with a
    probability that falls from 1 to 0.

    Args:
        in_channels, horizon, num_nodes, mask_input: As in `ForecasterModule`.
        hidden_channels: Width C of the encoder's states; the decoder's have C more for what it reads of the memory.
        time_channels: 2 if the last features of x are the time of day and the weekday: the decoder then reads the time
            of day of each step to come, counted on from the history's. Default 0.
        layers: Units on top of each other. Default 1.
        terms: Chebyshev terms of each graph. Default 3.
        prototypes: Rows of the memory. Default 20.
        memory_channels: Width of the memory. Default None: C.
        half_forced: The share of the training at which half of the steps are read from the truth; at 0 none ever is.
            Default 0.2, where it is half in the authors' 200 epochs on METR-LA.

    Raises:
        ValueError: A size below 1, `half_forced` below 0, or `time_channels` other than 0 or 2.

    Source:
        Jiang et al., "Spatio-temporal meta-graph learning for traffic forecasting" (2023). Its two further terms of the
        loss, each of weight 0.01, which pull the states' queries to their nearest prototype and from the second, are
        left out: gnnkit's models share one loss.

    Example:
        >>> MegaCRN(1, 8, horizon=3, num_nodes=5)(torch.randn(4, 12, 5, 1)).shape
        torch.Size([4, 3, 5])
    """

    learns_graph: ClassVar[bool] = True
    search_space: ClassVar[dict[str, tuple]] = {"terms": (2, 3), "prototypes": ("log", 4, 40)}

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        horizon: int,
        *,
        num_nodes: int,
        time_channels: Literal[0, 2] = 0,
        layers: int = 1,
        terms: int = 3,
        prototypes: int = 20,
        memory_channels: int | None = None,
        half_forced: float = 0.2,
        mask_input: bool = False,
    ) -> None:
        sizes = {"hidden_channels": hidden_channels, "num_nodes": num_nodes}
        super().__init__(in_channels, horizon, mask_input=mask_input, **sizes)
        self.time_channels = check_clock(time_channels, in_channels)
        if not half_forced >= 0:
            raise ValueError(f"half_forced must be a share of the training, at least 0, got {half_forced!r}")
        self.half_forced, c = half_forced, self.hidden_channels
        width = c if memory_channels is None else check_size("memory_channels", memory_channels)
        above = check_size("layers", layers) - 1
        features = self.width - self.time_channels * (2 if mask_input else 1)
        check_size("terms", terms)
        self.memory = nn.Parameter(torch.empty(check_size("prototypes", prototypes), width))
        self.query = nn.Parameter(torch.empty(c, width))
        self.embedding_1 = nn.Parameter(torch.empty(num_nodes, prototypes))
        self.embedding_2 = nn.Parameter(torch.empty(num_nodes, prototypes))
        self.encoder = nn.ModuleList(_TwoGraphGRU(size, c, terms) for size in (features, *[c] * above))
        into_decoder = (2 if time_channels else 1, *[c + width] * above)
        self.decoder = nn.ModuleList(_TwoGraphGRU(size, c + width, terms) for size in into_decoder)
        self.head = nn.Linear(c + width, 1)
        self._draw_memory()

    def reset_parameters(self) -> None:
        """Draw all weights anew; those of the memory Glorot-normal."""
        self._draw_memory()
        super().reset_parameters()

    def _draw_memory(self) -> None:
        for parameter in (self.memory, self.query, self.embedding_1, self.embedding_2):
            nn.init.xavier_normal_(parameter)

    def learned_adjacency(self) -> Float[Tensor, "N N"]:
        """The mean of the two learned graphs: `A[i, j]` is the weight with which i hears j; rows sum to 1."""
        with torch.no_grad():
            return sum(self._graphs()) / 2  # pyright: ignore[reportReturnType]

    def guided(self, x: Tensor, graph: Graph, target: Tensor | None, progress: float | None) -> Tensor:
        """In training, `target` is read with a probability that falls with `progress`; None is the end: never."""
        graphs = self._graphs()
        share = forced_share(progress, self.half_forced) if self.training and target is not None else 0.0
        last = self._encode(x, graphs)[-1].transpose(0, 1)  # [N, B, C]
        read = ((last @ self.query) @ self.memory.t()).softmax(dim=-1) @ self.memory
        states = [torch.cat([last, read], dim=-1)] * len(self.decoder)
        clock = None
        if self.time_channels:
            times = x[..., self.in_channels - 2]  # [B, T, N]
            clock = coming_times(times, self.horizon).permute(1, 2, 0).unsqueeze(-1)  # [P, N, B, 1]
        own, written = x.new_zeros(x.size(0), x.size(2), 1), []
        for number in range(self.horizon):
            h = own.transpose(0, 1)
            h = h if clock is None else torch.cat([h, clock[number]], dim=-1)
            for layer, cell in enumerate(self.decoder):
                states[layer] = h = cell.step(cell.inputs(h, graphs), states[layer], graphs)  # pyright: ignore
            own = self.head(h).transpose(0, 1)  # [B, N, 1]
            written.append(own)
            own = next_input(own, None if target is None else target[:, number], share)
        return torch.cat(written, dim=-1).transpose(1, 2)

    def states(self, x: Tensor, graph: Graph) -> list[Tensor]:
        return self._encode(x, self._graphs())

    def _encode(self, x: Tensor, graphs: tuple[Tensor, Tensor]) -> list[Float[Tensor, "B N C"]]:
        """All states of the top layer, a layer at a time: what it reads is convolved for all steps at once."""
        states = list(without_clock(x, self.in_channels, self.time_channels).unbind(1))
        for cell in self.encoder:
            read = torch.stack(states, dim=1).permute(2, 1, 0, 3)  # [N, T, B, F]
            inputs = cell.inputs(read.flatten(1, 2), graphs)  # pyright: ignore[reportCallIssue]
            states = [x.new_zeros(x.size(0), x.size(2), self.hidden_channels)]
            for step in inputs.unflatten(1, read.shape[1:3]).unbind(1):
                h = cell.step(step, states[-1].transpose(0, 1), graphs)  # pyright: ignore[reportCallIssue]
                states.append(h.transpose(0, 1))
            states = states[1:]
        return states

    def _graphs(self) -> tuple[Tensor, Tensor]:
        first, second = self.embedding_1 @ self.memory, self.embedding_2 @ self.memory
        scores = (first @ second.t()).relu()
        return scores.softmax(dim=1), scores.t().softmax(dim=1)
