"""STID: a multi-layer perceptron that knows which node it looks at, what time it is, and, if asked, its neighbours."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gnnkit.graph import normalized_adjacency
from gnnkit.layers.diffusion import diffuse
from gnnkit.sequence._contract import ForecasterModule, Graph, check_dropout, check_size
from gnnkit.temporal.clock import check_clock, clock_slots

__all__ = ["STID"]


class STID(ForecasterModule):
    r"""Forecast from the history, the node's embedding, and embeddings of the time of day and the day of the week.

        h_0 = [W x, E_node, E_time of day, E_day of week]
        h_l = h_{l−1} + W_2 dropout(ReLU(W_1 h_{l−1})),  y = W_out h_L

    With `diffusion_steps=K`, x is `[x, A x, …, A^K x, A' x, …, A'^K x]` in place of the history alone: A takes the mean
    of the histories of those that a node hears, A' of those that hear it, by the weights of the edges.

    Args:
        in_channels, horizon, history, num_nodes, mask_input: As in `ForecasterModule`.
        hidden_channels: Width C of each of the (two or) four parts of h.
        time_channels: 2 if the last features of x are the time of day in [0, 1) and the weekday over 7, as windows with
            `time_features=True` have them; 0 (default) leaves the two embeddings out.
        day_slots: Times of day that have an embedding each. Default 288, every 5 minutes.
        layers: Layers of the perceptron. Default 3.
        diffusion_steps: Steps K along and against the edges. Default 0: no graph, the published model.
        dropout: Share dropped within each layer. Default 0.15.

    Raises:
        ValueError: A size below 1, negative steps, a share outside [0, 1), or `time_channels` other than 0 or 2; in a
            call: a graph that is needed and not given.

    Source:
        Shao et al., "Spatial-temporal identity: a simple yet effective baseline" (2022). The diffusion is gnnkit's: the
        same model with and without its neighbours says what these are worth.

    Example:
        >>> STID(1, 8, horizon=3, history=12, num_nodes=5)(torch.randn(4, 12, 5, 1)).shape
        torch.Size([4, 3, 5])
    """

    search_space: ClassVar[dict[str, tuple]] = {"layers": (1, 4)}

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        horizon: int,
        *,
        history: int,
        num_nodes: int,
        time_channels: Literal[0, 2] = 0,
        day_slots: int = 288,
        layers: int = 3,
        diffusion_steps: int = 0,
        dropout: float = 0.15,
        mask_input: bool = False,
    ) -> None:
        sizes = {"hidden_channels": hidden_channels, "history": history, "num_nodes": num_nodes}
        super().__init__(in_channels, horizon, mask_input=mask_input, **sizes)
        self.time_channels = check_clock(time_channels, in_channels)
        self.day_slots = check_size("day_slots", day_slots)
        self.dropout = check_dropout(dropout)

        self.uses_graph = diffusion_steps != 0
        self.diffusion_steps = check_size("diffusion_steps", diffusion_steps) if self.uses_graph else 0
        width = self.history * (self.width + 2 * self.diffusion_steps * (self.in_channels - time_channels))
        self.embed = nn.Linear(width, hidden_channels)
        self.nodes = nn.Parameter(torch.empty(num_nodes, hidden_channels))
        self.times = nn.Parameter(torch.empty(day_slots, hidden_channels)) if time_channels else None
        self.days = nn.Parameter(torch.empty(7, hidden_channels)) if time_channels else None
        inner = hidden_channels * (2 + self.time_channels)
        self.inputs = nn.ModuleList(nn.Linear(inner, inner) for _ in range(check_size("layers", layers)))
        self.outputs = nn.ModuleList(nn.Linear(inner, inner) for _ in self.inputs)
        self.head = nn.Linear(inner, self.horizon)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw Glorot-uniform embeddings, and torch's own weights for the linear maps; weekdays begin at zero.

        So the embedding of a weekday that the training rows lack adds nothing, where a random one would add noise.
        """
        for embedding in (self.nodes, self.times):
            if embedding is not None:
                nn.init.xavier_uniform_(embedding)
        if self.days is not None:
            nn.init.zeros_(self.days)
        super().reset_parameters()

    def predict(self, x: Tensor, graph: Graph) -> Tensor:
        features = torch.cat([x, self._neighbours(x, graph)], dim=-1) if self.diffusion_steps else x
        h = self.embed(features.transpose(1, 2).flatten(2))  # [B, N, C]
        parts = [h, self.nodes.expand_as(h)]
        if self.times is not None and self.days is not None:
            clock = x[:, -1, :, self.in_channels - 2 : self.in_channels]  # [B, N, 2], at the history's last step
            slots, days = clock_slots(clock, self.day_slots)
            parts += [self.times[slots], self.days[days]]
        h = torch.cat(parts, dim=-1)
        for inner, outer in zip(self.inputs, self.outputs, strict=True):
            h = h + outer(F.dropout(inner(h).relu(), self.dropout, self.training))
        return self.head(h).transpose(1, 2)

    def _no_graph(self) -> str:
        return f"edge_index is None, but diffusion_steps={self.diffusion_steps} needs a graph"

    def _neighbours(self, x: Tensor, graph: Graph) -> Float[Tensor, "B T N D"]:
        """The histories that arrive from 1 … K steps away, along the edges and against them."""
        values = x[..., : self.in_channels - self.time_channels]
        means = [
            normalized_adjacency(*graph, x, self.num_nodes, False, method="row", reverse=reverse)
            for reverse in (False, True)
        ]
        return diffuse(values, means, self.diffusion_steps)[..., values.size(-1) :]

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.hidden_channels}, horizon={self.horizon}, history={self.history}"
