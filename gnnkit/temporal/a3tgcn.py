"""A3T-GCN: T-GCN whose head sees an attention-weighted mean of all states, not the last one alone."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from gnnkit.graph.propagation import AddSelfLoops
from gnnkit.sequence._contract import Graph, UnrolledForecaster
from gnnkit.temporal.tgcn_cell import TGCNCell

__all__ = ["A3TGCN"]


class A3TGCN(UnrolledForecaster):
    r"""Forecast from all states of a `TGCNCell`, each weighted by how much it has to say.

        h_t = TGCNCell(x_t, h_{t−1});  e_t = w_2 · (W_1 h_t + b_1) + b_2;  α = softmax_t(e);  y = W Σ_t α_t h_t + b

    The state goes on from step to step; each node has its own α.

    Args:
        in_channels, horizon, mask_input: As in `ForecasterModule`.
        hidden_channels: Width C of the state.
        graph_convolution, layers, gate_convolutions, add_self_loops: As in `TGCNCell`.

    Raises:
        ValueError: A size below 1, or a form that does not exist.

    Source:
        Bai et al., "A3T-GCN: attention temporal graph convolutional network for traffic forecasting" (2021), whose
        scores come from two linear maps. W_1 has C rows here; the paper gives no width. The authors' code first makes
        one number of a state, gives a step one score, squared, for all nodes, and maps the weighted steps, unsummed.

    Example:
        >>> import torch
        >>> edge_index = torch.tensor([[0, 1], [1, 2]])
        >>> A3TGCN(1, 8, horizon=3)(torch.randn(4, 12, 3, 1), edge_index).shape
        torch.Size([4, 3, 3])
    """

    uses_graph = True

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        horizon: int,
        *,
        graph_convolution: Literal["input", "input_and_state"] = "input",
        layers: Literal[1, 2] | None = None,
        gate_convolutions: Literal["shared", "separate"] = "shared",
        add_self_loops: AddSelfLoops | None = None,
        mask_input: bool = False,
    ) -> None:
        super().__init__(in_channels, horizon, mask_input=mask_input)
        self.cell = TGCNCell(
            self.width,
            hidden_channels,
            graph_convolution=graph_convolution,
            layers=layers,
            gate_convolutions=gate_convolutions,
            add_self_loops=add_self_loops,
        )
        self.score_1 = nn.Linear(self.cell.hidden_channels, self.cell.hidden_channels)
        self.score_2 = nn.Linear(self.cell.hidden_channels, 1)
        self.head = nn.Linear(self.cell.hidden_channels, self.horizon)

    def predict(self, x: Tensor, graph: Graph) -> Tensor:
        states = self.cell.run(x, *graph)  # [B, T, N, C]
        attention = self.score_2(self.score_1(states)).softmax(dim=1)
        return self.head((attention * states).sum(dim=1)).transpose(1, 2)

    def states(self, x: Tensor, graph: Graph) -> list[Tensor]:
        return self.cell.unroll(x, graph)
