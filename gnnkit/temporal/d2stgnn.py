"""D2STGNN: what a node hears of others is told from what is its own, layer by layer, on graphs of the hour."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gnnkit.graph import propagate
from gnnkit.layers import transition_matrices
from gnnkit.sequence._contract import ForecasterModule, Graph, check_dropout, check_share, check_size
from gnnkit.temporal.clock import check_clock, clock_slots, without_clock
from gnnkit.temporal.curriculum import only_near
from gnnkit.temporal.decoupled_layer import DecoupledLayer, walks
from gnnkit.temporal.temporal_convolution import pad_history

__all__ = ["D2STGNN"]


class D2STGNN(ForecasterModule):
    r"""Forecast with layers that split a signal into what diffuses on graphs and what each node has of its own.

        h_0 = W x + b;  h_l = what layer l (`DecoupledLayer`) does not explain of h_{l−1}
        y = W_2 ReLU(W_1 ReLU(Σ_l (diffused forecast_l + own forecast_l)))

    There are three graphs: `softmax(ReLU(E E'^T))`, which is learned, and for each direction of the given one
    `softmax(Q K^T / √C) · (M + 1e-7)`, its rows scaled to 1, where M are the steps of a walker along or against the
    edges, and Q and K are maps of a node's history, of the clock and of E or E'. So the given graph weighs most, and
    all nodes are heard. Time and memory grow with the square of the nodes.

    In training one more horizon has a gradient after each 1/P of its first share, `curriculum`.

    Args:
        in_channels, horizon, history, num_nodes, mask_input: As in `ForecasterModule`.
        hidden_channels: Width C; forecasts are put together at 8 C and 16 C. The authors' is 32.
        time_channels: 2 if the last features of x are the time of day in [0, 1) and the weekday over 7; 0 (default)
            leaves their embeddings out.
        day_slots: Times of day that have an embedding each. Default 288, every 5 minutes.
        layers: Layers. Default 5. Each shortens the history by `kernel_size − 1`; zeros are put before one
            that would leave fewer than two steps to the last.
        kernel_size: Steps that are convolved and diffused together. Default 3.
        steps: Steps of the walks on each graph. Default 2.
        gap: Steps that one state forecasts. Default 3.
        embedding_channels: Width of the embeddings of nodes, times and weekdays. Default 10.
        curriculum: Share of the training; 0: all horizons count at once. Default .3; the authors' .9 on METR-LA.
        dropout: Share dropped. Default 0.1.

    Raises:
        ValueError: A size below 1, a share outside [0, 1), or `time_channels` other than 0 or 2; in a call: no graph.

    Source:
        Shao et al., "Decoupled dynamic spatial-temporal graph neural network for traffic forecasting" (2022). What of
        its code nothing reads is left out: norms of its convolutions, a map of the time of day, and in the last layer
        what is left for a next one. The given graph has the self-loops that it came with, and none are added.

    Example:
        >>> edge_index = torch.tensor([[0, 1], [1, 2]])
        >>> D2STGNN(1, 8, horizon=3, history=12, num_nodes=3)(torch.randn(4, 12, 3, 1), edge_index).shape
        torch.Size([4, 3, 3])
    """

    uses_graph = True
    learns_graph: ClassVar[bool] = True
    search_space: ClassVar[dict[str, tuple]] = {"layers": (1, 5), "embedding_channels": (4, 16)}

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
        layers: int = 5,
        kernel_size: int = 3,
        steps: int = 2,
        gap: int = 3,
        embedding_channels: int = 10,
        curriculum: float = 0.3,
        dropout: float = 0.1,
        mask_input: bool = False,
    ) -> None:
        sizes = {"hidden_channels": hidden_channels, "history": history, "num_nodes": num_nodes}
        super().__init__(in_channels, horizon, mask_input=mask_input, **sizes)
        self.time_channels = check_clock(time_channels, in_channels)
        self.day_slots, self.steps = check_size("day_slots", day_slots), check_size("steps", steps)
        self.curriculum, self.dropout = check_share("curriculum", curriculum), check_dropout(dropout)
        c, d = self.hidden_channels, check_size("embedding_channels", embedding_channels)
        self.reach = 2 + check_size("layers", layers) * (check_size("kernel_size", kernel_size) - 1)
        states = -(-self.horizon // check_size("gap", gap))
        self.embed = nn.Linear(self.width - self.time_channels * (2 if mask_input else 1), c)
        self.embedding_1 = nn.Parameter(torch.empty(num_nodes, d))
        self.embedding_2 = nn.Parameter(torch.empty(num_nodes, d))
        self.times = nn.Parameter(torch.empty(day_slots, d)) if time_channels else None
        self.days = nn.Parameter(torch.empty(7, d)) if time_channels else None
        told = d * self.time_channels
        self.history_1, self.history_norm = nn.Linear(self.history, 2 * c), nn.BatchNorm1d(2 * c)
        self.history_2 = nn.Linear(2 * c, c)
        self.query = nn.Linear(c + told + d, c, bias=False)
        self.key = nn.Linear(c + told + d, c, bias=False)
        self.layers = nn.ModuleList(
            DecoupledLayer(
                c,
                told + 2 * d,
                matrices=3 * steps,
                kernel_size=kernel_size,
                states=states,
                is_last=layer == layers - 1,
                dropout=self.dropout,
            )
            for layer in range(layers)
        )
        self.head_1 = nn.Linear(8 * c, 16 * c)
        self.head_2 = nn.Linear(16 * c, gap)
        self._draw_embeddings()

    def reset_parameters(self) -> None:
        """Draw all weights anew; embeddings Glorot-uniform."""
        self._draw_embeddings()
        super().reset_parameters()

    def _draw_embeddings(self) -> None:
        for embedding in (self.embedding_1, self.embedding_2, self.times, self.days):
            if embedding is not None:
                nn.init.xavier_uniform_(embedding)

    def learned_adjacency(self) -> Float[Tensor, "N N"]:
        """The learned graph, `A[i, j]` the weight with which i hears j; rows sum to 1."""
        with torch.no_grad():
            return self._adaptive()

    def guided(self, x: Tensor, graph: Graph, target: Tensor | None, progress: float | None) -> Tensor:
        """In training the far horizons have no gradient at first."""
        y = self.predict(x, graph)
        return only_near(y, progress, self.curriculum) if self.training and target is not None else y

    def predict(self, x: Tensor, graph: Graph) -> Tensor:
        told = self._clock(x)
        graphs = self._graphs(x, told, graph)
        h = pad_history(self.embed(without_clock(x, self.in_channels, self.time_channels)), max(self.reach, x.size(1)))
        h = h.transpose(1, 2)  # [B, N, S, C]
        nodes = torch.cat([self.embedding_1, self.embedding_2], dim=-1)[:, None].expand(-1, x.size(1), -1)
        parts = [each.unsqueeze(1).expand(-1, x.size(2), -1, -1) for each in told]
        places = torch.cat([*parts, nodes.expand(x.size(0), -1, -1, -1)], dim=-1)  # [B, N, T, D]
        forecast: Any = 0
        for layer in self.layers:
            h, ahead = layer(h, places, graphs)
            forecast = forecast + ahead
        y = self.head_2(self.head_1(forecast.relu()).relu()).flatten(2)  # [B, N, states · gap]
        return y[..., : self.horizon].transpose(1, 2)

    def _clock(self, x: Tensor) -> list[Float[Tensor, "B T D"]]:
        """The embeddings of the time of day and of the weekday, which are the same for all nodes; none without them."""
        if self.times is None or self.days is None:
            return []
        slots, days = clock_slots(x[:, :, 0, self.in_channels - 2 : self.in_channels], self.day_slots)
        return [self.times[slots], self.days[days]]

    def _graphs(self, x: Tensor, told: list[Tensor], graph: Graph) -> list[Tensor]:
        """The walks on all graphs, `[B, N, N]` each or `[N, N]`, rows being targets, without their diagonals."""
        h = self.history_1(x[..., 0].transpose(1, 2)).relu()  # [B, N, 2 C]
        rows = h.flatten(0, 1)
        norm = self.history_norm
        if len(rows) > 1:
            rows = norm(rows)
        else:  # of one row there is no deviation
            rows = F.batch_norm(rows, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps)
        h = self.history_2(F.dropout(rows, self.dropout, self.training)).view(*h.shape[:2], -1)
        last = [each[:, -1:].expand(-1, x.size(2), -1) for each in told]
        found = []
        given = transition_matrices(*graph, x)
        for matrix, embedding in zip(given, (self.embedding_2, self.embedding_1), strict=True):
            place = torch.cat([h, *last, embedding.expand(len(x), -1, -1)], dim=-1)
            scores = self.query(place) @ self.key(place).transpose(1, 2) / self.hidden_channels**0.5
            near = propagate(matrix, torch.eye(x.size(2), dtype=x.dtype, device=x.device)) + 1e-7
            weights = scores.softmax(dim=-1) * near
            found += walks(weights / weights.sum(dim=-1, keepdim=True), self.steps)
        return found + walks(self._adaptive(), self.steps)

    def _adaptive(self) -> Tensor:
        return (self.embedding_1 @ self.embedding_2.t()).relu().softmax(dim=1)
