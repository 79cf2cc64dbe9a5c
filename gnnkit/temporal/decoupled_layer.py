"""The layer of D2STGNN: a signal less what diffuses on graphs, less what each node has of its own."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gnnkit.temporal.attention import Attention
from gnnkit.temporal.temporal_convolution import pad_history

__all__ = ["DecoupledLayer", "walks"]


class DecoupledLayer(nn.Module):
    r"""Explain a part of a signal by what diffuses, a part of the rest by the node itself, and forecast both.

        g = sigmoid(W_2 ReLU(W_1 place));  d = Diffusion(g · h);  u = LayerNorm(h − ReLU(W d))
        r = GRU(u) + places in time;  z = Attention(r);  left over = LayerNorm(u − ReLU(W' z))

    Each part is forecast by going on: the diffusion reads what it said, and the recurrence and the attention too. The
    places in time are added anew to all that is attended to before each step, as the authors' code does.

    Args:
        channels: Width C.
        place_channels: Width of what says where and when a step is.
        matrices: Number of graphs' powers that are heard.
        kernel_size: Steps k of the diffusion's convolution; the signal gets k − 1 steps shorter.
        states: States that are forecast.
        is_last: Whether nothing is asked of what is left over.
        dropout: Share dropped.

    Shape:
        h `[B, N, S, C]`, place `[B, N, T, D]` of the last T of all steps, graphs `[B, N, N]` or `[N, N]` each, rows
        being targets; returned: what is left over, `[B, N, S − k + 1, C]` (of the last layer u), and the forecast,
        `[B, N, states, 8 C]`.

    Source:
        Shao et al., "Decoupled dynamic spatial-temporal graph neural network for traffic forecasting" (2022).
    """

    def __init__(
        self,
        channels: int,
        place_channels: int,
        *,
        matrices: int,
        kernel_size: int,
        states: int,
        is_last: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        c = channels
        self.kernel_size, self.states, self.dropout = kernel_size, states, dropout
        self.gate_1, self.gate_2 = nn.Linear(place_channels, 2 * c), nn.Linear(2 * c, 1)
        self.taps = nn.Linear(kernel_size * c, kernel_size * c, bias=False)
        self.mix = nn.Linear((1 + matrices) * c, c)
        self.diffused_back, self.diffused_ahead = nn.Linear(c, c), nn.Linear(c, 8 * c)
        self.diffused_norm = nn.LayerNorm(c)
        self.recurrence = nn.GRU(c, c, batch_first=True)
        self.attention = Attention(c, 4, dropout=dropout)
        self.own_ahead = nn.Linear(c, 8 * c)
        self.own_back = None if is_last else nn.Linear(c, c)
        self.own_norm = None if is_last else nn.LayerNorm(c)

    def reset_parameters(self) -> None:
        """Draw all weights anew, torch's own."""
        for module in self.children():
            module.reset_parameters()  # pyright: ignore[reportCallIssue]

    def forward(
        self, h: Float[Tensor, "B N S C"], place: Float[Tensor, "B N T D"], graphs: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """What is left over, and the forecast; see the class."""
        gate = self.gate_2(self.gate_1(place).relu()).sigmoid()  # [B, N, T, 1]
        gated = h * pad_history(gate.transpose(1, 2), h.size(2)).transpose(1, 2)
        diffused = self._diffuse(gated, graphs)
        heard = [diffused[:, :, -1:]]
        for _ in range(self.states - 1):
            steps = torch.cat([gated, *heard], dim=2)[:, :, -self.kernel_size :]
            if len(heard) >= self.kernel_size:
                steps = torch.cat(heard[-self.kernel_size :], dim=2)
            heard.append(self._diffuse(steps, graphs))
        forecast = self.diffused_ahead(torch.cat(heard, dim=2))

        rest = self.diffused_norm(h[:, :, self.kernel_size - 1 :] - self.diffused_back(diffused).relu())
        own, ahead = self._own(rest.flatten(0, 1))
        forecast = forecast + self.own_ahead(ahead).view(forecast.shape)
        if self.own_back is not None and self.own_norm is not None:
            rest = self.own_norm(rest - self.own_back(own).relu().view(rest.shape))
        return rest, forecast

    def _diffuse(self, h: Float[Tensor, "B N S C"], graphs: list[Tensor]) -> Float[Tensor, "B N Z C"]:
        """The convolution of k steps, each of them diffused by the same graphs: k times the diffusion of their mean."""
        k, c = self.kernel_size, h.size(-1)
        windows = h.unfold(2, k, 1).transpose(-1, -2).flatten(3)  # [B, N, Z, k C]
        mean = self.taps(windows).relu().unflatten(-1, (k, c)).mean(dim=-2)
        flat = k * mean.flatten(2)
        parts = [mean, *((graph @ flat).view(mean.shape) for graph in graphs)]
        return F.dropout(self.mix(torch.cat(parts, dim=-1)), self.dropout, self.training)

    def _own(self, rest: Float[Tensor, "M S C"]) -> tuple[Float[Tensor, "M S C"], Float[Tensor, "M states C"]]:
        """What the nodes say of their own past, and of the steps to come; M rows, one for each window and node."""
        memory = self._placed(F.dropout(self.recurrence(rest)[0], self.dropout, self.training))
        own = self._attend(memory, memory)
        said = [own[:, -1:]]
        for _ in range(self.states - 1):
            state = self._go_on(said[-1][:, 0], memory[:, -1]).unsqueeze(1)
            memory = self._placed(torch.cat([memory, state], dim=1))
            said.append(self._attend(state, memory))
        return own, torch.cat(said, dim=1)

    def _attend(self, x: Tensor, memory: Tensor) -> Tensor:
        return F.dropout(self.attention(x, memory), self.dropout, self.training)

    def _placed(self, memory: Float[Tensor, "M S C"]) -> Tensor:
        """Sines and cosines of the step added, in pairs of falling frequency."""
        steps, c = memory.shape[1:]
        kind = {"device": memory.device, "dtype": torch.promote_types(memory.dtype, torch.float32)}
        speeds = torch.exp(torch.arange(0, c, 2, **kind) * (-math.log(10000.0) / c))
        angles = torch.arange(steps, **kind)[:, None] * speeds
        places = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :c].to(memory.dtype)
        return F.dropout(memory + places, self.dropout, self.training)

    def _go_on(self, x: Float[Tensor, "M C"], h: Float[Tensor, "M C"]) -> Float[Tensor, "M C"]:
        """One step of the recurrence."""
        into_weight, kept_weight, into_bias, kept_bias = self.recurrence.all_weights[0]
        into = F.linear(x, into_weight, into_bias).chunk(3, dim=-1)
        kept = F.linear(h, kept_weight, kept_bias).chunk(3, dim=-1)
        reset, update = (into[0] + kept[0]).sigmoid(), (into[1] + kept[1]).sigmoid()
        candidate = (into[2] + reset * kept[2]).tanh()
        return candidate + update * (h - candidate)


def walks(matrix: Float[Tensor, "*B N N"], steps: int) -> list[Float[Tensor, "*B N N"]]:
    """The first powers of a matrix, each without its diagonal: no walk ends where it began.

    Example:
        >>> [each.tolist() for each in walks(torch.tensor([[0.5, 0.5], [1.0, 0.0]]), 2)]
        [[[0.0, 0.5], [1.0, 0.0]], [[0.0, 0.25], [0.5, 0.0]]]
    """
    apart = 1 - torch.eye(matrix.size(-1), dtype=matrix.dtype, device=matrix.device)
    power, found = matrix, [matrix * apart]
    for _ in range(steps - 1):
        power = matrix @ power
        found.append(power * apart)
    return found
