"""T-GCN, whole: the cell over the history, and a linear head that predicts all steps at once."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from gnnkit.graph.propagation import AddSelfLoops
from gnnkit.sequence._contract import Graph, UnrolledForecaster
from gnnkit.temporal.tgcn_cell import TGCNCell

__all__ = ["TGCN"]


class TGCN(UnrolledForecaster):
    r"""T-GCN, several steps ahead: `TGCNCell` over the history, then `y = W h_T + b` for all P steps at once.

    Args:
        in_channels, horizon, mask_input: As in `ForecasterModule`.
        hidden_channels: Width C of the state.
        graph_convolution, layers, gate_convolutions, gate_split, add_self_loops: As in `TGCNCell`; the default is the
            paper's form, `graph_convolution="input_and_state"` the official code's, with `gate_split="nodes"` its split
            of the gates, too.

    Raises:
        ValueError: A size below 1, or a form that does not exist.

    Source:
        Zhao et al. (2020). The head is the official code's: one linear map from the last state.

    Example:
        >>> import torch
        >>> edge_index = torch.tensor([[0, 1], [1, 2]])
        >>> TGCN(1, 8, horizon=3)(torch.randn(4, 12, 3, 1), edge_index).shape
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
        gate_split: Literal["channels", "nodes"] = "channels",
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
            gate_split=gate_split,
            add_self_loops=add_self_loops,
        )
        self.head = nn.Linear(self.cell.hidden_channels, self.horizon)

    def predict(self, x: Tensor, graph: Graph) -> Tensor:
        return self.head(self.cell.last(x, *graph)).transpose(1, 2)

    def states(self, x: Tensor, graph: Graph) -> list[Tensor]:
        return self.cell.unroll(x, graph)

    def extra_repr(self) -> str:
        return f"mask_input={self.mask_input}"
