"""STAEformer: a plain transformer along time and among the nodes, with an embedding of each step of each node."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from gnnkit.sequence._contract import ForecasterModule, Graph, check_dropout, check_size
from gnnkit.temporal.attention import EncoderLayer
from gnnkit.temporal.clock import check_clock, clock_slots

__all__ = ["STAEformer"]


class STAEformer(ForecasterModule):
    r"""Forecast with attention along time and then among the nodes, from histories that know when and where they are.

        h_0 = [W x + b, E_time of day, E_day of week, E_{step, node}]                 at each step and node
        h_l = EncoderLayer_l(h_{l−1})    along time for l ≤ L, among the nodes for L < l ≤ 2 L
        y = W_out [all steps of h_2L] + b_out

    All nodes attend to all: the given graph is ignored. Time and memory grow with the square of the nodes.

    Args:
        in_channels, horizon, history, num_nodes, mask_input: As in `ForecasterModule`.
        hidden_channels: Width C of h. The authors' is 152, of which the values, the time of day and the weekday have
            24 each, and the steps of the nodes 80; these shares are kept, to whole channels.
        time_channels: 2 if the last features of x are the time of day in [0, 1) and the weekday over 7; 0 (default)
            leaves the two embeddings out, and their channels to that of the nodes' steps.
        day_slots: Times of day that have an embedding each. Default 288, every 5 minutes.
        layers: Layers L of each kind. Default 3.
        heads: Heads of the attention. Default 4.
        inner_channels: Width of the layers' perceptrons. Default None: 32/19 C, the authors' 256 for 152.
        dropout: Share dropped of what attentions and perceptrons give. Default 0.1.

    Raises:
        ValueError: A size below 1, a share outside [0, 1), or `time_channels` other than 0 or 2.

    Source:
        Liu et al., "STAEformer: spatio-temporal adaptive embedding makes vanilla transformer SOTA for traffic
        forecasting" (2023). The weekday is read as a share of a week, where the authors' code has 0 to 6.

    Example:
        >>> STAEformer(1, 8, horizon=3, history=12, num_nodes=5)(torch.randn(4, 12, 5, 1)).shape
        torch.Size([4, 3, 5])
    """

    search_space: ClassVar[dict[str, tuple]] = {"layers": (1, 3)}

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
        heads: int = 4,
        inner_channels: int | None = None,
        dropout: float = 0.1,
        mask_input: bool = False,
    ) -> None:
        sizes = {"hidden_channels": hidden_channels, "history": history, "num_nodes": num_nodes}
        super().__init__(in_channels, horizon, mask_input=mask_input, **sizes)
        self.time_channels = check_clock(time_channels, in_channels)
        self.day_slots = check_size("day_slots", day_slots)
        part = max(1, round(self.hidden_channels * 3 / 19))
        own = max(1, self.hidden_channels - part * (1 + self.time_channels))
        c = own + part * (1 + self.time_channels)  # C, but for the smallest
        inner = max(1, round(c * 32 / 19)) if inner_channels is None else check_size("inner_channels", inner_channels)
        shares = dict.fromkeys(("dropout", "heard_dropout"), check_dropout(dropout))
        self.embed = nn.Linear(self.width, part)
        self.times = nn.Parameter(torch.empty(day_slots, part)) if time_channels else None
        self.days = nn.Parameter(torch.empty(7, part)) if time_channels else None
        self.steps = nn.Parameter(torch.empty(self.history, num_nodes, own))
        self.temporal, self.spatial = (
            nn.ModuleList(
                EncoderLayer(c, heads, inner, activation="relu", **shares) for _ in range(check_size("layers", layers))
            )
            for _ in range(2)
        )
        self.head = nn.Linear(self.history * c, self.horizon)
        self._draw_embeddings()

    def reset_parameters(self) -> None:
        """Draw all weights anew: standard-normal embeddings of the clock, Glorot-uniform ones of steps and nodes."""
        self._draw_embeddings()
        super().reset_parameters()

    def _draw_embeddings(self) -> None:
        nn.init.xavier_uniform_(self.steps)
        for embedding in (self.times, self.days):
            if embedding is not None:
                nn.init.normal_(embedding)

    def predict(self, x: Tensor, graph: Graph) -> Tensor:
        parts = [self.embed(x)]
        if self.times is not None and self.days is not None:
            slots, days = clock_slots(x[..., self.in_channels - 2 : self.in_channels], self.day_slots)
            parts += [self.times[slots], self.days[days]]
        parts.append(self.steps.expand(x.size(0), *self.steps.shape).to(parts[0].dtype))
        h = torch.cat(parts, dim=-1).transpose(1, 2)  # [B, N, T, C]
        for layer in self.temporal:
            h, _ = layer(h)
        h = h.transpose(1, 2)
        for layer in self.spatial:
            h, _ = layer(h)
        return self.head(h.transpose(1, 2).flatten(2)).transpose(1, 2)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.hidden_channels}, horizon={self.horizon}, history={self.history}"
